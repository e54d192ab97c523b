"""Plays simulations to their ends under `assignment`, reading the simulation's cycles instead of observations."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.actions import NOBODY
from gnnsched_baselines.assignment import DEFAULT_C
from gnnsched_baselines.assignment_plan import first_in_line
from gnnsched_baselines.decoding import expected_choices
from gnnsched_env.common.compiled import kernel
from gnnsched_env.common.policy import BoolArray, IntArray
from gnnsched_env.envs import Layout
from gnnsched_env.sim import Simulation
from gnnsched_env.sim.records import NEVER, RecordArray


def play_out(simulation: Simulation, layout: Layout, first_actions: IntArray, *, c: float = DEFAULT_C) -> None:
    """Take `first_actions` int64 [L], then decide as `assignment` with `c` does, until every lane has ended."""
    simulation.step(first_actions)
    simulation.play(AssignmentPlayer(simulation, layout, c=c).actions)


class AssignmentPlayer:
    """Decides as `assignment` does for the lanes of one simulation (of Queue-v0)."""

    def __init__(self, simulation: Simulation, layout: Layout, *, c: float = DEFAULT_C) -> None:
        lanes, fleet = simulation.accelerators.shape
        self.simulation = simulation
        self.layout = layout
        self.c = float(c)
        expected, self.best_choices = expected_choices(simulation)
        self.shortest = np.take_along_axis(expected, self.best_choices, axis=1).astype(np.float64)
        self.latencies = np.empty((lanes, min(layout.window, simulation.jobs.shape[1]), fleet))
        self.remaining = np.empty((lanes, fleet))
        self.idle = np.empty((lanes, fleet), np.bool_)
        self.waiting = np.empty(lanes, np.int64)
        self._slots = np.empty(lanes, np.int64)
        self._accelerators = np.zeros(lanes, np.int64)
        self._actions = np.empty(lanes, np.int64)

    def actions(self) -> IntArray:
        """Return an action for each lane, int64 [L]; the next call writes to the same array."""
        lanes, accelerators, queue = self.simulation.lanes, self.simulation.accelerators, self.simulation.queue
        situation = (self.latencies, self.remaining, self.idle, self.waiting)
        repair = int(self.simulation.config.mean_down)
        read_situations(lanes, accelerators, queue, self.shortest, repair, *situation)
        self._slots[:] = NOBODY
        first_in_line(*situation, self.c, self._slots, self._accelerators)
        columns = self.layout.columns if self.layout.choose_dataflow else 0
        pairs = (self._slots, self._accelerators)
        start_where_waiting_is_illegal(lanes, self.latencies, self.idle, self.waiting, *pairs)
        name_actions(lanes, queue, self.best_choices, columns, self.layout.wait_action, *pairs, self._actions)
        return self._actions


@kernel
def read_situations(
    lanes: RecordArray,
    accelerators: RecordArray,
    queue: RecordArray,
    shortest: NDArray[np.float64],
    repair: int,
    latencies: NDArray[np.float64],
    remaining: NDArray[np.float64],
    idle: BoolArray,
    waiting: IntArray,
) -> None:
    """Write the inputs of `assignment` (the last four arguments).

    `shortest` float64 [C, A] are predicted cycles; `repair` is the believed time until a failed accelerator is up.
    """
    for i in range(len(lanes)):
        lane: Any = lanes[i]
        waiting[i] = 0 if lane["ended"] else min(lane["waiting"], latencies.shape[1])
        for w in range(waiting[i]):
            job_class = queue[i, lane["head"] + w]["job_class"]
            for a in range(shortest.shape[1]):
                latencies[i, w, a] = shortest[job_class, a]
        for a in range(shortest.shape[1]):
            accelerator: Any = accelerators[i, a]
            idle[i, a] = accelerator["up"] and accelerator["job"] < 0
            remaining[i, a] = 0.0 if accelerator["up"] else repair
            if accelerator["job"] >= 0:
                remaining[i, a] = max(0, accelerator["believed_finish"] - lane["time"])


@kernel
def start_where_waiting_is_illegal(
    lanes: RecordArray,
    latencies: NDArray[np.float64],
    idle: BoolArray,
    waiting: IntArray,
    slots: IntArray,
    owners: IntArray,
) -> None:
    """Start the shortest possible pair in a lane that would wait although nothing runs and no job is to arrive."""
    for i in range(len(lanes)):
        lane: Any = lanes[i]
        if slots[i] >= 0 or lane["next_ready"] < NEVER or lane["running"] > 0:
            continue
        shortest = np.inf
        for w in range(waiting[i]):
            for a in range(latencies.shape[2]):
                if idle[i, a] and latencies[i, w, a] < shortest:
                    shortest, slots[i], owners[i] = latencies[i, w, a], w, a


@kernel
def name_actions(
    lanes: RecordArray,
    queue: RecordArray,
    best_choices: NDArray[np.int64],
    columns: int,
    wait: int,
    slots: IntArray,
    owners: IntArray,
    actions: IntArray,
) -> None:
    """Write the action that starts each lane's slot on its accelerator; `columns` is 0 where it names no dataflow."""
    for i in range(len(lanes)):
        if slots[i] < 0:
            actions[i] = wait
        elif columns > 0:
            job_class = queue[i, lanes[i]["head"] + slots[i]]["job_class"]
            actions[i] = slots[i] * columns + best_choices[job_class, owners[i]]
        else:
            actions[i] = slots[i] * best_choices.shape[1] + owners[i]
