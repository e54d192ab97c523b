"""Local search: its kernel against a slow twin, and what it returns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.bounds import Plan, earliest_finish, improve
from gnnsched_env.bounds import bound_kernels as kernels
from gnnsched_env.bounds.annealing import rings
from gnnsched_env.common.errors import ConfigError
from tests.bounds.drawn import instances, random_instance
from tests.twins import bounds as naive_bounds


@pytest.mark.kernels
@settings(max_examples=40)
@given(instances(most_jobs=12, most_fleet=3), st.integers(0, 1 << 40), st.sampled_from([0.1, 5.0, 50.0]))
def test_annealing_is_that_of_the_slow_twin(instance, seed, heat):
    moves, coldest, reach, span = 300, 0.1, 4.0, 60.0
    plan = earliest_finish(instance)
    ring = rings(instance, plan)
    best = np.zeros((2, instance.num_jobs), np.int64)
    state = np.array([seed], np.uint64)
    least = kernels.anneal(instance.release, instance.latency, *ring, best, moves, heat, coldest, reach, span, state)
    lists = [
        sorted(np.flatnonzero(plan.accelerators == a).tolist(), key=lambda job: plan.starts[job])
        for a in range(instance.num_accelerators)
    ]
    twin = naive_bounds.Annealing(instance.release.tolist(), instance.latency.tolist(), lists, span, seed)
    expected = twin.run(moves, heat, coldest, reach, kernels.TABLE_SHARE, kernels.TABLE_REACH, kernels.SAME_TEMPERATURE)
    assert least == sum(end for _, _, end in expected.values()) == best[1].sum()
    assert best.T.tolist() == [[expected[job][0], expected[job][2]] for job in range(instance.num_jobs)]
    for a, own in enumerate(twin.lists):  # and the schedule at which it stands at last
        node, found = ring[0][instance.num_jobs + a], []
        while node < instance.num_jobs:
            found.append(int(node))
            node = ring[0][node]
        assert found == own


@settings(max_examples=30)
@given(instances(most_jobs=8), st.integers(0, 3))
def test_a_schedule_is_never_made_worse(instance, seed):
    rng = np.random.default_rng(seed)
    owners = rng.integers(0, instance.num_accelerators, instance.num_jobs)
    start = Plan(accelerators=owners, starts=np.argsort(np.argsort(rng.random(instance.num_jobs)))).packed(instance)
    for moves in (0, 500):
        found = improve(instance, start, moves=moves, seed=seed)
        found.check(instance)
        assert found.total(instance) <= start.total(instance)


def test_small_instances_are_solved():
    for seed in range(5):
        instance = random_instance(5, seed, gap=3)
        expected = naive_bounds.least_total(instance.release.tolist(), instance.latency[:, :2].tolist())
        found = improve(instance, moves=20_000, tries=3)
        assert found.total(instance) <= expected  # the third accelerator can only help


def test_the_same_seed_gives_the_same_schedule_and_more_moves_a_better_one():
    instance = random_instance(60)
    first, again = (improve(instance, moves=5000, seed=3) for _ in range(2))
    assert np.array_equal(first.starts, again.starts) and np.array_equal(first.accelerators, again.accelerators)
    longer = improve(instance, moves=200_000, seed=3)
    assert longer.total(instance) < first.total(instance) < earliest_finish(instance).total(instance)


def test_bad_input_is_refused():
    instance = random_instance(5)
    for name, value in (("moves", -1), ("moves", 1.5), ("tries", 0)):
        with pytest.raises(ConfigError, match=f"improve: {name} must be an integer of at least"):
            improve(instance, **{name: value})
    with pytest.raises(ConfigError, match="accelerators must be in"):
        improve(instance, Plan(accelerators=np.full(5, 3), starts=np.zeros(5, np.int64)))
