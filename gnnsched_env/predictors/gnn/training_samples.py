"""Training samples of a GNN: folded synthetic graphs, layers under every pair, true cycles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.cycles import uses_self_loops
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec, training_chunk
from gnnsched_env.predictors.gnn.graph_batch import FoldedGraph, GraphBatch, batch_graphs, class_graph, fold_graph
from gnnsched_env.predictors.gnn.pair_encoding import encode_layer
from gnnsched_env.tables import Pair, pair_cycles
from gnnsched_env.workload import JobClasses

IntArray = NDArray[np.int64]

STRIDE = 17  # distance in jobs to the next layer that a graph takes, to leave its own made-up data set


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """S samples under P pairs: a folded graph and one layer each.

    `graphs[graph_of[s]]` is the graph of sample s, `features[layer_of[s]]` float64 [P, D] and `geometry[layer_of[s]]`
    its layer; `cycles` int64 [S, P]; `groups` int64 [S]: its family, index into `group_names`; `sizes` int64 [S, 5]:
    vertices, entries, input, combination and output widths.
    """

    graphs: tuple[FoldedGraph, ...]
    features: Tensor
    geometry: Tensor
    graph_of: IntArray
    layer_of: IntArray
    cycles: IntArray
    groups: IntArray
    group_names: tuple[str, ...]
    sizes: IntArray

    def __len__(self) -> int:
        return len(self.graph_of)

    def batch(self, members: IntArray, columns: IntArray) -> tuple[GraphBatch, Tensor, Tensor, Tensor]:
        """Return graphs, features [C, K, D], geometry [C, K, ...] and log cycles [C, K] of samples under some pairs."""
        graphs = batch_graphs([self.graphs[g] for g in self.graph_of[members]])
        layers = torch.from_numpy(self.layer_of[members])[:, None]
        picked = torch.from_numpy(columns)[None]
        logs = torch.from_numpy(np.log(self.cycles[members][:, columns]))
        return graphs, self.features[layers, picked], self.geometry[layers, picked], logs

    def members(self, families: Sequence[str], *, inside: bool) -> IntArray:
        """Return the samples of some families, or of all other families."""
        for family in families:
            if family not in self.group_names:
                raise ConfigError(f"gnn: held_out must name families ({', '.join(self.group_names)}), got {family!r}")
        own = np.isin(self.groups, [self.group_names.index(family) for family in families])
        return np.flatnonzero(own if inside else ~own)


def training_samples(
    spec: DatasetSpec, pairs: Sequence[Pair], *, layers_a_graph: int, depth: int, progress: bool | None = False
) -> Samples:
    """Draw synthetic jobs and label them; each graph gets its own layer and those of other jobs of its chunk."""
    parts = []
    with progress_bar("training graphs", spec.graphs, shown=progress) as advance:
        for chunk in range(spec.chunks):
            parts.append(label_samples(training_chunk(spec, chunk), pairs, layers_a_graph=layers_a_graph, depth=depth))
            advance(spec.jobs_of(chunk))
    return join_samples(parts)


def label_samples(classes: JobClasses, pairs: Sequence[Pair], *, layers_a_graph: int = 1, depth: int = 1) -> Samples:
    """Return samples of classes whose models have one layer, labelled by the cost model."""
    if any(len(model.layers) != 1 for model in classes.models):
        raise ConfigError("gnn: training classes must have models of one layer")
    loops = np.array([uses_self_loops(model) for model in classes.models])
    layers = list(dict.fromkeys(model.layers[0] for model in classes.models))
    own = np.array([layers.index(model.layers[0]) for model in classes.models])
    columns, labels = [], []
    for k in range(layers_a_graph):
        layer_of = own.copy()
        for kind in (True, False):
            layer_of[loops == kind] = np.roll(own[loops == kind], k * STRIDE)
        models = tuple(replace(classes.models[0], layers=(layers[place],)) for place in layer_of)
        labels.append(pair_cycles(replace(classes, models=models), pairs))
        columns.append(layer_of)
    layer_of = np.concatenate(columns)
    encodings = [encode_layer(layer, pairs) for layer in layers]
    folded = tuple(fold_graph(class_graph(classes, c, self_loops=bool(loops[c])), depth) for c in range(len(classes)))
    graph_of = np.tile(np.arange(len(classes)), layers_a_graph)
    widths = np.array([(one.in_features, one.combination_features, one.out_features) for one in layers], np.int64)
    graph_sizes = np.array([(len(graph.nodes), graph.entries) for graph in folded], np.int64)
    return Samples(
        graphs=folded,
        features=torch.from_numpy(np.stack([one.features for one in encodings])),
        geometry=torch.from_numpy(np.stack([one.geometry for one in encodings])),
        graph_of=graph_of,
        layer_of=layer_of,
        cycles=np.concatenate(labels),
        groups=classes.groups[graph_of],
        group_names=classes.group_names,
        sizes=np.concatenate((graph_sizes[graph_of], widths[layer_of]), axis=1),
    )


def join_samples(parts: Sequence[Samples]) -> Samples:
    """Return the samples of all parts, one part after another."""
    graphs, layers = (
        np.cumsum([0] + [len(part.graphs) for part in parts]),
        np.cumsum([0] + [len(part.features) for part in parts]),
    )
    return Samples(
        graphs=tuple(graph for part in parts for graph in part.graphs),
        features=torch.cat([part.features for part in parts]),
        geometry=torch.cat([part.geometry for part in parts]),
        graph_of=np.concatenate([part.graph_of + by for part, by in zip(parts, graphs[:-1], strict=True)]),
        layer_of=np.concatenate([part.layer_of + by for part, by in zip(parts, layers[:-1], strict=True)]),
        cycles=np.concatenate([part.cycles for part in parts]),
        groups=np.concatenate([part.groups for part in parts]),
        group_names=parts[0].group_names,
        sizes=np.concatenate([part.sizes for part in parts]),
    )
