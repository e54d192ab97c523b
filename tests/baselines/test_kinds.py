"""Policies decide on a fleet's kinds of accelerators as on all of its accelerators, action for action."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_baselines import make_policy
from gnnsched_baselines.learned.player import Player
from gnnsched_baselines.learned.trained_policy import ObservationReader, load_agent
from gnnsched_env.envs import EnvBatch, unflatten
from gnnsched_env.sim import SimulationSettings
from gnnsched_env.tables.kinds import accelerator_kinds
from tests import toys

PLANNING = ("min_min", "max_min", "sufferage", "predictor_greedy", "assignment", "agent:queue_hetero4")
POLICIES = ("sjf", "earliest_finish_wait", "index", *PLANNING)


def drawn(seed, longest, failing):
    """Return a batch of lanes with a fleet of few kinds in any order; with short latencies, much is equal."""
    rng = np.random.default_rng(seed)
    kinds, choices, fleet = int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.integers(12, 30))
    of_kinds = rng.integers(1, longest + 1, (8, kinds, choices))
    cycles = of_kinds[:, rng.integers(0, kinds, fleet)].reshape(8, -1)
    table = toys.table(cycles, owners=np.repeat(np.arange(fleet), choices), means=np.zeros(fleet * choices))
    chosen = SimulationSettings(
        mean_gap=float(cycles.mean() / fleet / rng.choice([0.7, 3.0])),
        unit=float(cycles.mean()),
        jobs=2 * fleet,
        window=int(rng.integers(1, 5)),
        choose_dataflow=bool(rng.integers(2)),
        **({"mean_up": 2.0 * longest, "mean_down": 1.0 * longest} if failing else {}),
    )
    batch = EnvBatch(table, chosen, lanes=16)
    batch.reset(range(16))
    return batch, rng


@given(st.integers(0, 1 << 32), st.sampled_from([3, 30, 100_000]), st.booleans())
@settings(deadline=None, max_examples=6)
def test_policies_decide_as_if_no_accelerators_were_equal(seed, longest, failing):
    batch, rng = drawn(seed, longest, failing)
    layouts = batch.layout, replace(batch.layout, kinds=())
    assert layouts[1].kinds_of.number == batch.layout.num_accelerators
    policies = [[make_policy(name, own, table=batch.table) for own in layouts] for name in POLICIES]
    readers = [ObservationReader(own, batch.table) for own in layouts]
    network, machines = load_agent("queue_hetero4")[0], readers[0].machines
    unequal = machines + 1e-15 * np.arange(len(machines))[:, np.newaxis]  # though not as float32
    players = [Player(batch.simulation, batch.layout, own, 9.0, network.arrays) for own in (machines, unequal)]
    while not batch.ended.any():
        for name, (merged, plain) in zip(POLICIES, policies, strict=True):
            actions = merged.act(batch.observation, batch.mask)
            np.testing.assert_array_equal(actions, plain.act(batch.observation, batch.mask), name)
        np.testing.assert_array_equal(*(player.act() for player in players))
        for one, other in zip(*(reader.describe(batch.observation, batch.mask)[1:] for reader in readers), strict=True):
            np.testing.assert_array_equal(one, other)
        batch.step(np.array([rng.choice(np.flatnonzero(mask)) for mask in batch.mask]))


def test_kinds_are_equal_in_all_that_is_known():
    table = toys.table([[4, 9, 4, 9, 4, 8, 9, 4]], owners=[0, 0, 1, 1, 2, 2, 3, 3], means=np.zeros(8))
    assert accelerator_kinds(table, np.zeros(4, np.int64)) == (0, 0, 1, 2)  # the order of choices counts
    assert accelerator_kinds(table, np.array([0, 7, 0, 0])) == (0, 1, 2, 3)
    assert accelerator_kinds(replace(table, mean_log_cycles=np.arange(8) / 8), np.zeros(4, np.int64)) == (0, 1, 2, 3)
    assert accelerator_kinds(replace(table, true_cycles=table.true_cycles + np.arange(8)), np.zeros(4, int))[1] == 0
    batch = EnvBatch(table, SimulationSettings(mean_gap=1.0, unit=1.0, jobs=3, window=2))
    batch.reset([0])
    shown = unflatten(batch.observation, batch.layout).latencies[0]
    assert batch.layout.kinds == (0, 0, 1, 2) and (shown[:, :2] == shown[:, 2:4]).all()
