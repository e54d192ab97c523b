"""Synthetic graphs from a seeded `numpy.random.Generator`: equal seeds give equal graphs."""

from gnnsched_env.graphs.generators.citation import citation_graph
from gnnsched_env.graphs.generators.classic import (
    barabasi_albert_graph,
    erdos_renyi_graph,
    grid_graph,
    regular_graph,
    star_graph,
    watts_strogatz_graph,
)
from gnnsched_env.graphs.generators.communities import power_law_graph, stochastic_block_graph
from gnnsched_env.graphs.generators.decorations import hubs_first, shuffled, with_isolated, with_loops
from gnnsched_env.graphs.generators.ego import ego_graph
from gnnsched_env.graphs.generators.families import FAMILIES, Family, draw_graphs
from gnnsched_env.graphs.generators.molecules import molecule_graph
from gnnsched_env.graphs.generators.proximity import geometric_graph, nearest_graph
from gnnsched_env.graphs.generators.rmat import RmatParameters, draw_rmat_parameters, graphlaxy_graph, rmat_graph
from gnnsched_env.graphs.generators.threads import thread_graph

__all__ = [
    "FAMILIES",
    "Family",
    "RmatParameters",
    "barabasi_albert_graph",
    "citation_graph",
    "draw_graphs",
    "draw_rmat_parameters",
    "ego_graph",
    "erdos_renyi_graph",
    "geometric_graph",
    "graphlaxy_graph",
    "grid_graph",
    "hubs_first",
    "molecule_graph",
    "nearest_graph",
    "power_law_graph",
    "regular_graph",
    "rmat_graph",
    "shuffled",
    "star_graph",
    "stochastic_block_graph",
    "thread_graph",
    "watts_strogatz_graph",
    "with_isolated",
    "with_loops",
]
