"""Instances and plans: what is refused, what is worked out, JSON there and back."""

import json

import numpy as np
import pytest

from gnnsched_env.bounds import Instance, Plan, earliest_finish
from gnnsched_env.common.errors import ConfigError, FileFormatError
from tests.bounds.drawn import random_instance

TOY = Instance(name="toy", release=np.array([0, 2, 2]), latency=np.array([[5, 9], [3, 4], [4, 4]]))


def plan(accelerators, starts):
    return Plan(accelerators=np.array(accelerators), starts=np.array(starts))


def test_a_plan_by_hand():
    good = plan([0, 1, 0], [0, 2, 6])  # ends 5, 6, 10
    good.check(TOY)
    assert good.ends(TOY).tolist() == [5, 6, 10]
    assert good.total(TOY) == 5 + 4 + 8
    assert good.packed(TOY).starts.tolist() == [0, 2, 5]


def test_an_instance_takes_the_best_dataflow_of_each_accelerator():
    true = np.array([[5, 3, 9], [2, 8, 1]])
    made = Instance.of("x", np.array([4, 7, 9]), np.array([1, 0, 1]), true, np.array([0, 0, 1]))
    assert made.latency.tolist() == [[2, 1], [3, 9], [2, 1]]
    assert (made.release.tolist(), made.num_jobs, made.num_accelerators) == ([4, 7, 9], 3, 2)


def test_each_job_goes_where_it_finishes_first():
    assert earliest_finish(TOY).accelerators.tolist() == [0, 1, 0]
    assert earliest_finish(TOY).starts.tolist() == [0, 2, 5]
    for seed in range(3):
        instance = random_instance(20, seed)
        earliest_finish(instance).check(instance)


@pytest.mark.parametrize(
    ("accelerators", "starts", "message"),
    [
        ([0, 1, 0], [0, 2, 4], "job 2 must not start before job 0 ends on accelerator 0, cycle 5, got 4"),
        ([0, 1, 0], [0, 1, 5], "job 1 must not start before cycle 2, got 1"),
        ([0, 2, 0], [0, 2, 5], r"accelerators must be in \[0, 2\), got 0..2"),
        ([0, 1], [0, 2], r"accelerators must be int64 \[3\]"),
        ([0, 1, 0], [0.0, 2.0, 5.0], r"starts must be int64 \[3\], got float64"),
    ],
)
def test_impossible_plans_are_refused(accelerators, starts, message):
    with pytest.raises(ConfigError, match=message):
        plan(accelerators, starts).check(TOY)


@pytest.mark.parametrize(
    ("release", "latency", "message"),
    [
        ([0, 1], [[1], [0]], "latencies at least 1 cycle"),
        ([-1], [[1]], "releases must be at least 0"),
        ([0], [[1], [2]], r"release must be \[n\] and latency \[n, A\]"),
        ([], np.zeros((0, 2), int), r"both of at least 1"),
        ([0.5], [[1]], "release must be an array of integers, got float64"),
        ([0, 0], [[1 << 61], [1 << 61]], "do not fit int64"),
    ],
)
def test_bad_instances_are_refused(release, latency, message):
    with pytest.raises(ConfigError, match=message):
        Instance(name="bad", release=np.array(release, None if len(release) else int), latency=np.array(latency))


def test_json_there_and_back():
    again = Instance.from_dict(json.loads(json.dumps(TOY.to_dict())))
    assert again.name == "toy"
    assert np.array_equal(again.release, TOY.release) and np.array_equal(again.latency, TOY.latency)
    for broken in (
        {},
        {"name": "x", "release": [0], "latency": [["a"]]},
        {"name": "x", "release": [0], "latency": [0]},
    ):
        with pytest.raises(FileFormatError, match="not an instance"):
            Instance.from_dict(broken)


def test_an_instance_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        TOY.latency[0, 0] = 1


@pytest.mark.parametrize("owners", [[0, 1 << 62], [0, 2], [-1, 0], [], [0.0, 1.0]])
def test_owners_that_leave_an_accelerator_out_are_refused(owners):
    with pytest.raises(ConfigError, match="choice_accelerators must"):
        Instance.of("bad", np.array([0]), np.array([0]), np.array([[3, 4]]), np.array(owners))
