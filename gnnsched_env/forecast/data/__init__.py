"""Files of the TpuGraphs data set: their schema, reading, checking and writing."""
