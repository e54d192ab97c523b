"""Synthetic training jobs: a function of seed and chunk, within their bounds, covering what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import Graph
from gnnsched_env.predictors.datasets.training_families import MOST_ENTRIES, SMALLEST, TRAINING_FAMILIES, decorated
from gnnsched_env.predictors.datasets.training_jobs import (
    JOBS_A_SET,
    LARGEST_BATCH,
    WIDTHS_IN,
    WIDTHS_OUT,
    DatasetSpec,
    _draw_layer,
    training_chunk,
)

SMALL = DatasetSpec(graphs=70, seed=5, chunk_jobs=30, most_vertices=500)


@pytest.fixture(scope="module")
def chunks():
    spec = DatasetSpec(graphs=1_200, seed=1, chunk_jobs=400)
    return [training_chunk(spec, chunk) for chunk in range(3)]


def same(one, other):
    assert one.names == other.names
    assert one.digest() == other.digest()
    assert [graph.digest() for graph in one.graphs] == [graph.digest() for graph in other.graphs]
    assert (one.groups == other.groups).all()


def test_a_chunk_depends_on_seed_and_place_alone():
    forward = [training_chunk(SMALL, chunk) for chunk in range(3)]
    backward = [training_chunk(SMALL, chunk) for chunk in (2, 1, 0)]
    for one, other in zip(forward, reversed(backward), strict=True):
        same(one, other)
    assert [len(classes) for classes in forward] == [30, 30, 10]
    others = DatasetSpec(graphs=70, seed=6, chunk_jobs=30, most_vertices=500)
    digests = {classes.digest() for classes in (*forward, training_chunk(others, 0))}
    assert len(digests) == 4


@pytest.mark.parametrize("graphs", [61, 72, 1_000_000])
def test_a_larger_data_set_begins_with_a_smaller_one(graphs):
    larger = DatasetSpec(graphs=graphs, seed=5, chunk_jobs=30, most_vertices=500)
    same(training_chunk(SMALL, 1), training_chunk(larger, 1))
    last, longer = training_chunk(SMALL, 2), training_chunk(larger, 2)
    fewer = min(len(last), len(longer))
    same(last.subset(range(fewer)), longer.subset(range(fewer)))


@pytest.mark.slow
def test_degrees_are_those_that_the_layer_aggregates_over(chunks):
    for classes in chunks:
        for graph, degrees, model in zip(classes.graphs, classes.degrees, classes.models, strict=True):
            (layer,) = model.layers
            assert (graph.row_degrees(self_loops=layer.self_loops) == degrees).all()
            assert layer.combination_features == layer.in_features * (1 if layer.self_loops else 2)


@pytest.mark.slow
def test_graphs_are_valid_and_bounded(chunks):
    for classes in chunks:
        for graph in classes.graphs:
            Graph(graph.indptr, graph.indices)
            assert SMALLEST <= graph.num_vertices <= 100_000
            assert graph.num_edges <= MOST_ENTRIES + graph.num_vertices
    for graph in training_chunk(DatasetSpec(graphs=120, chunk_jobs=120, most_vertices=32), 0).graphs:
        assert SMALLEST <= graph.num_vertices <= 32


def test_sizes_cover_small_and_large(chunks):
    vertices = np.array([len(degrees) for classes in chunks for degrees in classes.degrees])
    assert vertices.min() < 10
    assert vertices.max() > 50_000
    counts, _ = np.histogram(np.log10(vertices), bins=[0, 1, 2, 3, 4, 5])
    assert counts.min() > 30  # of each decade


def test_all_families_come_in_groups_of_one_data_set(chunks):
    names = [family.name for family in TRAINING_FAMILIES]
    for classes in chunks:
        assert classes.group_names == tuple(names)
        for first in range(0, len(classes), JOBS_A_SET):
            assert len(set(classes.groups[first : first + JOBS_A_SET])) == 1
    counts = np.bincount(np.concatenate([classes.groups for classes in chunks]), minlength=len(names))
    assert (counts > 0).sum() >= len(names) - 2
    assert len(set(names)) == len(names)


def test_loops_empty_rows_and_structures_of_all_kinds_occur(chunks):
    graphs = [graph for classes in chunks for graph in classes.graphs]
    loops = np.array([graph.loops.mean() for graph in graphs])
    bare = np.array([(graph.degrees == 0).mean() for graph in graphs])
    assert 0.05 < (loops > 0).mean() < 0.3
    assert (loops == 1).any()
    assert 0.1 < (bare > 0).mean() < 0.6
    variation = np.array([graph.degrees.std() / max(1e-9, graph.degrees.mean()) for graph in graphs])
    assert (variation == 0).any()
    assert (variation > 5).any()
    density = np.array([graph.num_edges / graph.num_vertices**2 for graph in graphs])
    large = np.array([graph.num_vertices >= 50 for graph in graphs])
    assert density[large].max() > 0.8
    assert density.min() < 1e-4


def test_batches_of_molecules_hold_hundreds(chunks):
    molecules = [family.name for family in TRAINING_FAMILIES].index("molecule")
    sizes = [
        len(degrees)
        for classes in chunks
        for degrees, group in zip(classes.degrees, classes.groups, strict=True)
        if group == molecules
    ]
    assert min(sizes) < 60
    assert max(sizes) > 60 * LARGEST_BATCH / 4


def test_layers_are_drawn_as_documented():
    rng = np.random.default_rng(0)
    layers = [_draw_layer(rng) for _ in range(6_000)]
    widths_in = np.array([layer.in_features for layer in layers])
    widths_out = np.array([layer.out_features for layer in layers])
    assert (widths_in.min(), widths_out.min()) == (WIDTHS_IN[0], WIDTHS_OUT[0])
    assert widths_in.max() > 0.95 * WIDTHS_IN[1]
    assert widths_out.max() > 0.95 * WIDTHS_OUT[1]
    assert np.mean([not layer.self_loops for layer in layers]) == pytest.approx(0.125, abs=0.015)
    assert np.mean(widths_in == 16) == pytest.approx(0.4 * 0.5, abs=0.03)
    assert np.mean(widths_out == 16) == pytest.approx(0.5 * 0.5, abs=0.03)
    assert np.mean(widths_in > 256) == pytest.approx(0.6 * np.log(8_001 / 257) / np.log(8_001), abs=0.03)


@pytest.mark.parametrize("family", TRAINING_FAMILIES, ids=lambda family: family.name)
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(SMALLEST, 300))
def test_every_family_draws_any_size_under_any_parameters(family, seed, size):
    rng = np.random.default_rng(seed)
    graph = decorated(rng, family.parameters(rng))(rng, size)
    Graph(graph.indptr, graph.indices)
    assert SMALLEST <= graph.num_vertices <= max(5, size)  # the least graph of some families, and empty rows


@pytest.mark.parametrize(
    ("field", "value", "fewest"),
    [
        ("graphs", 0, 1),
        ("graphs", 10.5, 1),
        ("graphs", True, 1),
        ("seed", -1, 0),
        ("seed", "3", 0),
        ("chunk_jobs", 0, 1),
        ("chunk_jobs", None, 1),
        ("most_vertices", 31, 32),
        ("most_vertices", 1e5, 32),
    ],
)
def test_bad_specs_are_refused(field, value, fewest):
    with pytest.raises(
        ConfigError, match=f"training data: {field} must be an integer of at least {fewest}, got {value!r}"
    ):
        DatasetSpec(**{field: value})


@pytest.mark.parametrize("chunk", [-1, 3])
def test_chunks_beyond_the_data_set_are_refused(chunk):
    with pytest.raises(ConfigError, match=rf"chunk must be (an integer of at least 0|at most 2), got {chunk}"):
        training_chunk(SMALL, chunk)
