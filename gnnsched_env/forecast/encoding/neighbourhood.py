"""What lies near the configurable nodes: the rest of a large graph says little about how configurations differ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer
from gnnsched_env.forecast.data.program import ProgramGraph

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbourhood:
    """A part of a graph, renumbered in the old order.

    nodes: int64 [k], the kept nodes' old numbers, ascending; configurable: int64 [nc], the configurable nodes' new
    numbers; graph: the kept nodes and all edges between them, in the old order.
    """

    graph: ProgramGraph
    nodes: IntArray
    configurable: IntArray


def neighbourhood(graph: ProgramGraph, configurable: IntArray, hops: int | None) -> Neighbourhood:
    """Return what is within `hops` edges, taken both ways, of any configurable node.

    The whole graph where `hops` is None, or nothing is configurable (tile programs). ConfigError for hops below 0.
    """
    if hops is not None:
        hops = Integer(0).check("neighbourhood", "hops", hops)
    if hops is None or not len(configurable):
        return Neighbourhood(graph=graph, nodes=np.arange(graph.num_nodes), configurable=configurable)
    near = _reached(graph, configurable, hops)
    nodes = np.flatnonzero(near).astype(np.int64)
    number = np.cumsum(near) - 1
    edges = graph.edges[near[graph.edges].all(axis=1)]
    part = ProgramGraph(
        node_features=graph.node_features[nodes], opcodes=graph.opcodes[nodes], edges=number[edges].astype(np.int64)
    )
    return Neighbourhood(graph=part, nodes=nodes, configurable=number[configurable].astype(np.int64))


def _reached(graph: ProgramGraph, start: IntArray, hops: int) -> NDArray[np.bool_]:
    """Return which nodes [n] are within `hops` edges of the start."""
    near = np.zeros(graph.num_nodes, dtype=np.bool_)
    near[start] = True
    consumers, producers = graph.edges.T
    for _ in range(hops):
        farther = near.copy()
        farther[producers[near[consumers]]] = True
        farther[consumers[near[producers]]] = True
        if np.array_equal(farther, near):
            break
        near = farther
    return near
