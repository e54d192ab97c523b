"""`GnnPredictor`: a trained network behind the predictor protocol, and its file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.store import GNN_FORMAT
from gnnsched_env.cycles import uses_self_loops
from gnnsched_env.hardware import Layer
from gnnsched_env.nn.weights import check_weights, shapes_of
from gnnsched_env.predictors.gnn.graph_batch import FoldedGraph, batch_graphs, class_graph, fold_graph, stack_encodings
from gnnsched_env.predictors.gnn.latency_networks import ModelConfig, ReadoutModel, TileModel, make_network
from gnnsched_env.predictors.gnn.pair_encoding import FEATURES, GEOMETRY, PairEncoding, encode_layer
from gnnsched_env.predictors.gnn.stored_predictor import StoredPredictor
from gnnsched_env.predictors.protocol import as_cycles
from gnnsched_env.tables import Pair
from gnnsched_env.workload import JobClasses

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Weights = Mapping[str, NDArray[Any]]

VERSION = 1
ROWS_AT_ONCE = 200_000
SHIPPED = "gnn.npz"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GnnPredictor(StoredPredictor):
    """Cycles of job classes under any pairs, from their adjacency; it runs in float64 on the CPU.

    `domain`: least and largest of SIZES in training. `weights`: the network's, float32. `provenance`: how it was made.
    """

    KIND: ClassVar = "GNN predictor"
    FORMAT: ClassVar = GNN_FORMAT
    VERSION: ClassVar = VERSION
    ENCODING: ClassVar = {"features": FEATURES, "geometry": GEOMETRY}  # of a layer
    CONFIG: ClassVar = ModelConfig

    config: ModelConfig
    network: TileModel | ReadoutModel
    weights: Weights
    domain: Mapping[str, tuple[int, int]]
    provenance: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name on the command line."""
        return "gnn"

    @classmethod
    def _network(cls, config: ModelConfig, weights: Weights) -> TileModel | ReadoutModel:
        with torch.random.fork_rng():
            network = make_network(config)
        check_weights("gnn", shapes_of(network), weights)
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
        return network

    def predict(self, classes: JobClasses, pairs: Sequence[Pair]) -> IntArray:
        """Return cycles, int64 [C, P], summed over the layers of each class's model; each graph is read once."""
        cycles = np.zeros((len(classes), len(pairs)))
        known: dict[Layer, PairEncoding] = {}
        for members in _portions(classes):
            models = [classes.models[c] for c in members]
            folded = [self._fold(classes, c) for c in members]
            for layer in {layer for model in models for layer in model.layers}:
                known.setdefault(layer, encode_layer(layer, pairs))
            layers = [[known[layer] for layer in model.layers] for model in models]
            cycles[members] = self._cycles(folded, layers)
        return as_cycles(cycles)

    def _fold(self, classes: JobClasses, c: int) -> FoldedGraph:
        graph = class_graph(classes, c, self_loops=uses_self_loops(classes.models[c]))
        if graph.num_vertices != classes.degrees[c].size:
            raise ConfigError(
                f"gnn: graphs must be those of the degrees, got {graph.num_vertices} vertices and "
                f"{classes.degrees[c].size} rows in class {classes.names[c]!r}"
            )
        return fold_graph(graph, self.config.depth)

    def _cycles(self, folded: list[FoldedGraph], layers: list[list[PairEncoding]]) -> FloatArray:
        """Return float64 [C, P]: classes whose models have equally many layers."""
        graphs = batch_graphs(folded)
        with torch.no_grad():
            embedding = self.network.embed(graphs)
            parts = [self.network(embedding, graphs, *stack_encodings(own)).exp() for own in zip(*layers, strict=True)]
        total: FloatArray = torch.stack(parts).sum(dim=0).numpy()
        return total


@cache
def shipped_gnn() -> GnnPredictor:
    """Return the predictor that comes with the package."""
    with resources.as_file(resources.files("gnnsched_env.predictors") / "data" / SHIPPED) as path:
        return GnnPredictor.load(path)


def _portions(classes: JobClasses) -> list[IntArray]:
    """Return the classes in portions of about ROWS_AT_ONCE rows, all with equally many layers."""
    depths = np.array([len(model.layers) for model in classes.models])
    portions = []
    for depth in np.unique(depths):
        members = np.flatnonzero(depths == depth)
        rows = np.array([classes.degrees[c].size for c in members], np.int64)
        parts = (np.cumsum(rows) - rows) // ROWS_AT_ONCE
        portions += [members[parts == part] for part in np.unique(parts)]
    return portions
