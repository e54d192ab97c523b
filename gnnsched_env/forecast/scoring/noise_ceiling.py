"""The noise ceiling: the Kendall tau that a perfect predictor would reach on noisy runtimes, from duplicates.

Configurations that were measured several times show how far two measurements of one configuration differ. Let a
perfect predictor know every configuration's noiseless runtime. For a pair of configurations let q be the chance that
their measurements come in the true order, less the chance of the wrong one: its tau is the mean of q over pairs.
Neither q nor the noiseless runtimes are known; three figures tell of that mean.

* `retest`: tau between two measurements of the same configurations. The chance that both order a pair alike, less that
  they do not, is q squared, so this is the mean of q squared: below the mean of q, since q is at most 1. A
  configuration that was measured once takes its second measurement from the duplicates: from one that was measured at
  (nearly) the same runtime. Noise may therefore depend on the runtime and be of any shape; what is assumed is that, at
  a given first measurement, configurations measured once behave like those measured often.
* `high`: the square root of `retest`. No predictor's tau-b can be above it, up to chance: with s = 1, 0, -1 for a pair
  that it orders rightly, ties, orders wrongly, its tau-b is mean(s q) / sqrt(mean(s^2)) <= sqrt(mean(q^2))
  (Cauchy-Schwarz). This holds for predictors that tie what is truly equal, too, which tau-b rewards.
* `tau`: a point between the two, for a predictor without ties. Runtimes averaged over duplicates stand for the
  noiseless ones; residuals of duplicates (all in one bag, relative to the runtime) are added for measurements. The
  averages hold noise themselves, and so look easier to tell apart than the noiseless ones are: more noise is added to
  them, to 1, 1.25, ... 2 times the standard deviation that they hold, and a parabola through the taus is followed down
  to 0 (simulation-extrapolation, Cook and Stefanski 1994, in the standard deviation instead of the variance, because
  configurations that truly tie make tau rise with the standard deviation in a straight line). The result is kept
  between `retest` and `high`. It depends on the curve that is followed: read it as a point in a range.

These figures are about noise alone, not about what can be known from a graph.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.stats import SEED
from gnnsched_env.forecast.scoring.rank_scores import kendall_tau

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FEWEST = 10
"""Configurations that must have been measured at least twice."""
DRAWS = 32
LEVELS = (1.0, 1.25, 1.5, 1.75, 2.0)  # noise of the averages, over what they hold
DEGREE = 2
NEAR = 20  # measurements of duplicates to either side, from which a second measurement is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """What a perfect predictor would reach: `tau`, certainly between `retest` and `high` (see above).

    `retest` is what a second measurement would reach as a predictor of the first. `noise_sd`: standard deviation of one
    measurement's log runtime; `difference`: median relative difference of two measurements; `repeated`:
    configurations that were measured at least twice.
    """

    tau: float
    retest: float
    high: float
    noise_sd: float
    difference: float
    repeated: int

    def record(self) -> dict[str, Any]:
        """Return all fields, for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def noise_ceiling(
    targets: ArrayLike, groups: ArrayLike, rows: ArrayLike | None = None, *, draws: int = DRAWS, seed: int = SEED
) -> Ceiling:
    """Return the ceiling of tau on the measurements `rows` (int; None: all) of one file.

    `targets` float [c] are runtimes, `groups` int [c] say which measurements are of the same configuration. The noise
    is taken from all duplicates of the file, whether in `rows` or not: give the whole file. Draws depend on the seed
    alone.
    """
    measured = _Measured.of(targets, groups)
    chosen = np.arange(len(measured.logs)) if rows is None else np.asarray(rows, np.int64)
    if draws < 1 or len(chosen) < 2:
        raise ConfigError(f"noise ceiling: needs at least 1 draw of 2 rows, got {draws} of {len(chosen)}")
    rng = np.random.default_rng(seed)
    logs = measured.logs[chosen]
    retest = max(0.0, _mean([kendall_tau(measured.second(logs, rng), _positive(logs)) for _ in range(draws)]))
    high = float(np.sqrt(retest))
    taus = [_mean([_replicate_tau(measured, chosen, level, rng) for _ in range(draws)]) for level in LEVELS]
    point = float(np.polynomial.Polynomial.fit(LEVELS, taus, DEGREE)(0.0))
    return Ceiling(
        tau=min(max(point, retest), high),
        retest=retest,
        high=high,
        noise_sd=float(np.sqrt(np.mean(measured.residuals**2))),
        difference=measured.difference(),
        repeated=int(np.count_nonzero(measured.counts > 1)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Measured:
    """Measurements by configuration.

    `logs` float64 [c]; `group` int64 [c]; `means` (of logs), `counts` [u]; `residuals` [measurements of duplicates],
    widened for the mean that was fitted; `order` int64 [c] lists measurements group by group, from `start` [u] on,
    `place` [c] is their place within; `sorted` are the duplicates' measurements from fast to slow.
    """

    logs: FloatArray
    group: IntArray
    means: FloatArray
    counts: IntArray
    residuals: FloatArray
    order: IntArray
    start: IntArray
    place: IntArray
    sorted: IntArray

    @classmethod
    def of(cls, targets: ArrayLike, groups: ArrayLike) -> "_Measured":
        runtimes = np.asarray(targets, np.float64)
        if runtimes.ndim != 1 or runtimes.shape != np.shape(groups):
            raise ConfigError(
                f"noise ceiling: targets and groups must be [rows], got {runtimes.shape} and {np.shape(groups)}"
            )
        if not (np.isfinite(runtimes) & (runtimes > 0.0)).all():
            raise ConfigError("noise ceiling: runtimes must be above 0; an unlabelled file has no ceiling")
        logs = np.log(runtimes)
        group, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)[1:]
        if (repeated := int(np.count_nonzero(counts > 1))) < FEWEST:
            raise ConfigError(
                f"noise ceiling: needs at least {FEWEST} configurations measured more than once, got {repeated}"
            )
        means = np.bincount(group, logs) / counts
        often = np.flatnonzero(counts[group] > 1)
        own = counts[group[often]]
        order = np.argsort(group, kind="stable")
        start = np.cumsum(counts) - counts
        place = np.empty(len(logs), np.int64)
        place[order] = np.arange(len(logs)) - start[group[order]]
        return cls(
            logs=logs,
            group=group.astype(np.int64),
            means=means,
            counts=counts.astype(np.int64),
            residuals=(logs[often] - means[group[often]]) * np.sqrt(own / (own - 1.0)),
            order=order.astype(np.int64),
            start=start.astype(np.int64),
            place=place,
            sorted=often[np.argsort(logs[often], kind="stable")],
        )

    def noise(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Return the noise of `count` measurements, float64."""
        return rng.choice(self.residuals, count)

    def second(self, logs: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return another measurement of each of the configurations that were measured at `logs`, float64."""
        place = np.searchsorted(self.logs[self.sorted], logs) + rng.integers(-NEAR, NEAR, len(logs))
        like = self.sorted[np.clip(place, 0, len(self.sorted) - 1)]
        group = self.group[like]
        step = rng.integers(1, self.counts[group])
        other = self.order[self.start[group] + (self.place[like] + step) % self.counts[group]]
        moved: FloatArray = logs + (self.logs[other] - self.logs[like])
        return moved

    def difference(self) -> float:
        """Return the median relative difference of a configuration's first and second measurement."""
        twice = np.flatnonzero(self.counts > 1)
        first, second = self.logs[self.order[self.start[twice]]], self.logs[self.order[self.start[twice] + 1]]
        return float(np.median(np.expm1(np.abs(first - second))))


def _replicate_tau(measured: _Measured, rows: IntArray, level: float, rng: np.random.Generator) -> float:
    """Return tau between averages that hold `level` times their noise, and new measurements of them."""
    share = np.sqrt((level**2 - 1.0) / measured.counts)
    base = measured.means + share * measured.noise(len(share), rng)
    true = base[measured.group[rows]]
    return kendall_tau(true, _positive(true + measured.noise(len(rows), rng)))


def _positive(logs: FloatArray) -> FloatArray:
    """Return runtimes that are ordered as their logs."""
    moved: FloatArray = logs - logs.min() + 1.0
    return moved


def _mean(values: list[float]) -> float:
    if np.isnan(values).any():
        raise ConfigError("noise ceiling: all runtimes are equal; there is nothing to rank")
    return float(np.mean(values))
