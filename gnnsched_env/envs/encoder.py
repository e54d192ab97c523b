"""Writes observations and masks, compiled over a batch of lanes (records of `sim/records.py`); see
`observation_units.py`.

Whatever has not changed since the last observation is not rewritten: the simulator records in each lane which slots of
the window changed (`removed`, `rewrite`), and `shown` int64 [L] is how many were shown. All times of an observation are
encoded in one loop that the compiler turns into vector instructions.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import bare_kernel, copy_cells, inlined
from gnnsched_env.common.policy import BoolArray, FloatArray
from gnnsched_env.envs.spaces import ACCELERATOR, SLOT, SYSTEM
from gnnsched_env.sim import transition as simulator

NEVER = 1 << 62
UNCHANGED = 1 << 30
SLOT_WIDTH, ACCELERATOR_WIDTH = len(SLOT), len(ACCELERATOR)
SYSTEM_TIMES = 4
BLOCK = 64  # lanes in a block that is stepped, then encoded
TIME_BITS = 40.0

_ONE = np.float32(1.0)
_HALF = np.float32(0.5)
_ROOT = np.float32(2.0**0.5)
_BIT_SHARE = np.float32(1.0 / TIME_BITS)  # one bit of a time, encoded as in observations
_LOG_1 = np.float32(2.0 / np.log(2.0))  # coefficients of the series of log2 in (m - 1) / (m + 1)
_LOG_3, _LOG_5, _LOG_7, _LOG_9 = np.float32(1 / 3), np.float32(1 / 5), np.float32(1 / 7), np.float32(1 / 9)


class State(NamedTuple):
    """The arrays of a simulation, in the order of `Simulation.state`."""

    settings: Any
    classes: Any
    pairs: Any
    best: Any
    owners: Any
    devices: Any
    ratios: Any
    lanes: Any
    accelerators: Any
    jobs: Any
    queue: Any
    aborted: Any


class Codes(NamedTuple):
    """Tables as observations show them, and what masks are made from."""

    of_classes: FloatArray  # [C, 2]: encoded smallest and largest prediction
    of_pairs: FloatArray  # [C, K]: encoded predictions
    of_energies: FloatArray  # [C, K]: encoded energies
    of_lows: FloatArray  # [C, K]: encoded ends of intervals of latencies
    of_highs: FloatArray
    column_owners: NDArray[np.int64]  # the accelerator of each action's column
    patterns: BoolArray  # [2^A, W x columns]: full window's mask for each set of idle accelerators; 1 x 1 if A is large
    configured: FloatArray  # [K]: code shown when an accelerator is set to the choice


class Written(NamedTuple):
    """Arrays to write: scratch, the observation (float32 [L, n]) and mask, and the other results of a step."""

    shown: NDArray[np.int64]  # [L]: slots last shown
    arrivals: NDArray[np.int64]  # [L, W rounded up to whole eights]: their jobs' arrivals
    cycles: NDArray[np.int64]  # [workers, n]: scratch, a row for each worker
    times: FloatArray  # likewise
    slots: FloatArray
    latencies: FloatArray
    energies: FloatArray  # of width 0 if not shown
    lows: FloatArray  # likewise
    highs: FloatArray
    fleet: FloatArray  # but its constant fields (price, switching)
    system: FloatArray
    mask: BoolArray  # [L, actions]
    rewards: NDArray[np.float64]  # [L], as all that follow
    elapsed: NDArray[np.int64]
    moments: NDArray[np.int64]
    legal: BoolArray
    ended: BoolArray


@bare_kernel
def encode(state, codes, written, worker, first, stop):
    """Write the observation and the mask of the lanes from `first` to before `stop`, with the scratch of a worker."""
    settings, lanes, accelerators = state.settings, state.lanes, state.accelerators
    jobs, queue = state.jobs, state.queue
    shown, arrivals, cycles, times = written.shown, written.arrivals, written.cycles, written.times
    slots, mask = written.slots, written.mask
    for i in range(first, stop):
        if i < 0:  # never happens, but tells the compiler so
            continue
        visible = min(lanes[i]["waiting"], settings[0]["window"])
        before = shown[i]
        _gather_times(i, settings, lanes, accelerators, cycles, worker)  # long before they are read, as vectors
        if written.energies.shape[1]:
            _write_rows(i, visible, codes.of_energies, lanes, queue, shown, written.energies)
        if written.lows.shape[1]:
            _write_rows(i, visible, codes.of_lows, lanes, queue, shown, written.lows)
            _write_rows(i, visible, codes.of_highs, lanes, queue, shown, written.highs)
        _write_rows(i, visible, codes.of_pairs, lanes, queue, shown, written.latencies)
        _write_window(i, visible, settings, codes.of_classes, lanes, jobs, queue, shown, arrivals, slots)
        _write_ages(i, visible, lanes, arrivals, times, worker, slots)
        if settings[0]["due"]:
            _write_due(i, visible, lanes, jobs, queue, slots)
        _write_mask(i, visible, before, settings, codes.column_owners, codes.patterns, lanes, accelerators, mask)
        for k in range((2 * accelerators.shape[1] + SYSTEM_TIMES + 7) // 8 * 8):  # whole vectors: the rest is not read
            times[worker, k] = _time_code(cycles[worker, k])
        _write_fleet(i, settings, codes.configured, lanes, accelerators, times, worker, written.fleet)
        _write_system(i, settings, lanes, times, worker, 2 * accelerators.shape[1], written.system)
        written.rewards[i] = lanes[i]["reward"]
        written.elapsed[i] = lanes[i]["elapsed"]
        written.moments[i] = lanes[i]["time"]
        written.legal[i] = lanes[i]["legal"] == 1
        written.ended[i] = lanes[i]["ended"] == 1


@inlined
def _time_code(cycles):
    """Return min(1, log2(1 + cycles) / 40), correct to within one or two units in the last place of float32.

    The exponent of 1 + c, and the logarithm of its mantissa m, brought between sqrt(1/2) and sqrt(2), by the series
    log2(m) = 2 / ln(2) (t + t^3 / 3 + t^5 / 5 + ...) with t = (m - 1) / (m + 1). Without branches, so that loops over
    it become vector instructions.
    """
    bits = np.float32(cycles + 1).view(np.int32)
    exponent = (bits >> 23) - 127
    mantissa = np.int32((bits & 0x7FFFFF) | 0x3F800000).view(np.float32)
    large = mantissa > _ROOT
    mantissa = mantissa * _HALF if large else mantissa
    exponent = exponent + 1 if large else exponent
    t = (mantissa - _ONE) / (mantissa + _ONE)
    q = t * t
    logarithm = _LOG_1 * t * (_ONE + q * (_LOG_3 + q * (_LOG_5 + q * (_LOG_7 + q * _LOG_9))))
    return min(_ONE, (np.float32(exponent) + logarithm) * _BIT_SHARE)


@inlined
def _write_rows(i, visible, codes, lanes, queue, shown, rows):
    """Update each slot's values by choice: `rows` float32 [L, W x K], from `codes` [C, K]."""
    lane = lanes[i]
    choices = codes.shape[1]
    before = shown[i]
    start = lane["rewrite"]
    if lane["removed"] >= 0:
        gap = lane["removed"]
        copy_cells(rows, i, gap * choices, rows, i, (gap + 1) * choices, (before - 1 - gap) * choices)
        start = min(start, before - 1)
    for w in range(start, visible):
        copy_cells(rows, i, w * choices, codes, queue[i, lane["head"] + w]["job_class"], 0, choices)
    for k in range(visible * choices, before * choices):
        rows[i, k] = 0.0


@inlined
def _write_window(i, visible, settings, class_codes, lanes, jobs, queue, shown, arrivals, slots):
    """Update the slots' constant fields and arrival times, and record that all are shown."""
    lane = lanes[i]
    before = shown[i]
    start = lane["rewrite"]
    if lane["removed"] >= 0:
        gap = lane["removed"]
        closing = before - 1 - gap
        copy_cells(slots, i, gap * SLOT_WIDTH, slots, i, (gap + 1) * SLOT_WIDTH, closing * SLOT_WIDTH)
        copy_cells(arrivals, i, gap, arrivals, i, gap + 1, closing)
        start = min(start, before - 1)
    for w in range(start, visible):
        entry = queue[i, lane["head"] + w]
        number = entry["job_class"]
        arrivals[i, w] = entry["arrival"]
        slots[i, SLOT_WIDTH * w + SLOT.present] = _ONE
        slots[i, SLOT_WIDTH * w + SLOT.shortest] = class_codes[number, 0]
        slots[i, SLOT_WIDTH * w + SLOT.longest] = class_codes[number, 1]
        slots[i, SLOT_WIDTH * w + SLOT.weight] = _HALF  # weight 1
        if settings[0]["unequal"]:  # only then, because the record may be far away
            weight = jobs[i, entry["job"]]["weight"]
            slots[i, SLOT_WIDTH * w + SLOT.weight] = weight / (weight + _ONE)
        slots[i, SLOT_WIDTH * w + SLOT.due] = _ONE
    for k in range(visible * SLOT_WIDTH, before * SLOT_WIDTH):
        slots[i, k] = 0.0
    shown[i] = visible
    lane["removed"] = -1
    lane["rewrite"] = UNCHANGED


@inlined
def _write_ages(i, visible, lanes, arrivals, times, worker, slots):
    """Write how long each job of the window has waited."""
    now = lanes[i]["time"]
    for w in range(min((visible + 7) // 8 * 8, arrivals.shape[1])):  # whole vectors: the rest is not read
        times[worker, w] = _time_code(now - arrivals[i, w])
    for w in range(visible):
        slots[i, SLOT_WIDTH * w + SLOT.waited] = times[worker, w]


@inlined
def _write_due(i, visible, lanes, jobs, queue, slots):
    """Write the time to each job's deadline: above 1/2 before it, below 1/2 after it, and 1 for a job without one."""
    lane = lanes[i]
    for w in range(visible):
        due = jobs[i, queue[i, lane["head"] + w]["job"]]["due"]
        if due < NEVER:
            half = _HALF * _time_code(abs(due - lane["time"]))
            slots[i, SLOT_WIDTH * w + SLOT.due] = _HALF + half if due >= lane["time"] else _HALF - half


@inlined
def _gather_times(i, settings, lanes, accelerators, cycles, worker):
    """Collect the other times to encode: the accelerators' remaining and down times, and the system's times."""
    lane = lanes[i]
    now = lane["time"]
    k = 0
    for a in range(accelerators.shape[1]):
        accelerator = accelerators[i, a]
        remaining = accelerator["queued_work"]
        if accelerator["job"] >= 0:
            remaining += max(0, accelerator["believed_finish"] - now)
        cycles[worker, k + 1] = 0
        if not accelerator["up"]:
            remaining += np.int64(settings[0]["mean_down"])
            cycles[worker, k + 1] = now - accelerator["changed"]
        cycles[worker, k] = remaining
        k += 2
    cycles[worker, k] = lane["waiting_work"] - lane["shown_work"]
    cycles[worker, k + 1] = lane["waiting_work"]
    cycles[worker, k + 2] = np.int64(lane["recent_gap"])
    cycles[worker, k + 3] = lane["elapsed"]


@inlined
def _write_fleet(i, settings, configured, lanes, accelerators, times, worker, fleet):
    lane = lanes[i]
    window = np.float32(settings[0]["window"])
    work = _ONE / np.float32(max(1, lane["waiting_work"]))
    for a in range(accelerators.shape[1]):
        accelerator = accelerators[i, a]
        place = a * ACCELERATOR_WIDTH
        queued = np.float32(accelerator["queued"])
        fleet[i, place + ACCELERATOR.busy] = _ONE if accelerator["job"] >= 0 else np.float32(0.0)
        fleet[i, place + ACCELERATOR.remaining] = times[worker, 2 * a]
        fleet[i, place + ACCELERATOR.queued] = queued / (queued + window) if queued > 0 else np.float32(0.0)
        fleet[i, place + ACCELERATOR.configured] = (
            configured[accelerator["choice"]] if accelerator["choice"] >= 0 else np.float32(0.0)
        )
        fleet[i, place + ACCELERATOR.up] = np.float32(accelerator["up"])
        fleet[i, place + ACCELERATOR.preferred_share] = min(_ONE, np.float32(accelerator["preferred_work"]) * work)
        fleet[i, place + ACCELERATOR.down_for] = times[worker, 2 * a + 1]


@inlined
def _write_system(i, settings, lanes, times, worker, k, system):
    lane = lanes[i]
    window = np.float32(settings[0]["window"])
    in_system = np.float32(lane["arrived"] - lane["done"])
    waiting = np.float32(lane["waiting"])
    behind = max(np.float32(0.0), waiting - window)
    system[i, SYSTEM.in_system] = in_system / (in_system + window)
    system[i, SYSTEM.waiting] = waiting / (waiting + window)
    system[i, SYSTEM.behind] = behind / (behind + window)
    system[i, SYSTEM.behind_work] = times[worker, k]
    system[i, SYSTEM.waiting_work] = times[worker, k + 1]
    system[i, SYSTEM.recent_gap] = times[worker, k + 2]
    to_come = np.float32(settings[0]["jobs"] - lane["arrived"])
    system[i, SYSTEM.to_come] = to_come / np.float32(settings[0]["jobs"])
    system[i, SYSTEM.count_to_come] = to_come / (to_come + window)
    system[i, SYSTEM.elapsed] = times[worker, k + 3]


@inlined
def _write_mask(i, visible, before, settings, column_owners, patterns, lanes, accelerators, mask):
    """Write the legal actions; a lane that has ended allows the last action (the only one that then means nothing)."""
    lane = lanes[i]
    actions = mask.shape[1]
    columns = len(column_owners)
    slots = 1 if settings[0]["dispatch"] else visible
    if len(patterns) > 1:
        idle = 0
        for a in range(accelerators.shape[1]):
            idle |= np.int64(_takes_jobs(accelerators[i, a], settings)) << a
        copy_cells(mask, i, 0, patterns, idle, 0, slots * columns)
    elif slots > 0:  # all slots as the first
        for c in range(columns):
            mask[i, c] = _takes_jobs(accelerators[i, column_owners[c]], settings)
        for w in range(1, slots):
            copy_cells(mask, i, w * columns, mask, i, 0, columns)
    if settings[0]["dispatch"]:
        _allow_all_if_none(i, columns, mask)
        return
    for k in range(visible * columns, before * columns):
        mask[i, k] = False
    if settings[0]["by_choice"]:
        if visible < settings[0]["window"]:  # else it is one of those above
            mask[i, actions - 1] = lane["ended"] == 1
        return
    may_wait = lane["next_ready"] < NEVER or lane["running"] > 0
    mask[i, actions - 1] = (may_wait and not settings[0]["never_waits"]) or lane["ended"] == 1


@inlined
def _takes_jobs(accelerator, settings):
    """Return whether an action may name an accelerator: it is up and, unless jobs may wait for it, idle."""
    waits = settings[0]["dispatch"] == 1 or settings[0]["by_choice"] == 1
    return accelerator["up"] == 1 and (accelerator["job"] < 0 or waits)


@inlined
def _allow_all_if_none(i, columns, mask):
    """Make all of Dispatch's actions legal if every accelerator is down."""
    any_legal = False
    for c in range(columns):
        any_legal = any_legal or mask[i, c]
    if not any_legal:
        mask[i] = True


@bare_kernel
def move(state, codes, written, actions, worker, first, stop):
    """Take one action in each lane from `first` to before `stop`, and write observations and masks.

    Lanes go block by block, so that the simulator's data is still in the cache when it is encoded.
    """
    block = first
    while block < stop:
        end = min(block + BLOCK, stop)
        simulator.step(
            state.settings, state.classes, state.pairs, state.best, state.owners, state.devices, state.ratios,
            state.lanes, state.accelerators, state.jobs, state.queue, state.aborted, actions, block, end,
        )  # fmt: skip
        encode(state, codes, written, worker, block, end)
        block = end
