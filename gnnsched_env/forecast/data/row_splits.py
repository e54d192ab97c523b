"""Parts of one file's configurations, to train on some and score others: a JSON object of named lists of rows."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError, FileFormatError, did_you_mean
from gnnsched_env.common.files import read_json
from gnnsched_env.forecast.data.duplicates import merge
from gnnsched_env.forecast.data.program import Program

IntArray = NDArray[np.int64]


def read_split(path: str | Path) -> dict[str, IntArray]:
    """Return the parts of a split file by name, int64 [k] each; FileFormatError where a part is no list of rows."""
    content = read_json(path)
    if not content:
        raise FileFormatError(f"{path}: must hold an object of named lists of rows, got none")
    return {name: _rows(path, name, rows) for name, rows in content.items()}


def part_of(path: str | Path, parts: dict[str, IntArray], name: str, program: Program) -> IntArray:
    """Return the rows of a part, checked against the program; ConfigError names the part, FileFormatError the row."""
    if name not in parts:
        known = ", ".join(parts)
        raise ConfigError(f"{path}: the part must be one of {known}, got {name!r}{did_you_mean(name, parts)}")
    rows = parts[name]
    if rows.max() >= program.num_configs:
        last = program.num_configs - 1
        raise FileFormatError(f"{path}: part {name!r}: rows of {program.name} must be in 0..{last}, got {rows.max()}")
    return rows


def check_apart(program: Program, train: IntArray, score: IntArray) -> None:
    """Refuse parts that share a configuration: what is scored must not have been trained on, as a duplicate neither."""
    shared = np.intersect1d(train, score)
    if len(shared):
        raise ConfigError(f"{program.name}: parts to train on and to score must share no row, got {shared[0]} in both")
    groups = merge(program, np.concatenate([train, score])).groups
    both = np.isin(groups[len(train) :], groups[: len(train)])
    if both.any():
        raise ConfigError(
            f"{program.name}: no configuration may be in the parts to train on and to score, got {int(both.sum())} "
            f"rows to score, row {score[both][0]} first, whose duplicates are trained on"
        )


def _rows(path: str | Path, name: str, rows: object) -> IntArray:
    if not isinstance(rows, list) or not rows or not all(type(row) is int and 0 <= row < 2**31 for row in rows):
        raise FileFormatError(f"{path}: part {name!r} must be a list of rows (integers from 0), at least one")
    if len(set(rows)) != len(rows):
        raise FileFormatError(f"{path}: part {name!r} must name each row once, got some twice")
    return np.array(rows, np.int64)
