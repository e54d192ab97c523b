"""The live scheduler: jobs come in real time, a policy decides as in an environment, devices run what it starts.

What the scheduler believes is a `DrivenFleet`: the policy sees the observation of Queue-v0, written by the same encoder
from what is known, which is arrivals so far, predicted latencies and when running jobs are believed to end. Every
change of it is an entry of the log, written before it is acted upon; the entries alone rebuild it.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, Number
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.common.progress import Advance, no_progress
from gnnsched_env.envs.env_batch import EnvBatch
from gnnsched_env.evaluation.runs import PolicyFactory, decide, make_checked
from gnnsched_env.live.executor import Executor, Kind, Report
from gnnsched_env.live.run_log import Entry, RunLog
from gnnsched_env.sim.driven import DrivenFleet
from gnnsched_env.sim.records import NEVER, RecordArray
from gnnsched_env.sim.settings import SimulationSettings, Waiting
from gnnsched_env.tables import LatencyTable

Predict = Callable[[int], NDArray[np.int64]]
"""Function from a job's class to the job's predicted latencies int64 [K], nanoseconds."""

TRIES = 3  # runs of a job that may fail by its own fault before it is given up
FAULTS = ("raised", "overdue")  # causes of a run's end that are the job's own fault
MOST_TRIES = 1000
MOST_LOSSES = 20  # devices that a job may lose before it is given up: it may be what kills them
LONGEST_RUN = 20  # a run may take this many times its predicted latency,
LEAST_LIMIT = 60_000_000_000  # and at least this long, ns, before its device is ended
NOBODY_LIMIT = 300_000_000_000  # time without any device, ns, after which a run ends
TICK = 1_000_000_000  # longest wait at a time, ns
SYNC_EVERY = 200_000_000  # ns


class JobFailed(GnnSchedError):
    """A job was given up: it raised too often, or lost too many devices."""


class FleetLost(GnnSchedError):
    """No device is left, or none has come back in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """How a job that was submitted went; times are nanoseconds of the run's clock."""

    job: int
    device: str
    choice: str
    attempts: int
    arrival: int
    started: int
    finished: int


@dataclass(slots=True, kw_only=True)
class _Submitted:
    job_class: int
    arrival: int
    due: int
    weight: float
    future: "Future[JobResult]"


class LiveScheduler:
    """Runs jobs on an executor's devices under a policy until all are done.

    `table`: latencies of one inference of C classes under K choices, nanoseconds (a cycle is a nanosecond here); the
    predicted ones are all that the policy sees. `settings`: those of the simulation of the same jobs; what it would
    draw is left out. `planned` JOB records [n]: jobs that come at their arrivals, n = `settings.jobs`; None: jobs come
    by `submit`, at most `settings.jobs`, until `close`. `predict` is called for each job that comes, and must give the
    table's predictions; its time counts, as does the policy's. `restored`: the entries of an earlier session's log,
    whose jobs go on.
    """

    def __init__(
        self,
        table: LatencyTable,
        settings: SimulationSettings,
        factory: PolicyFactory,
        executor: Executor,
        *,
        log: RunLog | None = None,
        planned: RecordArray | None = None,
        predict: Predict | None = None,
        tries: int = TRIES,
        restored: Sequence[Entry] = (),
    ) -> None:
        self.tries = Integer(1, MOST_TRIES).check("live scheduler", "tries", tries)
        if planned is not None and len(planned) != settings.jobs:
            raise ConfigError(f"live scheduler: {settings.jobs:,} jobs must be planned, got {len(planned):,}")
        self.executor = executor
        self.entries: list[Entry] = []
        self._log = RunLog(None) if log is None else log
        self._make(table, settings, factory)
        self._planned = planned
        self._predict = predict
        self._attempts = np.zeros(settings.jobs, np.int64)
        self._raised = np.zeros(settings.jobs, np.int64)
        self._losses = np.zeros(settings.jobs, np.int64)
        self._gone: set[int] = set()
        self._limits: dict[int, int] = {}  # by device that runs a job: when the job has run too long
        self._stopped: set[int] = set()
        self._lock = threading.Lock()
        self._submitted: deque[_Submitted] = deque()
        self._closed = planned is not None
        self._futures: dict[int, Future[JobResult]] = {}
        self._handed: list[tuple[int, Report | str]] = []  # what futures are told once the log is on the disk
        self._fresh = True  # something has happened since the policy last chose to wait
        self._synced = self._somebody = executor.now()
        if restored:
            self._restore(restored)

    def _make(self, table: LatencyTable, settings: SimulationSettings, factory: PolicyFactory) -> None:
        """Make the fleet, its observations, and the policy for them."""
        self.fleet = DrivenFleet(table, replace(settings, waiting=Waiting.FREE))
        self.batch = EnvBatch.around(self.fleet)
        self.policy, says = make_checked(factory, self.batch.layout, self.batch.table)
        if says.observation != "dict" or says.waiting != "free":
            self.fleet = DrivenFleet(table, replace(settings, waiting=Waiting[says.waiting.upper()]))
            self.batch = EnvBatch.around(self.fleet, observation=says.observation)
            self.policy, _ = make_checked(factory, self.batch.layout, self.batch.table)

    def submit(self, job_class: int, *, due: int = NEVER, weight: float = 1.0) -> "Future[JobResult]":
        """Hand in a job, from any thread; the future has its result, or raises JobFailed.

        `due` is a time of the run's clock, nanoseconds. Raise ConfigError where the scheduler takes no more jobs.
        """
        checked = Integer(0, self.fleet.table.num_classes - 1).check("submit", "job_class", job_class)
        due = Integer(0, NEVER).check("submit", "due", due)
        weight = Number(above=0.0).check("submit", "weight", weight)
        future: Future[JobResult] = Future()
        with self._lock:
            if self._closed:
                raise ConfigError("submit: the scheduler takes no more jobs")
            job = _Submitted(job_class=checked, arrival=self.executor.now(), due=due, weight=weight, future=future)
            self._submitted.append(job)
        self.executor.wake()
        return future

    def close(self) -> None:
        """Take no more jobs, from any thread: `run` returns once those that have come are done."""
        with self._lock:
            self._closed = True
        self.executor.wake()

    def run(self, advance: Advance = no_progress) -> None:
        """Schedule until all jobs are done or given up; `advance` is told of each.

        Raise FleetLost where no device is left. However it ends, the log is on the disk.
        """
        self.executor.start_clock()
        self._tell("session", self.executor.now(), wall_ns=time.time_ns(), pid=os.getpid())
        told = int(self.fleet.lanes["done"][0])
        try:
            while not self.fleet.ended:
                self._decide()
                self._hand_over()
                for report in self.executor.wait(self._until()):
                    self._take(report)
                done = int(self.fleet.lanes["done"][0])
                if done > told:
                    advance(done - told)
                    told = done
                self._check_limits()
        finally:
            self._hand_over(now=True)

    def _decide(self) -> None:
        """Let the jobs come whose time it is, and the policy decide as long as it starts jobs."""
        self._take_arrivals()
        while self._fresh and self.fleet.decision_due:
            seen = self.executor.now()
            self.fleet.settle(seen)
            self.batch.encode()
            began = time.perf_counter_ns()
            action = int(decide(self.batch, self.policy)[0])
            spent = (time.perf_counter_ns() - began) / 1e3
            job, choice = self.fleet.resolve(action)
            about = {"seen": seen, "waiting": int(self.fleet.lanes["waiting"][0]), "deciding_us": spent}
            if job < 0:
                self._fresh = False
                self._tell("wait", self.executor.now(), **about)
                return
            attempt = int(self._attempts[job])
            self._tell("choose", self.executor.now(), job=job, choice=choice, attempt=attempt, **about)
            device = int(self.fleet.choice_accelerators[choice])
            job_class = int(self.fleet.jobs["job_class"][0, job])
            self.executor.start(device, job=job, attempt=attempt, job_class=job_class, choice=choice)
            self._take_arrivals()

    def _take_arrivals(self) -> None:
        """Let the jobs come that have arrived: each is predicted, then it is the scheduler's."""
        while (job := self._arrived()) is not None:
            began = time.perf_counter_ns()
            if self._predict is not None:
                predicted = self._predict(job.job_class)
                if not np.array_equal(predicted, self.fleet.predicted[job.job_class]):
                    raise GnnSchedError(
                        f"predictor: must predict what the table holds for class {job.job_class}, "
                        f"{self.fleet.predicted[job.job_class].tolist()}, got {predicted.tolist()}"
                    )
            spent = (time.perf_counter_ns() - began) / 1e3
            number = int(self.fleet.lanes["cursor"][0])
            about = {"class": job.job_class, "arrival": job.arrival, "due": job.due, "weight": job.weight}
            self._futures[number] = job.future
            self._tell("arrive", self.executor.now(), job=number, predicting_us=spent, **about)
        with self._lock:
            last = self._closed and not self._submitted and self._planned is None
        if last and self.fleet.lanes["next_ready"][0] < NEVER:
            self._tell("close", self.executor.now())

    def _arrived(self) -> _Submitted | None:
        """Return the next job that has arrived by now, if there is one."""
        if self._planned is None:
            with self._lock:
                return self._submitted.popleft() if self._submitted else None
        number = int(self.fleet.lanes["cursor"][0])
        if number >= len(self._planned) or self._planned["arrival"][number] > self.executor.now():
            return None
        row = self._planned[number]
        return _Submitted(
            job_class=int(row["job_class"]),
            arrival=int(row["arrival"]),
            due=int(row["due"]),
            weight=float(row["weight"]),
            future=Future(),
        )

    def _until(self) -> int:
        """Return when the executor must have returned, whatever happens."""
        moments = [self.executor.now() + TICK, *self._limits.values()]
        number = int(self.fleet.lanes["cursor"][0])
        if self._planned is not None and number < len(self._planned):
            moments.append(int(self._planned["arrival"][number]))
        with self._lock:
            return 0 if self._submitted else min(moments)

    def _take(self, report: Report) -> None:
        """Act on what an executor reports."""
        now, device = self.executor.now(), report.device
        job = self.fleet.running(device)
        if report.kind in (Kind.DONE, Kind.RAISED):
            if job != report.job or self._attempts[job] != report.attempt:
                return  # of a run that was given back before
            choice = int(self.fleet.jobs["choice"][0, job])
            if report.kind is Kind.DONE:
                times = {"sent": report.sent, "started": report.started, "finished": report.finished}
                self._tell("done", now, job=job, choice=choice, attempt=report.attempt, **times)
                self._handed.append((job, report))
            else:
                self._lose(job, choice, now, "raised", report.why)
        elif report.kind is Kind.UP:
            if not self.fleet.is_up(device):
                self._tell("up", now, device=device)
        else:
            if job >= 0:
                cause, why = ("overdue", "it ran too long") if device in self._stopped else ("lost", report.why)
                self._lose(job, int(self.fleet.jobs["choice"][0, job]), now, cause, why)
            if self.fleet.is_up(device):
                self._tell("down", now, device=device, why=report.why)
            if report.kind is Kind.GONE:
                self._tell("gone", now, device=device, why=report.why)
                self._check_left(report.why)

    def _lose(self, job: int, choice: int, now: int, cause: str, why: str) -> None:
        """Give a run's job back to the waiting ones, or give it up where it has failed too often."""
        raised, losses = int(self._raised[job]) + (cause in FAULTS), int(self._losses[job]) + (cause == "lost")
        last = raised >= self.tries or losses > MOST_LOSSES
        about = {"job": job, "choice": choice, "attempt": int(self._attempts[job]), "cause": cause, "why": why}
        self._tell("give_up" if last else "abort", now, **about)
        if last:
            self._handed.append((job, why))

    def _tell(self, event: str, at: int, **fields: object) -> None:
        """Write an entry to the log, then change the state as it says."""
        self._apply(self._log.write(event, at, **fields))

    def _apply(self, entry: Entry) -> None:
        """Change the state as an entry says: the only place where it changes, in a first session and in a later one."""
        self.entries.append(entry)
        self._fresh = self._fresh or entry["event"] != "wait"
        event, at, fleet = entry["event"], entry["at"], self.fleet
        if event == "arrive":
            about = {name: entry[name] for name in ("arrival", "due", "weight")}
            fleet.arrive(at, job_class=entry["class"], **about)
        elif event == "choose":
            fleet.start(at, entry["job"], entry["choice"])
            job_class = int(fleet.jobs["job_class"][0, entry["job"]])
            longest = max(LEAST_LIMIT, LONGEST_RUN * int(fleet.predicted[job_class, entry["choice"]]))
            self._limits[int(fleet.choice_accelerators[entry["choice"]])] = at + longest
        elif event in ("done", "abort", "give_up"):
            self._end_run(entry)
        elif event == "down":
            fleet.fail(at, entry["device"])
        elif event == "up":
            fleet.repair(at, entry["device"])
            self._gone.discard(entry["device"])
        elif event == "gone":
            self._gone.add(entry["device"])
        elif event == "close":
            fleet.no_more()
        else:
            fleet.pass_time(at)

    def _end_run(self, entry: Entry) -> None:
        job = entry["job"]
        device = int(self.fleet.choice_accelerators[entry["choice"]])
        self._limits.pop(device, None)
        self._stopped.discard(device)
        if entry["event"] == "abort":
            self.fleet.abort(entry["at"], job)
        else:
            self.fleet.finish(entry["at"], job, given_up=entry["event"] == "give_up")
        self._attempts[job] += 1
        self._raised[job] += entry.get("cause") in FAULTS
        self._losses[job] += entry.get("cause") == "lost"

    def _restore(self, entries: Sequence[Entry]) -> None:
        """Rebuild the state from an earlier session's entries, and give back what ran when it ended.

        All devices are new, so those that were down, or gone, are up.
        """
        for entry in entries:
            try:
                if "seen" in entry:
                    self.fleet.settle(entry["seen"])
                self._apply(entry)
            except ConfigError as error:
                raise ConfigError(f"the log does not fit the run: entry {len(self.entries)}: {error}") from None
        now = max(self.executor.now(), self.fleet.time)
        for device in range(self.fleet.table.num_accelerators):
            if (job := self.fleet.running(device)) >= 0:
                self._lose(job, int(self.fleet.jobs["choice"][0, job]), now, "stopped", "the scheduler was stopped")
            if not self.fleet.is_up(device):
                self._tell("up", now, device=device)
        self._gone.clear()

    def _check_limits(self) -> None:
        """End devices whose jobs run too long; raise FleetLost where no device has been up for long."""
        now = self.executor.now()
        for device, limit in list(self._limits.items()):
            if now >= limit:
                self._stopped.add(device)
                self._limits[device] = now + LEAST_LIMIT  # when it is ended again, if nothing comes of it
                self.executor.stop(device, f"job {self.fleet.running(device)} ran too long")
        if self.fleet.accelerators["up"].any():
            self._somebody = now
        elif now - self._somebody > NOBODY_LIMIT:
            self._check_left(f"none came back within {NOBODY_LIMIT / 1e9:.0f} s", all_gone=True)

    def _check_left(self, why: str, *, all_gone: bool = False) -> None:
        if all_gone or len(self._gone) == self.fleet.table.num_accelerators:
            left = self.fleet.config.jobs - int(self.fleet.lanes["done"][0])
            raise FleetLost(f"live fleet: no device is left for {left:,} jobs ({why}); the run can be resumed")

    def _hand_over(self, *, now: bool = False) -> None:
        """Bring the log to the disk, where it is time or somebody waits for a result, and tell futures theirs."""
        asked = any(job in self._futures for job, _ in self._handed) and self._planned is None
        if not (now or asked or self.executor.now() - self._synced > SYNC_EVERY):
            return
        self._log.sync()
        self._synced = self.executor.now()
        handed, self._handed = self._handed, []
        for job, result in handed:
            future = self._futures.pop(job, None)
            if future is None or not future.set_running_or_notify_cancel():
                continue
            if isinstance(result, str):
                future.set_exception(JobFailed(f"job {job} was given up: {result}"))
            else:
                future.set_result(self._result(job, result))

    def _result(self, job: int, report: Report) -> JobResult:
        record, table = self.fleet.jobs[0, job], self.fleet.table
        return JobResult(
            job=job,
            device=table.accelerator_names[report.device],
            choice=table.choice_names[int(record["choice"])],
            attempts=int(self._attempts[job]),
            arrival=int(record["arrival"]),
            started=report.started,
            finished=report.finished,
        )
