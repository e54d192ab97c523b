"""Named families of synthetic graphs, each with a range of sizes and a real data set that it resembles."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError, did_you_mean
from gnnsched_env.graphs.generators.citation import citation_graph
from gnnsched_env.graphs.generators.ego import ego_graph
from gnnsched_env.graphs.generators.molecules import molecule_graph
from gnnsched_env.graphs.generators.rmat import graphlaxy_graph
from gnnsched_env.graphs.graph import Graph

MOST_DRAWN = 10_000_000  # graphs that are kept in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A way to draw a graph of random size; `resembles` names real sets, `sizes` says how big the graphs get."""

    name: str
    resembles: str
    sizes: str
    draw: Callable[[np.random.Generator], Graph]


def draw_graphs(family: str, rng: np.random.Generator, count: int) -> tuple[Graph, ...]:
    """Draw `count` graphs of a family, named `family[i]`."""
    if family not in FAMILIES:
        hint = did_you_mean(family, FAMILIES)
        raise ConfigError(f"unknown graph family {family!r}{hint or ';'} known: {', '.join(FAMILIES)}")
    count = Integer(0, MOST_DRAWN).check("graph families", "count", count)
    drawn = (FAMILIES[family].draw(rng) for _ in range(count))
    return tuple(Graph.from_valid(graph.indptr, graph.indices, name=f"{family}[{i}]") for i, graph in enumerate(drawn))


def _molecule(rng: np.random.Generator) -> Graph:
    return molecule_graph(rng, int(rng.integers(10, 28, endpoint=True)))


def _ego(rng: np.random.Generator) -> Graph:
    """Sizes as IMDB-BINARY's: 12 and up, median 17, a long tail that is cut at 136."""
    return ego_graph(rng, min(136, 12 + int(rng.lognormal(1.7, 0.9))))


def _rmat(rng: np.random.Generator) -> Graph:
    return graphlaxy_graph(rng, edges=(100, 2_000))


def _citation(rng: np.random.Generator) -> Graph:
    return citation_graph(rng, int(rng.integers(300, 3_400, endpoint=True)))


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            Family(name="molecule", resembles="MUTAG", sizes="10..28 vertices, uniform", draw=_molecule),
            Family(name="ego", resembles="IMDB-BINARY", sizes="12..136 vertices, log-normal", draw=_ego),
            Family(name="rmat", resembles="Graphlaxy", sizes="100..2,000 edges drawn, uniform", draw=_rmat),
            Family(name="citation", resembles="Cora, Citeseer", sizes="300..3,400 vertices, uniform", draw=_citation),
        )
    }
)
