"""The vectorised families: valid graphs, their degree laws, and slow twins where there is one."""

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import Graph, average_clustering, component_labels
from gnnsched_env.graphs.generators import (
    barabasi_albert_graph,
    erdos_renyi_graph,
    geometric_graph,
    grid_graph,
    nearest_graph,
    power_law_graph,
    regular_graph,
    star_graph,
    stochastic_block_graph,
    thread_graph,
    watts_strogatz_graph,
)
from gnnsched_env.graphs.generators.pairs import chosen_codes, unordered_pairs

seeds = st.integers(0, 2**32 - 1)

DRAWS = {
    "erdos_renyi": lambda rng, n: erdos_renyi_graph(rng, n, mean_degree=min(4.0, n - 1)),
    "barabasi_albert": lambda rng, n: barabasi_albert_graph(rng, n, links=min(3, n - 1)),
    "watts_strogatz": lambda rng, n: watts_strogatz_graph(rng, n, neighbours=2, rewired=0.3),
    "regular": lambda rng, n: regular_graph(rng, n, degree=2),
    "star": lambda rng, n: star_graph(rng, n, hubs=min(3, n), chords=0.5),
    "stochastic_block": lambda rng, n: stochastic_block_graph(rng, [n - n // 2, n // 2], inside=0.5, outside=0.1),
    "power_law": lambda rng, n: power_law_graph(rng, n, mean_degree=2.0, exponent=2.2, communities=2),
    "nearest": lambda rng, n: nearest_graph(rng, n, nearest=2),
    "nearest, chain": lambda rng, n: nearest_graph(rng, n, nearest=2, chain=True),
    "geometric": lambda rng, n: geometric_graph(rng, n, mean_degree=2.0),
    "thread": thread_graph,
}


def rng_of(seed):
    return np.random.default_rng(seed)


def connected(graph):
    return component_labels(graph).max() == 0


@pytest.mark.parametrize("name", DRAWS)
@settings(max_examples=30)
@given(seed=seeds, vertices=st.integers(3, 60))
def test_graphs_are_simple_and_equal_seeds_draw_equal_ones(name, seed, vertices):
    graph, again = (DRAWS[name](rng_of(seed), vertices) for _ in range(2))
    assert Graph(graph.indptr, graph.indices).digest() == again.digest()  # its own checks: sorted, no repeat, symmetric
    assert graph.num_vertices == vertices
    assert not graph.loops.any()


@pytest.mark.parametrize("name", DRAWS)
def test_other_seeds_draw_other_graphs(name):
    assert len({DRAWS[name](rng_of(seed), 200).digest() for seed in range(5)}) == 5


@given(seeds, st.integers(0, 500), st.floats(0, 1))
def test_chosen_codes_increase_within_the_range(seed, total, chance):
    codes = chosen_codes(rng_of(seed), total, chance)
    assert codes.dtype == np.int64
    assert np.all(np.diff(codes) > 0)
    assert np.all((codes >= 0) & (codes < total))
    assert len(codes) == total or chance < 1.0


def test_each_code_is_chosen_with_the_same_chance():
    counts, draws = np.zeros(50), 20_000
    rng = rng_of(0)
    for _ in range(draws):
        counts[chosen_codes(rng, 50, 0.3)] += 1
    assert np.all(np.abs(counts - draws * 0.3) < 6 * np.sqrt(draws * 0.3 * 0.7))
    assert len(chosen_codes(rng, 10**15, 1e-13)) < 200  # gaps far beyond the range do not overflow
    assert len(chosen_codes(rng, 10**6, 0.5)) == pytest.approx(500_000, abs=3_000)


def test_codes_stand_for_each_pair_once():
    i, j = unordered_pairs(np.arange(60 * 59 // 2))
    assert np.all((j >= 0) & (j < i) & (i < 60))
    assert len(set(zip(i.tolist(), j.tolist(), strict=True))) == 60 * 59 // 2


@given(st.integers(2, 2**31), st.data())
def test_large_codes_are_decoded_exactly(i, data):
    j = data.draw(st.integers(0, i - 1))
    assert [int(side[0]) for side in unordered_pairs(np.array([i * (i - 1) // 2 + j]))] == [i, j]


def test_erdos_renyi_degrees_are_binomial():
    degrees = erdos_renyi_graph(rng_of(0), 20_000, mean_degree=6.0).degrees
    assert degrees.mean() == pytest.approx(6.0, abs=0.1)
    assert degrees.var() == pytest.approx(6.0, rel=0.05)
    assert erdos_renyi_graph(rng_of(0), 9, mean_degree=8).num_edges == 72
    assert erdos_renyi_graph(rng_of(0), 9, mean_degree=0).num_edges == 0


def test_barabasi_albert_degrees_follow_the_exact_law():
    """P(k) = 2 m (m + 1) / (k (k + 1) (k + 2)): Bollobas and others, 2001."""
    graph = barabasi_albert_graph(rng_of(0), 50_000, links=2)
    shares = np.bincount(graph.degrees, minlength=8) / graph.num_vertices
    for k in range(3, 8):
        assert shares[k] == pytest.approx(12 / (k * (k + 1) * (k + 2)), abs=0.01)
    assert connected(graph)
    assert barabasi_albert_graph(rng_of(0), 50, links=1).num_edges == 2 * 49  # a tree


def test_watts_strogatz_between_ring_and_chance():
    ring = watts_strogatz_graph(rng_of(0), 500, neighbours=6, rewired=0.0)
    assert set(ring.degrees) == {6}
    assert average_clustering(ring) == pytest.approx(3 * 4 / (4 * 5))
    wild = watts_strogatz_graph(rng_of(0), 5_000, neighbours=6, rewired=1.0)
    assert average_clustering(wild) < 0.01
    assert wild.degrees.mean() == pytest.approx(6.0, rel=0.01)
    assert wild.degrees.var() == pytest.approx(3.0, rel=0.1)  # half the ends are Poisson


@given(seeds, st.integers(2, 60), st.data())
def test_regular_graphs_have_one_degree(seed, vertices, data):
    degree = data.draw(st.integers(0, vertices - 1).filter(lambda d: d * vertices % 2 == 0))
    assert set(regular_graph(rng_of(seed), vertices, degree=degree).degrees) == {degree}


@given(st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_grids_are_networkx_lattices(rows, columns, wrapped):
    expected = networkx.grid_2d_graph(rows, columns, periodic=wrapped)
    expected.remove_edges_from(list(networkx.selfloop_edges(expected)))
    number = {node: node[0] * columns + node[1] for node in expected}
    found = grid_graph(rows, columns, wrapped=wrapped).to_networkx()
    assert networkx.utils.edges_equal(found.edges, networkx.relabel_nodes(expected, number).edges)


def test_grids_with_diagonals_are_kings_moves():
    assert set(grid_graph(4, 5, diagonals=True, wrapped=True).degrees) == {8}
    assert np.bincount(grid_graph(4, 5, diagonals=True).degrees).tolist() == [0, 0, 0, 4, 0, 10, 0, 0, 6]


@given(seeds, st.integers(2, 80), st.integers(1, 5), st.floats(0, 2))
def test_stars_are_connected_and_leaves_know_hubs(seed, vertices, hubs, chords):
    hubs = min(hubs, vertices)
    assert connected(star_graph(rng_of(seed), vertices, hubs=hubs, chords=chords))
    plain = star_graph(rng_of(seed), vertices, hubs=hubs)
    assert plain.num_edges == 2 * (vertices - 1)
    assert hubs > 1 or plain.degrees[0] == vertices - 1


def test_blocks_are_joined_as_their_probabilities_say():
    sizes, counts, draws = [30, 20, 1], np.zeros((3, 3)), 300
    owner = np.repeat(range(3), sizes)
    rng = rng_of(0)
    for _ in range(draws):
        graph = stochastic_block_graph(rng, sizes, inside=0.4, outside=0.05)
        rows = np.repeat(np.arange(51), graph.degrees)
        np.add.at(counts, (owner[rows], owner[graph.indices]), 1)
    for a in range(3):
        for b in range(3):
            pairs = sizes[a] * (sizes[b] - (a == b)) * draws
            chance = 0.4 if a == b else 0.05
            assert abs(counts[a, b] - pairs * chance) <= 6 * np.sqrt(2 * pairs * chance)
    cliques = stochastic_block_graph(rng, [4, 3], inside=1.0, outside=0.0)
    assert cliques.degrees.tolist() == [3] * 4 + [2] * 3


@pytest.mark.parametrize("exponent", [2.2, 2.8, 3.5])
def test_power_law_degrees_have_their_exponent(exponent):
    graph = power_law_graph(rng_of(1), 60_000, mean_degree=10.0, exponent=exponent)
    degrees = np.sort(graph.degrees)[-600:]
    hill = 1.0 + 1.0 / np.log(degrees / (degrees[0] - 0.5)).mean()
    assert hill == pytest.approx(exponent, rel=0.1)
    assert graph.degrees.mean() == pytest.approx(10.0, rel=0.15)


def test_power_law_communities_keep_to_themselves():
    graph = power_law_graph(rng_of(0), 1_000, mean_degree=8.0, communities=10, outside=0.0)
    rows = np.repeat(np.arange(1_000), graph.degrees)
    assert np.all(rows // 100 == graph.indices // 100)
    mixed = power_law_graph(rng_of(0), 1_000, mean_degree=8.0, communities=10, outside=1.0)
    assert average_clustering(graph) > 2 * average_clustering(mixed)


@given(seeds, st.integers(2, 40), st.integers(1, 5), st.integers(1, 3))
def test_nearest_agrees_with_all_distances(seed, vertices, nearest, dimensions):
    nearest = min(nearest, vertices - 1)
    points = rng_of(seed).random((vertices, dimensions))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    expected = np.zeros((vertices, vertices), bool)
    np.put_along_axis(expected, np.argsort(distances, axis=1)[:, :nearest], True, axis=1)
    graph = nearest_graph(rng_of(seed), vertices, nearest=nearest, dimensions=dimensions)
    assert (dense(graph) == (expected | expected.T)).all()


@given(seeds, st.integers(2, 40), st.floats(0, 1), st.integers(1, 3))
def test_geometric_agrees_with_all_distances(seed, vertices, share, dimensions):
    mean_degree = share * (vertices - 1) / 4  # a ball within the torus
    points = rng_of(seed).random((vertices, dimensions))
    offsets = np.abs(points[:, None] - points[None])
    distances = np.linalg.norm(np.minimum(offsets, 1.0 - offsets), axis=2)
    volume = {1: 2.0, 2: np.pi, 3: 4.0 / 3.0 * np.pi}[dimensions]
    expected = distances <= (mean_degree / (vertices - 1) / volume) ** (1 / dimensions)
    np.fill_diagonal(expected, False)
    graph = geometric_graph(rng_of(seed), vertices, mean_degree=mean_degree, dimensions=dimensions)
    assert (dense(graph) == expected).all()


def test_space_gives_triangles_and_chains_are_connected():
    geometric = geometric_graph(rng_of(0), 5_000, mean_degree=8.0)
    assert geometric.degrees.mean() == pytest.approx(8.0, rel=0.05)
    assert average_clustering(geometric) == pytest.approx(0.587, abs=0.03)  # 1 - 3 sqrt(3) / (4 pi)
    chain = nearest_graph(rng_of(0), 300, nearest=1, chain=True)
    assert connected(chain)
    assert all(chain.indices[chain.indptr[v + 1] - 1] >= v + 1 for v in range(299))


@given(seeds, st.integers(2, 100), st.floats(0, 1), st.floats(0, 1))
def test_threads_without_talk_are_trees(seed, vertices, root, share):
    shares = {"root": root, "fame": share * (1.0 - root)}
    assert connected(thread_graph(rng_of(seed), vertices, **shares))
    tree = thread_graph(rng_of(seed), vertices, **shares, talk=0.0)
    assert connected(tree)
    assert tree.num_edges == 2 * (vertices - 1)
    assert thread_graph(rng_of(seed), vertices, root=1.0, fame=0.0).degrees[0] == vertices - 1


def test_fame_and_roots_make_hubs():
    plain, famous = (thread_graph(rng_of(0), 20_000, root=0.0, fame=fame, talk=0.0) for fame in (0.0, 0.95))
    assert famous.degrees.max() > 10 * plain.degrees.max()
    # A random recursive tree: half the vertices are never answered, a quarter once.
    assert (plain.degrees == 1).mean() == pytest.approx(0.5, abs=0.02)
    assert (plain.degrees == 2).mean() == pytest.approx(0.25, abs=0.02)
    assert thread_graph(rng_of(0), 20_000, root=0.4, fame=0.3).degrees[0] > 8_000


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda rng: erdos_renyi_graph(rng, 1, mean_degree=0),
            "Erdos-Renyi: vertices must be an integer of at least 2, got 1",
        ),
        (lambda rng: erdos_renyi_graph(rng, 5, mean_degree=5), r"Erdos-Renyi: mean_degree must be"),
        (lambda rng: erdos_renyi_graph(rng, 5, mean_degree=float("nan")), "mean_degree must be"),
        (lambda rng: barabasi_albert_graph(rng, 5, links=0), r"Barabasi-Albert: links must be"),
        (lambda rng: watts_strogatz_graph(rng, 9, neighbours=3, rewired=0), "neighbours must be even, got 3"),
        (lambda rng: watts_strogatz_graph(rng, 9, neighbours=2, rewired=2), r"rewired must be"),
        (lambda rng: regular_graph(rng, 5, degree=3), r"vertices \* degree must be even, got 5 vertices of degree 3"),
        (lambda rng: grid_graph(0, 3), "grid: rows must be"),
        (lambda rng: star_graph(rng, 3, hubs=4), r"star: hubs must be"),
        (
            lambda rng: stochastic_block_graph(rng, [2, 0], inside=1, outside=0),
            "sizes must be an integer of",
        ),
        (lambda rng: stochastic_block_graph(rng, [2], inside=1.5, outside=0), r"inside must be"),
        (lambda rng: power_law_graph(rng, 9, mean_degree=2, exponent=1.0), "exponent must be"),
        (lambda rng: power_law_graph(rng, 9, mean_degree=2, communities=0), r"communities must be"),
        (lambda rng: nearest_graph(rng, 5, nearest=5), r"nearest: nearest must be"),
        (lambda rng: geometric_graph(rng, 5, mean_degree=1, dimensions=4), r"dimensions must be"),
        (lambda rng: thread_graph(rng, 5, root=0.8, fame=0.5), r"thread: root \+ fame must be at most 1, got 1.3"),
    ],
)
def test_bad_parameters_are_refused(draw, message):
    with pytest.raises(ConfigError, match=message):
        draw(rng_of(0))


def dense(graph):
    matrix = np.zeros((graph.num_vertices, graph.num_vertices), bool)
    matrix[np.repeat(np.arange(graph.num_vertices), graph.degrees), graph.indices] = True
    return matrix
