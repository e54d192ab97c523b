"""Scores of predictions: right choices, percentage error, regret, rank agreement. All take [classes, choices]."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnsched_env.common import stats
from gnnsched_env.common.checks import Number, number_array
from gnnsched_env.common.errors import ConfigError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """`accuracy`, `top2`, `mape` in percent; `mean_regret`, `max_regret` as ratios, 1 being perfect; `tau` in -1..1."""

    accuracy: float
    top2: float
    mape: float
    mean_regret: float
    max_regret: float
    tau: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreIntervals:
    """(low, high) of each mean over classes, in the units of `Scores`.

    The largest regret has none: the bootstrap of a maximum is not consistent (Bickel and Freedman 1981).
    """

    accuracy: tuple[float, float]
    top2: tuple[float, float]
    mape: tuple[float, float]
    mean_regret: tuple[float, float]
    tau: tuple[float, float]


def score_predictions(true: ArrayLike, predicted: ArrayLike) -> Scores:
    """Return all scores of predictions [C, K] against true cycles [C, K]."""
    regrets = regret(true, predicted)
    return Scores(
        accuracy=selection_accuracy(true, predicted),
        top2=top2_accuracy(true, predicted),
        mape=mape(true, predicted),
        mean_regret=float(regrets.mean()),
        max_regret=float(regrets.max()),
        tau=float(kendall_tau(true, predicted).mean()),
    )


def score_intervals(
    true: ArrayLike,
    predicted: ArrayLike,
    *,
    confidence: float = stats.CONFIDENCE,
    draws: int = stats.DRAWS,
    seed: int = stats.SEED,
) -> ScoreIntervals:
    """Return percentile bootstrap intervals (`stats.mean_interval`) of the scores over the C classes.

    All scores see the same resamples. One class has no interval but its score; nor has a share of 0 or 100 %, whose
    true value may be off by about 300 / C percent.
    """
    truth, guess = _checked(true, predicted)
    columns = [100.0 * _chosen_best(truth, guess), 100.0 * _best_in_top2(truth, guess), _percent_errors(truth, guess)]
    columns += [regret(truth, guess), kendall_tau(truth, guess)]
    means = [stats.mean_interval(column, confidence=confidence, draws=draws, seed=seed) for column in columns]
    accuracy, top2, error, mean_regret, tau = ((mean.low, mean.high) for mean in means)
    return ScoreIntervals(accuracy=accuracy, top2=top2, mape=error, mean_regret=mean_regret, tau=tau)


def score_record(true: ArrayLike, predicted: ArrayLike, *, confidence: float = stats.CONFIDENCE) -> dict[str, Any]:
    """Return the number of classes, all scores, and their intervals at a confidence level, as JSON stores them."""
    scores, intervals = score_predictions(true, predicted), score_intervals(true, predicted, confidence=confidence)
    return {
        "samples": len(np.asarray(true)),
        "mape": scores.mape,
        "accuracy": scores.accuracy,
        "top2": scores.top2,
        "regret_mean": scores.mean_regret,
        "regret_max": scores.max_regret,
        "tau": scores.tau,
        "mape_interval": list(intervals.mape),
        "accuracy_interval": list(intervals.accuracy),
        "top2_interval": list(intervals.top2),
        "regret_mean_interval": list(intervals.mean_regret),
        "tau_interval": list(intervals.tau),
        "confidence": confidence,
    }


def selection_accuracy(true: ArrayLike, predicted: ArrayLike, *, tolerance: float = 0.0) -> float:
    """Return the percentage of classes whose predicted best choice is truly a best one (there may be several).

    With a `tolerance`, a choice counts as a best one where it takes at most 1 + tolerance times the shortest.
    """
    Number(least=0).check("scores", "tolerance", tolerance)
    return 100.0 * float(_chosen_best(*_checked(true, predicted), tolerance).mean())


def top2_accuracy(true: ArrayLike, predicted: ArrayLike) -> float:
    """Return the percentage of classes that have a true best choice among the two predicted best (first, if tied)."""
    return 100.0 * float(_best_in_top2(*_checked(true, predicted)).mean())


def mape(true: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean absolute percentage error over all classes and choices."""
    return float(_percent_errors(*_checked(true, predicted)).mean())


def regret(true: ArrayLike, predicted: ArrayLike) -> FloatArray:
    """Return float64 [C]: true cycles of the choice predicted best (the first, if tied) over the true best's."""
    truth, guess = _checked(true, predicted)
    ratios: FloatArray = _chosen(truth, guess) / truth.min(axis=1)
    return ratios


def kendall_tau(true: ArrayLike, predicted: ArrayLike) -> FloatArray:
    """Return float64 [C]: Kendall's tau-b between true and predicted cycles over the K choices of each class.

    Where all choices are tied, tau-b is undefined: it counts as 1 if they are tied in both (there is nothing to rank),
    as 0 if in one alone.
    """
    truth, guess = _checked(true, predicted)
    undefined = np.where(np.ptp(truth, axis=1) == np.ptp(guess, axis=1), 1.0, 0.0)  # one of them is 0
    tau = stats.kendall_tau(truth, guess)
    return np.where(np.isnan(tau), undefined, tau)


def confusion(true: ArrayLike, predicted: ArrayLike) -> IntArray:
    """Return int64 [K, K]: classes by their true best choice (rows) and by the choice predicted best (columns).

    Where several are truly best, the one chosen counts if it is among them, else the first: the diagonal holds the
    right choices.
    """
    truth, guess = _checked(true, predicted)
    chosen = guess.argmin(axis=1)
    best = np.where(_chosen_best(truth, guess), chosen, truth.argmin(axis=1))
    counts = np.zeros((truth.shape[1], truth.shape[1]), np.int64)
    np.add.at(counts, (best, chosen), 1)
    return counts


def best_fixed_choice(true: ArrayLike) -> int:
    """Return the best fixed choice: the one with the smallest geometric mean of cycles over all classes."""
    truth, _ = _checked(true, true)
    return int(np.log(truth).mean(axis=0).argmin())


def _chosen(truth: FloatArray, guess: FloatArray) -> FloatArray:
    """Return float64 [C]: true cycles of the choice predicted best."""
    return np.take_along_axis(truth, guess.argmin(axis=1)[:, None], axis=1)[:, 0]


def _chosen_best(truth: FloatArray, guess: FloatArray, tolerance: float = 0.0) -> BoolArray:
    right: BoolArray = _chosen(truth, guess) <= (1.0 + tolerance) * truth.min(axis=1)
    return right


def _best_in_top2(truth: FloatArray, guess: FloatArray) -> BoolArray:
    two = np.argsort(guess, axis=1, kind="stable")[:, :2]
    within: BoolArray = np.take_along_axis(truth, two, axis=1).min(axis=1) == truth.min(axis=1)
    return within


def _percent_errors(truth: FloatArray, guess: FloatArray) -> FloatArray:
    """Return float64 [C]: each class's mean over its choices."""
    errors: FloatArray = 100.0 * (np.abs(guess - truth) / truth).mean(axis=1)
    return errors


def _checked(true: ArrayLike, predicted: ArrayLike) -> tuple[FloatArray, FloatArray]:
    truth = number_array("scores", "true", true, np.float64)
    guess = number_array("scores", "predicted", predicted, np.float64)
    if truth.ndim != 2 or truth.shape != guess.shape or truth.size == 0:
        raise ConfigError(f"scores: true and predicted must be [classes, choices], got {truth.shape} and {guess.shape}")
    if not (truth > 0).all():
        raise ConfigError("scores: true cycles must be above 0")
    if not (np.isfinite(truth).all() and np.isfinite(guess).all()):
        raise ConfigError("scores: true and predicted cycles must be finite")
    return truth, guess
