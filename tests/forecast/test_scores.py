"""Scores of a ranking against pair-by-pair twins, and what happens where there is nothing to rank."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.scoring import rank_scores as scores
from tests.twins import forecast_ranking as naive_ranking

LAYOUT = Collection.LAYOUT_XLA_DEFAULT
TILE = Collection.TILE_XLA

values = st.integers(1, 6)
ranked = st.lists(st.tuples(values, values), min_size=0, max_size=25).map(
    lambda rows: np.array(rows, float).reshape(-1, 2)
)


@given(ranked)
def test_scores_agree_with_the_naive_twins(rows):
    predicted, true = rows.T
    for name in ("kendall_tau", "ordered_pair_accuracy"):
        expected = getattr(naive_ranking, name)(predicted, true)
        assert getattr(scores, name)(predicted, true) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    for k in (1, 2, 5, 30):
        expected = naive_ranking.slowdown(predicted, true, k)
        assert scores.slowdown(predicted, true, k) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_pairs_of_a_hundred_thousand_configurations_are_counted_exactly():
    true = np.arange(1.0, 100_001.0)
    predicted = true.copy()
    predicted[[0, 1]] = predicted[[1, 0]]  # one pair of five thousand million
    pairs = 100_000 * 99_999 // 2
    assert scores.ordered_pair_accuracy(predicted, true) == 1.0 - 1 / pairs
    assert scores.ordered_pair_accuracy(np.zeros(100_000), true) == 0.5


def test_runtimes_beyond_float32_are_told_apart():
    true = np.array([2**24, 2**24 + 1, 2**24 + 2], np.float64)
    assert scores.kendall_tau([0, 1, 2], true) == 1.0


def test_slowdown_of_the_best_of_the_top():
    true = [4.0, 2.0, 3.0, 8.0]
    assert [scores.slowdown([0, 9, 1, 2], true, k) for k in (1, 2, 3, 4, 9)] == [1.0, 0.5, 0.5, 0.0, 0.0]
    assert scores.slowdown([5, 5, 5, 5], true, 1) == 1.0  # equal scores: the file's order


@pytest.mark.parametrize(
    ("targets", "groups", "reason"),
    [
        ([], None, "0 configurations"),
        ([7.0], None, "one configuration"),
        ([0.0, 0.0, 0.0], None, "unlabelled"),
        ([5.0, 5.0, 5.0], None, "all runtimes equal"),
        ([5.0, 5.1, 5.0], [3, 3, 3], "one distinct configuration"),
    ],
)
def test_nothing_to_rank_has_a_reason_and_is_in_no_mean(targets, groups, reason):
    empty = scores.score_graph("none", TILE, np.arange(len(targets)), targets, groups)
    assert empty.reason == reason
    assert all(math.isnan(value) for value in (empty.tau, empty.pairs, empty.competition, *empty.slowdowns))
    full = scores.score_graph("some", TILE, [2, 1], [1.0, 1.5], [0, 1])
    assert full.reason == ""
    total = scores.collection_score([empty, full])
    assert (total.graphs, total.excluded, total.tau.value, total.competition.value) == (1, 1, -1.0, 1.0)
    alone = scores.collection_score([empty])
    assert (alone.graphs, alone.excluded) == (0, 1) and math.isnan(alone.tau.value)
    assert "NaN" not in json.dumps([empty.record(), alone.record()])


def test_a_constant_prediction_counts_as_no_agreement():
    constant = scores.score_graph("some", LAYOUT, [3, 3, 3], [1.0, 2.0, 3.0])
    assert (constant.tau, constant.pairs, constant.reason) == (0.0, 0.5, "")


def test_the_competition_scores_layouts_by_tau_and_tiles_by_slowdown():
    predicted, true = [0, 1, 2, 3, 4, 5, 6], [9.0, 4.0, 5.0, 6.0, 7.0, 8.0, 2.0]
    layout = scores.score_graph("a", LAYOUT, predicted, true)
    tile = scores.score_graph("a", TILE, predicted, true)
    assert layout.competition == scores.kendall_tau(predicted, true)
    assert tile.competition == 1.0 - (4.0 / 2.0 - 1.0)
    means = dict.fromkeys(Collection, 0.2) | {TILE: 0.9}
    assert scores.competition_score(means) == pytest.approx(0.34)
    with pytest.raises(ConfigError, match="tile:xla"):
        scores.competition_score({kind: 0.2 for kind in Collection if kind is not TILE})
    with pytest.raises(ConfigError, match="layout:nlp:random"):
        scores.competition_score(means | {Collection.LAYOUT_NLP_RANDOM: math.nan})


def test_collections_are_scored_apart_and_in_order():
    parts = [
        scores.score_graph(name, kind, [1, 2], [1.0, 2.0]) for name, kind in (("a", TILE), ("b", LAYOUT), ("c", TILE))
    ]
    assert [(one.collection, one.graphs) for one in scores.collection_scores(parts)] == [(LAYOUT, 1), (TILE, 2)]
    with pytest.raises(ConfigError, match="one collection"):
        scores.collection_score(parts)


@pytest.mark.parametrize(
    ("predicted", "targets", "message"),
    [
        ([1.0, 2.0], [1.0], "must be \\[configurations\\]"),
        ([[1.0]], [[1.0]], "must be \\[configurations\\]"),
        ([1.0, math.nan], [1.0, 2.0], "finite, got nan"),
        ([1.0, math.inf], [0.0, 0.0], "finite, got inf"),
        ([1.0, 2.0], [1.0, 0.0], "above 0 .*got 0.0"),
        ([1.0, 2.0], [1.0, -3.0], "above 0 .*got -3.0"),
        ([1.0, 2.0], [1.0, math.nan], "above 0 .*got nan"),
    ],
)
def test_bad_values_are_named(predicted, targets, message):
    with pytest.raises(ConfigError, match=f"kernel_7.*{message}"):
        scores.score_graph("kernel_7", TILE, predicted, targets)


def test_bad_settings_are_named():
    with pytest.raises(ConfigError, match="k must be"):
        scores.slowdown([1.0], [1.0], 0)
    with pytest.raises(ConfigError, match="needs files of one collection, got \\[\\]"):
        scores.collection_score([])
