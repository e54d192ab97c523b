"""Writes the observation "pairs", compiled over a batch of lanes: a row of features for each action.

`spaces.PairFields` says what the features mean. What follows from a class and a column alone is worked out once
(`PairTables`). Rows hold beliefs only: predicted latencies, and the times at which running jobs are believed to finish.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import bare_kernel, compiled_for, inlined
from gnnsched_env.common.policy import BoolArray, FloatArray
from gnnsched_env.envs.encoder import NEVER, State
from gnnsched_env.envs.spaces import PAIR, PAIR_BOUND, PAIR_FIELDS, Layout
from gnnsched_env.sim import Capacity, Simulation

WIDTH = len(PAIR_FIELDS)
JOB_WIDTH = PAIR.best_work - PAIR.age + 1
HALF_COUNT = 8.0  # a count n is shown as n / (n + 8)
MOST_LOAD = 2.0


class PairTables(NamedTuple):
    """What the predictions say, times in cycles: by class and column of an action, by accelerator, of the fleet."""

    cycles: NDArray[np.int64]  # [C, columns]: predicted latency
    regrets: NDArray[np.float64]  # [C, columns]: predicted latency over the smallest one
    choices: NDArray[np.int64]  # [C, columns]: the choice that the column means
    fixed: FloatArray  # [C, columns x 3]: the features latency, regret, energy
    smallest: NDArray[np.int64]  # [C, A]: smallest predicted latency on each accelerator
    owners: NDArray[np.int64]  # [columns]: each column's accelerator
    prices: FloatArray  # [A]: the feature price
    switching: NDArray[np.int64]  # [A]: time to change the dataflow
    scale: float  # mean services a cycle
    capacity: float  # the fleet's largest sustainable rate, jobs a cycle


class PairScratch(NamedTuple):
    """Scratch, a row for each worker; times in cycles."""

    remaining: NDArray[np.int64]  # [workers, A]: believed time until each accelerator is free
    works: FloatArray  # [workers, A]: the feature preferred_work
    codes: FloatArray  # [workers, A]: the feature remaining
    classes: NDArray[np.int64]  # [workers, W]: the classes of the jobs shown
    dues: NDArray[np.int64]  # [workers, W]: when they are due, NEVER without a deadline
    jobs: FloatArray  # [workers, W x JOB_WIDTH]: the features of each, from `age` to `best_work`
    rows: FloatArray  # [workers, WIDTH]: what the rows of one accelerator have in common


class PairEncoder:
    """Writes `rows` float32 [L, actions, WIDTH] of one batch, where `mask` [L, actions] allows the action."""

    def __init__(
        self,
        simulation: Simulation,
        layout: Layout,
        capacity: Capacity,
        *,
        mask: BoolArray,
        rows: FloatArray,
        workers: int,
    ) -> None:
        self._arrays = (_tables(simulation, layout, capacity), _scratch(layout, workers), mask, rows)

    def bind(self, state: State) -> None:
        """Take the arrays of a simulation, which may have been replaced, and compile the kernel for them."""
        self._bound = (state, *self._arrays)
        self._encode = compiled_for(encode_pairs, *self._bound, 0, 0, 0)

    def encode(self, worker: int, first: int, stop: int) -> None:
        """Write the rows of the lanes from `first` to before `stop`, whose masks are written."""
        self._encode(*self._bound, worker, first, stop)


def _tables(simulation: Simulation, layout: Layout, capacity: Capacity) -> PairTables:
    predicted, best = simulation.predicted, simulation.best_choices
    classes = np.arange(len(predicted))[:, np.newaxis]
    choices = np.tile(np.arange(layout.num_choices), (len(predicted), 1)) if layout.choose_dataflow else best
    unit = simulation.table.mean_shortest_predicted
    cycles = predicted[classes, choices]
    regrets = cycles / predicted.min(axis=1, keepdims=True)
    energies = np.ones(predicted.shape)
    if layout.shows_energy:
        energies = np.maximum(simulation.pairs["energy"], np.finfo(np.float64).tiny)
        energies = energies / energies.min(axis=1, keepdims=True)
    ratios = np.stack([cycles / unit, regrets, energies[classes, choices]], axis=2)
    fixed = np.clip(np.log2(ratios) / 4.0, -PAIR_BOUND, PAIR_BOUND).astype(np.float32)
    return PairTables(
        cycles=np.ascontiguousarray(cycles),
        regrets=np.ascontiguousarray(regrets),
        choices=np.ascontiguousarray(choices),
        fixed=np.ascontiguousarray(fixed.reshape(len(predicted), -1)),
        smallest=np.ascontiguousarray(predicted[classes, best]),
        owners=np.array(layout.column_accelerators),
        prices=np.minimum(layout.num_accelerators * capacity.prices, PAIR_BOUND).astype(np.float32),
        switching=np.array(simulation.devices["reconfiguration"]),
        scale=1.0 / unit,
        capacity=float(capacity.rate),
    )


def _scratch(layout: Layout, workers: int) -> PairScratch:
    fleet, window = (workers, layout.num_accelerators), (workers, layout.window)
    return PairScratch(
        remaining=np.zeros(fleet, np.int64),
        works=np.zeros(fleet, np.float32),
        codes=np.zeros(fleet, np.float32),
        classes=np.zeros(window, np.int64),
        jobs=np.zeros((workers, layout.window * JOB_WIDTH), np.float32),
        dues=np.zeros(window, np.int64),
        rows=np.zeros((workers, WIDTH), np.float32),
    )


@bare_kernel
def encode_pairs(state, tables, scratch, mask, rows, worker, first, stop):
    """Write the rows of the lanes from `first` to before `stop`, with the scratch of a worker."""
    settings, lanes, accelerators = state.settings, state.lanes, state.accelerators
    columns, wait = len(tables.owners), mask.shape[1] - 1
    may_wait = settings[0]["dispatch"] == 0 and mask.shape[1] > settings[0]["window"] * columns
    for i in range(first, stop):
        if i < 0:  # never happens, but tells the compiler so
            continue
        _clear_illegal(i, mask, rows)
        next_free = _read_fleet(i, settings, lanes, accelerators, tables, scratch, worker)
        _read_jobs(i, settings, state, tables, scratch, worker)
        _write_lane(i, settings, lanes, accelerators, tables, next_free, scratch, worker)
        shown = min(lanes[i]["waiting"], settings[0]["window"])
        most_elsewhere = -np.inf
        for column in range(columns):
            if shown == 0 or not mask[i, column]:  # legal for all jobs that are shown, or for none
                continue
            _write_accelerator(i, tables.owners[column], lanes, accelerators, tables, scratch, worker)
            for w in range(shown):
                elsewhere = _write_pair(i, w, column, shown, lanes, accelerators, tables, scratch, worker, rows)
                most_elsewhere = max(most_elsewhere, elsewhere)
        if shown == 0:
            _write_ended(i, mask, scratch, worker, rows)
        if may_wait and mask[i, wait]:
            _write_wait(i, wait, lanes, next_free, most_elsewhere, tables, scratch, worker, rows)


@inlined
def _clear_illegal(i, mask, rows):
    """Write zeros where an action was legal when rows were last written, and no longer is."""
    for action in range(mask.shape[1]):
        if rows[i, action, PAIR.legal] != 0.0 and not mask[i, action]:
            for k in range(WIDTH):
                rows[i, action, k] = 0.0


@inlined
def _write_ended(i, mask, scratch, worker, rows):
    """Write the rows of an episode that has ended: legal actions mean nothing."""
    for action in range(mask.shape[1]):
        if mask[i, action]:
            for k in range(WIDTH):
                rows[i, action, k] = scratch.rows[worker, k]


@inlined
def _clipped(value):
    return np.float32(min(max(value, -PAIR_BOUND), PAIR_BOUND))


@inlined
def _time(services):
    """Return the feature of a time in mean services."""
    return np.float32(min(0.25 * math.log2(1.0 + services), PAIR_BOUND))


@inlined
def _count(number):
    return np.float32(number / (number + HALF_COUNT))


@inlined
def _read_fleet(i, settings, lanes, accelerators, tables, scratch, worker):
    """Collect the accelerators' remaining times and waiting work; return the time until the next completion."""
    lane = lanes[i]
    now, next_free = lane["time"], NEVER
    for a in range(accelerators.shape[1]):
        accelerator = accelerators[i, a]
        remaining = accelerator["queued_work"]
        if accelerator["job"] >= 0:
            running = max(0, accelerator["believed_finish"] - now)
            next_free = min(next_free, running)
            remaining += running
        if not accelerator["up"]:
            remaining += np.int64(settings[0]["mean_down"])
        scratch.remaining[worker, a] = remaining
        scratch.codes[worker, a] = _time(remaining * tables.scale)
        scratch.works[worker, a] = _time(accelerator["preferred_work"] * tables.scale)
    return 0 if next_free == NEVER else next_free


@inlined
def _read_jobs(i, settings, state, tables, scratch, worker):
    """Collect the classes of the jobs shown, and the features that a job's pairs have in common."""
    lane, queue = state.lanes[i], state.queue
    for w in range(min(lane["waiting"], settings[0]["window"])):
        entry = queue[i, lane["head"] + w]
        number, place = entry["job_class"], w * JOB_WIDTH - PAIR.age
        best = state.classes[number]["preferred"]
        weight = np.float64(state.jobs[i, entry["job"]]["weight"]) if settings[0]["unequal"] else 1.0
        scratch.classes[worker, w] = number
        scratch.dues[worker, w] = state.jobs[i, entry["job"]]["due"] if settings[0]["due"] else NEVER
        scratch.jobs[worker, place + PAIR.age] = _time((lane["time"] - entry["arrival"]) * tables.scale)
        scratch.jobs[worker, place + PAIR.weight] = _clipped(0.25 * math.log2(weight))
        scratch.jobs[worker, place + PAIR.best_remaining] = scratch.codes[worker, best]
        scratch.jobs[worker, place + PAIR.best_work] = scratch.works[worker, best]


@inlined
def _write_lane(i, settings, lanes, accelerators, tables, next_free, scratch, worker):
    """Write what all legal rows of a lane have in common, and zeros elsewhere."""
    lane, row = lanes[i], scratch.rows[worker]
    fleet = np.float64(accelerators.shape[1])
    waiting, window = np.float64(lane["waiting"]), np.float64(settings[0]["window"])
    to_come = np.float64(settings[0]["jobs"] - lane["arrived"])
    for k in range(WIDTH):
        row[k] = 0.0
    row[PAIR.waiting] = _count(waiting)
    row[PAIR.behind] = _count(max(0.0, waiting - window))
    row[PAIR.waiting_work] = _time(lane["waiting_work"] * tables.scale / fleet)
    row[PAIR.idle_share] = lane["idle"] / fleet
    row[PAIR.next_free] = _time(next_free * tables.scale)
    row[PAIR.load] = min(MOST_LOAD, 1.0 / (_gap(lane) * tables.capacity))
    row[PAIR.to_come] = _count(to_come)
    row[PAIR.share_to_come] = to_come / settings[0]["jobs"]
    row[PAIR.legal] = 1.0


@inlined
def _gap(lane):
    """Return the recent gap between arrivals, at least one cycle."""
    return max(1.0, lane["recent_gap"])


@inlined
def _arrivals(lane, cycles):
    """Return the feature of the arrivals in a time, at the recent rate; the episode's jobs may all have come."""
    return _time(cycles / _gap(lane)) if lane["next_ready"] < NEVER else np.float32(0.0)


@inlined
def _write_accelerator(i, a, lanes, accelerators, tables, scratch, worker):
    """Write what all rows of an accelerator have in common."""
    accelerator, row = accelerators[i, a], scratch.rows[worker]
    row[PAIR.idle] = 1.0 if accelerator["up"] and accelerator["job"] < 0 else 0.0
    row[PAIR.up] = accelerator["up"]
    row[PAIR.remaining] = scratch.codes[worker, a]
    row[PAIR.queued] = _count(np.float64(accelerator["queued"]))
    row[PAIR.price] = tables.prices[a]
    row[PAIR.preferred_share] = accelerator["preferred_work"] / max(1, lanes[i]["waiting_work"])
    row[PAIR.preferred_work] = scratch.works[worker, a]


@inlined
def _write_pair(i, w, column, shown, lanes, accelerators, tables, scratch, worker, rows):
    """Write the row of a job of the window under a column, and return its `elsewhere`."""
    number, a, fleet = scratch.classes[worker, w], tables.owners[column], accelerators.shape[1]
    cycles, regret = tables.cycles[number, column], tables.regrets[number, column]
    switching = 0
    if accelerators[i, a]["choice"] >= 0 and accelerators[i, a]["choice"] != tables.choices[number, column]:
        switching = tables.switching[a]
    own = scratch.remaining[worker, a] + switching + cycles
    soonest, free = NEVER, 0
    for b in range(fleet):
        if b != a:
            soonest = min(soonest, scratch.remaining[worker, b] + tables.smallest[number, b])
            free += scratch.remaining[worker, b] < own
    shortest, shorter, suited = cycles, 0, 0
    for k in range(shown):
        other = scratch.classes[worker, k]
        shortest = min(shortest, tables.cycles[other, column])
        shorter += tables.cycles[other, column] < cycles
        suited += tables.regrets[other, column] < regret
    row = rows[i, w * len(tables.owners) + column]
    for k in range(WIDTH):
        row[k] = scratch.rows[worker, k]
    for k in range(JOB_WIDTH):
        row[PAIR.age + k] = scratch.jobs[worker, w * JOB_WIDTH + k]
    row[PAIR.latency] = tables.fixed[number, 3 * column]
    row[PAIR.regret] = tables.fixed[number, 3 * column + 1]
    row[PAIR.energy] = tables.fixed[number, 3 * column + 2]
    row[PAIR.over_shortest] = _clipped(0.25 * math.log2(cycles / shortest))
    row[PAIR.shorter] = shorter / shown
    row[PAIR.suited] = suited / shown
    row[PAIR.switching] = _time(switching * tables.scale)
    elsewhere = _clipped(0.25 * math.log2(soonest / own))
    row[PAIR.elsewhere] = elsewhere
    row[PAIR.free_meanwhile] = free / max(1, fleet - 1)
    row[PAIR.arrivals_meanwhile] = _arrivals(lanes[i], own)
    slack = (scratch.dues[worker, w] - lanes[i]["time"] - own) * tables.scale
    row[PAIR.slack] = slack / (1.0 + abs(slack)) if scratch.dues[worker, w] < NEVER else 1.0
    return elsewhere


@inlined
def _write_wait(i, wait, lanes, next_free, most_elsewhere, tables, scratch, worker, rows):
    """Write the row of the action that waits."""
    for k in range(WIDTH):
        rows[i, wait, k] = scratch.rows[worker, k] if k >= PAIR.waiting else np.float32(0.0)
    rows[i, wait, PAIR.wait] = 1.0
    rows[i, wait, PAIR.elsewhere] = most_elsewhere if most_elsewhere > -np.inf else 0.0
    rows[i, wait, PAIR.arrivals_meanwhile] = _arrivals(lanes[i], next_free)
    rows[i, wait, PAIR.remaining] = _time(next_free * tables.scale)
