"""Modifications that apply to any graph: add self loops, isolate vertices, reorder the vertices."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.graphs.generators.pairs import check_shares
from gnnsched_env.graphs.graph import Graph

I64 = NDArray[np.int64]


def with_loops(rng: np.random.Generator, graph: Graph, share: float) -> Graph:
    """Give each vertex a self loop with probability `share`; loops already there stay."""
    (share,) = check_shares("self loops", share=share)
    rows, columns = _entries(graph)
    looped = np.flatnonzero(rng.random(graph.num_vertices) < share)
    return _rebuilt(graph, np.concatenate([rows, looped]), np.concatenate([columns, looped]))


def with_isolated(rng: np.random.Generator, graph: Graph, share: float) -> Graph:
    """Isolate each vertex with probability `share`: remove all its edges and loops, but keep its (empty) row."""
    (share,) = check_shares("isolated", share=share)
    rows, columns = _entries(graph)
    bare = rng.random(graph.num_vertices) < share
    kept = ~(bare[rows] | bare[columns])
    return _rebuilt(graph, rows[kept], columns[kept])


def shuffled(rng: np.random.Generator, graph: Graph) -> Graph:
    """Return the graph with its vertices in random order."""
    return _renumbered(graph, rng.permutation(graph.num_vertices))


def hubs_first(graph: Graph) -> Graph:
    """Return the graph with its vertices by falling row degree; ties keep their order."""
    number = np.empty(graph.num_vertices, np.int64)
    number[np.argsort(-graph.degrees, kind="stable")] = np.arange(graph.num_vertices)
    return _renumbered(graph, number)


def _renumbered(graph: Graph, number: I64) -> Graph:
    rows, columns = _entries(graph)
    return _rebuilt(graph, number[rows], number[columns])


def _entries(graph: Graph) -> tuple[I64, I64]:
    """Return the rows and columns of the entries; each edge of an undirected graph appears only once."""
    rows = np.repeat(np.arange(graph.num_vertices), graph.degrees)
    columns = graph.indices.astype(np.int64)
    if not graph.undirected:
        return rows, columns
    once = rows <= columns
    return rows[once], columns[once]


def _rebuilt(graph: Graph, rows: I64, columns: I64) -> Graph:
    return Graph.from_edges(graph.num_vertices, rows, columns, undirected=graph.undirected, name=graph.name)
