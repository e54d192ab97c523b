"""Fused kernels of the stand-in and what their tile sizes cost.

The made-up machine works tile by tile: each takes a fixed time, then the time to move its elements, padded to 8 rows
of 128 lanes in the two last dimensions, and to compute on them; a tile that does not fit in the scratch memory with
what is kept beside it takes longer, the more so the less it fits. A kernel bound says how much of a convolution's
filters is held at once: more of it means fewer passes over the input.
"""

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.forecast.data import schema
from gnnsched_env.forecast.standin import tape as ops
from gnnsched_env.forecast.standin import tensor_operations as layers
from gnnsched_env.forecast.standin.tape import Dims, Tape, Tensor

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NOISE: Final = 3e-3
RATIOS: Final = (2.0, 28.5)
"""Between these lies how much slower than its fastest tile size a kernel's slowest may be."""

_MOST_NODES: Final = 60
_MOST_SIZES: Final = 600
_LANES, _ROWS = 128, 8
_SCRATCH_BYTES: Final = 1 << 20
_LAUNCH_NS, _TILE_NS, _NS_PER_BYTE, _NS_PER_OPERATION = 600.0, 30.0, 1.5e-3, 4e-4
_FASTEST, _SLOWEST = 6e2, 4e6
_MOST_TILES: Final = 20_000  # of the sizes that are tried
_CHAIN: Final = (ops.ADD, ops.MULTIPLY, ops.SUBTRACT, ops.MAXIMUM)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kernel:
    """A fused kernel with its tile sizes: float32 [c, 24]; times: float64 [c], ns without noise."""

    tape: Tape
    sizes: NDArray[np.float32]
    times: FloatArray


def kernel(rng: np.random.Generator, *, single: bool = False) -> Kernel:
    """Return a fusion, with a convolution in one of four; `single`: a reshape, which has one (empty) tile size."""
    if single:
        return _reshape(rng)
    tape = Tape()
    filters = rng.random() < 0.25
    result = _convolution(tape, rng) if filters else tape.add(ops.PARAMETER, _shape(rng), number=0)
    depth = _chain(tape, rng, result)
    output = _bounds(rng, result.dims)
    held = _bounds(rng, (prod(tape.tensors[1].dims[:3]),)) if filters else np.ones((1, 0), dtype=np.int64)
    pairs = np.array(list(product(range(len(held)), range(len(output)))))
    chosen = rng.permutation(len(pairs))[: int(np.exp(rng.uniform(np.log(2), np.log(_MOST_SIZES))))]
    held, output = held[pairs[chosen, 0]], output[pairs[chosen, 1]]
    sizes = np.concatenate([_columns(held), _columns(output), _columns(np.ones((len(output), 0)))], axis=1)
    work = prod(tape.tensors[1].dims[:3]) if filters else 0
    ratio = float(np.exp(rng.uniform(*np.log(RATIOS))))
    return Kernel(tape=tape, sizes=sizes, times=_times(result, output, held, depth, work, ratio))


def _reshape(rng: np.random.Generator) -> Kernel:
    tape = Tape()
    dims = _shape(rng)
    source = tape.add(ops.PARAMETER, dims, number=0)
    tape.root(tape.add(schema.RESHAPE, (prod(dims[:-1]), dims[-1]), [source]))
    count = int(rng.integers(2, 9))
    time = np.clip(_LAUNCH_NS + _NS_PER_BYTE * source.num_bytes, _FASTEST, _SLOWEST)
    return Kernel(tape=tape, sizes=np.zeros((count, schema.TILE_WIDTH), np.float32), times=np.full(count, time))


def _shape(rng: np.random.Generator) -> Dims:
    """Return 1 to 4 dimensions, the last ones mostly the largest."""
    rank = int(rng.choice([1, 2, 3, 4], p=[0.1, 0.4, 0.2, 0.3]))
    choices = [[8, 16, 32, 64], [7, 12, 14, 28, 32], [14, 28, 56, 64, 128], [64, 96, 128, 192, 256, 1000]]
    return tuple(int(rng.choice(choices[4 - rank + place])) for place in range(rank))


def _convolution(tape: Tape, rng: np.random.Generator) -> Tensor:
    """Add a convolution; its filters are the tape's second operation."""
    size, channels = int(rng.choice([1, 3])), int(rng.choice([32, 64, 128]))
    dims = (int(rng.choice([8, 16, 32])), *[int(rng.choice([7, 14, 28]))] * 2, channels)
    image = tape.add(ops.PARAMETER, dims, number=0)
    filters = tape.add(ops.PARAMETER, (size, size, channels, int(rng.choice([64, 128, 256]))), number=1)
    result = layers.convolve(tape, image, filters)
    tape.alphabets.clear()  # tile sizes are what is chosen here
    return result


def _chain(tape: Tape, rng: np.random.Generator, result: Tensor) -> int:
    """Add elementwise operations up to the kernel's size, each with its own factor; then the call. Return how many."""
    nodes = int(np.rint(_MOST_NODES * rng.beta(2.6, 1.3)))
    inputs = [tensor for tensor in tape.tensors if tape.opcodes[tensor.node] == ops.PARAMETER]
    depth = 0
    while len(tape) + len(inputs) + 4 <= nodes or not depth:
        factor = tape.fill(tape.add(ops.CONSTANT), result.dims)
        result = tape.same(int(rng.choice(_CHAIN)), factor, result)
        depth += 1
    tape.root(result)
    given = [tape.add(ops.PARAMETER, tensor.dims, number=place) for place, tensor in enumerate(inputs)]
    tape.root(tape.add(ops.FUSION, result.dims, [result, *given]))
    return depth


def _bounds(rng: np.random.Generator, dims: Dims) -> IntArray:
    """Return int64 [k, rank] tile bounds, each a power of two, half as much again, or the whole dimension."""
    choices = []
    for size in dims:
        powers = 2 ** np.arange(int(size).bit_length())
        some = np.concatenate([powers, powers[1:] * 3 // 2, [size]])
        choices.append(sorted({int(bound) for bound in some if bound <= size}))
    bounds = np.array(list(product(*choices)), dtype=np.int64)
    counts = np.prod(-(-np.array(dims) // bounds), axis=1)
    bounds = bounds[counts <= max(_MOST_TILES, int(counts.min()))]
    return np.asarray(bounds[rng.permutation(len(bounds))[:_MOST_SIZES]])


def _columns(bounds: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return float32 [c, 8]: six bounds, their sum, their product (0 when there are none)."""
    values = np.asarray(bounds, dtype=np.float64)
    columns = np.zeros((len(values), 8), dtype=np.float32)
    columns[:, : values.shape[1]] = values
    columns[:, 6] = values.sum(axis=1)
    columns[:, 7] = values.prod(axis=1) if values.shape[1] else 0
    return columns


def _times(result: Tensor, bounds: IntArray, held: IntArray, depth: int, work: int, ratio: float) -> FloatArray:
    """Return ns [c]; `work`: elements of one output's filter (0: none); `held`: how many at once."""
    tiles = np.prod(-(-np.array(result.dims) // bounds), axis=1)
    padded = bounds.astype(np.float64)
    for place, unit in ((-1, _LANES), (-2, _ROWS)):
        if bounds.shape[1] >= -place:
            padded[:, place] = unit * np.ceil(padded[:, place] / unit)
    elements = padded.prod(axis=1)
    share = held[:, 0] / work if work else np.ones(len(bounds))
    passes = np.ceil(1 / share)
    kept = 4 * elements * (2 + min(depth, 6) / 2) + 4 * share * work * padded[:, -1]
    compute = _NS_PER_OPERATION * elements * (depth + 0.02 * work)
    move = _NS_PER_BYTE * 4 * elements * (1 + passes)
    one = _TILE_NS * passes + np.maximum(compute, move) * np.maximum(1, kept / _SCRATCH_BYTES) ** 0.5
    times = _LAUNCH_NS + tiles * one
    least, most = times.min(), times.max()
    if most > ratio * least:
        times = times + (most - ratio * least) / (ratio - 1)
    return np.asarray(times * min(1.0, 0.98 * _SLOWEST / times.max()))


def measured(rng: np.random.Generator, times: FloatArray) -> tuple[IntArray, IntArray]:
    """Return int64 ns of the sizes and of the compiler's own choice, one of the faster, measured beside each."""
    noisy = np.maximum(_FASTEST, times * rng.lognormal(0, NOISE, len(times)))
    usual = np.sort(times)[int(rng.uniform(0, 0.4) * len(times))] * rng.uniform(0.995, 1.005, len(times))
    return np.rint(noisy).astype(np.int64), np.rint(usual).astype(np.int64)
