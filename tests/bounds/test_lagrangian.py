"""The lower bound: its kernels against their slow twins, and never above any schedule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.bounds import Instance, improve, lower_bound
from gnnsched_env.bounds import bound_kernels as kernels
from gnnsched_env.bounds.lagrangian import kinds_of, start_windows
from gnnsched_env.common.errors import ConfigError
from tests.bounds.drawn import instances, random_instance
from tests.twins import bounds as naive_bounds


@st.composite
def priced(draw):
    instance = draw(instances())
    buckets = draw(st.integers(1, 8))
    row = st.lists(st.integers(0, 30), min_size=buckets, max_size=buckets)
    prices = draw(st.lists(row, min_size=instance.num_accelerators, max_size=instance.num_accelerators))
    return instance, np.array(prices, np.int64), draw(st.integers(1, 7)), draw(st.sampled_from([1, 4, 16]))


def integral(prices, width):
    return np.pad(np.cumsum(prices * width, axis=1), ((0, 0), (1, 0)))


@pytest.mark.kernels
@given(priced())
def test_the_cheapest_start_is_that_of_all_whole_starts(case):
    instance, prices, width, unit = case
    accelerators, starts, costs = np.zeros((3, instance.num_jobs), np.int64)
    tables = (prices, integral(prices, width), width, unit)
    kernels.cheapest(instance.release, instance.latency, *tables, accelerators, starts, costs)
    latency = instance.latency.tolist()
    expected = naive_bounds.cheapest(instance.release.tolist(), latency, prices.tolist(), width, unit)
    assert costs.tolist() == [cost for cost, _, _ in expected]
    for job, (a, start) in enumerate(zip(accelerators.tolist(), starts.tolist(), strict=True)):
        assert start >= instance.release[job]
        assert naive_bounds.cost(latency, prices.tolist(), width, unit, job, a, start) == costs[job]


@pytest.mark.kernels
@given(priced(), st.integers(0, 200))
def test_no_start_outside_a_window_is_as_cheap(case, slack):
    instance, prices, width, unit = case
    tables = (prices, integral(prices, width), width, unit)
    accelerators, starts, costs = np.zeros((3, instance.num_jobs), np.int64)
    kernels.cheapest(instance.release, instance.latency, *tables, accelerators, starts, costs)
    limits = costs + slack
    earliest, latest = np.zeros((2, *instance.latency.shape), np.int64)
    kernels.windows(instance.release, instance.latency, *tables, limits, earliest, latest)
    latency = instance.latency.tolist()
    for job in range(instance.num_jobs):
        for a in range(instance.num_accelerators):
            cheap = [
                start
                for start in range(int(instance.release[job]), limits[job] // unit + 1)
                if naive_bounds.cost(latency, prices.tolist(), width, unit, job, a, start) <= limits[job]
            ]
            if cheap:
                assert earliest[job, a] <= cheap[0] and cheap[-1] <= latest[job, a]
            if earliest[job, a] <= latest[job, a]:
                assert earliest[job, a] >= instance.release[job]
                assert latest[job, a] <= limits[job] // unit - latency[job][a] + 2 * width  # not much too late


@pytest.mark.kernels
@given(instances(), st.integers(1, 6))
def test_occupancy_counts_every_cycle_once(instance, width):
    accelerators = np.arange(instance.num_jobs) % instance.num_accelerators
    buckets = 60 // width + 1
    cycles = np.zeros((instance.num_accelerators, buckets), np.int64)
    kernels.occupied(instance.latency, accelerators, instance.release, width, cycles)
    expected = np.zeros_like(cycles)
    for job, a in enumerate(accelerators):
        for time in range(instance.release[job], instance.release[job] + instance.latency[job, a]):
            expected[a, time // width] += 1
    assert np.array_equal(cycles, expected)


@pytest.mark.kernels
@settings(max_examples=40)
@given(instances(most_jobs=4, most_fleet=2))
def test_the_bound_is_below_the_optimum_and_above_the_latencies(instance):
    least = naive_bounds.least_total(instance.release.tolist(), instance.latency.tolist())
    bound = lower_bound(instance, rounds=30)
    assert instance.latency.min(axis=1).sum() <= bound.total <= least
    assert (bound.prices.values >= 0).all()


def test_the_bound_follows_from_its_prices():
    instance = random_instance(20)
    bound = lower_bound(instance, rounds=50)
    prices = bound.prices
    latency, kinds = kinds_of(instance)
    release = instance.release.tolist()
    costs = [
        min(
            naive_bounds.cost(latency.tolist(), prices.values.tolist(), prices.width, prices.unit, job, a, start)
            for a in range(latency.shape[1])
            for start in range(release[job], prices.width * prices.values.shape[1] + 1)
        )
        for job in range(20)
    ]
    paid = sum(int(prices.values[kind].sum()) * prices.width for kind in kinds)
    assert bound.total == -(-(sum(costs) - paid) // prices.unit) - sum(release)
    assert len(latency[0]) == 2 < instance.num_accelerators


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_is_close_below_a_good_schedule(seed):
    instance = random_instance(40, seed)
    plan = improve(instance, moves=200_000)
    bound = lower_bound(instance, plan)
    assert bound.total <= plan.total(instance) <= 1.15 * bound.total
    assert bound.total > 1.2 * instance.latency.min(axis=1).sum()  # more than the trivial one


def test_jobs_that_never_meet_have_their_latencies_as_bound():
    instance = Instance(name="calm", release=np.array([0, 100]), latency=np.array([[7, 9], [8, 3]]))
    assert lower_bound(instance).total == 10


@settings(max_examples=25)
@given(instances(most_jobs=4, most_fleet=2), st.integers(0, 5))
def test_every_good_schedule_starts_within_the_windows(instance, spare):
    plan = improve(instance, moves=2000)
    total = plan.total(instance) + spare
    earliest, latest = start_windows(instance, lower_bound(instance, plan, rounds=20), total)
    jobs = np.arange(instance.num_jobs)
    assert (earliest[jobs, plan.accelerators] <= plan.starts).all()
    assert (plan.starts <= latest[jobs, plan.accelerators]).all()


def test_bad_input_is_refused():
    instance = random_instance(5)
    with pytest.raises(ConfigError, match="rounds must be an integer of at least 1, got 0"):
        lower_bound(instance, rounds=0)
    bound = lower_bound(instance)
    with pytest.raises(ConfigError, match="no schedule of 'random' has a total of 1 cycles"):
        start_windows(instance, bound, 1)
    long = Instance(name="long", release=np.array([0] * 600), latency=np.full((600, 1), 1 << 43))
    with pytest.raises(ConfigError, match="more than int64 holds"):
        lower_bound(long)
