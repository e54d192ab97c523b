"""Observations other than the dict: that they say the same, their names and spaces, and who may read them."""

import re
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from gnnsched_baselines import make_policy
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import Knowledge
from gnnsched_env.envs import PAIR_FIELDS, pair_view, unflatten
from gnnsched_env.evaluation import run_policy
from gnnsched_env.evaluation.behaviour import play_watched
from gnnsched_env.evaluation.one_episode import play_episode
from gnnsched_env.evaluation.runs import decide
from gnnsched_env.scenario import scenario_table
from tests.envs.vectors import make_native, small_scenario

IDS = ("gnnsched/Dispatch-v0", "gnnsched/Queue-v0")


@pytest.mark.parametrize("kind", ["dispatch", "queue"])
@pytest.mark.parametrize("options", [{}, {"reward": {"energy": 0.5}}])
def test_flat_and_pairs_flat_are_the_others_joined(kind, options):
    shown = ("dict", "flat", "pairs", "pairs_flat")
    envs = {name: make_native(kind, 4, observation=name, jobs=12, **options) for name in shown}
    single = envs["dict"].single_observation_space
    observations = {name: env.reset(seed=3)[0] for name, env in envs.items()}
    for _ in range(30):
        for lane in range(4):
            own = {name: array[lane] for name, array in observations["dict"].items()}
            assert (gymnasium.spaces.flatten(single, own) == observations["flat"][lane]).all()
        assert (observations["pairs"].reshape(4, -1) == observations["pairs_flat"]).all()
        actions = envs["dict"].action_masks().argmax(axis=1)
        observations = {name: env.step(actions)[0] for name, env in envs.items()}
    assert observations["flat"].any()


def test_pairs_are_read_by_name_in_every_shape(make_env):
    env = make_env(observation="pairs")
    rows, info = env.reset(seed=1)
    view = pair_view(rows, env.layout)
    assert tuple(view) == PAIR_FIELDS
    assert (view["legal"] == info["action_mask"]).all()
    assert np.shares_memory(view["latency"], rows)
    stacked = pair_view(np.stack([rows, rows]).reshape(2, -1), env.layout)
    assert (stacked["latency"] == view["latency"]).all()
    assert stacked["latency"].shape == (2, env.layout.num_actions)
    for name, column in view.items():
        assert not column[info["action_mask"] == 0].any(), name


def test_the_page_names_every_feature_in_order():
    page = Path(__file__).resolve().parents[2] / "docs" / "reference" / "environments.md"
    section = page.read_text(encoding="utf-8").partition("### A row for each action")[2].partition("###")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == PAIR_FIELDS


def test_the_best_pair_is_told_apart(make_queue):
    """The features of the first job agree with the latencies that the dict shows."""
    env = make_queue(observation="pairs", dataflow="predicted_best")
    rows, _ = env.reset(seed=2)
    simulation = env.batch.simulation
    job = simulation.jobs[0, simulation.queue[0, simulation.lanes["head"][0]]["job"]]
    best = simulation.predicted[job["job_class"]].min()
    own = [simulation.predicted[job["job_class"], simulation.choice_accelerators == a].min() for a in range(4)]
    view = pair_view(rows, env.layout)
    assert view["regret"][:4] == pytest.approx(np.log2(np.array(own) / best) / 4, abs=1e-6)
    assert view["latency"][:4] == pytest.approx(np.log2(np.array(own) / env.metadata["service_cycles"]) / 4, abs=1e-6)


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("observation", ["flat", "pairs", "pairs_flat"])
def test_an_environment_is_made_again_from_its_spec(name, observation):
    env = gymnasium.make(name, jobs=4, observation=observation)
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.observation_space == env.observation_space
    assert (again.reset(seed=1)[0] == env.reset(seed=1)[0]).all()
    assert again.unwrapped.layout.observation == observation


def test_the_option_is_that_of_scenario_files(tmp_path):
    path = tmp_path / "rows.toml"
    path.write_text('fleet = "hetero4"\n[environment]\nobservation = "pairs"\njobs = 4\n')
    env = gymnasium.make(IDS[1], scenario=str(path))
    assert env.observation_space.shape == (env.action_space.n, len(PAIR_FIELDS))


@pytest.mark.parametrize("kind", ["single", "batch"])
def test_an_unknown_observation_is_refused(kind):
    make = gymnasium.make if kind == "single" else gymnasium.make_vec
    with pytest.raises(ConfigError, match=r"observation must be one of .*got 'pair'; did you mean 'pairs'"):
        make(IDS[1], observation="pair")


def test_an_observation_is_not_read_as_another(make_env):
    rows, table = make_env(observation="pairs"), make_env()
    with pytest.raises(ConfigError, match=r"must be the 'dict' of arrays, got ndarray .the observation 'pairs'"):
        unflatten(rows.reset(seed=0)[0], rows.layout)
    with pytest.raises(ConfigError, match=r"pair_view: observation must be 'pairs', .* got dict"):
        pair_view(table.reset(seed=0)[0], table.layout)
    with pytest.raises(ConfigError, match=r"got \[3, 5\]"):
        pair_view(np.zeros((3, 5), np.float32), table.layout)
    policy = make_policy("sjf", rows.layout, table=rows.table)
    with pytest.raises(ConfigError, match=r"must be the 'dict' of arrays"):
        policy.act(rows.reset(seed=0)[0], rows.batch.mask)


class ShortestPair:
    """Take the pair of smallest latency, and wait only if nothing else is legal."""

    knowledge = Knowledge.PREDICTED
    observation = "pairs"

    def __init__(self, layout):
        self.layout = layout

    def act(self, observation, mask):
        view = pair_view(observation, self.layout)
        assert (view["legal"] == mask).all()
        return np.where(mask, view["latency"] + 100.0 * view["wait"], np.inf).argmin(axis=1)


def factory(layout, table):
    return ShortestPair(layout)


@pytest.mark.parametrize("told", ["dict", "pairs"])
def test_evaluation_gives_each_policy_its_observation(told):
    """Whatever the scenario says: sjf reads the dict, and this policy, which decides as it does, the pairs."""
    scenario = small_scenario().with_options(jobs=20, dataflow="predicted_best", window=5, observation=told)
    table = scenario_table(scenario)
    runs = {
        name: run_policy(make, scenario, table, dispatch=False, seed=0, episodes=3)
        for name, make in {
            "pairs": factory,
            "sjf": lambda layout, table: make_policy("sjf", layout, table=table),
        }.items()
    }
    assert runs["pairs"].per_episode("completion").tolist() == runs["sjf"].per_episode("completion").tolist()
    assert runs["pairs"].policy.layout.observation == "pairs"
    assert runs["sjf"].policy.layout.observation == "dict"
    env = play_episode(factory, scenario, dispatch=False, seed=1)
    jobs = env.batch.simulation.jobs[0]
    assert (jobs["finish"] - jobs["arrival"]).mean() == runs["pairs"].per_episode("completion")[1]
    schedule, _, _ = play_watched(factory, scenario, dispatch=False, seed=1)
    assert (schedule.jobs["finish"] == jobs["finish"]).all()


def test_a_policy_is_not_given_another_observation_than_its_own(make_queue):
    with pytest.raises(ConfigError, match="ShortestPair: it is made for the observation 'pairs', got 'flat'"):
        decide(make_queue(observation="flat").batch, ShortestPair(make_queue().layout))


def test_a_policy_of_an_unknown_observation_is_refused():
    class Confused(ShortestPair):
        observation = "pears"

    scenario = small_scenario().with_options(jobs=4)
    with pytest.raises(ConfigError, match=r"policy Confused: observation must be one of .*did you mean 'pairs'"):
        run_policy(
            lambda layout, table: Confused(layout),
            scenario,
            scenario_table(scenario),
            dispatch=False,
            seed=0,
            episodes=1,
        )
