"""Regressors from inputs to cycles: a protocol, and gradient boosting, one model for each (accelerator, dataflow)."""

from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.errors import ConfigError
from gnnsched_env.latency.dataset import Dataset, Inputs
from gnnsched_env.tables.table import CYCLE_LIMIT

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

ITERATIONS = 120
LEARNING_RATE = 0.15


class Regressor(Protocol):
    """Learn from a labelled data set, then predict whole cycles for other classes under the same pairs."""

    def fit(self, dataset: Dataset) -> Self:
        """Learn and return itself."""
        ...

    def predict(self, inputs: Inputs) -> IntArray:
        """Return int64 [C, P], at least 1."""
        ...


class GradientBoostingRegressor:
    """Histogram gradient boosting on log(cycles / closed-form estimate), one model a pair; deterministic.

    A pair's model sees the common features, the log of its own estimate, and that of each layer's phases relative to
    it. `advance` is called after each pair.
    """

    def __init__(self, *, advance: Callable[[int], None] | None = None) -> None:
        self._advance = advance
        self._models: list[Any] = []

    def fit(self, dataset: Dataset) -> Self:
        """Train one model for each pair."""
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        self._models = []
        residuals = np.log(dataset.cycles / dataset.inputs.estimates)
        for pair in range(dataset.cycles.shape[1]):
            model = HistGradientBoostingRegressor(
                max_iter=ITERATIONS, learning_rate=LEARNING_RATE, early_stopping=False, random_state=0
            )
            with threadpool_limits(limits=1, user_api="openmp"):  # its threads wait for each other on a busy machine
                self._models.append(model.fit(_columns(dataset.inputs, pair), residuals[:, pair]))
            if self._advance is not None:
                self._advance(1)
        return self

    def predict(self, inputs: Inputs) -> IntArray:
        """Return int64 [C, P]: the estimates, corrected and rounded."""
        if len(self._models) != inputs.estimates.shape[1]:
            raise ConfigError(
                f"gradient boosting: trained for {len(self._models)} pairs, asked for {inputs.estimates.shape[1]}"
            )
        residuals = [model.predict(_columns(inputs, pair)) for pair, model in enumerate(self._models)]
        return as_cycles(inputs.estimates * np.exp(np.stack(residuals, axis=1)))


def as_cycles(values: FloatArray) -> IntArray:
    """Round to whole cycles that a latency table accepts."""
    return np.clip(np.rint(values), 1, CYCLE_LIMIT - 1).astype(np.int64)


def _columns(inputs: Inputs, pair: int) -> FloatArray:
    """Return float64 [C, features + 1 + 2 * layers]."""
    own = np.log(inputs.estimates[:, pair])
    phases = np.log(inputs.phases[:, pair]).reshape(len(own), -1)
    return np.column_stack([inputs.features, own, phases - own[:, None]])
