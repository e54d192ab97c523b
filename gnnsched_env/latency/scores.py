"""Scores of predictions: right choices, percentage error, regret. All take [classes, choices]."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnsched_env.errors import ConfigError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """`accuracy` and `mape` in percent; `mean_regret` and `max_regret` as ratios, 1 being perfect."""

    accuracy: float
    mape: float
    mean_regret: float
    max_regret: float


def score_predictions(true: ArrayLike, predicted: ArrayLike) -> Scores:
    """Return all scores of predictions [C, K] against true cycles [C, K]."""
    regrets = regret(true, predicted)
    return Scores(
        accuracy=selection_accuracy(true, predicted),
        mape=mape(true, predicted),
        mean_regret=float(regrets.mean()),
        max_regret=float(regrets.max()),
    )


def selection_accuracy(true: ArrayLike, predicted: ArrayLike) -> float:
    """Return the percentage of classes whose predicted best choice is truly a best one (there may be several)."""
    return 100.0 * float((regret(true, predicted) == 1.0).mean())


def mape(true: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean absolute percentage error over all classes and choices."""
    truth, guess = _checked(true, predicted)
    return 100.0 * float((np.abs(guess - truth) / truth).mean())


def regret(true: ArrayLike, predicted: ArrayLike) -> FloatArray:
    """Return float64 [C]: true cycles of the choice predicted best (the first, if tied) over the true best's."""
    truth, guess = _checked(true, predicted)
    chosen = np.take_along_axis(truth, guess.argmin(axis=1)[:, None], axis=1)[:, 0]
    ratios: FloatArray = chosen / truth.min(axis=1)
    return ratios


def _checked(true: ArrayLike, predicted: ArrayLike) -> tuple[FloatArray, FloatArray]:
    truth, guess = np.asarray(true, np.float64), np.asarray(predicted, np.float64)
    if truth.ndim != 2 or truth.shape != guess.shape or truth.size == 0:
        raise ConfigError(f"scores: true and predicted must be [classes, choices], got {truth.shape} and {guess.shape}")
    if not (truth > 0).all():
        raise ConfigError("scores: true cycles must be above 0")
    return truth, guess
