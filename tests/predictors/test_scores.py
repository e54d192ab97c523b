"""Scores of predictions: tables small enough to check by eye, slow twins, and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gnnsched_env.common import stats as own_stats
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.predictors import mape, regret, score_predictions, scores, selection_accuracy
from tests.twins import scores as naive_scores

TRUE = [[10, 20, 40], [30, 15, 15], [8, 4, 2], [5, 5, 5]]
PREDICTED = [[11, 20, 40], [30, 16, 15], [2, 4, 8], [6, 4, 5]]


@st.composite
def two_tables(draw):
    """Return true and predicted cycles of few distinct values, so that many are equal."""
    classes, choices = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    row = st.lists(st.integers(1, 5), min_size=choices, max_size=choices)
    table = st.lists(row, min_size=classes, max_size=classes)
    return draw(table), draw(table)


def test_accuracy_counts_ties_of_the_truth_as_right():
    assert selection_accuracy(TRUE, PREDICTED) == 75.0


def test_regret_is_chosen_over_best():
    assert regret(TRUE, PREDICTED).tolist() == [1.0, 1.0, 4.0, 1.0]


def test_mape_is_relative_to_the_truth():
    errors = [0.1, 0, 0, 0, 1 / 15, 0, 0.75, 0, 3.0, 0.2, 0.2, 0]
    assert mape(TRUE, PREDICTED) == pytest.approx(100 * sum(errors) / 12)


def test_all_scores_together():
    result = score_predictions(TRUE, PREDICTED)
    assert (result.accuracy, result.top2, result.mean_regret, result.max_regret) == (75.0, 75.0, 1.75, 4.0)
    perfect = score_predictions(TRUE, TRUE)
    assert (perfect.accuracy, perfect.top2, perfect.mape) == (100.0, 100.0, 0.0)
    assert (perfect.mean_regret, perfect.max_regret, perfect.tau) == (1.0, 1.0, 1.0)


def test_top2_forgives_one_place():
    assert scores.top2_accuracy([[3, 2, 1]], [[3, 1, 2]]) == 100.0
    assert scores.top2_accuracy([[3, 2, 1]], [[1, 2, 3]]) == 0.0
    assert scores.top2_accuracy([[3, 2, 1]], [[1, 1, 1]]) == 0.0  # ties take the first two


def test_confusion_of_a_table_by_eye():
    assert scores.confusion(TRUE, PREDICTED).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]


def test_tau_of_rows_by_eye():
    true, predicted = (
        [[1, 2, 3], [1, 2, 3], [1, 2, 3], [4, 4, 4], [4, 4, 4]],
        [
            [5, 6, 7],
            [7, 6, 5],
            [2, 2, 2],
            [1, 2, 3],
            [9, 9, 9],
        ],
    )
    assert scores.kendall_tau(true, predicted).tolist() == [1.0, -1.0, 0.0, 0.0, 1.0]
    assert scores.kendall_tau([[7]], [[3]]).tolist() == [1.0]


@given(two_tables())
def test_scores_agree_with_their_slow_twins(tables):
    true, predicted = tables
    assert scores.regret(true, predicted).tolist() == naive_scores.regret(true, predicted)
    assert scores.selection_accuracy(true, predicted) == pytest.approx(naive_scores.accuracy(true, predicted))
    assert scores.top2_accuracy(true, predicted) == pytest.approx(naive_scores.top2(true, predicted))
    counts = scores.confusion(true, predicted)
    expected = naive_scores.confusion(true, predicted)
    assert {(i, j): counts[i, j] for i, j in np.argwhere(counts).tolist()} == expected


@given(two_tables())
def test_tau_is_scipys_tau_b(tables):
    true, predicted = tables
    for own, row, guess in zip(scores.kendall_tau(true, predicted), true, predicted, strict=True):
        if len(set(row)) > 1 and len(set(guess)) > 1:
            assert own == pytest.approx(stats.kendalltau(row, guess, variant="b").statistic)
        else:
            assert own == float(len(set(row)) == len(set(guess)))


@given(two_tables())
def test_what_must_hold_of_all_scores(tables):
    true, predicted = tables
    result = score_predictions(true, predicted)
    assert 0.0 <= result.accuracy <= result.top2 <= 100.0
    assert 1.0 <= result.mean_regret <= result.max_regret * (1 + 1e-12)
    assert -1.0 <= result.tau <= 1.0 + 1e-12
    assert (result.accuracy == 100.0) == (result.max_regret == 1.0)
    counts = scores.confusion(true, predicted)
    assert counts.sum() == len(true)
    assert 100.0 * np.trace(counts) / len(true) == pytest.approx(result.accuracy)
    scaled = score_predictions(np.multiply(true, 3), np.multiply(predicted, 3))
    assert scaled.mape == pytest.approx(result.mape)
    assert (scaled.accuracy, scaled.tau) == (result.accuracy, pytest.approx(result.tau))


def test_a_tolerance_forgives_small_regrets():
    true, predicted = [[100, 104], [100, 106]], [[2, 1], [2, 1]]
    assert scores.selection_accuracy(true, predicted) == 0.0
    assert scores.selection_accuracy(true, predicted, tolerance=0.05) == 50.0
    with pytest.raises(ConfigError, match="tolerance must be"):
        scores.selection_accuracy(true, predicted, tolerance=-1)


def noisy_table(classes, seed=0):
    rng = np.random.default_rng(seed)
    true = np.exp(rng.normal(6, 1, (classes, 5)))
    return true, true * np.exp(rng.normal(0, 0.3, true.shape))


def test_intervals_are_scipys_percentile_bootstrap():
    true, predicted = noisy_table(40)
    ours = scores.score_intervals(true, predicted)
    errors = 100 * (np.abs(predicted - true) / true).mean(axis=1)
    theirs = stats.bootstrap(
        (errors,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.mape == pytest.approx((theirs.low, theirs.high), abs=0.05 * width)


def test_intervals_hold_their_scores_and_repeat():
    true, predicted = noisy_table(60)
    result, intervals = score_predictions(true, predicted), scores.score_intervals(true, predicted)
    for field in ("accuracy", "top2", "mape", "mean_regret", "tau"):
        low, high = getattr(intervals, field)
        assert low <= getattr(result, field) <= high
    assert intervals.accuracy[0] < intervals.accuracy[1]
    assert intervals == scores.score_intervals(true, predicted)
    narrow = scores.score_intervals(true, predicted, confidence=0.5)
    assert intervals.mape[0] < narrow.mape[0] < narrow.mape[1] < intervals.mape[1]


def test_an_interval_covers_as_often_as_it_says():
    truth = 100 * np.exp(0.3**2 / 2)  # of the ratios' mean, so that the mean error is known
    covered = 0
    for seed in range(200):
        ratios = np.exp(np.random.default_rng(seed).normal(0, 0.3, (60, 1)))
        low, high = scores.score_intervals(np.ones((60, 1)), 1 + ratios, draws=400, seed=seed).mape
        covered += low <= truth <= high
    assert 175 <= covered <= 199


def test_memory_is_bounded_without_changing_the_draws(monkeypatch):
    true, predicted = noisy_table(30)
    whole = scores.score_intervals(true, predicted, draws=100)
    monkeypatch.setattr(own_stats, "_BLOCK", 90)
    assert scores.score_intervals(true, predicted, draws=100) == whole


def test_one_class_has_no_interval_but_its_score():
    intervals = scores.score_intervals([[10, 20]], [[12, 20]])
    assert intervals.mape == (10.0, 10.0)
    assert intervals.accuracy == (100.0, 100.0)


def test_the_best_fixed_choice_counts_ratios_not_cycles():
    assert scores.best_fixed_choice([[1, 2], [1, 2], [1_000, 900]]) == 0


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        (TRUE, TRUE[:2], "must be"),
        ([1, 2], [1, 2], "must be"),
        (np.zeros((1, 2)), np.ones((1, 2)), "above 0"),
        (np.ones((1, 2)), [[1.0, np.nan]], "finite"),
        ([[1.0, np.inf]], np.ones((1, 2)), "finite"),
    ],
)
@pytest.mark.parametrize("score", [mape, scores.confusion, scores.kendall_tau, scores.score_intervals])
def test_bad_tables_are_refused(score, true, predicted, message):
    with pytest.raises(ConfigError, match=message):
        score(true, predicted)


@pytest.mark.parametrize("options", [{"confidence": 0.0}, {"confidence": 1.0}, {"draws": 0}])
def test_bad_intervals_are_refused(options):
    with pytest.raises(ConfigError, match="intervals"):
        scores.score_intervals(TRUE, PREDICTED, **options)
