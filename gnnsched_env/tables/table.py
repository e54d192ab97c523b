"""`LatencyTable`: the true and predicted cycles of each class of job under each choice, stored in one npz file."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common import store
from gnnsched_env.common.checks import Number, number_array, plain_array
from gnnsched_env.common.errors import ConfigError, FileFormatError, TableError
from gnnsched_env.common.store import LATENCY_TABLE

CYCLE_LIMIT = 1 << 50  # a thousand jobs in sequence still fit int64; the simulator checks longer sequences
ERROR_LEVELS = (np.arange(200) + 0.5) / 200  # the quantiles of errors that a table may hold
MOST_COVERAGE = 0.99  # of an interval: more is beyond the quantiles
COVERAGE = Number(above=0.0, most=MOST_COVERAGE)
ROUNDING = 1e-12  # of a sum of weights that are normalised
ENERGY_LIMIT = 1e30  # pJ; larger values cannot come from the cost model

CycleArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatencyTable:
    """True and predicted latencies of C classes under K choices on A accelerators.

    `true_cycles`, `predicted_cycles`: int64 [C, K], at least 1. `weights`: float64 [C], each class's share of the jobs
    (normalised on construction). `choice_accelerators`: int64 [K], the accelerator of each choice. `mean_log_cycles`:
    float64 [K], the mean logarithm of each choice's cycles over the predictor's training set, which is all that a
    policy without latencies knows. `class_groups`: int64 [C], the file that a class came from, into `group_names`.
    `energy_pj`: float64 [C, K], the energy of each class under each choice, above 0; None where it was not computed.
    `pair_keys`: the hardware of each of the K choices (`choice_keys`), by which a fleet finds its columns; empty where
    the latencies come from no modelled hardware. `log_errors`: float64 [200, K], the quantiles (ERROR_LEVELS) of
    log(true / predicted) under each choice, as measured on other jobs; None where they were not measured. `noise`:
    standard deviation of the part of these errors that is drawn for each class and choice on its own.
    """

    true_cycles: CycleArray
    predicted_cycles: CycleArray
    weights: NDArray[np.float64]
    choice_names: tuple[str, ...]
    choice_accelerators: NDArray[np.int64]
    accelerator_names: tuple[str, ...]
    mean_log_cycles: NDArray[np.float64]
    class_names: tuple[str, ...]
    class_groups: NDArray[np.int64]
    group_names: tuple[str, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    energy_pj: NDArray[np.float64] | None = None
    pair_keys: tuple[str, ...] = ()
    log_errors: NDArray[np.float64] | None = None
    noise: float = 0.0

    def __post_init__(self) -> None:
        classes, choices = len(self.class_names), len(self.choice_names)
        for name in ("true_cycles", "predicted_cycles"):
            object.__setattr__(self, name, _as_cycles(name, getattr(self, name), (classes, choices)))
        _freeze(self, "weights", np.float64, (classes,))
        _freeze(self, "choice_accelerators", np.int64, (choices,))
        _freeze(self, "mean_log_cycles", np.float64, (choices,))
        _freeze(self, "class_groups", np.int64, (classes,))
        total = float(self.weights.sum())
        if not np.isfinite(self.weights).all() or (self.weights < 0).any() or total <= 0:
            raise TableError("latency table: weights must be finite, not negative, and sum to more than 0")
        if abs(total - 1.0) > ROUNDING:  # else a copy of a table would have other weights, in their last bits
            object.__setattr__(self, "weights", self.weights / total)
        self._check_indices()
        object.__setattr__(self, "pair_keys", tuple(self.pair_keys))
        if len(self.pair_keys) not in (0, choices):
            raise TableError(f"latency table: pair_keys must name all {choices} choices, got {len(self.pair_keys)}")
        if self.energy_pj is not None:
            _freeze(self, "energy_pj", np.float64, (classes, choices))
            _check_energy(self.energy_pj)
        with _table_errors():
            object.__setattr__(self, "noise", Number(least=0.0).check("latency table", "noise", self.noise))
        if self.log_errors is not None:
            _freeze(self, "log_errors", np.float64, (len(ERROR_LEVELS), choices))
            if not np.isfinite(self.log_errors).all() or (np.diff(self.log_errors, axis=0) < 0).any():
                raise TableError("latency table: log_errors must be finite and not fall from one level to the next")

    def _check_indices(self) -> None:
        owners = self.choice_accelerators
        if sorted(set(owners.tolist())) != list(range(len(self.accelerator_names))):
            raise TableError(
                "latency table: choice_accelerators must give each of the "
                f"{len(self.accelerator_names)} accelerators a choice, got {owners.tolist()}"
            )
        if not np.isfinite(self.mean_log_cycles).all():
            raise TableError(f"latency table: mean_log_cycles must be finite, got {self.mean_log_cycles}")
        groups = self.class_groups
        if (groups < 0).any() or (groups >= len(self.group_names)).any():
            raise TableError(f"latency table: class_groups must index the {len(self.group_names)} group names")

    @property
    def num_classes(self) -> int:
        """Return the number of classes C."""
        return len(self.class_names)

    @property
    def num_choices(self) -> int:
        """Return the number of choices K."""
        return len(self.choice_names)

    @property
    def num_accelerators(self) -> int:
        """Return the number of accelerators A."""
        return len(self.accelerator_names)

    @property
    def mean_shortest_predicted(self) -> float:
        """Return the workload's mean best predicted latency, cycles: the unit of rewards."""
        return float(self.weights @ self.predicted_cycles.min(axis=1))

    def clairvoyant(self) -> "LatencyTable":
        """Return the same table with the true cycles as its predictions."""
        errors = None if self.log_errors is None else np.zeros_like(self.log_errors)
        return replace(self, predicted_cycles=self.true_cycles, log_errors=errors, noise=0.0)

    def interval(self, coverage: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and upper ends of the intervals of true latencies, each float64 [C, K] cycles.

        They are predictions times the quantiles of `log_errors` that leave out equally much on either side. Raise
        TableError for a table without them.
        """
        if self.log_errors is None:
            raise TableError("latency table: an interval needs log_errors, got a table without them")
        return interval_ends(self.predicted_cycles, self.log_errors, coverage)

    def only_group(self, name: str) -> "LatencyTable":
        """Return the classes of one group (file) alone."""
        if name not in self.group_names:
            raise TableError(f"latency table: no group {name!r}; it has {', '.join(self.group_names)}")
        keep = np.flatnonzero(self.class_groups == self.group_names.index(name))
        return replace(
            self,
            true_cycles=self.true_cycles[keep],
            predicted_cycles=self.predicted_cycles[keep],
            weights=self.weights[keep],
            class_names=tuple(self.class_names[i] for i in keep),
            class_groups=np.zeros(len(keep), np.int64),
            group_names=(name,),
            energy_pj=None if self.energy_pj is None else self.energy_pj[keep],
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table as an npz file without pickles; an interrupted write leaves no broken file."""
        store.save(path, LATENCY_TABLE, *self._content())

    def digest(self) -> str:
        """Return a hash (SHA-256, hexadecimal) of all that the table holds."""
        return store.digest(*self._content())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a table that `save` wrote.

        Raise FileFormatError where the file is missing, damaged or of another version, TableError for bad content.
        """
        stored = store.load(path, LATENCY_TABLE)
        try:
            given: dict[str, Any] = {**stored.arrays, **{name: tuple(stored.manifest[name]) for name in _NAMES}}
            return cls(**given, provenance=dict(stored.manifest["provenance"]), noise=stored.manifest.get("noise", 0.0))
        except (KeyError, TypeError) as error:
            raise FileFormatError(f"{stored.source}: {error}") from None

    def _content(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the fields and the arrays that are saved."""
        fields = {name: getattr(self, name) for name in _NAMES} | {"provenance": dict(self.provenance)}
        if self.noise:
            fields["noise"] = self.noise
        arrays = {name: getattr(self, name) for name in (*_ARRAYS, *_OPTIONAL)}
        return fields, {name: array for name, array in arrays.items() if array is not None}


def interval_ends(
    predicted: CycleArray, log_errors: NDArray[np.float64], coverage: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of intervals of true latencies, each float64 [C, K], as `LatencyTable.interval`."""
    coverage = COVERAGE.check("interval", "coverage", coverage)
    tails = ((1.0 - coverage) / 2.0, (1.0 + coverage) / 2.0)
    low, high = np.exp([[np.interp(tail, ERROR_LEVELS, own) for own in log_errors.T] for tail in tails])
    return predicted * low, predicted * high


_ARRAYS = ("true_cycles", "predicted_cycles", "weights", "choice_accelerators", "mean_log_cycles", "class_groups")
_OPTIONAL = ("energy_pj", "log_errors")
_NAMES = ("choice_names", "accelerator_names", "class_names", "group_names", "pair_keys")


def _as_cycles(name: str, values: Any, shape: tuple[int, int]) -> CycleArray:
    with _table_errors():
        array = plain_array("latency table", name, values)
    if array.size and array.dtype.kind not in "iuf":
        raise TableError(f"latency table: {name} must be an array of numbers, got {array.dtype}")
    if array.shape != shape or 0 in shape:
        raise TableError(f"latency table: {name} must have shape [classes, choices] = {list(shape)}, got {array.shape}")
    bad = ~(np.isfinite(array) & (array >= 1) & (array < CYCLE_LIMIT))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise TableError(
            f"latency table: {name} must be at least 1 and below 2^50 cycles, "
            f"got {array[row, column]!r} at class {row}, choice {column}"
        )
    if array.dtype.kind == "f" and (array != np.rint(array)).any():
        raise TableError(f"latency table: {name} must hold whole cycles (integers); round predictions first")
    array = np.array(array, np.int64, order="C")
    array.setflags(write=False)
    return array


def _check_energy(energy: NDArray[np.float64]) -> None:
    bad = ~(np.isfinite(energy) & (energy > 0) & (energy < ENERGY_LIMIT))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise TableError(
            f"latency table: energy_pj must be above 0 and below {ENERGY_LIMIT:g} pJ, "
            f"got {float(energy[row, column])!r} at class {row}, choice {column}"
        )


@contextmanager
def _table_errors() -> Iterator[None]:
    """Raise the ConfigError of a check as a TableError."""
    try:
        yield
    except ConfigError as error:
        raise TableError(str(error)) from None


def _freeze(table: LatencyTable, name: str, dtype: type, shape: tuple[int, ...]) -> None:
    with _table_errors():
        array: NDArray[Any] = number_array("latency table", name, getattr(table, name), dtype)
    if array.shape != shape:
        raise TableError(f"latency table: {name} must have shape {list(shape)}, got {list(array.shape)}")
    array.setflags(write=False)
    object.__setattr__(table, name, array)
