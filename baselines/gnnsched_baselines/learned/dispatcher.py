"""Trained policies of Dispatch-v0: each arriving job joins the accelerator of its best-scored row.

`TrainedDispatcher` reads observations; `DispatchPlayer` decides for the lanes of a simulation from its cycles.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.actions import send_pairs
from gnnsched_baselines.decoding import Beliefs, expected_choices, given_table, jobs_present, read_beliefs
from gnnsched_baselines.learned import dispatch_kernels as kernels
from gnnsched_baselines.learned.dispatch_features import NUM_DISPATCH_FEATURES, DispatchFleet, dispatch_fleet
from gnnsched_baselines.learned.pair_network import DISPATCH, Network
from gnnsched_env.common.compiled import compiled_for
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import BoolArray, FloatArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout, decode_cycles, unflatten
from gnnsched_env.sim import Simulation
from gnnsched_env.tables import LatencyTable


class ArrivalReader:
    """Describes observations of Dispatch-v0 to a trained policy, one row for each open accelerator."""

    def __init__(self, layout: Layout, table: LatencyTable) -> None:
        if not layout.dispatch:
            raise ConfigError("a trained dispatcher is made for dispatch, not for queue")
        self.layout = layout
        self.fleet = dispatch_fleet(table)
        self._scratch = kernels.dispatch_scratch(layout.num_accelerators, 1)

    def describe(self, observation: Observation, mask: BoolArray) -> tuple[FloatArray, IntArray, IntArray]:
        """Return `rows` float32 [n, F], `owners` int64 [n] (accelerators) and `starts` int64 [L + 1] of L lanes.

        Lane i's rows are those from starts[i] to starts[i + 1], by accelerator.
        """
        lanes, fleet = len(mask), self.layout.num_accelerators
        rows = np.empty((lanes * fleet, NUM_DISPATCH_FEATURES), np.float32)
        owners, starts = np.empty(lanes * fleet, np.int64), np.zeros(lanes + 1, np.int64)
        _, told = read_arrivals(observation, mask, self.layout)
        count = kernels.describe_arrivals(*told, self.fleet, self._scratch, rows, owners, starts)
        return rows[:count], owners[:count], starts


class TrainedDispatcher:
    """Send the job to the accelerator of the highest score of a network, under the predicted best dataflow there."""

    name = "agent"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"dispatch"})
    choices = None

    def __init__(self, layout: Layout, *, table: LatencyTable | None, network: Network) -> None:
        """Make the policy for environments of a layout; `table` (of a job) holds the workload's predicted latencies.

        Raise ConfigError if the table is missing, the environment is not Dispatch-v0, or the network is for another.
        """
        table = given_table(self.name, table)
        if not layout.dispatch:
            raise ConfigError("a trained dispatcher is made for dispatch, not for queue")
        DISPATCH.check(network)
        self.layout = layout
        self.network = network
        self._fleet = dispatch_fleet(table)
        self._scratch = kernels.dispatch_scratch(layout.num_accelerators, len(network.b1))

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        beliefs, told = read_arrivals(observation, mask, self.layout)
        chosen = np.empty(len(mask), np.int64)
        kernels.dispatch_beliefs(*told, self._fleet, self.network.arrays, self._scratch, chosen)
        return send_pairs(self.layout, observation, mask, beliefs, (np.minimum(chosen, 0), np.maximum(chosen, 0)))


class DispatchPlayer:
    """Decides for the lanes of one simulation of Dispatch-v0 by a network's best score."""

    def __init__(self, simulation: Simulation, layout: Layout, fleet: DispatchFleet, network: Network | None) -> None:
        """Play a simulation by a network, or, for None, as `predictor_greedy` does."""
        if network is not None:
            DISPATCH.check(network)
        expected, best = expected_choices(simulation)
        shortest = np.take_along_axis(expected, best, axis=1).astype(np.float64)
        self.simulation = simulation
        self.actions = np.empty(len(simulation.lanes), np.int64)
        weights = DISPATCH.zeros(1).arrays if network is None else network.arrays
        known = (shortest, float(simulation.config.mean_down), fleet, network is None, weights)
        named = (best, layout.choose_dataflow)
        scratch = kernels.dispatch_scratch(layout.num_accelerators, len(weights[1]))
        self._arguments = (*known, *named, scratch, self.actions)
        self._decide = compiled_for(kernels.dispatch_state, *self._state, *self._arguments)

    def act(self) -> IntArray:
        """Return the action of each lane, int64 [L]; the next call writes to the same array."""
        self._decide(*self._state, *self._arguments)
        return self.actions

    @property
    def _state(self) -> tuple[NDArray[np.void], ...]:
        simulation = self.simulation
        return simulation.lanes, simulation.accelerators, simulation.queue


class Arrivals(NamedTuple):
    """What kernels read of L lanes' observations: their first six arguments."""

    latencies: NDArray[np.float64]  # [L, A]: cycles of the arriving job; 1 in a lane without one, which has ended
    waits: NDArray[np.float64]  # [L, A]: believed cycles until all that is queued at an accelerator is done
    jobs: IntArray  # [L, A]: running or queued there
    open: BoolArray  # [L, A]: may the job be sent there
    to_come: BoolArray  # [L]: are more jobs to come
    gap: NDArray[np.float64]  # [L]: recent gap between arrivals, cycles


def read_arrivals(observation: Observation, mask: BoolArray, layout: Layout) -> tuple[Beliefs, Arrivals]:
    """Return the beliefs, and what of them concerns the arriving jobs."""
    beliefs = read_beliefs(observation, mask, layout)
    latencies = np.where(beliefs.waiting[:, np.newaxis] > 0, beliefs.latencies[:, 0], 1.0)
    system = unflatten(observation, layout).system
    return beliefs, Arrivals(
        latencies=latencies,
        waits=beliefs.remaining,
        jobs=jobs_present(observation, layout),
        open=beliefs.open,
        to_come=system["to_come"] > 0,
        gap=decode_cycles(system["recent_gap"]),
    )
