"""Connected components of undirected graphs."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gnnsched_env.common.errors import GraphError
from gnnsched_env.graphs.graph import Graph


def component_labels(graph: Graph) -> NDArray[np.int64]:
    """Return int64 [V]: the component of each vertex, numbered in the order of their lowest vertex."""
    if not graph.undirected:
        raise GraphError(f"graph {graph.name!r}: components are defined here for undirected graphs only")
    labels: NDArray[np.int64] = _component_labels(graph.indptr, graph.indices)
    return labels


def largest_component(graph: Graph) -> Graph:
    """Return the largest component, vertices renumbered in order; among equals the one with the lowest vertex."""
    labels = component_labels(graph)
    keep = labels == np.bincount(labels).argmax()
    if keep.all():
        return graph
    return Graph.from_valid(*_induced(graph.indptr, graph.indices, keep), name=graph.name)


@njit(cache=True)
def _component_labels(indptr: NDArray[np.int64], indices: NDArray[np.int32]) -> NDArray[np.int64]:
    vertices = len(indptr) - 1
    labels = np.full(vertices, -1, dtype=np.int64)
    stack = np.empty(vertices, dtype=np.int64)
    found = 0
    for root in range(vertices):
        if labels[root] >= 0:
            continue
        labels[root] = found
        stack[0] = root
        depth = 1
        while depth > 0:
            depth -= 1
            vertex = stack[depth]
            for entry in range(indptr[vertex], indptr[vertex + 1]):
                neighbour = indices[entry]
                if labels[neighbour] < 0:
                    labels[neighbour] = found
                    stack[depth] = neighbour
                    depth += 1
        found += 1
    return labels


@njit(cache=True)
def _induced(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], keep: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the CSR arrays of the subgraph on the vertices kept, numbered in their old order."""
    number = np.cumsum(keep) - 1
    new_indptr = np.zeros(number[-1] + 2, dtype=np.int64)
    new_indices = np.empty(len(indices), dtype=np.int32)
    position = 0
    for vertex in range(len(keep)):
        if not keep[vertex]:
            continue
        for entry in range(indptr[vertex], indptr[vertex + 1]):
            if keep[indices[entry]]:
                new_indices[position] = number[indices[entry]]
                position += 1
        new_indptr[number[vertex] + 1] = position
    return new_indptr, new_indices[:position].copy()
