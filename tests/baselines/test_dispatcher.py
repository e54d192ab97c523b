"""Trained dispatchers: what they read, that they decide alike in every way, and their weights' files."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_baselines import make_policy
from gnnsched_baselines.learned import dispatch_kernels as kernels
from gnnsched_baselines.learned.dispatch_features import DISPATCH_FEATURES, DispatchFleet, dispatch_fleet
from gnnsched_baselines.learned.dispatcher import ArrivalReader, DispatchPlayer, TrainedDispatcher
from gnnsched_baselines.learned.pair_features import MACHINE, NUM_FEATURES, TYPICAL
from gnnsched_baselines.learned.pair_network import (
    DISPATCH,
    Network,
    initial_network,
    load_network,
    save_network,
    shapes,
)
from gnnsched_env.common.errors import ConfigError
from tests import toys
from tests.baselines.situations import batch
from tests.twins.dispatched import dispatch_rows

UNIT = 700.0


def random_network(seed=1, width=8):
    rng = np.random.default_rng(seed)
    arrays = {name: rng.normal(0, 0.5, shape) for name, shape in shapes(width, len(DISPATCH_FEATURES)).items()}
    return Network(**arrays)


@st.composite
def arrivals(draw):
    """Draw (latencies, waits, jobs, open, to_come, gap, fleet); completions differ, so that none ties."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    fleet = draw(st.integers(1, 6))
    latencies = 1.0 + np.exp(rng.normal(6.0, 2.0, fleet))
    free = rng.random(fleet) < draw(st.sampled_from([0.0, 0.4, 1.0]))
    waits = np.where(free, 0.0, np.exp(rng.normal(6.0, 2.0, fleet)))
    jobs = np.where(free, 0, rng.integers(1, 9, fleet))
    open_ones = rng.random(fleet) < 0.8
    open_ones[rng.integers(fleet)] = True
    typical = np.exp(rng.normal(6.0, 2.0, (fleet, TYPICAL)))
    machines = np.concatenate([rng.random((fleet, MACHINE.typical)), typical], axis=1)
    machines[:, MACHINE.rate], machines[:, MACHINE.spread] = 1 / 300.0, 0.5
    known = DispatchFleet(
        machines=machines,
        prices=np.maximum(machines[:, MACHINE.price], 0.02),
        shares=rng.random(fleet),
        typical=np.sort(machines[:, MACHINE.typical :].min(axis=0)),
        unit=UNIT,
    )
    return latencies, waits, jobs, open_ones, draw(st.booleans()), float(np.exp(rng.normal(5.0, 1.0))), known


@pytest.mark.kernels
@given(arrivals())
@settings(deadline=None)
def test_rows_agree_with_the_naive_ones(case):
    latencies, waits, jobs, open_ones, to_come, gap, fleet = case
    count = len(latencies)
    rows, owners = np.empty((count, len(DISPATCH_FEATURES)), np.float32), np.empty(count, np.int64)
    starts = np.zeros(2, np.int64)
    one = (latencies, waits, jobs, open_ones, np.array(to_come), np.array(gap))
    told = tuple(np.asarray(value)[np.newaxis] for value in one)
    found = kernels.describe_arrivals(*told, fleet, kernels.dispatch_scratch(count, 1), rows, owners, starts)
    expected = dispatch_rows(
        latencies.tolist(), waits.tolist(), jobs.tolist(), open_ones.tolist(), to_come=to_come, gap=gap,
        machines=fleet.machines.tolist(), shares=fleet.shares.tolist(), unit=UNIT,
    )  # fmt: skip
    assert starts.tolist() == [0, found] and owners[:found].tolist() == [a for _, a in expected]
    values = np.array([[row[name] for name in DISPATCH_FEATURES] for row, _ in expected])
    np.testing.assert_allclose(rows[:found], values, rtol=1e-5, atol=1e-5)


def world(noise=0.0, **options):
    table = replace(toys.random_table(np.random.default_rng(3)), noise=noise)
    return batch(table, dispatch=True, jobs=40, **options)


@pytest.mark.parametrize(("choose_dataflow", "noise"), [(True, 0.0), (False, 0.0), (True, 0.5)])
def test_the_player_decides_as_the_policy_and_as_numpy(choose_dataflow, noise):
    made = world(noise, choose_dataflow=choose_dataflow)
    network = random_network()
    policy = TrainedDispatcher(made.layout, table=made.table, network=network)
    player = DispatchPlayer(made.simulation, made.layout, dispatch_fleet(made.table), network)
    reader = ArrivalReader(made.layout, made.table)
    taken = set()
    while not made.ended.any():
        actions = policy.act(made.observation, made.mask)
        np.testing.assert_array_equal(actions, player.act())
        rows, owners, starts = reader.describe(made.observation, made.mask)
        scores = network.scores(rows, starts)
        best = [owners[first + scores[first:stop].argmax()] for first, stop in pairwise(starts)]
        np.testing.assert_array_equal(made.layout.column_accelerators[actions], best)
        taken |= set(actions.tolist())
        made.step(actions)
    assert len(taken) > 1


def test_the_player_without_a_network_does_what_predictor_greedy_does():
    made = world(load=1.2)
    greedy = DispatchPlayer(made.simulation, made.layout, dispatch_fleet(made.table), None)
    only_prior = initial_network(8, np.random.default_rng(0), prior=0.1, inputs=DISPATCH)
    players = (greedy, DispatchPlayer(made.simulation, made.layout, dispatch_fleet(made.table), only_prior))
    reference = make_policy("predictor_greedy", made.layout)
    while not made.ended.any():
        expected = reference.act(made.observation, made.mask)
        for player in players:
            np.testing.assert_array_equal(player.act(), expected)
        made.step(expected)


def test_the_initial_network_minds_completion_and_what_it_delays():
    made = world(load=1.2)
    fleet, reader = dispatch_fleet(made.table), ArrivalReader(made.layout, made.table)
    network = initial_network(8, np.random.default_rng(0), prior=1e-6, slope=1.0, inputs=DISPATCH)
    player = DispatchPlayer(made.simulation, made.layout, fleet, network)
    cost, greedy = (DISPATCH_FEATURES.index(name) for name in ("over_cheapest", "greedy_action"))
    others = 0
    while not made.ended.any():
        rows, owners, starts = reader.describe(made.observation, made.mask)
        best = [first + rows[first:stop, cost].argmin() for first, stop in pairwise(starts)]
        actions = player.act().copy()
        np.testing.assert_array_equal(made.layout.column_accelerators[actions], owners[best])
        others += int((rows[best, greedy] == 0).sum())
        made.step(actions)
    assert others > 3


def test_failed_accelerators_get_no_jobs():
    made = world(load=0.9, settings={"mean_up": 8_000.0, "mean_down": 6_000.0})
    policy = TrainedDispatcher(made.layout, table=made.table, network=random_network())
    player = DispatchPlayer(made.simulation, made.layout, dispatch_fleet(made.table), policy.network)
    down = 0
    while not made.ended.any():
        actions = policy.act(made.observation, made.mask)
        np.testing.assert_array_equal(actions, player.act())
        assert made.mask[np.arange(len(actions)), actions].all()
        down += int((~made.mask).any())
        made.step(actions)
    assert down > 5


def test_shares_are_of_the_jobs_that_are_cheapest_there():
    table = toys.table([[10, 40, 20], [80, 10, 10]], owners=[0, 1, 1], weights=[3.0, 1.0])
    fleet = dispatch_fleet(table)
    np.testing.assert_allclose(fleet.shares, [2 * 0.75, 2 * 0.25])
    np.testing.assert_array_equal(fleet.typical, [10.0] * TYPICAL)
    np.testing.assert_array_equal(fleet.prices, np.maximum(0.02, fleet.machines[:, MACHINE.price]))


def test_weights_are_for_one_environment(tmp_path):
    made = world()
    network = random_network()
    save_network(tmp_path / "own.npz", network, {"hours": 0.5}, DISPATCH)
    found, card = load_network(tmp_path / "own.npz")
    assert all(np.array_equal(one, other) for one, other in zip(network.arrays, found.arrays, strict=True))
    assert card["environment"] == "dispatch" and card["features"] == list(DISPATCH_FEATURES)
    policy = make_policy(f"agent:{tmp_path / 'own.npz'}", made.layout, table=made.table)
    assert isinstance(policy, TrainedDispatcher)
    queue = batch(made.table, dispatch=False)
    with pytest.raises(ConfigError, match="made for dispatch, not for queue"):
        make_policy(f"agent:{tmp_path / 'own.npz'}", queue.layout, table=queue.table)
    with pytest.raises(ConfigError, match="must be weights for queue, got weights for dispatch"):
        make_policy(f"lookahead:{tmp_path / 'own.npz'}", queue.layout, table=queue.table)
    with pytest.raises(ConfigError, match="table"):
        TrainedDispatcher(made.layout, table=None, network=network)
    with pytest.raises(ConfigError, match="made for dispatch, not for queue"):
        TrainedDispatcher(queue.layout, table=queue.table, network=network)
    with pytest.raises(ConfigError, match=f"must read the 35 features of dispatch, got {NUM_FEATURES}"):
        TrainedDispatcher(made.layout, table=made.table, network=initial_network(2, np.random.default_rng(0)))
    with pytest.raises(ConfigError, match=f"must read the {NUM_FEATURES} features of queue, got 35"):
        save_network(tmp_path / "own.npz", network, {})
