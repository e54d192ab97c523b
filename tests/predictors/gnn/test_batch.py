"""Folded graphs: vertices that look alike are one node, and sums over neighbours stay what they were."""

import numpy as np
import pytest
import torch

from gnnsched_env.graphs import Graph
from gnnsched_env.nn.layers import ConvKind, ConvStack, StackConfig
from gnnsched_env.predictors.gnn.graph_batch import FoldedGraph, batch_graphs, fold_graph
from tests.predictors.gnn.jobs import random_graph
from tests.twins import gnn as naive_gnn

PATH = Graph.from_edges(5, [0, 1, 2, 3], [1, 2, 3, 4])


def unfolded(graph):
    """Return the graph with one node a vertex."""
    rows = np.repeat(np.arange(graph.num_vertices), graph.degrees)
    return FoldedGraph(
        nodes=np.arange(graph.num_vertices),
        edge_index=np.stack((graph.indices.astype(np.int64), rows)),
        entries=graph.num_edges,
    )


def embeddings(graphs, depth, kind):
    torch.manual_seed(1)
    stack = ConvStack(StackConfig(in_dim=1, hidden=6, depth=depth, conv=kind)).double()
    batch = batch_graphs(graphs)
    ones = torch.ones(batch.node_graph.numel(), 1, dtype=torch.float64)
    with torch.no_grad():
        return stack(ones, batch.edge_index)[batch.nodes]


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("graph", [PATH, random_graph(3), random_graph(4, 60), Graph.from_edges(3, [], [])])
def test_nodes_are_the_distinct_neighbourhoods(graph, depth):
    folded = fold_graph(graph, depth)
    names = naive_gnn.colours(graph, depth)
    assert len(set(zip(names, folded.nodes.tolist(), strict=True))) == len(set(names)) == folded.nodes.max() + 1


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("kind", [ConvKind.SAGE, ConvKind.SAGE_MEAN, ConvKind.GIN])
def test_folding_leaves_embeddings_as_they_were(depth, kind):
    graphs = [PATH, random_graph(5), random_graph(6, 50).with_self_loops()]
    folded = embeddings([fold_graph(graph, depth) for graph in graphs], depth, kind)
    whole = embeddings([unfolded(graph) for graph in graphs], depth, kind)
    assert torch.allclose(folded, whole)


def test_a_path_folds_to_its_ends_and_its_middle():
    folded = fold_graph(PATH, 1)
    assert folded.nodes[0] == folded.nodes[4] != folded.nodes[1] == folded.nodes[2] == folded.nodes[3]
    assert folded.edge_index.shape == (2, 3)


def test_a_batch_keeps_rows_in_order():
    batch = batch_graphs([fold_graph(PATH, 2), fold_graph(random_graph(7), 2)])
    assert batch.row_ptr.tolist() == [0, 5, 35]
    assert batch.vertices.tolist() == [5, 30]
    assert batch.node_graph[batch.nodes].tolist() == [0] * 5 + [1] * 30
    assert batch.counts.tolist() == batch.node_graph.bincount().tolist()
