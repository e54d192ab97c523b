"""What is expected from noisy predictions, against regression on many jobs and against cases that say the answer."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common.errors import TableError
from gnnsched_env.scenario import PredictionError
from gnnsched_env.scenario.resolve import perturbed
from gnnsched_env.tables import LatencyTable
from gnnsched_env.tables.shrinkage import expected_cycles, shrinkage_of
from tests import toys


def drawn_table(fit, noise, *, classes=4_000, choices=3):
    """Return a table whose jobs have lengths in common, and logarithms of choices apart by a deviation of `fit`."""
    rng = np.random.default_rng(0)
    logs = rng.normal(14.0, 1.0, (classes, 1)) + rng.normal(0.0, 1.0, (classes, choices)) * fit
    return perturbed(toys.table(np.rint(np.exp(logs)).astype(np.int64)), PredictionError(noise=noise, seed=1))


def test_expected_latencies_are_those_that_a_regression_on_the_truth_finds():
    table = drawn_table(0.3, 0.5)
    predicted, true = (np.log2(1.0 + cycles) for cycles in (table.predicted_cycles, table.true_cycles))
    known = np.column_stack([predicted, np.ones(len(predicted))])
    fitted = known @ np.linalg.lstsq(known, true, rcond=None)[0]
    expected = np.log2(1.0 + expected_cycles(table))
    assert abs(expected - fitted).mean() < 0.06 < 0.2 < abs(predicted - fitted).mean()
    assert (expected - true).std() < 0.8 * (predicted - true).std()


def test_alike_accelerators_are_expected_to_take_equally_long():
    table = drawn_table(0.0, 0.5)
    spread = np.log2(expected_cycles(table)).std(axis=1).mean()
    assert spread < 0.1 * np.log2(table.predicted_cycles).std(axis=1).mean()


def test_the_best_of_noisy_predictions_is_too_good_and_the_best_expected_one_is_not():
    table = drawn_table(0.3, 0.5)
    classes = np.arange(table.num_classes)
    for told, least, most in ((table.predicted_cycles, -9.0, -0.3), (expected_cycles(table), -0.05, 0.05)):
        best = told.argmin(axis=1)
        found = np.log(told[classes, best] / table.true_cycles[classes, best]).mean()
        assert least < found < most


def test_nothing_is_done_without_noise(tmp_path):
    table = toys.table([[100, 200], [50, 30]])
    assert shrinkage_of(table) is None and expected_cycles(table) is table.predicted_cycles
    noisy = perturbed(table, PredictionError(noise=0.3))
    assert noisy.noise == 0.3 and shrinkage_of(noisy) is not None and noisy.clairvoyant().noise == 0.0
    noisy.save(tmp_path / "table.npz")
    assert LatencyTable.load(tmp_path / "table.npz").noise == 0.3 and noisy.digest() != replace(noisy, noise=0).digest()
    with pytest.raises(TableError, match="noise must be a number of at least 0, got -1"):
        replace(table, noise=-1)
