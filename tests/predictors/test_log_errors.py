"""Errors of predictions, the intervals made from them, and the table that holds them beside the truth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError, TableError
from gnnsched_env.graphs import Graph, GraphSet
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import DatasetSpec, default_table, make_predictor, training_chunk, with_log_errors
from gnnsched_env.predictors.graph_scores import ScoringSpec
from gnnsched_env.predictors.joint_table import COLUMNS, joint_table
from gnnsched_env.predictors.log_errors import CALIBRATION, log_error_quantiles
from gnnsched_env.predictors.trees.tree_training import DEFAULT_TRAINING
from gnnsched_env.scenario import PredictionError, load_scenario, scenario_table
from gnnsched_env.scenario.resolve import perturbed
from gnnsched_env.tables import ERROR_LEVELS, LatencyTable, distinct_pairs, pair_cycles
from gnnsched_env.tables.table import interval_ends
from tests import toys

FLEET = load_fleet("hetero4")


def with_errors(low=-0.1, high=0.2):
    """Return a toy table whose errors are evenly distributed over a range of logarithms."""
    table = toys.table([[100, 50], [30, 400]], [[110, 50], [25, 380]])
    return replace(table, log_errors=np.tile(low + (high - low) * ERROR_LEVELS[:, np.newaxis], (1, 2)))


@pytest.mark.slow
def test_intervals_cover_as_much_of_other_synthetic_jobs_as_they_say():
    pairs = distinct_pairs(FLEET).pairs
    predictor = make_predictor("closed_form_metadata")
    errors = log_error_quantiles("closed_form_metadata", predictor, pairs)
    jobs = training_chunk(DatasetSpec(graphs=400, seed=77, most_vertices=20_000), 0)
    true = pair_cycles(jobs, pairs)
    for coverage in (0.5, 0.9):
        low, high = interval_ends(predictor.predict(jobs, pairs), errors, coverage)
        inside = (true >= low - 0.5) & (true <= high + 0.5)
        assert coverage - 0.07 < inside.mean()  # many predictions are exact, and so inside of any interval
    wide = (errors[-11] - errors[10]) > 0.2
    assert wide.any() and abs(inside[:, wide].mean() - 0.9) < 0.07


def test_calibration_jobs_are_not_those_of_a_training():
    assert CALIBRATION.seed not in (DEFAULT_TRAINING.seed, DatasetSpec().seed)


def test_an_exact_predictor_has_no_errors():
    table = with_log_errors(toys.table([[5] * len(FLEET.choices)]), FLEET, predictor="exact")
    assert not table.log_errors.any()
    assert [ends.tolist() for ends in table.interval(0.9)] == [table.predicted_cycles.tolist()] * 2


def test_an_interval_leaves_out_equally_much_on_either_side(tmp_path):
    table = with_errors()
    low, high = table.interval(0.8)
    assert low == pytest.approx(table.predicted_cycles * np.exp(-0.1 + 0.3 * 0.1))
    assert high == pytest.approx(table.predicted_cycles * np.exp(-0.1 + 0.3 * 0.9))
    table.save(tmp_path / "table.npz")
    assert np.array_equal(LatencyTable.load(tmp_path / "table.npz").log_errors, table.log_errors)
    assert not table.clairvoyant().log_errors.any()


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        (np.zeros((3, 2)), r"log_errors must have shape \[200, 2\], got \[3, 2\]"),
        (np.full((200, 2), np.nan), "log_errors must be finite and not fall"),
        (-np.tile(ERROR_LEVELS[:, np.newaxis], (1, 2)), "log_errors must be finite and not fall"),
    ],
)
def test_bad_errors_are_refused(errors, message):
    with pytest.raises(TableError, match=message):
        replace(toys.table([[1, 2]]), log_errors=errors)


def test_an_interval_needs_errors_and_a_coverage():
    with pytest.raises(TableError, match="an interval needs log_errors"):
        toys.table([[1, 2]]).interval(0.9)
    with pytest.raises(ConfigError, match=r"coverage must be a number above 0 and at most 0.99, got 1.0"):
        with_errors().interval(1.0)


@given(noise=st.floats(0.0, 1.0), bias=st.floats(0.5, 2.0))
def test_a_prediction_error_widens_the_intervals(noise, bias):
    error = PredictionError(noise=noise, bias=bias)
    rng = np.random.default_rng(0)
    own = rng.uniform(-0.1, 0.2, 20_000)
    drawn = own - np.log(bias) - noise * rng.standard_normal(20_000)
    expected = np.quantile(drawn, ERROR_LEVELS)
    found = perturbed(with_errors(), error).log_errors[:, 0]
    assert found[5:-5] == pytest.approx(expected[5:-5], abs=0.03 + 0.08 * noise)


def test_errors_are_known_wherever_predictions_err():
    given = toys.table([[5] * len(FLEET.choices)], owners=FLEET.choice_accelerators)
    given = replace(given, choice_names=tuple(choice.name for choice in FLEET.choices))
    own = replace(load_scenario("hetero4"), table=given)
    for scenario in (load_scenario("hetero4").with_options(predictor="exact"), own):
        assert scenario_table(scenario).log_errors is None
        noisy = scenario_table(scenario.with_options(prediction_error=0.2)).log_errors
        assert noisy.std(axis=0) == pytest.approx(0.2, rel=0.02) and noisy[100] == pytest.approx(0.0, abs=0.01)
        assert scenario_table(scenario.with_options(prediction_error=(0.0, 2.0))).log_errors is None
    shipped = scenario_table(load_scenario("hetero4"))
    assert shipped.log_errors.any() and abs(shipped.log_errors).max() < 0.01
    assert np.array_equal(with_log_errors(replace(shipped, log_errors=None), FLEET).log_errors, shipped.log_errors)


@pytest.mark.slow
def test_the_shipped_errors_are_those_measured():
    pairs = [(choice.accelerator, choice.dataflow) for choice in FLEET.choices[2:4]]
    measured = log_error_quantiles("gradient_boosting", make_predictor("gradient_boosting", pairs), pairs)
    assert measured.any()
    assert default_table(FLEET).log_errors[:, 2:4] == pytest.approx(measured, abs=2e-6)


def test_tables_of_ones_own_need_errors_where_intervals_are_shown():
    scenario = load_scenario("hetero4").with_options(intervals=0.9)
    table = toys.table([[5] * len(FLEET.choices)])
    own = replace(table, choice_names=tuple(choice.name for choice in FLEET.choices))
    with pytest.raises(
        ConfigError, match="intervals of predictions need a LatencyTable with log_errors, got one without"
    ):
        scenario_table(replace(scenario, table=own))
    with pytest.raises(ConfigError, match=r"intervals must be 0 with observation 'pairs', .* got 0.9"):
        scenario.with_options(observation="pairs")


def test_a_joint_table_has_a_row_for_each_class_and_choice():
    rng = np.random.default_rng(0)
    graphs = [Graph.from_edges(9, rng.integers(9, size=14), rng.integers(9, size=14)) for _ in range(4)]
    chosen = GraphSet.from_graphs(graphs, name="small", num_features=6, num_classes=2)
    predictor = make_predictor("exact")
    table = joint_table("exact", predictor, chosen, FLEET, ScoringSpec(samples=2))
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in table.rows()]
    assert len(rows) == len(table.classes) * len(table.choices) and len(table.classes) == 3
    assert {(row["predictor"], row["graphs"]) for row in rows} == {("exact", "small")}
    assert all(row["true_cycles"] == row["predicted_cycles"] == row["low_cycles"] for row in rows)
    assert rows[-1]["true_cycles"] == table.true[-1, -1] and rows[0]["deciding_us"] > 0
    off = replace(table, predicted=table.predicted * 2, low=table.low * 2, high=table.high * 3).summary()
    assert (off["mape"], off["right"], off["inside"], off["width"]) == (100.0, 100.0, 0.0, 1.5)
