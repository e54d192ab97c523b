"""Train a scheduling agent; run again with the same arguments, a stopped or killed training goes on.

Examples:
    gnnsched train --config queue_hetero4
    gnnsched train --config queue_hetero4_es --seed 1 --method.sigma 0.1 --minutes 20
    gnnsched train --config dispatch --iterations 80
    gnnsched train --config my.toml --folder out/mine
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gnnsched_agents.config_files import load_config
from gnnsched_agents.training_config import ANY_NAMES, DISPATCH_FLEETS, FLEETS, SUFFIXES, TrainConfig
from gnnsched_agents.training_loop import Result, train
from gnnsched_cli.command import OutFolder
from gnnsched_cli.interrupts import INTERRUPTED
from gnnsched_cli.task_options import Ray

DEFAULT = "queue_hetero4"
WHICH = (
    f"A config, which the other arguments change: {' or '.join(ANY_NAMES)} (for any fleet), queue_FLEET, "
    "queue_FLEET_METHOD, dispatch or dispatch_FLEET, or the path of a .toml file. "
    f"FLEET is one of {', '.join(FLEETS)}, for dispatch one of {', '.join(DISPATCH_FLEETS)}; "
    f"METHOD one of {', '.join(suffix[1:] for suffix in SUFFIXES if suffix)}."
)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train a scheduling agent."""

    config: Annotated[str, tyro.conf.arg(help=WHICH)]
    training: Annotated[TrainConfig, tyro.conf.arg(name="")]
    folder: OutFolder | None = None
    """Folder for checkpoint, weights and events; none: out/train/NAME-SEED. A training in it is continued."""
    ray: Ray = None
    progress: bool | None = None
    """Show a progress bar; none: only if stderr is a terminal."""
    command: tyro.conf.Suppress[str] = ""
    """The command line, which the weights' card tells."""


def options(words: Sequence[str]) -> tuple[type[Arguments], Arguments]:
    """Return what tyro parses, and the defaults: the config that the command line names gives what others do not."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config", default=DEFAULT)
    name = first.parse_known_args(words)[0].config
    default = Arguments(config=name, training=load_config(name), command=shlex.join(["gnnsched", "train", *words]))
    return Arguments, default


def run(given: Arguments) -> int:
    """Train and print; return the exit status: 0 when finished, 130 when stopped."""
    training = given.training
    folder = given.folder or Path("out") / "train" / f"{training.name}-{training.seed}"
    try:
        result = train(training, folder, command=given.command, ray=given.ray, progress=given.progress)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return INTERRUPTED
    print(told(result))
    if not result.finished:
        print(f"stopped; the same command goes on: {given.command}", file=sys.stderr)
        return INTERRUPTED
    return 0


def told(result: Result) -> str:
    """Return what a training came to, in one line."""
    best = result.best
    amount = f"{result.decisions:,} decisions in {result.seconds / 60:.1f} minutes"
    if best["iteration"] == 0:
        phase = f" ({result.phase})" if result.phase else ""
        return (
            f"{result.weights}: after {result.iteration} iterations{phase} nothing validated better than the start, "
            f"{best['ratio']:.4f} of {result.reference}'s mean completion; give it more minutes; {amount}"
        )
    return (
        f"{result.weights}: iteration {best['iteration']} of {result.iteration}; on the validation workloads "
        f"{best['ratio']:.4f} ±{best['error']:.4f} of {result.reference}'s mean completion, "
        f"{best['sjf_ratio']:.4f} of sjf's; {amount}"
    )
