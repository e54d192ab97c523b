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
from gnnsched_env.forecast.standin.tape import Dims, Op, Tape, Tensor
from gnnsched_env.forecast.standin.training_steps import convolve

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
_CHAIN: Final = (Op.ADD, Op.MULTIPLY, Op.SUBTRACT, Op.MAXIMUM)
_SIZES: Final = ([8, 16, 32, 64], [7, 12, 14, 28, 32], [14, 28, 56, 64, 128], [64, 96, 128, 192, 256, 1000])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kernel:
    """A fused kernel with its tile sizes: float32 [c, 24]; times: float64 [c], ns without noise."""

    tape: Tape
    sizes: NDArray[np.float32]
    times: FloatArray


def kernel(rng: np.random.Generator, *, single: bool = False) -> Kernel:
    """Return a fusion, with a convolution in one of four; `single`: a reshape, which has one (empty) tile size."""
    tape, filters = Tape(), not single and rng.random() < 0.25
    if filters:
        size, channels, side = int(rng.choice([1, 3])), int(rng.choice([32, 64, 128])), int(rng.choice([7, 14, 28]))
        image = tape.add(Op.PARAMETER, (int(rng.choice([8, 16, 32])), side, side, channels), number=0)
        weights = tape.add(Op.PARAMETER, (size, size, channels, int(rng.choice([64, 128, 256]))), number=1)
        result = convolve(tape, image, weights)
    else:
        rank = int(rng.choice([1, 2, 3, 4], p=[0.1, 0.4, 0.2, 0.3]))
        result = tape.add(Op.PARAMETER, [int(rng.choice(sizes)) for sizes in _SIZES[4 - rank :]], number=0)
    if single:
        tape.root(tape.add(Op.RESHAPE, (prod(result.dims),), [result]))
        sizes = np.zeros((int(rng.integers(2, 9)), schema.TILE_WIDTH), np.float32)
        return Kernel(tape=tape, sizes=sizes, times=np.full(len(sizes), _LAUNCH_NS + _NS_PER_BYTE * result.num_bytes))
    depth = _chain(tape, rng, result)
    work = prod(tape.tensors[1].dims[:3]) if filters else 0
    output = _bounds(rng, result.dims)
    held = _bounds(rng, (work,)) if filters else np.ones((1, 0), dtype=np.int64)
    pairs = np.array(list(product(range(len(held)), range(len(output)))))
    chosen = rng.permutation(len(pairs))[: int(np.exp(rng.uniform(np.log(2), np.log(_MOST_SIZES))))]
    held, output = held[pairs[chosen, 0]], output[pairs[chosen, 1]]
    sizes = np.concatenate([_columns(held), _columns(output), _columns(held[:, :0])], axis=1)
    ratio = float(np.exp(rng.uniform(*np.log(RATIOS))))
    return Kernel(tape=tape, sizes=sizes, times=kernel_times(result, output, held, depth, work, ratio))


def kernel_times(result: Tensor, bounds: IntArray, held: IntArray, depth: int, work: int, ratio: float) -> FloatArray:
    """Return noise-free ns [c] of tile bounds [c, rank], the slowest at most `ratio` times the fastest.

    `depth`: elementwise operations; `work`: elements of one output's filter (0: none); `held` [c, 1]: how many at once.
    """
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


def _chain(tape: Tape, rng: np.random.Generator, result: Tensor) -> int:
    """Add elementwise operations up to the kernel's size, each with its own factor; then the call. Return how many."""
    nodes = int(np.rint(_MOST_NODES * rng.beta(2.6, 1.3)))
    inputs = [tensor for tensor in tape.tensors if tape.opcodes[tensor.node] == Op.PARAMETER]
    depth = 0
    while len(tape) + len(inputs) + 4 <= nodes or not depth:
        result = tape.same(_CHAIN[int(rng.integers(len(_CHAIN)))], tape.fill(result), result)
        depth += 1
    tape.root(result)
    given = [tape.add(Op.PARAMETER, tensor.dims, number=place) for place, tensor in enumerate(inputs)]
    tape.root(tape.add(Op.FUSION, result.dims, [result, *given]))
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


def _columns(bounds: IntArray) -> NDArray[np.float32]:
    """Return float32 [c, 8]: six bounds, their sum, their product (0 when there are none)."""
    columns = np.zeros((len(bounds), 8), dtype=np.float32)
    columns[:, : bounds.shape[1]] = bounds
    columns[:, 6] = bounds.sum(axis=1)
    columns[:, 7] = bounds.prod(axis=1) if bounds.shape[1] else 0
    return columns
