"""Trained policies, from weights shipped with the package or from a user's file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.actions import send_pairs
from gnnsched_baselines.decoding import Beliefs, given_table, read_beliefs
from gnnsched_baselines.equal_hardware import equal_choices, pooled
from gnnsched_baselines.learned import pair_kernels as kernels
from gnnsched_baselines.learned.pair_features import NUM_FEATURES, known_machines
from gnnsched_baselines.learned.pair_network import QUEUE, Network, load_network
from gnnsched_baselines.learned.player import context, fleet_kinds, most_rows, scratch
from gnnsched_env.common.errors import ConfigError, did_you_mean
from gnnsched_env.common.policy import BoolArray, FloatArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout, decode_counts, decode_cycles, unflatten
from gnnsched_env.tables import LatencyTable

WEIGHTS = Path(__file__).with_name("weights")


class ObservationReader:
    """Describes observations of Queue-v0 to a trained policy, one row for each legal pair and one for waiting."""

    def __init__(self, layout: Layout, table: LatencyTable, *, pools: bool = False) -> None:
        """Describe observations of a layout; with `pools`, latencies on equal hardware are pooled (`Network.pools`)."""
        _check_queue(layout)
        self.layout = layout
        self.groups, self.machines = known_machines(table, pools=pools)
        self.equal_choices = None if self.groups is None else equal_choices(table, self.groups)
        self.unit = float(table.mean_shortest_predicted)
        self.kinds = fleet_kinds(self.machines, _kinds(layout, self.groups), merged=False)
        self._scratch = scratch(layout.window, self.kinds)
        self._context = context(pools, layout.num_accelerators)
        self._order = np.empty(layout.window * layout.num_accelerators + 1, np.int64)

    def describe(self, observation: Observation, mask: BoolArray) -> tuple[Beliefs, FloatArray, IntArray, IntArray]:
        """Return the beliefs, `rows` float32 [n, F], `pairs` int64 [n, 2] and `starts` int64 [L + 1] of L lanes.

        Lane i's rows are those from starts[i] to starts[i + 1]; a pair is (slot, accelerator), slot -1 waits.
        """
        beliefs = read_beliefs(observation, mask, self.layout)
        lanes, shown, _ = beliefs.of_kinds.shape
        most = int((beliefs.waiting * beliefs.open.sum(axis=1) + 1).sum())
        rows = np.empty((most + shown * self.layout.num_accelerators + 1, NUM_FEATURES), np.float32)
        pairs = np.empty((len(rows), 2), np.int64)
        starts = np.zeros(lanes + 1, np.int64)
        told = _told(beliefs, observation, mask, self.layout, self.groups, self.kinds)
        known = (self._context, self.machines, self.unit, self.kinds, self._scratch)
        count = kernels.describe_beliefs(*told, *known, rows, pairs, self._order, starts)
        return beliefs, rows[:count], pairs[:count], starts


class TrainedPolicy:
    """Take the legal pair, or wait, by the highest score of a network (`pair_network.Network`)."""

    name = "agent"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"queue"})
    choices = None

    def __init__(self, layout: Layout, *, table: LatencyTable | None, network: Network) -> None:
        """Make the policy for environments of a layout; `table` (of a job) holds the workload's predicted latencies.

        Raise ConfigError if the table is missing or the environment is not Queue-v0.
        """
        table = given_table(self.name, table)
        _check_queue(layout)
        QUEUE.check(network)
        self.layout = layout
        self.network = network
        self._weights = network.read
        self._groups, machines = known_machines(table, pools=network.pools)
        kinds = fleet_kinds(machines, _kinds(layout, self._groups), merged=True)
        self._kinds = kinds
        self._equal_choices = None if self._groups is None else equal_choices(table, self._groups)
        unit = float(table.mean_shortest_predicted)
        own = context(network.pools, layout.num_accelerators)
        self._known = (own, machines, unit, kinds, scratch(layout.window, kinds))
        most, width = most_rows(layout.window, kinds), len(network.b1)
        self._written = (
            np.empty((most, NUM_FEATURES), np.float32),
            np.empty((most, 2), np.int64),
            np.empty(layout.window * layout.num_accelerators + 1, np.int64),
        )
        self._scratch = (
            np.empty((most, width), np.float32),
            np.empty((2, width), np.float32),
            np.empty(most, np.float32),
        )

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        beliefs = read_beliefs(observation, mask, self.layout)
        told = _told(beliefs, observation, mask, self.layout, self._groups, self._kinds)
        slots = np.empty(len(mask), np.int64)
        accelerators = np.empty(len(mask), np.int64)
        kernels.decide_beliefs(*told, *self._known, *self._written, self._weights, *self._scratch, slots, accelerators)
        return send_pairs(self.layout, observation, mask, beliefs, (slots, accelerators), self._equal_choices)


def _check_queue(layout: Layout) -> None:
    if layout.dispatch:
        raise ConfigError("trained policies are made for queue, not for dispatch")


def _kinds(layout: Layout, groups: IntArray | None) -> tuple[int, ...]:
    return layout.kinds if groups is None else tuple(groups.tolist())


def _told(
    beliefs: Beliefs,
    observation: Observation,
    mask: BoolArray,
    layout: Layout,
    groups: IntArray | None,
    kinds: kernels.FleetKinds,
) -> tuple[NDArray[Any], ...]:
    """Return what kernels read of L lanes' observations: their first eight arguments."""
    of_kinds = beliefs.of_kinds if groups is None else pooled(beliefs.latencies, groups)[:, :, kinds.firsts]
    system = unflatten(observation, layout).system
    behind, to_come = (decode_counts(system[name], layout.window) for name in ("behind", "count_to_come"))
    return (
        np.ascontiguousarray(of_kinds), beliefs.remaining, beliefs.open, beliefs.waiting, behind,
        mask[:, layout.wait_action], to_come, decode_cycles(system["recent_gap"]),
    )  # fmt: skip


def shipped_agents(environment: str = "") -> tuple[str, ...]:
    """Return the names of the trained policies that ship with the package, which begin with their environment."""
    return tuple(sorted(path.stem for path in WEIGHTS.glob(f"{environment}*.npz")))


def load_agent(name: str) -> tuple[Network, Mapping[str, Any]]:
    """Return the network and the card of a shipped trained policy, by name, or of an .npz file of weights, by path."""
    if name.endswith(".npz"):
        return load_network(Path(name))
    known = shipped_agents()
    if name not in known:
        expected = f"one of {', '.join(known)}, or the path of an .npz file"
        raise ConfigError(f"unknown agent {name!r}{did_you_mean(name, known)} ({expected})")
    return load_network(WEIGHTS / f"{name}.npz")
