"""Check a trace of jobs (docs/reference/traces.md): print what it holds, or what is wrong with it, line by line.

Example:
    gnnsched check-trace jobs.csv --scenario hetero4
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from gnnsched_env.scenario import Scenario
    from gnnsched_env.scenario.traces import Trace, TraceReport
    from gnnsched_env.tables import LatencyTable

MOST_KINDS = 10


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Check a trace of jobs."""

    file: tyro.conf.Positional[Path]
    """The trace, a CSV file."""
    scenario: str | None = None
    """A preset or a scenario's TOML file: classes must be in its workload, and the load on its fleet is printed."""


def run(arguments: Arguments) -> int:
    """Check and print; return the exit status, 2 where the trace breaks a rule."""
    from gnnsched_env.scenario import load_scenario, scenario_table
    from gnnsched_env.scenario.traces import inspect_trace

    scenario = None if arguments.scenario is None else load_scenario(arguments.scenario)
    base = None if scenario is None else scenario_table(scenario)
    report = inspect_trace(arguments.file, classes=None if base is None else base.class_names)
    if report.trace is None:
        print_problems(arguments.file, report)
        return 2
    load = None if scenario is None or base is None else trace_load(report.trace, scenario, base)
    print_summary(report.trace)
    if scenario is not None and load is not None:
        print(f"load on {scenario.fleet.name}: {load:.3f} of the largest rate that the fleet can sustain")
    return 0


def print_problems(path: Path, report: "TraceReport") -> None:
    """Print what is wrong, one line each, and how much is not shown, on stderr."""
    for problem in report.problems:
        print(f"{path}: {problem}", file=sys.stderr)
    shown = len(report.problems)
    more = f" (the first {shown} are shown)" if report.problem_count > shown else ""
    lines = "1 line breaks a rule" if report.problem_count == 1 else f"{report.problem_count:,} lines break a rule"
    print(f"error: {path}: {lines}{more}", file=sys.stderr)


def print_summary(trace: "Trace") -> None:
    """Print jobs, span, mean rate, deadlines and the commonest kinds of job."""
    span = trace.last_time_s - trace.first_time_s
    rate = "" if trace.rate_hz is None else f", {trace.rate_hz:,.6g} jobs a second"
    print(f"{trace.path}: {_jobs(trace.num_jobs)}, sha256 {trace.digest[:16]}")
    print(f"from {trace.first_time_s:g} s to {trace.last_time_s:g} s: {span:g} s{rate}")
    print(f"deadlines: {_jobs(trace.deadlines)} ({trace.deadlines / trace.num_jobs:.1%})")
    order = sorted(range(len(trace.keys)), key=lambda i: (-trace.counts[i], i))
    print(f"kinds of job: {len(trace.keys):,} ({trace.kind})")
    for i in order[:MOST_KINDS]:
        key = trace.keys[i]
        repeats = f", {key.repeats:,} inferences" if key.repeats > 1 else ""
        print(f"  {trace.counts[i] / trace.num_jobs:6.1%}  {key.class_name}{repeats}")
    if len(order) > MOST_KINDS:
        print(f"  and {len(order) - MOST_KINDS:,} more")


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"


def trace_load(trace: "Trace", scenario: "Scenario", base: "LatencyTable") -> float | None:
    """Return the trace's mean rate over the scenario's fleet's largest sustainable rate for its mix.

    None where all jobs come together. Raise ConfigError where a job would be too long.
    """
    from gnnsched_env.predictors import build_table
    from gnnsched_env.scenario import table_rate
    from gnnsched_env.scenario.traces import trace_classes, trace_table

    if trace.kind == "graph":
        classes = trace_classes(trace, scenario.workload.hidden)
        base = build_table(classes, scenario.fleet, predictor="exact", progress=False)
    table = trace_table(trace, base)
    if trace.rate_hz is None:
        return None
    return trace.rate_hz / (table_rate(table) * scenario.fleet.clock_hz)
