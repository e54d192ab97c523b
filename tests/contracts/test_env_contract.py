"""What Gymnasium, Stable-Baselines3 and the design ask of both environments."""

import copy
import hashlib
import itertools
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.lib.recfunctions import repack_fields

from gnnsched_env.envs import EnvBatch, decode_cycles, unflatten
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import Scenario, simulation_settings
from tests.envs.environments import ENVIRONMENTS, hetero_table
from tests.envs.vectors import assert_same

OPTIONS = [
    {},
    {"dataflow": "predicted_best"},
    {"shaping": "drain"},
    {"load": 1.2},
    {"repeats": 50, "decision": {"latency_us": 0.3, "workers": 2}},
    {"decision": {"latency_us": 0.4, "cached": True, "lookup_us": 0.1}, "shaping": "drain"},
]
PLAIN = [{}, OPTIONS[-2], {**OPTIONS[-1], "shaping": "none"}]
OBSERVATIONS = ["dict", "flat", "pairs", "pairs_flat"]
SHOWN = [
    *OPTIONS,
    {"observation": "flat"},
    {"observation": "flat", "reward": {"energy": 0.3}},
    {"observation": "pairs"},
    {
        "observation": "pairs",
        "reward": {"energy": 0.3},
        "arrivals": {"deadlines": [0, 5], "priorities": [[1, 3], [8, 1]]},
    },
    {
        "observation": "pairs",
        "dataflow": "predicted_best",
        "failures": {"up": 20.0, "down": 9.0},
        "reconfiguration": 70,
    },
    {"observation": "pairs_flat", "dataflow": "predicted_best"},
]


def random_episode(env, seed=None, rng=None, legal_only=False):
    """Play one episode at random; return its rewards and how many actions were legal."""
    rng = rng or np.random.default_rng(0)
    env.reset(seed=seed)
    rewards, legal, ended = [], 0, False
    while not ended:
        mask = env.action_masks()
        assert mask.any()
        action = rng.choice(np.flatnonzero(mask)) if legal_only else rng.integers(len(mask))
        observation, reward, ended, truncated, info = env.step(action)
        assert not truncated
        assert info["legal"] == bool(mask[action])
        assert info["elapsed"] >= 0
        rewards.append(reward)
        legal += info["legal"]
    assert env.action_masks().any()
    assert env.observation_space.contains(observation)
    return np.array(rewards), legal


@pytest.mark.parametrize("options", SHOWN)
def test_gymnasium_checks_it_without_a_warning(make_env, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*spec.*")  # made without gym.make here; through it in test_make
        check_env(make_env(**options))


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_stable_baselines3_checks_it_without_a_warning(make_env, observation):
    checker = pytest.importorskip("stable_baselines3.common.env_checker", reason="Stable-Baselines3 is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if observation == "pairs":  # rows are for a policy of their own
            warnings.filterwarnings("ignore", message=".*neither an image, nor a 1D vector.*")
        checker.check_env(make_env(observation=observation), warn=True)


@pytest.mark.kernels
@pytest.mark.parametrize("options", SHOWN)
def test_observations_stay_in_their_space(make_env, options):
    env = make_env(**options)
    rng = np.random.default_rng(1)
    observation, _ = env.reset(seed=3)
    ended = False
    while not ended:
        assert env.observation_space.contains(observation)
        observation, _, ended, _, info = env.step(rng.integers(env.action_space.n))
        assert info["action_mask"].dtype == np.int8
        assert (info["action_mask"] == env.action_masks()).all()


@pytest.mark.parametrize("options", PLAIN)
@pytest.mark.parametrize("legal_only", [True, False])
def test_the_return_is_minus_the_mean_completion_time(make_env, legal_only, options):
    env = make_env(**options)
    for seed in range(5):
        rewards, _ = random_episode(env, seed, legal_only=legal_only)
        jobs = env.batch.simulation.jobs[0]
        completion = jobs["finish"] - jobs["arrival"]
        assert rewards.sum() == pytest.approx(-completion.mean() / env.metadata["service_cycles"], rel=1e-12)
        assert rewards.sum() == pytest.approx(-completion.sum() / env.metadata["reward_unit_cycles"], rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"reward": {"energy": 0.5}}, {"shaping": "drain"}])
def test_total_returns_are_the_mean_ones_times_the_jobs(make_env, options):
    options = {**options, "jobs": 24}
    mean, total = make_env(**options), make_env(**options, returns="total")
    assert total.metadata["reward_unit_cycles"] == total.metadata["service_cycles"] == mean.metadata["service_cycles"]
    for seed in range(3):
        rewards, _ = random_episode(mean, seed)
        more, _ = random_episode(total, seed)
        assert more == pytest.approx(24 * rewards, rel=1e-12)


@pytest.mark.parametrize("options", PLAIN)
def test_drain_shaping_telescopes(make_env, options):
    plain, shaped = make_env(**options), make_env(**{**options, "shaping": "drain"})
    for seed in range(3):
        rewards, _ = random_episode(plain, seed)
        shaped.reset(seed=seed)
        first = shaped.batch.simulation.lanes["potential"][0] / shaped.metadata["reward_unit_cycles"]
        more, _ = random_episode(shaped, seed)
        assert first > 0
        assert more.sum() == pytest.approx(rewards.sum() + first, rel=1e-9)
        assert not np.allclose(more, rewards)


@pytest.mark.parametrize("options", PLAIN)
def test_no_job_is_lost_doubled_early_or_overlapping(make_env, options):
    env = make_env(jobs=60, **options)
    for seed in range(5):
        random_episode(env, seed)
        simulation = env.batch.simulation
        jobs = simulation.jobs[0]
        assert (jobs["finish"] > jobs["start"]).all()
        assert (jobs["start"] >= jobs["ready"]).all()
        assert (jobs["ready"] >= jobs["arrival"] + (simulation.settings["lookup"] if options else 0)).all()
        assert (np.diff(jobs["ready"]) >= 0).all()
        true = simulation.true[jobs["job_class"], jobs["choice"]]
        assert (jobs["finish"] - jobs["start"] == true).all()
        for accelerator in range(4):
            own = np.sort(jobs[simulation.choice_accelerators[jobs["choice"]] == accelerator], order="start")
            assert (own["start"][1:] >= own["finish"][:-1]).all()


@pytest.mark.parametrize("options", PLAIN)
def test_beliefs_do_not_leak_the_truth(make_env, options):
    table = hetero_table()
    slower = replace(table, true_cycles=table.true_cycles + 997)
    env = make_env(load=0.9, jobs=40, **options)
    settings = simulation_settings(env.scenario, table, dispatch=env.dispatch)  # one arrival rate for both
    batches = [EnvBatch(each, settings, observation="pairs") for each in (table, slower)]
    rng = np.random.default_rng(0)
    compared = 0
    for seed in range(60):
        for batch in batches:
            batch.reset([seed])
        while not any(batch.simulation.lanes["done"][0] for batch in batches):
            for name in batches[0].observation:
                assert (batches[0].observation[name] == batches[1].observation[name]).all(), name
            assert (batches[0].mask == batches[1].mask).all()
            assert (batches[0].observed == batches[1].observed).all()
            compared += 1
            action = rng.choice(np.flatnonzero(batches[0].mask[0]), 1)
            for batch in batches:
                batch.step(action)
    assert compared > 60


def test_a_batch_plays_as_its_lanes_do_alone(make_env):
    for options in PLAIN:
        env = make_env(**options)
        settings = simulation_settings(env.scenario, hetero_table(), dispatch=env.dispatch)
        together = EnvBatch(hetero_table(), settings, lanes=3)
        together.reset([4, 5, 6], [1, 0, 2])
        alone = [EnvBatch(hetero_table(), settings) for _ in range(3)]
        for batch, seed, episode in zip(alone, (4, 5, 6), (1, 0, 2), strict=True):
            batch.reset([seed], [episode])
        rng = np.random.default_rng(0)
        while not together.ended.all():
            actions = rng.integers(together.layout.num_actions, size=3)
            together.step(actions)
            for lane, batch in enumerate(alone):
                if not batch.ended[0]:
                    batch.step(actions[lane : lane + 1])
                    assert batch.rewards[0] == together.rewards[lane]
                for name, array in batch.observation.items():
                    assert (array[0] == together.observation[name][lane]).all()
                assert (batch.mask[0] == together.mask[lane]).all()
        for lane, batch in enumerate(alone):
            assert (batch.simulation.jobs[0] == together.simulation.jobs[lane]).all()


def test_repeats_play_as_a_table_of_longer_latencies(make_env):
    table = hetero_table()
    longer = replace(table, true_cycles=table.true_cycles * 4, predicted_cycles=table.predicted_cycles * 4)
    env = make_env(repeats=4)
    assert (env.table.true_cycles == longer.true_cycles).all()
    assert (env.table.predicted_cycles == longer.predicted_cycles).all()
    assert env.layout.static_choices == make_env().layout.static_choices
    settings = simulation_settings(env.scenario, table, dispatch=env.dispatch)
    alone = simulation_settings(make_env().scenario, longer, dispatch=env.dispatch)
    assert settings.mean_gap == pytest.approx(alone.mean_gap)
    assert settings.unit == pytest.approx(alone.unit)
    batches = [EnvBatch(table, settings), EnvBatch(longer, replace(settings, repeats=1))]
    for batch in batches:
        batch.reset([3])
    rng = np.random.default_rng(3)
    while not batches[0].ended[0]:
        action = rng.integers(batches[0].layout.num_actions, size=1)
        for batch in batches:
            batch.step(action)
        for name, array in batches[0].observation.items():
            assert (array == batches[1].observation[name]).all(), name
        assert batches[0].rewards[0] == batches[1].rewards[0]
    assert batches[1].ended[0]
    assert batches[0].simulation.jobs.tolist() == batches[1].simulation.jobs.tolist()


def test_deciding_delays_what_the_scheduler_sees(make_env):
    free, charged = make_env(), make_env(decision={"latency_us": 0.05})
    free.reset(seed=0)
    observation, info = charged.reset(seed=0)
    first = charged.batch.simulation.jobs[0, 0]
    assert info["time"] == first["arrival"] + 50  # at 1 GHz
    view = unflatten(observation, charged.layout)
    waited = decode_cycles(view.slots["waited"][0, 0])
    assert waited == pytest.approx(50, rel=1e-4)
    assert decode_cycles(view.system["recent_gap"][0]) == pytest.approx(first["arrival"], rel=1e-4)  # of arrivals
    for env in (free, charged):
        random_episode(env, 0)
    one, two = (env.batch.simulation.jobs[0] for env in (free, charged))
    assert (one["arrival"] == two["arrival"]).all()
    assert (one["job_class"] == two["job_class"]).all()
    assert (one["ready"] == one["arrival"]).all()
    assert (two["ready"] >= two["arrival"] + 50).all()


def test_no_cost_plays_as_today_whatever_the_workers(make_env):
    plain, idle = make_env(), make_env(decision={"latency_us": 0.0, "workers": 8, "cached": True})
    for seed in range(3):
        assert random_episode(plain, seed)[0].tolist() == random_episode(idle, seed)[0].tolist()


def test_same_seed_same_trajectory(make_env):
    one, two = make_env(), make_env()
    for seed in (0, 1, 2**63):
        assert random_episode(one, seed)[0].tolist() == random_episode(two, seed)[0].tolist()
    assert random_episode(one, 0)[0].tolist() != random_episode(two, 1)[0].tolist()


def test_a_reset_without_a_seed_plays_the_next_episode(make_env):
    one, two = make_env(), make_env()
    first, second, third = (random_episode(one, seed)[0].tolist() for seed in (5, None, None))
    assert first != second != third
    assert [random_episode(two, seed)[0].tolist() for seed in (5, None, None)] == [first, second, third]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_copies_play_on_alike(make_env, duplicate, observation):
    env = make_env(observation=observation)
    env.reset(seed=0)
    env.step(0)
    twin = duplicate(env)
    for _ in range(20):
        action = int(env.action_masks().argmax())
        ours, theirs = env.step(action), twin.step(action)
        assert ours[1] == theirs[1]
        assert_same(ours[0], theirs[0])


def test_the_end_of_an_episode_tells_its_metrics(make_env):
    env = make_env()
    env.reset(seed=0)
    ended = False
    while not ended:
        _, _, ended, _, info = env.step(int(env.action_masks().argmax()))
    jobs = env.batch.simulation.jobs[0]
    assert info["mean_completion"] == pytest.approx((jobs["finish"] - jobs["arrival"]).mean())
    assert set(info) - {"action_mask", "elapsed", "legal", "time"} == {
        "mean_completion",
        "mean_execution",
        "mean_slowdown",
        "mean_predicting",
        "mean_weighted_completion",
        "missed_deadlines",
        "mean_tardiness",
        "mean_energy_pj",
        "utilisation",
        "makespan",
        "energy_pj",
        "mean_failures",
        "mean_aborted",
        "availability",
    }


@pytest.mark.kernels
def test_the_encoded_latencies_read_back_as_cycles(make_env):
    env = make_env()
    observation, _ = env.reset(seed=0)
    view = unflatten(observation, env.layout)
    simulation = env.batch.simulation
    job = simulation.jobs[0, simulation.queue[0, simulation.lanes["head"][0]]["job"]]
    assert decode_cycles(view.latencies[0, 0]) == pytest.approx(simulation.predicted[job["job_class"]], rel=5e-6)
    assert view.slots["present"][0, 0] == 1.0
    waited = simulation.lanes["time"][0] - job["arrival"]
    assert decode_cycles(view.slots["waited"][0, 0]) == pytest.approx(waited, rel=5e-6)


def golden_hash(env_name):
    """Return a hash of three episodes in every mode: every action, reward, observation, mask and job."""
    fleet = load_fleet("hetero4")
    slow = tuple(replace(accelerator, reconfiguration_cycles=70) for accelerator in fleet.accelerators)
    scenario = Scenario(name="random", fleet=replace(fleet, accelerators=slow), table=hetero_table(noise=0.3))
    digest = hashlib.sha256()
    orders = ("arrival",) if env_name == "dispatch" else ("arrival", "shortest")
    for order, dataflow in itertools.product(orders, ("agent", "predicted_best")):
        env = ENVIRONMENTS[env_name](scenario, jobs=40, load=0.9, window_order=order, dataflow=dataflow, **AS_BEFORE)
        _hash_episodes(env, digest)
    return digest.hexdigest()[:16]


def _hash_episodes(env, digest):
    rng = np.random.default_rng(0)
    for seed in range(3):
        env.reset(seed=seed)
        ended = False
        while not ended:
            action = rng.integers(env.action_space.n)
            observation, reward, ended, _, _ = env.step(action)
            mask = np.packbits(env.action_masks()).tobytes()
            digest.update(repr((int(action), round(reward, 9))).encode() + mask)
            for array in observation.values():
                digest.update(np.rint(array * 1e5).astype(np.int64).tobytes())
        digest.update(repack_fields(env.batch.simulation.jobs[HASHED_FIELDS]).tobytes())


AS_BEFORE = {"returns": "total", "split": "test"}  # so that the hashes are those of the first version
HASHED_FIELDS = ["arrival", "start", "finish", "job_class", "choice", "next"]
GOLDEN = {"dispatch": "671a4725eb7decf4", "queue": "b3966dce3570ecbe"}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_the_golden_trajectory(name):
    """Fails when the dynamics, the random streams or the encoding change: then raise the version of what changed."""
    assert golden_hash(name) == GOLDEN[name]


@pytest.mark.slow
def test_trajectories_agree_across_processes():
    code = "from tests.contracts.test_env_contract import golden_hash; print(golden_hash('queue'))"
    hashes = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert hashes == {golden_hash("queue") + "\n"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gnnsched/Dispatch-v0", "gnnsched/Queue-v0"])
def test_random_play_of_a_hundred_thousand_steps(name):
    env = gymnasium.make(name, jobs=500)
    rng = np.random.default_rng(0)
    steps, seed = 0, 0
    while steps < 100_000:
        rewards, _ = random_episode(env.unwrapped, seed, rng=rng, legal_only=bool(seed % 2))
        assert np.isfinite(rewards).all()
        assert (rewards <= 0).all()
        steps, seed = steps + len(rewards), seed + 1
    assert seed > 1
