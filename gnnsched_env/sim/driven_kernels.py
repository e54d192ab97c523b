"""Kernels of a fleet whose events are told as they happen (`driven.py`): parts of the one transition, one at a time.

Each takes the arrays of a simulation of one lane, as `transition.step` does, and acts on that lane at its present time.
How long a running job will take is not known: its accelerator's finish is NEVER until the job is reported.
"""

import numpy as np

from gnnsched_env.common.compiled import announced, bare_kernel
from gnnsched_env.sim.expected_finish import revise_beliefs
from gnnsched_env.sim.records import NEVER
from gnnsched_env.sim.rewards import accrue_time
from gnnsched_env.sim.transition import (
    _abort,
    _clear,
    _dequeue,
    _enqueue,
    _finish,
    _resolve,
    _settle,
    _start,
    drain_cost,
)

IDLE = -1


@announced("the live fleet", 20)
@bare_kernel
def clear(settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted):
    """Empty the lane at time 0: no job has come."""
    _clear(settings, 0, lanes, accelerators, jobs, np.uint64(0), np.uint64(0))


@bare_kernel
def pass_time(settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted, now):
    """Move the lane's clock on to `now`, which must not lie before it."""
    lane = lanes[0]
    accrue_time(settings, lane, float(now - lane["time"]))
    lane["time"] = now


@bare_kernel
def arrive(settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted):
    """Let the next job of the job array come to the scheduler."""
    _enqueue(settings, classes, 0, lanes, accelerators, jobs, queue)


@bare_kernel
def begin(settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted):
    """Open the books at the first decision."""
    lane = lanes[0]
    lane["decided"] = lane["time"]
    revise_beliefs(settings, classes, pairs, ratios, 0, lanes, accelerators, jobs)
    lane["potential"] = drain_cost(settings, classes, 0, lanes, accelerators, queue)


@bare_kernel
def settle(settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted):
    """Close the books of the time since the last decision."""
    revise_beliefs(settings, classes, pairs, ratios, 0, lanes, accelerators, jobs)
    _settle(settings, classes, 0, lanes, accelerators, queue)


@bare_kernel
def resolve(settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted, action):
    """Return the (slot, choice) that an action means, (-1, -1) where it waits; nothing else changes."""
    lanes[0]["legal"] = 1
    return _resolve(settings, best, owners, 0, lanes, accelerators, queue, action)


@bare_kernel
def start(
    settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted, slot, choice
):
    """Start the waiting job of a slot, which may lie behind the window, under a choice of an idle accelerator."""
    lane = lanes[0]
    owner = owners[choice]
    job, number = _dequeue(settings, classes, 0, lanes, accelerators, queue, slot)
    _start(pairs, devices, 0, owner, lanes, accelerators, jobs, job, number, choice)
    accelerator = accelerators[0, owner]
    accelerator["busy_cycles"] -= accelerator["finish"] - lane["time"]
    accelerator["finish"] = NEVER
    lane["soonest"] = NEVER
    lane["first"] = 0


@bare_kernel
def finish(settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted, owner):
    """Complete the job that runs on an accelerator."""
    lane = lanes[0]
    accelerator = accelerators[0, owner]
    accelerator["busy_cycles"] += lane["time"] - jobs[0, accelerator["job"]]["start"]
    _finish(settings, pairs, devices, 0, owner, lanes, accelerators, jobs)
    if lane["done"] == settings[0]["jobs"]:
        lane["ended"] = 1


@bare_kernel
def abort(settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted, owner):
    """Give the job that runs on an accelerator back to the waiting jobs; the accelerator is idle then."""
    lane = lanes[0]
    accelerator = accelerators[0, owner]
    began = jobs[0, accelerator["job"]]["start"]
    accelerator["finish"] = max(lane["time"], began + 1)  # a run of no length would have no share that is lost
    accelerator["busy_cycles"] += accelerator["finish"] - began
    _abort(settings, classes, pairs, 0, owner, lanes, accelerators, jobs, queue, aborted)
    lane["idle"] += 1


@bare_kernel
def fail(settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted, owner):
    """Take an idle accelerator out of service."""
    accelerator = accelerators[0, owner]
    accelerator["up"] = 0
    accelerator["choice"] = IDLE
    accelerator["changed"] = lanes[0]["time"]
    accelerator["changes"] += 1
    lanes[0]["idle"] -= 1


@bare_kernel
def repair(settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted, owner):
    """Bring an accelerator back into service."""
    accelerator = accelerators[0, owner]
    accelerator["up"] = 1
    accelerator["changed"] = lanes[0]["time"]
    accelerator["changes"] += 1
    lanes[0]["idle"] += 1
