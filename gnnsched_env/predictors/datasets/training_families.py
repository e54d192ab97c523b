"""Made-up data sets: families of graphs with random parameters and sizes, and variations found in users' files."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gnnsched_env.graphs import Graph
from gnnsched_env.graphs.generators import (
    RmatParameters,
    barabasi_albert_graph,
    citation_graph,
    draw_rmat_parameters,
    ego_graph,
    erdos_renyi_graph,
    geometric_graph,
    grid_graph,
    hubs_first,
    molecule_graph,
    nearest_graph,
    power_law_graph,
    regular_graph,
    rmat_graph,
    shuffled,
    star_graph,
    stochastic_block_graph,
    thread_graph,
    watts_strogatz_graph,
    with_isolated,
    with_loops,
)
from gnnsched_env.graphs.generators.rmat import FEWEST_EDGES

Draw = Callable[[np.random.Generator, int], Graph]

MOST_ENTRIES = 1_000_000  # most entries of a graph or batch: bounds the time of a job, and mean degrees of large graphs
SMALLEST = 2
USUAL_SHARE = 0.75  # share of data sets with sizes usual for their family; the others have any size
LOOPS_SHARE, ISOLATED_SHARE = 0.15, 0.15  # shares of data sets with self loops, with empty rows
SHUFFLED_SHARE, SORTED_SHARE = 0.25, 0.15  # shares of data sets with vertices in random order, with hubs first


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFamily:
    """A kind of made-up data set.

    `share`: how often it is drawn, relative to the others; `usual`: typical numbers of vertices (both ends included);
    `most`: largest number of vertices; `parameters` draws a set's parameters and returns a function that draws graphs.
    """

    name: str
    resembles: str
    share: float
    usual: tuple[int, int]
    most: int
    parameters: Callable[[np.random.Generator], Draw]


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a log-uniform number."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def decorated(rng: np.random.Generator, draw: Draw) -> Draw:
    """Return a function that draws the same graphs, perhaps with reordered vertices, empty rows or self loops."""
    order, bare, looped = rng.random(3)
    isolated = rng.uniform() ** 2 * 0.5 if bare < ISOLATED_SHARE else 0.0
    loops = (1.0 if rng.random() < 0.4 else rng.uniform(0.0, 0.3)) if looped < LOOPS_SHARE else 0.0

    def draw_decorated(rng: np.random.Generator, size: int) -> Graph:
        graph = draw(rng, size)
        if order < SHUFFLED_SHARE:
            graph = shuffled(rng, graph)
        elif order < SHUFFLED_SHARE + SORTED_SHARE:
            graph = hubs_first(graph)
        if isolated:
            graph = with_isolated(rng, graph, isolated)
        return with_loops(rng, graph, loops) if loops else graph

    return draw_decorated


def _at_most(degree: float, size: int) -> float:
    """Return a mean degree that a graph of this size can have, within MOST_ENTRIES."""
    return min(degree, size - 1, MOST_ENTRIES / size)


def _graphlaxy(rng: np.random.Generator) -> Draw:
    """Draw a graph with Graphlaxy's parameters and at most `size` vertices."""
    ratio = between(rng, 1.0, 8.0)

    def draw(rng: np.random.Generator, size: int) -> Graph:
        edges = min(max(FEWEST_EDGES, int(ratio * size)), MOST_ENTRIES // 2)
        drawn = draw_rmat_parameters(rng, edges=(edges, edges))
        graph = rmat_graph(rng, replace(drawn, vertices=min(drawn.vertices, size)))
        return graph if graph.num_vertices >= SMALLEST else star_graph(rng, size)  # a draw may consist of loops only

    return draw


def _rmat(rng: np.random.Generator) -> Draw:
    degree, connected = between(rng, 1.0, 64.0), bool(rng.random() < 0.5)
    a, b, c, _ = (float(share) for share in np.sort(rng.dirichlet((3.0, 3.0, 3.0, 3.0)))[::-1])

    def draw(rng: np.random.Generator, size: int) -> Graph:
        edges = max(1, int(_at_most(degree, size) * size / 2))
        graph = rmat_graph(rng, RmatParameters(vertices=size, edges=edges, a=a, b=b, c=c), connected=connected)
        return graph if graph.num_vertices >= SMALLEST else star_graph(rng, size)

    return draw


def _molecule(rng: np.random.Generator) -> Draw:
    ring, fused, hexagon, branching = (float(share) for share in rng.random(4))
    return lambda rng, size: molecule_graph(
        rng, size, ring_share=ring, fused_share=fused, hexagon_share=hexagon, branching=branching
    )


def _protein(rng: np.random.Generator) -> Draw:
    nearest = int(rng.integers(1, 5, endpoint=True))
    return lambda rng, size: nearest_graph(rng, size, nearest=min(nearest, size - 1), chain=True)


def _proximity(rng: np.random.Generator) -> Draw:
    degree, dimensions, by_number = between(rng, 2.0, 20.0), int(rng.integers(2, 4)), rng.random() < 0.5

    def draw(rng: np.random.Generator, size: int) -> Graph:
        if by_number:
            return nearest_graph(rng, size, nearest=min(int(degree), size - 1), dimensions=dimensions)
        return geometric_graph(rng, size, mean_degree=_at_most(degree, size), dimensions=dimensions)

    return draw


def _ego(rng: np.random.Generator) -> Draw:
    circle, newcomers = between(rng, 1.5, 60.0), rng.uniform(0.3, 1.0)
    return lambda rng, size: ego_graph(rng, size, circle=circle, newcomers=newcomers)


def _cliques(rng: np.random.Generator) -> Draw:
    """Draw one or several groups, complete or nearly so, with few links between them."""
    blocks = 1 if rng.random() < 0.4 else int(rng.integers(2, 7))
    inside = 1.0 if rng.random() < 0.3 else 1.0 - 0.5 * rng.uniform() ** 2
    outside = 0.3 * rng.uniform() ** 3

    def draw(rng: np.random.Generator, size: int) -> Graph:
        own = min(blocks, size)
        sizes = 1 + rng.multinomial(size - own, rng.dirichlet(np.ones(own)))
        return stochastic_block_graph(rng, sizes, inside=inside, outside=outside)

    return draw


def _community(rng: np.random.Generator) -> Draw:
    block, near, far = between(rng, 5.0, 500.0), between(rng, 1.0, 40.0), between(rng, 0.05, 10.0)

    def draw(rng: np.random.Generator, size: int) -> Graph:
        blocks = max(1, int(size / block))
        sizes = 1 + rng.multinomial(size - blocks, rng.dirichlet(np.full(blocks, 2.0)))
        own = max(1.0, size / blocks - 1.0)
        return stochastic_block_graph(
            rng, sizes, inside=min(1.0, _at_most(near, size) / own), outside=_at_most(far, size) / (size - 1)
        )

    return draw


def _power_law(rng: np.random.Generator) -> Draw:
    degree, exponent = between(rng, 1.5, 60.0), rng.uniform(1.8, 3.5)
    community, outside = between(rng, 10.0, 3_000.0), rng.uniform(0.05, 1.0)
    return lambda rng, size: power_law_graph(
        rng,
        size,
        mean_degree=_at_most(degree, size),
        exponent=exponent,
        communities=max(1, int(size / community)),
        outside=outside,
    )


def _citation(rng: np.random.Generator) -> Draw:
    references, copying, fame = 1.0 + min(rng.exponential(1.5), 7.0), rng.uniform(0.0, 0.9), rng.uniform(0.0, 0.6)
    return lambda rng, size: citation_graph(rng, size, references=references, copying=copying, fame=fame)


def _thread(rng: np.random.Generator) -> Draw:
    root, fame, _ = (float(share) for share in rng.dirichlet((1.0, 1.0, 1.0)))
    talk = rng.uniform(0.0, 0.5)
    return lambda rng, size: thread_graph(rng, size, root=root, fame=fame, talk=talk)


def _star(rng: np.random.Generator) -> Draw:
    hubs, chords = between(rng, 1.0, 30.0), max(0.0, rng.uniform(-1.0, 3.0))
    return lambda rng, size: star_graph(rng, size, hubs=min(int(hubs), size), chords=min(chords, size / 4))


def _erdos_renyi(rng: np.random.Generator) -> Draw:
    degree = between(rng, 0.5, 40.0)
    return lambda rng, size: erdos_renyi_graph(rng, size, mean_degree=_at_most(degree, size))


def _barabasi_albert(rng: np.random.Generator) -> Draw:
    links = between(rng, 1.0, 20.0)
    return lambda rng, size: barabasi_albert_graph(rng, size, links=max(1, int(_at_most(2.0 * links, size) / 2.0)))


def _watts_strogatz(rng: np.random.Generator) -> Draw:
    half, rewired = between(rng, 1.0, 12.0), float(rng.uniform() ** 2)
    return lambda rng, size: watts_strogatz_graph(
        rng, max(size, 3), neighbours=2 * max(1, min(int(half), (size - 1) // 2)), rewired=rewired
    )


def _grid(rng: np.random.Generator) -> Draw:
    aspect, diagonals, wrapped = between(rng, 1.0, 8.0), bool(rng.random() < 0.5), bool(rng.random() < 0.5)

    def draw(rng: np.random.Generator, size: int) -> Graph:
        rows = max(1, round((size / aspect) ** 0.5))
        return grid_graph(rows, max(2, size // rows), diagonals=diagonals, wrapped=wrapped)

    return draw


def _regular(rng: np.random.Generator) -> Draw:
    degree = between(rng, 1.0, 40.0)

    def draw(rng: np.random.Generator, size: int) -> Graph:
        own = min(int(degree), size - 1)
        return regular_graph(rng, size, degree=own - (own % 2 and size % 2))

    return draw


def _family(
    name: str,
    parameters: Callable[[np.random.Generator], Draw],
    usual: tuple[int, int],
    resembles: str,
    *,
    share: float = 1.0,
    most: int = 100_000,
) -> TrainingFamily:
    return TrainingFamily(name=name, parameters=parameters, usual=usual, resembles=resembles, share=share, most=most)


TRAINING_FAMILIES: tuple[TrainingFamily, ...] = (
    _family("graphlaxy", _graphlaxy, (20, 20_000), "any: clustering x density, after Graphlaxy", share=2.5),
    _family("rmat", _rmat, (20, 20_000), "web, social and citation graphs", share=2.0),
    _family("molecule", _molecule, (8, 60), "molecules", share=2.0, most=2_000),
    _family("protein", _protein, (10, 400), "proteins, enzymes", share=2.0, most=20_000),
    _family("proximity", _proximity, (10, 2_000), "superpixels, meshes, point clouds", most=20_000),
    _family("ego", _ego, (10, 300), "ego networks of actors, scientists, friends", share=2.0, most=800),
    _family("cliques", _cliques, (5, 300), "dense groups", share=1.5, most=800),
    _family("community", _community, (20, 20_000), "communities of equals", share=1.5),
    _family("power_law", _power_law, (100, 40_000), "social, co-purchase, encyclopaedia graphs", share=2.0),
    _family("citation", _citation, (300, 40_000), "citation graphs", share=2.0),
    _family("thread", _thread, (20, 5_000), "discussion threads"),
    _family("star", _star, (5, 5_000), "stars, stargazers"),
    _family("erdos_renyi", _erdos_renyi, (5, 20_000), "uniform random graphs"),
    _family("barabasi_albert", _barabasi_albert, (10, 20_000), "growth with preferential attachment"),
    _family("watts_strogatz", _watts_strogatz, (10, 20_000), "small worlds"),
    _family("grid", _grid, (9, 10_000), "images, roads, lattices"),
    _family("regular", _regular, (5, 10_000), "constant degree"),
)
