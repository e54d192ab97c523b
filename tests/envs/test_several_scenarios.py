"""A batch of several scenarios: each lane plays what the single environment of its scenario plays."""

import copy
import json
import pickle
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.envs import DispatchEnv, QueueEnv, QueueVectorEnv
from gnnsched_env.scenario import load_scenario, scenario_table, varied_scenarios
from gnnsched_env.scenario.varied import FIRST_TRAINING_SEED, freshly_varied
from gnnsched_env.sim import METRICS
from tests import toys
from tests.envs.vectors import VECTORS, assert_same

SINGLE = {"dispatch": DispatchEnv, "queue": QueueEnv}
OPTIONS = {"jobs": 6, "window": 4}


@pytest.fixture(scope="module")
def scenarios():
    return varied_scenarios(count=3, classes=8, seed=1)


def options_of(kind):
    return OPTIONS if kind == "queue" else {"jobs": 6}


@pytest.mark.parametrize("observation", ["dict", "flat", "pairs", "pairs_flat"])
@pytest.mark.parametrize("kind", SINGLE)
def test_each_lane_plays_as_the_single_environment_of_its_scenario(kind, observation, scenarios):
    options = {**options_of(kind), "observation": observation}
    envs = VECTORS[kind](7, scenarios, autoreset_mode="SameStep", consecutive_seeds=True, **options)
    owners = [0, 0, 1, 1, 2, 2, 2]
    lanes = [SINGLE[kind](scenarios[owner], **options) for owner in owners]
    assert [one.name for one in envs.get_attr("scenario")] == ["hetero4"] * 7
    for lane, single in enumerate(lanes):
        assert envs.get_attr("metadata")[lane]["service_cycles"] == single.metadata["service_cycles"]
        assert envs.metadata["reward_unit_cycles"][lane] == single.metadata["reward_unit_cycles"]
        assert envs.table[lane] is envs.get_attr("table")[lane]
        np.testing.assert_array_equal(envs.table[lane].true_cycles, single.table.true_cycles)
    observed, infos = envs.reset(seed=5)
    started = [single.reset(seed=5 + lane) for lane, single in enumerate(lanes)]
    rng, ends = np.random.default_rng(0), 0
    for _ in range(40):
        for lane, (own, info) in enumerate(started):
            assert_same(_lane(observed, lane), own)
            assert (infos["action_mask"][lane] == info["action_mask"]).all()
            assert (infos["elapsed"][lane], infos["time"][lane]) == (info["elapsed"], info["time"])
        actions = (rng.random(envs.action_masks().shape) * envs.action_masks()).argmax(axis=1)
        observed, rewards, ended, _, infos = envs.step(actions)
        for lane, single in enumerate(lanes):
            own, reward, over, _, info = single.step(int(actions[lane]))
            assert (rewards[lane], ended[lane]) == (reward, over)
            if over:
                ends += 1
                for name in METRICS:
                    assert infos["final_info"][name][lane] == info[name]
                own, info = single.reset()
            started[lane] = own, info
    assert ends > 3


def test_lanes_are_started_one_by_one_and_seeds_are_spawned(scenarios):
    envs = QueueVectorEnv(6, scenarios, autoreset_mode=AutoresetMode.DISABLED, **OPTIONS)
    before, _ = envs.reset(seed=0)
    mask = np.array([False, False, False, True, False, False])
    after, infos = envs.reset(options={"reset_mask": mask})
    changed = [any((before[name][lane] != after[name][lane]).any() for name in before) for lane in range(6)]
    assert changed == mask.tolist() == infos["_time"].tolist()
    again, _ = QueueVectorEnv(6, list(scenarios), **OPTIONS).reset(seed=0)
    assert_same(before, again)


def test_copies_and_pickles_go_on_alike(scenarios):
    envs = QueueVectorEnv(4, scenarios, copy=False, **OPTIONS)
    envs.reset(seed=3)
    envs.step(envs.action_masks().argmax(axis=1))
    others = [copy.deepcopy(envs), pickle.loads(pickle.dumps(envs))]
    for _ in range(20):
        actions = envs.action_masks().argmax(axis=1)
        ours = envs.step(actions)
        for other in others:
            theirs = other.step(actions)
            assert_same(theirs[0], ours[0])
            assert (theirs[1] == ours[1]).all()
            assert not any(np.shares_memory(theirs[0][name], ours[0][name]) for name in ours[0])


def test_options_change_every_scenario_and_json_holds_those_without_tables():
    plain = [load_scenario("hetero4").with_options(load=load) for load in (0.5, 0.9)]
    envs = gymnasium.make_vec("gnnsched/Queue-v0", num_envs=4, scenario=plain, jobs=5)
    assert [one.environment.load for one in envs.get_attr("scenario")] == [0.5, 0.5, 0.9, 0.9]
    assert {one.environment.jobs for one in envs.get_attr("scenario")} == {5}
    described = json.loads(envs.spec.to_json())
    assert [one["environment"]["load"] for one in described["kwargs"]["scenario"]] == [0.5, 0.9]
    other = gymnasium.make_vec(gymnasium.envs.registration.EnvSpec.from_json(envs.spec.to_json()), num_envs=4)
    assert_same(other.reset(seed=0)[0], envs.reset(seed=0)[0])
    assert envs.metadata["service_cycles"] == scenario_table(plain[0]).mean_shortest_predicted  # all have the same


@pytest.mark.parametrize(
    ("scenario", "options", "error"),
    [
        ((), {}, "scenario must be one, or 1 to 2 of them .num_envs., got 0"),
        (["hetero4"] * 3, {}, "scenario must be one, or 1 to 2 of them .num_envs., got 3"),
        (
            ["hetero4", "flexible4"],
            {},
            "equal observations and actions, but number 1 .* choice_accelerators",
        ),
        (["hetero4", 7], {}, "scenario must be a name, a path, a Scenario or .*, got 7"),
        (["hetero4", "hetero5"], {}, "must be one of .*'hetero5'"),
    ],
)
def test_bad_lists_of_scenarios_are_refused(scenario, options, error):
    with pytest.raises(ConfigError, match=error):
        QueueVectorEnv(2, scenario, **options)


def test_a_table_beside_several_scenarios_is_refused(scenarios):
    with pytest.raises(ConfigError, match="each of several scenarios has its own"):
        QueueVectorEnv(3, scenarios, table=scenarios[0].table)


def test_varied_scenarios_differ_and_follow_the_seed(scenarios):
    assert sorted(one.environment.load for one in scenarios) == pytest.approx([0.5, 0.7, 0.9])
    cycles = [one.table.true_cycles for one in scenarios]
    assert not any((cycles[0] == other).all() for other in cycles[1:])
    again = varied_scenarios("hetero4", 3, classes=8, seed=1)
    for one, other in zip(scenarios, again, strict=True):
        np.testing.assert_array_equal(one.table.true_cycles, other.table.true_cycles)
        assert one.environment.load == other.environment.load
    assert (varied_scenarios(count=1, classes=8, seed=2)[0].table.true_cycles != cycles[0]).any()
    assert FIRST_TRAINING_SEED > 0  # the embedded workload's seed is 0


def test_accelerators_of_one_kind_stay_alike():
    for one in varied_scenarios("flexible4", 3, classes=8):
        cycles = one.table.true_cycles.reshape(8, 4, -1)
        assert (cycles == cycles[:, :1]).all()
    cycles = varied_scenarios("flexible4", 3, classes=8, skew=1.0)[0].table.true_cycles.reshape(8, 4, -1)
    assert (cycles != cycles[:, :1]).any()


def test_fresh_workloads_differ_in_every_way_and_keep_what_is_equal():
    table = toys.random_table(np.random.default_rng(2), classes=12)
    table = replace(table, class_groups=np.arange(12) % 3, group_names=("a", "b", "c"))
    kinds = np.array([0, 1, 0])
    one, again, other = (freshly_varied(table, np.random.default_rng(seed), kinds) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.true_cycles, again.true_cycles)
    assert (one.true_cycles != other.true_cycles).any() and (one.weights != other.weights).any()
    assert one.weights.sum() == pytest.approx(1.0)
    factors = one.true_cycles / table.true_cycles
    np.testing.assert_allclose(one.predicted_cycles / table.predicted_cycles, factors, rtol=0.05)
    owners = table.choice_accelerators
    of_accelerator = [factors[:, owners == a][:, 0] for a in range(3)]
    np.testing.assert_allclose(of_accelerator[0], of_accelerator[2], rtol=0.05)  # of one kind; rounded to cycles
    assert np.abs(np.log(of_accelerator[0] / of_accelerator[1])).max() > 0.1


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"count": 0}, "count must be an integer of at least 1, got 0"),
        ({"loads": (0.9, 0.4)}, "loads must be in ascending order"),
        ({"loads": (0.4, 2.0)}, "loads"),
        ({"skew": -1.0}, "skew"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"classes": 1}, "count must be at least 4"),
        ({"scenario": "hetero5"}, "hetero5"),
    ],
)
def test_bad_variations_are_refused(given, error):
    with pytest.raises(ConfigError, match=error):
        varied_scenarios(**given)


def _lane(observed, lane):
    return {name: array[lane] for name, array in observed.items()} if isinstance(observed, dict) else observed[lane]
