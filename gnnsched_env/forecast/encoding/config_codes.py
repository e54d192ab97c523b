"""Configurations as numbers that a network can use."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.forecast.data.schema import DIMENSIONS, LAYOUT_WIDTH, TILE_WIDTH
from gnnsched_env.forecast.encoding.node_codes import LANES, SUBLANES, encode_places, fill, signed_log

Array = NDArray[Any]
Floats = NDArray[np.float32]

TENSORS: Final = LAYOUT_WIDTH // DIMENSIONS
_PLACES = LAYOUT_WIDTH * DIMENSIONS

LAYOUT_COLUMNS: Final[dict[str, slice]] = {
    "output": slice(0, _PLACES // 3),
    "input": slice(_PLACES // 3, 2 * _PLACES // 3),
    "kernel": slice(2 * _PLACES // 3, _PLACES),
    "open": slice(_PLACES, _PLACES + TENSORS),
    "default": slice(_PLACES + TENSORS, _PLACES + TENSORS + 1),
    "minor": slice(_PLACES + TENSORS + 1, _PLACES + TENSORS + 5),
}
"""The groups of columns of `encode_layouts`, in order."""

LAYOUT_ENCODED: Final[int] = LAYOUT_COLUMNS["minor"].stop
TILE_ENCODED: Final = TILE_WIDTH


def encode_layouts(layouts: NDArray[np.int8], shapes: Floats) -> Floats:
    """Return float32 [k, nc, LAYOUT_ENCODED] of layouts int8 [k, nc, 18]; the groups of columns are LAYOUT_COLUMNS.

    shapes: float32 [nc, 6], the sizes of the configurable nodes' outputs, 0 beyond the rank.

    output, input, kernel: one-hots of the dimension at each of six places, minor to major, so that equal layouts have
    equal columns, of the nodes' own layouts too. open: for each tensor 1 where none of its places is fixed. default: 1
    where nothing is fixed at all, the compiler's own choice. minor: of the output's minor-most and next dimension, as
    the layout orders them, log(1 + size) and the share of 128 lanes and of 8 sublanes that they fill: (size, size,
    share, share), 0 where open.
    """
    count, nodes, _ = layouts.shape
    encoded = encode_places(layouts, LAYOUT_ENCODED)
    is_open = layouts.reshape(count, nodes, TENSORS, DIMENSIONS).max(axis=-1) < 0
    encoded[..., LAYOUT_COLUMNS["open"]] = is_open
    encoded[..., LAYOUT_COLUMNS["default"]] = is_open.all(axis=-1, keepdims=True)
    encoded[..., LAYOUT_COLUMNS["minor"]] = _minor(layouts[..., :2], shapes)
    return encoded


def encode_tiles(tiles: Floats) -> Floats:
    """Return float32 [k, TILE_ENCODED] of tile sizes float32 [k, 24]: each value x as sign(x) log(1 + |x|)."""
    return signed_log(tiles)


def _minor(entries: NDArray[np.int8], shapes: Floats) -> Floats:
    """Return float32 [k, nc, 4] of the output's two minor-most entries int8 [k, nc, 2]."""
    by_entry = np.zeros((len(shapes), DIMENSIONS + 1, 3), dtype=np.float32)  # for an open entry, then each dimension
    by_entry[:, 1:] = np.stack([signed_log(shapes), fill(shapes, LANES), fill(shapes, SUBLANES)], axis=-1)
    nodes = np.arange(len(shapes))
    first = by_entry[nodes, entries[..., 0].astype(np.intp) + 1]
    second = by_entry[nodes, entries[..., 1].astype(np.intp) + 1]
    return np.stack([first[..., 0], second[..., 0], first[..., 1], second[..., 2]], axis=-1)
