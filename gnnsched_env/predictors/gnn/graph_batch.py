"""Job classes as tensors: a batch of graphs, and each class's layer under the pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.random_streams import GOLDEN, MIX_1, mix_words
from gnnsched_env.graphs import Graph
from gnnsched_env.predictors.gnn.pair_encoding import PairEncoding
from gnnsched_env.workload import JobClasses

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldedGraph:
    """A graph in which one node stands for all vertices that look alike within `depth` hops.

    `nodes` int64 [V]: the node of each row. `edge_index` int64 [2, E']: one entry for each entry of each node's first
    row, so that sums over neighbours are those of the graph; row 0 the nodes that send, row 1 those that gather.
    """

    nodes: IntArray
    edge_index: IntArray
    entries: int


def fold_graph(graph: Graph, depth: int) -> FoldedGraph:
    """Merge vertices of one colour after `depth` rounds of Weisfeiler-Leman refinement, all being equal at first.

    `graph` is the matrix that is aggregated over. Vertices of one colour have equal embeddings after `depth`
    convolutions over constant features, whatever the weights, so that one of them is enough. O(depth (V log V + E)).
    """
    colours = np.zeros(graph.num_vertices, np.int64)
    representatives = np.zeros(1, np.int64)
    for _ in range(depth):
        sums = np.zeros(graph.num_edges + 1, np.uint64)
        np.cumsum(_hashed(colours)[graph.indices], out=sums[1:])
        keys = _hashed(colours) * MIX_1 + (sums[graph.indptr[1:]] - sums[graph.indptr[:-1]])
        _, representatives, colours = np.unique(keys, return_index=True, return_inverse=True)
    lengths = graph.indptr[representatives + 1] - graph.indptr[representatives]
    gather = np.repeat(np.arange(len(representatives)), lengths)
    starts = np.cumsum(lengths) - lengths
    places = np.arange(lengths.sum()) - starts[gather] + graph.indptr[representatives][gather]
    senders = colours[graph.indices[places]]
    return FoldedGraph(nodes=colours, edge_index=np.stack((senders, gather)), entries=graph.num_edges)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphBatch:
    """C folded graphs side by side: U nodes that stand for N rows.

    `edge_index` int64 [2, E']; `node_graph` int64 [U], ascending: the graph of each node; `nodes` int64 [N]: the node
    of each row, graph after graph; `row_ptr` int64 [C+1]: where the rows of each graph begin; `vertices`, `entries`
    int64 [C]; `counts` int64 [C]: nodes of each graph.
    """

    edge_index: Tensor
    node_graph: Tensor
    nodes: Tensor
    row_ptr: Tensor
    vertices: Tensor
    entries: Tensor
    counts: Tensor

    def to(self, device: torch.device) -> "GraphBatch":
        """Return the batch on a device."""
        return GraphBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def batch_graphs(graphs: Sequence[FoldedGraph]) -> GraphBatch:
    """Return the graphs side by side, on the CPU."""
    vertices = np.array([len(graph.nodes) for graph in graphs], np.int64)
    counts = np.array([int(graph.nodes.max()) + 1 for graph in graphs], np.int64)
    offsets = np.cumsum(counts) - counts
    arrays = {
        "edge_index": np.concatenate([one.edge_index + by for one, by in zip(graphs, offsets, strict=True)], axis=1),
        "node_graph": np.repeat(np.arange(len(graphs)), counts),
        "nodes": np.concatenate([one.nodes + by for one, by in zip(graphs, offsets, strict=True)]),
        "row_ptr": np.concatenate((np.zeros(1, np.int64), np.cumsum(vertices))),
        "vertices": vertices,
        "entries": np.array([graph.entries for graph in graphs], np.int64),
        "counts": counts,
    }
    return GraphBatch(**{name: torch.from_numpy(array) for name, array in arrays.items()})


def stack_encodings(encodings: Sequence[PairEncoding]) -> tuple[Tensor, Tensor]:
    """Return features float64 [C, P, D] and geometry int64 [C, P, len(GEOMETRY)] of C layers under P pairs."""
    features = torch.from_numpy(np.stack([one.features for one in encodings]))
    return features, torch.from_numpy(np.stack([one.geometry for one in encodings]))


def class_graph(classes: JobClasses, c: int, *, self_loops: bool) -> Graph:
    """Return the matrix that class c aggregates over: A+I or A."""
    if classes.graphs is None:
        raise ConfigError(
            "gnn: the predictor reads adjacency, so job classes must have graphs; got graphs=None "
            "(classes_from_files and synthetic_classes keep them)"
        )
    return classes.graphs[c].with_self_loops() if self_loops else classes.graphs[c]


def _hashed(colours: IntArray) -> NDArray[np.uint64]:
    """Return splitmix64 of each colour, so that sums tell multisets apart."""
    return mix_words((colours.astype(np.uint64) + np.uint64(1)) * GOLDEN)
