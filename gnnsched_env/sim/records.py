"""How the simulator's state lies in memory: record arrays, the lane their first axis, times int64 cycles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.sim.rewards import TERMS

IDLE = -1
NEVER = 1 << 62
JOB_BITS = 40  # where the scale ends on which policies read times: log2(1 + cycles) / 40 (envs/encoder.py)
JOB_LIMIT = 1 << JOB_BITS

RecordArray = NDArray[np.void]


def _layout(*fields: Any) -> np.dtype[np.void]:
    return np.dtype(list(fields), align=True)


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
RATIO = _layout(
    ("ratio", "f8"),  # of true to predicted latency: a quantile
    ("mean_above", "f8"),  # mean of the quantiles from this one on
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
    *((term.accrued, "f8") for term in TERMS.values()),  # what each reward term has accrued since the last decision
    ("total_energy", "f8"),  # picojoules of the episode until the last decision
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
    ("predicting", "u1"),  # is the next job to come being predicted (where jobs may come unpredicted)
)
ACCELERATOR = _layout(
    ("finish", "i8"),  # true finish of the running job, NEVER if idle
    ("believed_finish", "i8"),  # of the running job, as expected at the last decision (`expected_finish.py`)
    ("began", "i8"),  # start of the running job after the change of dataflow
    ("revision", "i8"),  # from when on `believed_finish` is another, if the job still runs
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
    ("passed", "i4"),  # ratios of true to predicted latency that the running job has outlived
    ("up", "i4"),
)
JOB = _layout(
    ("arrival", "i8"),
    ("ready", "i8"),  # when it comes to the scheduler: its arrival, or when it has been predicted
    ("start", "i8"),
    ("finish", "i8"),
    ("due", "i8"),  # NEVER if it has no deadline
    ("job_class", "i4"),
    ("believed_class", "i4"),  # as the scheduler knows it: that of unpredicted jobs where it came unpredicted
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
