"""Validate predictors on held-out families of synthetic graphs: regressors, feature sets, targets, training sizes.

python scripts/studies/validate_predictors.py --data DIR --json docs/results/predictor_validation.json
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from gnnsched_cli.command import OutFile, print_table, run_command
from gnnsched_env.common.checks import OneOf
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.evaluation import write_json
from gnnsched_env.hardware import Composition, load_fleet
from gnnsched_env.predictors.closed_form import CYCLES
from gnnsched_env.predictors.datasets.dataset_files import load_dataset
from gnnsched_env.predictors.datasets.labelled_layers import Dataset, Inputs
from gnnsched_env.predictors.features import feature_names
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.protocol import as_cycles
from gnnsched_env.predictors.scores import score_predictions
from gnnsched_env.predictors.trees.tree_predictor import FEATURE_SETS
from gnnsched_env.predictors.trees.tree_training import BOOSTING_OF, Boosting
from gnnsched_env.tables import Pair, distinct_pairs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Record = dict[str, Any]

BOOSTING = Boosting()
EPOCHS = 60  # epochs of the MLP
REGRESSORS = ("ridge", "random_forest", "hist_gradient_boosting", "lightgbm", "mlp")
BOOSTED = ("hist_gradient_boosting", "lightgbm")
TARGETS = ("log", "residual")

_SIZES = feature_names(Level.METADATA)
_LAWS = tuple(name for name in feature_names(Level.DEGREES) if not name.startswith(("fold_waste", "imbalance")))
SETS: dict[str, tuple[tuple[str, ...], Level | None]] = {
    "S1": (_SIZES, None),
    "S2": (_SIZES, Level.METADATA),
    "S3": (_LAWS, Level.METADATA),
    "S4": (feature_names(Level.DEGREES), Level.METADATA),
    "S5": (feature_names(Level.DEGREES), Level.DEGREES),
    "S6": (feature_names(Level.STRUCTURE), Level.DEGREES),
    "terms": (_SIZES, Level.DEGREES),
}
"""The feature sets: the features, and the level of knowledge of the closed-form cycles, if there are any.

S1: sizes and widths. S2: and closed-form cycles of rows of equal degree. S3: and the law of the degrees (moments,
shares, quantiles). S4: and fold waste and row-tile imbalance. S5: and closed-form cycles of the degrees. S6: and
structure. "terms": S2 with the closed form of the degrees, and no other feature of them.
"""


class Regression:
    """Learns the logarithm of a layer's cycles ("log"), or of their ratio to the closed form ("residual").

    `joint`: one regressor for all pairs, with columns that describe the pair; otherwise one for each.
    """

    def __init__(self, candidate: "Candidate") -> None:
        self._candidate = candidate
        self._names, self._terms = SETS[candidate.features]
        self._models: list[Any] = []
        self._limits = np.zeros(0), np.zeros(0)  # smallest and largest targets of each pair

    def fit(self, dataset: Dataset, pairs: Sequence[Pair]) -> "Regression":
        """Train on layers labelled under the pairs."""
        self._pairs = pair_columns(pairs)
        targets = np.log(dataset.cycles / self._base(dataset.inputs))
        self._limits = targets.min(axis=0), targets.max(axis=0)
        columns = [self._columns(dataset.inputs, pair) for pair in range(len(pairs))]
        jobs = list(zip(columns, targets.T, strict=True))
        if self._candidate.joint:
            jobs = [(np.concatenate(columns), targets.T.ravel())]
        # OpenMP threads wait for each other on a busy machine; an MLP's epochs are a budget, so no warning.
        with threadpool_limits(limits=1, user_api="openmp"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")
            self._models = [
                make_regressor(self._candidate.regressor, self._candidate.boosting).fit(*job) for job in jobs
            ]
        return self

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return the cycles of layers under the pairs, float64 [N, P], not rounded."""
        out = self._base(inputs).copy()
        for pair in range(out.shape[1]):
            learned = self._models[0 if self._candidate.joint else pair].predict(self._columns(inputs, pair))
            if self._candidate.target == "residual":  # off the training range, a line or network may give any value
                learned = np.clip(learned, self._limits[0][pair], self._limits[1][pair])
            out[:, pair] *= np.exp(learned)
        return out

    def _base(self, inputs: Inputs) -> FloatArray:
        if self._candidate.target == "log":
            return np.ones(inputs.metadata_terms.shape[:2])
        return self._cycles(inputs)[:, :, CYCLES]

    def _cycles(self, inputs: Inputs) -> FloatArray:
        return inputs.degree_terms if self._terms is Level.DEGREES else inputs.metadata_terms

    def _columns(self, inputs: Inputs, pair: int) -> FloatArray:
        known = feature_names(inputs.level)
        columns = [inputs.features[:, [known.index(name) for name in self._names]]]
        if self._terms is not None:
            logs = np.log(self._cycles(inputs)[:, pair])
            columns += [logs[:, 1], logs[:, 0] - logs[:, 1]]
        if self._candidate.joint:
            columns.append(np.broadcast_to(self._pairs[pair], (len(inputs.features), self._pairs.shape[1])))
        return np.column_stack(columns)


def pair_columns(pairs: Sequence[Pair]) -> FloatArray:
    """Return float64 [P, 4 + dataflows]: log2 of PEs and bandwidths, composition, and which dataflow it is."""
    names = sorted({dataflow.name for _, dataflow in pairs})
    order = list(Composition)
    rows = [
        [
            np.log2(accelerator.pes),
            np.log2(accelerator.distribution_bandwidth),
            np.log2(accelerator.reduction_bandwidth),
            float(order.index(dataflow.composition)),
            *(float(dataflow.name == name) for name in names),
        ]
        for accelerator, dataflow in pairs
    ]
    return np.array(rows)


def make_regressor(name: str, boosting: Boosting = BOOSTING) -> Any:
    """Return an untrained regressor, deterministic; `boosting` applies to the two boosted-tree ones."""
    match OneOf(REGRESSORS).check("regression", "regressor", name):
        case "ridge":
            return make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-4, 2, 7)))
        case "random_forest":
            return RandomForestRegressor(n_estimators=30, min_samples_leaf=2, max_features=0.5, random_state=0)
        case "hist_gradient_boosting":
            return HistGradientBoostingRegressor(
                loss="squared_error" if boosting.objective == "l2" else "absolute_error",
                max_iter=boosting.trees,
                learning_rate=boosting.rate,
                max_leaf_nodes=boosting.leaves,
                min_samples_leaf=boosting.least,
                early_stopping=False,
                random_state=0,
            )
        case "lightgbm":
            return boosting.regressor()
    network = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=EPOCHS, n_iter_no_change=EPOCHS, random_state=0)
    return TransformedTargetRegressor(make_pipeline(StandardScaler(), network), transformer=StandardScaler())


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A regression to be validated."""

    regressor: str = "lightgbm"
    features: str = "S5"
    target: str = "residual"
    joint: bool = False
    boosting: Boosting = BOOSTING

    def __post_init__(self) -> None:
        OneOf(REGRESSORS).check("regression", "regressor", self.regressor)
        OneOf(tuple(SETS)).check("regression", "feature set", self.features)
        OneOf(TARGETS).check("regression", "target", self.target)
        if self.target == "residual" and SETS[self.features][1] is None:
            raise ConfigError(f"feature set {self.features} has no closed-form terms; its target must be 'log'")

    def fitted(self, dataset: Dataset, pairs: Sequence[Pair]) -> Regression:
        """Return the trained regression."""
        return Regression(self).fit(dataset, pairs)


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
        predicted[held] = model.predict(dataset.inputs.take(held))
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
            predicted[held] = model.predict(dataset.inputs.take(held))
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


SIZES = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train and score every candidate; each family of graphs is held out once."""

    data: Path
    """Folder of a data set that `gnnsched dataset build` built."""
    fleet: str = "flexible4"
    """Fleet whose distinct (accelerator, dataflow) pairs are learned; the data set must hold them."""
    graphs: int = 8_000
    """Number of jobs that the candidates are trained and scored on (the learning curve takes all)."""
    folds: int = 4
    """Number of parts that the families are split into; each part is held out once."""
    json: OutFile | None = None
    """JSON file to write the records to."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/validate_predictors.py", Arguments, run, __doc__, words)


def candidates() -> list[Candidate]:
    """Return what is compared: sets, targets, one regressor or one a pair, kinds of regressors, what ships."""
    found = [Candidate(features=name, target="residual" if name != "S1" else "log") for name in SETS]
    found += [Candidate(features=name, target="log") for name in SETS if name != "S1"]
    found += [Candidate(features=name, joint=True) for name in ("S2", "terms")]
    found += [Candidate(regressor=name, features=features) for features in ("S4", "terms") for name in REGRESSORS]
    found += [Candidate(features=FEATURE_SETS[level], boosting=boosting) for level, boosting in BOOSTING_OF.items()]
    return list(dict.fromkeys(found))


def run(arguments: Arguments) -> None:
    """Validate, write and print."""
    fleet = load_fleet(arguments.fleet)
    pairs = distinct_pairs(fleet).pairs
    stored = load_dataset(arguments.data, fleet=fleet)
    every = stored.dataset
    part = every.take(np.arange(min(arguments.graphs, len(every.cycles))))
    records: list[Record] = [closed_form_scores(part, level) for level in (Level.METADATA, Level.DEGREES)]
    tried = candidates()
    shipped = [Candidate(features=FEATURE_SETS[level], boosting=BOOSTING_OF[level]) for level in FEATURE_SETS]
    curves = [*shipped, Candidate(features="S4")]
    sizes = [size for size in SIZES if size <= len(every.cycles)]
    about = {"data": stored.settings, "fleet": fleet.name, "graphs": len(part.cycles), "folds": arguments.folds}
    curve: list[Record] = []

    def keep() -> None:
        """Write what is there so far; the next part may take an hour."""
        if arguments.json is not None:
            write_json(arguments.json, {"provenance": about, "records": records, "curve": curve})

    with progress_bar("validation", len(tried) + len(curves) * len(sizes), shown=None) as advance:
        for candidate in tried:
            records.append(validate(candidate, part, pairs, folds=arguments.folds))
            keep()
            advance(1)
        for candidate in curves:
            for size in sizes:
                curve += learning_curve(candidate, every, pairs, [size], folds=arguments.folds)
                keep()
                advance(1)
    print_table(_table(records))
    print_table(_table(curve))


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
