"""Many worlds as one batch: what is read of them, how they move, and that their state can be taken up again."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_agents import lanes as module
from gnnsched_agents.lane_insights import HORIZONS, INSIGHTS, NUM_PRESENT
from gnnsched_agents.lanes import Lanes
from gnnsched_agents.worlds import Workloads, make_world
from gnnsched_baselines.learned.pair_network import initial_network
from gnnsched_env.common.errors import ConfigError
from tests.envs.environments import hetero_scenario
from tests.twins import training as naive_training

WORKLOADS = Workloads(sets=3, jobs=25, window=6, loads=(0.5, 1.2))
NETWORK = initial_network(4, np.random.default_rng(0))


@pytest.fixture(autouse=True)
def toy_tables(monkeypatch):
    """Give worlds small random tables instead of those of synthetic graphs."""
    monkeypatch.setattr(module, "training_scenario", lambda workloads, number: hetero_scenario(seed=number))


def make_lanes(seed=0, worlds=3, lanes=4):
    return Lanes(WORKLOADS, worlds, lanes, np.random.default_rng(seed), NETWORK)


def draw(lanes, rng):
    """Return a row of each lane, drawn."""
    return rng.integers(lanes.starts[:-1], lanes.starts[1:])


def test_rows_are_those_of_the_worlds_behind_one_another():
    lanes, rng = make_lanes(), np.random.default_rng(1)
    for _ in range(20):
        lanes.describe()
        start = 0
        for number, world in enumerate(lanes.worlds):
            reader = world.reader()
            count = reader.describe()
            assert (lanes.rows[start : start + count] == reader.rows[:count]).all()
            assert (lanes.starts[4 * number : 4 * number + 4] == start + reader.starts[:-1]).all()
            start += count
        assert start == len(lanes.rows) == lanes.starts[-1]
        lanes.step(draw(lanes, rng))


def test_a_step_does_what_the_row_says_and_ended_lanes_start_anew():
    lanes, rng = make_lanes(), np.random.default_rng(2)
    ends = 0
    for _ in range(150):
        lanes.describe()
        chosen = draw(lanes, rng)
        before = [(world.simulation.lanes.copy(), world.simulation.episodes.copy()) for world in lanes.worlds]
        pairs = [
            reader.pairs[chosen[4 * n : 4 * n + 4] - lanes.starts[4 * n]] for n, reader in enumerate(lanes.readers)
        ]
        rewards, elapsed, ended = lanes.step(chosen)
        for number, world in enumerate(lanes.worlds):
            (old, episodes), own = before[number], slice(4 * number, 4 * number + 4)
            now = world.simulation.lanes
            assert world.simulation.lanes["legal"][~ended[own]].all()
            assert (world.simulation.episodes == episodes + ended[own]).all()
            assert not now["ended"].any()
            going = ~ended[own]
            np.testing.assert_allclose(
                elapsed[own][going], ((now["time"] - old["time"]) / world.unit)[going], rtol=1e-6
            )
            np.testing.assert_allclose(rewards[own][going], now["reward"][going], rtol=1e-6)
            starting = going & (pairs[number][:, 0] >= 0)
            left = now["waiting"] - old["waiting"] - (now["arrived"] - old["arrived"])
            assert (left[starting] == -1).all()
            assert (left[going & (pairs[number][:, 0] < 0)] == 0).all()
        ends += ended.sum()
    assert ends > 10


def test_insights_equal_those_read_off_job_by_job():
    lanes, rng = make_lanes(), np.random.default_rng(3)
    for _ in range(12):
        lanes.describe()
        for number, world in enumerate(lanes.worlds):
            for lane in range(4):
                expected = naive_training.insights(world.simulation, lane, world.unit, world.load, HORIZONS)
                np.testing.assert_allclose(lanes.insights[4 * number + lane], expected, rtol=1e-5, atol=1e-6)
        lanes.step(draw(lanes, rng))
    assert len(INSIGHTS) == NUM_PRESENT + 2 * len(HORIZONS)


def test_lanes_start_at_moments_spread_over_an_episode():
    lanes = Lanes(replace(WORKLOADS, jobs=120), 2, 64, np.random.default_rng(0), NETWORK)
    done = np.concatenate([world.simulation.lanes["done"] for world in lanes.worlds]) / 120
    shares = np.histogram(done, bins=4, range=(0.0, 1.0))[0] / 128
    assert shares.min() > 0.1
    assert not any(world.simulation.lanes["ended"].any() for world in lanes.worlds)


def test_worlds_differ_and_one_is_replaced_at_a_time():
    lanes = make_lanes(worlds=4)
    assert len({load for _, load in lanes.drawn}) == 4
    assert all(0.5 <= load <= 1.2 for _, load in lanes.drawn)
    worlds = list(lanes.worlds)
    lanes.redraw(2, NETWORK)
    assert [new is old for new, old in zip(lanes.worlds, worlds, strict=True)] == [True, True, False, True]
    lanes.describe()
    lanes.step(lanes.starts[:-1].copy())


def test_a_state_goes_on_exactly():
    first, other = make_lanes(seed=5), make_lanes(seed=6)
    rng = np.random.default_rng(4)
    for _ in range(30):
        first.describe()
        first.step(draw(first, rng))
    state = first.state()
    results = []
    for lanes in (first, other):
        if lanes is other:
            other.restore(state)
        rng = np.random.default_rng(9)
        told = []
        for _ in range(60):
            lanes.describe()
            told.append((lanes.rows.copy(), lanes.insights.copy(), *lanes.step(draw(lanes, rng))))
        results.append(told)
    assert first.drawn == other.drawn
    for one, two in zip(*results, strict=True):
        assert all((a == b).all() for a, b in zip(one, two, strict=True))


def test_a_state_of_other_worlds_is_refused():
    lanes = make_lanes()
    with pytest.raises(ConfigError, match="must have 2 worlds, got 3"):
        make_lanes(worlds=2).restore(lanes.state())
    with pytest.raises(ConfigError, match="bytes in an array, got"):
        make_lanes(lanes=5).restore(lanes.state())


def test_worlds_are_of_the_workloads():
    world = make_world(WORKLOADS, hetero_scenario(), 0.9, 2)
    assert world.simulation.jobs.shape == (2, 25)
    assert world.layout.window == 6
