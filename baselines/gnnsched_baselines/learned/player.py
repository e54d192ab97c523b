"""Reads the lanes of a simulation of Queue-v0 and decides for them, from its cycles instead of observations."""

from collections.abc import Callable, Hashable, Iterable

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.assignment_plan import JOB, new_places
from gnnsched_baselines.decoding import expected_choices
from gnnsched_baselines.equal_hardware import equal_choices, pooled
from gnnsched_baselines.learned import pair_kernels as kernels
from gnnsched_baselines.learned.pair_features import MACHINE, NUM_FEATURES, TYPICAL
from gnnsched_env.common.compiled import compiled_for
from gnnsched_env.common.policy import FloatArray, IntArray
from gnnsched_env.envs import Layout
from gnnsched_env.sim import Simulation
from gnnsched_env.sim.state import best_choices
from gnnsched_env.tables import LatencyTable
from gnnsched_env.tables.kinds import Kinds, counted, equal_columns


def fleet_kinds(machines: NDArray[np.float64], kinds: Iterable[Hashable], *, merged: bool) -> kernels.FleetKinds:
    """Return the kinds of accelerators of equal `kinds` [A] and equal typical latencies (`machine_features`).

    Where `merged`, those that are equal in all of their features are alike; else none are, and each has its rows.
    """
    machine_of = equal_columns(machines.T)
    typical_of = equal_columns(machines.T[MACHINE.typical :])
    found = Kinds(np.array(counted(zip(kinds, typical_of, strict=True)), np.int64))
    alike = counted(zip(found.of.tolist(), machine_of, strict=True)) if merged else range(len(machines))
    return kernels.FleetKinds(found.of, found.firsts, found.members, found.starts, np.array(alike, np.int64))


def most_rows(window: int, kinds: kernels.FleetKinds) -> int:
    """Return the most rows that are written for a lane: of accelerators with jobs planned on them, of those alike once.

    One row more is that of waiting.
    """
    return window * min(len(kinds.of), window + int(kinds.alike.max()) + 1) + 1


def context(pools: bool, fleet: int, total: int = 0) -> NDArray[np.void]:
    """Return the array into which the context of a lane of `fleet` accelerators is read.

    `total` is the number of jobs of an episode, which is asked for if the lane is a simulation's.
    What weights that pool (`Network.pools`) read differs in two ways from what others do. Of plans that cost the same,
    it is the one that starts short jobs sooner. And a single accelerator takes the shortest job, whatever the weights,
    and never idles while jobs wait: with arrivals that nobody foresees, nothing else gains anything there.
    """
    array = np.zeros(1, kernels.CONTEXT)
    array["alone"] = pools and fleet == 1
    array["shortest_first"] = pools
    array["total"] = total
    return array


def situation(
    window: int, kinds: kernels.FleetKinds, total: int, *, pools: bool = False
) -> tuple[NDArray[np.generic], ...]:
    """Return the arrays into which one lane's state is read; `total` and `pools` as of `context`."""
    fleet = len(kinds.of)
    return (
        np.empty((window, len(kinds.firsts))),
        np.empty(fleet),
        np.empty(fleet, np.bool_),
        context(pools, fleet, total),
    )


def scratch(window: int, kinds: kernels.FleetKinds) -> kernels.Scratch:
    """Return the scratch arrays in which one lane is planned and described."""
    fleet = len(kinds.of)
    near = int(np.minimum(np.diff(kinds.starts), window).sum())
    return kernels.Scratch(
        places=new_places(window, near),
        jobs=np.empty(window, JOB),
        lines=np.empty(fleet, kernels.LINE),
        planned=np.empty(window, kernels.PLANNED),
        logs=np.empty(kernels.log_room(most_rows(window, kinds), window, fleet)),
        sides=np.empty((2, window)),
        typical=np.empty((3, TYPICAL)),
        turns=np.empty(window, np.int64),
        near=np.empty(max(near, window), np.int64),
        kept=np.empty(fleet, np.bool_),
        near_latencies=np.empty((window, near)),
        near_remaining=np.empty(near),
        soonest=np.empty((len(kinds.firsts), 2)),
        seen=np.empty(fleet, np.int64),
    )


def row_actions(layout: Layout, pairs: IntArray) -> IntArray:
    """Return the actions int64 [n] of rows' `pairs` int64 [n, 2], if actions name slot and accelerator only."""
    slots, accelerators = pairs.T
    actions: IntArray = np.where(slots < 0, layout.wait_action, slots * layout.num_accelerators + accelerators)
    return actions


class Reader:
    """Describes the lanes of one simulation to a trained policy, as its observations would."""

    def __init__(
        self,
        simulation: Simulation,
        layout: Layout,
        machines: NDArray[np.float64],
        unit: float,
        *,
        groups: IntArray | None = None,
        merged: bool = False,
        pools: bool = False,
    ) -> None:
        """Read a simulation; with `merged`, rows that are equal may be written once (see `kernels.FleetKinds`).

        `groups`: the accelerators' `equal_hardware`, if latencies are pooled in `machines` and are to be here. `pools`:
        as of `context`.
        """
        lanes, fleet = simulation.accelerators.shape
        window = min(layout.window, simulation.jobs.shape[1])
        self.simulation = simulation
        self.layout = layout
        self.expected = expected_choices(simulation)
        shortest = np.take_along_axis(*self.expected, axis=1).astype(np.float64)
        shortest = shortest if groups is None else pooled(shortest, groups)
        kinds = fleet_kinds(machines, equal_columns(shortest), merged=merged)
        of_kinds = np.ascontiguousarray(shortest[:, kinds.firsts])
        known = (of_kinds, int(simulation.config.mean_down), machines, float(unit), kinds)
        state = situation(window, kinds, simulation.config.jobs, pools=pools)
        self.reading = (*known, state, scratch(window, kinds))  # what kernels read by
        self.most_rows = most_rows(window, kinds)
        self.order = np.empty(window * fleet + 1, np.int64)
        self.rows: FloatArray = np.empty((0, NUM_FEATURES), np.float32)
        self.pairs: IntArray = np.empty((0, 2), np.int64)
        self.starts: IntArray = np.zeros(lanes + 1, np.int64)
        self._describe: Callable[..., int] | None = None  # which is called often: it is looked up once

    def describe(self) -> int:
        """Write `rows`, `pairs` and `starts` int64 [L + 1] (lane i's rows begin at starts[i]); return their number."""
        simulation = self.simulation
        if len(self.pairs) == 0:
            room = len(simulation.lanes) * self.most_rows
            self.rows, self.pairs = np.empty((room, NUM_FEATURES), np.float32), np.empty((room, 2), np.int64)
        state = (simulation.lanes, simulation.accelerators, simulation.queue)
        written = (self.rows, self.pairs, self.order, self.starts)
        arguments = (*state, *self.reading, *written)
        if self._describe is None:
            self._describe = compiled_for(kernels.describe_state, *arguments)
        return int(self._describe(*arguments))


def _pooled_best(table: LatencyTable, expected: IntArray, groups: IntArray) -> IntArray:
    """Return int64 [C, A]: each class's best choice on each accelerator by `expected` cycles int64 [C, K], pooled."""
    cycles = pooled(expected.astype(np.float64), equal_choices(table, groups))
    return best_choices(np.rint(cycles).astype(np.int64), table.choice_accelerators, table.num_accelerators)


class Player:
    """Decides for the lanes of one simulation by a network's best score."""

    def __init__(
        self,
        simulation: Simulation,
        layout: Layout,
        machines: NDArray[np.float64],
        unit: float,
        weights: tuple[FloatArray, ...],
        *,
        groups: IntArray | None = None,
        pools: bool = False,
    ) -> None:
        self.reader = Reader(simulation, layout, machines, unit, groups=groups, merged=True, pools=pools)
        width, most = len(weights[1]), self.reader.most_rows
        expected, best = self.reader.expected
        best = best if groups is None else _pooled_best(simulation.table, expected, groups)
        self.actions = np.empty(len(simulation.lanes), np.int64)
        self._arguments = (
            *self.reader.reading,
            np.empty((most, NUM_FEATURES), np.float32),
            np.empty((most, 2), np.int64),
            self.reader.order,
            weights,
            np.empty((most, width), np.float32),
            np.empty((2, width), np.float32),
            np.empty(most, np.float32),
            best,
            layout.columns if layout.choose_dataflow else 0,
            layout.wait_action,
            self.actions,
        )
        self._decide = compiled_for(kernels.decide_state, *self._state, *self._arguments)

    def act(self) -> IntArray:
        """Return the action of each lane, int64 [L]; the next call writes to the same array."""
        self._decide(*self._state, *self._arguments)
        return self.actions

    @property
    def _state(self) -> tuple[NDArray[np.void], ...]:
        simulation = self.reader.simulation
        return simulation.lanes, simulation.accelerators, simulation.queue
