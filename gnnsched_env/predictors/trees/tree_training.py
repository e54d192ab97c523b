"""Gradient boosting by name: the predictors that ship, and their like trained on synthetic jobs for other pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common import store
from gnnsched_env.common.checks import Integer, Number, OneOf, check_fields
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.predictors.closed_form import CYCLES
from gnnsched_env.predictors.datasets.labelled_layers import Dataset
from gnnsched_env.predictors.datasets.training_set import DEFAULT_TRAINING, TrainingSet, mean_log_cycles
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.training_range import Domain
from gnnsched_env.predictors.trees.forests import Forests
from gnnsched_env.predictors.trees.tree_predictor import (
    ARRAYS,
    TreePredictor,
    closed_form_terms,
    shipped_predictor,
    tree_columns,
)
from gnnsched_env.tables import Pair, pair_key

if TYPE_CHECKING:
    from lightgbm import LGBMRegressor

FloatArray = NDArray[np.float64]

NAMES = {Level.METADATA: "gradient_boosting_metadata", Level.DEGREES: "gradient_boosting"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosting:
    """Settings of boosted trees: `trees` rounds of at most `leaves` leaves with at least `least` samples each.

    `objective`: "l2" learns the mean, "l1" the median, which is robust to a few very large values.
    """

    trees: Annotated[int, Integer(1)] = 60
    leaves: Annotated[int, Integer(2)] = 15
    least: Annotated[int, Integer(1)] = 20
    rate: Annotated[float, Number(above=0, most=1)] = 0.1
    objective: Annotated[str, OneOf(("l1", "l2"))] = "l2"

    def __post_init__(self) -> None:
        check_fields(self, "boosting")

    def regressor(self, seed: int = 0) -> "LGBMRegressor":
        """Return an untrained regressor of these settings, deterministic for a seed."""
        from lightgbm import LGBMRegressor

        return LGBMRegressor(
            objective=self.objective,
            n_estimators=self.trees,
            learning_rate=self.rate,
            num_leaves=self.leaves,
            min_child_samples=self.least,
            random_state=seed,
            deterministic=True,
            force_col_wise=True,
            n_jobs=1,
            verbosity=-1,
        )


BOOSTING_OF = {
    Level.METADATA: Boosting(trees=40, leaves=4, least=500, objective="l1"),
    Level.DEGREES: Boosting(trees=60, leaves=15),
}
"""The boosting settings chosen by validation on held-out families (docs/results/predictor_scores.md)."""


def boosted_predictor(jobs: TrainingSet, level: Level) -> TreePredictor:
    """Return the predictor of METADATA or DEGREES: the shipped one if it serves, else one trained on the jobs."""
    shipped = shipped_predictor(NAMES[level])
    if _serves(shipped, jobs):
        return shipped
    key = jobs.key(f"predictor {level}", lightgbm=metadata.version("lightgbm"))
    provenance = {"training": asdict(jobs.spec), "key": key}
    stored = jobs.keep(
        key, ARRAYS, lambda: train(jobs.dataset(), jobs.pairs, level, provenance, progress=jobs.progress).arrays()
    )
    return TreePredictor.from_stored(store.unpack(stored, store.TREE_PREDICTOR, source=f"cached predictor {key}"))


def training_means(jobs: TrainingSet) -> FloatArray:
    """Return float64 [P]: mean logarithms of cycles over the training set of the pairs' default predictor."""
    shipped = shipped_predictor(NAMES[Level.DEGREES])
    if _serves(shipped, jobs):
        return shipped.mean_log_cycles[shipped.places(jobs.pairs)]
    return jobs.mean_log_cycles()


def train(
    dataset: Dataset,
    pairs: Sequence[Pair],
    level: Level,
    provenance: Mapping[str, Any],
    *,
    boosting: Boosting | None = None,
    progress: bool | None = False,
) -> TreePredictor:
    """Return trees that learn log(cycles / closed form), one regressor per pair, at level METADATA or DEGREES.

    Raise ConfigError unless the pairs are those that the dataset is labelled under, in order. `boosting`: by default
    that of BOOSTING_OF.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    keys = tuple(pair_key(*pair) for pair in pairs)
    if dataset.pair_keys != keys:
        raise ConfigError(
            f"data set: the pairs must be those it is labelled under, in order; it has {len(dataset.pair_keys)}, "
            f"got {len(pairs)}"
        )
    boosting = BOOSTING_OF[level] if boosting is None else boosting
    targets = np.log(dataset.cycles / closed_form_terms(dataset.inputs, level)[:, :, CYCLES])
    models = []
    with progress_bar("training", len(pairs), shown=progress) as advance:
        for pair, target in enumerate(targets.T):
            with threadpool_limits(limits=1, user_api="openmp"):  # its threads wait for each other on a busy machine
                models.append(boosting.regressor().fit(tree_columns(dataset.inputs, level, pair), target))
            advance(1)
    about = {"lightgbm": metadata.version("lightgbm"), "samples": len(dataset.cycles), "boosting": asdict(boosting)}
    return TreePredictor(
        name=NAMES[level],
        level=level,
        keys=keys,
        forests=Forests.from_lightgbm(models),
        domain=Domain.of(dataset.inputs, level),
        mean_log_cycles=mean_log_cycles(dataset),
        provenance={**about, **provenance},
    )


def _serves(shipped: TreePredictor, jobs: TrainingSet) -> bool:
    """Return whether a shipped predictor is the one that training on the jobs asks for."""
    return jobs.spec == DEFAULT_TRAINING and (not jobs.has_pairs or shipped.covers(jobs.pairs))
