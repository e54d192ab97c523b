"""docs/how-to/add_a_policy.md, add_a_training_method.md and add_an_observation_feature.md, followed on copies."""

import pytest

from gnnsched_baselines.learned.pair_features import NUM_FEATURES
from tests.contracts.recipes import ROOT, Copy, examples, patched, run

pytestmark = pytest.mark.slow  # a copy compiles its kernels anew

PLAY = """
import gymnasium, gnnsched_env
from gnnsched_agents.worlds import Workloads, make_world, training_scenario
from gnnsched_baselines import make_policy
from gnnsched_baselines.learned.trained_policy import load_agent

for fleet in ("hetero4", "flexible4", "big_little"):
    envs = gymnasium.make_vec("gnnsched/Queue-v0", num_envs=4, scenario=fleet, load=0.9, jobs=60)
    policy = make_policy(f"agent:queue_{fleet}", envs.unwrapped.layout, table=envs.unwrapped.table)
    observation, infos = envs.reset(seed=0)
    for _ in range(200):
        actions = policy.act(observation, envs.unwrapped.action_masks())
        print(actions.tolist())
        observation, *_ = envs.step(actions)
workloads = Workloads(sets=1, classes=16, jobs=60)
world = make_world(workloads, training_scenario(workloads, 0), 0.9, 4)
world.reset(0)
act = world.actor(load_agent("queue_hetero4")[0])
for _ in range(100):
    print(act().tolist())
    world.simulation.step(act())
"""


@pytest.fixture(scope="module")
def played():
    """Return what the shipped agents do, as text."""
    text = run(ROOT, "-c", PLAY)
    assert len(set(text.splitlines())) > 100
    return text


def test_a_policy_is_two_files(tmp_path):
    copy = Copy(tmp_path)
    assert copy.follow("add_a_policy.md") <= 2
    assert copy.run("-c", examples("add_a_policy.md")[0]) == "legal True\n"
    contract = """
import sys, pytest, gnnsched_baselines
root = sys.argv[1]
words = [f"{root}/tests/contracts/test_policy_contract.py", "-k", "least_regret", "-p", "no:cacheprovider", "-n", "0"]
status = pytest.main([*words, "-c", f"{root}/pyproject.toml", "-o", "pythonpath="])
print(gnnsched_baselines.__file__)
sys.exit(status)
"""
    told = copy.run("-c", contract, ROOT)
    assert "[100%]" in told and told.splitlines()[-1].startswith(str(tmp_path))


def test_a_training_method_is_two_files(tmp_path):
    copy = Copy(tmp_path)
    assert copy.follow("add_a_training_method.md") <= 2
    code = """
import sys
from dataclasses import replace
from pathlib import Path
from gnnsched_agents.methods.registry import method_config
from gnnsched_agents.training_config import named_config
from gnnsched_agents.training_loop import train
from gnnsched_baselines.learned.pair_network import load_network
from tests.tiny_training import TINY

assert named_config("queue_big_little_random_search").kind == "random_search"
method = method_config("random_search")(width=3, lanes=2, sigma=0.5)
config = replace(TINY, method=method, iterations=8)
whole, parts = Path(sys.argv[1]) / "whole", Path(sys.argv[1]) / "parts"
train(config, whole, progress=False)
train(replace(config, iterations=3), parts, progress=False)
result = train(config, parts, progress=False)
one, other = ([array.tolist() for array in load_network(folder / "last.npz")[0].arrays] for folder in (whole, parts))
print(result.finished, result.iteration, one == other)
"""
    assert copy.run("-c", code, tmp_path) == "True 8 True\n"


def test_an_observation_feature_is_two_files_and_weights_stay_valid(tmp_path, played):
    copy = Copy(tmp_path)
    assert copy.follow("add_an_observation_feature.md", "What every policy sees") <= 3
    shown = copy.run("-c", examples("add_an_observation_feature.md")[0]).strip().strip("[]").split()
    assert len(shown) == 2 and all(0 < float(share) <= 1 for share in shown)
    assert copy.run("-c", PLAY) == played


def test_a_feature_of_trained_policies_is_two_files_and_weights_stay_valid(tmp_path, played):
    copy = Copy(tmp_path)
    assert copy.follow("add_an_observation_feature.md", "What trained policies read") <= 3
    assert copy.run("-c", PLAY) == played
    code = """
import numpy as np
from gnnsched_agents.worlds import Workloads, make_world, training_scenario
from gnnsched_baselines.learned.pair_features import COLUMN, FEATURES

workloads = Workloads(sets=1, classes=16, jobs=60)
world = make_world(workloads, training_scenario(workloads, 0), 0.9, 4)
world.reset(0)
act = world.actor(None)
for _ in range(60):
    world.simulation.step(act())
    reader = world.reader()
    count = reader.describe()
    rows = reader.rows[:count]
    pairs = rows[:, COLUMN.wait] == 0
    assert (rows[pairs, COLUMN.shortest_here] == (rows[pairs, COLUMN.rank_here] == 0)).all()
    assert (rows[~pairs, COLUMN.shortest_here] == 0).all()
print(len(FEATURES), FEATURES[COLUMN.shortest_here])
"""
    assert copy.run("-c", code) == f"{NUM_FEATURES + 1} shortest_here\n"


def test_a_diff_must_fit_at_one_place():
    text = "a\nb\na\nc\n"
    assert patched(text, " a\n-b\n+d\n@@\n-c\n") == "a\nd\na\n"
    for diff, places in ((" a\n+d\n", 2), (" x\n+d\n", 0)):
        with pytest.raises(AssertionError, match=f"fits at {places} places"):
            patched(text, diff)
