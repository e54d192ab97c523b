"""Synthetic graphs from a seeded `numpy.random.Generator`: equal seeds give equal graphs."""

from gnnsched_env.graphs.generators.citation import citation_graph
from gnnsched_env.graphs.generators.ego import ego_graph
from gnnsched_env.graphs.generators.families import FAMILIES, Family, draw_graphs
from gnnsched_env.graphs.generators.molecules import molecule_graph
from gnnsched_env.graphs.generators.rmat import RmatParameters, draw_rmat_parameters, graphlaxy_graph, rmat_graph

__all__ = [
    "FAMILIES",
    "Family",
    "RmatParameters",
    "citation_graph",
    "draw_graphs",
    "draw_rmat_parameters",
    "ego_graph",
    "graphlaxy_graph",
    "molecule_graph",
    "rmat_graph",
]
