"""What sizes alone cannot tell: twins of equal sizes, and what is said of jobs and their twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError, GraphError
from gnnsched_env.hardware import load_fleet, make_model
from gnnsched_env.tables import distinct_pairs, pair_cycles
from gnnsched_env.workload import JobClasses
from scripts.studies import plot_predictors as limits
from scripts.studies.plot_predictors import LAWS, metadata_limits, twin_degrees


def classes_of(*degrees):
    count = len(degrees)
    return JobClasses(
        names=tuple(f"job {i}" for i in range(count)),
        models=(make_model("gcn", 8, 2, ()),) * count,
        degrees=tuple(np.array(each, np.int64) for each in degrees),
        weights=np.full(count, 1.0 / count),
        groups=np.zeros(count, np.int64),
        group_names=("jobs",),
    )


@st.composite
def rows_with_loops(draw):
    """Degrees of V rows, each of 1..V entries, near empty and near full ones among them."""
    rows = draw(st.integers(1, 30))
    low = draw(st.sampled_from([1, 1, max(1, rows - 1)]))
    high = draw(st.sampled_from([min(rows, low + 1), rows]))
    return np.array(draw(st.lists(st.integers(low, high), min_size=rows, max_size=rows)), np.int64)


@given(degrees=rows_with_loops(), law=st.sampled_from(LAWS), seed=st.integers(0, 100))
def test_a_twin_has_the_same_rows_and_entries_within_bounds(degrees, law, seed):
    twin = twin_degrees(degrees, law, np.random.default_rng(seed))
    assert (twin.dtype, twin.shape) == (np.int64, degrees.shape)
    assert twin.sum() == degrees.sum()
    assert twin.min() >= 1 and twin.max() <= degrees.size


@pytest.mark.parametrize("law", LAWS)
def test_rows_without_entries_do_not_become_more(law):
    degrees = np.array([0] * 50 + [2] * 50)
    twin = twin_degrees(degrees, law, np.random.default_rng(0))
    assert twin.sum() == 100 and (twin > 0).sum() >= 50


def test_the_laws_differ_in_spread():
    degrees = np.full(1_000, 9)
    twins = {law: twin_degrees(degrees, law, np.random.default_rng(0)) for law in LAWS}
    assert set(twins["even"].tolist()) == {9}
    assert twins["random"].var() == pytest.approx(8, rel=0.2)  # a Poisson law of 8 beside the loop
    assert twins["skewed"].max() > 5 * twins["random"].max()
    assert np.median(twins["skewed"]) < 5
    uneven = twin_degrees(np.array([1, 1, 9, 1, 1, 1, 1, 1, 1]), "even", np.random.default_rng(0))
    assert sorted(uneven.tolist()) == [1] + [2] * 8


def test_a_full_graph_has_no_other_twin():
    for law in LAWS:
        assert twin_degrees(np.full(6, 6), law, np.random.default_rng(0)).tolist() == [6] * 6


@pytest.mark.parametrize(
    ("degrees", "law", "error", "message"),
    [
        ([5], "random", GraphError, r"degrees must sum to at most V\^2 = 1, got 5"),
        ([5], "skewed", GraphError, r"degrees must sum to at most V\^2 = 1, got 5"),
        ([5, 5, 5, 2], "even", GraphError, r"degrees must sum to at most V\^2 = 16, got 17"),
        ([], "even", GraphError, "at least one row"),
        ([1, -1], "even", GraphError, "must not be negative, got -1"),
        ([1, 1], "skew", ConfigError, "law must be one of even, random, skewed, got 'skew'; did you mean 'skewed'"),
    ],
)
def test_what_has_no_twin_is_refused(degrees, law, error, message):
    with pytest.raises(error, match=message):
        twin_degrees(np.array(degrees, np.int64), law, np.random.default_rng(0))


def test_records_of_cycles_worked_out_by_hand(monkeypatch):
    """Three jobs under two choices; their twins' cycles are made up, law by law the same."""
    true = np.array([[10, 20], [10, 40], [30, 30]])
    other = np.array([[20, 10], [20, 40], [30, 60]])
    given = [true, *[other] * len(LAWS)]
    monkeypatch.setattr(limits, "pair_cycles", lambda classes, pairs: given.pop(0))
    records = metadata_limits(classes_of([1, 1], [2, 2], [1, 2]), [])
    assert [record["law"] for record in records] == list(LAWS)
    for record in records:
        assert record["samples"] == 3
        # job 0: choices 0 and 1; job 1: both 0; job 2: a tie, of which the twin's best is one
        assert record["differ"] == pytest.approx(100 / 3)
        assert record["regret"] == pytest.approx((2 + 1 + 1) / 3)
        # (b - a) / 2 b, cell by cell: 1/4 1/4; 1/4 0; 0 1/4
        assert record["mape_bound"] == pytest.approx(100 * (4 / 4) / 6)


def test_no_one_guess_for_a_job_and_its_twin_does_better_than_the_bound(monkeypatch):
    low, high = 30, 70
    given = [np.array([[low]]), *[np.array([[high]])] * len(LAWS)]
    monkeypatch.setattr(limits, "pair_cycles", lambda classes, pairs: given.pop(0))
    bound = metadata_limits(classes_of([1, 1]), [])[0]["mape_bound"]
    guesses = np.arange(1, 200)
    errors = 50 * (abs(guesses - low) / low + abs(guesses - high) / high)
    assert (guesses[errors.argmin()], errors.min()) == (low, pytest.approx(bound))


def test_records_are_those_of_the_cost_model():
    """A job whose rows are even has itself as its even twin; one of a hub has not."""
    pairs = distinct_pairs(load_fleet("flexible4")).pairs
    even, hub = np.full(64, 4), np.array([64] + [3] * 64)
    records = metadata_limits(classes_of(even, even), pairs)
    assert (records[0]["differ"], records[0]["regret"], records[0]["mape_bound"]) == (0.0, 1.0, 0.0)
    assert records[2]["mape_bound"] > 0
    twin = twin_degrees(hub, "even", np.random.default_rng(3))
    one, other = pair_cycles(classes_of(hub), pairs), pair_cycles(classes_of(twin), pairs)
    expected = 100 * np.mean([(max(a, b) - min(a, b)) / (2 * max(a, b)) for a, b in zip(one[0], other[0], strict=True)])
    assert metadata_limits(classes_of(hub), pairs, seed=3)[0]["mape_bound"] == pytest.approx(expected)
    assert expected > 0
