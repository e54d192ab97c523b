"""Train the two predictors that ship with the package on a data set of `gnnsched dataset build`.

gnnsched dataset build --graphs 100000 --seed 0 --out DIR
python scripts/studies/train_predictors.py --data DIR --out gnnsched_env/predictors/data
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gnnsched_cli.command import OutFolder, run_command
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors.datasets.dataset_files import load_dataset
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.trees.tree_training import NAMES, train
from gnnsched_env.tables import distinct_pairs


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train gradient boosting at both levels of knowledge."""

    data: Path
    """Folder of a data set that `gnnsched dataset build` built."""
    out: OutFolder
    """Folder to write the two files to (those of the package lie in gnnsched_env/predictors/data)."""
    fleet: str = "big_little"
    """Fleet whose distinct (accelerator, dataflow) pairs are learned; big_little has the pairs of all presets."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/train_predictors.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Train and write."""
    fleet = load_fleet(arguments.fleet)
    stored = load_dataset(arguments.data, fleet=fleet, level=Level.DEGREES)
    provenance = {name: stored.settings[name] for name in ("graphs", "seed", "most_vertices", "chunk_jobs", "code")}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for level in (Level.DEGREES, Level.METADATA):
        trained = train(stored.dataset, distinct_pairs(fleet).pairs, level, {"training": provenance}, progress=None)
        path = arguments.out / f"{NAMES[level]}.npz"
        trained.save(path)
        print(
            f"{path}: {trained.level} known, {len(trained.keys)} pairs, {trained.forests.roots.size} trees, "
            f"{path.stat().st_size:,} bytes"
        )


if __name__ == "__main__":
    sys.exit(main())
