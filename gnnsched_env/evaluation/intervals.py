"""Paired comparisons: ratios of means over episodes, with percentile bootstrap intervals."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
SEED = 20_161_342


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float

    def as_list(self) -> list[float]:
        """Return [value, low, high], for JSON."""
        return [self.value, self.low, self.high]


def paired_ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> Interval:
    """Return mean(numerator) / mean(denominator) over episodes that both saw.

    `numerator`, `denominator`: float64 [episodes], one mean an episode. Episodes are resampled in pairs (percentile
    bootstrap, Efron and Tibshirani 1993, 10,000 draws, fixed seed); one single episode has no interval but itself.
    """
    if len(numerator) != len(denominator) or not len(numerator):
        raise ValueError(f"paired episodes must be equally many, got {len(numerator)} and {len(denominator)}")
    counts = _resamples(len(numerator))
    ratios = (counts @ numerator) / (counts @ denominator)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Interval(value=float(numerator.mean() / denominator.mean()), low=float(low), high=float(high))


@lru_cache(maxsize=4)
def _resamples(episodes: int) -> NDArray[np.float64]:
    """Return how often each episode is drawn: float64 [draws, episodes]."""
    generator = np.random.default_rng(SEED)
    return generator.multinomial(episodes, np.full(episodes, 1 / episodes), size=DRAWS).astype(np.float64)
