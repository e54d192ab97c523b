"""Latencies of equal hardware: pooled where predictions differ, left alone where they do not."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_baselines.equal_hardware import equal_hardware, pooled, shortest_predicted
from gnnsched_baselines.learned import pair_kernels as kernels
from gnnsched_baselines.learned.pair_features import COLUMN, MACHINE, NUM_FEATURES, machine_features
from gnnsched_baselines.learned.pair_network import Network, initial_network
from gnnsched_baselines.learned.player import Player, Reader, context, fleet_kinds, scratch
from gnnsched_baselines.learned.trained_policy import ObservationReader, TrainedPolicy, load_agent
from gnnsched_env.envs.construction import make_batch
from gnnsched_env.envs.env_batch import EnvBatch
from gnnsched_env.scenario import load_scenario, scenario_table
from gnnsched_env.sim import SimulationSettings
from gnnsched_env.tables.shrinkage import expected_cycles
from tests import toys

WRONG = load_scenario("flexible4").with_options(prediction_error=0.3, jobs=40, load=0.9, window=8)
# Features that do not depend on which of equal accelerators a plan takes.
OF_NO_PLAN = [COLUMN.regret, COLUMN.over_shortest, COLUMN.over_shortest_pair, COLUMN.over_soonest, COLUMN.rank_here]

SETTINGS = SimulationSettings(mean_gap=50.0, unit=40.0, jobs=30, window=6)


def reads_alike():
    """Return a network that deviates from the plan, and reads the feature that came with pooling."""
    network = initial_network(4, np.random.default_rng(0), prior=0.3)
    return replace(network, w3=np.full(4, 0.4, np.float32))


def test_equal_accelerators_are_pooled_if_they_are_predicted_apart():
    wrong = scenario_table(WRONG)
    assert equal_hardware(wrong).tolist() == [0, 0, 0, 0]
    assert equal_hardware(scenario_table(load_scenario("flexible4"))) is None
    assert equal_hardware(scenario_table(load_scenario("hetero4").with_options(prediction_error=0.3))) is None
    assert equal_hardware(replace(wrong, pair_keys=())) is None


def test_the_mean_is_geometric_and_errs_less():
    latencies = np.array([[2.0, 8.0, 5.0], [3.0, 3.0, 7.0], [np.inf, np.inf, np.inf]])
    found = pooled(latencies, np.array([0, 0, 1]))
    np.testing.assert_allclose(found, [[4.0, 4.0, 5.0], [3.0, 3.0, 7.0], [np.inf] * 3])
    assert np.array_equal(found[1], latencies[1])
    assert pooled(np.array([[0.0, 5.0]]), np.array([0, 0])).tolist() == [[0.0, 0.0]]  # a slot without a job, no warning
    wrong, right = (shortest_predicted(scenario_table(s)) for s in (WRONG, WRONG.with_options(prediction_error=1e-9)))
    errors = [np.log(given / right).std() for given in (wrong, pooled(wrong, np.zeros(4, np.int64)))]
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.15)  # four of them


def test_features_of_equal_accelerators_are_equal():
    table = scenario_table(WRONG)
    machines = machine_features(table, equal_hardware(table))
    others = np.arange(machines.shape[1]) != MACHINE.preferred  # of equal accelerators, the first is preferred
    assert (machines == machines[0])[:, others].all() and machines[0, MACHINE.alike] == 1.0
    assert len(np.unique(machine_features(table)[:, MACHINE.slowness])) == 4


def test_observations_are_pooled_as_the_state_is():
    batch = make_batch(WRONG, dispatch=False, lanes=6, options={"dataflow": "predicted_best"}).batch
    network = reads_alike()
    assert network.pools
    groups, unit = equal_hardware(batch.table), float(batch.table.mean_shortest_predicted)
    machines = machine_features(batch.table, groups)
    reader = Reader(batch.simulation, batch.layout, machines, unit, groups=groups, pools=True)
    player = Player(batch.simulation, batch.layout, machines, unit, network.read, groups=groups, pools=True)
    observed = ObservationReader(batch.layout, batch.table, pools=True)
    policy = TrainedPolicy(batch.layout, table=batch.table, network=network)
    batch.reset(range(6))
    rows_seen, agreed = 0, []
    while not batch.ended.any():
        count = reader.describe()
        _, rows, pairs, starts = observed.describe(batch.observation, batch.mask)
        np.testing.assert_array_equal(starts, reader.starts)
        np.testing.assert_allclose(rows[:, COLUMN.regret][pairs[:, 0] >= 0], 0.0, atol=1e-6)
        np.testing.assert_array_equal(pairs, reader.pairs[:count])
        np.testing.assert_allclose(rows[:, OF_NO_PLAN], reader.rows[:count, OF_NO_PLAN], atol=2e-3)
        rows_seen += count
        actions = policy.act(batch.observation, batch.mask)
        agreed.append((actions == player.act()).mean())
        batch.step(actions)
    assert rows_seen > 300 and np.mean(agreed) > 0.9999


def test_weights_from_before_see_predictions_as_they_are():
    network = load_agent("queue_big_little")[0]
    assert network.pools
    arrays = {name: getattr(network, name).copy() for name in network.__dataclass_fields__}
    arrays["w1"][COLUMN.alike] = arrays["skip"][COLUMN.alike] = 0.0
    assert not Network(**arrays).pools
    skip = arrays["skip"].copy()
    skip[COLUMN.alike] = 0.1
    assert Network(**{**arrays, "skip": skip}).pools


def test_the_dataflow_is_the_best_of_the_pooled_latencies():
    batch = make_batch(WRONG, dispatch=False, lanes=4).batch
    table, network = batch.table, reads_alike()
    groups, unit = equal_hardware(table), float(table.mean_shortest_predicted)
    machines = machine_features(table, groups)
    policy = TrainedPolicy(batch.layout, table=table, network=network)
    player = Player(batch.simulation, batch.layout, machines, unit, network.read, groups=groups, pools=True)
    flows = np.array([name.split("/")[1] for name in table.choice_names])
    expected = expected_cycles(table)
    mean = {flow: np.log(expected[:, flows == flow]).mean(axis=1) for flow in dict.fromkeys(flows)}
    best = np.array([*mean])[np.argmin([*mean.values()], axis=0)]  # the dataflow of each class
    batch.reset(range(4))
    started = 0
    while not batch.ended.any():
        actions = policy.act(batch.observation, batch.mask)
        for name in (actions, player.act()):
            for lane, action in enumerate(name.tolist()):
                slot, choice = divmod(action, batch.layout.columns)
                if action != batch.layout.wait_action:
                    record = batch.simulation.queue[lane, batch.simulation.lanes[lane]["head"] + slot]
                    assert flows[choice] == best[record["job_class"]]
                    started += 1
        batch.step(actions)
    assert started > 100


@pytest.mark.parametrize("pools", [True, False])
def test_a_single_accelerator_takes_the_shortest_job_and_never_idles(pools):
    """Whatever weights that came with pooling say; those from before may wait, and take the longest."""
    patient = initial_network(4, np.random.default_rng(0), prior=0.0)
    skip = patient.skip.copy()
    skip[COLUMN.wait], skip[COLUMN.over_shortest], skip[COLUMN.alike] = 0.1, 1.0, 1e-6 * pools
    w1 = patient.w1.copy()
    w1[COLUMN.alike] = 0.0
    patient = replace(patient, skip=skip, w1=w1)
    batch = EnvBatch(toys.table([[10], [40], [90]], owners=[0]), SETTINGS, lanes=3)
    policy = TrainedPolicy(batch.layout, table=batch.table, network=patient)
    machines = machine_features(batch.table)
    unit = float(batch.table.mean_shortest_predicted)
    player = Player(batch.simulation, batch.layout, machines, unit, patient.read, pools=pools)
    batch.reset(range(3))
    waits = longer = 0
    while not batch.ended.any():
        actions = policy.act(batch.observation, batch.mask)
        np.testing.assert_array_equal(actions, player.act())
        for lane, slot in enumerate(actions.tolist()):  # classes are in the order of their latencies
            state = batch.simulation.lanes[lane]
            classes = batch.simulation.queue["job_class"][lane, state["head"] :][: min(6, state["waiting"])]
            waits += slot == batch.layout.wait_action
            longer += slot != batch.layout.wait_action and classes[slot] > classes.min()
        batch.step(actions)
    assert (waits == 0) == (longer == 0) == pools


def planned_job(latencies, remaining, idle, pools):
    """Return which job the plan starts, as the rows of a fleet of equal accelerators tell; `latencies` float64 [n]."""
    jobs, fleet = len(latencies), len(remaining)
    machines = np.ones((fleet, MACHINE.typical + 1))
    kinds = fleet_kinds(machines, [0] * fleet, merged=False)
    most = jobs * fleet + 1
    rows, pairs = np.empty((most, NUM_FEATURES), np.float32), np.empty((most, 2), np.int64)
    told = (latencies[np.newaxis, :, np.newaxis], remaining[np.newaxis], idle[np.newaxis], np.array([jobs]))
    flags = (np.array([0]), np.array([True]), np.array([1]), np.array([30.0]))
    known = (context(pools, fleet), machines, 40.0, kinds, scratch(jobs, kinds))
    written = (rows, pairs, np.empty(most, np.int64), np.zeros(2, np.int64))
    count = kernels.describe_beliefs(*told, *flags, *known, *written)
    (planned,) = np.flatnonzero(rows[:count, COLUMN.planned_action])
    return pairs[planned, 0]


def test_of_plans_that_cost_the_same_one_starts_the_shortest_job():
    """One of several equal accelerators is idle, and none gets two jobs: which one it gets changes no plan's cost."""
    rng = np.random.default_rng(0)
    others = {True: 0, False: 0}
    for _ in range(200):
        jobs = int(rng.integers(2, 6))
        fleet = jobs + int(rng.integers(0, 5))
        latencies, idle = np.exp(rng.normal(11.0, 1.0, jobs)), np.arange(fleet) == rng.integers(fleet)
        remaining = np.where(idle, 0.0, np.exp(rng.normal(11.0, 1.0, fleet)))
        for pools in others:
            others[pools] += planned_job(latencies, remaining, idle, pools) != latencies.argmin()
    assert others[True] == 0 < 20 < others[False]
