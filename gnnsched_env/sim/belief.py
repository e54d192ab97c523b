"""Beliefs: what planning policies may know of running fleets, and futures drawn from that knowledge.

A `Belief` is copied from a `Simulation` field by field: predicted latencies, the jobs that have come to the scheduler,
and when running jobs are believed to finish. Neither true latencies nor true finish times nor jobs still to come are in
it. `Belief.futures` continues it: fleets on which every prediction comes true, with arrivals drawn anew.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.compiled import helper, kernel
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim import transition
from gnnsched_env.sim.arrivals import Modulation
from gnnsched_env.sim.records import IDLE, NEVER, RecordArray
from gnnsched_env.sim.rewards import clear_sums
from gnnsched_env.sim.settings import SimulationSettings
from gnnsched_env.sim.state import Simulation
from gnnsched_env.tables import LatencyTable
from gnnsched_env.tables.shrinkage import expected_cycles

KNOWN_LANE = np.dtype(
    [
        ("time", "i8"),
        ("elapsed", "i8"),  # cycles between the last two decisions
        ("in_system", "i8"),  # jobs that have come to the scheduler and have not finished
        ("waiting", "i8"),  # of those: jobs that wait
        ("waiting_work", "i8"),  # sum of their smallest predicted latencies
        ("shown_work", "i8"),  # of those among them that the window shows
        ("to_come", "i8"),  # jobs that have not come to the scheduler
        ("last_arrival", "i8"),  # arrival of the last job that has come
        ("recent_gap", "f8"),  # moving average of the gaps between arrivals
        ("weight", "f8"),  # sum of the weights of the jobs in the system
    ],
    align=True,
)
KNOWN_ACCELERATOR = np.dtype(
    [
        ("believed_finish", "i8"),  # of the running job: never before now; NEVER if none runs
        ("queued_work", "i8"),  # predicted latencies of the jobs in its own queue (dispatch)
        ("preferred_work", "i8"),  # smallest predicted latencies of waiting jobs that prefer it
        ("changed", "i8"),  # when it last failed or was repaired
        ("job", "i8"),  # running job, IDLE if none
        ("choice", "i8"),  # choice it is configured for, IDLE before its first job and after a failure
        ("head", "i8"),  # first and last job of its own queue (dispatch); IDLE if none
        ("tail", "i8"),
        ("queued", "i8"),
        ("up", "i8"),
    ],
    align=True,
)
KNOWN_JOB = np.dtype(
    [
        ("arrival", "i8"),
        ("ready", "i8"),  # when it came to the scheduler
        ("start", "i8"),  # IDLE if it does not run
        ("due", "i8"),  # NEVER if it has no deadline
        ("weight", "f8"),
        ("job_class", "i8"),  # the last one where it came unpredicted and the settings let jobs do so
        ("choice", "i8"),  # IDLE where none has been chosen
        ("next", "i8"),  # the job behind it in an accelerator's queue (dispatch); IDLE if none
        ("aborted", "i8"),  # how often a failure stopped it
    ],
    align=True,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Belief:
    """What may be known of L lanes with A accelerators: copies, which outlive the simulation's next step.

    `table`: latencies of a job, the predicted ones (where predictions have noise of their own, what is expected from
    them: `tables.shrinkage`) as its truth; `settings`: those of one lane's future, but for its
    number of jobs (which is 1 here); `reconfiguration` [A] cycles; `lanes` KNOWN_LANE [L]; `accelerators`
    KNOWN_ACCELERATOR [L, A]; `jobs` KNOWN_JOB [L, n] (those in the system in order of arrival, numbered from 0; rows
    from `lanes["in_system"]` on mean nothing); `queue` int64 [L, n]: the waiting jobs' numbers, in the window's order.
    """

    table: LatencyTable
    settings: SimulationSettings
    reconfiguration: tuple[int, ...]
    lanes: RecordArray
    accelerators: RecordArray
    jobs: RecordArray
    queue: NDArray[np.int64]

    def futures(self, lanes: NDArray[np.int64], seeds: NDArray[np.uint64], arrivals: int) -> Simulation:
        """Return a simulation of n lanes that continue `lanes` int64 [n] as believed; none of them has acted yet.

        Its true latencies are the predicted ones, and running jobs finish when they are believed to. Lane i draws at
        most `arrivals` further jobs (no more than are to come in its original) from the workload's mix, as a Poisson
        process of its mean rate, and failures and repairs from now on, with `seeds[i]` (uint64 [n]): lanes of the same
        origin and seed meet the same. Predicting takes no time, whatever it costs in the original.

        All lanes have the same number of jobs. Those that a lane does not need come first, as jobs that arrived and
        finished at time 0. Raise ConfigError where an argument is bad.
        """
        lanes, seeds = self._check(lanes, seeds, arrivals)
        further = np.minimum(self.lanes["to_come"][lanes], min(arrivals, NEVER))
        jobs = max(1, int((self.lanes["in_system"][lanes] + further).max()))
        future = Simulation(
            self.table, replace(self.settings, jobs=jobs), lanes=len(lanes), reconfiguration=self.reconfiguration
        )
        future.reset(seeds, np.zeros(len(lanes), np.uint64), np.ones(len(lanes), np.bool_))
        lay_out(
            self.lanes, self.accelerators, self.jobs, self.queue, lanes, further, future.settings,
            future.lanes, future.accelerators, future.jobs, future.queue,
        )  # fmt: skip
        return future

    def _check(
        self, lanes: NDArray[np.int64], seeds: NDArray[np.uint64], arrivals: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        Integer(0).check("simulation", "arrivals", arrivals)
        lanes, seeds = np.asarray(lanes), np.asarray(seeds)
        if lanes.ndim != 1 or len(lanes) == 0 or lanes.dtype.kind not in "iu":
            raise ConfigError(f"futures: lanes must be integers of shape [n], got {lanes.dtype} {list(lanes.shape)}")
        if (outside := (lanes < 0) | (lanes >= len(self.lanes))).any():
            raise ConfigError(f"futures: lanes must be in [0, {len(self.lanes)}), got {lanes[outside][0]}")
        if seeds.shape != lanes.shape or seeds.dtype != np.uint64:
            expected = f"uint64 of shape {list(lanes.shape)}"
            raise ConfigError(f"futures: seeds must be {expected}, got {seeds.dtype} {list(seeds.shape)}")
        return lanes.astype(np.int64, copy=False), seeds


def belief_of(simulation: Simulation) -> Belief:
    """Return what may be known of a simulation's lanes now."""
    places = max(1, int((simulation.lanes["arrived"] - simulation.lanes["done"]).max()))
    count, fleet = simulation.accelerators.shape
    lanes = np.zeros(count, KNOWN_LANE)
    accelerators = np.zeros((count, fleet), KNOWN_ACCELERATOR)
    jobs = np.zeros((count, places), KNOWN_JOB)
    queue = np.zeros((count, places), np.int64)
    gather(
        simulation.config.jobs, simulation.lanes, simulation.accelerators, simulation.jobs,
        simulation.queue, lanes, accelerators, jobs, queue, np.zeros(places, np.int64),
    )  # fmt: skip
    return Belief(
        table=_believed(simulation.table),
        settings=_future_settings(simulation.config),
        reconfiguration=tuple(simulation.devices["reconfiguration"].tolist()),
        lanes=lanes,
        accelerators=accelerators,
        jobs=jobs,
        queue=queue,
    )


@lru_cache(maxsize=16)
def _believed(table: LatencyTable) -> LatencyTable:
    cycles = expected_cycles(table)
    return replace(table, true_cycles=cycles, predicted_cycles=cycles, log_errors=None, noise=0.0)


def _future_settings(settings: SimulationSettings) -> SimulationSettings:
    """Return the settings of futures: the table is of a job already, predicting takes no time, nothing drifts."""
    return replace(
        settings.without_cost(),
        jobs=1,
        repeats=1,
        modulation=Modulation.STEADY,
        phases=(),
        drift=0.0,
    )


@kernel
def gather(
    total: int,
    lanes: RecordArray,
    accelerators: RecordArray,
    jobs: RecordArray,
    queue: RecordArray,
    known_lanes: RecordArray,
    known_accelerators: RecordArray,
    known_jobs: RecordArray,
    known_queue: NDArray[np.int64],
    numbers: NDArray[np.int64],
) -> None:
    """Copy what may be known of each lane; `total` jobs an episode.

    `numbers` int64 [n] is scratch: the places of the known jobs in `jobs`, which are in order of arrival.
    """
    for i in range(len(lanes)):
        lane, known = lanes[i], known_lanes[i]
        known["time"] = lane["time"]
        known["elapsed"] = lane["elapsed"]
        known["recent_gap"] = lane["recent_gap"]
        known["last_arrival"] = lane["last_arrival"]
        count = 0
        if not lane["ended"]:
            known["waiting"] = lane["waiting"]
            known["waiting_work"] = lane["waiting_work"]
            known["shown_work"] = lane["shown_work"]
            known["weight"] = lane["weight"]
            known["to_come"] = total - lane["arrived"]
            count = _in_system(i, lanes, accelerators, jobs, queue, numbers)
        known["in_system"] = count
        for k in range(count):
            _gather_job(jobs[i, numbers[k]], known_jobs[i, k], numbers, count)
        for k in range(known["waiting"]):
            known_queue[i, k] = np.searchsorted(numbers[:count], queue[i, lane["head"] + k]["job"])
        for a in range(accelerators.shape[1]):
            _gather_accelerator(accelerators[i, a], known_accelerators[i, a], lane["time"], numbers, count)


@helper
def _in_system(
    i: int,
    lanes: RecordArray,
    accelerators: RecordArray,
    jobs: RecordArray,
    queue: RecordArray,
    numbers: NDArray[np.int64],
) -> int:
    """Write the places of the jobs in the system, sorted; return how many they are."""
    lane = lanes[i]
    count = 0
    for k in range(lane["head"], lane["head"] + lane["waiting"]):
        numbers[count] = queue[i, k]["job"]
        count += 1
    for a in range(accelerators.shape[1]):
        accelerator = accelerators[i, a]
        if accelerator["job"] >= 0:
            numbers[count] = accelerator["job"]
            count += 1
        job = accelerator["head"]
        for _ in range(accelerator["queued"]):
            numbers[count] = job
            count += 1
            job = jobs[i, job]["next"]
    numbers[:count].sort()
    return count


@helper
def _gather_job(job: Any, known: Any, numbers: NDArray[np.int64], count: int) -> None:
    known["arrival"] = job["arrival"]
    known["ready"] = job["ready"]
    known["start"] = job["start"]
    known["due"] = job["due"]
    known["weight"] = job["weight"]
    known["job_class"] = job["believed_class"]
    known["choice"] = job["choice"]
    known["aborted"] = job["aborted"]
    known["next"] = IDLE
    if job["next"] >= 0 and job["start"] < 0:
        known["next"] = np.searchsorted(numbers[:count], job["next"])


@helper
def _gather_accelerator(accelerator: Any, known: Any, now: int, numbers: NDArray[np.int64], count: int) -> None:
    known["believed_finish"] = NEVER
    known["job"] = IDLE
    if accelerator["job"] >= 0:
        known["believed_finish"] = max(now, accelerator["believed_finish"])
        known["job"] = np.searchsorted(numbers[:count], accelerator["job"])
    known["queued_work"] = accelerator["queued_work"]
    known["preferred_work"] = accelerator["preferred_work"]
    known["changed"] = accelerator["changed"]
    known["choice"] = accelerator["choice"]
    known["queued"] = accelerator["queued"]
    known["up"] = accelerator["up"]
    known["head"] = known["tail"] = IDLE
    if accelerator["queued"] > 0:
        known["head"] = np.searchsorted(numbers[:count], accelerator["head"])
        known["tail"] = np.searchsorted(numbers[:count], accelerator["tail"])


@kernel
def lay_out(
    known_lanes: RecordArray,
    known_accelerators: RecordArray,
    known_jobs: RecordArray,
    known_queue: NDArray[np.int64],
    origins: NDArray[np.int64],
    further: NDArray[np.int64],
    settings: RecordArray,
    lanes: RecordArray,
    accelerators: RecordArray,
    jobs: RecordArray,
    queue: RecordArray,
) -> None:
    """Make each lane what its origin is believed to be; the lanes have just been reset.

    The first `further` jobs that the reset drew are those to come, from now on instead of from time 0 (gaps of a
    Poisson process have no memory, and neither have times between failures).
    """
    total = jobs.shape[1]
    moments = np.empty(2, np.int64)
    for i in range(len(lanes)):
        origin = origins[i]
        known = known_lanes[origin]
        unused = total - known["in_system"] - further[i]
        place = unused + known["in_system"]  # of the first job to come
        for k in range(further[i] - 1, -1, -1):
            _continue_drawn(jobs[i, k], jobs[i, place + k], known["time"])
        for k in range(unused):
            _unused_job(jobs[i, k])
        for k in range(known["in_system"]):
            _continue_job(known_jobs[origin, k], jobs[i, unused + k], unused)
        for k in range(known["waiting"]):
            entry, job = queue[i, place - known["waiting"] + k], unused + known_queue[origin, k]
            entry["job"] = job
            entry["arrival"] = jobs[i, job]["arrival"]
            entry["job_class"] = jobs[i, job]["job_class"]
        _continue_lane(known, lanes[i], place, unused, total)
        for a in range(accelerators.shape[1]):
            accelerator = accelerators[i, a]
            _continue_accelerator(known_accelerators[origin, a], accelerator, unused)
            if settings[0]["failing"]:
                transition.changes_until(settings, accelerator["key"], NEVER, moments)
                wait = moments[0] if accelerator["up"] else moments[1] - moments[0]
                accelerator["change"] = known["time"] + wait
            _count_accelerator(a, accelerator, lanes[i])
        if further[i] > 0:
            lanes[i]["next_ready"] = jobs[i, place]["ready"]


@helper
def _continue_lane(known: Any, lane: Any, place: int, unused: int, total: int) -> None:
    lane["time"] = lane["decided"] = known["time"]
    lane["elapsed"] = known["elapsed"]
    lane["next_ready"] = lane["soonest"] = lane["next_change"] = NEVER
    lane["arrived"] = lane["cursor"] = place
    lane["done"] = unused
    lane["head"] = place - known["waiting"]
    lane["waiting"] = lane["most_waiting"] = known["waiting"]
    lane["waiting_work"] = known["waiting_work"]
    lane["shown_work"] = known["shown_work"]
    lane["last_arrival"] = known["last_arrival"]
    lane["recent_gap"] = known["recent_gap"]
    lane["weight"] = known["weight"]
    clear_sums(lane)
    lane["total_energy"] = 0.0
    lane["potential"] = lane["reward"] = 0.0
    lane["steps"] = lane["aborted"] = 0
    lane["first"] = lane["idle"] = lane["running"] = 0
    lane["rewrite"] = 0
    lane["removed"] = -1
    lane["legal"] = 1
    lane["ended"] = unused == total


@helper
def _continue_accelerator(known: Any, accelerator: Any, unused: int) -> None:
    accelerator["finish"] = known["believed_finish"]
    accelerator["believed_finish"] = known["believed_finish"] if known["job"] >= 0 else 0
    accelerator["job"] = unused + known["job"] if known["job"] >= 0 else IDLE
    accelerator["queued_work"] = known["queued_work"]
    accelerator["preferred_work"] = known["preferred_work"]
    accelerator["busy_cycles"] = 0
    accelerator["choice"] = known["choice"]
    accelerator["queued"] = known["queued"]
    accelerator["head"] = unused + known["head"] if known["head"] >= 0 else IDLE
    accelerator["tail"] = unused + known["tail"] if known["tail"] >= 0 else IDLE
    accelerator["up"] = known["up"]
    accelerator["changed"] = known["changed"]
    accelerator["changes"] = 1 - known["up"]  # odd while it is down
    accelerator["change"] = NEVER


@helper
def _count_accelerator(a: int, accelerator: Any, lane: Any) -> None:
    """Let the lane know of its accelerator `a`."""
    lane["running"] += accelerator["job"] >= 0
    lane["idle"] += accelerator["up"] and accelerator["job"] < 0
    lane["next_change"] = min(lane["next_change"], accelerator["change"])
    if accelerator["finish"] < lane["soonest"]:
        lane["first"] = a
        lane["soonest"] = accelerator["finish"]


@helper
def _continue_job(known: Any, job: Any, unused: int) -> None:
    job["arrival"] = known["arrival"]
    job["ready"] = known["ready"]
    job["start"] = known["start"]
    job["finish"] = IDLE
    job["due"] = known["due"]
    job["weight"] = known["weight"]
    job["job_class"] = job["believed_class"] = known["job_class"]
    job["choice"] = known["choice"]
    job["next"] = unused + known["next"] if known["next"] >= 0 else IDLE
    job["aborted"] = known["aborted"]


@helper
def _continue_drawn(drawn: Any, job: Any, now: int) -> None:
    job["arrival"] = job["ready"] = now + drawn["arrival"]
    job["due"] = NEVER if drawn["due"] == NEVER else now + drawn["due"]
    job["weight"] = drawn["weight"]
    job["job_class"] = job["believed_class"] = drawn["job_class"]
    job["start"] = job["finish"] = job["choice"] = job["next"] = IDLE
    job["aborted"] = 0


@helper
def _unused_job(job: Any) -> None:
    job["arrival"] = job["ready"] = job["start"] = job["finish"] = 0
    job["due"] = NEVER
    job["weight"] = 1.0
    job["job_class"] = job["believed_class"] = 0
    job["choice"] = job["next"] = IDLE
    job["aborted"] = 0
