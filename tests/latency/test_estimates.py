"""Closed-form cycles against a slow twin, numbers worked out by hand, and the cost model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.hardware import Layer, load_accelerator, load_dataflow, make_model
from gnnsched_env.latency import ClosedFormPredictor, Level
from gnnsched_env.latency.estimates import ClosedForm
from gnnsched_env.tables import pair_cycles, synthetic_classes
from tests import naive_latency
from tests.latency.jobs import classes_of

OMEGA = load_accelerator("omega512")
PAIRS = [(OMEGA, dataflow) for dataflow in OMEGA.dataflows]
NAMES = [dataflow.name for dataflow in OMEGA.dataflows]
degree_lists = st.lists(st.one_of(st.integers(0, 12), st.integers(0, 3_000)), min_size=1, max_size=300)
widths = st.one_of(st.integers(1, 40), st.integers(1, 2_000))


def layer(in_features, out_features):
    return Layer(in_features=in_features, combination_features=in_features, out_features=out_features, self_loops=True)


@pytest.mark.kernels
@settings(deadline=None, max_examples=30)
@given(degree_lists, widths, st.integers(1, 200))
def test_terms_agree_with_the_naive_twin(degrees, in_features, out_features):
    form = ClosedForm([layer(in_features, out_features)], PAIRS)
    (terms,) = form.degree_terms(np.array(degrees, np.int64))
    for p, record in enumerate(form.records):
        stamps = form.stamps[record["stamps"] :]
        assert terms[p].tolist() == list(naive_latency.degree_terms(degrees, record, stamps)[1:]), NAMES[p]


def test_terms_by_hand():
    """512 PEs, F = 600, G = 2, two rows of 3 and 9 entries.

    Seq1: T_Fa 512, two groups: a row of S folds takes 3 S + 4 cycles. T_Vc 256, 600 folds, one group: 1200 + 3.
    """
    form = ClosedForm([layer(600, 2)], [(OMEGA, load_dataflow("Seq1"))])
    assert form.degree_terms(np.array([3, 9])).tolist() == [[[1203, 13 + 31 + 1203]]]
    assert form.metadata_terms(2, 12).tolist() == [[[1203, 2 * (3 * 6 + 4) + 1203]]]


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 400), st.integers(1, 30), widths, st.integers(1, 200))
def test_metadata_terms_are_those_of_rows_of_equal_degree(rows, degree, in_features, out_features):
    """Where folds are whole and the chunks of PP are whole row tiles of both phases."""
    form = ClosedForm([layer(in_features, out_features)], PAIRS)
    (flat,), (exact,) = form.metadata_terms(rows, rows * degree), form.degree_terms(np.full(rows, degree))
    whole = [
        degree % record["t_n"] == 0 and max(record["t_va"], record["t_vc"]) % min(record["t_va"], record["t_vc"]) == 0
        for record in form.records
    ]
    assert flat[whole] == pytest.approx(exact[whole], rel=1e-12)


@settings(deadline=None, max_examples=25)
@given(degree_lists, st.integers(1, 300), st.integers(1, 64))
def test_dataflows_without_trees_are_exact(degrees, in_features, out_features):
    """Where nothing is reduced in space, only a clash on the bus could differ, and these have a line a cluster."""
    chosen = [pair for pair in PAIRS if pair[1].name in ("Seq1", "SPhighV", "PP1", "PP4")]
    classes = classes_of(degrees, model=make_model("gcn", in_features, out_features, ()))
    predicted = ClosedFormPredictor().predict(classes, chosen)
    assert predicted.tolist() == pair_cycles(classes, chosen).tolist()


def test_all_dataflows_are_near_the_cost_model_on_every_preset_device():
    classes = synthetic_classes(48, seed=3)
    accelerators = [load_accelerator(name) for name in ("omega256", "omega1024")]
    pairs = PAIRS + [(accelerator, dataflow) for accelerator in accelerators for dataflow in accelerator.dataflows]
    errors = np.abs(ClosedFormPredictor().predict(classes, pairs) / pair_cycles(classes, pairs) - 1)
    assert errors.mean() < 0.001 and errors.max() < 0.05


def test_narrow_bandwidths_are_followed_roughly():
    from dataclasses import replace

    narrow = replace(OMEGA, name="narrow", distribution_bandwidth=64, reduction_bandwidth=128)
    pairs = [(narrow, dataflow) for dataflow in narrow.dataflows]
    classes = synthetic_classes(24, seed=4)
    errors = np.abs(ClosedFormPredictor().predict(classes, pairs) / pair_cycles(classes, pairs) - 1)
    assert np.median(errors) < 0.01 and errors.max() < 0.5


def test_metadata_sees_nothing_but_sizes():
    predictor = ClosedFormPredictor(Level.METADATA)
    flat, skewed = predictor.predict(classes_of([3, 3, 3, 3], [9, 1, 1, 1]), PAIRS)
    assert flat.tolist() == skewed.tolist()
