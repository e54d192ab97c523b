"""What a user meets first: the import, the ids, `gymnasium.make`."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from gnnsched_env.scenario import list_scenarios, load_scenario, scenario_table

IDS = ("gnnsched/Dispatch-v0", "gnnsched/Queue-v0")
HEAVY = ("torch", "sklearn", "lightgbm", "stable_baselines3", "networkx", "matplotlib", "pygame")


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_importing_and_making_loads_nothing_heavy():
    code = (
        "import sys, gymnasium, gnnsched_env\n"
        f"env = gymnasium.make({IDS[1]!r}); env.reset(seed=0); env.step(0)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert run_python(code) == "[]\n"


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("scenario", list_scenarios())
def test_every_preset_makes_every_environment(name, scenario):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(name, scenario=scenario, load=0.7, jobs=20)
        check_env(env.unwrapped)
    assert env.spec.id == name
    assert env.unwrapped.scenario.fleet.name == scenario


@pytest.mark.parametrize("name", IDS)
def test_stable_baselines3_accepts_it_by_id(name):
    checker = pytest.importorskip("stable_baselines3.common.env_checker", reason="Stable-Baselines3 is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(gymnasium.make(name, jobs=20).unwrapped, warn=True)


def test_the_embedded_workload_is_what_the_docs_say():
    for name in list_scenarios():
        table = scenario_table(load_scenario(name))
        assert table.num_classes == 256
        assert table.choice_names == tuple(choice.name for choice in load_scenario(name).fleet.choices)
        spread = table.true_cycles.max(axis=1) / table.true_cycles.min(axis=1)
        assert np.median(spread) > 2  # the wrong dataflow costs a multiple of the right one


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasium_vectorises_it(mode):
    envs = gymnasium.make_vec(IDS[1], num_envs=2, vectorization_mode=mode, jobs=5)
    envs.reset(seed=3)
    actions = np.zeros(2, np.int64)
    rewards = [envs.step(actions)[1] for _ in range(4)]
    envs.close()
    assert np.array(rewards).shape == (4, 2)


def test_stable_baselines3_learns_by_id():
    agents = pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed")
    model = agents.PPO("MultiInputPolicy", IDS[0], n_steps=16, batch_size=16, n_epochs=1, device="cpu")
    assert model.learn(32).num_timesteps == 32


def test_the_load_is_the_share_of_the_fleets_capacity_that_arrives():
    env = gymnasium.make(IDS[1], load=0.5, jobs=4000).unwrapped
    env.reset(seed=0)
    gaps = 1 / env.batch.simulation.settings["mean_gap"][0]
    double = gymnasium.make(IDS[1], load=1.0, jobs=10).unwrapped
    assert double.batch.simulation.settings["mean_gap"][0] * gaps == pytest.approx(0.5)
