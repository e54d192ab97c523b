"""Features against slow twins and numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import load_accelerator, load_dataflow, make_model
from gnnsched_env.predictors import FEATURES, Inputs, Level, feature_names, graph_features, job_inputs, single_layers
from gnnsched_env.predictors import feature_kernels as kernels
from gnnsched_env.predictors.features import FOLD_WIDTHS, HEIGHT_LEVELS, LIMITS, SHARES, assortativity
from gnnsched_env.workload import synthetic_classes
from tests.predictors.jobs import classes_of
from tests.twins import latency as naive_latency

degree_lists = st.lists(st.one_of(st.integers(0, 12), st.integers(0, 3_000)), min_size=1, max_size=80)
PAIRS = [(load_accelerator("omega512"), load_dataflow(name)) for name in ("Seq1", "PP2")]


@pytest.mark.slow
@pytest.mark.kernels
@given(degree_lists)
def test_the_summary_of_degrees_agrees_with_the_naive_twin(degrees):
    arrays = np.array(LIMITS), np.array(SHARES), np.array(FOLD_WIDTHS)
    summary = kernels.degree_summary(np.array(degrees, np.int64), *arrays, HEIGHT_LEVELS)
    expected = naive_latency.degree_summary(degrees, LIMITS, SHARES, FOLD_WIDTHS, HEIGHT_LEVELS)
    assert summary.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert len(summary) == len(feature_names(Level.DEGREES)) - len(feature_names(Level.METADATA))


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30))
def test_assortativity_agrees_with_the_naive_twin(vertices, edges):
    rows = [a % vertices for a, _ in edges]
    columns = [b % vertices for _, b in edges]
    graph = Graph.from_edges(vertices, rows, columns)
    expected = naive_latency.assortativity(graph)
    assert assortativity(graph) == pytest.approx(expected, abs=1e-9)


def test_features_of_a_small_graph_by_hand():
    features = dict(zip(feature_names(), graph_features(np.array([1, 1, 2, 4]), Level.DEGREES), strict=True))
    assert features["log_vertices"] == pytest.approx(np.log(4))
    assert features["log_entries"] == pytest.approx(np.log(8))
    assert features["log_mean_degree"] == pytest.approx(np.log(3))
    assert features["log_max_degree"] == pytest.approx(np.log(5))
    assert (features["share_up_to_0"], features["share_up_to_1"], features["share_up_to_2"]) == (0.0, 0.5, 0.75)
    assert features["log_degree_quantile_50"] == pytest.approx(np.log(2))
    assert features["log_degree_quantile_99"] == pytest.approx(np.log(5))
    assert (features["fold_waste_2"], features["fold_waste_8"]) == (2 * 5 / 8, 8 * 4 / 8)
    assert (features["imbalance_2"], features["imbalance_8"]) == (2 * 5 / 8, 8 * 4 / 8)


def test_the_levels_grow():
    metadata, degrees, structure, graph = (feature_names(level) for level in Level)
    assert degrees[: len(metadata)] == metadata and structure[: len(degrees)] == degrees and graph == structure
    assert len(set(structure)) == len(structure) == len(FEATURES)


def test_structure_needs_the_graph_and_tells_a_clique_from_a_star():
    clique = Graph.from_edges(4, [0, 0, 0, 1, 1, 2], [1, 2, 3, 2, 3, 3])
    star = Graph.from_edges(4, [0, 0, 0], [1, 2, 3])
    rows = [dict(zip(feature_names(Level.STRUCTURE), _structure(graph), strict=True)) for graph in (clique, star)]
    assert (rows[0]["clustering"], rows[1]["clustering"]) == (1.0, 0.0)
    assert (rows[0]["assortativity"], rows[1]["assortativity"]) == (0.0, pytest.approx(-1.0))
    assert rows[0]["log_density"] == pytest.approx(np.log(16 / 16))
    with pytest.raises(ConfigError, match="need the graphs"):
        job_inputs(classes_of([1, 1]), PAIRS, Level.STRUCTURE)


def _structure(graph):
    return graph_features(graph.row_degrees(self_loops=True), Level.STRUCTURE, graph)


def test_inputs_have_a_row_for_each_layer():
    classes = synthetic_classes(6, hidden=(16, 8))
    inputs = job_inputs(classes, PAIRS)
    assert inputs.owners.tolist() == [c for c in range(6) for _ in range(3)]
    assert inputs.features.shape == (18, len(feature_names()))
    assert inputs.degree_terms.shape == inputs.metadata_terms.shape == (18, 2, 2)
    widths = np.exp(inputs.features[:3, feature_names().index("log_in_features")])
    assert widths.tolist() == pytest.approx([classes.models[0].in_features, 16, 8])
    assert inputs.per_class(np.ones((18, 1))).tolist() == [[3.0]] * 6
    singles = job_inputs(single_layers(classes), PAIRS)
    assert (singles.features == inputs.features).all() and (singles.degree_terms == inputs.degree_terms).all()


def test_models_of_different_depths_go_together():
    deep = make_model("gcn", 5, 3, (16, 16))
    inputs = job_inputs(classes_of([1, 2], model=deep), PAIRS)
    assert inputs.owners.tolist() == [0, 0, 0]


def test_inputs_go_through_arrays_and_refuse_what_is_broken():
    inputs = job_inputs(classes_of([1, 2], [3]), PAIRS)
    again = Inputs.from_arrays(inputs.arrays())
    assert (again.features == inputs.features).all() and again.level is Level.DEGREES
    arrays = inputs.arrays()
    broken = arrays["features"].copy()
    broken[1, 3] = np.nan
    with pytest.raises(ConfigError, match="feature 'log_in_features' must be finite, got nan in row 1"):
        Inputs.from_arrays(arrays | {"features": broken})
    with pytest.raises(ConfigError, match="features must be those of a level"):
        Inputs.from_arrays(arrays | {"features": arrays["features"][:, :9]})
    with pytest.raises(ConfigError, match="at least one row"):
        Inputs.from_arrays({name: array[:0] for name, array in arrays.items()})
