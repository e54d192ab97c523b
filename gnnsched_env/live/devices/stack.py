"""Jobs as the devices of this package run them: a stack of layers, whose operands are generated once."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import GnnModel
from gnnsched_env.live.devices.layer_ways import LayerInput, Matrix, dense_operations
from gnnsched_env.live.devices.live_device import DeviceJobs

DENSE = "dense_gemm"  # the way whose work grows with the square of the vertices
MOST_DENSE = 1 << 35  # multiply-adds of a job's dense products: some seconds on a core

Sums = Callable[[LayerInput], Matrix]


class Stack:
    """The layers of one class of jobs: X -> relu(((A + I) X) W) -> ..., without the last relu, in float32.

    A layer whose combination is twice as wide as its input (GraphSAGE) aggregates over A, and concatenates the
    vertices' own features. Features and weights are drawn from the class's number, so that every device has the same.
    """

    def __init__(self, graph: Graph, model: GnnModel, number: int) -> None:
        rng = np.random.default_rng(number)
        looped = graph.with_self_loops() if model.layers[0].self_loops else graph
        self.features: Matrix = rng.random((graph.num_vertices, model.in_features), np.float32)
        self.concatenates = [layer.combination_features > layer.in_features for layer in model.layers]
        self.inputs = [
            LayerInput(
                indptr=looped.indptr,
                indices=looped.indices,
                values=np.ones(looped.num_edges, np.float32),
                features=self.features,
                weights=rng.random((layer.combination_features, layer.out_features), np.float32) - np.float32(0.5),
            )
            for layer in model.layers
        ]

    def run(self, aggregate: Sums) -> Matrix:
        """Return the output of the last layer, float32 [V, G], every sum computed by a function."""
        shown = self.features
        for place, (layer, concatenates) in enumerate(zip(self.inputs, self.concatenates, strict=True)):
            if place:
                shown = np.maximum(shown, np.float32(0.0))
            total = aggregate(replace(layer, features=shown))
            rows = np.concatenate([total, shown], axis=1) if concatenates else total
            shown = rows @ layer.weights
        return shown


def check_dense(jobs: DeviceJobs, ways: Collection[Any], where: str) -> None:
    """Raise ConfigError, naming the class, where a graph is too large for the dense way."""
    if DENSE not in ways:
        return
    for name, graph, model in zip(jobs.names, jobs.graphs, jobs.models, strict=True):
        work = sum(dense_operations(graph, layer.in_features, layer.out_features) for layer in model.layers)
        if work > MOST_DENSE:
            raise ConfigError(
                f"{where}: {DENSE} takes jobs of at most {MOST_DENSE:.2g} multiply-adds (V^2 F + V F G), but {name!r} "
                f"of {graph.num_vertices:,} vertices has {work:.2g}: leave the choice or the graph out"
            )


def stacks(jobs: DeviceJobs) -> Sequence[Stack]:
    """Return the stack of each class."""
    return [Stack(graph, model, c) for c, (graph, model) in enumerate(zip(jobs.graphs, jobs.models, strict=True))]
