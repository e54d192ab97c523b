"""A program written down operation by operation, and its arrays: what the stand-in's graphs are made with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.forecast.data import schema
from gnnsched_env.forecast.data.program import ProgramGraph

Int8Array = NDArray[np.int8]
Dims = tuple[int, ...]

ADD: Final = 2
AFTER_ALL: Final = 4
ALL_REDUCE: Final = 5
BITCAST_CONVERT: Final = 12
BROADCAST: Final = 13
COMPARE: Final = 20
CONCATENATE: Final = 22
CONSTANT: Final = 24
CONVERT: Final = 25
COPY: Final = 27
DIVIDE: Final = 32
DYNAMIC_SLICE: Final = 35
EXPONENTIAL: Final = 37
FUSION: Final = 41
GET_TUPLE_ELEMENT: Final = 45
IOTA: Final = 48
LOG: Final = 50
AND: Final = 52
MAXIMUM: Final = 57
MULTIPLY: Final = 59
NEGATE: Final = 60
PAD: Final = 62
PARAMETER: Final = 63
POWER: Final = 66
REDUCE: Final = 70
REDUCE_WINDOW: Final = 72
SELECT: Final = 83
SELECT_AND_SCATTER: Final = 84
SLICE: Final = 92
SORT: Final = 93
SUBTRACT: Final = 95
TRANSPOSE: Final = 98
TUPLE: Final = 100
WHILE: Final = 102
RARE: Final = 120
"""The highest operation code, in one file only."""

ELEMENTWISE: Final = (ADD, CONVERT, DIVIDE, EXPONENTIAL, MAXIMUM, MULTIPLY, NEGATE, POWER, SELECT, SUBTRACT)
"""Operations that hand their operand's layout on: what a copy's path may run through."""

ELEMENT_BYTES: Final = {"pred": 1, "s32": 4, "s64": 8, "u32": 4, "f32": 4, "bf16": 2, "tuple": 0, "token": 0}
_TYPE_COLUMN: Final = {"pred": 3, "s32": 6, "s64": 7, "u32": 10, "f32": 13, "bf16": 15, "tuple": 18, "token": 20}

_LISTS: Final = {  # first column, values; then their sum, their product (1 when empty)
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
_PLAIN: Final = {  # first column of values without sum and product
    "root": 0,
    "tuple_size": 29,
    "number": 30,
    "dimensions": 31,
    "convolution": 93,
    "groups": 107,
    "stable": 133,
    "layout": 134,
}
_REVERSAL: Final = 85
_CONSTANT_USES: Final = 3


@dataclass(frozen=True, slots=True)
class Tensor:
    """What an operation gives: the operation's number, its shape, its element type."""

    node: int
    dims: Dims
    kind: str = "f32"

    @property
    def num_bytes(self) -> int:
        """Bytes of the data."""
        return prod(self.dims) * ELEMENT_BYTES[self.kind]


Note = int | Sequence[int]


class Tape:
    """Operations in the order they were added; operands come before what reads them."""

    def __init__(self) -> None:
        self.opcodes: list[int] = []
        self.tensors: list[Tensor] = []
        self.operands: list[tuple[int, ...]] = []
        self.notes: list[dict[str, Note]] = []
        self.alphabets: dict[int, Int8Array] = {}
        self.num_edges = 0
        self._readers: list[list[int]] = []
        self._constants: dict[str, tuple[Tensor, int]] = {}

    def __len__(self) -> int:
        return len(self.opcodes)

    def add(
        self,
        opcode: int,
        dims: Sequence[int] = (),
        operands: Sequence[Tensor] = (),
        *,
        kind: str = "f32",
        alphabet: Int8Array | None = None,
        **notes: Note,
    ) -> Tensor:
        """Add an operation; `alphabet` int8 [a, 18]: the rows a configurable one may be given; `notes`: its columns."""
        tensor = Tensor(len(self), tuple(dims), kind)
        read = tuple(sorted({operand.node for operand in operands}))
        self.opcodes.append(opcode)
        self.tensors.append(tensor)
        self.operands.append(read)
        self.notes.append(dict(notes))
        self.num_edges += len(read)
        self._readers.append([])
        for node in read:
            self._readers[node].append(tensor.node)
        if alphabet is not None:
            self.alphabets[tensor.node] = alphabet
        return tensor

    def readers(self, node: int) -> list[int]:
        """Return the operations that read one, in order."""
        return self._readers[node]

    def note(self, tensor: Tensor, **notes: Note) -> None:
        """Say more about an operation."""
        self.notes[tensor.node] |= notes

    def root(self, tensor: Tensor) -> Tensor:
        """Mark the root of a computation."""
        self.note(tensor, root=1)
        return tensor

    def same(self, opcode: int, *operands: Tensor, kind: str | None = None) -> Tensor:
        """Add an operation on equal shapes; the last operand tells shape and element type."""
        return self.add(opcode, operands[-1].dims, operands, kind=kind or operands[-1].kind)

    def constant(self, kind: str = "f32") -> Tensor:
        """Return a scalar; one serves up to three readers."""
        constant, uses = self._constants.get(kind, (None, 0))
        if constant is None or uses == _CONSTANT_USES:
            constant, uses = self.add(CONSTANT, kind=kind), 0
        self._constants[kind] = constant, uses + 1
        return constant

    def fill(self, scalar: Tensor | None, dims: Sequence[int], kind: str = "f32") -> Tensor:
        """Broadcast a scalar (None: a new constant) or a vector along the last dimension."""
        source = self.constant(kind) if scalar is None else scalar
        along = [len(dims) - 1] if source.dims else []
        return self.add(BROADCAST, dims, [source], kind=kind, dimensions=along)

    def computation(self, opcode: int, kind: str = "f32") -> Tensor:
        """Add a called computation of two scalars, which a reduction or a loop reads the root of."""
        pair = [self.add(PARAMETER, kind=kind, number=number) for number in (0, 1)]
        return self.root(self.add(opcode, (), pair, kind="pred" if opcode == COMPARE else kind))

    def reduce(
        self, tensor: Tensor, keep: Sequence[int] = (), opcode: int = ADD, called: Tensor | None = None
    ) -> Tensor:
        """Reduce all dimensions but those in `keep` by the computation `called`, or a new one."""
        gone = [axis for axis in range(len(tensor.dims)) if axis not in keep]
        called = self.computation(opcode, tensor.kind) if called is None else called
        start = self.constant(tensor.kind)
        dims = [tensor.dims[axis] for axis in keep]
        return self.add(REDUCE, dims, [called, start, tensor], kind=tensor.kind, dimensions=gone)

    def graph(self) -> ProgramGraph:
        """Return the arrays; edges (consumer, producer) are sorted, unique, and consumer > producer."""
        edges = [(consumer, producer) for consumer, read in enumerate(self.operands) for producer in read]
        return ProgramGraph(
            node_features=_features(self.tensors, self.notes),
            opcodes=np.array(self.opcodes, dtype=np.uint8),
            edges=np.array(edges, dtype=np.int64).reshape(-1, 2),
        )


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


def _features(tensors: Sequence[Tensor], notes: Sequence[Mapping[str, Note]]) -> NDArray[np.float32]:
    features = np.zeros((len(tensors), schema.NODE_FEATURES), dtype=np.float32)
    for first, width in _LISTS.values():
        features[:, first + width + 1] = 1  # the product of an empty list
    for row, tensor, said in zip(features, tensors, notes, strict=True):
        row[_TYPE_COLUMN[tensor.kind]] = 1
        columns: dict[str, Any] = {"shape": tensor.dims, "layout": row_major(len(tensor.dims))} | dict(said)
        for name, value in columns.items():
            values = [value] if isinstance(value, int) else list(value)
            if name in _LISTS:
                first, width = _LISTS[name]
                shown = values[:width]
                row[first : first + len(shown)] = shown
                row[first + width : first + width + 2] = sum(values), prod(values)
            elif name == "reversal":
                row[_REVERSAL : _REVERSAL + len(values)] = values
                row[_REVERSAL + 6 : _REVERSAL + 8] = sum(values), len(values) - sum(values)
            else:
                row[_PLAIN[name] : _PLAIN[name] + len(values)] = values
    return features
