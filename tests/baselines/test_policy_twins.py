"""Compiled policies against their slow twins, on random situations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_baselines.assignment_plan import JOB, first_in_line, new_places, plan
from gnnsched_baselines.list_planning import first_starts
from gnnsched_baselines.predictor_greedy import list_schedules
from gnnsched_baselines.sufferage import most_suffering
from tests.twins import policies as naive_policies

pytestmark = pytest.mark.kernels

MOST_JOBS = 9
one_to_three, one_to_nine = st.integers(1, 3), st.integers(1, MOST_JOBS)
scales = st.sampled_from([3, 30, 1 << 40])


@st.composite
def situations(draw, jobs=one_to_nine):
    """Return (latencies, remaining, idle): jobs x accelerators, accelerators, accelerators; at least one is idle."""
    count, fleet = draw(jobs), draw(st.integers(1, 4))
    cycles = st.integers(1, draw(scales))
    latencies = draw(st.lists(st.lists(cycles, min_size=fleet, max_size=fleet), min_size=count, max_size=count))
    idle = draw(st.lists(st.booleans(), min_size=fleet, max_size=fleet).filter(any))
    remaining = [0 if free else draw(st.just(0) | cycles) for free in idle]
    return latencies, remaining, idle


def compiled(kernel, latencies, remaining, idle, *extra):
    """Run a kernel on one lane, between two in which nothing can start; return its answer as the twins give it."""
    jobs, fleet = np.shape(latencies)
    shown = np.full((3, jobs + 2, fleet), np.inf)
    shown[1, :jobs] = latencies
    idle_rows = np.array([[False] * fleet, idle, [True] * fleet])
    slots, accelerators = np.full(3, -1), np.full(3, -1)
    kernel(shown, np.array([remaining] * 3, float), idle_rows, np.array([jobs, jobs, 0]), *extra, slots, accelerators)
    assert slots[[0, 2]].tolist() == [-1, -1]
    return None if slots[1] < 0 else (int(slots[1]), int(accelerators[1]))


@given(situations())
def test_min_min(case):
    assert compiled(first_starts, *case, False) == naive_policies.min_min(*case)


@given(situations())
def test_max_min(case):
    assert compiled(first_starts, *case, True) == naive_policies.max_min(*case)


@pytest.mark.slow
@given(situations())
@settings(max_examples=300)
def test_sufferage(case):
    assert compiled(most_suffering, *case) == naive_policies.sufferage(*case)


@given(situations(), st.permutations(range(MOST_JOBS)))
def test_list_scheduling(case, order):
    jobs = len(case[0])
    order = [job for job in order if job < jobs]
    ages = [-order.index(job) for job in range(jobs)]
    rows = np.array([[*order, jobs, jobs + 1]] * 3)
    assert compiled(list_schedules, *case, rows) == naive_policies.list_scheduling(*case, ages)


def planned(latencies, remaining, c):
    """Return the plan: for each place that is taken (accelerator, k + c, job)."""
    latencies = np.asarray(latencies, float)
    jobs, fleet = latencies.shape
    places = new_places(jobs, fleet)
    plan(latencies, np.asarray(remaining, float), jobs, c, places, np.empty(jobs, JOB))
    taken = (places.job >= 0).nonzero()
    columns = (places.accelerator, places.weight, places.job)
    return list(zip(*(column[taken].tolist() for column in columns), strict=True))


@pytest.mark.slow
@given(situations(), st.sampled_from([0.0, 0.7, 2.5, 40.0]))
@settings(max_examples=300)
def test_the_plan_is_as_cheap_as_scipys(case, c):
    latencies, remaining, _ = case
    taken = planned(latencies, remaining, c)
    assert sorted(job for _, _, job in taken) == list(range(len(latencies)))
    for accelerator in range(len(remaining)):
        line = [weight - c for owner, weight, _ in taken if owner == accelerator]
        assert line == pytest.approx(list(range(1, len(line) + 1)))
    cost = sum(weight * latencies[job][a] + remaining[a] for a, weight, job in taken)
    assert cost == pytest.approx(naive_policies.assignment_cost(latencies, remaining, c), rel=1e-12)


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 6))
def test_the_plan_starts_what_scipys_starts(seed, jobs, fleet):
    rng = np.random.default_rng(seed)
    latencies = rng.lognormal(6, 1, (jobs, fleet))  # no ties, so the cheapest plan is the only one
    idle = rng.random(fleet) < 0.5
    idle[rng.integers(fleet)] = True
    remaining = np.where(idle, 0.0, rng.lognormal(6, 1, fleet))
    case = (latencies, remaining, idle)
    assert compiled(first_in_line, *case, 2.5) == naive_policies.assignment(*case, 2.5)


@pytest.mark.slow
@given(situations(jobs=one_to_three))
@settings(max_examples=40)
def test_without_arrivals_the_plan_is_the_best_of_all_schedules(case):
    latencies, remaining, _ = case
    cost = sum(weight * latencies[job][a] + remaining[a] for a, weight, job in planned(latencies, remaining, 0.0))
    assert cost == pytest.approx(naive_policies.least_total_completion(latencies, remaining), rel=1e-12)
