"""Convolutions, products and reshapes with their gradients: the stand-in's configurable operations and their rows."""

from collections.abc import Sequence
from itertools import product
from typing import Final

from gnnsched_env.forecast.data import schema
from gnnsched_env.forecast.standin.tape import Dims, Int8Array, Tape, Tensor, layout_rows, row_major

# dimension numbers: input batch, feature, spatial; kernel input, output feature, spatial; output batch, feature
_FORWARD: Final = (0, 3, 1, 2, 0, 0, 2, 3, 0, 1, 0, 0, 0, 3)
_INPUT_GRADIENT: Final = (0, 3, 1, 2, 0, 0, 3, 2, 0, 1, 0, 0, 0, 3)
_KERNEL_GRADIENT: Final = (3, 0, 1, 2, 0, 0, 0, 3, 1, 2, 0, 0, 2, 3)
_OUTER: Final = 2  # dimensions before and after the two spatial ones


def convolve(tape: Tape, image: Tensor, kernel: Tensor, stride: int = 1) -> Tensor:
    """Return a convolution of [batch, height, width, channels] that keeps the size, over the stride."""
    size, channels = kernel.dims[0], kernel.dims[3]
    batch, height, width, _ = image.dims
    dims = (batch, -(-height // stride), -(-width // stride), channels)
    return _convolution(tape, dims, [image, kernel], _FORWARD, (size, size), stride=stride, reach=size // 2)


def convolve_back(tape: Tape, gradient: Tensor, kernel: Tensor) -> Tensor:
    """Return the gradient of the input of a convolution of stride 1: one with the kernel turned round."""
    size, channels = kernel.dims[0], kernel.dims[2]
    dims = (*gradient.dims[:3], channels)
    return _convolution(tape, dims, [gradient, kernel], _INPUT_GRADIENT, (size, size), reach=size // 2, reversal=(1, 1))


def kernel_gradient(tape: Tape, image: Tensor, gradient: Tensor, kernel: Dims, stride: int = 1) -> Tensor:
    """Return the gradient of the kernel: the image under a window as large as the gradient."""
    window = (gradient.dims[1], gradient.dims[2])
    reach = kernel[0] // 2
    return _convolution(tape, kernel, [image, gradient], _KERNEL_GRADIENT, window, reach=reach, dilation=stride)


def matrix_product(tape: Tape, dims: Dims, operands: Sequence[Tensor]) -> Tensor:
    """Return a product of two matrices, one of them transposed in the gradients: the shape is told."""
    layouts = ([1, 0], [0, 1])
    rows = [([1, 0], [], []), *product(layouts, layouts, layouts)]
    return tape.add(schema.DOT, dims, operands, kind=operands[0].kind, alphabet=layout_rows(rows))


def reshape(tape: Tape, tensor: Tensor, dims: Dims) -> Tensor:
    """Return the data in another shape; rows: the compiler's choice, or either of two orders on both sides."""
    rows: list[tuple[list[int], ...]] = [([], [])]
    rows += product(_orders(len(dims)), _orders(len(tensor.dims)))
    return tape.add(schema.RESHAPE, dims, [tensor], kind=tensor.kind, alphabet=layout_rows(rows))


def _orders(rank: int) -> list[list[int]]:
    """Return the last dimension first, or the first one moved before it; what is left falls."""
    usual = row_major(rank)
    return [usual, [0, *usual[:-1]]] if rank > 1 else [usual]


def _convolution(
    tape: Tape,
    dims: Dims,
    operands: Sequence[Tensor],
    numbers: Sequence[int],
    window: Sequence[int],
    *,
    stride: int = 1,
    reach: int = 0,
    dilation: int = 1,
    reversal: Sequence[int] = (0, 0),
) -> Tensor:
    return tape.add(
        schema.CONVOLUTION,
        dims,
        operands,
        kind=operands[0].kind,
        alphabet=_convolution_rows(numbers),
        convolution=numbers,
        groups=(1, 1),
        window_size=window,
        window_stride=(stride, stride),
        window_low=(reach, reach),
        window_high=(reach, reach),
        window_dilation=(dilation, dilation),
        base_dilation=(1, 1),
        reversal=reversal,
    )


def _convolution_rows(numbers: Sequence[int]) -> Int8Array:
    """Return the 8 rows: the two outer dimensions of each tensor, in either order, the higher one minor first."""
    outer = [numbers[-_OUTER:], numbers[:_OUTER], numbers[6 : 6 + _OUTER]]
    orders = [[sorted(pair, reverse=True), sorted(pair)] for pair in outer]
    return layout_rows(list(product(*orders)))
