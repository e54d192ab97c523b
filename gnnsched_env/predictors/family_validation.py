"""Model selection: train on some families of synthetic graphs, and score on families never seen."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.predictors.datasets.labelled_layers import Dataset
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.protocol import CYCLES, as_cycles
from gnnsched_env.predictors.scores import score_predictions
from gnnsched_env.predictors.trees.regression import RegressionPredictor
from gnnsched_env.predictors.trees.regressors import BOOSTED, BOOSTING, Boosting
from gnnsched_env.tables import Pair

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
