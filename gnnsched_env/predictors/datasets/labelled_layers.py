"""Labelled data sets: a regressor's inputs for the layers of job classes, and their true cycles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import GnnModel
from gnnsched_env.predictors.closed_form import TERM_NAMES, ClosedForm
from gnnsched_env.predictors.features import WIDTHS, feature_names, graph_features
from gnnsched_env.predictors.levels import Level
from gnnsched_env.tables import Pair, pair_cycles, pair_key
from gnnsched_env.workload import JobClasses

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """A regressor's inputs for N layers of job classes under P (accelerator, dataflow) pairs.

    `features` float64 [N, D]: those of a level, `feature_names(level)`. `metadata_terms` float64 [N, P, 2]: closed-form
    cycles (TERM_NAMES) if all rows had the mean degree. `degree_terms` float64 [N, P, 2]: from the degrees themselves;
    [N, 0, 2] below level DEGREES. `owners` int64 [N]: the class that a layer belongs to.
    """

    features: FloatArray
    metadata_terms: FloatArray
    degree_terms: FloatArray
    owners: IntArray

    def __post_init__(self) -> None:
        if not len(self.features):
            raise ConfigError("inputs: at least one row is needed, got none")
        width = self.features.shape[1]
        if width not in {len(feature_names(level)) for level in Level}:
            raise ConfigError(f"inputs: features must be those of a level, in order, got {width} columns")
        if not np.isfinite(self.features).all():
            row, column = np.argwhere(~np.isfinite(self.features))[0]
            name = feature_names(Level.GRAPH)[column]
            raise ConfigError(f"inputs: feature {name!r} must be finite, got {self.features[row, column]} in row {row}")

    @property
    def level(self) -> Level:
        """The level of knowledge that the features have."""
        return next(level for level in Level if len(feature_names(level)) == self.features.shape[1])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, for storing; `from_arrays` is the inverse."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return inputs from `arrays()`; other names are ignored."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def take(self, rows: IntArray) -> Self:
        """Return a subset of the rows, each as a class of its own."""
        arrays = {name: array[rows] for name, array in self.arrays().items()}
        return type(self)(**arrays | {"owners": np.arange(len(rows))})

    def per_class(self, values: NDArray[np.float64]) -> FloatArray:
        """Return float64 [C, ...]: values [N, ...] of layers, summed over the layers of each class."""
        total: FloatArray = np.zeros((int(self.owners[-1]) + 1, *values.shape[1:]))
        np.add.at(total, self.owners, values)
        return total


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Inputs and labels of single layers under P pairs.

    `cycles` int64 [N, P]: true, at least 1. `families` int64 [N]: index into `family_names`, for held-out families.
    `pair_keys`: what identifies each pair (`tables.pair_key`).
    """

    inputs: Inputs
    cycles: IntArray
    families: IntArray
    family_names: tuple[str, ...]
    pair_keys: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.cycles) != len(self.inputs.features):
            raise ConfigError(
                f"data set: {len(self.inputs.features)} samples need as many labels, got {len(self.cycles)}"
            )
        if self.cycles.dtype.kind != "i" or self.cycles.min() < 1:
            raise ConfigError("data set: cycles must be integers of at least 1")
        if self.cycles.shape[1] != len(self.pair_keys):
            raise ConfigError(f"data set: {len(self.pair_keys)} pairs need as many labels, got {self.cycles.shape[1]}")

    def take(self, rows: IntArray) -> Self:
        """Return a subset of the samples."""
        return type(self)(
            inputs=self.inputs.take(rows),
            cycles=self.cycles[rows],
            families=self.families[rows],
            family_names=self.family_names,
            pair_keys=self.pair_keys,
        )


def job_inputs(classes: JobClasses, pairs: Sequence[Pair], level: Level = Level.DEGREES) -> Inputs:
    """Return a regressor's inputs for the classes' layers, class by class, at a level of knowledge."""
    owners = np.repeat(np.arange(len(classes)), [len(model.layers) for model in classes.models])
    rows, known = len(owners), level.rank >= Level.DEGREES.rank
    features = np.empty((rows, len(feature_names(level))))
    metadata = np.empty((rows, len(pairs), len(TERM_NAMES)))
    degrees = np.empty((rows, len(pairs) if known else 0, len(TERM_NAMES)))
    forms = {model: ClosedForm(model.layers, pairs) for model in dict.fromkeys(classes.models)}
    row = 0
    for c, model in enumerate(classes.models):
        own, form = classes.degrees[c], forms[model]
        here = slice(row, row + len(model.layers))
        features[here] = graph_features(own, level, None if classes.graphs is None else classes.graphs[c])
        features[here, WIDTHS] = form.widths
        metadata[here] = form.metadata_terms(own.size, int(own.sum()))
        if known:
            degrees[here] = form.degree_terms(own)
        row = here.stop
    return Inputs(features=features, metadata_terms=metadata, degree_terms=degrees, owners=owners)


def single_layers(classes: JobClasses) -> JobClasses:
    """Return classes of one layer each: every layer of every class, in order."""
    owners = [c for c, model in enumerate(classes.models) for _ in model.layers]
    layers = [layer for model in classes.models for layer in model.layers]
    return JobClasses(
        names=tuple(classes.names[c] for c in owners),
        models=tuple(GnnModel(name="layer", layers=(layer,)) for layer in layers),
        degrees=tuple(classes.degrees[c] for c in owners),
        weights=np.full(len(owners), 1.0 / len(owners)),
        groups=classes.groups[owners],
        group_names=classes.group_names,
        graphs=None if classes.graphs is None else tuple(classes.graphs[c] for c in owners),
    )


def labelled(
    classes: JobClasses,
    pairs: Sequence[Pair],
    level: Level = Level.DEGREES,
    *,
    workers: int | None = None,
    progress: bool | None = False,
) -> Dataset:
    """Return the layers of the classes, labelled by the cost model; their groups are the families."""
    singles = single_layers(classes)
    cycles = pair_cycles(singles, pairs, workers=workers, progress=progress)
    inputs = job_inputs(singles, pairs, level)
    return Dataset(
        inputs=inputs,
        cycles=cycles,
        families=singles.groups,
        family_names=singles.group_names,
        pair_keys=tuple(pair_key(*pair) for pair in pairs),
    )
