"""What a user of the batch may get wrong, what they are told, and that nothing has moved then."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from gnnsched_env.common.errors import ConfigError, InvalidAction, ResetNeeded
from gnnsched_env.envs import QueueVectorEnv
from tests.envs.vectors import make_native


def state_of(env):
    simulation = env.batch.simulation
    arrays = (simulation.lanes, simulation.accelerators, simulation.jobs, simulation.queue, env.batch.mask)
    own = (env._seeds, env._episodes, env._over, env._returns, env._lengths)
    return [array.tobytes() for array in (*arrays, *own, *env.batch.observation.values())]


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([0.0, 0.0, 0.0], "integers of shape .3,., got float64 of shape .3,."),
        ([0.0, np.nan, 0.0], "integers of shape .3,., got float64"),
        (np.zeros(3, np.float32), "got float32"),
        ([True, False, True], "got bool"),
        ([0, 0], r"got int64 of shape \(2,\)"),
        (np.zeros((3, 1), np.int64), r"got int64 of shape \(3, 1\)"),
        (0, r"got int64 of shape \(\)"),
        (["0", "0", "0"], "got <U1"),
        ([0, None, 0], "got object"),
        (None, "got object"),
        ([[0], [1, 2], 3], "one integer for each of 3 lanes"),
        ([0, -1, 0], r"in \[0, \d+\), got -1 in lane 1"),
        ([0, 0, 10**6], r"in \[0, \d+\), got 1000000 in lane 2"),
        (np.array([2**64 - 1, 0, 0], np.uint64), r"got 18446744073709551615 in lane 0"),
        (np.array([0, 0, -128], np.int8), "got -128 in lane 2"),
    ],
)
@pytest.mark.parametrize("kind", ["dispatch", "queue"])
def test_bad_actions_change_nothing(kind, actions, message):
    env = make_native(kind, 3)
    env.reset(seed=0)
    env.step(np.zeros(3, np.int64))
    before = state_of(env)
    with pytest.raises(InvalidAction, match=message):
        env.step(actions)
    assert state_of(env) == before
    env.step([0, 0, 0])
    assert state_of(env) != before


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.uint64])
def test_any_integers_are_actions(kind):
    one, two = make_native("queue", 3), make_native("queue", 3)
    for env in (one, two):
        env.reset(seed=0)
    for actions in ([1, 2, 3], [0, 9, 0]):
        assert (one.step(actions)[1] == two.step(np.array(actions, kind)[::1])[1]).all()
    pairs = np.zeros((3, 2), kind)
    assert (one.step([0, 0, 0])[1] == two.step(pairs[:, 1])[1]).all()  # not contiguous


def test_step_before_reset():
    env = make_native("queue", 3)
    with pytest.raises(ResetNeeded, match="call reset first; no episode is running in lanes 0, 1, 2"):
        env.step([0, 0, 0])
    env.reset(options={"reset_mask": np.array([True, False, True])})
    with pytest.raises(ResetNeeded, match=r"in lanes 1$"):
        env.step([0, 0, 0])
    env.reset(options={"reset_mask": np.array([False, True, False])})
    env.step([0, 0, 0])


def test_a_finished_lane_is_not_stepped_where_autoreset_is_disabled():
    env = make_native("queue", 3, AutoresetMode.DISABLED)
    env.reset(seed=0)
    ended = np.zeros(3, np.bool_)
    while not ended.any():
        ended = env.step(env.action_masks().argmax(axis=1))[2]
    before = state_of(env)
    with pytest.raises(ResetNeeded, match=f"the episodes of lanes {int(ended.argmax())}.* have ended and autoreset"):
        env.step([0, 0, 0])
    assert state_of(env) == before
    env.reset(options={"reset_mask": ended})
    env.step([0, 0, 0])


def test_the_action_of_a_lane_that_begins_means_nothing_but_others_do():
    env = make_native("queue", 2)
    env.reset(seed=0)
    ended = np.zeros(2, np.bool_)
    while not ended.any():  # lane 1 waits, and so takes more steps
        ended = env.step([env.action_masks()[0].argmax(), env.layout.wait_action])[2]
    assert ended.sum() == 1
    with pytest.raises(InvalidAction, match=f"got -5 in lane {ended.argmin()}"):
        env.step(np.where(ended, 10**9, -5))
    infos = env.step(np.where(ended, 10**9, env.layout.wait_action))[4]
    assert infos["legal"][ended].all()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones(2, np.bool_), r"bool array of shape \(3,\), got bool of shape \(2,\)"),
        (np.ones(3, np.int8), "got int8 of shape"),
        ([True, True, True], r"got \[True, True, True\]"),
        (None, "got None"),
        (np.zeros(3, np.bool_), "must be True for one lane or more"),
    ],
)
def test_bad_reset_masks(mask, message):
    env = make_native("queue", 3)
    env.reset(seed=0)
    before = state_of(env)
    with pytest.raises(ConfigError, match=message):
        env.reset(options={"reset_mask": mask})
    with pytest.raises(ConfigError, match="unknown option 'reset_maks'; did you mean 'reset_mask'"):
        env.reset(options={"reset_maks": mask})
    assert state_of(env) == before


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (-1, "a seed must be an integer of at least 0, got -1"),
        (True, "got True"),
        (1.5, "seed must be an integer or one for each of 3 lanes, got 1.5"),
        ([1, 2], "one for each of 3 lanes"),
        ([1, 2, -3], "at least 0, got -3"),
        ([1, 2, 0.5], "at least 0, got 0.5"),
        ("123", "one for each of 3 lanes, got '123'"),
    ],
)
def test_bad_seeds(seed, message):
    env = make_native("queue", 3)
    env.reset(seed=0)
    before = state_of(env)
    with pytest.raises(ConfigError, match=message):
        env.reset(seed=seed)
    assert state_of(env) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs must be an integer of at least 1, got 0"),
        ({"num_envs": -2}, "num_envs must be an integer of at least 1, got -2"),
        ({"num_envs": 1.5}, "num_envs must be an integer of at least 1, got 1.5"),
        ({"threads": 0}, "threads must be an integer of at least 1, got 0"),
        ({"threads": True}, "threads must be an integer of at least 1, got True"),
        ({"autoreset_mode": "SameSteps"}, "one of NextStep, SameStep, Disabled, got 'SameSteps'; did you mean 'SameS"),
        ({"autoreset_mode": None}, "one of NextStep, SameStep, Disabled, got None"),
        ({"lood": 0.5}, "unexpected keyword argument 'lood'; did you mean 'load'"),
        ({"load": 2.0}, "load must be a number of at least 1e-09 and below 1.5, got 2.0"),
        ({"scenario": "hetero5"}, "did you mean 'hetero4'"),
    ],
)
def test_bad_options_are_refused_at_birth(options, message):
    with pytest.raises(ConfigError, match=message):
        gymnasium.make_vec("gnnsched/Queue-v0", **{"num_envs": 2, **options})


@pytest.mark.parametrize("name", ["copy", "consecutive_seeds", "episode_statistics"])
@pytest.mark.parametrize("value", ["False", None, 0])
def test_what_is_no_bool_is_no_flag(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be true or false, got"):
        QueueVectorEnv(2, **{name: value})


@pytest.mark.parametrize(
    ("name", "closest"), [("thread", "threads"), ("scenarios", "scenario"), ("max_episode_step", "max_episode_steps")]
)
def test_a_misspelt_option_of_a_batch_is_told_with_the_closest(name, closest):
    with pytest.raises(ConfigError, match=f"unexpected keyword argument '{name}'; did you mean '{closest}'"):
        QueueVectorEnv(2, **{name: 1})


def test_lanes_beyond_memory_are_refused_with_their_size(monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("gnnsched_env.envs.construction.scenario_batch", full)
    with pytest.raises(ConfigError, match="10,000,000 lanes of 1,000 jobs need 745 GiB or more, which are not free"):
        QueueVectorEnv(10_000_000)
