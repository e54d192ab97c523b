"""Textbook families: Erdos-Renyi, Barabasi-Albert, Watts-Strogatz, regular, grid, star. O(V + E), vectorised."""

import numpy as np

from gnnsched_env.common.errors import ConfigError
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


def erdos_renyi_graph(rng: np.random.Generator, vertices: int, *, mean_degree: float) -> Graph:
    """Draw G(n, p): each pair is joined with probability p = mean_degree / (vertices - 1), independently."""
    vertices = check_vertices("Erdos-Renyi", vertices)
    mean_degree = check_range("Erdos-Renyi", "mean_degree", mean_degree, 0, vertices - 1)
    codes = chosen_codes(rng, vertices * (vertices - 1) // 2, mean_degree / (vertices - 1))
    return Graph.from_edges(vertices, *unordered_pairs(codes), name="erdos_renyi")


def barabasi_albert_graph(rng: np.random.Generator, vertices: int, *, links: int) -> Graph:
    """Grow a connected graph: each new vertex draws `links` earlier ones in proportion to their edges; repeats merge.

    A draw names the end of a random earlier edge; ends that are draws themselves are followed to a vertex by pointer
    doubling (Sanders and Schulz, 2016). Vertex 0 starts with `links` loops, which are not kept.
    """
    vertices = check_vertices("Barabasi-Albert", vertices)
    links = check_count("Barabasi-Albert", "links", links, 1, vertices - 1)
    newer = np.repeat(np.arange(vertices), links)
    # Edge e has the ends 2e, its newer vertex e // links, and 2e + 1, the vertex that it drew: the value of end[e].
    end = (rng.random(vertices * links) * (2 * links * newer)).astype(np.int64)
    following = np.flatnonzero(end & 1)
    while following.size:
        end[following] = end[end[following] >> 1]
        following = following[end[following] & 1 == 1]
    older = (end >> 1) // links
    return Graph.from_edges(vertices, newer[links:], older[links:], name="barabasi_albert")


def watts_strogatz_graph(rng: np.random.Generator, vertices: int, *, neighbours: int, rewired: float) -> Graph:
    """Draw a ring where vertices join their `neighbours` (even) nearest; `rewired` is the chance to redraw a far end.

    The new end is uniform; if it is the vertex itself or already a neighbour, the edge is dropped.
    """
    vertices = check_vertices("Watts-Strogatz", vertices, 3)
    neighbours = check_count("Watts-Strogatz", "neighbours", neighbours, 2, vertices - 1)
    (rewired,) = check_shares("Watts-Strogatz", rewired=rewired)
    if neighbours % 2:
        raise ConfigError(f"Watts-Strogatz: neighbours must be even, got {neighbours}")
    sources = np.tile(np.arange(vertices), neighbours // 2)
    targets = (sources + np.repeat(np.arange(1, neighbours // 2 + 1), vertices)) % vertices
    fresh = rng.random(sources.size) < rewired
    targets[fresh] = rng.integers(vertices, size=int(fresh.sum()))
    kept = sources != targets
    return Graph.from_edges(vertices, sources[kept], targets[kept], name="watts_strogatz")


def regular_graph(rng: np.random.Generator, vertices: int, *, degree: int) -> Graph:
    """Draw a graph in which each vertex has exactly `degree` neighbours: a circulant with random offsets, shuffled.

    It is not uniform over all regular graphs; its row degrees are those of any of them.
    """
    vertices = check_vertices("regular", vertices)
    degree = check_count("regular", "degree", degree, 0, vertices - 1)
    if degree % 2 and vertices % 2:
        raise ConfigError(f"regular: vertices * degree must be even, got {vertices} vertices of degree {degree}")
    ring = np.arange(vertices)
    offsets = 1 + rng.choice((vertices - 1) // 2, degree // 2, replace=False) if degree > 1 else np.empty(0, np.int64)
    sources, shifts = np.tile(ring, len(offsets)), np.repeat(offsets, vertices)
    opposite = ring[: vertices // 2] if degree % 2 else ring[:0]
    sources = np.concatenate([sources, opposite])
    targets = (sources + np.concatenate([shifts, np.full(len(opposite), vertices // 2)])) % vertices
    number = rng.permutation(vertices)
    return Graph.from_edges(vertices, number[sources], number[targets], name="regular")


def grid_graph(rows: int, columns: int, *, diagonals: bool = False, wrapped: bool = False) -> Graph:
    """Return a rows x columns lattice, row by row: 4 neighbours inside, or 8 with diagonals; `wrapped` is a torus."""
    rows, columns = (check_count("grid", name, n, 1, LARGEST_ID) for name, n in (("rows", rows), ("columns", columns)))
    check_vertices("grid", rows * columns, 1)
    steps = [(0, 1), (1, 0), *([(1, 1), (1, -1)] if diagonals else [])]
    row, column = np.divmod(np.arange(rows * columns), columns)
    ends = []
    for down, right in steps:
        to_row, to_column = row + down, column + right
        kept = np.ones(row.size, np.bool_)
        if not wrapped:
            kept = (to_row < rows) & (to_column >= 0) & (to_column < columns)
        target = (to_row % rows) * columns + to_column % columns
        kept &= target != np.arange(row.size)
        ends.append((np.flatnonzero(kept), target[kept]))
    sources, targets = (np.concatenate(side) for side in zip(*ends, strict=True))
    return Graph.from_edges(rows * columns, sources, targets, name="grid")


def star_graph(rng: np.random.Generator, vertices: int, *, hubs: int = 1, chords: float = 0.0) -> Graph:
    """Draw stars whose centres, vertices 0..hubs-1, are joined to vertex 0; connected.

    Leaves choose a hub by shares that are uniform over the simplex; `chords` random pairs a vertex, on average, are
    joined besides (Poisson; loops are dropped, repeats merge).
    """
    vertices = check_vertices("star", vertices)
    hubs = check_count("star", "hubs", hubs, 1, vertices)
    chords = check_range("star", "chords", chords, 0, vertices)
    bounds = np.cumsum(rng.dirichlet(np.ones(hubs)))[:-1]
    parents = np.zeros(vertices, np.int64)
    parents[hubs:] = np.searchsorted(bounds, rng.random(vertices - hubs))
    ends = rng.integers(vertices, size=(2, rng.poisson(chords * vertices)))
    ends = np.concatenate([np.stack([np.arange(1, vertices), parents[1:]]), ends[:, ends[0] != ends[1]]], axis=1)
    return Graph.from_edges(vertices, ends[0], ends[1], name="star")
