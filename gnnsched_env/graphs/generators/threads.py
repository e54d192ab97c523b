"""Discussion threads: trees with a few hubs that get most replies, plus some cross links (compare REDDIT-BINARY)."""

import numpy as np

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs.generators.pairs import check_range, check_shares, check_vertices
from gnnsched_env.graphs.graph import Graph


def thread_graph(
    rng: np.random.Generator, vertices: int, *, root: float = 0.3, fame: float = 0.5, talk: float = 0.1
) -> Graph:
    """Grow a tree in which each vertex answers an earlier one, then join pairs at distance two; connected.

    A vertex answers vertex 0 with probability `root`; with probability `fame` it answers the parent of a random earlier
    vertex (which favours vertices with many answers); otherwise it answers a random earlier vertex. A share `talk` of
    the vertices, on average, is also joined to its grandparent.
    """
    vertices = check_vertices("thread", vertices)
    root, fame = check_shares("thread", root=root, fame=fame)
    talk = check_range("thread", "talk", talk, 0, 1)
    if root + fame > 1.0 + 1e-12:
        raise ConfigError(f"thread: root + fame must be at most 1, got {root + fame}")
    number = np.arange(vertices)
    mode = rng.random(vertices)
    earlier = (rng.random(vertices) * number).astype(np.int64)
    parent = np.where(mode < root, 0, earlier)
    # A vertex that copies waits for the parent of the vertex it copies, which may itself wait.
    waiting = np.flatnonzero((mode >= root) & (mode < root + fame) & (earlier > 0))
    copies = np.zeros(vertices, np.bool_)
    copies[waiting] = True
    while waiting.size:
        copied = parent[waiting]
        pending = copies[copied]
        parent[waiting] = parent[copied]
        copies[waiting] = pending
        waiting = waiting[pending]
    grand = np.flatnonzero((rng.random(vertices) < talk) & (number > 0))
    grand = grand[parent[grand] > 0]
    sources = np.concatenate([number[1:], grand])
    targets = np.concatenate([parent[1:], parent[parent[grand]]])
    return Graph.from_edges(vertices, sources, targets, name="thread")
