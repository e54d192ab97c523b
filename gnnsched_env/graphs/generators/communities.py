"""Communities and heavy tails: the stochastic block model, power-law degrees with communities. Vectorised."""

import numpy as np
from numpy.typing import ArrayLike

from gnnsched_env.common.checks import Integer, ListOf, Number
from gnnsched_env.graphs.generators.pairs import (
    check_count,
    check_range,
    check_shares,
    check_vertices,
    chosen_codes,
    unordered_pairs,
)
from gnnsched_env.graphs.graph import Graph
from gnnsched_env.graphs.structure import LARGEST_ID


def stochastic_block_graph(rng: np.random.Generator, sizes: ArrayLike, *, inside: float, outside: float) -> Graph:
    """Draw blocks of `sizes` vertices, numbered block by block.

    Each pair of one block is joined with probability `inside`, each pair of two blocks with `outside`, independently.
    O(V + E / (share of the pairs that lie in two blocks)).
    """
    given = ListOf(Integer(1, LARGEST_ID), fewest=1).check("stochastic block", "sizes", sizes)
    vertices = check_vertices("stochastic block", sum(given), 1)
    block_sizes = np.array(given, np.int64)
    inside, outside = check_shares("stochastic block", inside=inside, outside=outside)
    firsts = np.cumsum(block_sizes) - block_sizes
    pairs = block_sizes * (block_sizes - 1) // 2
    ends = np.cumsum(pairs)
    codes = chosen_codes(rng, int(ends[-1]), inside)
    block = np.searchsorted(ends, codes, side="right")
    i, j = unordered_pairs(codes - (ends - pairs)[block])
    far_i, far_j = unordered_pairs(chosen_codes(rng, vertices * (vertices - 1) // 2, outside))
    owner = np.repeat(np.arange(block_sizes.size), block_sizes)
    apart = owner[far_i] != owner[far_j]
    sources = np.concatenate([firsts[block] + i, far_i[apart]])
    targets = np.concatenate([firsts[block] + j, far_j[apart]])
    return Graph.from_edges(vertices, sources, targets, name="stochastic_block")


def power_law_graph(
    rng: np.random.Generator,
    vertices: int,
    *,
    mean_degree: float,
    exponent: float = 2.5,
    communities: int = 1,
    outside: float = 0.2,
) -> Graph:
    """Draw vertices' weights from a Pareto law (density ~ w^-exponent), then edges in proportion to both ends' weights.

    Chung and Lu's law, with repeats merged and loops dropped, so that very dense parts stay below `mean_degree`. With
    several `communities` (of equal size, numbered in turn) an edge leaves its own with probability `outside` only.
    """
    vertices = check_vertices("power law", vertices)
    mean_degree = check_range("power law", "mean_degree", mean_degree, 0, vertices - 1)
    communities = check_count("power law", "communities", communities, 1, vertices)
    (outside,) = check_shares("power law", outside=outside)
    exponent = Number(above=1).check("power law", "exponent", exponent)
    weights = (1.0 - rng.random(vertices)) ** (-1.0 / (exponent - 1.0))
    weights = np.minimum(
        weights, weights.mean() * vertices / max(1.0, mean_degree)
    )  # no degree above the rest's number
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    sources = np.repeat(np.arange(vertices), rng.poisson(weights * (0.5 * mean_degree / weights.mean())))
    bounds = np.linspace(0, vertices, communities + 1).astype(np.int64)
    own = np.searchsorted(bounds, sources, side="right") - 1
    far = rng.random(sources.size) < outside
    low, high = np.where(far, 0.0, sums[bounds[own]]), np.where(far, sums[-1], sums[bounds[own + 1]])
    targets = np.searchsorted(sums, low + (high - low) * rng.random(sources.size), side="right") - 1
    targets = np.minimum(targets, vertices - 1)
    kept = sources != targets
    return Graph.from_edges(vertices, sources[kept], targets[kept], name="power_law")
