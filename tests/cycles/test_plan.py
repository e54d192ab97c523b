"""Compiled tilings against the general path; many graphs at once; the typed face."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError, GraphError
from gnnsched_env.cycles import (
    CORRECTED,
    REFERENCE,
    CyclePlan,
    count_cycles,
    cycles_matrix,
    layer_spec,
    plan,
    plan_for,
    simulate_layer,
)
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import Composition, bind, list_fleets, load_accelerator, load_fleet, make_model
from tests.cycles import layers

pytestmark = pytest.mark.kernels
ALL = tuple(Composition)


@given(layers.specs(most_pes=6, most_width=20), layers.degree_lists(most=60, most_rows=40))
@settings(max_examples=150)
def test_a_compiled_tiling_agrees_with_the_general_path(spec, degrees):
    result = simulate_layer(degrees, spec)
    fast = CyclePlan([(i, spec, composition) for i, composition in enumerate(ALL)])
    assert fast.cycles(degrees).tolist() == [result.cycles(composition) for composition in ALL]


@given(layers.specs(most_pes=4), st.lists(st.sampled_from([0, 1, 3, 255, 256, 700, 5_000]), min_size=1, max_size=6))
@settings(max_examples=60)
def test_hubs_beyond_every_table_agree_with_the_general_path(spec, degrees):
    rows = np.array(degrees, dtype=np.int64)
    result = simulate_layer(rows, spec)
    fast = CyclePlan([(i, spec, composition) for i, composition in enumerate(ALL)])
    assert fast.cycles(rows).tolist() == [result.cycles(composition) for composition in ALL]


@given(st.lists(layers.specs(most_pes=4), min_size=1, max_size=5), st.lists(layers.degree_lists(), max_size=4))
@settings(max_examples=40)
def test_many_graphs_and_tilings_at_once_agree_with_one_by_one(specs, graphs):
    entries = [(i % 3, spec, ALL[i % 3]) for i, spec in enumerate(specs)]
    fast = CyclePlan(entries)
    matrix = fast.matrix(graphs)
    assert matrix.shape == (len(graphs), fast.columns)
    for row, degrees in zip(matrix, graphs, strict=True):
        expected = [0] * fast.columns
        for column, spec, composition in entries:
            expected[column] += simulate_layer(degrees, spec).cycles(composition)
        assert row.tolist() == expected
        assert fast.cycles(degrees).tolist() == expected


def test_a_tiling_too_large_to_compile_is_replayed(monkeypatch):
    accelerator = load_accelerator("omega256")
    model = make_model("gcn", 12, 3)
    pairs = tuple((accelerator, dataflow) for dataflow in accelerator.dataflows)
    degrees = np.array([3, 1, 0, 9, 2])
    expected = cycles_matrix([degrees], model, pairs)
    monkeypatch.setattr(plan, "TABLE_BUDGET", 0)
    plan.compile_tiling.cache_clear()
    plan_for.cache_clear()
    replayed = cycles_matrix([degrees], model, pairs)
    plan.compile_tiling.cache_clear()
    plan_for.cache_clear()
    assert np.array_equal(replayed, expected)


@pytest.mark.parametrize("kind", ["gcn", "gin", "sage"])
def test_count_cycles_agrees_with_the_matrix_and_the_general_path(kind):
    graph = _ring_with_hub(40)
    accelerator = load_accelerator("omega256")
    model = make_model(kind, 20, 5)
    pairs = [(accelerator, dataflow) for dataflow in accelerator.dataflows]
    degrees = graph.row_degrees(self_loops=kind != "sage")
    row = cycles_matrix([degrees], model, pairs)[0]
    for cycles, (_, dataflow) in zip(row.tolist(), pairs, strict=True):
        counts = count_cycles(graph, model, accelerator, dataflow)
        assert counts.cycles == cycles
        assert 0 < counts.utilisation <= 1
        for layer, found in zip(model.layers, counts.layers, strict=True):
            exact = simulate_layer(degrees, layer_spec(layer, bind(dataflow, layer, accelerator)))
            assert found.cycles == exact.cycles(dataflow.composition)
            assert (found.aggregation_cycles, found.combination_cycles) == (exact.agg, exact.cmb)
            assert (found.aggregation, found.combination) == (exact.aggregation, exact.combination)
            assert found.global_buffer == exact.global_buffer(dataflow.composition)


def test_the_reference_is_counted_with_its_quirks():
    graph = _ring_with_hub(600)
    accelerator = load_accelerator("omega256")
    model = make_model("gcn", 20, 5)
    dataflow = accelerator.dataflows[0]
    stock, mended = (count_cycles(graph, model, accelerator, dataflow, quirks=q) for q in (REFERENCE, CORRECTED))
    assert stock.cycles > mended.cycles


def test_bad_inputs_are_refused():
    accelerator = load_accelerator("omega256")
    model = make_model("gcn", 4, 2)
    pairs = [(accelerator, accelerator.dataflows[0])]
    with pytest.raises(GraphError, match="must not be negative, got -3"):
        plan_for(model, tuple(pairs)).cycles(np.array([1, -3]))
    with pytest.raises(GraphError, match="must not be negative"):
        cycles_matrix([np.array([1, -3])], model, pairs)
    with pytest.raises(GraphError, match="graph 1 has no rows"):
        cycles_matrix([np.array([1]), np.array([], dtype=np.int64)], model, pairs)
    with pytest.raises(GraphError, match="integers"):
        plan_for(model, tuple(pairs)).cycles(np.array([0.5]))
    with pytest.raises(ConfigError, match="at least one"):
        cycles_matrix([np.array([1])], model, [])


def test_a_fleets_choices_are_pairs():
    choices = load_fleet(list_fleets()[0]).choices
    pairs = [(choice.accelerator, choice.dataflow) for choice in choices]
    model, degrees = make_model("gcn", 4, 2), [np.array([1, 2])]
    assert np.array_equal(cycles_matrix(degrees, model, choices), cycles_matrix(degrees, model, pairs))


def test_foreign_arguments_are_refused_by_what_is_expected():
    accelerator = load_accelerator("omega256")
    flow, model, graph = accelerator.dataflows[0], make_model("gcn", 4, 2), _ring_with_hub(5)
    pairs = [(accelerator, flow)]
    rows = np.array([1, 2])
    calls = {
        "one for each graph; got one of type Graph": lambda: cycles_matrix(graph, model, pairs),
        "entry 0 is one of type Graph": lambda: cycles_matrix([graph], model, pairs),
        "got a flat array": lambda: cycles_matrix(rows, model, pairs),
        "got 'Seq1'": lambda: cycles_matrix([rows], model, ["Seq1"]),
        "dataflow must be a Dataflow": lambda: count_cycles(graph, model, accelerator, "Seq1"),
        "graph must be a Graph": lambda: count_cycles(rows, model, accelerator, flow),
        "model must be a GnnModel": lambda: cycles_matrix([rows], "gcn", pairs),
        "accelerator must be an Accelerator": lambda: count_cycles(graph, model, "omega256", flow),
        "degrees must be an array": lambda: plan_for(model, tuple(pairs)).cycles(graph),
        "spec must be a LayerSpec": lambda: simulate_layer(rows, model.layers[0]),
    }
    for message, call in calls.items():
        with pytest.raises(ConfigError, match=message):
            call()


def _ring_with_hub(vertices):
    ring = np.arange(vertices)
    spokes = np.arange(1, vertices)
    sources = np.concatenate([ring, np.zeros(vertices - 1, np.int64)])
    return Graph.from_edges(vertices, sources, np.concatenate([(ring + 1) % vertices, spokes]))
