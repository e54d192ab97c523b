"""Energies of job classes: equal to the slow twin, additive, monotone, and never wrapped."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import GraphError
from gnnsched_env.cycles import count_cycles
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import Accelerator, Composition, bind, list_dataflows, load_dataflow, load_fleet, make_model
from gnnsched_env.hardware.energy import UnitEnergies, load_unit_energies
from gnnsched_env.tables.energy import energy_table, pair_energy
from gnnsched_env.workload import JobClasses
from tests.twins import energy as naive_energy

DATAFLOWS = tuple(load_dataflow(name) for name in list_dataflows())
PRIMES = UnitEnergies(
    name="primes", mac_pj=2.0, register_file_pj=3.0, link_pj=5.0, global_buffer_pj=7.0
)  # whole, so that sums are exact

degree_lists = st.lists(st.integers(0, 40), min_size=1, max_size=30)
kinds = st.sampled_from(["gcn", "gin", "sage"])
widths = st.integers(1, 70)


def classes_of(degrees, models):
    count = len(models)
    return JobClasses(
        names=tuple(f"class{c}" for c in range(count)),
        models=tuple(models),
        degrees=tuple(np.array(own, np.int64) for own in degrees),
        weights=np.full(count, 1 / count),
        groups=np.zeros(count, np.int64),
        group_names=("toy",),
    )


@st.composite
def accelerators(draw):
    pes = 2 ** draw(st.integers(7, 8))  # the preset dataflows need 128
    narrow = 2 ** draw(st.integers(1, pes.bit_length() - 1))
    return Accelerator(name="some", pes=pes, distribution_bandwidth=narrow, dataflows=DATAFLOWS)


@pytest.mark.slow
@given(st.data(), accelerators(), kinds)
@settings(max_examples=40)
def test_energies_are_those_of_the_slow_twin(data, accelerator, kind):
    graphs = data.draw(st.lists(degree_lists, min_size=1, max_size=4))
    models = [make_model(kind, data.draw(widths), data.draw(widths), (16,)) for _ in graphs]
    pairs = [(accelerator, dataflow) for dataflow in DATAFLOWS]
    energy = pair_energy(classes_of(graphs, models), pairs, units=PRIMES)
    expected = [
        [naive_energy.model_energy(degrees, model, *pair, PRIMES) for pair in pairs]
        for degrees, model in zip(graphs, models, strict=True)
    ]
    assert energy.tolist() == expected
    assert energy.min() > 0


@given(degree_lists, accelerators(), kinds, widths, widths)
@settings(max_examples=20)
def test_energies_add_up_over_layers(degrees, accelerator, kind, features, classes):
    whole = make_model(kind, features, classes, (16, 16))
    parts = [replace(whole, name=f"layer {i}", layers=(layer,)) for i, layer in enumerate(whole.layers)]
    pairs = [(accelerator, dataflow) for dataflow in DATAFLOWS]
    energy = pair_energy(classes_of([degrees] * 4, [whole, *parts]), pairs, units=PRIMES)
    assert energy[0].tolist() == energy[1:].sum(axis=0).tolist()


@given(st.data(), degree_lists, accelerators(), kinds, widths, widths)
@settings(max_examples=30)
def test_more_entries_or_rows_never_cost_less(data, degrees, accelerator, kind, features, classes):
    more = list(degrees)
    more[data.draw(st.integers(0, len(degrees) - 1))] += data.draw(st.integers(1, 9))
    model = make_model(kind, features, classes)
    pairs = [(accelerator, dataflow) for dataflow in DATAFLOWS]
    energy = pair_energy(classes_of([degrees, more, [*degrees, 1]], [model] * 3), pairs)
    assert (energy[1] > energy[0]).all()
    assert (energy[2] > energy[0]).all()


def test_a_layer_that_a_model_has_twice_costs_twice():
    once, thrice = make_model("gcn", 16, 16, ()), make_model("gcn", 16, 16, (16, 16))
    pairs = [(Accelerator(name="a", pes=128, dataflows=DATAFLOWS), dataflow) for dataflow in DATAFLOWS]
    energy = pair_energy(classes_of([[1, 5, 0]] * 2, [once, thrice]), pairs, units=PRIMES)
    assert (energy[1] == 3 * energy[0]).all()


@pytest.mark.parametrize("cost", ["mac_pj", "register_file_pj", "link_pj", "global_buffer_pj"])
def test_every_cost_counts_its_own_events(cost):
    graph = Graph.from_edges(40, [0] * 39, range(1, 40))
    model = make_model("sage", 30, 7)
    accelerator = Accelerator(name="a", pes=128, dataflows=DATAFLOWS)
    pairs = [(accelerator, dataflow) for dataflow in DATAFLOWS]
    classes = classes_of([graph.row_degrees(self_loops=False)], [model])
    dearer = replace(PRIMES, **{cost: getattr(PRIMES, cost) + 1.0})
    gained = (pair_energy(classes, pairs, units=dearer) - pair_energy(classes, pairs, units=PRIMES))[0]
    counts = [count_cycles(graph, model, *pair) for pair in pairs]
    name = {"mac_pj": "macs", "link_pj": "links"}.get(cost, cost.removesuffix("_pj"))
    assert gained.tolist() == [getattr(one, name) for one in counts]


def test_counts_beyond_32_bits_do_not_wrap():
    degrees = np.full(100_000, 60)
    model = make_model("gcn", 1_433, 7)
    accelerator = load_fleet("hetero4").accelerators[0]
    pairs = [(accelerator, dataflow) for dataflow in accelerator.dataflows]
    assert int(degrees.sum()) * 1_433 > 2**32
    energy = pair_energy(classes_of([degrees], [model]), pairs, units=PRIMES)[0].tolist()
    assert energy == [naive_energy.model_energy(degrees, model, *pair, PRIMES) for pair in pairs]


def test_a_graph_beyond_the_cost_models_bounds_is_refused():
    classes = classes_of([[2**31 - 1] * 1000], [make_model("gcn", 2**20, 2)])
    pair = (Accelerator(name="a", pes=128, dataflows=DATAFLOWS), load_dataflow("Seq1"))
    with pytest.raises(GraphError, match=r"at most 2\^55"):
        pair_energy(classes, [pair])


def test_equal_accelerators_cost_the_same_and_the_default_preset_is_used():
    fleet = load_fleet("flexible4")
    classes = classes_of([[1, 2, 3], [4]], [make_model("gcn", 9, 2)] * 2)
    energy = energy_table(classes, fleet)
    assert energy.shape == (2, len(fleet.choices))
    assert (energy[:, :9] == energy[:, 27:]).all()
    assert (energy == energy_table(classes, fleet, units=load_unit_energies("float32_45nm"))).all()


def test_sp_spares_the_buffer_where_it_keeps_the_intermediate():
    layer = make_model("gcn", 16, 4, ()).layers[0]
    accelerator = Accelerator(name="a", pes=256, dataflows=DATAFLOWS)
    bound = bind(load_dataflow("SP1"), layer, accelerator)
    assert bound.composition is Composition.SP
    *_, kept = naive_energy.layer_events([3, 1], layer, bound)
    *_, stored = naive_energy.layer_events([3, 1], layer, replace(bound, composition=Composition.SEQ))
    assert stored - kept == 2 * 2 * 16  # two rows of 16 words, neither written nor read back
