"""`ForecastPredictor`: the forecaster's network on a job's graph, behind the protocol of latency predictors.

A job's graph is read as a tile program: every vertex is an operation, an entry of the matrix that is aggregated over
is an edge, and a layer under an (accelerator, dataflow) pair is a configuration, which joins every vertex. The score is
the logarithm of cycles over the closed form that knows sizes only. A program's score counts its operations; here it is
that of the mean vertex, since a ratio does not grow with the graph.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnsched_env.cycles import uses_self_loops
from gnnsched_env.errors import ConfigError, FileFormatError
from gnnsched_env.forecast.configs import ModelConfig
from gnnsched_env.forecast.models import ForecastModel, Part, Widths
from gnnsched_env.graphs import Graph
from gnnsched_env.latency.gnn.batch import class_graph
from gnnsched_env.latency.gnn.encoding import FEATURES, encode_layer
from gnnsched_env.latency.gnn.layers import ConvKind, edge_weighting
from gnnsched_env.latency.gnn.spread import Adjacency
from gnnsched_env.latency.gnn.stored import StoredPredictor, check_weights, shapes_of
from gnnsched_env.latency.predictor import CYCLES, ModelForms, as_cycles
from gnnsched_env.latency.predictor_file import FORECAST_FORMAT
from gnnsched_env.tables import JobClasses, Pair

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Weights = Mapping[str, NDArray[Any]]

VERSION: Final = 1
BLOCKS: Final = tuple(2**k for k in range(1, 10))
"""Rows of the blocks whose longest and mean row a vertex knows: the machine runs rows in order, some at a time."""
VERTEX_FEATURES: Final = (
    "log_degree",
    "inverse_degree",
    "is_empty",
    "log_relative_degree",
    "log_vertices",
    "log_mean_degree",
    *(f"log_longest_of_{rows}" for rows in BLOCKS),
    *(f"log_mean_of_{rows}" for rows in BLOCKS),
)
WIDTHS: Final = Widths(nodes=len(VERTEX_FEATURES), configs=len(FEATURES), is_tile=True)
SCALING: Final = ("configs.shift", "configs.scale")
LARGEST_SCORE: Final = 5.0  # a ratio of about 150 to the closed form, either way: beyond it nothing was ever trained
ROWS_AT_ONCE: Final = 200_000  # vertices times configurations


def vertex_features(degrees: IntArray) -> FloatArray:
    """Return float64 [V, len(VERTEX_FEATURES)] from row degrees int64 [V] in the order of the rows.

    Logarithms are of 1 + x; a relative degree is in multiples of the mean; block b of size s holds the rows
    s * b .. s * b + s - 1, the last one those that are left.
    """
    rows = degrees.astype(np.float64)
    logs, mean = np.log1p(rows), np.log1p(rows.mean())
    columns = [logs, 1.0 / (1.0 + rows), rows == 0.0, logs - mean]
    columns += [np.full(len(rows), np.log1p(len(rows))), np.full(len(rows), mean)]
    starts = [np.arange(0, len(rows), size) for size in BLOCKS]
    counts = [np.diff(start, append=len(rows)) for start in starts]
    for start, count in zip(starts, counts, strict=True):
        columns.append(np.repeat(np.maximum.reduceat(logs, start), count))
    for start, count in zip(starts, counts, strict=True):
        columns.append(np.repeat(np.log1p(np.add.reduceat(rows, start) / count), count))
    return np.stack(columns, axis=1)


def job_part(graph: Graph, config: ModelConfig, *, dtype: torch.dtype = torch.float64) -> Part:
    """Return the matrix that a job aggregates over as a whole tile program; row v gathers from its entries."""
    degrees = np.diff(graph.indptr)
    adjacency = None
    if config.conv != "none":
        gather = np.repeat(np.arange(graph.num_vertices), degrees)
        edges = torch.from_numpy(np.stack((graph.indices.astype(np.int64), gather)))
        adjacency = Adjacency.of(edges, graph.num_vertices, edge_weighting(ConvKind(config.conv)), dtype=dtype)
    none = torch.zeros(0, dtype=torch.int64)
    return Part(
        nodes=torch.from_numpy(vertex_features(degrees)).to(dtype),
        opcodes=torch.zeros(graph.num_vertices, dtype=torch.int64),
        adjacency=adjacency,
        configurable=none,
        places=none,
        is_tile=True,
    )


def job_scores(network: ForecastModel, part: Part, configs: Tensor) -> Tensor:
    """Return scores [K], log cycles over the closed form, of a job under scaled configurations [K, T]."""
    sums: Tensor = network(part, configs)
    return network.score(sums / len(part.opcodes), nodes=1, configurable=1)


def metadata_cycles(forms: ModelForms, classes: JobClasses, c: int) -> FloatArray:
    """Return float64 [L, P], at least 1: the closed form of sizes alone, of each layer of class c under each pair."""
    degrees = classes.degrees[c]
    terms = forms[classes.models[c]].metadata_terms(degrees.size, int(degrees.sum()))
    cycles: FloatArray = np.maximum(terms[:, :, CYCLES], 1.0)
    return cycles


def aggregated(classes: JobClasses, c: int) -> Graph:
    """Return the matrix that class c aggregates over; ConfigError where there is none, or none of its degrees."""
    graph = class_graph(classes, c, self_loops=uses_self_loops(classes.models[c]))
    if graph.num_vertices != classes.degrees[c].size:
        raise ConfigError(
            f"forecast: graphs must be those of the degrees, got {graph.num_vertices} vertices and "
            f"{classes.degrees[c].size} rows in class {classes.names[c]!r}"
        )
    return graph


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForecastPredictor(StoredPredictor):
    """Cycles of job classes under any pairs, from their adjacency; it runs in float64 on the CPU, a class at a time.

    `domain`: least and largest of SIZES in training. `weights`: the network's and the configurations' SCALING, float32.
    `provenance`: how it was made.
    """

    KIND: ClassVar = "forecast latency predictor"
    FORMAT: ClassVar = FORECAST_FORMAT
    VERSION: ClassVar = VERSION
    ENCODING: ClassVar = {"features": FEATURES, "vertex_features": VERTEX_FEATURES}
    CONFIG: ClassVar = ModelConfig

    config: ModelConfig
    network: ForecastModel
    weights: Weights
    domain: Mapping[str, tuple[int, int]]
    provenance: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name in tables of scores."""
        return "forecast"

    @classmethod
    def _network(cls, config: ModelConfig, weights: Weights) -> ForecastModel:
        check_config(config)
        with torch.random.fork_rng():
            network = ForecastModel(config, WIDTHS)
        _check_weights(network, weights)
        own = {name: torch.from_numpy(np.array(value)) for name, value in weights.items() if name not in SCALING}
        network.load_state_dict(own)
        return network

    def predict(self, classes: JobClasses, pairs: Sequence[Pair]) -> IntArray:
        """Return cycles, int64 [C, P], summed over the layers of each class's model."""
        forms = ModelForms(pairs)
        return np.stack([self._cycles(classes, c, pairs, forms) for c in range(len(classes))])

    def _cycles(self, classes: JobClasses, c: int, pairs: Sequence[Pair], forms: ModelForms) -> IntArray:
        """Return int64 [P]: class c, its graph read once for all layers and pairs."""
        part = job_part(aggregated(classes, c), self.config)
        layers = classes.models[c].layers
        features = np.concatenate([encode_layer(layer, pairs).features for layer in layers])
        shift, scale = (self.weights[name].astype(np.float64) for name in SCALING)
        configs = torch.from_numpy((features - shift) / scale)
        with torch.no_grad():
            few = max(1, ROWS_AT_ONCE // len(part.opcodes))
            scores = torch.cat([job_scores(self.network, part, some) for some in torch.split(configs, few)])
        ratios = scores.clamp(-LARGEST_SCORE, LARGEST_SCORE).exp().numpy().reshape(len(layers), -1)
        return as_cycles((metadata_cycles(forms, classes, c) * ratios).sum(axis=0))


def check_config(config: ModelConfig) -> None:
    """Refuse attention, as a job's latency must not depend on other pairs, and edges both ways, as rows gather."""
    if config.attention:
        raise ConfigError("forecast latency: attention must be off, a latency has no reference configurations")
    if config.directed:
        raise ConfigError("forecast latency: directed must be off, a job's edges are read one way")


def _check_weights(network: ForecastModel, weights: Weights) -> None:
    check_weights("forecast latency", {**shapes_of(network), **dict.fromkeys(SCALING, (len(FEATURES),))}, weights)
    if not (weights[SCALING[1]] > 0.0).all():
        raise FileFormatError(f"forecast latency: weight {SCALING[1]!r} must be above 0")
