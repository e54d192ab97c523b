"""Regressors behind scikit-learn's protocol (fit, predict), each with the settings that validation chose."""

from dataclasses import dataclass
from typing import Annotated, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, Number, OneOf, check_fields

FloatArray = NDArray[np.float64]

EPOCHS = 60  # epochs of the MLP
REGRESSORS = ("ridge", "random_forest", "hist_gradient_boosting", "lightgbm", "mlp")
BOOSTED = ("hist_gradient_boosting", "lightgbm")


class Regressor(Protocol):
    """Learn a real number from columns float64 [N, D]."""

    def fit(self, columns: FloatArray, targets: FloatArray) -> Self:
        """Fit the regressor to targets float64 [N], and return it."""
        ...

    def predict(self, columns: FloatArray) -> FloatArray:
        """Return predictions, float64 [N]."""
        ...


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


BOOSTING = Boosting()


def make_regressor(name: str, *, seed: int = 0, boosting: Boosting = BOOSTING) -> Regressor:
    """Return an untrained regressor, deterministic for a seed; `boosting` applies to the two boosted-tree ones."""
    OneOf(REGRESSORS).check("regression", "regressor", name)
    made: Regressor = _FACTORIES[name](seed, boosting)
    return made


def _ridge(seed: int, boosting: Boosting) -> Any:
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-4, 2, 7)))


def _random_forest(seed: int, boosting: Boosting) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(n_estimators=30, min_samples_leaf=2, max_features=0.5, random_state=seed)


def _hist_gradient_boosting(seed: int, boosting: Boosting) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        loss="squared_error" if boosting.objective == "l2" else "absolute_error",
        max_iter=boosting.trees,
        learning_rate=boosting.rate,
        max_leaf_nodes=boosting.leaves,
        min_samples_leaf=boosting.least,
        early_stopping=False,
        random_state=seed,
    )


def _lightgbm(seed: int, boosting: Boosting) -> Any:
    from lightgbm import LGBMRegressor

    return LGBMRegressor(
        objective=boosting.objective,
        n_estimators=boosting.trees,
        learning_rate=boosting.rate,
        num_leaves=boosting.leaves,
        min_child_samples=boosting.least,
        random_state=seed,
        deterministic=True,
        force_col_wise=True,
        n_jobs=1,
        verbosity=-1,
    )


def _mlp(seed: int, boosting: Boosting) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=EPOCHS, n_iter_no_change=EPOCHS, random_state=seed)
    return TransformedTargetRegressor(make_pipeline(StandardScaler(), network), transformer=StandardScaler())


_FACTORIES = {
    "ridge": _ridge,
    "random_forest": _random_forest,
    "hist_gradient_boosting": _hist_gradient_boosting,
    "lightgbm": _lightgbm,
    "mlp": _mlp,
}
