"""Write the latency table that ships with the package: the embedded synthetic classes under every preset pair.

Cycles, true and predicted, and energies in the default preset's unit energies.

python -m scripts.build_default_tables [FILE]
"""

import argparse
import sys
from pathlib import Path

from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import build_table, score_predictions
from gnnsched_env.predictors.latency_tables import SHIPPED_FILE, SHIPPED_FLEET
from gnnsched_env.workload import synthetic_classes

DEFAULT_FILE = Path(__file__).parents[2] / "gnnsched_env" / "predictors" / "data" / SHIPPED_FILE


def main(arguments: list[str] | None = None) -> int:
    """Build, save and score the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.studies.build_default_tables", description=__doc__.split("\n")[0]
    )
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT_FILE)
    path = parser.parse_args(arguments).file
    table = build_table(synthetic_classes(), load_fleet(SHIPPED_FLEET), cache=False)
    table.save(path)
    scores = score_predictions(table.true_cycles, table.predicted_cycles)
    print(f"{path}: {table.num_classes} classes, {table.num_choices} choices; {scores}")
    print(f"energies: {table.provenance['unit_energies']['name']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
