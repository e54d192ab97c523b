"""`GnnPredictor`: a trained network behind the predictor protocol, and its file."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from gnnsched_env.common import store
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import reading
from gnnsched_env.common.store import GNN_PREDICTOR, Stored
from gnnsched_env.cycles import uses_self_loops
from gnnsched_env.hardware import Layer
from gnnsched_env.nn.weights import check_weights, shapes_of
from gnnsched_env.predictors.gnn.graph_batch import FoldedGraph, batch_graphs, class_graph, fold_graph, stack_encodings
from gnnsched_env.predictors.gnn.latency_networks import ModelConfig, ReadoutModel, TileModel, make_network
from gnnsched_env.predictors.gnn.pair_encoding import FEATURES, GEOMETRY, PairEncoding, encode_layer
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.protocol import as_cycles
from gnnsched_env.tables import Pair
from gnnsched_env.workload import JobClasses

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Weights = Mapping[str, NDArray[Any]]

ENCODING = {"features": FEATURES, "geometry": GEOMETRY}  # the names of a layer's numbers, in order
SIZES = ("vertices", "entries", "in_features", "combination_features", "out_features")
ROWS_AT_ONCE = 200_000
SHIPPED = "gnn.npz"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GnnPredictor:
    """Cycles of job classes under any pairs, from their adjacency; it runs in float64 on the CPU.

    `domain`: smallest and largest SIZES in training. `weights`: the network's, float32. `provenance`: how it was made.
    """

    config: ModelConfig
    network: TileModel | ReadoutModel
    weights: Weights
    domain: Mapping[str, tuple[int, int]]
    provenance: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        config: ModelConfig,
        weights: Weights,
        *,
        domain: Mapping[str, tuple[int, int]],
        provenance: Mapping[str, Any],
    ) -> Self:
        """Return a predictor with the weights; raise FileFormatError, naming a missing, extra or misshapen one."""
        with torch.random.fork_rng():
            network = make_network(config)
        check_weights("gnn", shapes_of(network), weights)
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
        return cls(
            config=config,
            network=network.double().eval(),
            weights=dict(weights),
            domain=dict(domain),
            provenance=dict(provenance),
        )

    @property
    def name(self) -> str:
        """The predictor's name on the command line."""
        return "gnn"

    @property
    def level(self) -> Level:
        """The level of knowledge of a job that the predictor needs."""
        return Level.GRAPH

    def out_of_domain(self, classes: JobClasses) -> tuple[tuple[str, ...], ...]:
        """Return, for each class, which of SIZES lie outside the training range, in any of its layers."""
        flags = []
        for degrees, model in zip(classes.degrees, classes.models, strict=True):
            values = {"vertices": [degrees.size], "entries": [int(degrees.sum())]}
            values |= {name: [getattr(layer, name) for layer in model.layers] for name in SIZES[2:]}
            flags.append(tuple(name for name in SIZES if _outside(values[name], self.domain[name])))
        return tuple(flags)

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

    def digest(self) -> str:
        """Return a hash (SHA-256, hexadecimal) of everything that predictions depend on."""
        return store.digest({"config": asdict(self.config)}, self.weights)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file without pickles, atomically; equal predictors give equal bytes."""
        fields = {
            **{name: list(known) for name, known in ENCODING.items()},
            "config": asdict(self.config),
            "domain": {name: list(bounds) for name, bounds in self.domain.items()},
            "provenance": dict(self.provenance),
        }
        store.save(path, GNN_PREDICTOR, fields, {name: np.asarray(value) for name, value in self.weights.items()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file that `save` wrote; raise FileFormatError if it is invalid."""
        return cls.from_stored(store.load(path, GNN_PREDICTOR))

    @classmethod
    def from_stored(cls, stored: Stored) -> Self:
        """Return a predictor from a file's content; raise FileFormatError if it is invalid."""
        manifest, source = stored.manifest, stored.source
        for name, known in ENCODING.items():
            if manifest.get(name) != list(known):
                raise FileFormatError(
                    f"{source}: its {name} must be, in this order, {', '.join(known)}; got {manifest.get(name)}"
                )
        with reading(source):
            return cls.of(
                ModelConfig(**manifest["config"]),
                stored.arrays,
                domain=_read_domain(source, manifest["domain"]),
                provenance=manifest["provenance"],
            )

    def _fold(self, classes: JobClasses, c: int) -> FoldedGraph:
        graph = class_graph(classes, c, self_loops=uses_self_loops(classes.models[c]))
        if graph.num_vertices != classes.degrees[c].size:
            raise ConfigError(
                f"gnn: graphs must match the degrees, got {graph.num_vertices} vertices and "
                f"{classes.degrees[c].size} rows in class {classes.names[c]!r}"
            )
        return fold_graph(graph, self.config.depth)

    def _cycles(self, folded: list[FoldedGraph], layers: list[list[PairEncoding]]) -> FloatArray:
        """Return cycles, float64 [C, P], of classes whose models have equally many layers."""
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


def _read_domain(source: str, stored: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return smallest and largest SIZES from a manifest; raise FileFormatError if it names other sizes."""
    domain = {name: (int(low), int(high)) for name, (low, high) in stored.items()}
    if set(domain) != set(SIZES):
        raise FileFormatError(f"{source}: domain must give {', '.join(SIZES)}, got {', '.join(domain)}")
    return domain


def _outside(values: Sequence[int], bounds: tuple[int, int]) -> bool:
    return min(values) < bounds[0] or max(values) > bounds[1]
