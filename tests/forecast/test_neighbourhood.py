import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast import ProgramGraph, open_program
from gnnsched_env.forecast.encoding.neighbourhood import neighbourhood
from tests.twins import forecast_files as naive_files


def graph_of(nodes, edges):
    """Return a graph whose operations can be told apart: feature 0 is the number."""
    features = np.zeros((nodes, 140), dtype=np.float32)
    features[:, 0] = np.arange(nodes)
    pairs = np.array(sorted(set(edges)), dtype=np.int64).reshape(-1, 2)
    return ProgramGraph(node_features=features, opcodes=np.arange(nodes, dtype=np.uint8), edges=pairs)


@st.composite
def programs(draw):
    nodes = draw(st.integers(1, 20))
    node = st.integers(0, nodes - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=30))
    configurable = sorted(draw(st.sets(node, min_size=1)))
    return nodes, edges, configurable


@given(programs(), st.integers(0, 6))
def test_it_agrees_with_the_slow_twin(program, hops):
    nodes, edges, configurable = program
    graph = graph_of(nodes, edges)
    near = neighbourhood(graph, np.array(configurable), hops)
    expected = naive_files.neighbourhood(nodes, edges, configurable, hops)
    assert near.nodes.tolist() == expected
    assert near.graph.node_features[:, 0].tolist() == expected
    assert near.graph.opcodes.tolist() == expected
    assert near.nodes[near.configurable].tolist() == configurable
    kept = [pair for pair in graph.edges.tolist() if set(pair) <= set(expected)]
    assert near.nodes[near.graph.edges].tolist() == kept
    assert near.configurable.dtype == near.graph.edges.dtype == near.nodes.dtype == np.int64


def test_the_whole_graph_without_hops_and_without_configurable_nodes():
    graph = graph_of(5, [(1, 0), (4, 3)])
    for configurable, hops in [([2], None), ([], 3)]:
        near = neighbourhood(graph, np.array(configurable, dtype=np.int64), hops)
        assert near.graph is graph
        assert near.nodes.tolist() == [0, 1, 2, 3, 4]
        assert near.configurable.tolist() == configurable


def test_hops_below_zero_are_refused():
    with pytest.raises(ConfigError, match="hops must be"):
        neighbourhood(graph_of(2, []), np.array([0]), -1)


def test_a_real_graph(alexnet):
    program = open_program(alexnet)
    sizes = [len(neighbourhood(program.graph, program.configurable, hops).nodes) for hops in range(8)]
    assert sizes == [26, 73, 149, 227, 298, 342, 362, 371]
