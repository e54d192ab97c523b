"""A fleet whose events are told as they happen, in place of a simulated one: what a live scheduler believes.

`DrivenFleet` has the record arrays of a `Simulation` of one lane, so that what reads a simulation (observations,
beliefs, schedules) reads it too, and its events are parts of the same transition. Nothing in it knows how long a
running job will take.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.compiled import compiled_for
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim import driven_kernels as kernels
from gnnsched_env.sim.metrics import EpisodeMetrics
from gnnsched_env.sim.records import ABORTED, DOWN, NEVER, RecordArray
from gnnsched_env.sim.settings import SimulationSettings
from gnnsched_env.sim.state import MOST_ABORTED, Simulation
from gnnsched_env.sim.totals import JobTotals
from gnnsched_env.tables import LatencyTable


class DrivenFleet(Simulation):
    """One lane of a central queue that is told what happens: jobs that come, start, finish or are lost, and failures.

    `settings` as a simulation has them; what it would draw (arrivals, the cost of decisions, failures) is left out, and
    `settings.jobs` is the most that may come. Times are int64 cycles and never run backwards: an event that is told
    late happens at the fleet's present time. `given_up` bool [J] tells which jobs left without being done.
    """

    def __init__(self, table: LatencyTable, settings: SimulationSettings) -> None:
        if settings.dispatch:
            raise ConfigError("driven fleet: jobs must wait in a central queue, got dispatch=True")
        told = replace(settings.without_cost(), mean_up=0.0, mean_down=0.0)
        super().__init__(table, told)
        self.aborted: RecordArray = np.zeros((1, MOST_ABORTED), ABORTED)
        self.given_up = np.zeros(told.jobs, np.bool_)
        self._downs: list[list[int]] = []  # accelerator, start, end (-1 while it is down)
        self._begun = False
        state = self.state
        one, two = (0,), (0, 0)
        wanted: dict[str, tuple[int, ...]] = dict.fromkeys(("clear", "arrive", "begin", "settle"), ())
        wanted |= dict.fromkeys(("pass_time", "resolve", "finish", "abort", "fail", "repair"), one) | {"start": two}
        self._kernels = {name: compiled_for(getattr(kernels, name), *state, *more) for name, more in wanted.items()}
        self._call("clear")
        self.lanes["next_ready"] = 0  # below NEVER: jobs are to come

    def _call(self, name: str, *arguments: int) -> Any:
        return self._kernels[name](*self.state, *arguments)

    @property
    def time(self) -> int:
        """Return the present time, cycles."""
        return int(self.lanes["time"][0])

    @property
    def ended(self) -> bool:
        """Return whether all jobs are done, and none is to come."""
        return bool(self.lanes["ended"][0])

    @property
    def decision_due(self) -> bool:
        """Return whether a job waits and an accelerator is idle."""
        return bool(self.lanes["waiting"][0] > 0 and self.lanes["idle"][0] > 0)

    def running(self, accelerator: int) -> int:
        """Return the job that runs on an accelerator, -1 for none."""
        return int(self.accelerators["job"][0, accelerator])

    def is_up(self, accelerator: int) -> bool:
        """Return whether an accelerator is in service."""
        return bool(self.accelerators["up"][0, accelerator])

    def pass_time(self, now: int) -> None:
        """Move the clock on to `now`; a time before the present one changes nothing."""
        if now > self.time:
            self._call("pass_time", now)

    def arrive(self, now: int, *, job_class: int, arrival: int, due: int = NEVER, weight: float = 1.0) -> int:
        """Let a job come to the scheduler, which arrived at `arrival`; return its number: 0, 1, 2, ..."""
        Integer(0, self.table.num_classes - 1).check("driven fleet", "job_class", job_class)
        number = int(self.lanes["cursor"][0])
        if number >= self.config.jobs:
            raise ConfigError(f"driven fleet: at most {self.config.jobs:,} jobs may come, got one more")
        self.pass_time(now)
        record = self.jobs[0, number]
        for name, value in (("arrival", arrival), ("ready", self.time), ("due", due)):
            record[name] = value
        record["weight"], record["job_class"], record["believed_class"] = weight, job_class, job_class
        self._call("arrive")
        return number

    def no_more(self) -> None:
        """Let no further job come: the jobs that have come are all."""
        self.settings["jobs"] = self.lanes["arrived"]
        self.lanes["next_ready"] = NEVER
        if self.lanes["done"][0] == self.lanes["arrived"][0]:
            self.lanes["ended"] = 1

    def settle(self, now: int) -> None:
        """Prepare a decision at `now`: close the books of the time since the last one."""
        self.pass_time(now)
        self._call("settle" if self._begun else "begin")
        self._begun = True

    def resolve(self, action: int) -> tuple[int, int]:
        """Return the (job, choice) that an action of the central queue starts, (-1, -1) where it waits."""
        slot, choice = self._call("resolve", action)
        if slot < 0:
            return -1, -1
        return int(self.queue["job"][0, self.lanes["head"][0] + slot]), int(choice)

    def start(self, now: int, job: int, choice: int) -> None:
        """Start a waiting job under a choice of an idle accelerator; raise ConfigError where either is not so."""
        head, waiting = int(self.lanes["head"][0]), int(self.lanes["waiting"][0])
        places = np.flatnonzero(self.queue["job"][0, head : head + waiting] == job)
        if not len(places):
            raise ConfigError(f"driven fleet: a job must wait to be started, got job {job}")
        owner = int(self.choice_accelerators[choice])
        if not self.is_up(owner) or self.running(owner) >= 0:
            raise ConfigError(f"driven fleet: accelerator {owner} must be idle to start job {job}")
        self.pass_time(now)
        self._call("start", int(places[0]), choice)

    def finish(self, now: int, job: int, *, given_up: bool = False) -> None:
        """Let a running job leave: it is done, or it is given up."""
        owner = self._owner(job)
        self.pass_time(now)
        self._call("finish", owner)
        self.given_up[job] = given_up

    def abort(self, now: int, job: int) -> None:
        """Give a running job back to the waiting ones, at its place."""
        owner = self._owner(job)
        self.pass_time(now)
        self._call("abort", owner)

    def fail(self, now: int, accelerator: int) -> None:
        """Take an idle accelerator out of service (a job that ran on it has been aborted before)."""
        if not self.is_up(accelerator) or self.running(accelerator) >= 0:
            raise ConfigError(f"driven fleet: accelerator {accelerator} must be idle to fail")
        self.pass_time(now)
        self._call("fail", accelerator)
        self._downs.append([accelerator, self.time, -1])

    def repair(self, now: int, accelerator: int) -> None:
        """Bring an accelerator back into service."""
        if self.is_up(accelerator):
            raise ConfigError(f"driven fleet: accelerator {accelerator} must be down to be repaired")
        self.pass_time(now)
        self._call("repair", accelerator)
        next(down for down in reversed(self._downs) if down[0] == accelerator)[2] = self.time

    def down_intervals(self, lane: int = 0) -> RecordArray:
        """Return when each accelerator was down (DOWN records, by accelerator), until now where it still is."""
        rows = sorted((number, start, self.time if end < 0 else end) for number, start, end in self._downs)
        return np.array(rows, DOWN)

    def _owner(self, job: int) -> int:
        """Return the accelerator that a job runs on."""
        owners: NDArray[np.int64] = np.flatnonzero(self.accelerators["job"][0] == job)
        if job < 0 or not len(owners):
            raise ConfigError(f"driven fleet: a job must run to finish or to be aborted, got job {job}")
        return int(owners[0])


def driven_metrics(fleet: DrivenFleet) -> EpisodeMetrics:
    """Return the metrics of the jobs that are done; those that were given up, wait or run are left out.

    Raise ConfigError where no job is done.
    """
    records = fleet.jobs[0, : int(fleet.lanes["cursor"][0])]
    done = records[(records["finish"] >= 0) & ~fleet.given_up[: len(records)]]
    if not len(done):
        raise ConfigError("metrics: at least one job must be done, got none")
    totals = JobTotals()
    totals.add(done, fleet.true)
    fleet_time = max(1, fleet.time) * fleet.accelerators.shape[1]
    downs = fleet.down_intervals()
    return EpisodeMetrics(
        jobs=done[np.newaxis].copy(),
        true=fleet.true,
        totals=(totals,),
        makespan=fleet.lanes["time"].copy(),
        utilisation=fleet.accelerators["busy_cycles"].sum(axis=1, dtype=np.float64) / fleet_time,
        energy_pj=fleet.lanes["total_energy"].copy(),
        failures=((fleet.accelerators["changes"] + 1) // 2).sum(axis=1),
        aborted=fleet.lanes["aborted"].copy(),
        availability=1.0 - np.array([(downs["end"] - downs["start"]).sum(dtype=np.float64)]) / fleet_time,
    )
