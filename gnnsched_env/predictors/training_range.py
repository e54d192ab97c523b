"""The range of features that a predictor was trained on; graphs outside are flagged and still predicted."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.predictors.datasets.labelled_layers import Inputs, job_inputs
from gnnsched_env.predictors.features import feature_names
from gnnsched_env.predictors.levels import Level
from gnnsched_env.workload import JobClasses

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Domain:
    """A range of features: `low` and `high` float64 [D], the extremes of each of `feature_names(level)` in training."""

    level: Level
    low: FloatArray
    high: FloatArray

    @classmethod
    def of(cls, inputs: Inputs, level: Level) -> Self:
        """Return the range restricted to the features of a lower or equal level."""
        features = inputs.features[:, : len(feature_names(level))]
        return cls(level=level, low=features.min(axis=0), high=features.max(axis=0))

    def outside(self, classes: JobClasses) -> tuple[tuple[str, ...], ...]:
        """Return, for each class, the names of its features outside the range, in any of its layers."""
        inputs = job_inputs(classes, (), self.level)
        beyond = (inputs.features < self.low - _slack(self.low)) | (inputs.features > self.high + _slack(self.high))
        names = np.array(feature_names(self.level))
        per_class = inputs.per_class(beyond.astype(np.float64)) > 0
        return tuple(tuple(str(name) for name in names[row]) for row in per_class)


def _slack(bound: FloatArray) -> FloatArray:
    return 1e-9 * (1.0 + np.abs(bound))
