"""What has happened in one lane, as plain arrays: which job ran where and when, how many waited, what was down.

A `Schedule` holds what was seen until now only: a running job's true finish is not in it.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim.records import RecordArray
from gnnsched_env.sim.state import Simulation
from gnnsched_env.sim.totals import exact_sum

RUN = np.dtype(
    [
        ("job", "i8"),
        ("job_class", "i8"),
        ("accelerator", "i8"),
        ("choice", "i8"),
        ("start", "i8"),
        ("finish", "i8"),  # when it ended; now, while it runs
        ("believed_finish", "i8"),  # as expected at the last decision while it runs, else `finish`
        ("state", "i8"),  # a RunState
    ],
    align=True,
)
SCHEDULED_JOB = np.dtype(
    [
        ("job", "i8"),
        ("job_class", "i8"),
        ("arrival", "i8"),
        ("ready", "i8"),  # when it came to the scheduler
        ("start", "i8"),  # of its last run; -1 while it waits
        ("finish", "i8"),  # -1 until it is done
    ],
    align=True,
)


class RunState(IntEnum):
    """How a run stands: done, under way, or cut short by a failure (its job waits again, or has run since)."""

    FINISHED = 0
    RUNNING = 1
    ABORTED = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """One lane from cycle `since` until `until`, its present time.

    `runs` (RUN, by start) and `jobs` (SCHEDULED_JOB, by number) hold what lasted beyond `since`: runs, and jobs that
    have come to the scheduler. The number of waiting jobs is a step function: `waiting_counts[k]` from
    `waiting_times[k]` on (both int64 [N], the first time is `since`); a job waits from when it comes to the scheduler
    until it starts, in whichever queue, and again from an aborted run until the next. `downs` (DOWN) says when
    accelerators were down. `total` jobs an episode, of which `arrived` have come to the scheduler since its beginning
    and `done` have finished; `mean_completion` is theirs, in cycles (NaN before the first). `forgotten` of them are not
    among `jobs` because the simulation, which streams its jobs, does not hold them any more.
    """

    since: int
    until: int
    runs: RecordArray
    jobs: RecordArray
    waiting_times: NDArray[np.int64]
    waiting_counts: NDArray[np.int64]
    downs: RecordArray
    num_accelerators: int
    total: int
    arrived: int
    done: int
    mean_completion: float
    forgotten: int = 0

    @property
    def waiting(self) -> int:
        """Return how many jobs wait now."""
        return int(self.waiting_counts[-1])


def schedule_of(simulation: Simulation, lane: int = 0, *, span: int | None = None) -> Schedule:
    """Return what happened in a lane: since the episode began, or in the last `span` cycles."""
    if not 0 <= lane < simulation.num_lanes:
        raise ConfigError(f"schedule: lane must be in [0, {simulation.num_lanes}), got {lane!r}")
    if span is not None and span < 1:
        raise ConfigError(f"schedule: span must be at least 1 cycle, got {span!r}")
    state = simulation.lanes[lane]
    until, arrived = int(state["time"]), int(state["arrived"])
    since = 0 if span is None else max(0, until - span)
    records = simulation.jobs[lane, : int(state["cursor"])]
    finished = records["finish"] >= 0
    done = int(state["done"])
    completion = exact_sum(records["finish"][finished] - records["arrival"][finished])
    forgotten = 0
    if simulation.streaming:
        forgotten = simulation.forgotten[lane].jobs
        completion += round(simulation.forgotten[lane].completion)
    aborted = simulation.aborted_runs(lane)
    aborted = aborted[aborted["job"] >= 0]
    jobs = _jobs_since(simulation, lane, since, records)
    runs = _runs_since(simulation, lane, since, until, jobs, aborted)
    times, counts = _waiting(since, jobs, aborted)
    downs = simulation.down_intervals(lane)
    return Schedule(
        since=since,
        until=until,
        runs=runs,
        jobs=jobs,
        waiting_times=times,
        waiting_counts=counts,
        downs=downs[(downs["end"] > since) & (downs["end"] > downs["start"])],
        num_accelerators=simulation.accelerators.shape[1],
        total=int(simulation.settings[0]["jobs"]),
        arrived=arrived,
        done=done,
        mean_completion=completion / done if done else float("nan"),
        forgotten=forgotten,
    )


def _jobs_since(simulation: Simulation, lane: int, since: int, records: RecordArray) -> RecordArray:
    """Return the jobs that had not finished by `since`; a start counts only if the job runs or is done."""
    kept = np.flatnonzero((records["finish"] < 0) | (records["finish"] > since))
    jobs: RecordArray = np.zeros(len(kept), SCHEDULED_JOB)
    jobs["job"] = kept
    for name in ("job_class", "arrival", "ready", "start", "finish"):
        jobs[name] = records[name][kept]
    running = np.isin(kept, simulation.accelerators["job"][lane])
    jobs["start"][(jobs["finish"] < 0) & ~running] = -1
    return jobs


def _runs_since(
    simulation: Simulation, lane: int, since: int, until: int, jobs: RecordArray, aborted: RecordArray
) -> RecordArray:
    """Return the runs that lasted beyond `since`, by start."""
    started = jobs[jobs["start"] >= 0]
    cut = aborted[aborted["finish"] > since]
    runs: RecordArray = np.zeros(len(started) + len(cut), RUN)
    last, broken = runs[: len(started)], runs[len(started) :]
    for name in ("job", "job_class", "start", "finish"):
        last[name] = started[name]
    last["choice"] = simulation.jobs["choice"][lane, started["job"]]
    last["accelerator"] = simulation.choice_accelerators[last["choice"]]
    under_way = started["finish"] < 0
    last["state"] = np.where(under_way, RunState.RUNNING, RunState.FINISHED)
    last["finish"][under_way] = until
    believed = simulation.accelerators["believed_finish"][lane, last["accelerator"]]
    last["believed_finish"] = np.where(under_way, believed, last["finish"])
    for name in ("job", "accelerator", "choice", "start", "finish"):
        broken[name] = cut[name]
    broken["job_class"] = simulation.jobs["job_class"][lane, cut["job"]]
    broken["believed_finish"] = cut["finish"]
    broken["state"] = RunState.ABORTED
    return runs[np.lexsort((runs["accelerator"], runs["start"]))]


def _waiting(since: int, jobs: RecordArray, aborted: RecordArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the step function of the number of waiting jobs from `since` on.

    Jobs that had finished by then, and are not among `jobs`, have come and gone: they add nothing.
    """
    starts = jobs["start"][jobs["start"] >= 0]
    times = np.concatenate([[since], jobs["ready"], aborted["finish"], starts, aborted["start"]])
    joins = len(jobs) + len(aborted)
    changes = np.concatenate([[0], np.ones(joins, np.int64), np.full(len(times) - 1 - joins, -1)])
    times = np.maximum(times, since)
    order = np.argsort(times, kind="stable")
    times, counts = times[order], np.cumsum(changes[order])
    last = np.append(times[1:] > times[:-1], True)
    times, counts = times[last], counts[last]
    changed = np.append(True, counts[1:] != counts[:-1])
    return times[changed].astype(np.int64), counts[changed].astype(np.int64)
