"""Graphs: frozen CSR structure, sets of graphs, loaders and structural statistics (generators: `graphs.generators`)."""

from gnnsched_env.graphs.formats import EXAMPLES, graph_file, load_graph_set
from gnnsched_env.graphs.graph import Graph, block_diagonal, component_labels, largest_component
from gnnsched_env.graphs.graph_set import GraphSet
from gnnsched_env.graphs.loaders import load_edge_list, load_tu_folder
from gnnsched_env.graphs.orders import ORDERS, renumbered
from gnnsched_env.graphs.statistics import (
    GraphStatistics,
    average_clustering,
    graph_statistics,
    local_clustering,
    sampled_clustering,
)

__all__ = [
    "EXAMPLES",
    "ORDERS",
    "Graph",
    "GraphSet",
    "GraphStatistics",
    "average_clustering",
    "block_diagonal",
    "component_labels",
    "graph_file",
    "graph_statistics",
    "largest_component",
    "load_edge_list",
    "load_graph_set",
    "load_tu_folder",
    "local_clustering",
    "renumbered",
    "sampled_clustering",
]
