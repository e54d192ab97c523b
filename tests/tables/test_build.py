"""True cycles: equal to the cost model's own count, each distinct pair once, in any number of processes."""

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.cycles import FIXED_EMPTY_ROWS, count_cycles
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import Accelerator, Fleet, load_accelerator, load_dataflow, load_fleet, make_model
from gnnsched_env.tables import distinct_pairs, pair_cycles, true_cycles
from gnnsched_env.workload import JobClasses, synthetic_classes

GRAPHS = (
    Graph.from_edges(1, [], []),
    Graph.from_edges(9, [0] * 8, range(1, 9)),
    Graph.from_edges(40, range(39), range(1, 40)),
)


def toy_classes(kind="gcn", widths=((3, 2), (40, 16), (16, 5)), hidden=(16,)):
    models = tuple(make_model(kind, f, g, hidden) for f, g in widths)
    degrees = tuple(graph.row_degrees(self_loops=kind != "sage") for graph in GRAPHS)
    return JobClasses(
        names=("one", "star", "path"),
        models=models,
        degrees=degrees,
        weights=np.full(3, 1 / 3),
        groups=np.zeros(3, np.int64),
        group_names=("toy",),
    )


@pytest.mark.parametrize("kind", ["gcn", "sage"])
def test_cycles_are_those_of_the_cost_model(kind):
    classes, fleet = toy_classes(kind), load_fleet("big_little")
    expected = [
        [count_cycles(graph, model, choice.accelerator, choice.dataflow).cycles for choice in fleet.choices]
        for graph, model in zip(GRAPHS, classes.models, strict=True)
    ]
    assert true_cycles(classes, fleet).tolist() == expected


def test_a_layer_that_a_model_has_twice_counts_twice():
    classes, fleet = toy_classes(widths=((16, 16),) * 3, hidden=(16, 16)), load_fleet("hetero4")
    single = toy_classes(widths=((16, 16),) * 3, hidden=())
    assert (true_cycles(classes, fleet) == 3 * true_cycles(single, fleet)).all()


def test_quirks_are_passed_on():
    classes, accelerator = toy_classes(), load_accelerator("omega512")
    pair = (accelerator, load_dataflow("Seq2"))
    expected = [
        count_cycles(graph, model, *pair, quirks=FIXED_EMPTY_ROWS).cycles
        for graph, model in zip(GRAPHS[1:], classes.models[1:], strict=True)
    ]
    part = classes.subset([1, 2])
    assert pair_cycles(part, [pair], quirks=FIXED_EMPTY_ROWS)[:, 0].tolist() == expected
    assert pair_cycles(part, [pair])[:, 0].tolist() != expected


def test_equal_accelerators_are_computed_once_and_replicated():
    fleet = load_fleet("flexible4")
    distinct = distinct_pairs(fleet)
    assert (len(fleet.choices), len(distinct.pairs)) == (36, 9)
    cycles = true_cycles(toy_classes(), fleet)
    assert (cycles[:, :9] == cycles[:, 27:]).all()


def test_distinct_pairs_do_not_depend_on_names_or_order():
    assert distinct_pairs(load_fleet("hetero4")).keys == distinct_pairs(load_fleet("flexible4")).keys


def test_bandwidth_distinguishes_pairs():
    dataflows = (load_dataflow("Seq1"),)
    wide = Accelerator(name="wide", pes=64, dataflows=dataflows)
    narrow = Accelerator(name="narrow", pes=64, distribution_bandwidth=8, dataflows=dataflows)
    assert len(distinct_pairs(Fleet(name="two", accelerators=(wide, narrow))).pairs) == 2


@pytest.mark.slow
def test_processes_and_progress_do_not_change_the_result(capsys):
    classes, fleet = synthetic_classes(8), load_fleet("hetero4")
    alone = true_cycles(classes, fleet)
    assert capsys.readouterr().err == ""
    shared_out = true_cycles(classes, fleet, workers=2, progress=True)
    assert (alone == shared_out).all()
    assert "true cycles" in capsys.readouterr().err


def test_a_number_of_workers_below_one_is_refused():
    with pytest.raises(ConfigError, match="workers must be"):
        true_cycles(toy_classes(), load_fleet("hetero4"), workers=0)
