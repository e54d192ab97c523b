"""Closed-form cycles against a slow twin, numbers worked out by hand, and the cost model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import GraphError
from gnnsched_env.cycles import CyclePlan, LayerSpec, closed_form_tiling, row_cost, simulate_layer
from gnnsched_env.hardware import Composition, Layer, PhaseArray, Tiling, load_accelerator, load_dataflow, make_model
from gnnsched_env.predictors import ClosedFormPredictor, Job, Level
from gnnsched_env.predictors.closed_form import ClosedForm
from gnnsched_env.tables import pair_cycles
from gnnsched_env.workload import synthetic_classes
from tests.predictors.jobs import classes_of
from tests.twins import latency as naive_latency

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


@pytest.mark.slow
def test_all_dataflows_are_near_the_cost_model_on_every_preset_device():
    classes = synthetic_classes(48, seed=3)
    accelerators = [load_accelerator(name) for name in ("omega256", "omega1024")]
    pairs = PAIRS + [(accelerator, dataflow) for accelerator in accelerators for dataflow in accelerator.dataflows]
    errors = np.abs(ClosedFormPredictor().predict(classes, pairs) / pair_cycles(classes, pairs) - 1)
    assert errors.mean() < 0.001 and errors.max() < 0.05


def narrow_spec(*, aggregation, combination, tiles, widths):
    """A layer of these widths (F, combination width, G) on phases of (PEs, distribution, reduction) bandwidths."""
    names = ("pes", "distribution_bandwidth", "reduction_bandwidth")
    arrays = [PhaseArray(**dict(zip(names, one, strict=True))) for one in (aggregation, combination)]
    tiling = Tiling(**dict(zip(("t_va", "t_n", "t_fa", "t_vc", "t_g", "t_fc"), tiles, strict=True)))
    return LayerSpec(
        in_features=widths[0],
        combination_features=widths[1],
        out_features=widths[2],
        tiling=tiling,
        aggregation=arrays[0],
        combination=arrays[1],
    )


def test_row_costs_on_few_ports_and_lines_by_hand():
    """16 PEs, 4 ports (m = 4), 2 lines; T_Fa = 8: 8 results a group, 4 a line; two groups of F = 16.

    A row of S folds: S weights (one packet a port: T_N = 1), 4 packets of features a fold; it ends
    S + 3 + 1 + max(4 S + 4 * 2, 4 S * 2 + 4) cycles after the row before. A row tile of 2 x 4 clusters, F' = 3 folds,
    one group of G = 4: 3 weights (a port serves one row), 4 inputs a fold, 4 results a line:
    3 + 2 + 1 + max(3 * 4 + 4, 3 * 4 + 4).
    """
    spec = narrow_spec(aggregation=(16, 4, 2), combination=(16, 4, 2), tiles=(1, 1, 8, 2, 4, 1), widths=(16, 3, 4))
    cost = row_cost(spec)
    folds = np.array([1, 2, 5])
    assert cost.cycles(folds).tolist() == [1 + 4 + 12, 2 + 4 + 20, 5 + 4 + 44]
    exact = np.array([simulate_layer(np.array([d]), spec).agg for d in folds])
    assert exact.tolist() == [15, 24, 51]  # results of a port's PEs come one after another, and so drain earlier
    assert cost.tile_cycles == 3 + 2 + 1 + 16
    two_rows = row_cost(
        narrow_spec(aggregation=(16, 4, 2), combination=(16, 4, 2), tiles=(1, 1, 8, 4, 2, 1), widths=(16, 3, 4))
    )
    assert two_rows.tile_cycles == 3 * 2 + 2 + 1 + 16  # a port serves two rows: two weights a fold


def test_very_busy_lines_bend_beyond_the_common_table():
    """One line for 256 clusters: rows of fewer folds wait for it, and the table goes on to where they do not."""
    spec = narrow_spec(
        aggregation=(2048, 2048, 1),
        combination=(2048, 2048, 2048),
        tiles=(1, 8, 256, 2, 4, 1),
        widths=(600, 600, 4),
    )
    rows = np.array([2_000_000, 900, 1])
    closed = CyclePlan([(0, spec, Composition.SEQ)], closed_form_tiling).cycles(rows)[0]
    cost = row_cost(spec)
    assert cost.lines == 256
    assert closed == cost.cycles(np.array([250_000, 113, 1])).sum() + 2 * cost.tile_cycles


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([(32, 32, 32), (32, 8, 4), (64, 64, 1), (64, 4, 64), (16, 2, 2)]),
    st.sampled_from([(1, 1, 8), (2, 1, 8), (1, 8, 2), (1, 4, 4), (4, 1, 4)]),
    st.integers(1, 40),
    st.lists(st.one_of(st.integers(0, 9), st.integers(0, 5_000)), min_size=1, max_size=40),
)
def test_few_ports_and_lines_are_followed_beyond_every_table(array, tiles, in_features, degrees):
    """In turn, a row costs the same by formula and by evaluation, and nearly what the cost model says."""
    widths = (in_features, in_features, 4)
    spec = narrow_spec(aggregation=array, combination=array, tiles=(*tiles, 2, 4, 1), widths=widths)
    rows = np.array(degrees, np.int64)
    cost, t_va, t_n = row_cost(spec), tiles[0], tiles[1]
    longest = [max(degrees[i : i + t_va]) for i in range(0, len(degrees), t_va)]
    folds = np.array([max(1, -(-d // t_n)) for d in longest])
    expected = int(cost.cycles(folds).sum()) + -(-len(degrees) // 2) * cost.tile_cycles
    closed = CyclePlan([(0, spec, Composition.SEQ)], closed_form_tiling).cycles(rows)[0]
    assert closed == expected
    exact = CyclePlan([(0, spec, Composition.SEQ)]).cycles(rows)[0]
    assert abs(closed - exact) < 0.4 * exact + 20


def test_metadata_sees_nothing_but_sizes():
    predictor = ClosedFormPredictor(Level.METADATA)
    flat, skewed = predictor.predict(classes_of([3, 3, 3, 3], [9, 1, 1, 1]), PAIRS)
    assert flat.tolist() == skewed.tolist()


@pytest.mark.parametrize("level", [Level.METADATA, Level.DEGREES])
def test_degrees_that_are_none_are_refused_at_every_level(level):
    decide = ClosedFormPredictor(level).for_pairs(PAIRS)
    for degrees, message in (([], "at least one row"), ([3, -1], "must not be negative"), ([2**60], "at most 2")):
        with pytest.raises(GraphError, match=message):
            decide(Job(np.array(degrees, np.int64), make_model("gcn", 5, 3)))
