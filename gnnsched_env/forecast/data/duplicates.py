"""Configurations that were timed more than once: merged to one, and what they say of the noise.

A row is recognised by its bytes (a hash finds the candidate, the bytes decide), so equal rows are merged and no others.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.data.program import Program

Array = NDArray[Any]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Merged:
    """The different configurations among some rows of a program.

    rows: int64 [u], the first row of each, ascending; groups:
    int64 [k], for each row asked about the place in `rows` of what equals it; targets: float64 [u], the mean of the
    group's targets; configurations: int8 [u, nc, 18] or float32 [u, 24].
    """

    rows: IntArray
    groups: IntArray
    targets: FloatArray
    configurations: Array

    @property
    def counts(self) -> IntArray:
        """How many rows each configuration stands for, int64 [u]."""
        return np.bincount(self.groups, minlength=len(self.rows)).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How much the targets of equal configurations differ; NaN where none is repeated or the file has no labels.

    median_difference: over the repeated configurations, the median of (largest - smallest) / mean; log_deviation: the
    standard deviation of a target's logarithm about its group's mean, pooled over the groups (each gives up one degree
    of freedom); configurations: how many different ones; repeated: how many of these were timed more than once;
    rows: how many timings.
    """

    median_difference: float
    log_deviation: float
    configurations: int
    repeated: int
    rows: int


def merge(program: Program, rows: IntArray | None = None) -> Merged:
    """Return the different configurations among `rows` (None: all; each at most once), read in one pass.

    Held are the different rows, as int8 for layouts (twice for a moment), never the file's float array.
    """
    asked = np.arange(program.num_configs) if rows is None else np.asarray(rows)
    order = _checked_order(program, asked)
    ascending = asked[order].astype(np.int64)
    seen: dict[bytes, int] = {}
    found = np.empty(len(asked), dtype=np.int64)  # by ascending rows
    done = 0
    wanted: Array = np.empty((0, 0))
    for first, block in program.blocks():
        end = int(np.searchsorted(ascending, first + len(block)))
        wanted = _plain(block[ascending[done:end] - first])
        found[done:end] = [seen.setdefault(row.tobytes(), len(seen)) for row in wanted]
        done = end
        if done == len(asked):
            break
    distinct = np.frombuffer(b"".join(seen), dtype=wanted.dtype).reshape(len(seen), *wanted.shape[1:])
    groups = np.empty_like(found)
    groups[order] = found
    _, firsts = np.unique(found, return_index=True)
    return Merged(
        rows=ascending[firsts],
        groups=groups,
        targets=_means(program.targets()[asked], groups, len(seen)),
        configurations=distinct,
    )


def noise(program: Program) -> Noise:
    """Return how much the targets of equal configurations of a program differ."""
    merged = merge(program)
    counts = merged.counts
    repeated = counts > 1
    median, deviation = float("nan"), float("nan")
    if repeated.any() and program.labelled:
        targets = program.targets()
        largest = np.full(len(counts), -np.inf)
        smallest = np.full(len(counts), np.inf)
        np.maximum.at(largest, merged.groups, targets)
        np.minimum.at(smallest, merged.groups, targets)
        with np.errstate(divide="ignore", invalid="ignore"):
            median = float(np.median(((largest - smallest) / merged.targets)[repeated]))
            logs = np.log(targets)
            about = logs - _means(logs, merged.groups, len(counts))[merged.groups]
        deviation = float(np.sqrt(np.square(about).sum() / (len(targets) - len(counts))))
    return Noise(
        median_difference=median,
        log_deviation=deviation,
        configurations=len(counts),
        repeated=int(repeated.sum()),
        rows=len(merged.groups),
    )


def _checked_order(program: Program, asked: Array) -> IntArray:
    """Return the order that makes the rows ascending; ConfigError for none, repeats, or rows that are not there."""
    if asked.ndim != 1 or asked.dtype.kind not in "iu" or not len(asked):
        raise ConfigError(f"rows must be integers [k], k above 0, got {asked.dtype} of shape {asked.shape}")
    order = np.argsort(asked, kind="stable")
    if asked[order[0]] < 0 or asked[order[-1]] >= program.num_configs:
        outside = asked[order[0]] if asked[order[0]] < 0 else asked[order[-1]]
        raise ConfigError(f"rows must be within 0..{program.num_configs - 1} for {program.path}, got {outside}")
    twice = np.flatnonzero(np.diff(asked[order]) == 0)
    if len(twice):
        raise ConfigError(f"rows must differ from each other, got {asked[order[twice[0]]]} twice")
    return order


def _plain(block: Array) -> Array:
    """Return rows whose bytes are equal where their values are: floats lose the sign of zero."""
    return np.ascontiguousarray(block + np.float32(0.0) if block.dtype.kind == "f" else block)


def _means(values: FloatArray, groups: IntArray, count: int) -> FloatArray:
    """Return the mean of each group, float64 [count]."""
    return np.bincount(groups, weights=values, minlength=count) / np.bincount(groups, minlength=count)
