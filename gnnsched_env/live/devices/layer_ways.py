"""Ways to run a GNN layer on one thread of a CPU.

A layer is ((A + I) X) W in float32. Each way starts from the CSR arrays of A + I, as the package holds them, so that
it pays for its own form of the matrix: a job brings a new graph. Dense and gathered forms are built in pieces of at
most PIECE_BYTES, so that no graph is too large for a way, though it may be too slow.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from gnnsched_env.graphs import Graph

Matrix = NDArray[np.float32]

PIECE_BYTES = 1 << 28


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
    """Multiply sparse by dense with scipy, row by row."""
    vertices = len(layer.features)
    matrix = csr_array((layer.values, layer.indices, layer.indptr), shape=(vertices, vertices))
    total: Matrix = matrix @ layer.features
    return total


def gather_scatter(layer: LayerInput) -> Matrix:
    """Gather the neighbours' features of every edge by torch, and add them up at their targets."""
    import torch

    with torch.inference_mode():
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
        return total.numpy()


def sparse_csr(layer: LayerInput) -> Matrix:
    """Multiply torch's sparse CSR matrix by the dense features."""
    import torch

    vertices = len(layer.features)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch says that its sparse CSR is in beta
        pointers = torch.from_numpy(_writable(layer.indptr))
        indices = torch.from_numpy(layer.indices.astype(np.int64))
        matrix = torch.sparse_csr_tensor(pointers, indices, torch.from_numpy(layer.values), (vertices, vertices))
        return (matrix @ torch.from_numpy(layer.features)).numpy()


def dense_gemm(layer: LayerInput) -> Matrix:
    """Expand the matrix with all its zeros, a piece of rows at a time, and multiply it by the features."""
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
    return total


SUMS: Mapping[str, Callable[[LayerInput], Matrix]] = MappingProxyType(
    {"csr_spmm": csr_spmm, "gather_scatter": gather_scatter, "sparse_csr": sparse_csr, "dense_gemm": dense_gemm}
)
"""Ways to aggregate, (A + I) X float32 [V, F], by name."""


def run_layer(way: str, layer: LayerInput) -> Matrix:
    """Return ((A + I) X) W, float32 [V, G], aggregated in a way."""
    result: Matrix = SUMS[way](layer) @ layer.weights
    return result


def dense_operations(graph: Graph, in_features: int, out_features: int) -> int:
    """Return the multiply-adds of a layer with all its zeros: V^2 F + V F G."""
    vertices = graph.num_vertices
    return vertices * in_features * (vertices + out_features)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


def _writable(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, copied if it is read-only: torch has no read-only tensors and warns."""
    return array if array.flags.writeable else array.copy()
