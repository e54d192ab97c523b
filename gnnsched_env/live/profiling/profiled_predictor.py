"""Predicts the latencies of a live fleet's jobs, layer by layer, from a CSV file of measured ones.

No class is predicted by a regressor that has seen its graphs: batches of graphs are dealt to folds, and those of a fold
are predicted by regressors that are trained on the others. A workload of one batch has nothing to hold out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.measured.measured_models import (
    FOLDS,
    MODELS,
    WORTH,
    MeasuredModel,
    cross_validated_errors,
    measured_inputs,
)
from gnnsched_env.predictors.measured.measurements import Measurements, load_measurements
from gnnsched_env.predictors.protocol import as_cycles

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProfiledPredictor:
    """Regressors of each fold, one a choice, trained on the CSV file at `path`.

    `members[c]` are the layers of class c, numbers of measured jobs.
    `form` is "operations" or "boosted", whichever errs less on graphs that were held out.
    """

    path: Path
    measured: Measurements
    members: tuple[tuple[int, ...], ...]
    folds: IntArray
    models: tuple[tuple[MeasuredModel, ...], ...]
    form: str
    level: Level = Level.DEGREES

    @classmethod
    def fit(cls, path: Path, members: Sequence[tuple[int, ...]]) -> Self:
        """Return the predictor that a CSV file trains; the same file gives the same predictions."""
        measured = load_measurements(path)
        inputs = measured_inputs(measured.classes)
        batches: dict[tuple[str, tuple[int, ...]], int] = {}
        numbers = [batches.setdefault((job.graph_file, job.graph_ids), len(batches)) for job in measured.jobs]
        folds = np.array(numbers, np.int64) % FOLDS
        form = "operations"
        if len(batches) > 1:
            errors = cross_validated_errors(inputs, measured.microseconds, np.array(numbers, np.int64))
            form = "boosted" if errors["boosted"] < WORTH * errors["operations"] else "operations"
        fitted = []
        for fold in range(min(FOLDS, len(batches))):
            train = np.flatnonzero(folds != fold) if len(batches) > 1 else np.arange(len(folds))
            made = []
            for choice in range(len(measured.choices)):
                model = MODELS[form]()
                model.fit(inputs.subset(train), measured.microseconds[train, choice])
                made.append(model)
            fitted.append(tuple(made))
        return cls(path=path, measured=measured, members=tuple(members), folds=folds, models=tuple(fitted), form=form)

    def predict(self, job_class: int) -> IntArray:
        """Return the predicted latencies of a class under each choice, int64 [K] nanoseconds, from its graph on."""
        layers = self.members[job_class]
        inputs = measured_inputs(self.measured.classes.subset(layers), self.level)
        models = self.models[int(self.folds[layers[0]])]
        microseconds = np.array([float(model.predict(inputs).sum()) for model in models])
        return as_cycles(1e3 * microseconds)
