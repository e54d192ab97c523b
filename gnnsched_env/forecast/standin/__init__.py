"""A synthetic stand-in for the TpuGraphs data set: its tree, arrays and types, with made-up programs and machine.

A score on a stand-in says nothing about real collections: it shows that a model can learn what this package made up.
"""

from gnnsched_env.forecast.standin.standin_files import made, write_standin
from gnnsched_env.forecast.standin.standin_programs import SIZES, Size, StandinProgram, StandinSpec, make, plan

__all__ = ["SIZES", "Size", "StandinProgram", "StandinSpec", "made", "make", "plan", "write_standin"]
