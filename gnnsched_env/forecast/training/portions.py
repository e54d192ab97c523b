"""Some configurations of a program: what is trained on, and what is held back. No torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.forecast.encoding.samples import Sample

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portion:
    """Some configurations of a sample (places int64 [k]; None: all), to train on or to validate with."""

    sample: Sample
    rows: IntArray | None = None

    @property
    def places(self) -> IntArray:
        """The places of its configurations in the sample, int64 [k]."""
        return np.arange(self.sample.num_configs) if self.rows is None else np.asarray(self.rows, np.int64)

    @property
    def targets(self) -> FloatArray:
        """The targets of its configurations, float64 [k]."""
        targets: FloatArray = self.sample.targets[self.places]
        return targets

    @property
    def rankable(self) -> bool:
        """Whether there is an order to learn: two different targets, which unlabelled files do not have."""
        return len(np.unique(self.targets)) > 1
