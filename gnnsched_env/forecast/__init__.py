"""Forecasts of compiled programs' runtimes: files of the TpuGraphs data set, their samples, and ranking models.

What reads and scores files needs no torch and is named here; the networks' modules are imported by name and need the
extra `gnn`.
"""

from gnnsched_env.forecast.data.program import Program, ProgramGraph, open_program
from gnnsched_env.forecast.data.program_writing import write_program
from gnnsched_env.forecast.data.schema import Collection

__all__ = ["Collection", "Program", "ProgramGraph", "open_program", "write_program"]
