"""Validate predictors on held-out families of synthetic graphs: regressors, feature sets, targets, training sizes.

python scripts/studies/validate_predictors.py --data DIR --json docs/results/predictor_validation.json
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.table import Table

from gnnsched_cli.command import print_table, run_command
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.evaluation import write_json
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors.datasets.dataset_files import load_dataset
from gnnsched_env.predictors.datasets.labelled_layers import Dataset
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.protocol import CYCLES, as_cycles
from gnnsched_env.predictors.scores import score_predictions
from gnnsched_env.predictors.trees.regression import RegressionPredictor
from gnnsched_env.predictors.trees.regressors import BOOSTED, BOOSTING, REGRESSORS, Boosting
from gnnsched_env.predictors.trees.tree_training import BOOSTING_OF, FEATURES_OF
from gnnsched_env.tables import Pair, distinct_pairs

IntArray = NDArray[np.int64]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model to be validated (see `RegressionPredictor`); `regressor` "none" is the set's closed form alone."""

    regressor: str = "lightgbm"
    features: str = "S5"
    target: str = "residual"
    joint: bool = False
    boosting: Boosting = BOOSTING

    def fitted(self, dataset: Dataset, pairs: Sequence[Pair]) -> RegressionPredictor:
        """Return the trained model."""
        return RegressionPredictor(
            self.regressor, self.features, target=self.target, joint=self.joint, boosting=self.boosting
        ).fit(dataset, pairs)


def family_folds(dataset: Dataset, folds: int, *, seed: int = 0) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield (training rows, held-out rows); each family is held out once, whole."""
    present = np.unique(dataset.families)
    if not 2 <= folds <= len(present):
        raise ConfigError(f"folds must lie in 2..{len(present)}, the number of families, got {folds}")
    order = np.random.default_rng(seed).permutation(present)
    for fold in range(folds):
        held = np.isin(dataset.families, order[fold::folds])
        yield np.flatnonzero(~held), np.flatnonzero(held)


def validate(candidate: Candidate, dataset: Dataset, pairs: Sequence[Pair], *, folds: int = 4, seed: int = 0) -> Record:
    """Return the candidate's scores over all held-out rows, the classes being single layers."""
    predicted = np.empty(dataset.cycles.shape)
    for train, held in family_folds(dataset, folds, seed=seed):
        model = candidate.fitted(dataset.take(train), pairs)
        predicted[held] = model.predict_layers(dataset.inputs.take(held), pairs)
    about = {"regressor": candidate.regressor, "features": candidate.features, "target": candidate.target}
    boosting = asdict(candidate.boosting) if candidate.regressor in BOOSTED else None
    return about | {"joint": candidate.joint, "boosting": boosting} | _scores(dataset.cycles, as_cycles(predicted))


def closed_form_scores(dataset: Dataset, level: Level) -> Record:
    """Return the scores of the closed form alone, which learns nothing."""
    inputs = dataset.inputs
    terms = inputs.degree_terms if level is Level.DEGREES else inputs.metadata_terms
    about = {"regressor": "none", "features": f"closed form of {level}", "target": "", "joint": False, "boosting": None}
    return about | _scores(dataset.cycles, as_cycles(terms[:, :, CYCLES]))


def learning_curve(
    candidate: Candidate,
    dataset: Dataset,
    pairs: Sequence[Pair],
    sizes: Sequence[int],
    *,
    folds: int = 4,
    seed: int = 0,
) -> list[Record]:
    """Return the scores on held-out families of models trained on a number of graphs of other families."""
    records = []
    for size in sizes:
        predicted = np.empty(dataset.cycles.shape)
        for train, held in family_folds(dataset, folds, seed=seed):
            chosen = np.random.default_rng((seed, size)).choice(train, min(size, len(train)), replace=False)
            model = candidate.fitted(dataset.take(np.sort(chosen)), pairs)
            predicted[held] = model.predict_layers(dataset.inputs.take(held), pairs)
        about = {"graphs": size, "features": candidate.features, "regressor": candidate.regressor}
        records.append(about | _scores(dataset.cycles, as_cycles(predicted)))
    return records


def _scores(true: IntArray, predicted: IntArray) -> Record:
    scores = score_predictions(true, predicted)
    return {
        "samples": len(true),
        "mape": scores.mape,
        "accuracy": scores.accuracy,
        "regret_mean": scores.mean_regret,
        "regret_max": scores.max_regret,
        "tau": scores.tau,
    }


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
