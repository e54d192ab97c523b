"""Writes observations and masks, compiled over a batch of lanes (records of `sim/state.py`); see `encoding.py`."""

import math

import numpy as np
from numba import njit

TIME_BITS = 40.0
NEVER = 1 << 62

_compiled = njit(cache=True, error_model="numpy", _nrt=False)


@_compiled
def encode(
    settings, classes, class_codes, codes, owners, configured, prices, lanes, accelerators, jobs, queue, slots,
    latencies, fleet, system, mask,
):  # fmt: skip
    """Write the observation and the mask of every lane.

    `class_codes` float32 [C, 2] (shortest, longest) and `codes` float32 [C, K]: encoded predictions; `owners` int64:
    the accelerator of each action's column; `configured` float32 [K]: code of the choice that an accelerator is set to;
    `prices` float32 [A]. Outputs: `slots`, `latencies`, `fleet`, `system` float32 [L, n], `mask` bool [L, actions].
    """
    for i in range(len(lanes)):
        _encode_fleet(i, settings, configured, prices, lanes, accelerators, fleet)
        behind_work = _encode_slots(i, settings, classes, class_codes, codes, lanes, jobs, queue, slots, latencies)
        _encode_system(i, settings, behind_work, lanes, system)
        _encode_mask(i, settings, owners, lanes, accelerators, mask)


@_compiled
def _copy(source, target, start):
    part = target[start : start + len(source)]
    for k in range(len(source)):
        part[k] = source[k]


@_compiled
def _time_code(cycles):
    return np.float32(min(1.0, math.log2(1.0 + cycles) / TIME_BITS))


@_compiled
def _encode_fleet(i, settings, configured, prices, lanes, accelerators, fleet):
    lane = lanes[i]
    window = settings[0]["window"]
    for a in range(accelerators.shape[1]):
        accelerator = accelerators[i, a]
        k = a * 7
        remaining = accelerator["queued_work"]
        fleet[i, k] = 0.0
        if accelerator["job"] >= 0:
            fleet[i, k] = 1.0
            remaining += max(0, accelerator["believed_finish"] - lane["time"])
        fleet[i, k + 1] = _time_code(remaining)
        fleet[i, k + 2] = accelerator["queued"] / (accelerator["queued"] + window)
        fleet[i, k + 3] = configured[accelerator["choice"]] if accelerator["choice"] >= 0 else 0.0
        fleet[i, k + 4] = 1.0
        fleet[i, k + 5] = accelerator["preferred_work"] / max(1, lane["waiting_work"])
        fleet[i, k + 6] = prices[a]


@_compiled
def _encode_slots(i, settings, classes, class_codes, codes, lanes, jobs, queue, slots, latencies):
    """Write the window; return the predicted work of the jobs behind it."""
    lane = lanes[i]
    window = settings[0]["window"]
    shown = min(lane["waiting"], window)
    behind_work = lane["waiting_work"]
    choices = codes.shape[1]
    for w in range(shown):
        job = jobs[i, queue[i, lane["head"] + w]]
        number = job["job_class"]
        slots[i, 4 * w] = 1.0
        slots[i, 4 * w + 1] = _time_code(lane["time"] - job["arrival"])
        slots[i, 4 * w + 2] = class_codes[number, 0]
        slots[i, 4 * w + 3] = class_codes[number, 1]
        _copy(codes[number], latencies[i], w * choices)
        behind_work -= classes[number]["shortest"]
    slots[i, 4 * shown :] = 0.0
    latencies[i, shown * choices :] = 0.0
    return behind_work


@_compiled
def _encode_system(i, settings, behind_work, lanes, system):
    lane = lanes[i]
    window = settings[0]["window"]
    in_system = lane["arrived"] - lane["done"]
    behind = max(0, lane["waiting"] - window)
    system[i, 0] = in_system / (in_system + window)
    system[i, 1] = lane["waiting"] / (lane["waiting"] + window)
    system[i, 2] = behind / (behind + window)
    system[i, 3] = _time_code(behind_work)
    system[i, 4] = _time_code(lane["waiting_work"])
    system[i, 5] = _time_code(lane["recent_gap"])
    system[i, 6] = (settings[0]["jobs"] - lane["arrived"]) / settings[0]["jobs"]
    system[i, 7] = _time_code(lane["elapsed"])


@_compiled
def _encode_mask(i, settings, owners, lanes, accelerators, mask):
    """Write the legal actions; a lane that has ended allows the last action (the only one that then means nothing)."""
    lane = lanes[i]
    columns = len(owners)
    actions = mask.shape[1]
    if settings[0]["dispatch"]:
        mask[i] = True
        return
    shown = min(lane["waiting"], settings[0]["window"])
    may_wait = lane["next_ready"] < NEVER
    for a in range(accelerators.shape[1]):
        may_wait = may_wait or accelerators[i, a]["job"] >= 0
    row = mask[i]
    for c in range(min(shown, 1) * columns):
        row[c] = accelerators[i, owners[c]]["job"] < 0
    for w in range(1, shown):
        _copy(row[:columns], row, w * columns)
    row[shown * columns :] = False
    mask[i, actions - 1] = may_wait or lane["ended"] == 1
