"""A program written down operation by operation, and its arrays: what the stand-in's graphs are made with."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.forecast.data import schema
from gnnsched_env.forecast.data.program import ProgramGraph

Int8Array = NDArray[np.int8]
Dims = tuple[int, ...]


class Op(IntEnum):
    """The operation codes in use."""

    ADD = 2
    ALL_REDUCE = 5
    BROADCAST = 13
    COMPARE = 20
    CONSTANT = 24
    CONVERT = 25
    CONVOLUTION = schema.CONVOLUTION
    DIVIDE = 32
    DOT = schema.DOT
    DYNAMIC_SLICE = 35
    EXPONENTIAL = 37
    FUSION = 41
    GET_TUPLE_ELEMENT = 45
    IOTA = 48
    MAXIMUM = 57
    MULTIPLY = 59
    NEGATE = 60
    PAD = 62
    PARAMETER = 63
    POWER = 66
    REDUCE = 70
    REDUCE_WINDOW = 72
    RESHAPE = schema.RESHAPE
    SELECT = 83
    SLICE = 92
    SORT = 93
    SUBTRACT = 95
    TUPLE = 100
    WHILE = 102
    RARE = 120  # the highest operation code, in one file only


ELEMENTWISE: Final = frozenset(
    {Op.ADD, Op.CONVERT, Op.DIVIDE, Op.EXPONENTIAL, Op.MAXIMUM, Op.MULTIPLY, Op.NEGATE, Op.POWER, Op.SELECT}
    | {Op.SUBTRACT}
)
"""Operations that hand their operand's layout on: what a copy's path may run through."""

_TYPES: Final = {"pred": (3, 1), "s32": (6, 4), "u32": (10, 4), "f32": (13, 4), "bf16": (15, 2), "tuple": (18, 0)}
"""The column of each element type, and its bytes."""

_LISTS: Final = {  # first column and length; the list's sum and product (1 of an empty list) follow
    "shape": (21, 6),
    "window_size": (37, 6),
    "window_stride": (45, 6),
    "window_low": (53, 6),
    "window_high": (61, 6),
    "window_dilation": (69, 6),
    "base_dilation": (77, 6),
    "slice_start": (109, 2),
    "slice_stride": (113, 2),
    "slice_limit": (117, 2),
    "dynamic_sizes": (121, 2),
    "padding_low": (125, 2),
    "padding_high": (129, 2),
}
_PLAIN: Final = {  # first column; nothing follows
    "root": schema.IS_ROOT,
    "tuple_size": schema.TUPLE_SIZE,
    "number": schema.PARAMETER_NUMBER,
    "dimensions": schema.DIMENSION_NUMBERS.start,
    "reversal": 85,
    "reversal_counts": 91,
    "convolution": schema.CONVOLUTION_NUMBERS.start,
    "groups": schema.GROUP_COUNTS.start,
    "stable": schema.IS_STABLE,
    "layout": schema.LAYOUT.start,
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """What an operation gives: the operation's number, its shape, its element type."""

    node: int
    dims: Dims
    kind: str = "f32"

    @property
    def num_bytes(self) -> int:
        """Bytes of the data."""
        return prod(self.dims) * _TYPES[self.kind][1]


class Tape:
    """Operations in the order they were added; operands come before what reads them.

    `operands`, `readers`: of each operation, the operations that it reads and that read it; `alphabets`: of each
    configurable one, int8 [a, 18], the rows that a configuration may give it.
    """

    def __init__(self) -> None:
        self.opcodes: list[int] = []
        self.tensors: list[Tensor] = []
        self.operands: list[list[int]] = []
        self.notes: list[dict[str, Any]] = []
        self.alphabets: dict[int, Int8Array] = {}
        self.readers: list[list[int]] = []

    def __len__(self) -> int:
        return len(self.opcodes)

    def add(
        self,
        opcode: Op,
        dims: Sequence[int] = (),
        operands: Sequence[Tensor] = (),
        *,
        kind: str | None = None,
        alphabet: Int8Array | None = None,
        **notes: int | Sequence[int],
    ) -> Tensor:
        """Add an operation, of the last operand's element type unless told; `notes`: more of its columns, by name."""
        tensor = Tensor(len(self), tuple(dims), kind or (operands[-1].kind if operands else "f32"))
        self.opcodes.append(int(opcode))
        self.tensors.append(tensor)
        self.operands.append(sorted({operand.node for operand in operands}))
        self.notes.append(notes)
        self.readers.append([])
        for node in self.operands[-1]:
            self.readers[node].append(tensor.node)
        if alphabet is not None:
            self.alphabets[tensor.node] = alphabet
        return tensor

    def same(self, opcode: Op, *operands: Tensor, kind: str | None = None) -> Tensor:
        """Add an operation on equal shapes."""
        return self.add(opcode, operands[-1].dims, operands, kind=kind)

    def fill(self, like: Tensor, source: Tensor | None = None) -> Tensor:
        """Broadcast a scalar (None: a new constant) or a vector along the last dimension to the shape of `like`."""
        source = self.add(Op.CONSTANT, kind=like.kind) if source is None else source
        along = [len(like.dims) - 1] if source.dims else []
        return self.add(Op.BROADCAST, like.dims, [source], dimensions=along)

    def root(self, tensor: Tensor) -> Tensor:
        """Mark the root of a computation."""
        self.notes[tensor.node]["root"] = 1
        return tensor

    def computation(self, opcode: Op, kind: str) -> Tensor:
        """Add a called computation of two scalars; a reduction or a loop reads its root."""
        pair = [self.add(Op.PARAMETER, kind=kind, number=number) for number in (0, 1)]
        return self.root(self.add(opcode, (), pair, kind="pred" if opcode is Op.COMPARE else kind))

    def reduce(self, tensor: Tensor, keep: Sequence[int] = (), opcode: Op = Op.ADD) -> Tensor:
        """Reduce all dimensions but those in `keep`."""
        gone = [axis for axis in range(len(tensor.dims)) if axis not in keep]
        operands = [self.computation(opcode, tensor.kind), self.add(Op.CONSTANT, kind=tensor.kind), tensor]
        return self.add(Op.REDUCE, [tensor.dims[axis] for axis in keep], operands, dimensions=gone)

    def edges(self) -> list[tuple[int, int]]:
        """Return (consumer, producer), sorted and unique, consumer > producer."""
        return [(consumer, producer) for consumer, read in enumerate(self.operands) for producer in read]

    def graph(self) -> ProgramGraph:
        """Return the arrays."""
        return ProgramGraph(
            node_features=self._features(),
            opcodes=np.array(self.opcodes, dtype=np.uint8),
            edges=np.array(self.edges(), dtype=np.int64).reshape(-1, 2),
        )

    def _features(self) -> NDArray[np.float32]:
        features = np.zeros((len(self), schema.NODE_FEATURES), dtype=np.float32)
        for first, width in _LISTS.values():
            features[:, first + width + 1] = 1  # the product of an empty list
        for row, tensor, notes in zip(features, self.tensors, self.notes, strict=True):
            row[_TYPES[tensor.kind][0]] = 1
            usual = {"shape": tensor.dims, "layout": row_major(len(tensor.dims))}
            for name, value in (usual | notes).items():
                values = [value] if isinstance(value, int) else list(value)
                if name in _PLAIN:
                    row[_PLAIN[name] :][: len(values)] = values
                    continue
                first, width = _LISTS[name]
                shown = values[:width]
                row[first : first + len(shown)] = shown
                row[first + width : first + width + 2] = sum(values), prod(values)
        return features


def row_major(rank: int) -> list[int]:
    """Return the compiler's usual layout, minor to major: the last dimension first."""
    return list(range(rank))[::-1]


def layout_rows(rows: Sequence[Sequence[Sequence[int]]]) -> Int8Array:
    """Return int8 [a, 18] of (output, input, kernel) layouts, each padded with -1."""
    codes = np.full((len(rows), 3, schema.DIMENSIONS), schema.SMALLEST_LAYOUT, dtype=np.int8)
    for row, layouts in enumerate(rows):
        for tensor, layout in enumerate(layouts):
            codes[row, tensor, : len(layout)] = layout
    return codes.reshape(len(rows), schema.LAYOUT_WIDTH)
