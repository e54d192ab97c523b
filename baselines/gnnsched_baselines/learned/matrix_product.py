"""Compiled code: blocks of a matrix product, kept in vector registers.

A block is ROWS rows by COLUMNS columns, float32. LLVM does not generate it from plain loops: their bounds are known too
late, and sums that might alias a matrix stay in memory. Arrays are C-ordered; for widths that are no multiple of
COLUMNS, the caller must compute the remaining columns.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

ROWS = 4
COLUMNS = 16  # one AVX-512 register, two of AVX2, four of NEON or SSE
_FLOAT, _INDEX = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, COLUMNS)


def write_block(values: Any, row: Any, last: Any, matrix: Any, column: Any, start: Any, least: Any, out: Any) -> None:
    """Write max(least, start + values x matrix) to the block of `out` that begins at `row` and `column`.

    `values` [n, I] (or [I]: the same for all rows), `matrix` [I, H], `start` [H], `out` as many dimensions as `values`;
    rows after `last` are not written.
    """
    block = slice(column, column + COLUMNS)
    rows = slice(row, min(row + ROWS, last + 1)) if values.ndim == 2 else slice(None)
    result = np.maximum(least, start[block] + values[rows] @ matrix[: values.shape[-1], block])
    out[(rows, block) if out.ndim == 2 else block] = result


def add_block_scores(
    values: Any, row: Any, last: Any, matrix: Any, column: Any, start: Any, weights: Any, scores: Any
) -> None:
    """Add max(0, start + values x matrix) x weights, of one block, to `scores` [n]; otherwise as `write_block`."""
    block = slice(column, column + COLUMNS)
    rows = slice(row, min(row + ROWS, last + 1))
    scores[rows] += np.maximum(np.float32(0.0), start[block] + values[rows] @ matrix[:, block]) @ weights[block]


class _Block:
    """Writes the instructions of one block; rows past the last one are the last one, again."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.builder = builder
        self.arrays: list[Any] = [
            context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else None
            for kind, value in zip(signature.args, arguments, strict=True)
        ]
        row, last, column = arguments[1], arguments[2], arguments[4]
        steps = [builder.add(row, _INDEX(i)) for i in range(ROWS)]
        self.rows = [builder.select(builder.icmp_signed("<", step, last), step, last) for step in steps]
        self.column = column

    def address(self, number: Any, row: Any, column: Any) -> Any:
        """Return the address of a cell of an argument; a 1-D argument is the same for every row."""
        array, builder = self.arrays[number], self.builder
        shape = cgutils.unpack_tuple(builder, array.shape)
        place = column if len(shape) == 1 else builder.add(builder.mul(row, shape[1]), column)
        return builder.gep(array.data, [place])

    def load(self, number: Any, row: Any, column: Any) -> Any:
        """Return COLUMNS numbers of an argument."""
        pointer = self.builder.bitcast(self.address(number, row, column), _VECTOR.as_pointer())
        return self.builder.load(pointer, align=4)

    def store(self, vector: Any, number: Any, row: Any, column: Any) -> None:
        pointer = self.builder.bitcast(self.address(number, row, column), _VECTOR.as_pointer())
        self.builder.store(vector, pointer, align=4)

    def spread(self, number: Any) -> Any:
        """Return a vector of one number."""
        vector = self.builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.IntType(32)(0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), COLUMNS), [0] * COLUMNS)
        return self.builder.shuffle_vector(vector, ir.Constant(_VECTOR, ir.Undefined), mask)

    def largest(self, one: Any, other: Any) -> Any:
        return self.builder.select(self.builder.fcmp_ordered("<", one, other), other, one)

    def sums(self) -> Any:
        """Return start + values x matrix, a vector for each row."""
        builder = self.builder
        inputs = cgutils.unpack_tuple(builder, self.arrays[0].shape)[-1]
        first = self.load(5, _INDEX(0), self.column)
        before = builder.block
        body, after = builder.append_basic_block("product"), builder.append_basic_block("product.end")
        builder.cbranch(builder.icmp_signed(">", inputs, _INDEX(0)), body, after)
        builder.position_at_end(body)
        f = builder.phi(_INDEX)
        sums = [builder.phi(_VECTOR) for _ in self.rows]
        multiply_add = _declared(builder, "fmuladd", _VECTOR, [_VECTOR] * 3)
        weights = self.load(3, f, self.column)
        added = [
            builder.call(multiply_add, [self.spread(builder.load(self.address(0, row, f))), weights, total])
            for row, total in zip(self.rows, sums, strict=True)
        ]
        following = builder.add(f, _INDEX(1))
        builder.cbranch(builder.icmp_signed("<", following, inputs), body, after)
        f.add_incoming(_INDEX(0), before)
        f.add_incoming(following, body)
        builder.position_at_end(after)
        results = [builder.phi(_VECTOR) for _ in self.rows]
        for total, more, result in zip(sums, added, results, strict=True):
            total.add_incoming(first, before)
            total.add_incoming(more, body)
            result.add_incoming(first, before)
            result.add_incoming(more, body)
        return results


def _declared(builder: Any, name: Any, result: Any, arguments: Any) -> Any:
    """Return one of LLVM's own functions of a vector."""
    name = f"llvm.{name}.v{COLUMNS}f32"
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


def _write_instructions(
    _: Any, values: Any, row: Any, last: Any, matrix: Any, column: Any, start: Any, least: Any, out: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = _Block(context, builder, signature, arguments)
        floor = block.spread(arguments[6])
        for at, total in zip(block.rows, block.sums(), strict=True):
            block.store(block.largest(total, floor), 7, at, block.column)
        return context.get_dummy_value()

    return types.void(values, types.intp, types.intp, matrix, types.intp, start, types.float32, out), generate


def _add_scores_instructions(
    _: Any, values: Any, row: Any, last: Any, matrix: Any, column: Any, start: Any, weights: Any, scores: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = _Block(context, builder, signature, arguments)
        weighed, zero = block.load(6, _INDEX(0), block.column), ir.Constant(_VECTOR, None)
        add_up = _declared(builder, "vector.reduce.fadd", _FLOAT, [_FLOAT, _VECTOR])
        totals = []
        for at, total in zip(block.rows, block.sums(), strict=True):
            products = builder.fmul(block.largest(total, zero), weighed)
            pointer = block.address(7, at, at)
            totals.append((pointer, builder.call(add_up, [builder.load(pointer), products], fastmath=("reassoc",))))
        for pointer, total in totals:
            builder.store(total, pointer)
        return context.get_dummy_value()

    return types.void(values, types.intp, types.intp, matrix, types.intp, start, weights, scores), generate


_write: Any = intrinsic(_write_instructions)
_add_scores: Any = intrinsic(_add_scores_instructions)
_OPTIONS: Any = {"forceinline": True, "_nrt": False, "error_model": "numpy"}


@overload(write_block, jit_options=_OPTIONS)
def _write_block(values: Any, row: Any, last: Any, matrix: Any, column: Any, start: Any, least: Any, out: Any) -> Any:
    def compiled(values: Any, row: Any, last: Any, matrix: Any, column: Any, start: Any, least: Any, out: Any) -> None:
        _write(values, row, last, matrix, column, start, least, out)

    return compiled


@overload(add_block_scores, jit_options=_OPTIONS)
def _add_block_scores(
    values: Any, row: Any, last: Any, matrix: Any, column: Any, start: Any, weights: Any, scores: Any
) -> Any:
    def compiled(
        values: Any, row: Any, last: Any, matrix: Any, column: Any, start: Any, weights: Any, scores: Any
    ) -> None:
        _add_scores(values, row, last, matrix, column, start, weights, scores)

    return compiled
