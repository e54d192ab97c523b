import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import GraphError
from gnnsched_env.graphs import Graph, block_diagonal, component_labels, largest_component
from tests.twins import graphs as naive

pytestmark = pytest.mark.kernels


@st.composite
def edge_lists(draw, most=12):
    """Draw (num_vertices, edges), repeats and self loops included."""
    vertices = draw(st.integers(1, most))
    ids = st.integers(0, vertices - 1)
    return vertices, draw(st.lists(st.tuples(ids, ids), max_size=30))


def build(drawn, *, undirected=True, name=""):
    vertices, edges = drawn
    return Graph.from_edges(vertices, [s for s, _ in edges], [t for _, t in edges], undirected=undirected, name=name)


@pytest.mark.slow
@given(edge_lists(), st.booleans())
def test_from_edges_agrees_with_sets(drawn, undirected):
    graph = build(drawn, undirected=undirected)
    rows = naive.rows(*drawn, both_ways=undirected)
    assert naive.rows_of(graph) == rows
    assert graph.num_vertices == drawn[0]
    assert graph.num_edges == sum(map(len, rows))
    assert graph.degrees.tolist() == list(map(len, rows))
    assert graph.loops.tolist() == [v in row for v, row in enumerate(rows)]
    assert Graph(graph.indptr, graph.indices, undirected=undirected).digest() == graph.digest()
    assert (graph.indptr.dtype, graph.indices.dtype, graph.degrees.dtype) == (np.int64, np.int32, np.int64)


@given(edge_lists(), st.booleans())
def test_self_loops_are_a_pattern_union(drawn, undirected):
    graph = build(drawn, undirected=undirected)
    looped = graph.with_self_loops()
    assert naive.rows_of(looped) == naive.with_loops(naive.rows_of(graph))
    assert looped.degrees.tolist() == graph.row_degrees(self_loops=True).tolist()
    assert graph.degrees.tolist() == graph.row_degrees(self_loops=False).tolist()
    assert looped.with_self_loops().digest() == looped.digest()


@given(st.lists(edge_lists(most=6), min_size=1, max_size=4))
def test_block_diagonal_agrees_with_lists(drawn):
    graphs = [build(one) for one in drawn]
    union = block_diagonal(graphs)
    assert naive.rows_of(union) == naive.disjoint_union([naive.rows_of(graph) for graph in graphs])
    assert Graph(union.indptr, union.indices).digest() == union.digest()


@given(edge_lists())
def test_components_agree_with_networkx(drawn):
    graph = build(drawn)
    labels = component_labels(graph)
    assert list(dict.fromkeys(labels.tolist())) == list(range(labels.max() + 1))
    found = {frozenset(np.flatnonzero(labels == label).tolist()) for label in range(labels.max() + 1)}
    expected = {frozenset(part) for part in networkx.connected_components(graph.to_networkx())}
    assert found == expected
    largest = largest_component(graph)
    assert largest.num_vertices == max(map(len, expected))
    assert Graph(largest.indptr, largest.indices).num_edges == largest.num_edges
    part = np.flatnonzero(labels == np.bincount(labels).argmax()).tolist()
    assert networkx.utils.graphs_equal(
        networkx.convert_node_labels_to_integers(graph.to_networkx().subgraph(part), ordering="sorted"),
        largest.to_networkx(),
    )


@given(edge_lists(), st.booleans())
def test_networkx_round_trip(drawn, undirected):
    graph = build(drawn, undirected=undirected, name="toy")
    back = Graph.from_networkx(graph.to_networkx())
    assert back.digest() == graph.digest()
    assert (back.name, back.undirected) == ("toy", undirected)


def test_networkx_vertices_are_numbered_in_their_order():
    graph = networkx.MultiGraph([("b", "a"), ("a", "b"), ("a", "c")])
    assert naive.rows_of(Graph.from_networkx(graph)) == [[1], [0, 2], [1]]


@given(st.integers(1, 6), st.data())
def test_a_graph_is_accepted_exactly_if_it_is_valid(vertices, data):
    id_lists = st.lists(st.integers(-1, vertices), max_size=4)
    rows = data.draw(st.lists(id_lists, min_size=vertices, max_size=vertices))
    indptr = np.cumsum([0] + [len(row) for row in rows])
    indices = np.array([neighbour for row in rows for neighbour in row], dtype=np.int64)
    ordered = all(row == sorted(set(row)) and all(0 <= u < vertices for u in row) for row in rows)
    for undirected in (False, True):
        if ordered and (not undirected or naive.is_symmetric(rows)):
            assert naive.rows_of(Graph(indptr, indices, undirected=undirected)) == rows
        else:
            with pytest.raises(GraphError, match="indices of graph 0, vertex"):
                Graph(indptr, indices, undirected=undirected)


@pytest.mark.parametrize(
    ("indptr", "indices", "message"),
    [
        ([0], [], "a graph must have at least one vertex, graph 0 has none"),
        ([], [], "a graph must have at least one vertex, graph 0 has none"),
        ([1, 1], [], "indptr must begin with 0, got 1"),
        ([0, 2, 1, 2], [1, 2], "indptr must not decrease, got 2 then 1 at position 1"),
        ([0, 1, 2], [1], "indptr must end with the length of indices, 1, got 2"),
        ([0, 1, 1], [2], "indices of graph 0, vertex 0: neighbour ids must lie in 0..1, got 2"),
        ([0, 0, 1], [-1], "vertex 1: neighbour ids must lie in 0..1, got -1"),
        ([0, 0, 2, 2], [2, 0], "vertex 1: neighbour ids must increase strictly, but 0 follows"),
        ([0, 0, 2, 2], [0, 0], "vertex 1: neighbour ids must increase strictly, but 0 follows"),
        ([0, 1, 1], [1], "vertex 0: an undirected graph stores both directions, but neighbour 1 lacks the reverse"),
        ([0, 0, 1], [0], "vertex 1: an undirected graph stores both directions, but neighbour 0 lacks the reverse"),
        ([0, 1, 1], [2**31], "indices must fit int32, got 2147483648"),
        ([0, 1, 1], [[1]], "indices must be a one-dimensional array of integers"),
        ([0.0, 1.0], [0], "indptr must be a one-dimensional array of integers"),
    ],
)
def test_bad_arrays_are_refused_with_place_and_rule(indptr, indices, message):
    with pytest.raises(GraphError, match=f"graph 'bad': .*{message}"):
        Graph(np.array(indptr, dtype=None if indptr else np.int64), np.array(indices), "bad")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, [], []), "num_vertices must be an integer of at least 1, got 0"),
        (
            (2.5, [0, 2], [2, 1]),
            "num_vertices must be an integer of at least 1, got 2.5",
        ),  # compiled code once crashed
        ((True, [0], [0]), "num_vertices must be an integer of at least 1, got True"),
        ((2, [0], [0, 1]), "sources and targets must have one length, got 1 and 2"),
        ((2, [0], [2]), "targets must lie in 0..1, got 2"),
        ((2, [-1], [0]), "sources must lie in 0..1, got -1"),
        ((2, [0.5], [0]), "sources must be a one-dimensional array of integers"),
    ],
)
def test_bad_edges_are_refused(arguments, message):
    with pytest.raises(GraphError, match=message):
        Graph.from_edges(*arguments)


def test_no_batch_of_nothing():
    with pytest.raises(GraphError, match="graphs must not be empty"):
        block_diagonal([])


def test_arrays_are_frozen_and_the_callers_own_stay_free():
    indptr, indices = np.array([0, 1, 2]), np.array([1, 0], dtype=np.int32)
    graph = Graph(indptr, indices)
    indices[0] = 0
    assert graph.indices.tolist() == [1, 0]
    with pytest.raises(ValueError, match="read-only"):
        graph.indices[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        graph.indptr[0] = 1


def test_components_need_an_undirected_graph():
    with pytest.raises(GraphError, match="undirected graphs only"):
        component_labels(build((2, [(0, 1)]), undirected=False))
