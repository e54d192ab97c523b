"""Metrics of finished episodes: times, deadlines, energy, failures, use of the fleet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import GnnSchedError
from gnnsched_env.sim.records import NEVER, RecordArray
from gnnsched_env.sim.state import Simulation
from gnnsched_env.sim.totals import JobTotals

ALL = slice(None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EpisodeMetrics:
    """Every job of L finished episodes of J jobs each, and each episode's use of the fleet.

    `jobs`: JOB records [L, J], a copy; without rows (J = 0) where jobs were streamed and their records not kept.
    `true` int64 [C, K]: the classes' true latencies, cycles. `totals`: of each episode, sums over its J jobs, those
    whose records were not kept too.
    Of episodes, [L]: `makespan` int64 cycles, `utilisation` float64 (busy cycles, those of aborted runs too /
    (accelerators x makespan)), `energy_pj` float64 (of all runs, aborted ones as far as they came; 0 for a table
    without energies), `failures` and `aborted` int64 (times that an accelerator failed, runs that this stopped),
    `availability` float64 (share of the accelerators' time until the makespan in which they were up).
    """

    jobs: RecordArray
    true: NDArray[np.int64]
    totals: tuple[JobTotals, ...]
    makespan: NDArray[np.int64]
    utilisation: NDArray[np.float64]
    energy_pj: NDArray[np.float64]
    failures: NDArray[np.int64]
    aborted: NDArray[np.int64]
    availability: NDArray[np.float64]

    @property
    def completion(self) -> NDArray[np.int64]:
        """Return int64 [L, J] cycles: finish - arrival."""
        return np.asarray(self.jobs["finish"] - self.jobs["arrival"])

    @property
    def execution(self) -> NDArray[np.int64]:
        """Return int64 [L, J] cycles: finish - start of the last run."""
        return np.asarray(self.jobs["finish"] - self.jobs["start"])

    @property
    def slowdown(self) -> NDArray[np.float64]:
        """Return float64 [L, J]: completion over the smallest true latency."""
        return np.asarray(self.completion / self.true.min(axis=1)[self.jobs["job_class"]])

    @property
    def weight(self) -> NDArray[np.float64]:
        """Return the jobs' weights, float64 [L, J]."""
        return self.jobs["weight"].astype(np.float64)

    @property
    def has_deadline(self) -> NDArray[np.bool_]:
        """Return which jobs have a deadline, bool [L, J]."""
        return np.asarray(self.jobs["due"] < NEVER)

    @property
    def tardiness(self) -> NDArray[np.int64]:
        """Return int64 [L, J] cycles: by which a job finished after its due time; 0 in time or without one."""
        return np.where(self.has_deadline, np.maximum(self.jobs["finish"] - self.jobs["due"], 0), 0)

    @property
    def predicting(self) -> NDArray[np.float64]:
        """Return float64 [L]: mean cycles from a job's arrival until it came to the scheduler, being predicted."""
        return np.asarray((self.jobs["ready"] - self.jobs["arrival"]).mean(axis=1))


_MEANS: dict[str, Callable[[EpisodeMetrics, JobTotals], float]] = {
    "mean_completion": lambda _, total: total.completion / total.jobs,
    "mean_execution": lambda _, total: total.execution / total.jobs,
    "mean_slowdown": lambda _, total: total.slowdown / total.jobs,
    "mean_predicting": lambda _, total: total.predicting / total.jobs,
    "mean_weighted_completion": lambda _, total: total.weighted / total.weight,
    "missed_deadlines": lambda _, total: total.missed / max(1, total.due),
    "mean_tardiness": lambda _, total: total.tardiness / max(1, total.due),
    "mean_energy_pj": lambda metrics, total: metrics.energy_pj.sum() / total.jobs,
    "utilisation": lambda metrics, _: metrics.utilisation.mean(),
    "makespan": lambda metrics, _: metrics.makespan.mean(),
    "energy_pj": lambda metrics, _: metrics.energy_pj.mean(),
    "mean_failures": lambda metrics, _: metrics.failures.mean(),
    "mean_aborted": lambda metrics, _: metrics.aborted.mean(),
    "availability": lambda metrics, _: metrics.availability.mean(),
}
METRICS = tuple(_MEANS)
"""The names of what `summarise` returns."""


def summarise(metrics: EpisodeMetrics) -> dict[str, float]:
    """Return means over all jobs and over all episodes, by name; none is NaN.

    Of jobs: "mean_completion", "mean_execution" (cycles), "mean_slowdown", "mean_predicting" (cycles),
    "mean_weighted_completion" (cycles: the mean in which a job counts as much as its weight), "missed_deadlines" (share
    of the jobs with a deadline), "mean_tardiness" (cycles, of those; both 0 where none has one), "mean_energy_pj".
    Of episodes: "utilisation", "makespan" (cycles), "energy_pj" (of a whole one), "mean_failures", "mean_aborted",
    "availability".
    """
    total = reduce(JobTotals.plus, metrics.totals)
    return {name: float(mean(metrics, total)) for name, mean in _MEANS.items()}


def joined(parts: Sequence[EpisodeMetrics]) -> EpisodeMetrics:
    """Return the metrics of the episodes of several, in their order: at least one, of one table and number of jobs."""
    arrays = ("jobs", "makespan", "utilisation", "energy_pj", "failures", "aborted", "availability")
    return EpisodeMetrics(
        true=parts[0].true,
        totals=tuple(totals for part in parts for totals in part.totals),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays},
    )


def episode_metrics(simulation: Simulation, which: slice = ALL) -> EpisodeMetrics:
    """Return the metrics of the lanes `which` (all by default); raise where one of them has not ended."""
    lanes, accelerators = simulation.lanes[which], simulation.accelerators[which]
    if not lanes["ended"].all():
        running = np.arange(simulation.num_lanes)[which][lanes["ended"] == 0].tolist()
        raise GnnSchedError(f"metrics: every lane must have ended, but lanes {running[:8]} still run")
    makespan = lanes["time"].copy()  # an episode ends with its last job
    fleet_time = accelerators.shape[1] * makespan.astype(np.float64)
    return EpisodeMetrics(
        jobs=_copied(simulation.jobs[which, :0] if simulation.streaming else simulation.jobs[which]),
        true=simulation.true,
        totals=_totals(simulation, which),
        makespan=makespan,
        utilisation=accelerators["busy_cycles"].sum(axis=1, dtype=np.float64) / fleet_time,
        energy_pj=lanes["total_energy"].copy(),
        failures=((accelerators["changes"] + 1) // 2).sum(axis=1),  # every other change is a repair
        aborted=lanes["aborted"].copy(),
        availability=1.0 - _down_time(simulation, which) / fleet_time,
    )


def _copied(records: RecordArray) -> RecordArray:
    """Return a copy, made of whole records: numpy copies field by field otherwise, ten times as slowly."""
    return records.view(f"V{records.dtype.itemsize}").copy().view(records.dtype)


def _totals(simulation: Simulation, which: slice) -> tuple[JobTotals, ...]:
    """Return the sums over each lane's jobs: those that are held, and where they are streamed those before."""
    found = []
    for lane in range(*which.indices(simulation.num_lanes)):
        totals, records = JobTotals(), simulation.jobs[lane]
        if simulation.streaming:
            totals, records = totals.plus(simulation.forgotten[lane]), records[: simulation.lanes["loaded"][lane]]
        totals.add(records, simulation.true)
        found.append(totals)
    return tuple(found)


def _down_time(simulation: Simulation, which: slice) -> NDArray[np.float64]:
    """Return float64 [n]: cycles in which accelerators were down, summed over them, of some lanes."""
    down = np.zeros(simulation.num_lanes)
    for lane in range(*which.indices(simulation.num_lanes)):
        if simulation.accelerators["changes"][lane].any():
            intervals = simulation.down_intervals(lane)
            down[lane] = (intervals["end"] - intervals["start"]).sum(dtype=np.float64)
    return down[which]
