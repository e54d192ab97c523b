"""Build a labelled training set: synthetic graphs and layers, their true cycles under every pair of a fleet, features.

python scripts/studies/build_dataset.py --graphs 100000 --seed 0 --out DIR

A build that was interrupted goes on where it stopped when the same command is run again.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gnnsched_cli.command import run_command
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors.datasets.dataset_files import build_dataset
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec
from gnnsched_env.tables import distinct_pairs


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Build a labelled training set."""

    out: Path
    """Folder of the data set."""
    graphs: int = 100_000
    """Jobs: a graph or a batch of graphs, and a layer."""
    seed: int = 0
    fleet: str = "big_little"
    """Preset or TOML file whose distinct (accelerator, dataflow) pairs are labelled; the default has all presets'."""
    workers: int | None = None
    """Processes; one a core if not given."""
    most_vertices: int = 100_000
    """Of a graph or a batch."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    program = "python scripts/studies/build_dataset.py"
    return run_command(program, Arguments, run, __doc__, words, stopped="stopped; the same command goes on")


def run(arguments: Arguments) -> None:
    """Build and say what was done."""
    spec = DatasetSpec(graphs=arguments.graphs, seed=arguments.seed, most_vertices=arguments.most_vertices)
    fleet = load_fleet(arguments.fleet)
    start = time.perf_counter()
    built = build_dataset(spec, fleet, arguments.out, workers=arguments.workers)
    print(
        f"{arguments.out}: {spec.graphs} graphs x {len(distinct_pairs(fleet).keys)} pairs, {spec.chunks} chunks, "
        f"{built} built now in {time.perf_counter() - start:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
