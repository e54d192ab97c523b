"""Build a labelled training set: synthetic graphs and layers, their true cycles under every pair of a fleet, features.

python -m scripts.build_dataset --graphs 100000 --seed 0 --out DIR

A build that was interrupted goes on where it stopped when the same command is run again.
"""

import sys
import time
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


def main() -> int:
    """Run the command line; return the exit status."""
    try:
        return run_command("scripts.studies.build_dataset", Arguments, run, __doc__)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        return 130


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
