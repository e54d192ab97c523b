"""Queue-v0 as padded rows of features, and worlds of them as one VecEnv."""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed")
pytest.importorskip("sb3_contrib", reason="sb3-contrib is not installed")

from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported

from gnnsched_agents.sb3.pair_env import COLUMNS, PairVecEnv, Rows, masks_of, rows_space
from gnnsched_agents.sb3.vec_env import Sb3VecEnv
from gnnsched_agents.sb3.worlds_env import WorldsVecEnv, assignment_rate
from gnnsched_agents.worlds import Workloads
from gnnsched_baselines.assignment_playing import AssignmentPlayer
from gnnsched_baselines.equal_hardware import equal_hardware
from gnnsched_baselines.learned.pair_features import COLUMN, NUM_FEATURES, machine_features
from gnnsched_baselines.learned.pair_network import initial_network
from gnnsched_baselines.learned.player import Reader
from gnnsched_env.common.errors import ConfigError, GnnSchedError, InvalidAction

QUEUE = "gnnsched/Queue-v0"
SMALL = {"jobs": 12, "window": 4}
WORKLOADS = Workloads(sets=2, classes=8, jobs=20, window=6)


def random_actions(masks, rng):
    return np.where(masks, rng.random(masks.shape), -1.0).argmax(axis=1)


def naive_rows(env):
    """Return what the Reader tells of each lane, row by row at its action's place."""
    simulation, layout = env.batch.batch.simulation, env.batch.layout
    groups, unit = equal_hardware(simulation.table), env.batch.metadata["service_cycles"]
    machines = machine_features(simulation.table, groups)
    reader = Reader(simulation, layout, machines, unit, groups=groups, pools=True)
    reader.describe()
    lanes = []
    for lane in range(env.num_envs):
        rows = np.zeros((layout.num_actions, NUM_FEATURES + 1), np.float32)
        for number in range(reader.starts[lane], reader.starts[lane + 1]):
            slot, accelerator = reader.pairs[number]
            action = layout.num_actions - 1 if slot < 0 else slot * layout.num_accelerators + accelerator
            rows[action] = [*reader.rows[number], 1.0]
        lanes.append(rows)
    return np.array(lanes)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"scenario": "big_little"}, {"failures": {"up": 40, "down": 5}}, {"jobs": 2}])
def test_rows_are_the_readers_and_play_is_the_environments(options):
    options = {**SMALL, **options}
    ours, theirs = PairVecEnv(3, **options), Sb3VecEnv(QUEUE, 3, dataflow="predicted_best", **options)
    assert ours.action_space == theirs.action_space
    assert ours.get_attr("observation_space") == [ours.observation_space] * 3
    ours.seed(5)
    theirs.seed(5)
    observation, _ = ours.reset(), theirs.reset()
    rng, ends = np.random.default_rng(0), 0
    for _ in range(80):
        assert np.array_equal(observation, naive_rows(ours))
        assert observation.dtype == np.float32
        assert all(ours.observation_space.contains(lane) for lane in observation)
        assert np.array_equal(masks_of(observation), theirs.action_masks())
        assert np.array_equal(get_action_masks(ours), theirs.action_masks())
        actions = random_actions(theirs.action_masks(), rng)
        kept = observation.copy(), observation
        observation, rewards, dones, infos = ours.step(actions)
        assert np.array_equal(*kept)  # what is kept does not change under one's hands
        _, their_rewards, their_dones, their_infos = theirs.step(actions)
        assert np.array_equal(rewards, their_rewards)
        assert np.array_equal(dones, their_dones)
        for lane in np.flatnonzero(dones):
            ends += 1
            assert infos[lane]["terminal_observation"].shape == ours.observation_space.shape
            assert not infos[lane]["terminal_observation"].any()
            assert infos[lane]["TimeLimit.truncated"] is False
            assert infos[lane]["episode"]["r"] == their_infos[lane]["episode"]["r"]
            assert infos[lane]["elapsed"] == their_infos[lane]["elapsed"]
    assert ends >= 3


def test_the_space_is_finite_and_masking_is_offered():
    env = PairVecEnv(1, **SMALL)
    assert np.isfinite(env.observation_space.high).all()
    assert env.observation_space.shape == (4 * 4 + 1, COLUMNS)
    assert rows_space(env.batch.layout) == env.observation_space
    assert is_masking_supported(env)
    assert env.get_attr("layout") == [env.batch.layout]


def test_a_row_names_no_dataflow():
    with pytest.raises(ConfigError, match="dataflow must be 'predicted_best'"):
        PairVecEnv(1, dataflow="agent", **SMALL)
    with pytest.raises(ConfigError, match="copy"):
        PairVecEnv(1, copy=False, **SMALL)


def test_illegal_actions_wait_or_take_the_first_legal_one():
    env = PairVecEnv(1, **SMALL)
    rows, wait = Rows(env.batch.layout), env.batch.layout.wait_action
    pairs = np.array([[0, 1], [2, 1], [-1, 0], [1, 0], [1, 3]])
    rows.place(np.ones((5, NUM_FEATURES), np.float32), pairs, np.array([0, 3, 5]))
    assert rows.chosen(np.array([2 * 4 + 1, 1 * 4 + 3])).tolist() == [1, 4]
    assert rows.chosen(np.array([5, 0])).tolist() == [2, 3]
    assert rows.chosen(np.array([wait, wait])).tolist() == [2, 3]
    for bad in ([-1, 0], [0, wait + 1], [0], [0.5, 0.5]):
        with pytest.raises(InvalidAction):
            rows.chosen(np.array(bad))


@pytest.fixture(scope="module")
def network():
    return initial_network(4, np.random.default_rng(0), prior=3.0)


def test_worlds_differ_and_rewards_are_differential(network):
    env = WorldsVecEnv(WORKLOADS, network, worlds=3, lanes=2, scale=5.0, seed=1)
    observation = env.reset()
    assert observation.shape == (6, 6 * 4 + 1, COLUMNS)
    assert len({load for _, load in env.lanes.drawn}) == 3
    assert is_masking_supported(env)
    rng, returns, ends = np.random.default_rng(0), np.zeros(6), 0
    rates = np.repeat(env.rates, 2)
    for _ in range(120):
        assert all(env.observation_space.contains(lane) for lane in observation)
        masks = env.action_masks()
        assert np.array_equal(masks, np.array(env.env_method("action_masks")))
        assert masks.any(axis=1).all()
        for part in (0, 1, 2):  # the environment's rule: idle accelerators, waiting jobs in the window
            simulation = env.lanes.worlds[part].simulation
            idle = (simulation.accelerators["job"] < 0) & (simulation.accelerators["up"] != 0)
            shown = np.arange(6) < np.minimum(simulation.lanes["waiting"], 6)[:, np.newaxis]
            legal = (shown[:, :, np.newaxis] & idle[:, np.newaxis, :]).reshape(2, -1)
            assert np.array_equal(masks[2 * part : 2 * part + 2, :-1], legal)
        observation, rewards, dones, infos = env.step(random_actions(masks, rng))
        assert rewards.dtype == np.float32
        elapsed = np.array([info["elapsed"] for info in infos])
        returns += (rewards * 5.0 - elapsed) * rates
        for lane in np.flatnonzero(dones):
            ends += 1
            assert infos[lane]["episode"]["r"] == pytest.approx(returns[lane], rel=1e-4)
            assert not infos[lane]["terminal_observation"].any()
            returns[lane] = 0.0
    assert ends > 6


def test_the_rate_is_littles_law_and_leaves_the_world(network):
    env = WorldsVecEnv(WORKLOADS, network, worlds=1, lanes=4)
    world = env.lanes.worlds[0]
    before = world.simulation.lanes.copy()
    rate = assignment_rate(world, np.arange(7, 11, dtype=np.uint64))
    assert (world.simulation.lanes == before).all()
    player = AssignmentPlayer(world.simulation, world.layout)
    completion = world.play(player.actions, 7)
    assert rate == pytest.approx(20 * completion.sum() / world.simulation.lanes["time"].sum(), rel=1e-6)


def test_assignments_own_differential_reward_is_nearly_none():
    workloads = Workloads(sets=1, classes=8, jobs=60, window=16, loads=(0.6, 0.6))
    env = WorldsVecEnv(workloads, initial_network(4, np.random.default_rng(0)), worlds=2, lanes=16, scale=1.0)
    planned = COLUMN.planned_action
    observation, rewards, times = env.reset(), 0.0, 0.0
    for _ in range(300):
        chosen = (observation[:, :, planned] > 0.5) & env.action_masks()
        observation, reward, _, infos = env.step(chosen.argmax(axis=1))
        rewards += reward.sum()
        times += sum(info["elapsed"] for info in infos)
    assert abs(rewards) < 0.15 * times


def test_redrawing_replaces_the_oldest_world_only(network):
    env = WorldsVecEnv(WORKLOADS, network, worlds=2, lanes=2)
    before, drawn = env.reset(), list(env.lanes.drawn)
    for number in (0, 1, 0):
        after = env.redraw(network)
        own = slice(2 * number, 2 * number + 2)
        assert env.lanes.drawn[number] != drawn[number]
        assert env.lanes.drawn[1 - number] == drawn[1 - number]
        assert not np.array_equal(after[own], before[own])
        other = slice(2 - 2 * number, 4 - 2 * number)
        assert np.array_equal(after[other], before[other])
        before, drawn = after, list(env.lanes.drawn)


def test_worlds_refuse_what_they_cannot_do(network):
    for options, message in (({"worlds": 0}, "worlds"), ({"lanes": 0}, "lanes"), ({"scale": 0.0}, "scale")):
        with pytest.raises(ConfigError, match=message):
            WorldsVecEnv(WORKLOADS, network, **options)
    env = WorldsVecEnv(WORKLOADS, network, worlds=1, lanes=2)
    with pytest.raises(GnnSchedError, match="step_async"):
        env.step_wait()
    with pytest.raises(AttributeError, match="no method 'render'"):
        env.env_method("render")
    with pytest.raises(AttributeError, match="no attribute 'layout'"):
        env.get_attr("layout")
    with pytest.raises(AttributeError, match="'anything'"):
        env.set_attr("anything", 1)
    env.set_options({"reset_mask": 1})
    with pytest.raises(ConfigError, match="options"):
        env.reset()


def test_what_pair_batches_cannot_keep_is_refused():
    for options in ({"max_episode_steps": 5}, {"waiting": "by_choice"}):
        with pytest.raises(ConfigError, match=f"PairVecEnv: .*{next(iter(options))}"):
            PairVecEnv(2, jobs=5, **options)
