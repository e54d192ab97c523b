"""Loops, empty rows and other orders, on any graph."""

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import Graph
from gnnsched_env.graphs.generators import draw_graphs, hubs_first, power_law_graph, shuffled, with_isolated, with_loops

seeds = st.integers(0, 2**32 - 1)


@st.composite
def graphs(draw):
    vertices = draw(st.integers(1, 30))
    ends = draw(st.lists(st.tuples(*[st.integers(0, vertices - 1)] * 2), max_size=60))
    edges = np.array(ends, np.int64).reshape(-1, 2)
    return Graph.from_edges(vertices, edges[:, 0], edges[:, 1], undirected=draw(st.booleans()), name="any")


def edges_of(graph):
    rows = np.repeat(np.arange(graph.num_vertices), graph.degrees)
    return set(zip(rows.tolist(), graph.indices.tolist(), strict=True))


def checked(graph, before):
    assert Graph(graph.indptr, graph.indices, undirected=graph.undirected).digest() == graph.digest()
    assert (graph.num_vertices, graph.name, graph.undirected) == (before.num_vertices, before.name, before.undirected)
    return graph


@given(graphs(), seeds, st.floats(0, 1))
def test_loops_are_added_and_nothing_else(graph, seed, share):
    looped = checked(with_loops(np.random.default_rng(seed), graph, share), graph)
    assert edges_of(looped) >= edges_of(graph)
    assert all(u == v for u, v in edges_of(looped) - edges_of(graph))
    assert with_loops(np.random.default_rng(seed), graph, 1.0).loops.all()
    assert with_loops(np.random.default_rng(seed), graph, 0.0).digest() == graph.digest()


@given(graphs(), seeds, st.floats(0, 1))
def test_isolated_vertices_lose_all_and_others_keep_all(graph, seed, share):
    bare = checked(with_isolated(np.random.default_rng(seed), graph, share), graph)
    gone = np.random.default_rng(seed).random(graph.num_vertices) < share
    assert edges_of(bare) == {(u, v) for u, v in edges_of(graph) if not gone[u] and not gone[v]}
    assert with_isolated(np.random.default_rng(seed), graph, 1.0).num_edges == 0


@given(graphs(), seeds)
def test_other_orders_are_the_same_graph(graph, seed):
    for other in (shuffled(np.random.default_rng(seed), graph), hubs_first(graph)):
        checked(other, graph)
        assert networkx.faster_could_be_isomorphic(other.to_networkx(), graph.to_networkx())
        assert sorted(other.degrees) == sorted(graph.degrees)
        assert other.loops.sum() == graph.loops.sum()
    assert np.all(np.diff(hubs_first(graph).degrees) <= 0)


def test_orders_are_renumberings():
    graph = draw_graphs("citation", np.random.default_rng(0), 1)[0]
    number = np.random.default_rng(5).permutation(graph.num_vertices)
    expected = {(int(number[u]), int(number[v])) for u, v in edges_of(graph)}
    assert edges_of(shuffled(np.random.default_rng(5), graph)) == expected
    order = sorted(range(graph.num_vertices), key=lambda v: (-graph.degrees[v], v))
    assert hubs_first(graph).degrees.tolist() == [graph.degrees[v] for v in order]


def test_shares_are_shares_of_the_vertices():
    rng = np.random.default_rng(0)
    graph = power_law_graph(rng, 20_000, mean_degree=30.0, exponent=3.5)
    assert with_loops(rng, graph, 0.3).loops.mean() == pytest.approx(0.3, abs=0.02)
    assert (with_isolated(rng, graph, 0.3).degrees == 0).mean() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("decorate", [with_loops, with_isolated])
@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_beyond_one_are_refused(decorate, share):
    graph = draw_graphs("molecule", np.random.default_rng(0), 1)[0]
    with pytest.raises(ConfigError, match=r"share must be"):
        decorate(np.random.default_rng(0), graph, share)
