"""Intervals keep the draws that made the published tables; tau is scipy's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from gnnsched_env.common import stats
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.stats import Interval, crossed_interval, mean_interval, paired_ratio


def test_the_draws_are_those_of_the_published_tables():
    rng = np.random.default_rng(5)
    first, second, table = rng.gamma(2.0, size=12) + 1, rng.gamma(2.0, size=12) + 1, rng.normal(size=(4, 9))
    assert paired_ratio(first, second).as_list() == [1.188242208495746, 0.9058115251665074, 1.5966065272748224]
    assert mean_interval(first).as_list() == [2.5695784604645158, 2.174917813224808, 3.0483442557676175]
    assert crossed_interval(table).as_list() == pytest.approx(
        [-0.01770873588675569, -0.48010654691693877, 0.4753368350326973], rel=1e-12
    )
    alone = [0.29961507656991176, -0.4469864473982783, 1.0727420568978796]
    assert crossed_interval(table[:1]).as_list() == pytest.approx(alone, rel=1e-12)


def test_the_interval_of_a_mean_is_the_bootstrap_s_and_repeats():
    drawn = np.random.default_rng(0).normal(0.5, 0.1, 40)
    mean = mean_interval(drawn)
    assert mean == mean_interval(drawn)
    assert mean.value == pytest.approx(drawn.mean())
    half = 1.96 * drawn.std() / math.sqrt(40)
    assert mean.value - mean.low == pytest.approx(half, rel=0.1)
    assert mean.high - mean.value == pytest.approx(half, rel=0.1)
    assert mean_interval(drawn, confidence=0.5).high < mean.high
    assert mean_interval([0.3]) == Interval(value=0.3, low=0.3, high=0.3)
    assert mean_interval([]).as_list() == [None, None, None]


def test_a_paired_ratio_knows_what_its_pairs_share():
    rng = np.random.default_rng(3)
    shared = rng.gamma(2.0, size=200) + 1
    noise = rng.normal(1.0, 0.01, 200)
    together, apart = paired_ratio(shared * noise, shared), paired_ratio(rng.permutation(shared) * noise, shared)
    assert together.low < together.value < together.high < together.low + 0.01
    assert apart.high - apart.low > 0.1
    assert paired_ratio(shared[:1], noise[:1]).low == paired_ratio(shared[:1], noise[:1]).high


@pytest.mark.slow
def test_crossed_intervals_hold_the_mean_as_often_as_they_say():
    """Of seeds and files that each add a normal deviation: the true mean is 0."""
    rng = np.random.default_rng(0)
    inside = 0
    for k in range(200):
        values = rng.normal(size=(8, 1)) + rng.normal(size=(1, 30)) + 0.1 * rng.normal(size=(8, 30))
        found = crossed_interval(values, seed=k)
        inside += found.low <= 0.0 <= found.high
        assert found.low < found.value < found.high
        assert found.value == pytest.approx(values.mean())
    assert 170 <= inside <= 199  # of few seeds a bootstrap's interval is somewhat short


def test_crossed_intervals_of_one_seed_are_over_files():
    values = np.random.default_rng(0).normal(size=(1, 400))
    found = crossed_interval(values)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)


def test_what_has_no_interval_is_refused():
    with pytest.raises(ConfigError, match="confidence must lie in 0"):
        mean_interval([1.0, 2.0], confidence=95)
    with pytest.raises(ConfigError, match="seeds, files"):
        crossed_interval(np.zeros((0, 3)))
    with pytest.raises(ConfigError, match="equally many, got 2 and 1"):
        paired_ratio(np.ones(2), np.ones(1))


@given(st.integers(0, 2**32), st.sampled_from([2, 3, 8, 32, 33, 200]), st.integers(1, 50))
def test_tau_is_scipys(seed, items, values):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(values, size=(2, 3, items))
    expected = [scipy_stats.kendalltau(one, other).statistic for one, other in zip(first, second, strict=True)]
    assert stats.kendall_tau(first, second) == pytest.approx(expected, abs=1e-12, nan_ok=True)
