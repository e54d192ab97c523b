"""Features of a (graph, layer): named, with units and cost, in three levels of knowledge about a job."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.cycles.domain import as_degrees
from gnnsched_env.graphs import Graph, sampled_clustering
from gnnsched_env.hardware import Layer
from gnnsched_env.predictors import feature_kernels as kernels
from gnnsched_env.predictors.levels import Level

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LIMITS = (0, 1, 2, 4, 8, 16, 32)
SHARES = (0.25, 0.5, 0.75, 0.9, 0.99)
FOLD_WIDTHS = (2, 4, 8, 16, 32)
HEIGHT_LEVELS = 9
CLUSTERING_TRIALS = 200
WIDTHS = slice(3, 6)  # columns of the features that depend on the layer

_LIMITS, _SHARES = np.array(LIMITS, np.int64), np.array(SHARES)
_FOLD_WIDTHS = np.array(FOLD_WIDTHS, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A feature: the `unit` of its value, the `cost` of computing it from its level's data, and its `meaning`."""

    name: str
    level: Level
    unit: str
    cost: str
    meaning: str


def _metadata(name: str, meaning: str, unit: str = "log") -> Feature:
    return Feature(name=name, level=Level.METADATA, unit=unit, cost="O(1)", meaning=meaning)


def _degrees(name: str, meaning: str, unit: str) -> Feature:
    return Feature(name=name, level=Level.DEGREES, unit=unit, cost="O(V)", meaning=meaning)


FEATURES: tuple[Feature, ...] = (
    _metadata("log_vertices", "rows of the matrix that is aggregated over"),
    _metadata("log_entries", "its entries, at least 1"),
    _metadata("log_mean_degree", "1 + entries over rows"),
    _metadata("log_in_features", "F, the width of the aggregation"),
    _metadata("log_combination_features", "the width of the combination: F, or 2F where a layer concatenates"),
    _metadata("log_out_features", "G"),
    _degrees("degree_variation", "standard deviation over mean of the row degrees", "ratio"),
    _degrees("degree_skewness", "third standardised moment, 0 if all are equal", "ratio"),
    _degrees("log_max_degree", "1 + the largest degree", "log"),
    *(_degrees(f"share_up_to_{d}", f"rows of at most {d} entries, over all", "share") for d in LIMITS),
    *(
        _degrees(f"log_degree_quantile_{round(100 * q)}", f"1 + the degree that {q:.0%} of the rows do not pass", "log")
        for q in SHARES
    ),
    *(_degrees(f"fold_waste_{w}", f"{w} sum(ceil(degree / {w})) over the entries", "ratio") for w in FOLD_WIDTHS),
    *(
        _degrees(
            f"imbalance_{2**i}", f"{2**i} x the longest row of each tile of {2**i} rows, over the entries", "ratio"
        )
        for i in range(1, HEIGHT_LEVELS + 1)
    ),
    Feature(
        name="log_density",
        level=Level.STRUCTURE,
        unit="log",
        cost="O(1)",
        meaning="entries over V^2",
    ),
    Feature(
        name="clustering",
        level=Level.STRUCTURE,
        unit="share",
        cost=f"O(V + {CLUSTERING_TRIALS} log max degree)",
        meaning=f"mean local clustering, {CLUSTERING_TRIALS} samples, 0 for directed graphs",
    ),
    Feature(
        name="assortativity",
        level=Level.STRUCTURE,
        unit="correlation",
        cost="O(V + E)",
        meaning="of the degrees at both ends of an edge, 0 if undefined",
    ),
)
"""All features, those of a lower level first."""


def feature_names(level: Level = Level.DEGREES) -> tuple[str, ...]:
    """Return the names of the features that are known at a level, in order."""
    return tuple(feature.name for feature in FEATURES if feature.level.rank <= level.rank)


def graph_features(degrees: IntArray, level: Level, graph: Graph | None = None) -> FloatArray:
    """Return float64 [len(feature_names(level))] with the layer's WIDTHS left at 0 (`log_widths`).

    `degrees` int64 [V] of the matrix that is aggregated over; `graph`: the adjacency, needed from STRUCTURE on.
    """
    if type(degrees) is not np.ndarray or degrees.dtype != np.int64 or degrees.ndim != 1 or degrees.size == 0:
        degrees = as_degrees(degrees)
    rows, entries = degrees.size, max(1, int(degrees.sum()))
    values = [np.array([np.log(rows), np.log(entries), np.log1p(entries / rows), 0.0, 0.0, 0.0])]
    if level.rank >= Level.DEGREES.rank:
        values.append(kernels.degree_summary(degrees, _LIMITS, _SHARES, _FOLD_WIDTHS, HEIGHT_LEVELS))
    if level.rank >= Level.STRUCTURE.rank:
        if graph is None:
            raise ConfigError("features of level structure need the graphs of the job classes, got classes without")
        values.append(np.array([np.log(entries) - 2.0 * np.log(rows), _clustering(graph), assortativity(graph)]))
    return np.concatenate(values)


def log_widths(layers: Sequence[Layer]) -> FloatArray:
    """Return float64 [L, 3]: the values of each layer's feature columns WIDTHS."""
    widths = [(layer.in_features, layer.combination_features, layer.out_features) for layer in layers]
    logs: FloatArray = np.log(np.array(widths, np.float64))
    return logs


def assortativity(graph: Graph) -> float:
    """Return the Pearson correlation of the degrees at both ends of the entries, loops left out; 0 if undefined."""
    rows = np.repeat(np.arange(graph.num_vertices), graph.degrees)
    apart = rows != graph.indices
    x, y = graph.degrees[rows[apart]].astype(np.float64), graph.degrees[graph.indices[apart]].astype(np.float64)
    n, sum_x, sum_y = x.size, x.sum(), y.sum()
    spread = (n * (x @ x) - sum_x * sum_x) * (n * (y @ y) - sum_y * sum_y)
    return float((n * (x @ y) - sum_x * sum_y) / np.sqrt(spread)) if spread > 0.0 else 0.0


def _clustering(graph: Graph) -> float:
    if not graph.undirected:
        return 0.0
    return sampled_clustering(graph, np.random.default_rng(0), trials=CLUSTERING_TRIALS)
