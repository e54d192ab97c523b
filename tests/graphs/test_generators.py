import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError, GraphError
from gnnsched_env.graphs import Graph, GraphSet, graph_statistics
from gnnsched_env.graphs.generators import (
    FAMILIES,
    RmatParameters,
    citation_graph,
    draw_graphs,
    draw_rmat_parameters,
    ego_graph,
    graphlaxy_graph,
    molecule_graph,
    rmat_graph,
)
from gnnsched_env.graphs.generators.rmat import _draw_edges
from tests.twins import graphs as naive

pytestmark = pytest.mark.kernels

seeds = st.integers(0, 2**32 - 1)


def check(graph, *, connected=True):
    """Demand a valid graph without self loops; return it as networkx sees it."""
    assert Graph(graph.indptr, graph.indices).digest() == graph.digest()
    assert not graph.loops.any()
    found = graph.to_networkx()
    assert not connected or networkx.is_connected(found)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_seeds_give_equal_graphs(family):
    one, two, other = (draw_graphs(family, np.random.default_rng(seed), 4) for seed in (3, 3, 4))
    assert [graph.digest() for graph in one] == [graph.digest() for graph in two]
    assert [graph.digest() for graph in one] != [graph.digest() for graph in other]
    assert [graph.name for graph in one] == [f"{family}[{i}]" for i in range(4)]
    for graph in one:
        check(graph)


@given(seeds, st.integers(1, 60), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_molecules_are_trees_with_rings_of_five_and_six(seed, vertices, ring, fused, hexagon, branching):
    shares = {"ring_share": ring, "fused_share": fused, "hexagon_share": hexagon, "branching": branching}
    graph = molecule_graph(np.random.default_rng(seed), vertices, **shares)
    assert graph.num_vertices == vertices
    assert graph.degrees.max() <= 4
    rings = networkx.minimum_cycle_basis(check(graph))
    assert {len(ring) for ring in rings} <= {5, 6}


@given(seeds, st.integers(2, 60), st.floats(1, 30), st.floats(0, 1))
def test_ego_networks_have_an_ego(seed, vertices, circle, newcomers):
    graph = ego_graph(np.random.default_rng(seed), vertices, circle=circle, newcomers=newcomers)
    check(graph)
    assert graph.num_vertices == vertices
    assert graph.degrees[0] == vertices - 1


@given(seeds, st.integers(2, 80), st.floats(1, 9), st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 10))
def test_citation_graphs_are_connected(seed, vertices, references, copying, fame, ageing):
    shares = {"references": references, "copying": copying, "fame": fame, "ageing": ageing}
    graph = citation_graph(np.random.default_rng(seed), vertices, **shares)
    check(graph)
    assert graph.num_vertices == vertices


@given(seeds, st.integers(1, 40), st.integers(1, 200), st.booleans())
def test_rmat_graphs_are_simple(seed, vertices, edges, connected):
    parameters = RmatParameters(vertices=vertices, edges=edges, a=0.5, b=0.2, c=0.2)
    graph = rmat_graph(np.random.default_rng(seed), parameters, connected=connected)
    check(graph, connected=connected)
    assert graph.num_vertices <= vertices
    assert connected or graph.num_vertices == vertices


@pytest.mark.parametrize("quadrants", [(0.57, 0.19, 0.14, 0.1), (0.25, 0.25, 0.25, 0.25), (0.9, 0.1, 0.0, 0.0)])
@pytest.mark.parametrize("levels", [1, 2, 4, 5])
def test_rmat_edges_fall_as_the_quadrants_say(quadrants, levels):
    side, draws = 2**levels, 40_000
    chances = np.array([[naive.rmat_cell(quadrants, levels, r, c) for c in range(side)] for r in range(side)])
    np.fill_diagonal(chances, 0.0)
    sources, targets = _draw_edges(np.random.default_rng(1), draws, levels, quadrants, np.arange(side))
    counts = np.zeros((side, side))
    np.add.at(counts, (sources, targets), 1)
    assert counts[chances == 0].sum() == 0
    # A binomial count strays six deviations (and two more, where it is small) once in a billion.
    assert np.all(np.abs(counts - draws * chances) <= 6 * np.sqrt(draws * chances) + 2)


def test_rmat_keeps_about_the_edges_asked_for_when_vertices_are_removed():
    parameters = RmatParameters(vertices=5_000, edges=6_000, a=0.25, b=0.25, c=0.25)
    graph = rmat_graph(np.random.default_rng(0), parameters, connected=False)
    assert graph.num_edges // 2 == pytest.approx(6_000, rel=0.05)


def test_parameters_follow_graphlaxys_distribution():
    """The quantiles that 200,000 draws of the published formulas have at the generator's own range of edges."""
    rng = np.random.default_rng(0)
    drawn = [draw_rmat_parameters(rng, edges=(100_000, 2_000_000)) for _ in range(20_000)]
    assert np.mean([p.a for p in drawn]) == pytest.approx(0.685, abs=0.01)
    assert np.mean([p.b for p in drawn]) == pytest.approx(0.233, abs=0.01)
    assert np.mean([p.c for p in drawn]) == pytest.approx(0.044, abs=0.005)
    assert np.mean([p.d for p in drawn]) == pytest.approx(0.039, abs=0.005)
    assert np.quantile([p.a for p in drawn], [0.05, 0.5, 0.95]) == pytest.approx([0.334, 0.704, 0.974], abs=0.02)
    assert np.median([p.vertices for p in drawn]) == pytest.approx(95_035, rel=0.1)
    assert np.median([p.edges / p.vertices for p in drawn]) == pytest.approx(8.32, rel=0.1)
    assert all(p.a >= max(p.b, p.c, p.d) - 1e-12 for p in drawn)
    assert all(int((20 * p.edges) ** 0.5) <= p.vertices <= p.edges for p in drawn)


def test_graphlaxy_redraws_small_graphs():
    rng = np.random.default_rng(0)
    sizes = [graphlaxy_graph(rng, edges=(100, 200), fewest_edges=60).num_edges // 2 for _ in range(20)]
    assert min(sizes) >= 60
    with pytest.raises(GraphError, match="no graph with 100 edges in 1000 tries"):
        graphlaxy_graph(rng, edges=(20, 30), fewest_edges=100)


# (family, real sets, tolerance of mean vertices, of mean degree, of mean clustering)
@pytest.mark.parametrize(
    ("family", "name", "vertices", "degree", "clustering"),
    [("molecule", "MUTAG", 0.1, 0.05, 0.0), ("ego", "IMDB-BINARY", 0.1, 0.15, 0.06)],
)
def test_families_resemble_the_real_sets(shared, family, name, vertices, degree, clustering):
    drawn = [graph_statistics(graph) for graph in draw_graphs(family, np.random.default_rng(0), 400)]
    real = [graph_statistics(graph) for graph in GraphSet.load(shared / "graphs" / f"{name}.npz")]
    for field, tolerance in (("vertices", vertices), ("mean_degree", degree)):
        means = [np.mean([getattr(one, field) for one in some]) for some in (drawn, real)]
        assert means[0] == pytest.approx(means[1], rel=tolerance)
    means = [np.mean([one.clustering for one in some]) for some in (drawn, real)]
    assert means[0] == pytest.approx(means[1], abs=clustering)


def test_citation_growth_resembles_cora(shared):
    real = graph_statistics(GraphSet.load(shared / "graphs" / "Cora.npz")[0])
    drawn = graph_statistics(citation_graph(np.random.default_rng(0), real.vertices))
    assert drawn.mean_degree == pytest.approx(real.mean_degree, rel=0.1)
    assert drawn.clustering == pytest.approx(real.clustering, abs=0.05)
    assert 0.5 < drawn.max_degree / real.max_degree < 2


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda rng: molecule_graph(rng, 0), "molecule: vertices must be an integer of at least 1, got 0"),
        (lambda rng: molecule_graph(rng, 5, ring_share=1.5), r"molecule: ring_share must be"),
        (lambda rng: ego_graph(rng, 1), "ego network: vertices must be an integer of at least 2, got 1"),
        (lambda rng: ego_graph(rng, 5, circle=0.5), "ego network: circle must be"),
        (lambda rng: ego_graph(rng, 5, newcomers=-1), r"ego network: newcomers must be"),
        (lambda rng: citation_graph(rng, 1), "citation: vertices must be an integer of at least 2, got 1"),
        (lambda rng: citation_graph(rng, 5, references=0), "citation: references must be"),
        (lambda rng: citation_graph(rng, 5, copying=2), r"citation: copying must be"),
        (lambda rng: citation_graph(rng, 5, ageing=0), "citation: ageing must be"),
        (
            lambda rng: draw_rmat_parameters(rng, edges=(10, 20)),
            "edges must be an integer of at least 20",
        ),
        (lambda rng: draw_graphs("molecules", rng, 1), "unknown graph family 'molecules'; did you mean 'molecule'"),
        (lambda rng: RmatParameters(vertices=2, edges=1, a=0.9, b=0.2, c=0.1), r"R-MAT: d must be"),
        (
            lambda rng: RmatParameters(vertices=0, edges=1, a=1, b=0, c=0),
            "R-MAT: vertices must be an integer of at least 1, got 0",
        ),
    ],
)
def test_bad_parameters_are_refused(draw, message):
    with pytest.raises(ConfigError, match=message):
        draw(np.random.default_rng(0))
