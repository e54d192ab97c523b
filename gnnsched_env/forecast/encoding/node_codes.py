"""A graph's operations as numbers that a network can use.

The files pad the shape and the layout of an output with 0, and 0 is a dimension's number too: [0, 0, 0, 0, 0, 0] may be
the layout of a vector or of nothing. What counts is told by the rank (`ranks`), which the files do not hold:

* Sizes stand first in their six columns and are at least 1, so the rank is the number of columns up to the last that is
  not 0.
* A dimension of size 0 looks like padding. It shows in the product column, which is 0 only then (of an empty list the
  files give 1). The rank is then at least 1, and above every entry of the layout, a permutation of 0..rank - 1.
* Scalars (product 1, no size) and tuples (whose shape lists no sizes) have rank 0, hence no layout.
* Only six dimensions are listed; a higher rank counts as six.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.forecast.data import schema
from gnnsched_env.forecast.data.program import ProgramGraph
from gnnsched_env.forecast.data.schema import DIMENSIONS

Array = NDArray[Any]
Floats = NDArray[np.float32]
IntArray = NDArray[np.int64]

LANES: Final = 128
SUBLANES: Final = 8
"""The hardware stores the two minor-most dimensions in pieces of 8 x 128; what does not fill them is padding."""

_FLAGS = np.r_[schema.IS_ROOT, schema.ELEMENT_TYPE, schema.IS_STABLE]
_SIZES = np.r_[
    schema.SHAPE,
    schema.SHAPE_SUM,
    schema.SHAPE_PRODUCT,
    schema.TUPLE_SIZE,
    schema.PARAMETER_NUMBER,
    schema.WINDOW,
    schema.GROUP_COUNTS,
    schema.SLICE,
    schema.DYNAMIC_SLICE_SIZES,
    schema.PADDING,
]
_NUMBERS = np.r_[schema.DIMENSION_NUMBERS, schema.CONVOLUTION_NUMBERS]

_WIDTHS = {
    "flags": len(_FLAGS),
    "sizes": len(_SIZES),
    "numbers": len(_NUMBERS),
    "rank": DIMENSIONS + 1,
    "layout": DIMENSIONS * DIMENSIONS,
    "fill": 2 * DIMENSIONS,
}
_ENDS = np.cumsum(list(_WIDTHS.values())).tolist()

NODE_COLUMNS: Final[dict[str, slice]] = {
    name: slice(end - width, end) for (name, width), end in zip(_WIDTHS.items(), _ENDS, strict=True)
}
"""The groups of columns of `encode_nodes`, in order."""

NODE_WIDTH: Final[int] = _ENDS[-1]


def ranks(features: Floats) -> IntArray:
    """Return the rank of each operation's output, int64 [n], 0..6, from node features [n, 140]; see the module."""
    places = np.arange(1, DIMENSIONS + 1)
    listed = np.where(features[:, schema.SHAPE] != 0, places, 0).max(axis=1)
    highest = features[:, schema.LAYOUT].max(axis=1)
    by_layout = np.where(highest > 0, highest + 1, 0)
    empty = features[:, schema.SHAPE_PRODUCT] == 0
    found = np.maximum(np.maximum(listed, by_layout), empty)
    rank_of: IntArray = np.minimum(found, DIMENSIONS).astype(np.int64)
    return rank_of


def layouts_of(features: Floats) -> NDArray[np.int8]:
    """Return each operation's output layout, minor to major, int8 [n, 6], -1 at and beyond the rank.

    So an entry means what it means in a configuration. Entries outside 0..5 count as open (-1).
    """
    entries = features[:, schema.LAYOUT]
    counts = np.arange(DIMENSIONS) < ranks(features)[:, None]
    known = (entries >= 0) & (entries < DIMENSIONS)
    return np.where(counts & known, entries, -1).astype(np.int8)


def encode_nodes(graph: ProgramGraph) -> Floats:
    """Return float32 [n, NODE_WIDTH]; the groups of columns are NODE_COLUMNS.

    flags: is_root, the element type's one-hot, is_stable, as they are. sizes: all that counts things (sizes, windows,
    slices, padding), each x as sign(x) log(1 + |x|); products of empty lists are 1 in the files and stay so, apart from
    the 0 of a list that holds a zero. numbers: dimensions' numbers over 6. rank: one-hot of 0..6. layout: one-hots of
    the mended layout, as in `encode_places`. fill: the shares of 128 lanes, then of 8 sublanes, that each dimension
    would fill; 0 beyond the rank. Column 1, always 0, is left out; operation codes are for an embedding.
    """
    features = graph.node_features
    rank_of = ranks(features)
    return np.concatenate(
        [
            features[:, _FLAGS],
            signed_log(features[:, _SIZES]),
            features[:, _NUMBERS] / np.float32(DIMENSIONS),
            np.eye(DIMENSIONS + 1, dtype=np.float32)[rank_of],
            encode_places(layouts_of(features)),
            fill(features[:, schema.SHAPE], LANES),
            fill(features[:, schema.SHAPE], SUBLANES),
        ],
        axis=1,
        dtype=np.float32,
    )


def encode_places(layouts: NDArray[np.int8], columns: int | None = None) -> Floats:
    """Return one-hots float32 [..., 6 w] of layouts int8 [..., w]: the dimension at each place, nothing where open.

    Two layouts agree just where their one-hots do: the scalar product counts the places in agreement. `columns`: how
    many to return, those behind the one-hots zeros for the caller to fill.
    """
    width = layouts.shape[-1]
    encoded = np.zeros((*layouts.shape[:-1], width * DIMENSIONS if columns is None else columns), dtype=np.float32)
    entries = layouts.ravel()
    fixed = np.flatnonzero(entries >= 0)
    owner, place = np.divmod(fixed, width)
    encoded.reshape(-1)[owner * encoded.shape[-1] + place * DIMENSIONS + entries[fixed]] = 1.0
    return encoded


def signed_log(values: Floats) -> Floats:
    """Return sign(x) log(1 + |x|)."""
    return np.sign(values) * np.log1p(np.abs(values))


def fill(sizes: Floats, unit: int) -> Floats:
    """Return size / (size rounded up to a multiple of the unit), in (0, 1]; 0 for a size of 0."""
    rounded = np.ceil(sizes / np.float32(unit)) * np.float32(unit)
    share: Floats = np.divide(sizes, rounded, out=np.zeros_like(sizes), where=rounded > 0)
    return share
