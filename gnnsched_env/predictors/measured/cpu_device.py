"""This machine's CPU as a device: three ways to run one GCN layer, timed on one thread.

A layer is ((A + I) X) W, in float32. Each way starts from the CSR arrays of A + I, as the package holds them, so that
it pays for its own form of the matrix: a job brings a new graph. Dense and gathered forms are built in pieces of at
most PIECE_BYTES, so that no graph is too large for a way, though it may be too slow (MOST_OPERATIONS). What is timed
is the thread's CPU time: on an idle machine the wall-clock time, and elsewhere without the waits for other processes.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import Graph
from gnnsched_env.predictors.measured.measuring import Reading

Matrix = NDArray[np.float32]

PIECE_BYTES = 1 << 28
MOST_OPERATIONS = 1 << 37  # limit on multiply-adds of the slowest way: takes seconds, while most jobs take microseconds
WARM_UPS = 2
LEAST_REPEATS, MOST_REPEATS = 7, 101
ENOUGH_SECONDS = 0.05  # repeats end after this time, or after MOST_REPEATS


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerInput:
    """CSR arrays of A + I (`values` float32 [E]), `features` float32 [V, F], `weights` float32 [F, G]."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: Matrix
    features: Matrix
    weights: Matrix


def layer_input(graph: Graph, in_features: int, out_features: int, seed: int = 0) -> LayerInput:
    """Return the layer's operands: A + I of ones, and random features and weights."""
    looped, rng = graph.with_self_loops(), np.random.default_rng(seed)
    return LayerInput(
        indptr=looped.indptr,
        indices=looped.indices,
        values=np.ones(looped.num_edges, np.float32),
        features=rng.random((looped.num_vertices, in_features), np.float32),
        weights=rng.random((in_features, out_features), np.float32),
    )


def csr_spmm(layer: LayerInput) -> Matrix:
    """Multiply sparse by dense with scipy, row by row, then multiply by the dense weights."""
    vertices = len(layer.features)
    matrix = csr_array((layer.values, layer.indices, layer.indptr), shape=(vertices, vertices))
    result: Matrix = (matrix @ layer.features) @ layer.weights
    return result


@torch.inference_mode()  # type: ignore[untyped-decorator]
def gather_scatter(layer: LayerInput) -> Matrix:
    """Gather the neighbours' features of every edge by torch, add them up at their targets, then a dense product."""
    features = torch.from_numpy(layer.features)
    targets = torch.from_numpy(np.repeat(np.arange(len(features)), np.diff(layer.indptr)))
    sources = torch.from_numpy(_writable(layer.indices))
    values = torch.from_numpy(layer.values)
    total = torch.zeros_like(features)
    step = max(1, PIECE_BYTES // (4 * features.shape[1]))
    for start in range(0, len(targets), step):
        piece = slice(start, start + step)
        messages = features.index_select(0, sources[piece]).mul_(values[piece, None])
        total.index_add_(0, targets[piece], messages)
    result: Matrix = (total @ torch.from_numpy(layer.weights)).numpy()
    return result


def dense_gemm(layer: LayerInput) -> Matrix:
    """Expand the matrix with all its zeros, a piece of rows at a time, then compute two dense products."""
    vertices = len(layer.features)
    total = np.empty_like(layer.features)
    step = max(1, PIECE_BYTES // (4 * vertices))
    for start in range(0, vertices, step):
        stop = min(start + step, vertices)
        piece = np.zeros((stop - start, vertices), np.float32)
        first, last = layer.indptr[start], layer.indptr[stop]
        rows = np.repeat(np.arange(stop - start), np.diff(layer.indptr[start : stop + 1]))
        piece[rows, layer.indices[first:last]] = layer.values[first:last]
        np.matmul(piece, layer.features, out=total[start:stop])
    result: Matrix = total @ layer.weights
    return result


WAYS: Mapping[str, Callable[[LayerInput], Matrix]] = MappingProxyType(
    {"csr_spmm": csr_spmm, "gather_scatter": gather_scatter, "dense_gemm": dense_gemm}
)
"""The choices of this device, by name."""


def operations(graph: Graph, in_features: int, out_features: int) -> int:
    """Return the multiply-adds of the most expensive way: V^2 F + V F G."""
    vertices = graph.num_vertices
    return vertices * in_features * (vertices + out_features)


def measure(graph: Graph, in_features: int, out_features: int) -> dict[str, Reading]:
    """Return each way's latency. Run it inside `one_thread()`.

    Raises `ConfigError` for a graph beyond MOST_OPERATIONS.
    """
    work = operations(graph, in_features, out_features)
    if work > MOST_OPERATIONS:
        raise ConfigError(
            f"{graph.name}: V^2 F + V F G must be at most {MOST_OPERATIONS:.2g} to be measured, got {work:.2g}"
        )
    layer = layer_input(graph, in_features, out_features)
    return {name: _time(way, layer) for name, way in WAYS.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


def _time(way: Callable[[LayerInput], Matrix], layer: LayerInput) -> Reading:
    for _ in range(WARM_UPS):
        way(layer)
    taken: list[int] = []
    while len(taken) < LEAST_REPEATS or (sum(taken) < 1e9 * ENOUGH_SECONDS and len(taken) < MOST_REPEATS):
        start = time.thread_time_ns()
        way(layer)
        taken.append(time.thread_time_ns() - start)
    return Reading(microseconds=float(np.median(taken)) / 1_000, repeats=len(taken))


def _writable(array: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the array, copied if it is read-only: torch has no read-only tensors and warns."""
    return array if array.flags.writeable else array.copy()
