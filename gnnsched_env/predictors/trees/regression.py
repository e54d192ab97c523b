"""Predictors made of regressors: a feature set, a target, and one regressor per pair or one for all pairs."""

import warnings
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import OneOf
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.predictors.datasets.labelled_layers import Dataset, Inputs, job_inputs
from gnnsched_env.predictors.feature_sets import Terms, feature_set, pair_columns
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.protocol import as_cycles
from gnnsched_env.predictors.training_range import Domain
from gnnsched_env.predictors.trees.regressors import BOOSTING, Boosting, Regressor, make_regressor
from gnnsched_env.tables import Pair, pair_key
from gnnsched_env.workload import JobClasses

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TARGETS = ("log", "residual")


class RegressionPredictor:
    """Learns the logarithm of a layer's cycles ("log"), or of their ratio to the closed form ("residual").

    `joint`: one regressor for all pairs, with columns that describe the pair; otherwise one for each. A model's cycles
    are the sum over its layers.
    """

    def __init__(
        self,
        regressor: str,
        features: str,
        *,
        target: str = "residual",
        joint: bool = False,
        seed: int = 0,
        boosting: Boosting = BOOSTING,
    ) -> None:
        OneOf(TARGETS).check("regression", "target", target)
        self.features = feature_set(features)
        if target == "residual" and self.features.terms is Terms.NONE:
            raise ConfigError(f"feature set {features} has no closed-form terms; its target must be 'log'")
        self.regressor, self.target, self.joint = regressor, target, joint
        self.models: list[Regressor] = []
        self.pairs: tuple[Pair, ...] = ()
        self.domain: Domain | None = None
        self._limits = np.zeros(0), np.zeros(0)  # the standard deviation of each pair's targets
        self._seed, self._boosting = seed, boosting
        make_regressor(regressor)

    @property
    def name(self) -> str:
        """The name: the regressor, its features and its target."""
        return f"{self.regressor}-{self.features.name}-{self.target}{'-joint' if self.joint else ''}"

    @property
    def level(self) -> Level:
        """The level of knowledge that the features need."""
        return self.features.level

    def fit(self, dataset: Dataset, pairs: Sequence[Pair], *, advance: Callable[[int], None] | None = None) -> Self:
        """Train on single layers labelled under the pairs; `advance` is called after each regressor."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        if dataset.pair_keys != tuple(pair_key(*pair) for pair in pairs):
            raise ConfigError(
                f"data set: the pairs must be those it is labelled under, in order; it has {len(dataset.pair_keys)}, "
                f"got {len(pairs)}"
            )
        self.pairs, self.domain = tuple(pairs), Domain.of(dataset.inputs, self.level)
        targets = np.log(dataset.cycles / self._base(dataset.inputs))
        columns = [self._columns(dataset.inputs, p) for p in range(len(pairs))]
        jobs = (
            [(np.concatenate(columns), targets.T.ravel())] if self.joint else list(zip(columns, targets.T, strict=True))
        )
        self.models, self._limits = [], (targets.min(axis=0), targets.max(axis=0))
        for own, target in jobs:
            made = make_regressor(self.regressor, seed=self._seed, boosting=self._boosting)
            # OpenMP threads wait for each other on a busy machine; an MLP's epochs are a budget, so no warning.
            with threadpool_limits(limits=1, user_api="openmp"), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")
                self.models.append(made.fit(own, target))
            if advance is not None:
                advance(1)
        return self

    def predict(self, classes: JobClasses, pairs: Sequence[Pair]) -> IntArray:
        """Return int64 [C, P]; the pairs must be among those trained for."""
        inputs = job_inputs(classes, pairs, self.level)
        return as_cycles(inputs.per_class(self.predict_layers(inputs, pairs)))

    def predict_layers(self, inputs: Inputs, pairs: Sequence[Pair]) -> FloatArray:
        """Return the cycles of single layers, float64 [N, P], not rounded."""
        if not self.models:
            raise ConfigError(f"{self.name}: not trained yet")
        known = [pair_key(*pair) for pair in self.pairs]
        out = self._base(inputs).copy()
        for p, pair in enumerate(pairs):
            if (key := pair_key(*pair)) not in known:
                raise ConfigError(f"{self.name}: not trained for {pair[0].name}/{pair[1].name}")
            own = known.index(key)
            model = self.models[0 if self.joint else own]
            learned = model.predict(self._columns(inputs, p, own))
            if self.target == "residual":  # outside the training range a linear model or network may give any value
                learned = np.clip(learned, self._limits[0][own], self._limits[1][own])
            out[:, p] *= np.exp(learned)
        return out

    def out_of_domain(self, classes: JobClasses) -> tuple[tuple[str, ...], ...]:
        """Return, for each class, the features outside the training range."""
        if self.domain is None:
            raise ConfigError(f"{self.name}: not trained yet")
        return self.domain.outside(classes)

    def _base(self, inputs: Inputs) -> FloatArray:
        if self.target == "residual":
            return self.features.estimates(inputs)
        return np.ones(inputs.metadata_terms.shape[:2])

    def _columns(self, inputs: Inputs, pair: int, trained: int | None = None) -> FloatArray:
        columns = self.features.columns(inputs, pair)
        if not self.joint:
            return columns
        own = pair_columns(self.pairs)[pair if trained is None else trained]
        return np.column_stack([columns, np.broadcast_to(own, (len(columns), own.size))])
