"""Reads the lanes of a simulation of Queue-v0 and decides for them, from its cycles instead of observations."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.assignment import JOB, PLACE
from gnnsched_baselines.learned import pair_kernels as kernels
from gnnsched_baselines.learned.pair_features import NUM_FEATURES, TYPICAL
from gnnsched_env.common.policy import FloatArray, IntArray
from gnnsched_env.envs import Layout
from gnnsched_env.sim import Simulation


def scratch(window: int, fleet: int) -> tuple[NDArray[np.generic], ...]:
    """Return the scratch arrays in which one lane's state is read and planned."""
    return (
        np.empty((window, fleet)),
        np.empty(fleet),
        np.empty(fleet, np.bool_),
        np.zeros(1, kernels.CONTEXT),
        np.empty(window + fleet, PLACE),
        np.empty(window, JOB),
        np.empty(fleet, kernels.LINE),
        np.empty(window, kernels.PLANNED),
        np.empty(kernels.log_room(window, fleet)),
        np.empty((2, window)),
        np.empty((3, TYPICAL)),
    )


def row_actions(layout: Layout, pairs: IntArray) -> IntArray:
    """Return the actions int64 [n] of rows' `pairs` int64 [n, 2], if actions name slot and accelerator only."""
    slots, accelerators = pairs.T
    actions: IntArray = np.where(slots < 0, layout.wait_action, slots * layout.num_accelerators + accelerators)
    return actions


class Reader:
    """Describes the lanes of one simulation to a trained policy, as its observations would."""

    def __init__(self, simulation: Simulation, layout: Layout, machines: NDArray[np.float64], unit: float) -> None:
        lanes, fleet = simulation.accelerators.shape
        window = min(layout.window, simulation.jobs.shape[1])
        self.simulation = simulation
        self.layout = layout
        shortest = np.take_along_axis(simulation.predicted, simulation.best_choices, axis=1).astype(np.float64)
        self.situation = scratch(window, fleet)
        self.tables = (shortest, int(simulation.config.mean_down), machines, float(unit))
        self.most_rows = window * fleet + 1
        self.rows: FloatArray = np.empty((0, NUM_FEATURES), np.float32)
        self.pairs: IntArray = np.empty((0, 2), np.int64)
        self.starts: IntArray = np.zeros(lanes + 1, np.int64)

    def describe(self) -> int:
        """Write `rows`, `pairs` and `starts` int64 [L + 1] (lane i's rows begin at starts[i]); return their number."""
        simulation = self.simulation
        lanes = len(simulation.lanes)
        if len(self.rows) == 0:
            self.rows = np.empty((lanes * self.most_rows, NUM_FEATURES), np.float32)
            self.pairs = np.empty((lanes * self.most_rows, 2), np.int64)
        state = (simulation.lanes, simulation.accelerators, simulation.queue)
        return int(kernels.describe_state(*state, *self.tables, self.situation, self.rows, self.pairs, self.starts))


class Player:
    """Decides for the lanes of one simulation by a network's best score."""

    def __init__(
        self,
        simulation: Simulation,
        layout: Layout,
        machines: NDArray[np.float64],
        unit: float,
        weights: tuple[FloatArray, ...],
    ) -> None:
        self.reader = Reader(simulation, layout, machines, unit)
        width, most = len(weights[1]), self.reader.most_rows
        self.weights = weights
        self._rows = np.empty((most, NUM_FEATURES), np.float32)
        self._pairs = np.empty((most, 2), np.int64)
        self._network = (
            np.empty((most, width), np.float32), np.empty((2, width), np.float32), np.empty(most, np.float32)
        )  # fmt: skip
        self._named = (simulation.best_choices, layout.columns if layout.choose_dataflow else 0, layout.wait_action)
        self.actions = np.empty(len(simulation.lanes), np.int64)

    def act(self) -> IntArray:
        """Return the action of each lane, int64 [L]; the next call writes to the same array."""
        reader = self.reader
        simulation = reader.simulation
        kernels.decide_state(
            simulation.lanes, simulation.accelerators, simulation.queue, *reader.tables, reader.situation,
            self._rows, self._pairs, self.weights, *self._network, *self._named, self.actions,
        )  # fmt: skip
        return self.actions
