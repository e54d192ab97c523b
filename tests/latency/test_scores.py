"""Scores of predictions on tables small enough to check by eye."""

import numpy as np
import pytest

from gnnsched_env.errors import ConfigError
from gnnsched_env.latency import mape, regret, score_predictions, selection_accuracy

TRUE = [[10, 20, 40], [30, 15, 15], [8, 4, 2], [5, 5, 5]]
PREDICTED = [[11, 20, 40], [30, 16, 15], [2, 4, 8], [6, 4, 5]]


def test_accuracy_counts_ties_of_the_truth_as_right():
    assert selection_accuracy(TRUE, PREDICTED) == 75.0


def test_regret_is_chosen_over_best():
    assert regret(TRUE, PREDICTED).tolist() == [1.0, 1.0, 4.0, 1.0]


def test_mape_is_relative_to_the_truth():
    errors = [0.1, 0, 0, 0, 1 / 15, 0, 0.75, 0, 3.0, 0.2, 0.2, 0]
    assert mape(TRUE, PREDICTED) == pytest.approx(100 * sum(errors) / 12)


def test_all_scores_together():
    scores = score_predictions(TRUE, PREDICTED)
    assert (scores.accuracy, scores.mean_regret, scores.max_regret) == (75.0, 1.75, 4.0)
    perfect = score_predictions(TRUE, TRUE)
    assert (perfect.accuracy, perfect.mape, perfect.mean_regret, perfect.max_regret) == (100.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [(TRUE, TRUE[:2], "must be"), ([1, 2], [1, 2], "must be"), (np.zeros((1, 2)), np.ones((1, 2)), "above 0")],
)
def test_bad_tables_are_refused(true, predicted, message):
    with pytest.raises(ConfigError, match=message):
        mape(true, predicted)
