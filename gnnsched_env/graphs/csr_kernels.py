"""Compiled kernels on CSR arrays: checking, building from edges, self loops, batches. Plain arrays in and out.

All of them work on a set of graphs: `indptr` [V+1] holds global offsets into `indices`, `graph_ptr` [graphs+1] the
vertex offsets, and neighbour ids are local to their graph. One graph is a set with `graph_ptr = [0, V]`. Serial, and
linear in V+E.
"""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import helper, kernel

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

VALID, OUT_OF_RANGE, NOT_INCREASING, NO_MATE = range(4)


@kernel
def check_rows(indptr: I64, indices: I32, graph_ptr: I64) -> tuple[int, int, int]:
    """Return (code, global vertex, neighbour id) of the first entry out of range or not above the one before it."""
    for graph in range(len(graph_ptr) - 1):
        size = graph_ptr[graph + 1] - graph_ptr[graph]
        for vertex in range(graph_ptr[graph], graph_ptr[graph + 1]):
            previous = -1
            for entry in range(indptr[vertex], indptr[vertex + 1]):
                neighbour = indices[entry]
                if neighbour < 0 or neighbour >= size:
                    return OUT_OF_RANGE, vertex, neighbour
                if neighbour <= previous:
                    return NOT_INCREASING, vertex, neighbour
                previous = neighbour
    return VALID, 0, 0


@kernel
def check_symmetry(indptr: I64, indices: I32, graph_ptr: I64) -> tuple[int, int, int]:
    """Return (code, global vertex, neighbour id) of an entry whose reverse is missing; rows must be valid.

    Rows are read in ascending order, so the reverse of each entry must be the first one not yet met in its row.
    """
    met = indptr[:-1].copy()
    for graph in range(len(graph_ptr) - 1):
        base = graph_ptr[graph]
        for vertex in range(base, graph_ptr[graph + 1]):
            for entry in range(indptr[vertex], indptr[vertex + 1]):
                other = base + indices[entry]
                mate = met[other]
                if mate == indptr[other + 1] or indices[mate] > vertex - base:
                    return NO_MATE, vertex, indices[entry]
                if indices[mate] < vertex - base:
                    return NO_MATE, other, indices[mate]
                met[other] = mate + 1
    return VALID, 0, 0


@kernel
def loop_flags(indptr: I64, indices: I32, graph_ptr: I64) -> NDArray[np.bool_]:
    """Return bool [V]: does the vertex have a self loop?"""
    flags = np.zeros(len(indptr) - 1, dtype=np.bool_)
    for graph in range(len(graph_ptr) - 1):
        base = graph_ptr[graph]
        for vertex in range(base, graph_ptr[graph + 1]):
            for entry in range(indptr[vertex], indptr[vertex + 1]):
                if indices[entry] >= vertex - base:
                    flags[vertex] = indices[entry] == vertex - base
                    break
    return flags


@kernel
def add_loops(indptr: I64, indices: I32, flags: NDArray[np.bool_]) -> tuple[I64, I32]:
    """Return the CSR arrays of one graph's A+I; `flags` marks the vertices that have their loop already."""
    vertices = len(indptr) - 1
    new_indptr = np.empty_like(indptr)
    missing = 0
    for vertex in range(vertices):
        new_indptr[vertex] = indptr[vertex] + missing
        missing += not flags[vertex]
    new_indptr[vertices] = indptr[vertices] + missing
    new_indices = np.empty(new_indptr[vertices], dtype=np.int32)
    position = 0
    for vertex in range(vertices):
        due = not flags[vertex]
        for entry in range(indptr[vertex], indptr[vertex + 1]):
            if due and indices[entry] > vertex:
                new_indices[position] = vertex
                position += 1
                due = False
            new_indices[position] = indices[entry]
            position += 1
        if due:
            new_indices[position] = vertex
            position += 1
    return new_indptr, new_indices


@kernel
def csr_from_edges(vertices: int, sources: I64, targets: I64, both_ways: bool) -> tuple[I64, I32]:
    """Return CSR arrays of the edges, rows sorted and free of repeats; `both_ways` adds every reverse.

    Two counting sorts: by target, then, stable, by source.
    """
    by_target = np.zeros(vertices + 1, dtype=np.int64)
    by_source = np.zeros(vertices + 1, dtype=np.int64)
    for i in range(len(sources)):
        by_target[targets[i] + 1] += 1
        by_source[sources[i] + 1] += 1
    if both_ways:
        by_target += by_source
        by_source[:] = by_target
    by_target = np.cumsum(by_target)
    by_source = np.cumsum(by_source)
    owners = np.empty(by_target[vertices], dtype=np.int32)
    fill = by_target[:-1].copy()
    for i in range(len(sources)):
        owners[fill[targets[i]]] = sources[i]
        fill[targets[i]] += 1
        if both_ways:
            owners[fill[sources[i]]] = targets[i]
            fill[sources[i]] += 1
    rows = np.empty(len(owners), dtype=np.int32)
    fill[:] = by_source[:-1]
    for target in range(vertices):
        for position in range(by_target[target], by_target[target + 1]):
            rows[fill[owners[position]]] = target
            fill[owners[position]] += 1
    return _drop_repeats(by_source, rows)


@helper
def _drop_repeats(indptr: I64, indices: I32) -> tuple[I64, I32]:
    """Return the CSR arrays with equal neighbours in sorted rows merged; `indices` is used as scratch space."""
    kept = 0
    new_indptr = np.zeros(len(indptr), dtype=np.int64)
    for vertex in range(len(indptr) - 1):
        previous = -1
        for position in range(indptr[vertex], indptr[vertex + 1]):
            if indices[position] != previous:
                previous = indices[position]
                indices[kept] = previous
                kept += 1
        new_indptr[vertex + 1] = kept
    return new_indptr, indices[:kept].copy()


@kernel
def batch_size(graph_ptr: I64, ids: I64) -> int:
    """Return the number of vertices in the batch, or -1-i if `ids[i]` is out of range."""
    vertices = 0
    for i in range(len(ids)):
        if ids[i] < 0 or ids[i] >= len(graph_ptr) - 1:
            return -1 - i
        vertices += graph_ptr[ids[i] + 1] - graph_ptr[ids[i]]
    return vertices


@kernel
def batch_degrees(degrees: I64, graph_ptr: I64, ids: I64) -> tuple[int, I64]:
    """Return (vertices or -1-i as `batch_size`, the graphs' pieces of `degrees` [V] one after another)."""
    vertices = batch_size(graph_ptr, ids)
    batch = np.empty(max(vertices, 0), dtype=np.int64)
    row = 0
    if vertices > 0:
        for i in range(len(ids)):
            piece = degrees[graph_ptr[ids[i]] : graph_ptr[ids[i] + 1]]
            batch[row : row + len(piece)] = piece
            row += len(piece)
    return vertices, batch


@kernel
def batch_csr(indptr: I64, indices: I32, graph_ptr: I64, ids: I64, vertices: int) -> tuple[I64, I32]:
    """Return the block-diagonal CSR arrays of the batch; ids must be in range, `vertices` from `batch_size`."""
    entries = 0
    for i in range(len(ids)):
        entries += indptr[graph_ptr[ids[i] + 1]] - indptr[graph_ptr[ids[i]]]
    new_indptr = np.zeros(vertices + 1, dtype=np.int64)
    new_indices = np.empty(entries, dtype=np.int32)
    row = 0
    position = 0
    for i in range(len(ids)):
        offset = row
        for vertex in range(graph_ptr[ids[i]], graph_ptr[ids[i] + 1]):
            for entry in range(indptr[vertex], indptr[vertex + 1]):
                new_indices[position] = indices[entry] + offset
                position += 1
            row += 1
            new_indptr[row] = position
    return new_indptr, new_indices
