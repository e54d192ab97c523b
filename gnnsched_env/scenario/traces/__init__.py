"""Traces of jobs in CSV files (docs/reference/traces.md): check, stream, tabulate and write them."""

from gnnsched_env.scenario.traces.trace_file import NO_DUE, TRACE_JOB, Trace, TraceReport, inspect_trace, read_trace
from gnnsched_env.scenario.traces.trace_format import Problem, TraceKey
from gnnsched_env.scenario.traces.trace_tables import trace_classes, trace_table
from gnnsched_env.scenario.traces.trace_writing import write_trace

__all__ = [
    "NO_DUE",
    "TRACE_JOB",
    "Problem",
    "Trace",
    "TraceKey",
    "TraceReport",
    "inspect_trace",
    "read_trace",
    "trace_classes",
    "trace_table",
    "write_trace",
]
