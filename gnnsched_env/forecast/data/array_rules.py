"""The rules that a program's arrays obey, checked where a graph is made, a file is read or written.

Each function returns the array in the type that this package works with, or raises a ConfigError that names the array
(as files call it), the rule and the value; readers put the file's name before it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.data.schema import (
    LARGEST_LAYOUT,
    LAYOUT_WIDTH,
    NODE_FEATURES,
    OPCODES,
    SMALLEST_LAYOUT,
    TILE_WIDTH,
)

Array = NDArray[Any]
IntArray = NDArray[np.int64]

NODE_FEAT = "node_feat"
NODE_OPCODE = "node_opcode"
EDGE_INDEX = "edge_index"
NODE_CONFIG_IDS = "node_config_ids"
NODE_CONFIG_FEAT = "node_config_feat"
CONFIG_FEAT = "config_feat"
CONFIG_RUNTIME = "config_runtime"
NORMALIZERS = "config_runtime_normalizers"
NODE_SPLITS = "node_splits"


def check_features(features: Array) -> NDArray[np.float32]:
    """Return node features float32 [n, 140], n at least 1, all finite."""
    if features.dtype != np.float32:
        raise ConfigError(f"array {NODE_FEAT!r} must be float32, got {features.dtype}")
    if features.ndim != 2 or features.shape[1] != NODE_FEATURES or not len(features):
        raise ConfigError(f"array {NODE_FEAT!r} must have shape (n, {NODE_FEATURES}), n above 0, got {features.shape}")
    finite = np.isfinite(features)
    if not finite.all():
        node, column = np.argwhere(~finite)[0]
        raise ConfigError(
            f"array {NODE_FEAT!r} must be finite, got {features[node, column]} at node {node}, column {column}"
        )
    return features


def check_opcodes(opcodes: Array, nodes: int) -> NDArray[np.uint8]:
    """Return operation codes uint8 [n], each 0..120, from any integers."""
    _integers(NODE_OPCODE, opcodes, (nodes,))
    _within(NODE_OPCODE, opcodes, 0, OPCODES - 1)
    return opcodes.astype(np.uint8, copy=False)


def check_edges(edges: Array, nodes: int) -> IntArray:
    """Return edges int64 [m, 2], (consumer, producer), each a node's number, from any integers."""
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise ConfigError(f"array {EDGE_INDEX!r} must have shape (m, 2), got {edges.shape}")
    _integers(EDGE_INDEX, edges, edges.shape)
    _within(EDGE_INDEX, edges, 0, nodes - 1)
    return edges.astype(np.int64, copy=False)


def check_configurable(ids: Array, nodes: int) -> IntArray:
    """Return the configurable nodes int64 [nc], increasing, at least one, from any integers."""
    if ids.ndim != 1 or not len(ids):
        raise ConfigError(f"array {NODE_CONFIG_IDS!r} must name at least one configurable node, got shape {ids.shape}")
    _integers(NODE_CONFIG_IDS, ids, ids.shape)
    _within(NODE_CONFIG_IDS, ids, 0, nodes - 1)
    ids = ids.astype(np.int64, copy=False)
    falls = np.flatnonzero(np.diff(ids) <= 0)
    if len(falls):
        at = int(falls[0])
        raise ConfigError(f"array {NODE_CONFIG_IDS!r} must be increasing, got {ids[at]} before {ids[at + 1]}")
    return ids


def check_times(name: str, times: Array, configs: int, *, smallest: int) -> IntArray:
    """Return nanoseconds int64 [c], each at least `smallest`, from any integers."""
    _integers(name, times, (configs,))
    _within(name, times, smallest, np.iinfo(np.int64).max)
    return times.astype(np.int64, copy=False)


def check_runtimes(name: str, times: Array, configs: int) -> IntArray:
    """Return nanoseconds int64 [c]: all 0, as where a file hides them, or all above 0."""
    checked = check_times(name, times, configs, smallest=0)
    if checked.any() and not checked.all():
        first = int(np.flatnonzero(checked == 0)[0])
        raise ConfigError(f"array {name!r} must be above 0 everywhere, or 0 everywhere; got 0 at {first}")
    return checked


def check_splits(splits: Array | None, nodes: int) -> IntArray:
    """Return the boundaries of computations int64 [s] from (s,) or (1, s); without any, the whole graph is one."""
    if splits is None:
        return np.array([0, nodes], dtype=np.int64)
    if splits.ndim not in (1, 2) or (splits.ndim == 2 and splits.shape[0] != 1):
        raise ConfigError(f"array {NODE_SPLITS!r} must have shape (s,) or (1, s), got {splits.shape}")
    _integers(NODE_SPLITS, splits, splits.shape)
    _within(NODE_SPLITS, splits, 0, nodes)
    flat = splits.astype(np.int64).ravel()
    if np.any(np.diff(flat) < 0):
        raise ConfigError(f"array {NODE_SPLITS!r} must not fall, got {flat.tolist()}")
    return flat


def check_config_shape(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], row: tuple[int, ...]) -> int:
    """Return the number of configurations of an array [c, *row], at least one; layouts may be int8, all float32."""
    allowed = ("float32", "int8") if name == NODE_CONFIG_FEAT else ("float32",)
    if dtype.name not in allowed:
        raise ConfigError(f"array {name!r} must be {' or '.join(allowed)}, got {dtype}")
    if len(shape) != 1 + len(row) or shape[1:] != row or shape[0] < 1:
        expected = ", ".join(["c", *map(str, row)])
        raise ConfigError(f"array {name!r} must have shape ({expected}), c above 0, got {shape}")
    return shape[0]


def check_layouts(rows: Array, numbers: IntArray | None = None) -> NDArray[np.int8]:
    """Return layouts int8 [k, nc, 18] from float32 or int8, each -1..5; `numbers`: the rows' [k], for errors."""
    with np.errstate(invalid="ignore"):  # what does not fit in eight bits is found below
        layouts = rows.astype(np.int8)
    if rows.size and (
        layouts.min() < SMALLEST_LAYOUT or layouts.max() > LARGEST_LAYOUT or not np.array_equal(layouts, rows)
    ):
        bad = ~((rows >= SMALLEST_LAYOUT) & (rows <= LARGEST_LAYOUT) & (rows == np.rint(rows)))
        row, node, column = np.argwhere(bad)[0]
        number = row if numbers is None else numbers[row]
        raise ConfigError(
            f"array {NODE_CONFIG_FEAT!r} must hold whole numbers {SMALLEST_LAYOUT}..{LARGEST_LAYOUT}, got "
            f"{rows[row, node, column]} in configuration {number}, node {node}, column {column} of {LAYOUT_WIDTH}"
        )
    return layouts


def check_tiles(rows: Array, numbers: IntArray | None = None) -> NDArray[np.float32]:
    """Return tile sizes float32 [k, 24], all finite; `numbers`: the rows' [k], for errors."""
    finite = np.isfinite(rows)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        number = row if numbers is None else numbers[row]
        raise ConfigError(
            f"array {CONFIG_FEAT!r} must be finite, got {rows[row, column]} in configuration {number}, "
            f"column {column} of {TILE_WIDTH}"
        )
    return rows.astype(np.float32)


def _integers(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.dtype.kind not in "iu":
        raise ConfigError(f"array {name!r} must hold integers, got {array.dtype}")
    if array.shape != shape:
        raise ConfigError(f"array {name!r} must have shape {shape}, got {array.shape}")


def _within(name: str, array: Array, smallest: int, largest: int) -> None:
    if not array.size or (int(array.min()) >= smallest and int(array.max()) <= largest):
        return
    at = np.argwhere((array < smallest) | (array > largest))[0]
    value = array[tuple(at)]
    place = at[0] if len(at) == 1 else tuple(at.tolist())
    raise ConfigError(f"array {name!r} must be within {smallest}..{largest}, got {value} at {place}")
