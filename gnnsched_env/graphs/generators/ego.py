"""Ego networks: one vertex that knows all the others, who know each other in overlapping circles (compare IMDB)."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Number
from gnnsched_env.common.compiled import kernel
from gnnsched_env.graphs.generators.pairs import check_shares, check_vertices
from gnnsched_env.graphs.graph import Graph


def ego_graph(rng: np.random.Generator, vertices: int, *, circle: float = 6.0, newcomers: float = 0.95) -> Graph:
    """Draw the union of cliques that share vertex 0, until `vertices` are there.

    A circle is a clique of the ego and 1 + geometric others, `circle` on average; its first member is new, each further
    one is new with probability `newcomers`, else one already known. IMDB's actors who share a film are such a clique.
    Takes O(V^2) memory: such graphs are dense.
    """
    vertices = check_vertices("ego network", vertices)
    circle = Number(least=1).check("ego network", "circle", circle)
    (newcomers,) = check_shares("ego network", newcomers=newcomers)
    sources, targets = np.nonzero(_circles(rng, vertices, 1.0 - 1.0 / circle, newcomers))
    return Graph.from_edges(vertices, sources, targets, name="ego")


@kernel
def _circles(rng: np.random.Generator, vertices: int, growth: float, newcomers: float) -> NDArray[np.bool_]:
    """Return the upper triangle of the adjacency matrix."""
    knows = np.zeros((vertices, vertices), dtype=np.bool_)
    members = np.empty(vertices, dtype=np.int64)
    seen = 1
    while seen < vertices:
        members[0] = 0
        size = 1
        more = True
        while more and size < vertices:
            if size == 1 or (seen < vertices and rng.random() < newcomers):
                members[size] = seen
                seen += 1
            else:
                members[size] = 1 + int(rng.random() * (seen - 1))
            size += 1
            more = rng.random() < growth
        for i in range(size):
            for j in range(size):
                if members[i] < members[j]:
                    knows[members[i], members[j]] = True
    return knows
