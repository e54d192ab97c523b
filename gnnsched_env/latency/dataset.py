"""Labelled data sets: what a regressor sees of job classes, and their true cycles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.errors import ConfigError
from gnnsched_env.hardware import GnnModel
from gnnsched_env.latency.estimates import composed_estimates, phase_estimates
from gnnsched_env.latency.features import job_features
from gnnsched_env.latency.training_graphs import DEFAULT_TRAINING, TrainingSpec, training_classes
from gnnsched_env.tables import JobClasses, Pair, pair_cycles

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """What a regressor sees of C classes under P (accelerator, dataflow) pairs.

    `features` float64 [C, len(FEATURE_NAMES)]; `phases` float64 [C, P, layers, 2] and `estimates` float64 [C, P]:
    closed-form cycles of each phase, and of the whole.
    """

    features: FloatArray
    phases: FloatArray
    estimates: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Inputs and labels: `cycles` int64 [C, P], true."""

    inputs: Inputs
    cycles: IntArray


def job_inputs(classes: JobClasses, pairs: Sequence[Pair]) -> Inputs:
    """Return what a regressor sees of the classes; all must have models of as many layers."""
    depths = {len(model.layers) for model in classes.models}
    if len(depths) > 1:
        raise ConfigError(f"inputs: all models must have the same number of layers, got {sorted(depths)}")
    phases = phase_estimates(classes, pairs)
    return Inputs(features=job_features(classes), phases=phases, estimates=composed_estimates(phases, pairs))


def training_dataset(
    template: GnnModel,
    pairs: Sequence[Pair],
    spec: TrainingSpec = DEFAULT_TRAINING,
    *,
    workers: int | None = None,
    progress: bool | None = False,
) -> Dataset:
    """Return synthetic classes that run models of the template's shape, labelled by the cost model."""
    classes = training_classes(template, spec)
    cycles = pair_cycles(classes, pairs, workers=workers, progress=progress)
    return Dataset(inputs=job_inputs(classes, pairs), cycles=cycles)
