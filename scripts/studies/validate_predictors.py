"""Validate predictors on held-out families of synthetic graphs: regressors, feature sets, targets, training sizes.

python scripts/studies/validate_predictors.py --data DIR --json docs/results/predictor_validation.json
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from gnnsched_cli.command import print_table, run_command
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.evaluation import write_json
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors.datasets.dataset_files import load_dataset
from gnnsched_env.predictors.family_validation import Candidate, Record, closed_form_scores, learning_curve, validate
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.trees.regressors import REGRESSORS
from gnnsched_env.predictors.trees.tree_training import BOOSTING_OF, FEATURES_OF
from gnnsched_env.tables import distinct_pairs

SETS = ("S1", "S2", "S3", "S4", "S5", "S6", "terms")
SIZES = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train and score every candidate; each family of graphs is held out once."""

    data: Path
    """A data set that build_dataset.py made."""
    fleet: str = "flexible4"
    graphs: int = 8_000
    """Jobs that the candidates are trained and scored on (the learning curve takes all)."""
    folds: int = 4
    json: Path | None = None
    """Where to write the records."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/validate_predictors.py", Arguments, run, __doc__, words)


def candidates() -> list[Candidate]:
    """Return what is compared: sets, targets, one regressor or one a pair, kinds of regressors, what ships."""
    found = [Candidate(features=name, target="residual" if name != "S1" else "log") for name in SETS]
    found += [Candidate(features=name, target="log") for name in SETS[1:]]
    found += [Candidate(features=name, joint=True) for name in ("S2", "terms")]
    found += [Candidate(regressor=name, features=features) for features in ("S4", "terms") for name in REGRESSORS]
    found += [Candidate(features=FEATURES_OF[level], boosting=boosting) for level, boosting in BOOSTING_OF.items()]
    return list(dict.fromkeys(found))


def run(arguments: Arguments) -> None:
    """Validate and print."""
    fleet = load_fleet(arguments.fleet)
    pairs = distinct_pairs(fleet).pairs
    stored = load_dataset(arguments.data, fleet=fleet)
    every = stored.dataset
    part = every.take(np.arange(min(arguments.graphs, len(every.cycles))))
    records: list[Record] = [closed_form_scores(part, level) for level in (Level.METADATA, Level.DEGREES)]
    tried = candidates()
    shipped = [Candidate(features=FEATURES_OF[level], boosting=BOOSTING_OF[level]) for level in FEATURES_OF]
    curves = [*shipped, Candidate(features="S4")]
    sizes = [size for size in SIZES if size <= len(every.cycles)]
    with progress_bar("validation", len(tried) + len(curves) * len(sizes), shown=None) as advance:
        for candidate in tried:
            records.append(validate(candidate, part, pairs, folds=arguments.folds))
            advance(1)
        curve: list[Record] = []
        for candidate in curves:
            for size in sizes:
                curve += learning_curve(candidate, every, pairs, [size], folds=arguments.folds)
                advance(1)
    print_table(_table(records))
    print_table(_table(curve))
    if arguments.json is not None:
        about = {"data": stored.settings, "fleet": fleet.name, "graphs": len(part.cycles), "folds": arguments.folds}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(arguments.json, {"provenance": about, "records": records, "curve": curve})


def _table(records: list[Record]) -> Table:
    names = [name for name in records[0] if name != "boosting"]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in [*names, "trees"]:
        table.add_column(name, no_wrap=True)
    for record in records:
        cells = [f"{value:.4g}" if isinstance(value := record[name], float) else str(value) for name in names]
        own = record.get("boosting")
        table.add_row(*cells, f"{own['trees']} of {own['leaves']}, {own['objective']}" if own else "")
    return table


if __name__ == "__main__":
    sys.exit(main())
