"""What RL libraries take for granted: copies, truncation, attributes of lanes, infos of one shape, seeds."""

import copy
import json

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

from gnnsched_env.common.errors import ConfigError, UnknownOption
from gnnsched_env.envs import DispatchEnv, QueueEnv
from gnnsched_env.envs.vector_input import spawn_seeds
from gnnsched_env.evaluation import run_policy
from gnnsched_env.scenario import load_scenario
from gnnsched_env.sim import METRICS
from tests.envs.vectors import MODES, make_native, small_scenario

IDS = ("gnnsched/Dispatch-v0", "gnnsched/Queue-v0")


def arrivals(env):
    return env.unwrapped.batch.simulation.jobs["arrival"].copy()


@pytest.mark.parametrize("name", IDS)
def test_what_a_batch_returns_is_the_callers_to_keep(name):
    envs = gymnasium.make_vec(name, num_envs=4, jobs=20)
    before, infos = envs.reset(seed=0)
    kept = {key: array.copy() for key, array in before.items()}
    mask = infos["action_mask"].copy()
    for _ in range(20):
        after, *_, later = envs.step(later_actions(infos))
        assert not any(np.shares_memory(before[key], after[key]) for key in before)
        assert not np.shares_memory(infos["action_mask"], later["action_mask"])
    assert all((before[key] == kept[key]).all() for key in before)
    assert (infos["action_mask"] == mask).all()


def later_actions(infos):
    return infos["action_mask"].argmax(axis=1)


@pytest.mark.parametrize("mode", MODES)
def test_episodes_are_truncated_after_the_number_of_steps_given(mode):
    envs = make_native("queue", 3, mode, jobs=30, max_episode_steps=7)
    _, infos = envs.reset(seed=0)
    lengths, cut = np.zeros(3, int), 0
    for _ in range(40):
        beginning = mode is AutoresetMode.NEXT_STEP and lengths.min() < 0
        _, rewards, ended, truncated, infos = envs.step(later_actions(infos))
        lengths = np.where(lengths < 0, 0, lengths + 1)
        assert not ended.any()
        assert (truncated == (lengths == 7)).all()
        if beginning:
            assert (rewards == 0).all() and (infos["elapsed"] == 0).all()
        if truncated.any():
            cut += 1
            assert infos["episode"]["l"].tolist() == [7, 7, 7]
            assert not any(infos[metric].any() for metric in METRICS)
            lengths[:] = -1 if mode is AutoresetMode.NEXT_STEP else 0
            if mode is AutoresetMode.DISABLED:
                _, infos = envs.reset(options={"reset_mask": truncated})
    assert cut == 5


def test_a_truncated_episode_ends_with_its_own_observation():
    whole, cut = (make_native("queue", 2, AutoresetMode.SAME_STEP, jobs=30, max_episode_steps=k) for k in (None, 5))
    (_, one), (_, two) = whole.reset(seed=3), cut.reset(seed=3)
    for _ in range(5):
        one, two = whole.step(later_actions(one)), cut.step(later_actions(two))
        observation, one, last, two = one[0], one[4], two[0], two[4]
    for lane in range(2):
        for key, array in observation.items():
            assert (two["final_obs"][lane][key] == array[lane]).all()
            assert key == "accelerators" or (last[key][lane] != array[lane]).any()


@pytest.mark.parametrize("steps", [0, -1, 2.5, True])
def test_a_bad_number_of_steps_is_refused(steps):
    with pytest.raises(ConfigError, match="max_episode_steps"):
        gymnasium.make_vec(IDS[1], num_envs=2, max_episode_steps=steps)


def test_lanes_have_attributes_and_methods():
    envs = gymnasium.make_vec(IDS[1], num_envs=3, jobs=5)
    _, infos = envs.reset(seed=0)
    assert np.array_equal(np.stack(envs.call("action_masks")), infos["action_mask"].astype(bool))
    assert envs.get_attr("layout") == (envs.unwrapped.layout,) * 3
    assert envs.get_attr("action_space") == (envs.single_action_space,) * 3
    envs.set_attr("level", [1, 2, 3])
    envs.set_attr("phase", "warm-up")
    assert envs.get_attr("level") == (1, 2, 3) and envs.call("phase") == ("warm-up",) * 3
    with pytest.raises(AttributeError, match=r"no 'levle', only action_masks, .*level"):
        envs.get_attr("levle")
    with pytest.raises(AttributeError, match="share 'layout'"):
        envs.set_attr("layout", None)
    with pytest.raises(ValueError, match="each of 3 lanes, got 2"):
        envs.set_attr("level", (1, 2))


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_a_misspelt_option_is_told_with_the_closest_one(make):
    with pytest.raises(UnknownOption, match="unexpected keyword argument 'jbos'; did you mean 'jobs'") as caught:
        make(IDS[1], jbos=5)
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, ConfigError)


@pytest.mark.parametrize("fleet", ["hetero4", "flexible4"])
def test_a_specification_with_a_scenario_goes_through_json(fleet):
    scenario = load_scenario(fleet).with_options(arrivals="bursty", failures=(300, 20), load=0.7, reward="energy")
    env = gymnasium.make(IDS[1], scenario=scenario, jobs=12)
    spec = EnvSpec.from_json(env.spec.to_json())
    again = gymnasium.make(spec)
    assert again.unwrapped.scenario == env.unwrapped.scenario
    assert (
        json.loads(gymnasium.make_vec(IDS[1], num_envs=2, scenario=scenario).spec.to_json())["kwargs"]["num_envs"] == 2
    )
    assert copy.deepcopy(env).unwrapped.spec == env.unwrapped.spec
    named = gymnasium.make(IDS[1], scenario=fleet)
    assert named.spec.kwargs["scenario"] == fleet


@pytest.mark.parametrize("name", IDS)
def test_infos_have_the_same_keys_and_types_at_every_step(name):
    def shape(value):
        if isinstance(value, dict):
            return {key: shape(entry) for key, entry in value.items()}
        return type(value), getattr(value, "shape", None), getattr(value, "dtype", None)

    env = gymnasium.make(name, jobs=6)
    _, info = env.reset(seed=0)
    expected, ended = shape(info), False
    assert {name: info[name] for name in METRICS} == dict.fromkeys(METRICS, 0.0)
    while not ended:
        assert shape(info) == expected
        _, _, ended, _, info = env.step(info["action_mask"].argmax())
    assert shape(info) == expected and info["makespan"] > 0
    envs = gymnasium.make_vec(name, num_envs=2, jobs=6)
    _, infos = envs.reset(seed=0)
    expected, ends = shape(infos), 0
    for _ in range(40):
        _, _, ended, _, infos = envs.step(later_actions(infos))
        told = {key: value for key, value in infos.items() if key not in ("episode", "_episode")}
        assert shape(told) == expected
        assert ((infos["makespan"] > 0) == ended).all()
        ends += ended.sum()
    assert ends > 2


def test_batches_of_different_seeds_share_no_episode():
    envs = gymnasium.make_vec(IDS[1], num_envs=64, jobs=5)
    seen = set()
    for seed in range(40):
        envs.reset(seed=seed)
        seen |= {tuple(row) for row in arrivals(envs).tolist()}
    assert len(seen) == 40 * 64


def test_a_lane_plays_what_the_single_environment_plays_with_its_seed():
    few, many = (gymnasium.make_vec(IDS[1], num_envs=lanes, jobs=9) for lanes in (2, 5))
    for env in (few, many):
        env.reset(seed=11)
    assert (arrivals(few) == arrivals(many)[:2]).all()
    single = gymnasium.make(IDS[1], jobs=9)
    for lane, seed in enumerate(spawn_seeds(11, 5).tolist()):
        single.reset(seed=seed)
        assert (arrivals(single)[0] == arrivals(many)[lane]).all()


def test_consecutive_seeds_are_those_of_gymnasiums_loop():
    native = gymnasium.make_vec(IDS[1], num_envs=3, jobs=9, consecutive_seeds=True)
    native.reset(seed=4)
    single = gymnasium.make(IDS[1], jobs=9)
    for lane in range(3):
        single.reset(seed=4 + lane)
        assert (arrivals(single)[0] == arrivals(native)[lane]).all()


@pytest.mark.parametrize("kind", [DispatchEnv, QueueEnv])
def test_training_validation_and_evaluation_share_no_episode(kind):
    drawn = {}
    for split in ("train", "validation", "test"):
        env = kind(small_scenario(), jobs=8, split=split, failures=(50, 5))
        for seed in range(30):
            env.reset(seed=seed)
            key = env.batch.simulation.accelerators["key"][0].tolist()
            drawn[split, seed] = (*arrivals(env)[0].tolist(), *key)
    assert len(set(drawn.values())) == 90
    assert kind(small_scenario()).scenario.environment.split == "train"


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_evaluation_plays_its_own_split_whatever_the_scenarios(split):
    class First:
        from gnnsched_env import Knowledge

        knowledge = Knowledge.NONE

        def act(self, observation, mask):
            return mask.argmax(axis=1)

    scenario = small_scenario().with_options(jobs=8, split=split)
    runs = run_policy(lambda layout, table: First(), scenario, scenario.table, dispatch=True, seed=2, episodes=1)
    env = DispatchEnv(scenario, split="test")
    env.reset(seed=2)
    assert (runs.metrics.jobs["arrival"] == arrivals(env)).all()
