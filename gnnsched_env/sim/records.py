"""How the simulator's state lies in memory: record arrays, the lane their first axis, times int64 cycles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

IDLE = -1
NEVER = 1 << 62

RecordArray = NDArray[np.void]


def _layout(*fields: Any) -> np.dtype[np.void]:
    return np.dtype(list(fields), align=True)


SETTINGS = _layout(
    ("mean_gap", "f8"),  # cycles between arrivals, on average
    ("unit", "f8"),  # cycles; rewards are in this unit
    ("completion", "f8"),  # the objective's price of a job in the system for a cycle
    ("weighted", "f8"),  # ... of a unit of weight in the system for a cycle
    ("tardiness", "f8"),  # ... of a cycle by which a job is late
    ("energy", "f8"),  # ... of a picojoule
    ("mean_up", "f8"),  # cycles until a failure, on average
    ("mean_down", "f8"),  # cycles until a repair, on average; 0 where nothing fails
    ("slack_low", "f8"),  # cycles from a job's arrival until it is due, at least
    ("slack_high", "f8"),  # ... and at most
    ("jobs", "i8"),  # arrivals an episode
    ("window", "i8"),  # slots that the agent sees
    ("dispatch", "i8"),  # 1: a decision at each arrival; 0: a central queue
    ("shortest_first", "i8"),  # 1: the window shows the jobs of smallest predicted latency; 0: the oldest
    ("choose_dataflow", "i8"),  # 1: an action names a choice; 0: an accelerator (predicted best dataflow there)
    ("shaped", "i8"),  # 1: the reward includes the change of the drain potential
    ("mixed", "i8"),  # 1: the objective charges more than completion
    ("failing", "i8"),  # 1: accelerators fail
    ("due", "i8"),  # 1: jobs have due times
    ("unequal", "i8"),  # 1: jobs differ in weight
    ("modulation", "i8"),  # how the arrival rate changes: STEADY, PERIODIC, MARKOV of kernels.py
    ("mix_jobs", "i8"),  # jobs in which the mix of classes goes once through all its turns
    ("decision", "i8"),  # cycles to predict a job; 0: jobs come to the scheduler as they arrive
    ("workers", "i8"),  # predictions that may be under way at once
    ("cached", "i8"),  # 1: a class is predicted once an episode, then looked up
    ("lookup", "i8"),  # cycles of a lookup
)
CLASS = _layout(
    ("shortest", "i8"),  # smallest predicted latency over the choices, cycles
    ("longest", "i8"),  # largest predicted latency over the choices, cycles
    ("preferred", "i8"),  # accelerator of the smallest predicted latency
)
PAIR = _layout(
    ("true", "i8"),  # cycles of a class under a choice
    ("predicted", "i8"),
    ("energy", "f8"),  # picojoules, 0 where unknown
)
DEVICE = _layout(("reconfiguration", "i8"))  # cycles to change an accelerator's dataflow
PHASE = _layout(
    ("length", "f8"),  # cycles of a phase of the arrival process; the mean of an exponential one
    ("rate", "f8"),  # over the mean rate
)
LANE = _layout(
    ("time", "i8"),
    ("decided", "i8"),  # time of the last decision
    ("next_ready", "i8"),  # when the next job comes to the scheduler; NEVER once all have come
    ("soonest", "i8"),  # when the first of the running jobs finishes; NEVER if none runs
    ("next_change", "i8"),  # when the next accelerator fails or is repaired; NEVER where none does
    ("arrived", "i8"),  # jobs that have come to the scheduler
    ("cursor", "i8"),  # place in the job array of the next one to come
    ("loaded", "i8"),  # jobs that the job array holds
    ("done", "i8"),  # jobs that have finished
    ("head", "i8"),  # first waiting job's place in the queue array
    ("waiting", "i8"),  # jobs that wait
    ("most_waiting", "i8"),  # the most that ever waited in this episode
    ("waiting_work", "i8"),  # sum of their smallest predicted latencies
    ("shown_work", "i8"),  # of those among them that the window shows
    ("last_arrival", "i8"),  # arrival of the last job that has come
    ("weight", "f8"),  # sum of the weights of the jobs in the system
    ("integral", "f8"),  # jobs in the system x cycles since the last decision
    ("weighted", "f8"),  # their weights x cycles since the last decision
    ("late", "f8"),  # cycles by which the jobs finished since the last decision were late
    ("energy", "f8"),  # picojoules since the last decision
    ("total_energy", "f8"),  # ... of the episode until the last decision
    ("elapsed", "i8"),  # cycles between the last two decisions
    ("steps", "i8"),
    ("recent_gap", "f8"),  # moving average of the gaps between arrivals
    ("potential", "f8"),  # believed cost of draining the lane, cycles
    ("reward", "f8"),
    ("aborted", "i8"),  # jobs that a failure stopped
    ("first", "i4"),  # the accelerator that finishes `soonest`
    ("idle", "i4"),  # accelerators that are up and run nothing
    ("running", "i4"),  # accelerators that run a job
    ("rewrite", "i4"),  # first slot of the window that has changed since it was last shown, UNCHANGED if none
    ("removed", "i4"),  # before that: the slot that a job left, the others closing the gap; -1 if none
    ("legal", "u1"),  # was the last action legal
    ("ended", "u1"),  # are all jobs done
    ("starved", "u1"),  # has it run out of loaded jobs
)
ACCELERATOR = _layout(
    ("finish", "i8"),  # true finish of the running job, NEVER if idle
    ("believed_finish", "i8"),  # start + predicted latency of the running job
    ("queued_work", "i8"),  # predicted latencies of the jobs in its own queue (dispatch)
    ("preferred_work", "i8"),  # smallest predicted latencies of waiting jobs that prefer it
    ("busy_cycles", "i8"),
    ("change", "i8"),  # when it fails, or is repaired; NEVER where none does
    ("changed", "i8"),  # when it last failed or was repaired
    ("free", "f8"),  # scratch of the drain plan
    ("key", "u8"),  # its stream of failures
    ("job", "i4"),  # running job, IDLE if none
    ("choice", "i4"),  # choice it is configured for, IDLE before its first job and after a failure
    ("head", "i4"),  # first and last job of its own queue (dispatch)
    ("tail", "i4"),
    ("queued", "i4"),
    ("changes", "i4"),  # failures and repairs so far
    ("up", "i4"),
)
JOB = _layout(
    ("arrival", "i8"),
    ("ready", "i8"),  # when it comes to the scheduler: its arrival, or when it has been predicted
    ("start", "i8"),
    ("finish", "i8"),
    ("due", "i8"),  # NEVER if it has no deadline
    ("job_class", "i4"),
    ("choice", "i4"),
    ("next", "i4"),  # the job behind it in an accelerator's queue (dispatch)
    ("aborted", "i4"),  # how often a failure stopped it
    ("weight", "f4"),
)
QUEUED = _layout(("arrival", "i8"), ("job", "i4"), ("job_class", "i4"))
ABORTED = _layout(
    ("job", "i4"),
    ("accelerator", "i4"),
    ("choice", "i4"),
    ("start", "i8"),
    ("finish", "i8"),  # when the accelerator failed
)
DOWN = _layout(("accelerator", "i8"), ("start", "i8"), ("end", "i8"))
