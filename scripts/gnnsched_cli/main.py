"""The command `gnnsched` and its subcommands."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from operator import or_
from types import ModuleType
from typing import Annotated, Any

import tyro

from gnnsched_cli.command import finish, parse
from gnnsched_env.common.errors import ConfigError, did_you_mean
from gnnsched_env.version import __version__

PROGRAM = "gnnsched"
# Each is a file of this package; what is said here is what `gnnsched --help` shows.
SUBCOMMANDS = {
    "demo": "Show what this package does: every policy on one fleet, in about a minute.",
    "evaluate": "Compare scheduling policies on the same jobs.",
    "schedule": "Play one episode of a policy and show its schedule.",
    "report": "Write a result file or a training as a page of tables, charts and schedules.",
    "bound": "Compare policies with a proved lower bound on what any schedule can reach.",
    "bench": "Score policies on frozen tasks, check results, print the leaderboard.",
    "arena": "Score a policy's file on hidden episodes, and say where it lost most.",
    "record": "Record episodes of policies as a Minari data set.",
    "train": "Train a scheduling agent.",
    "cycles": "Rank the dataflows of an accelerator for a GNN on a graph.",
    "graphs": "Get, convert and describe graphs.",
    "dataset": "Build a labelled training set for latency predictors, or check one.",
    "score-predictor": "Score a latency predictor on graph files.",
    "score-measured": "Train on latencies measured on a real device, and score on held-out graphs.",
    "profile": "Measure the latencies of a live fleet, and train a predictor on them.",
    "live": "Run jobs on real devices under a policy.",
    "replay": "Play finished live runs in the simulator, and compare.",
    "calibrate": "Fit what the simulator lacks to finished live runs.",
    "check-cycles": "Compare the cost model with recorded cases.",
    "check-trace": "Check a trace of jobs and print what it holds.",
    "forecast": "Rank compiler configurations of TpuGraphs programs.",
    "doctor": "Say what is installed, whether it works, and how to mend what does not.",
}
COMPLETION = ("--tyro-print-completion", "--tyro-write-completion")
DESCRIPTION = """\
Schedule GNN inference on heterogeneous dataflow accelerators.

    gnnsched SUBCOMMAND --help                       the options of a subcommand
    gnnsched --version                               the version of this package
    gnnsched --tyro-write-completion bash FILE       completion for a shell: bash, zsh, fish or tcsh"""


@dataclass(frozen=True)
class NotAsked:
    """Stands for the options of a subcommand that was not asked for, whose file is not imported."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default) and return its exit status.

    It is 0 where all went well, 1 where a check found a difference, 2 for bad input or another known error, told in one
    line on stderr, and 130 where the user stopped it.
    """
    given = list(sys.argv[1:] if words is None else words) or ["--help"]
    return finish(lambda: _run(given))


def _run(words: list[str]) -> int | None:
    """Import the subcommand that is asked for, parse and run it."""
    name = words[0]
    if name == "--version":
        print(f"{PROGRAM} {__version__}")
        return 0
    if not name.startswith("-") and name not in SUBCOMMANDS:
        known = f"one of {', '.join(SUBCOMMANDS)}"
        raise ConfigError(f"unknown subcommand {name!r}{did_you_mean(name, SUBCOMMANDS)} ({known})")
    wanted = SUBCOMMANDS if name in COMPLETION else [name] if name in SUBCOMMANDS else []
    files = {name: import_module(f"gnnsched_cli.{name.replace('-', '_')}") for name in wanted}
    entries = [_entry(name, files.get(name), words) for name in SUBCOMMANDS]
    given = parse(reduce(or_, entries), PROGRAM, DESCRIPTION, words)
    status: int | None = files[name].run(given)
    return status


def _entry(name: str, file: ModuleType | None, words: Sequence[str]) -> Any:
    """Return what tyro parses as a subcommand."""
    if file is None:
        return Annotated[NotAsked, tyro.conf.subcommand(name, description=SUBCOMMANDS[name])]
    kind, default = file.options(words[1:]) if hasattr(file, "options") else (file.Arguments, tyro.MISSING_NONPROP)
    return Annotated[kind, tyro.conf.subcommand(name, description=file.__doc__, default=default)]
