"""What cycles go to: the parts sum to the cycles, and steps are those that plain loops count."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError, GraphError
from gnnsched_env.cycles import count_cycles
from gnnsched_env.cycles.explanation import LayerParts, PhaseParts, explain_cycles
from gnnsched_env.graphs import Graph, load_graph_set
from gnnsched_env.graphs.orders import ORDERS, renumbered
from gnnsched_env.hardware import Composition, load_accelerator, make_model

OMEGA = load_accelerator("omega512")
PARTS = [part.name for part in fields(PhaseParts)]


@st.composite
def graphs(draw):
    vertices = draw(st.integers(1, 60))
    ends = st.lists(st.integers(0, vertices - 1), min_size=0, max_size=150)
    sources = draw(ends)
    targets = draw(st.lists(st.integers(0, vertices - 1), min_size=len(sources), max_size=len(sources)))
    return Graph.from_edges(vertices, sources, targets, undirected=draw(st.booleans()))


def steps_of(degrees, layer: LayerParts, model_layer):
    """Count, step by step, how many places hold work, are rows' that have ended, or hold nothing; the slow twin."""
    tiling = layer.dataflow.tiling
    groups = -(-model_layer.in_features // tiling.t_fa)
    steps = waiting = 0
    for first in range(0, len(degrees), tiling.t_va):
        rows = [max(1, -(-int(degree) // tiling.t_n)) for degree in degrees[first : first + tiling.t_va]]
        for step in range(max(rows)):
            steps += groups
            waiting += groups * sum(1 for own in rows if own <= step)
    places = tiling.t_va * tiling.t_n * tiling.t_fa
    return steps, waiting * tiling.t_n * tiling.t_fa, steps * places


@settings(max_examples=25, deadline=None)
@given(
    graphs(),
    st.sampled_from(OMEGA.dataflows),
    st.sampled_from(["gcn", "gin", "sage"]),
    st.integers(1, 40),
    st.sampled_from([16, 64, 512]),
    st.sampled_from([16, 64, 512]),
)
def test_parts_sum_to_the_cycles(graph, dataflow, kind, width, ports, lines):
    accelerator = replace(OMEGA, distribution_bandwidth=ports, reduction_bandwidth=lines)
    model = make_model(kind, width, 3, (8,))
    counts = count_cycles(graph, model, accelerator, dataflow)
    layers = explain_cycles(graph, model, accelerator, dataflow)
    assert [layer.cycles for layer in layers] == [layer.cycles for layer in counts.layers]
    for layer, counted, model_layer in zip(layers, counts.layers, model.layers, strict=True):
        alone = (layer.aggregation.cycles, layer.combination.cycles)
        assert alone == pytest.approx((counted.aggregation_cycles, counted.combination_cycles))
        assert layer.cycles == pytest.approx(sum(alone) + layer.composing)
        pes = (layer.dataflow.aggregation.pes, layer.dataflow.combination.pes)
        useful = layer.aggregation.useful * pes[0] + layer.combination.useful * pes[1]
        assert useful == pytest.approx(counted.macs)
        for phase in (layer.aggregation, layer.combination):
            assert min(getattr(phase, part) for part in PARTS) > -1e-9
        if layer.dataflow.composition is Composition.PP:
            assert layer.stall == pytest.approx(max(0.0, layer.cycles - max(alone)))
        degrees = graph.row_degrees(self_loops=model_layer.self_loops)
        steps, waiting, held = steps_of(degrees, layer, model_layer)
        assert layer.aggregation.slowest_row * pes[0] == pytest.approx(waiting)
        assert layer.aggregation.unmapped * pes[0] == pytest.approx(steps * pes[0] - held)
        if ports == lines == 512:
            assert layer.aggregation.distribution == layer.aggregation.reduction == 0


def test_a_layer_by_hand():
    # two rows of 1 and 3 entries side by side, one neighbour and one feature at a time: three steps of two places
    dataflow = next(flow for flow in OMEGA.dataflows if flow.name == "SPhighV")
    (layer,) = explain_cycles(
        Graph.from_edges(2, [0, 1, 1], [0, 0, 1], undirected=False), make_model("gin", 1, 1, ()), OMEGA, dataflow
    )
    tiling, pes = layer.dataflow.tiling, OMEGA.pes
    assert tiling.as_tuple()[:3] == (512, 1, 1)
    phase = layer.aggregation
    assert (phase.useful * pes, phase.slowest_row * pes) == (3, 1)  # the first row waits for one step
    assert phase.padding * pes == 2 * 510 and phase.unmapped == 0


def test_more_pes_behind_as_many_ports_can_be_slower():
    karate = load_graph_set("karate")
    model = make_model("gcn", karate.num_features, karate.num_classes)
    dataflow = next(flow for flow in OMEGA.dataflows if flow.name == "SPhighV")
    told = {}
    for pes in (128, 256, 512):
        narrow = replace(OMEGA, pes=pes, distribution_bandwidth=8, reduction_bandwidth=8)
        layers = explain_cycles(karate[0], model, narrow, dataflow)
        ports = sum(phase.distribution for layer in layers for phase in (layer.aggregation, layer.combination))
        told[pes] = (sum(layer.cycles for layer in layers), ports)
    assert told == {128: (2136, 754), 256: (2353, 1554), 512: (4408, 3154)}


def test_orders_keep_the_graph_and_bring_alike_rows_together():
    graph = Graph.from_edges(6, [0, 0, 0, 1, 4], [1, 2, 3, 2, 5], name="six")
    for order in ORDERS:
        other = renumbered(graph, order)
        assert (other.name, other.num_edges, other.undirected) == ("six", graph.num_edges, True)
        assert sorted(other.degrees) == sorted(graph.degrees)
    falling = renumbered(graph, "degree").degrees
    assert falling.tolist() == [3, 2, 2, 1, 1, 1]
    rcm = renumbered(graph, "rcm")
    spread = [int(np.abs(np.repeat(np.arange(6), own.degrees) - own.indices).max()) for own in (graph, rcm)]
    assert spread[1] < spread[0]
    with pytest.raises(GraphError, match="order must be one of degree, rcm, got 'degre'; did you mean"):
        renumbered(graph, "degre")


def test_arguments_are_checked():
    graph = Graph.from_edges(2, [0], [1])
    with pytest.raises(ConfigError, match="model must be a GnnModel"):
        explain_cycles(graph, None, OMEGA, OMEGA.dataflows[0])
