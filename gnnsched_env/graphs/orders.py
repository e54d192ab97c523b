"""Orders of a graph's vertices: an accelerator takes the rows of the same graph in the order of their numbers."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import GraphError, did_you_mean
from gnnsched_env.graphs.graph import Graph

IntArray = NDArray[np.int64]


def _by_degree(graph: Graph) -> IntArray:
    return np.argsort(-graph.degrees, kind="stable")


def _by_rcm(graph: Graph) -> IntArray:
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    order = reverse_cuthill_mckee(graph.to_scipy().tocsr(), symmetric_mode=graph.undirected)
    return np.asarray(order, np.int64)


ORDERS: dict[str, Callable[[Graph], IntArray]] = {"degree": _by_degree, "rcm": _by_rcm}
"""Functions from a graph to its vertices in another order, int64 [V], by name.

"degree": those of the most entries first, ties by their number. "rcm": reverse Cuthill-McKee (1969; as scipy has it),
which brings neighbours together.
"""


def renumbered(graph: Graph, order: str) -> Graph:
    """Return the graph with its vertices numbered in an order of ORDERS; raise GraphError for another."""
    if order not in ORDERS:
        raise GraphError(f"order must be one of {', '.join(ORDERS)}, got {order!r}{did_you_mean(order, ORDERS)}")
    vertices = ORDERS[order](graph)
    matrix = graph.to_scipy()[vertices][:, vertices]
    return Graph.from_scipy(matrix, undirected=graph.undirected, name=graph.name)
