import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import GraphError
from gnnsched_env.graphs import (
    Graph,
    GraphSet,
    average_clustering,
    graph_statistics,
    local_clustering,
    sampled_clustering,
)

pytestmark = pytest.mark.kernels


@given(st.integers(1, 14), st.integers(0, 60), st.integers(0, 10_000))
def test_clustering_and_density_agree_with_networkx(vertices, edges, seed):
    rng = np.random.default_rng(seed)
    graph = Graph.from_edges(vertices, rng.integers(0, vertices, edges), rng.integers(0, vertices, edges))
    simple = graph.to_networkx()
    simple.remove_edges_from(networkx.selfloop_edges(simple))
    assert local_clustering(graph) == pytest.approx(list(networkx.clustering(simple).values()))
    found = graph_statistics(graph)
    assert found.clustering == pytest.approx(networkx.average_clustering(simple))
    assert found.density == pytest.approx(networkx.density(simple))
    assert found.edges == simple.number_of_edges()


def test_a_star_by_hand():
    found = graph_statistics(Graph.from_edges(5, [0, 0, 0, 1], [1, 2, 3, 1]))
    assert (found.vertices, found.edges, found.self_loops, found.empty_rows, found.max_degree) == (5, 3, 1, 1, 3)
    assert found.mean_degree == pytest.approx(7 / 5)  # degrees 3, 2, 1, 1, 0
    assert found.degree_deviation == pytest.approx(np.sqrt(15 / 5 - (7 / 5) ** 2))
    assert found.density == pytest.approx(3 / 10)
    assert found.clustering == 0.0
    assert found.degree_skewness == pytest.approx(0.2715, abs=1e-4)


def test_a_regular_graph_has_no_skewness():
    ring = Graph.from_edges(6, range(6), [1, 2, 3, 4, 5, 0])
    assert graph_statistics(ring).degree_skewness == 0.0
    single = graph_statistics(Graph.from_edges(1, [], []))
    assert (single.density, single.mean_degree, single.clustering) == (0.0, 0.0, 0.0)


def test_clustering_needs_an_undirected_graph():
    directed = Graph.from_edges(3, [0, 1], [1, 2], undirected=False)
    with pytest.raises(GraphError, match="undirected graphs only"):
        graph_statistics(directed)
    with pytest.raises(GraphError, match="undirected graphs only"):
        sampled_clustering(directed, np.random.default_rng(0))


def test_sampling_comes_near_the_exact_value(shared):
    for name, expected in (("Cora", 0.2407), ("Citeseer", 0.1415)):
        graph = GraphSet.load(shared / "graphs" / f"{name}.npz")[0]
        assert average_clustering(graph) == pytest.approx(expected, abs=5e-5)  # published values
        sampled = sampled_clustering(graph, np.random.default_rng(0), trials=20_000)
        assert sampled == pytest.approx(expected, abs=0.015)
        assert graph_statistics(graph, rng=np.random.default_rng(0), trials=20_000).clustering == sampled


def test_trials_must_be_positive():
    with pytest.raises(GraphError, match="trials must be an integer of at least 1, got 0"):
        sampled_clustering(Graph.from_edges(1, [], []), np.random.default_rng(0), trials=0)
