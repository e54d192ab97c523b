"""R-MAT graphs whose parameters are drawn from Graphlaxy's distribution.

Graphlaxy (arXiv 2205.13901, BNN-UPC/graphlaxy, Apache-2.0) draws six numbers per graph: E uniformly, N and the quadrant
probabilities a, b, c from scaled Beta distributions whose weights it fitted so that the graphs cover the plane of
clustering and density evenly. An edge is placed by descending a 2^scale x 2^scale adjacency matrix, quadrant by
quadrant; vertices beyond N are removed at random. Directions, repeats and self loops are dropped.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, ListOf, Number, check_fields, require
from gnnsched_env.common.compiled import kernel
from gnnsched_env.common.errors import GraphError
from gnnsched_env.graphs.generators.pairs import check_shares
from gnnsched_env.graphs.graph import Graph, largest_component
from gnnsched_env.graphs.structure import LARGEST_ID

# Graphlaxy's shipped Beta weights (alpha, beta).
BETA_A = (1.3500523980958758, 0.9756729865636893)
BETA_B = (1.4562248430720026, 0.22767153268062393)
BETA_C = (1.055699069458428, 0.9060404341929743)
BETA_N = (0.35052426603213255, 1.157122011830607)

FEWEST_EDGES = 20  # below, floor(sqrt(20 E)) exceeds E
MOST_TRIES = 1_000

LEVELS = 4  # quadrant choices that one random number settles
CELLS = np.arange(4**LEVELS)
ROW_BITS = np.sum([(CELLS >> 2 * level + 1 & 1) << level for level in range(LEVELS)], axis=0)
COLUMN_BITS = np.sum([(CELLS >> 2 * level & 1) << level for level in range(LEVELS)], axis=0)

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RmatParameters:
    """The parameters of R-MAT: N vertices and E edges requested, and quadrant probabilities a, b, c and d = 1-a-b-c."""

    vertices: Annotated[int, Integer(1, LARGEST_ID)]
    edges: Annotated[int, Integer(1, LARGEST_ID)]
    a: Annotated[float, Number(least=0.0, most=1.0)]
    b: Annotated[float, Number(least=0.0, most=1.0)]
    c: Annotated[float, Number(least=0.0, most=1.0)]

    def __post_init__(self) -> None:
        check_fields(self, "R-MAT")
        check_shares("R-MAT", d=self.d)

    @property
    def d(self) -> float:
        """The last quadrant's probability."""
        rest = 1.0 - self.a - self.b - self.c
        return 0.0 if -1e-12 < rest < 0.0 else rest


def draw_rmat_parameters(rng: np.random.Generator, *, edges: tuple[int, int] = (100, 2_000)) -> RmatParameters:
    """Draw parameters from Graphlaxy's distribution, with E uniform over the range `edges` (both ends included).

    Its authors fitted the weights at 100,000 to 2,000,000 edges; outside that range the same weights are used, with no
    promise of even coverage.
    """
    given = ListOf(Integer(FEWEST_EDGES, LARGEST_ID)).check("R-MAT", "edges", edges)
    rule = "" if len(given) == 2 and given[0] <= given[1] else f"a range [low, high], {FEWEST_EDGES} <= low <= high"
    require("R-MAT", "edges", edges, rule)
    low, high = given
    wanted = int(rng.integers(low, high, endpoint=True))
    fewest = math.isqrt(20 * wanted)
    vertices = math.floor(_scaled_beta(rng, BETA_N, fewest, wanted))
    a = _scaled_beta(rng, BETA_A, 0.25, 1.0)
    b = _scaled_beta(rng, BETA_B, max(0.0, 1.0 - 3.0 * a), min(a, 1.0 - a))
    c = _scaled_beta(rng, BETA_C, max(0.0, 1.0 - 2.0 * a - b), min(a, 1.0 - a - b))
    return RmatParameters(vertices=vertices, edges=wanted, a=a, b=b, c=c)


def rmat_graph(rng: np.random.Generator, parameters: RmatParameters, *, connected: bool = True) -> Graph:
    """Draw one graph; `connected` keeps its largest component only. It has fewer edges than asked for: repeats merge.

    Time is linear in E log N: a million edges take a few tenths of a second.
    """
    vertices = parameters.vertices
    scale = (vertices - 1).bit_length()
    full = 1 << scale
    number = np.arange(full, dtype=np.int64)
    if full > vertices:
        number[rng.choice(full, full - vertices, replace=False)] = -1
        number[number >= 0] = np.arange(vertices)
    draws = int(parameters.edges * (full / vertices) ** 2)
    quadrants = (parameters.a, parameters.b, parameters.c, parameters.d)
    sources, targets = _draw_edges(rng, draws, scale, quadrants, number)
    graph = Graph.from_edges(vertices, sources, targets, name="rmat")
    return largest_component(graph) if connected else graph


def graphlaxy_graph(
    rng: np.random.Generator, *, edges: tuple[int, int] = (100, 2_000), connected: bool = True, fewest_edges: int = 1
) -> Graph:
    """Draw parameters, then a graph; draw again while it has fewer than `fewest_edges` undirected edges.

    Graphlaxy, whose graphs are far larger, requires more than 100 edges.
    """
    fewest_edges = Integer(0).check("R-MAT", "fewest_edges", fewest_edges)
    for _ in range(MOST_TRIES):
        graph = rmat_graph(rng, draw_rmat_parameters(rng, edges=edges), connected=connected)
        if graph.num_edges >= 2 * fewest_edges:
            return graph
    raise GraphError(f"R-MAT: no graph with {fewest_edges} edges in {MOST_TRIES} tries at edges={edges}")


def _scaled_beta(rng: np.random.Generator, weights: tuple[float, float], low: float, high: float) -> float:
    return float(low + (high - low) * rng.beta(*weights))


@kernel
def _block_probabilities(a: float, b: float, c: float, d: float) -> NDArray[np.float64]:
    """Return float64 [4**LEVELS]: the chance of each cell after LEVELS levels, two bits (row, column) a level."""
    probabilities = np.ones(1)
    quadrants = (a, b, c, d)
    for _ in range(LEVELS):
        finer = np.empty(4 * len(probabilities))
        for cell in range(len(probabilities)):
            for quadrant in range(4):
                finer[4 * cell + quadrant] = probabilities[cell] * quadrants[quadrant]
        probabilities = finer
    return probabilities


@kernel
def _alias_table(probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (kept, alias): a uniform slot i stands for cell i with chance kept[i], else for cell alias[i] (Vose)."""
    cells = len(probabilities)
    rest = probabilities * (cells / probabilities.sum())
    kept = np.ones(cells)
    alias = np.arange(cells)
    small = np.flatnonzero(rest < 1.0)
    large = np.flatnonzero(rest >= 1.0)
    smalls = len(small)
    larges = len(large)
    stack = np.empty(cells, dtype=np.int64)
    stack[:smalls] = small
    while smalls > 0 and larges > 0:
        smalls -= 1
        poor = stack[smalls]
        rich = large[larges - 1]
        kept[poor] = rest[poor]
        alias[poor] = rich
        rest[rich] -= 1.0 - rest[poor]
        if rest[rich] < 1.0:
            larges -= 1
            stack[smalls] = rich
            smalls += 1
    return kept, alias


@kernel
def _draw_edges(
    rng: np.random.Generator, draws: int, scale: int, quadrants: tuple[float, float, float, float], number: I64
) -> tuple[I64, I64]:
    """Return the edges drawn, without self loops and without those that touch a removed vertex (number < 0).

    One random number settles LEVELS levels at a time; levels beyond the scale are cut off.
    """
    kept, alias = _alias_table(_block_probabilities(*quadrants))
    cells = len(kept)
    blocks = (scale + LEVELS - 1) // LEVELS
    surplus = blocks * LEVELS - scale
    sources = np.empty(draws, dtype=np.int64)
    targets = np.empty(draws, dtype=np.int64)
    found = 0
    for _ in range(draws):
        row = 0
        column = 0
        for _ in range(blocks):
            u = rng.random() * cells
            cell = int(u)
            if u - cell >= kept[cell]:
                cell = alias[cell]
            row = (row << LEVELS) | ROW_BITS[cell]
            column = (column << LEVELS) | COLUMN_BITS[cell]
        row >>= surplus
        column >>= surplus
        sources[found] = number[row]
        targets[found] = number[column]
        found += row != column and number[row] >= 0 and number[column] >= 0
    return sources[:found], targets[:found]
