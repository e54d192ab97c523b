"""Structural statistics of a graph: density, degree moments, clustering."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import kernel
from gnnsched_env.common.errors import GraphError
from gnnsched_env.graphs.graph import Graph
from gnnsched_env.graphs.structure import whole_number

GRAPHLAXY_TRIALS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphStatistics:
    """Numbers that describe a graph's structure; degrees are row lengths, self loops included.

    `edges` counts undirected edges once (directed ones singly), without self loops; `density` is edges over the
    possible ones (0 for a single vertex); `degree_skewness` is the third standardised moment (0 for a regular graph);
    `clustering` is the mean local clustering coefficient, vertices of degree below 2 counting 0.
    """

    vertices: int
    edges: int
    self_loops: int
    empty_rows: int
    density: float
    mean_degree: float
    degree_deviation: float
    degree_skewness: float
    max_degree: int
    clustering: float


def graph_statistics(
    graph: Graph, *, rng: np.random.Generator | None = None, trials: int = GRAPHLAXY_TRIALS
) -> GraphStatistics:
    """Measure a graph; with a generator, clustering is estimated from `trials` samples, otherwise it is exact.

    O(V+E), and for exact clustering O(E sqrt(E)).
    """
    degrees = graph.degrees
    vertices = graph.num_vertices
    loops = int(graph.loops.sum())
    edges = (graph.num_edges - loops) // 2 if graph.undirected else graph.num_edges - loops
    possible = vertices * (vertices - 1) // (2 if graph.undirected else 1)
    mean = float(degrees.mean())
    deviation = float(degrees.std())
    skewness = float(((degrees - mean) ** 3).mean()) / deviation**3 if deviation > 0.0 else 0.0
    return GraphStatistics(
        vertices=vertices,
        edges=edges,
        self_loops=loops,
        empty_rows=int((degrees == 0).sum()),
        density=edges / possible if possible else 0.0,
        mean_degree=mean,
        degree_deviation=deviation,
        degree_skewness=skewness,
        max_degree=int(degrees.max()),
        clustering=average_clustering(graph) if rng is None else sampled_clustering(graph, rng, trials=trials),
    )


def local_clustering(graph: Graph) -> NDArray[np.float64]:
    """Return float64 [V]: the share of each vertex's pairs of neighbours that are joined; self loops do not count.

    Exact; O(E sqrt(E)) time, since every triangle is found from its corner of least degree.
    """
    _require_undirected(graph)
    triangles = _triangles(graph.indptr, graph.indices)
    degrees = graph.degrees - graph.loops
    pairs = degrees * (degrees - 1) // 2
    clustering = np.zeros(graph.num_vertices)
    np.divide(triangles, pairs, out=clustering, where=pairs > 0)
    return clustering


def average_clustering(graph: Graph) -> float:
    """Return the mean of `local_clustering`."""
    return float(local_clustering(graph).mean())


def sampled_clustering(graph: Graph, rng: np.random.Generator, *, trials: int = GRAPHLAXY_TRIALS) -> float:
    """Estimate the mean local clustering: the share of random vertices with two random neighbours joined.

    O(V + trials log(max degree)); the standard error is at most 0.5 / sqrt(trials).
    """
    _require_undirected(graph)
    whole_number(f"graph {graph.name!r}", "trials", trials)
    stripped = _without_loops(graph)
    return float(_sampled_clustering(rng, stripped.indptr, stripped.indices, trials))


def _require_undirected(graph: Graph) -> None:
    if not graph.undirected:
        raise GraphError(f"graph {graph.name!r}: clustering is defined here for undirected graphs only")


def _without_loops(graph: Graph) -> Graph:
    loops = graph.loops
    if not loops.any():
        return graph
    rows = np.repeat(np.arange(graph.num_vertices), graph.degrees)
    kept = rows != graph.indices
    return Graph.from_edges(graph.num_vertices, rows[kept], graph.indices[kept], name=graph.name)


@kernel
def _triangles(indptr: NDArray[np.int64], indices: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return int64 [V]: triangles through each vertex.

    Edges point from lower to higher (degree, id); then no vertex has more than sqrt(2E) of them.
    """
    vertices = len(indptr) - 1
    forward = np.empty(len(indices), dtype=np.int32)
    ends = np.empty(vertices, dtype=np.int64)
    for vertex in range(vertices):
        ends[vertex] = indptr[vertex]
        degree = indptr[vertex + 1] - indptr[vertex]
        for entry in range(indptr[vertex], indptr[vertex + 1]):
            other = indices[entry]
            other_degree = indptr[other + 1] - indptr[other]
            if other_degree > degree or (other_degree == degree and other > vertex):
                forward[ends[vertex]] = other
                ends[vertex] += 1
    triangles = np.zeros(vertices, dtype=np.int64)
    seen_from = np.full(vertices, -1, dtype=np.int64)
    for vertex in range(vertices):
        for entry in range(indptr[vertex], ends[vertex]):
            seen_from[forward[entry]] = vertex
        for entry in range(indptr[vertex], ends[vertex]):
            middle = forward[entry]
            for onward in range(indptr[middle], ends[middle]):
                third = forward[onward]
                if seen_from[third] == vertex:
                    triangles[vertex] += 1
                    triangles[middle] += 1
                    triangles[third] += 1
    return triangles


@kernel
def _sampled_clustering(
    rng: np.random.Generator, indptr: NDArray[np.int64], indices: NDArray[np.int32], trials: int
) -> float:
    vertices = len(indptr) - 1
    joined = 0
    for _ in range(trials):
        vertex = int(rng.random() * vertices)
        degree = indptr[vertex + 1] - indptr[vertex]
        if degree < 2:
            continue
        first = int(rng.random() * degree)
        second = int(rng.random() * (degree - 1))
        second += second >= first
        row = indices[indptr[vertex] + first]
        wanted = indices[indptr[vertex] + second]
        low = indptr[row]
        high = indptr[row + 1]
        while low < high:
            middle = (low + high) // 2
            if indices[middle] < wanted:
                low = middle + 1
            else:
                high = middle
        joined += low < indptr[row + 1] and indices[low] == wanted
    return joined / trials
