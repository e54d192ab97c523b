"""Train the forecaster's network as a latency predictor, on synthetic graphs; held-out synthetic families validate it.

python -m scripts.train_forecast_predictor --out out/forecast.npz
"""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from gnnsched_env.errors import ConfigError
from gnnsched_env.forecast.latency_training import LatencyTraining, train_latency
from scripts.command import run_command


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train the forecaster's network as a latency predictor."""

    out: Path
    """Where to write the predictor (.npz)."""
    training: Annotated[LatencyTraining, tyro.conf.arg(name="")] = field(default_factory=LatencyTraining)


def main(arguments: list[str] | None = None) -> int:
    """Parse, train, save; return the exit status."""
    return run_command("scripts.train_forecast_predictor", Arguments, run, __doc__, arguments)


def run(arguments: Arguments) -> None:
    """Train and save."""
    if arguments.out.suffix != ".npz":
        raise ConfigError(f"--out: must end in .npz, as predictors are named by it, got {arguments.out}")
    console = Console(stderr=True)
    began = time.perf_counter(), time.process_time()
    predictor = train_latency(
        arguments.training, progress=None, report=lambda line: console.print(line, highlight=False)
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    predictor.save(arguments.out)
    seconds, worked = time.perf_counter() - began[0], time.process_time() - began[1]
    size = arguments.out.stat().st_size / 1024
    print(f"{arguments.out}: {size:.0f} KiB, trained in {seconds:.0f} s ({worked:.0f} s of CPU)")


if __name__ == "__main__":
    sys.exit(main())
