"""Coverage of real graphs by synthetic training graphs: clustering, density and the tails of the degrees."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import Graph, graph_statistics
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec, training_graphs

TRIALS = 1_000  # number of samples that estimate a graph's clustering
SMALLEST = 3  # smallest number of vertices for which clustering is measured
TAIL = np.geomspace(0.1, 3_000.0, 200)  # degree over mean degree


@dataclass(frozen=True, kw_only=True, eq=False)
class Cloud:
    """Measurements of graphs: clustering and log10 density, float64 [graphs], and tails [graphs, len(TAIL)]."""

    name: str
    clustering: NDArray[np.float64]
    density: NDArray[np.float64]
    tails: NDArray[np.float64]


def synthetic_cloud(sets: int, each: int, rng: np.random.Generator, *, seed: int = 0) -> Cloud:
    """Measure up to `each` graphs from each of `sets` made-up data sets."""
    spec = DatasetSpec(graphs=1, seed=seed)
    drawn = [graph for i in range(sets) for graph in training_graphs(spec, 0, i)[:each]]
    return measure_cloud("synthetic", drawn, rng)


def measure_cloud(name: str, graphs: Sequence[Graph], rng: np.random.Generator) -> Cloud:
    """Measure the graphs that have entries and enough vertices."""
    kept = [graph for graph in graphs if graph.num_vertices >= SMALLEST and graph.num_edges > 0]
    if not kept:
        raise ConfigError(f"{name}: no graph with edges and at least {SMALLEST} vertices")
    found = [graph_statistics(graph, rng=rng, trials=TRIALS) for graph in kept]
    density = np.array([max(one.density, 1e-12) for one in found])
    return Cloud(
        name=name,
        clustering=np.array([one.clustering for one in found]),
        density=np.log10(density),
        tails=np.array([_tail(graph.degrees) for graph in kept]),
    )


def _tail(degrees: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return float64 [len(TAIL)]: the share of vertices whose degree over the mean is at least each of TAIL."""
    ordered = np.sort(degrees / degrees.mean())
    share: NDArray[np.float64] = 1.0 - np.searchsorted(ordered, TAIL) / ordered.size
    return share


def covered_share(real: Cloud, synthetic: Cloud) -> float:
    """Return the share of real graphs with a synthetic one within 0.05 in clustering and 0.1 in log10 density."""
    near = (np.abs(real.clustering[:, None] - synthetic.clustering) < 0.05) & (
        np.abs(real.density[:, None] - synthetic.density) < 0.1
    )
    return float(near.any(axis=1).mean())
