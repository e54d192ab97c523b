"""Predict measured latencies: features and operation counts to microseconds, a regressor per choice, scored fairly.

Two forms of regressor, chosen between by cross-validation on the training jobs alone, whole graph files held out:
`operations`, a sum of operation counts with non-negative rates (least squares of relative errors), like an analytical
model of a machine, and `boosted`, gradient boosting of the log-residuals of `operations`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.predictors.features import WIDTHS, feature_names, graph_features, log_widths
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.measured.measurements import Measurements
from gnnsched_env.predictors.scores import (
    best_fixed_choice,
    mape,
    regret,
    score_predictions,
    score_record,
    selection_accuracy,
)
from gnnsched_env.workload import JobClasses

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Record = dict[str, Any]

OPERATION_NAMES = ("1", "V", "E", "V F", "V G", "F G", "E F", "V F G", "V^2", "V^2 F")
FOLDS = 5
WORTH = 0.9  # trees must lower the error by a tenth, otherwise the simpler form is chosen
BOOSTING: Mapping[str, Any] = {
    "objective": "l1",  # the median, so that a few disturbed latencies do not count
    "n_estimators": 200,
    "learning_rate": 0.06,
    "num_leaves": 8,
    "min_child_samples": 8,
    "deterministic": True,
    "random_state": 0,
    "n_jobs": 1,
    "verbose": -1,
}
SMALLEST_MICROSECONDS = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JobInputs:
    """A regressor's inputs for N jobs: `features` float64 [N, D], `operations` float64 [N, len(OPERATION_NAMES)]."""

    features: FloatArray
    operations: FloatArray

    def subset(self, rows: IntArray) -> "JobInputs":
        """Return a subset of the jobs."""
        return JobInputs(features=self.features[rows], operations=self.operations[rows])


class MeasuredModel(Protocol):
    """A regressor for one choice: float64 [N] microseconds from inputs."""

    def fit(self, inputs: JobInputs, microseconds: FloatArray) -> None:
        """Fit the regressor to measured microseconds, float64 [N]."""
        ...

    def predict(self, inputs: JobInputs) -> FloatArray:
        """Return predicted microseconds, float64 [N], above 0."""
        ...


def measured_inputs(classes: JobClasses, level: Level = Level.DEGREES) -> JobInputs:
    """Return features at a level of knowledge, including the logarithms of all operation counts, and the counts.

    Counts are of one layer over A + I: V rows, E entries, F and G the widths.
    """
    features, operations = [], []
    for i, (degrees, model) in enumerate(zip(classes.degrees, classes.models, strict=True)):
        if len(model.layers) != 1:
            raise ConfigError(f"measured jobs: models must have one layer, got {len(model.layers)}")
        layer = model.layers[0]
        row = graph_features(degrees, level, None if classes.graphs is None else classes.graphs[i])
        row[WIDTHS] = log_widths([layer])[0]
        counts = _operations(degrees.size, int(degrees.sum()), layer.in_features, layer.out_features)
        features.append([*row, *np.log(counts[1:])])
        operations.append(counts)
    return JobInputs(features=np.array(features), operations=np.array(operations))


def measured_feature_names(level: Level = Level.DEGREES) -> tuple[str, ...]:
    """Return the names of the features of `measured_inputs`."""
    return (*feature_names(level), *(f"log({name})" for name in OPERATION_NAMES[1:]))


class OperationsModel:
    """A model with `rates` float64 [operations] >= 0 in microseconds, fitted by least squares of relative errors."""

    def fit(self, inputs: JobInputs, microseconds: FloatArray) -> None:
        """Fit the rates."""
        scale = inputs.operations.max(axis=0)
        rates, _ = nnls(inputs.operations / scale / microseconds[:, None], np.ones(len(microseconds)))
        self.rates = rates / scale

    def predict(self, inputs: JobInputs) -> FloatArray:
        """Return the sums of operations times rates."""
        total: FloatArray = np.maximum(inputs.operations @ self.rates, SMALLEST_MICROSECONDS)
        return total


class BoostedModel:
    """Gradient boosting on log(measured / OperationsModel), so that it extrapolates like OperationsModel."""

    def fit(self, inputs: JobInputs, microseconds: FloatArray) -> None:
        """Fit the rates, then the boosted correction of their errors."""
        from lightgbm import LGBMRegressor

        self._base = OperationsModel()
        self._base.fit(inputs, microseconds)
        residuals = np.log(microseconds / self._base.predict(inputs))
        self._trees = LGBMRegressor(**BOOSTING).fit(inputs.features, residuals)

    def predict(self, inputs: JobInputs) -> FloatArray:
        """Return the corrected sums."""
        residuals = self._trees.booster_.predict(inputs.features, num_threads=1)
        corrected: FloatArray = self._base.predict(inputs) * np.exp(residuals)
        return corrected


MODELS: Mapping[str, type[MeasuredModel]] = {"operations": OperationsModel, "boosted": BoostedModel}


def cross_validated_errors(inputs: JobInputs, microseconds: FloatArray, groups: IntArray) -> dict[str, float]:
    """Return each form's MAPE (%) on held-out groups (graph files): the mean over at most FOLDS folds of groups."""
    from sklearn.model_selection import GroupKFold

    folds = min(FOLDS, len(np.unique(groups)))
    if folds < 2:
        raise ConfigError("cross-validation: needs jobs of at least two graph files, got one")
    errors: dict[str, list[float]] = {name: [] for name in MODELS}
    for train, test in GroupKFold(folds).split(inputs.features, groups=groups):
        for name in MODELS:
            predicted = _fit_predict(name, inputs.subset(train), microseconds[train], inputs.subset(test))
            errors[name].append(mape(microseconds[test], predicted))
    return {name: float(np.mean(values)) for name, values in errors.items()}


def predict_held_out(
    inputs: JobInputs, microseconds: FloatArray, groups: IntArray, train: IntArray, test: IntArray
) -> tuple[str, FloatArray]:
    """Choose a form on the training jobs alone, train a regressor per choice, predict the test jobs.

    Returns the form's name and float64 [test, K] microseconds. With a single training file, which cannot be split,
    the form is `operations`, which has less to overfit with.
    """
    form = "operations"
    if len(np.unique(groups[train])) > 1:
        errors = cross_validated_errors(inputs.subset(train), microseconds[train], groups[train])
        form = "boosted" if errors["boosted"] < WORTH * errors["operations"] else "operations"
    return form, _fit_predict(form, inputs.subset(train), microseconds[train], inputs.subset(test))


def score_held_out(
    measured: Measurements, inputs: JobInputs, train: IntArray, test: IntArray, *, training: str
) -> Record:
    """Return the scores of one split (`scores.score_record`); `training` describes the training jobs in words.

    Besides the prediction, two references are scored: always taking the choice that is best on average over the
    training jobs (`fixed_`), and taking a second measurement as the prediction (`repeat_`, if there is one). The latter
    holds the error of measuring twice; even a predictor that knows each job's true mean errs by about 1 / sqrt(2) of
    that. `accuracy_within_noise` counts a choice as right where it is within the noise floor of the best.
    """
    if not len(train) or not len(test):
        raise ConfigError(f"measured jobs: training and test jobs are needed, got {len(train)} and {len(test)}")
    truth, noise = measured.microseconds[test], measured.noise()
    form, predicted = predict_held_out(inputs, measured.microseconds, measured.classes.groups, train, test)
    fixed = best_fixed_choice(measured.microseconds[train])
    always = np.ones_like(truth)
    always[:, fixed] = 0.5  # the smallest prediction: this choice is taken every time
    return {
        "graphs": sorted({measured.classes.group_names[g] for g in measured.classes.groups[test]}),
        "training": training,
        "training_jobs": len(train),
        "model": form,
        **score_record(truth, predicted),
        "accuracy_within_noise": None if noise is None else selection_accuracy(truth, predicted, tolerance=noise),
        "fixed_choice": measured.choices[fixed],
        "fixed_accuracy": selection_accuracy(truth, always),
        "fixed_regret_mean": float(regret(truth, always).mean()),
        "noise": noise,
        **_repeat(measured, test),
    }


def score_sets_apart(
    measured: Measurements, inputs: JobInputs, *, synthetic: Sequence[str], targets: Sequence[str] | None = None
) -> list[Record]:
    """Return two records per real set: trained on the synthetic sets only, and on every set but that one.

    `synthetic` and `targets` are group names (targets by default all that are not synthetic, of which none may be a
    target). Without synthetic sets there is the second record only.
    """
    names, groups = measured.classes.group_names, measured.classes.groups
    for name in (*synthetic, *(targets or ())):
        if name not in names:
            raise ConfigError(f"measured sets: must be among {', '.join(names)}, got {name!r}")
    chosen = [g for g, name in enumerate(names) if (name in targets if targets else name not in synthetic)]
    if overlap := sorted({names[g] for g in chosen} & set(synthetic)):
        raise ConfigError(f"measured sets: targets must not be synthetic too, got {', '.join(overlap)}")
    if not chosen:
        raise ConfigError("measured sets: at least one must not be synthetic, to be tested on, got none")
    if len(names) == 1:
        raise ConfigError(f"measured sets: one file must be left to train on, got {names[0]} alone")
    made_up = np.flatnonzero(np.isin(groups, [g for g, name in enumerate(names) if name in synthetic]))
    records = []
    for group in chosen:
        test = np.flatnonzero(groups == group)
        if len(made_up):
            records.append(score_held_out(measured, inputs, made_up, test, training="synthetic"))
        rest = np.flatnonzero(groups != group)
        records.append(score_held_out(measured, inputs, rest, test, training="all other sets"))
    return records


def _repeat(measured: Measurements, test: IntArray) -> Record:
    if measured.again is None:
        return {"repeat_mape": None, "repeat_accuracy": None, "repeat_regret_mean": None}
    scores = score_predictions(measured.microseconds[test], measured.again[test])
    return {
        "repeat_mape": scores.mape,
        "repeat_accuracy": scores.accuracy,
        "repeat_regret_mean": scores.mean_regret,
    }


def _fit_predict(form: str, train: JobInputs, microseconds: FloatArray, test: JobInputs) -> FloatArray:
    """Return predicted microseconds, float64 [test, K]."""
    columns = []
    for choice in range(microseconds.shape[1]):
        model = MODELS[form]()
        model.fit(train, microseconds[:, choice])
        columns.append(model.predict(test))
    return np.stack(columns, axis=1)


def _operations(v: float, e: float, f: float, g: float) -> list[float]:
    """Return the counts named in OPERATION_NAMES."""
    return [1.0, v, max(1.0, e), v * f, v * g, f * g, max(1.0, e) * f, v * f * g, v * v, v * v * f]
