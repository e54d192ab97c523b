"""Write the latency table that ships with the package: the embedded synthetic classes under every preset pair.

Cycles, true and predicted, and energies in the default preset's unit energies.

python scripts/studies/build_default_tables.py [FILE]
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from gnnsched_cli.command import OutFile, run_command
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import build_table, score_predictions, with_log_errors
from gnnsched_env.predictors.latency_tables import SHIPPED_FILE
from gnnsched_env.workload import synthetic_classes

FLEET = "big_little"  # has every (accelerator, dataflow) pair of the preset fleets
DEFAULT_FILE = Path(__file__).parents[2] / "gnnsched_env" / "predictors" / "data" / SHIPPED_FILE


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Where to write the table."""

    file: tyro.conf.Positional[OutFile] = DEFAULT_FILE
    """The table's file."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/build_default_tables.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Build, save and score the table."""
    path = arguments.file
    fleet = load_fleet(FLEET)
    table = with_log_errors(build_table(synthetic_classes(), fleet, cache=False), fleet)
    table.save(path)
    scores = score_predictions(table.true_cycles, table.predicted_cycles)
    print(f"{path}: {table.num_classes} classes, {table.num_choices} choices; {scores}")
    print(f"energies: {table.provenance['unit_energies']['name']}")


if __name__ == "__main__":
    sys.exit(main())
