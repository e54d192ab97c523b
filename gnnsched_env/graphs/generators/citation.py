"""Citation-like growth: new vertices cite prominent and recent ones, and what those cite (compare Cora, Citeseer)."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Number
from gnnsched_env.common.compiled import helper, kernel
from gnnsched_env.graphs.generators.pairs import check_shares, check_vertices
from gnnsched_env.graphs.graph import Graph

MOST_TRIES = 16


def citation_graph(
    rng: np.random.Generator,
    vertices: int,
    *,
    references: float = 2.0,
    copying: float = 0.6,
    fame: float = 0.2,
    ageing: float = 0.1,
) -> Graph:
    """Grow a connected, undirected graph vertex by vertex.

    A new vertex has 1 + geometric references, `references` on average (repeats are dropped). A reference copies one
    of the previous reference's own with probability `copying`, which closes a triangle; otherwise it is chosen in
    proportion to citations with probability `fame`, else uniformly, and in both cases damped by
    1 / (1 + age / (ageing * vertices)), age counted in vertices.
    """
    vertices = check_vertices("citation", vertices)
    references = Number(least=1).check("citation", "references", references)
    copying, fame = check_shares("citation", copying=copying, fame=fame)
    ageing = Number(above=0, finite=False).check("citation", "ageing", ageing)
    counts = _reference_counts(rng, vertices, 1.0 - 1.0 / references)
    sources, targets = _cite(rng, counts, copying, fame, ageing * vertices)
    return Graph.from_edges(vertices, sources, targets, name="citation")


@kernel
def _reference_counts(rng: np.random.Generator, vertices: int, more: float) -> NDArray[np.int64]:
    """Return int64 [vertices]: references that each vertex tries to place; the first has none."""
    counts = np.zeros(vertices, dtype=np.int64)
    for vertex in range(1, vertices):
        counts[vertex] = 1
        while counts[vertex] < vertex and rng.random() < more:
            counts[vertex] += 1
    return counts


@kernel
def _cite(
    rng: np.random.Generator, counts: NDArray[np.int64], copying: float, fame: float, lifetime: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    vertices = len(counts)
    sources = np.empty(counts.sum(), dtype=np.int64)
    targets = np.empty(counts.sum(), dtype=np.int64)
    start = np.zeros(vertices + 1, dtype=np.int64)  # vertex v's references are targets[start[v]:start[v+1]]
    edges = 0
    for vertex in range(1, vertices):
        start[vertex] = edges
        last = -1
        for _ in range(counts[vertex]):
            known = start[last + 1] - start[last] if last >= 0 else 0
            if known > 0 and rng.random() < copying:
                target = targets[start[last] + int(rng.random() * known)]
            else:
                target = _prominent(rng, targets, start[vertex], vertex, fame, lifetime)
            repeated = False
            for entry in range(start[vertex], edges):
                repeated |= targets[entry] == target
            if not repeated:
                sources[edges] = vertex
                targets[edges] = target
                edges += 1
            last = target
        start[vertex + 1] = edges
    return sources[:edges], targets[:edges]


@helper
def _prominent(
    rng: np.random.Generator, targets: NDArray[np.int64], citations: int, vertex: int, fame: float, lifetime: float
) -> int:
    """Draw an earlier vertex, weighted by recency and maybe citations, by rejection with a bounded number of tries."""
    candidate = 0
    for _ in range(MOST_TRIES):
        if citations > 0 and rng.random() < fame:
            candidate = targets[int(rng.random() * citations)]
        else:
            candidate = int(rng.random() * vertex)
        if rng.random() < 1.0 / (1.0 + (vertex - candidate) / lifetime):
            break
    return candidate
