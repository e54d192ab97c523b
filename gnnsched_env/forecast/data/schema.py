"""What the data set's files hold: collections, arrays, the meaning of the node features' columns, operation codes.

Sizes and columns are those found in official files; where the data set's own text differs (index and operation code
types), the files are right.
"""

from enum import StrEnum
from pathlib import Path
from typing import Final

from gnnsched_env.common.checks import OneOf
from gnnsched_env.common.errors import ConfigError

NODE_FEATURES: Final = 140
OPCODES: Final = 121
"""Operation codes are 0..120; 0 is unknown, 97 and 101 are retired."""

DIMENSIONS: Final = 6
"""Places of every list of dimensions; shorter lists are padded."""

LAYOUT_WIDTH: Final = 3 * DIMENSIONS
"""A layout configuration of one node: layouts of output, input and kernel, minor to major, padded with -1."""

TILE_WIDTH: Final = 24
"""A tile configuration: kernel, output and input bounds, each six values, their sum, their product (0 when empty)."""

SMALLEST_LAYOUT: Final = -1
LARGEST_LAYOUT: Final = DIMENSIONS - 1

IS_ROOT: Final = 0
UNUSED: Final = 1
ELEMENT_TYPE: Final = slice(2, 21)
SHAPE: Final = slice(21, 27)
SHAPE_SUM: Final = 27
SHAPE_PRODUCT: Final = 28
TUPLE_SIZE: Final = 29
PARAMETER_NUMBER: Final = 30
DIMENSION_NUMBERS: Final = slice(31, 37)
WINDOW: Final = slice(37, 93)
"""Size, stride, padding low and high, window and base dilation (each six values, sum, product), then reversal (six
values, how many are true, how many false)."""

CONVOLUTION_NUMBERS: Final = slice(93, 107)
"""Input: batch, feature, four spatial dimensions; kernel: input feature, output feature, four spatial ones; output:
batch, feature."""

GROUP_COUNTS: Final = slice(107, 109)
SLICE: Final = slice(109, 121)
"""Start, stride and limit, each two values, sum, product."""

DYNAMIC_SLICE_SIZES: Final = slice(121, 125)
PADDING: Final = slice(125, 133)
IS_STABLE: Final = 133
LAYOUT: Final = slice(134, 140)
"""The output's layout, minor to major, padded with **0**: which entries count is told by the shape's rank."""

COLUMN_GROUPS: Final[dict[str, slice]] = {
    "is_root": slice(0, 1),
    "unused": slice(1, 2),
    "element_type": ELEMENT_TYPE,
    "shape": SHAPE,
    "shape_sum": slice(27, 28),
    "shape_product": slice(28, 29),
    "tuple_size": slice(29, 30),
    "parameter_number": slice(30, 31),
    "dimension_numbers": DIMENSION_NUMBERS,
    "window": WINDOW,
    "convolution_numbers": CONVOLUTION_NUMBERS,
    "group_counts": GROUP_COUNTS,
    "slice": SLICE,
    "dynamic_slice_sizes": DYNAMIC_SLICE_SIZES,
    "padding": PADDING,
    "is_stable": slice(133, 134),
    "layout": LAYOUT,
}
"""All columns of the node features, in order and without gaps."""

CONVOLUTION: Final = 26
DOT: Final = 34
RESHAPE: Final = 75
CONFIGURABLE_OPCODES: Final = (CONVOLUTION, DOT, RESHAPE)
"""What configurable nodes are in the files seen; not a rule."""

SPLITS: Final = ("train", "valid", "test")


class Collection(StrEnum):
    """A part of the data set: what is configured, for which programs, how configurations were drawn."""

    LAYOUT_XLA_DEFAULT = "layout:xla:default"
    LAYOUT_XLA_RANDOM = "layout:xla:random"
    LAYOUT_NLP_DEFAULT = "layout:nlp:default"
    LAYOUT_NLP_RANDOM = "layout:nlp:random"
    TILE_XLA = "tile:xla"

    @property
    def is_tile(self) -> bool:
        """Whether a program has one tile size as its configuration, not a layout for each configurable node."""
        return self is Collection.TILE_XLA

    @property
    def folder(self) -> Path:
        """Where its splits lie below the folder `npz`, as layout/xla/default."""
        return Path(*self.value.split(":"))

    @classmethod
    def named(cls, name: str) -> "Collection":
        """Return the collection of a name such as layout:nlp:random; ConfigError for another."""
        return cls(OneOf(tuple(cls)).check("forecast data", "collection", name))

    @classmethod
    def of_path(cls, path: Path) -> "Collection":
        """Return the collection that the folders name (.../layout/xla/default/train/NAME.npz); else ConfigError."""
        folders = path.parts[:-2]
        for collection in cls:
            parts = collection.folder.parts
            if folders[-len(parts) :] == parts:
                return collection
        raise ConfigError(
            f"{path}: the collection must be named or told by the folders, such as layout/xla/default/train, got "
            f"{path.parent}"
        )
