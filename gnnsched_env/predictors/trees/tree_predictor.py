"""`TreePredictor`: boosted trees that correct the closed form, in one file without pickles."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common import store
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import write_npz
from gnnsched_env.common.store import TREE_PREDICTOR, Stored
from gnnsched_env.predictors import feature_kernels as kernels
from gnnsched_env.predictors.closed_form import ModelForms
from gnnsched_env.predictors.datasets.labelled_layers import Inputs
from gnnsched_env.predictors.features import feature_names
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.protocol import Job, as_cycles, one_by_one, sizes_of
from gnnsched_env.predictors.training_range import Domain
from gnnsched_env.predictors.trees.forests import Forests
from gnnsched_env.tables import Pair, pair_key
from gnnsched_env.workload import JobClasses

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FEATURE_SETS = {Level.METADATA: "S2", Level.DEGREES: "terms"}
"""The name, in a file, of what the trees read at a level: COLUMNS, with the closed form of what the level knows."""
COLUMNS = (*feature_names(Level.METADATA), "log_cycles", "log_combination_share")
"""The names of `tree_columns`."""
FIELDS = {"name": str, "feature_set": str, "columns": list, "pairs": list, "provenance": dict}
ARRAYS = ("manifest", *(field.name for field in dataclasses.fields(Forests)), "mean_log_cycles", "low", "high")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TreePredictor:
    """Closed-form cycles corrected by boosted trees, for the pairs that it was trained on.

    `keys`: what identifies each pair (`tables.pair_key`). `mean_log_cycles` float64 [P]: over its training set, from
    which static dataflows are chosen. `provenance`: how it was made.
    """

    name: str
    level: Level
    keys: tuple[str, ...]
    forests: Forests
    domain: Domain
    mean_log_cycles: FloatArray
    provenance: Mapping[str, Any]

    def covers(self, pairs: Sequence[Pair]) -> bool:
        """Return whether the predictor was trained for all of the pairs."""
        return all(pair_key(*pair) in self.keys for pair in pairs)

    def places(self, pairs: Sequence[Pair]) -> list[int]:
        """Return the place of each pair among those trained for."""
        keys = [pair_key(*pair) for pair in pairs]
        for key, (accelerator, dataflow) in zip(keys, pairs, strict=True):
            if key not in self.keys:
                raise ConfigError(
                    f"predictor {self.name!r} was trained for {len(self.keys)} (accelerator, dataflow) pairs, and "
                    f"{accelerator.name!r} ({accelerator.pes} PEs) under {dataflow.name!r} is not one of them"
                )
        return [self.keys.index(key) for key in keys]

    def predict(self, classes: JobClasses, pairs: Sequence[Pair]) -> IntArray:
        """Return cycles, int64 [C, P]."""
        return one_by_one(self.for_pairs(pairs), classes)

    def for_pairs(self, pairs: Sequence[Pair]) -> Callable[[Job], IntArray]:
        """Return a function from one job to int64 [P], as `predict` gives; a layer's tilings are bound once."""
        forests = self.forests.take(self.places(pairs))
        trees = (forests.features, forests.thresholds, forests.children, forests.values, forests.roots)
        forms = ModelForms(pairs)
        metadata = self.level is Level.METADATA

        def cycles(job: Job) -> IntArray:
            form = forms[job.model]
            rows, entries = sizes_of(job)
            terms = form.metadata_terms(rows, entries) if metadata else form.degree_terms(job.degrees)
            return as_cycles(kernels.corrected_cycles(rows, entries, form.widths, terms, *trees, forests.forest_ptr))

        return cycles

    def out_of_domain(self, classes: JobClasses) -> tuple[tuple[str, ...], ...]:
        """Return, for each class, the features outside the training range."""
        return self.domain.outside(classes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the predictor as a file's arrays, including a JSON manifest."""
        arrays = {**self.forests.arrays(), "mean_log_cycles": self.mean_log_cycles}
        arrays |= {"low": self.domain.low, "high": self.domain.high}
        fields = {
            "name": self.name,
            "feature_set": FEATURE_SETS[self.level],
            "columns": list(COLUMNS),
            "pairs": list(self.keys),
            "provenance": dict(self.provenance),
        }
        return store.pack(TREE_PREDICTOR, fields, arrays)

    @classmethod
    def from_stored(cls, stored: Stored) -> Self:
        """Return a predictor from a file's content; raise FileFormatError if it is invalid."""
        manifest, arrays, source = stored.manifest, stored.arrays, stored.source
        for name, kind in FIELDS.items():
            if not isinstance(manifest.get(name), kind):
                found = repr(manifest.get(name))[:40]
                raise FileFormatError(f"{source}: field {name!r} must be a {kind.__name__}, got {found}")
        levels = {name: level for level, name in FEATURE_SETS.items()}
        if manifest["feature_set"] not in levels:
            raise FileFormatError(
                f"{source}: its feature set must be one of {', '.join(levels)}, got {manifest['feature_set']!r}"
            )
        level = levels[manifest["feature_set"]]
        if manifest["columns"] != list(COLUMNS):
            raise FileFormatError(
                f"{source}: its columns must be those of feature set {manifest['feature_set']}, in order: "
                f"{', '.join(COLUMNS)}; got {', '.join(map(str, manifest['columns']))}"
            )
        size = len(feature_names(level))
        for name, shape in (("low", (size,)), ("high", (size,)), ("mean_log_cycles", (len(manifest["pairs"]),))):
            if name not in arrays or arrays[name].shape != shape or arrays[name].dtype != np.float64:
                raise FileFormatError(f"{source}: array {name!r} must be float64 of shape {shape}")
            if not np.isfinite(arrays[name]).all():
                raise FileFormatError(f"{source}: array {name!r} must be finite")
        forests = Forests.from_arrays(arrays, outputs=len(manifest["pairs"]), columns=len(COLUMNS), source=source)
        return cls(
            name=manifest["name"],
            level=level,
            keys=tuple(manifest["pairs"]),
            forests=forests,
            domain=Domain(level=level, low=arrays["low"], high=arrays["high"]),
            mean_log_cycles=arrays["mean_log_cycles"],
            provenance=manifest["provenance"],
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the predictor atomically; equal predictors give equal bytes."""
        write_npz(path, self.arrays())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a predictor's file; raise FileFormatError if it is invalid."""
        return cls.from_stored(store.load(path, TREE_PREDICTOR))


@cache
def shipped_predictor(name: str) -> TreePredictor:
    """Return a predictor that comes with the package."""
    with resources.as_file(resources.files("gnnsched_env.predictors") / "data" / f"{name}.npz") as path:
        return TreePredictor.load(path)


def closed_form_terms(inputs: Inputs, level: Level) -> FloatArray:
    """Return float64 [N, P, 2]: the closed-form cycles (TERM_NAMES) that METADATA or DEGREES knows."""
    return inputs.metadata_terms if level is Level.METADATA else inputs.degree_terms


def tree_columns(inputs: Inputs, level: Level, pair: int) -> FloatArray:
    """Return float64 [N, len(COLUMNS)]: what the trees of one pair read."""
    logs = np.log(closed_form_terms(inputs, level)[:, pair])
    sizes = inputs.features[:, : len(feature_names(Level.METADATA))]
    return np.column_stack([sizes, logs[:, 1], logs[:, 0] - logs[:, 1]])
