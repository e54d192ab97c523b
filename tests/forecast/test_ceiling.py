"""The noise ceiling against made-up measurements, where the noiseless runtimes are known."""

import json

import numpy as np
import pytest
from scipy.stats import kendalltau

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.scoring.noise_ceiling import noise_ceiling

SD = 0.01
COUNT = 4_000


def normal(rng, true):
    return SD * rng.standard_normal(len(true))


def two_speeds(rng, true):
    return SD * (2 * rng.integers(0, 2, len(true)) - 1) + 0.2 * SD * rng.standard_normal(len(true))


def heavy(rng, true):
    return SD * rng.standard_t(3, len(true))


def growing(rng, true):
    return SD * np.where(true < 5 * SD, 0.1, 2.0) * rng.standard_normal(len(true))


def spread(rng):
    return 10 * SD * rng.random(COUNT)


def wide(rng):
    return 10 * SD * rng.standard_normal(COUNT)


def narrow(rng):
    return 2 * SD * rng.standard_normal(COUNT)


def clumps(rng):
    return 10 * SD * rng.integers(0, 5, COUNT) + 1e-9 * rng.random(COUNT)  # no ties, but none that can be seen


CASES = [
    (spread, normal, 0.015),
    (wide, normal, 0.015),
    (narrow, normal, 0.03),
    (clumps, normal, 0.02),
    (spread, two_speeds, 0.03),
    (spread, heavy, 0.05),
    (spread, growing, 0.09),
]


def measured(true, noise, rng):
    """Return runtimes and groups: each configuration is measured one to five times."""
    groups = np.repeat(np.arange(len(true)), rng.choice([1, 1, 1, 2, 2, 3, 5], len(true)))
    order = rng.permutation(len(groups))
    groups = groups[order]
    logs = true[groups]
    return 1e6 * np.exp(logs + noise(rng, logs)), groups


@pytest.mark.parametrize(("law", "noise", "error"), CASES)
def test_it_is_what_the_noiseless_runtimes_reach(law, noise, error):
    rng = np.random.default_rng(3)
    true = law(rng)
    runtimes, groups = measured(true, noise, rng)
    reached = kendalltau(true[groups], runtimes).statistic
    ceiling = noise_ceiling(runtimes, groups)
    assert ceiling.tau == pytest.approx(reached, abs=error)
    assert ceiling.retest - 0.01 < reached < ceiling.high + 0.01
    again = kendalltau(runtimes, np.exp(true[groups] + noise(rng, true[groups]))).statistic
    assert ceiling.retest == pytest.approx(again, abs=0.02)


def test_noise_is_measured():
    rng = np.random.default_rng(1)
    runtimes, groups = measured(wide(rng), normal, rng)
    ceiling = noise_ceiling(runtimes, groups)
    assert ceiling.noise_sd == pytest.approx(SD, rel=0.05)
    assert ceiling.difference == pytest.approx(0.954 * SD, rel=0.05)  # median of |N(0, 2 SD^2)|
    assert ceiling.repeated == np.count_nonzero(np.bincount(groups) > 1)
    assert json.loads(json.dumps(ceiling.record()))["tau"] == ceiling.tau


def test_no_predictor_is_above_the_upper_bound_even_with_rewarded_ties():
    rng = np.random.default_rng(2)
    true = 4 * SD * rng.integers(0, 6, COUNT)
    runtimes, groups = measured(true, normal, rng)
    reached = kendalltau(true[groups], runtimes).statistic
    ceiling = noise_ceiling(runtimes, groups)
    assert reached > ceiling.tau + 0.03  # tau-b forgives ties in the prediction
    assert reached < ceiling.high + 0.005


def test_rows_choose_what_is_ranked():
    rng = np.random.default_rng(4)
    true = np.where(np.arange(COUNT) % 2, spread(rng), 1.0 + 1000 * SD * rng.random(COUNT))
    runtimes, groups = measured(true, normal, rng)
    near = np.flatnonzero(groups % 2)
    far = np.flatnonzero(groups % 2 == 0)
    assert noise_ceiling(runtimes, groups, far).tau > 0.99
    reached = kendalltau(true[groups[near]], runtimes[near]).statistic
    assert noise_ceiling(runtimes, groups, near).tau == pytest.approx(reached, abs=0.03)


@pytest.mark.slow
def test_it_repeats_and_does_not_mind_the_unit_or_the_names_of_groups():
    rng = np.random.default_rng(5)
    runtimes, groups = measured(spread(rng), normal, rng)
    first = noise_ceiling(runtimes, groups)
    assert first == noise_ceiling(runtimes, groups)
    assert first.tau == pytest.approx(noise_ceiling(1000 * runtimes, 7 * groups + 3).tau, abs=1e-6)
    assert first.tau != noise_ceiling(runtimes, groups, seed=1).tau


def test_measurements_without_noise_have_no_ceiling_but_one():
    runtimes = np.repeat(np.arange(1.0, 41.0), 2)
    ceiling = noise_ceiling(runtimes, np.repeat(np.arange(40), 2))
    assert ceiling.noise_sd == 0.0
    assert ceiling.high == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("runtimes", "groups", "options", "message"),
    [
        (np.arange(1.0, 41.0), np.arange(40), {}, "at least 10 configurations measured more than once, got 0"),
        (np.zeros(40), np.arange(40) // 2, {}, "above 0; an unlabelled file"),
        (np.ones(40), np.arange(40) // 2, {}, "all runtimes are equal"),
        (np.ones(40), np.arange(41), {}, r"must be \[rows\], got \(40,\) and \(41,\)"),
        (np.arange(1.0, 41.0), np.arange(40) // 2, {"rows": [3]}, "of 2 rows, got 32 of 1"),
        (np.arange(1.0, 41.0), np.arange(40) // 2, {"draws": 0}, "at least 1 draw of 2 rows, got 0"),
    ],
)
def test_what_has_no_ceiling_is_named(runtimes, groups, options, message):
    with pytest.raises(ConfigError, match=message):
        noise_ceiling(runtimes, groups, **options)
