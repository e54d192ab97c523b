"""Scoring a predictor on files: what is drawn, what is recorded, what is refused."""

import json

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.graphs import Graph, GraphSet
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import graph_scores as scoring
from gnnsched_env.predictors import make_predictor, regret
from gnnsched_env.predictors.graph_scores import ScoringSpec, score_graph_set, score_sets, scoring_classes
from gnnsched_env.tables import distinct_pairs, pair_cycles


def ring(size):
    return Graph.from_edges(size, np.arange(size), (np.arange(size) + 1) % size)


def rings(count, *, first=3, name="rings"):
    graphs = [ring(first + i) for i in range(count)]
    return GraphSet.from_graphs(graphs, name=name, num_features=7, num_classes=3)


class Fixed:
    """Predicts the truth for all classes but those of `wrong` vertices, where it prefers the truly worst choice."""

    name, level = "fixed", "degrees"

    def __init__(self, wrong=()):
        self.wrong = wrong

    def predict(self, classes, pairs):
        true = pair_cycles(classes, pairs)
        mistaken = np.isin([len(degrees) for degrees in classes.degrees], self.wrong)
        return np.where(mistaken[:, None], true.max() + 1 - true, true)

    def out_of_domain(self, classes):
        return tuple(("mean_degree", "log_vertices")[: len(degrees) % 3] for degrees in classes.degrees)


def ids_of(classes, graphs):
    """Return the sizes of the rings in each class: they tell which graphs it is a batch of."""
    for graph in classes.graphs:
        components, cut = [], 0
        while cut < graph.num_vertices:  # a ring's first vertex is linked to its last
            last = int(graph.indices[graph.indptr[cut] : graph.indptr[cut + 1]].max())
            components.append(last - cut + 1)
            cut = last + 1
        yield components


def test_batches_hold_different_graphs_and_differ():
    graphs = rings(20)
    classes, sizes = scoring_classes(graphs, ScoringSpec(samples=12, batch_sizes=(1, 4)))
    assert sizes.tolist() == [1] * 12 + [4] * 12
    drawn = list(ids_of(classes, graphs))
    assert [len(ids) for ids in drawn] == sizes.tolist()
    assert all(len(set(ids)) == len(ids) for ids in drawn)
    assert len({tuple(sorted(ids)) for ids in drawn}) == 24
    assert all(sum(ids) == len(degrees) for ids, degrees in zip(drawn, classes.degrees, strict=True))
    assert all((degrees == 3).all() for degrees in classes.degrees)  # a GCN aggregates over A+I


def test_small_sets_give_every_batch_once():
    graphs = rings(4)
    classes, sizes = scoring_classes(graphs, ScoringSpec(batch_sizes=(1, 2, 4, 16)))
    assert [int((sizes == size).sum()) for size in (1, 2, 4, 16)] == [4, 6, 1, 0]
    assert len({tuple(sorted(ids)) for ids in ids_of(classes, graphs)}) == 11


def test_an_order_of_the_same_graphs_is_no_other_batch():
    graphs = rings(6)
    classes, _ = scoring_classes(graphs, ScoringSpec(samples=14, batch_sizes=(2,)))  # of 15 pairs
    assert len({tuple(sorted(ids)) for ids in ids_of(classes, graphs)}) == 14


def test_a_size_draws_the_same_whatever_the_others():
    graphs = rings(30)
    alone, _ = scoring_classes(graphs, ScoringSpec(samples=5, batch_sizes=(4,)))
    both, sizes = scoring_classes(graphs, ScoringSpec(samples=5, batch_sizes=(16, 4)))
    assert alone.digest() == both.subset(np.flatnonzero(sizes == 4)).digest()
    again, _ = scoring_classes(graphs, ScoringSpec(samples=9, batch_sizes=(1, 4)))
    assert alone.digest() == again.subset(range(9, 14)).digest()
    other, _ = scoring_classes(graphs, ScoringSpec(samples=5, batch_sizes=(4,), seed=1))
    assert alone.digest() != other.digest()


def test_one_graph_is_one_class():
    classes, sizes = scoring_classes(rings(1))
    assert (len(classes), sizes.tolist()) == (1, [1])
    records = score_graph_set(Fixed(), rings(1), load_fleet("flexible4"))
    assert [(record["batch_size"], record["samples"]) for record in records] == [(1, 1), (None, 1)]


def test_records_say_how_a_predictor_that_errs_on_one_size_does():
    spec = ScoringSpec(batch_sizes=(1, 4), samples=10)
    records = score_graph_set(Fixed(wrong=(3, 4)), rings(10), load_fleet("flexible4"), spec)
    one, four, every = records
    assert [record["batch_size"] for record in records] == [1, 4, None]
    assert [record["samples"] for record in records] == [10, 10, 20]
    assert (one["accuracy"], four["accuracy"], every["accuracy"]) == (80.0, 100.0, 90.0)
    assert (four["mape"], four["regret_max"], four["tau"]) == (0.0, 1.0, 1.0)
    assert one["regret_max"] == every["regret_max"] > 1.0
    assert every["regret_mean"] == pytest.approx((one["regret_mean"] + 1.0) / 2)
    assert every["mape"] == pytest.approx(one["mape"] / 2)
    low, high = one["accuracy_interval"]
    assert low < 80.0 < high
    assert (one["level"], one["fleet"], one["predictor"], one["graphs"]) == ("degrees", "flexible4", "fixed", "rings")
    assert np.array(every["confusion"]).sum() == 20
    assert np.trace(every["confusion"]) == 18
    assert len(every["choices"]) == len(every["confusion"]) == 9


def test_records_count_what_is_outside_the_domain():
    records = score_graph_set(Fixed(), rings(6), load_fleet("flexible4"), ScoringSpec(batch_sizes=(1,)))
    # rings of 3..8 vertices: 3 and 6 inside, 4 and 7 outside in one feature, 5 and 8 in two
    assert records[0]["out_of_domain"] == 4
    assert records[0]["out_of_domain_features"] == {"mean_degree": 4, "log_vertices": 2}


def test_equal_devices_count_once():
    fleet = load_fleet("flexible4")
    classes, _ = scoring_classes(rings(3))
    distinct = distinct_pairs(fleet)
    assert len(distinct.pairs) == 9 < len(fleet.choices)
    records = score_graph_set(Fixed(wrong=(3,)), rings(3), fleet, ScoringSpec(batch_sizes=(1,)))
    true = pair_cycles(classes, distinct.pairs)
    assert records[0]["regret_max"] == regret(true[:1], true.max() + 1 - true[:1])[0]


def test_the_exact_predictor_is_perfect_and_json_holds_all(tmp_path):
    rings(5, name="A").save(tmp_path / "A.npz")
    rings(5, first=9, name="B").save(tmp_path / "B.npz")
    sets = scoring.load_distinct_sets([tmp_path / "A.npz", tmp_path / "B.npz"])
    fleet, spec = load_fleet("hetero4"), ScoringSpec(batch_sizes=(1, 4))
    predictor = make_predictor("exact")
    records = score_sets(predictor, sets, fleet, spec)
    about = scoring.scoring_provenance(predictor, fleet, spec, {"seed": 0})
    assert json.loads(json.dumps({"records": records, "provenance": about}))["records"] == records
    assert [record["graphs"] for record in records] == ["A"] * 3 + ["B"] * 3
    for record in records:
        assert (record["mape"], record["accuracy"], record["top2"]) == (0.0, 100.0, 100.0)
        assert (record["regret_mean"], record["regret_max"], record["tau"]) == (1.0, 1.0, 1.0)


def test_a_predictor_of_a_wrong_shape_is_refused():
    class Broken(Fixed):
        def predict(self, classes, pairs):
            return super().predict(classes, pairs)[:, 1:]

    with pytest.raises(ConfigError, match=r"predictor fixed: must give \[classes, pairs\] \(3, 9\), got \(3, 8\)"):
        score_graph_set(Broken(), rings(3), load_fleet("flexible4"), ScoringSpec(batch_sizes=(1,)))


def test_files_are_checked(tmp_path):
    rings(4).save(tmp_path / "A.npz")
    rings(4, name="other").save(tmp_path / "copy.npz")
    (tmp_path / "text.npz").write_text("no graphs")
    with pytest.raises(ConfigError, match="at least one graph file"):
        scoring.load_distinct_sets([])
    with pytest.raises(ConfigError, match=r"copy.npz holds the same graphs as .*A.npz"):
        scoring.load_distinct_sets([tmp_path / "A.npz", tmp_path / "copy.npz"])
    with pytest.raises(ConfigError, match="holds the same graphs"):
        scoring.load_distinct_sets([tmp_path / "A.npz", tmp_path / "A.npz"])
    with pytest.raises(FileFormatError, match=r"text.npz"):
        scoring.load_distinct_sets([tmp_path / "text.npz"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_sizes": ()}, "batch_sizes must be"),
        ({"batch_sizes": (0,)}, "batch_sizes must be"),
        ({"batch_sizes": (4, 4)}, "batch_sizes must be"),
        ({"batch_sizes": (1.5,)}, "batch_sizes must be"),
        ({"batch_sizes": (True,)}, "batch_sizes must be"),
        ({"batch_sizes": "14"}, "batch_sizes must be"),
        ({"batch_sizes": 4}, "batch_sizes must be"),
        ({"samples": 0}, "samples must be an integer of at least 1, got 0"),
        ({"samples": 1.5}, "samples must be an integer of at least 1, got 1.5"),
        ({"samples": True}, "samples must be an integer of at least 1, got True"),
        ({"samples": "3"}, "samples must be an integer of at least 1, got '3'"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"seed": None}, "seed must be an integer of at least 0, got None"),
        ({"confidence": 1.0}, "confidence must be a number above 0 and below 1, got 1.0"),
        ({"confidence": float("nan")}, "confidence must be a number above 0 and below 1, got nan"),
        ({"confidence": "0.9"}, "confidence must be a number above 0 and below 1, got '0.9'"),
        ({"hidden": (0,)}, "hidden must be"),
        ({"hidden": 16}, "hidden must be"),
        ({"model_kind": "gcnn"}, "model_kind must be one of .*got 'gcnn'; did you mean 'gcn'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        ScoringSpec(**options)


def test_sizes_that_no_batch_can_have_are_refused():
    with pytest.raises(ConfigError, match="rings: batch_sizes must include one of at most its 3 graphs"):
        scoring_classes(rings(3), ScoringSpec(batch_sizes=(4, 16)))
