"""The competition's submission: a CSV of ID (collection:file) and TopConfigs (configurations, fastest first).

A layout file's row ranks all its configurations; a tile file's row names the first five.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import file_path, reading, write_rows
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.scoring.rank_scores import TILE_TOP, ranking

IntArray = NDArray[np.int64]

HEADER = ("ID", "TopConfigs")
SEPARATOR = ";"
DIGITS = 9  # of an index, at most


def submission_id(collection: Collection, name: str) -> str:
    """Return a file's ID, as layout:xla:random:0a1b; `name` is without its suffix."""
    if not name or any(sign in name for sign in ':,;"\r\n'):
        raise ConfigError(
            f"submission: a file's name must hold no colon, comma, semicolon, quote or line end, got {name!r}"
        )
    return f"{collection}:{name}"


def top_configs(collection: Collection, scores: ArrayLike, groups: ArrayLike | None = None) -> IntArray:
    """Return the indices that a file's row names, fastest first: all for a layout file, at most five for a tile file.

    `scores` [c], smaller is faster; ties in the order of the file. `groups` int [c] say which configurations are the
    same: of these, a tile file's row names the first only, as the others would waste its places.
    """
    order = ranking(scores)
    if not collection.is_tile:
        return order
    if groups is not None:
        first = np.unique(np.asarray(groups)[order], return_index=True)[1]
        order = order[np.sort(first)]
    return order[:TILE_TOP]


def write_submission(path: str | Path, rows: Iterable[tuple[str, IntArray]]) -> int:
    """Write (ID, indices) rows, in the order given; return how many. The file is written whole or not at all."""
    seen: set[str] = set()

    def lines() -> Iterable[tuple[str, str]]:
        for key, indices in rows:
            if key in seen:
                raise ConfigError(f"submission: {key} comes twice")
            seen.add(key)
            yield key, SEPARATOR.join(map(str, np.asarray(indices).tolist()))

    write_rows(path, HEADER, lines())
    return len(seen)


def read_submission(path: str | Path, counts: Mapping[str, int] | None = None) -> dict[str, IntArray]:
    """Return {ID: indices int64} of a submission after checking it; FileFormatError names file, line and rule.

    Layout rows must name each of 0..c-1 once; tile rows one to five different indices. `counts`: how many
    configurations each file has; then every ID must be there, none besides, and indices must fit.
    """
    rows: dict[str, IntArray] = {}
    for where, key, text in _lines(Path(path)):
        if key in rows:
            raise FileFormatError(f"{where}: {key} comes twice")
        if counts is not None and key not in counts:
            raise FileFormatError(f"{where}: {key} is not among the {len(counts)} files to rank")
        rows[key] = _indices(where, _collection(where, key), text, None if counts is None else counts[key])
    missing = [] if counts is None else [key for key in counts if key not in rows]
    if missing:
        raise FileFormatError(f"{path}: needs a row for each file, got none for {missing[0]} ({len(missing)} missing)")
    return rows


def _lines(path: Path) -> Iterable[tuple[str, str, str]]:
    """Yield (place, ID, TopConfigs) of each row; no value is quoted, as none holds a comma."""
    header = ",".join(HEADER)
    with reading(str(path), "the text"), file_path(path).open(encoding="utf-8-sig") as file:
        first = file.readline().rstrip("\n")
        if first != header:
            raise FileFormatError(f"{path}: line 1 must be {header}, got {first[:80]!r}")
        for number, line in enumerate(file, start=2):
            where = f"{path}: line {number}"
            if line.count(",") != 1:
                raise FileFormatError(f"{where}: must hold {len(HEADER)} values, got {line.count(',') + 1}")
            key, _, text = line.rstrip("\n").partition(",")
            yield where, key, text


def _collection(where: str, key: str) -> Collection:
    kind, _, name = key.rpartition(":")
    if kind not in tuple(Collection) or not name:
        raise FileFormatError(f"{where}: ID must be collection:file, got {key!r}")
    return Collection(kind)


def _indices(where: str, collection: Collection, text: str, count: int | None) -> IntArray:
    """Return a row's indices after checking them; `count` configurations are there, if that is known."""
    parts = text.split(SEPARATOR)
    wrong = [part for part in parts if not (part.isascii() and part.isdigit() and len(part) <= DIGITS)]
    if wrong:
        raise FileFormatError(f"{where}: TopConfigs must be indices separated by semicolons, got {wrong[0][:40]!r}")
    indices = np.array(parts, np.int64)
    if len(np.unique(indices)) != len(indices):
        raise FileFormatError(f"{where}: each index must be named once, got some twice")
    if collection.is_tile:
        fewest, most = 1, TILE_TOP if count is None else min(count, TILE_TOP)
    else:
        fewest = most = len(indices) if count is None else count
    if not fewest <= len(indices) <= most:
        wanted = f"{most}" if fewest == most else f"{fewest} to {most}"
        raise FileFormatError(f"{where}: must name {wanted} configurations, got {len(indices)}")
    end = most if not collection.is_tile else count
    if end is not None and indices.max() >= end:
        raise FileFormatError(f"{where}: indices must be below {end}, got {indices.max()}")
    return indices
