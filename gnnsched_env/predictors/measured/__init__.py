"""Measured latencies: their CSV file, the measuring that fills it, and models that predict them."""
