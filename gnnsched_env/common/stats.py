"""Means and ratios with percentile bootstrap intervals (Efron and Tibshirani 1993), and Kendall's tau.

Published tables depend on the fixed seed, so each function must keep its sequence of draws. The interval of a mean is
`scipy.stats.bootstrap`. A ratio over pairs, and a mean over two crossed axes, weigh their items by multinomial counts:
one matrix product gives 10,000 draws, and scipy's function supports neither such counts nor two axes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnsched_env.common.checks import number_array
from gnnsched_env.common.errors import ConfigError

FloatArray = NDArray[np.float64]

DRAWS = 10_000
SEED = 20_161_342
CONFIDENCE = 0.95

_BLOCK = 4_000_000  # resampled values held at once
_FEW = 32  # items whose pairs are compared one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value and its interval; `low` = `value` = `high` for a single item, and all are nan without any item."""

    value: float
    low: float
    high: float

    def as_list(self) -> list[Any]:
        """Return [value, low, high] for JSON, with None in place of nan."""
        return [None if math.isnan(number) else number for number in (self.value, self.low, self.high)]


def mean_interval(
    values: ArrayLike, *, confidence: float = CONFIDENCE, draws: int = DRAWS, seed: int = SEED
) -> Interval:
    """Return the mean of float [n] with its interval; the values are drawn with replacement.

    The interval estimates how the mean would vary for other items of the kind. Samples of equal length use the same
    resamples. Raise ConfigError unless 0 < confidence < 1 and draws >= 1.
    """
    if not 0.0 < confidence < 1.0 or draws < 1:
        raise ConfigError(f"intervals: confidence must lie in 0..1, draws above 0, got {confidence} and {draws}")
    sample = np.asarray(values, np.float64)
    if not len(sample):
        return Interval(value=math.nan, low=math.nan, high=math.nan)
    value = float(sample.mean())
    if len(sample) == 1 or np.ptp(sample) == 0.0:
        return Interval(value=value, low=value, high=value)
    from scipy import stats  # most of a second, which few commands need

    drawn = stats.bootstrap(
        (sample,),
        np.mean,
        n_resamples=draws,
        batch=max(1, _BLOCK // len(sample)),
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(value=value, low=float(drawn.low), high=float(drawn.high))


def paired_ratio(numerator: FloatArray, denominator: FloatArray) -> Interval:
    """Return mean(numerator) / mean(denominator) over episodes that both saw, with its 95 % interval.

    `numerator`, `denominator`: float64 [episodes], one mean per episode, drawn in pairs. Raise ConfigError if their
    lengths differ or are 0.
    """
    numerator = number_array("paired episodes", "numerator", numerator, np.float64, shape=(None,))
    denominator = number_array("paired episodes", "denominator", denominator, np.float64, shape=(None,))
    counts = _fixed_counts(_paired(numerator, denominator))
    ratios = (counts @ numerator) / (counts @ denominator)
    return _percentiles(float(numerator.mean() / denominator.mean()), ratios, CONFIDENCE)


def geometric_ratio(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> Interval:
    """Return the geometric mean of ratios mean(numerator) / mean(denominator), with its 95 % interval over episodes.

    `pairs`: for each ratio a numerator and a denominator, float64 [episodes]; each ratio's episodes are drawn for
    themselves, in pairs. It is nan where a mean is not positive. Raise ConfigError without pairs, and where arrays are
    empty or differ in length.
    """
    if not pairs:
        raise ConfigError("ratios: at least one pair is needed, got none")
    generator = np.random.default_rng(SEED)
    value, replicates = 0.0, np.zeros(DRAWS)
    with np.errstate(invalid="ignore", divide="ignore"):
        for numerator, denominator in pairs:
            counts = _counts(_paired(numerator, denominator), generator)
            value += float(np.log(numerator.mean() / denominator.mean()))
            replicates += np.log((counts @ numerator) / (counts @ denominator))
    return _percentiles(math.exp(value / len(pairs)), np.exp(replicates / len(pairs)), CONFIDENCE)


def crossed_interval(values: FloatArray, *, confidence: float = CONFIDENCE, seed: int = SEED) -> Interval:
    """Return the mean of float [seeds, files] with an interval over both.

    Seeds and files are drawn with replacement, independently (Owen 2007, "The pigeonhole bootstrap"), so that the
    interval covers other trainings on other files of the kind. With a single seed, only files are drawn.
    """
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or not table.size:
        raise ConfigError(f"intervals: values must be [seeds, files] and not empty, got shape {table.shape}")
    generator = np.random.default_rng(seed)
    rows, columns = (_counts(count, generator) / count for count in table.shape)
    return _percentiles(float(table.mean()), ((rows @ table) * columns).sum(axis=1), confidence)


def kendall_tau(first: ArrayLike, second: ArrayLike) -> FloatArray:
    """Return Kendall's tau-b (Kendall 1945) over the last axis of float [..., n]: float64 [...], in -1..1.

    It is the number of agreeing minus disagreeing pairs, over the geometric mean of the numbers of pairs that `first`
    and `second` do not tie; nan if one of them ties all. Long rows use scipy's function, in O(n log n); for few items
    all pairs of all rows are compared at once, since scipy's takes 0.3 ms a row.
    """
    left, right = np.broadcast_arrays(np.asarray(first, np.float64), np.asarray(second, np.float64))
    if left.shape[-1] > _FEW:
        from scipy import stats

        rows = zip(left.reshape(-1, left.shape[-1]), right.reshape(-1, right.shape[-1]), strict=True)
        taus = [stats.kendalltau(one, other, method="asymptotic").statistic for one, other in rows]
        return np.array(taus, np.float64).reshape(left.shape[:-1])
    i, j = np.triu_indices(left.shape[-1], 1)
    order, guess = np.sign(left[..., i] - left[..., j]), np.sign(right[..., i] - right[..., j])
    told = np.sqrt(np.count_nonzero(order, axis=-1).astype(np.float64) * np.count_nonzero(guess, axis=-1))
    agreement = (order * guess).sum(axis=-1)
    tau: FloatArray = np.divide(agreement, told, out=np.full(told.shape, np.nan), where=told > 0)
    return tau


def _paired(numerator: FloatArray, denominator: FloatArray) -> int:
    """Return how many episodes two arrays hold; raise ConfigError unless they are equally many, and some."""
    if len(numerator) != len(denominator) or not len(numerator):
        raise ConfigError(f"paired episodes must be equally many, got {len(numerator)} and {len(denominator)}")
    return len(numerator)


def _percentiles(value: float, replicates: FloatArray, confidence: float) -> Interval:
    tail = round(50.0 * (1.0 - confidence), 9)  # 2.5, not 2.500000000000002
    low, high = np.percentile(replicates, [tail, 100.0 - tail])
    return Interval(value=value, low=float(low), high=float(high))


def _counts(items: int, generator: np.random.Generator) -> FloatArray:
    """Return how often each item is drawn: float64 [draws, items]."""
    return generator.multinomial(items, np.full(items, 1 / items), size=DRAWS).astype(np.float64)


@lru_cache(maxsize=4)
def _fixed_counts(items: int) -> FloatArray:
    return _counts(items, np.random.default_rng(SEED))
