"""Play a live run into its folder: begin it, or go on with it, and write what follows from its log."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.files import write_json, write_whole
from gnnsched_env.common.folder_lock import writing_folder
from gnnsched_env.common.progress import Advance, no_progress
from gnnsched_env.envs.exports import write_csv, write_trace
from gnnsched_env.envs.labels import ScheduleLabels
from gnnsched_env.envs.schedule_svg import schedule_svg
from gnnsched_env.evaluation.policies import policy_factory
from gnnsched_env.evaluation.runs import PolicyFactory, knowledge_of
from gnnsched_env.live.actors.fleet_session import ray_session
from gnnsched_env.live.actors.ray_executor import RayExecutor
from gnnsched_env.live.executor import Executor
from gnnsched_env.live.live_fleet import CLOCK_HZ
from gnnsched_env.live.live_run import LOG_FILE, METRICS_FILE, LiveRun, check_new, quantiles, read_run, write_tables
from gnnsched_env.live.run_log import RunLog
from gnnsched_env.live.scheduler import LiveScheduler, Predict
from gnnsched_env.live.served_classes import ServedClasses
from gnnsched_env.live.simulated import LiveJobs
from gnnsched_env.live.virtual_executor import VirtualExecutor
from gnnsched_env.sim import summarise
from gnnsched_env.sim.driven import driven_metrics
from gnnsched_env.sim.schedule import Schedule, schedule_of

REHEARSED = 20  # jobs

Open = Callable[[LiveRun, int], AbstractContextManager[Executor]]
"""Function from a run, and what its clock shows first (ns), to a context of the executor that runs its jobs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Played:
    """A run that has been played to its end: what happened, as simulated episodes have it, and its figures."""

    run: LiveRun
    schedule: Schedule
    labels: ScheduleLabels
    figures: dict[str, Any]


def on_ray(served: ServedClasses, address: str | None = None) -> Open:
    """Return what opens a run's executor on Ray: on this machine, or on the cluster at an address."""

    @contextmanager
    def opened(run: LiveRun, begin: int) -> Iterator[Executor]:
        jobs = [
            served.device_jobs(run.fleet, device, run.table.true_cycles) for device in range(len(run.fleet.devices))
        ]
        spread = address is not None
        with ray_session(run.fleet, address):
            own = run.planned
            kinds = list(zip(own.served.tolist(), own.repeats.tolist(), strict=True))
            made = RayExecutor(run.fleet, jobs, begin=begin, kinds=kinds, spread=spread)
            with closing(made) as executor:
                yield executor

    return opened


def play(
    run: LiveRun,
    folder: Path,
    open_executor: Open,
    *,
    resume: bool = False,
    predict: Predict | None = None,
    advance: Advance = no_progress,
) -> Played:
    """Play a run to its end and write its folder's files; with `resume`, go on where its log ends.

    The run's clock stands still while no scheduler runs. Raise ConfigError where the folder is in use, has files
    already, or (with `resume`) its log does not fit the run; FleetLost where no device is left.
    """
    with writing_folder(folder):
        if resume:
            run = read_run(folder, mend=True)  # again, for now nobody else writes to it
        factory = policy_factory(run.policy, dispatch=False)
        begin = max((entry["at"] for entry in run.entries), default=0)
        jobs = run.planned
        predict = None if predict is None else _of_jobs(predict, jobs)
        _rehearse(jobs, factory, predict)
        if not resume:
            check_new(folder)
        with open_executor(run, begin) as executor:
            if not resume:
                run.begin(folder)
            with RunLog(folder / LOG_FILE) as log:
                live = LiveScheduler(
                    jobs.table,
                    jobs.settings,
                    factory,
                    executor,
                    log=log,
                    planned=jobs.planned,
                    predict=predict,
                    tries=run.tries,
                    restored=run.entries,
                )
                advance(int(live.fleet.lanes["done"][0]))
                live.run(advance)
        played = replace(run, entries=tuple(live.entries))
        return _write(played, live, folder)


def _of_jobs(predict: Predict, jobs: LiveJobs) -> Predict:
    """Return what predicts jobs, from what predicts one inference of a class of the profile."""
    return lambda job_class: predict(int(jobs.served[job_class])) * jobs.repeats[job_class]


def _rehearse(jobs: LiveJobs, factory: PolicyFactory, predict: Predict | None) -> None:
    """Play the first jobs on a virtual clock: what is compiled or imported at its first use is so before jobs come."""
    few = replace(jobs.settings, jobs=min(REHEARSED, jobs.settings.jobs))
    executor = VirtualExecutor(jobs.table.true_cycles * few.repeats, jobs.table.choice_accelerators)
    LiveScheduler(jobs.table, few, factory, executor, planned=jobs.planned[: few.jobs], predict=predict).run()


def _write(run: LiveRun, live: LiveScheduler, folder: Path) -> Played:
    """Write the files that follow from the log."""
    labels, schedule = ScheduleLabels.of(live.fleet.table, CLOCK_HZ), schedule_of(live.fleet)
    figures = _figures(run, live)
    write_tables(run, folder)
    write_csv(schedule, labels, folder / "schedule.csv")
    write_trace(schedule, labels, folder / "trace.json", name=f"{run.fleet.name}, {run.policy}")
    picture = schedule_svg(schedule, labels).encode()
    write_whole(folder / "schedule.svg", lambda file: file.write(picture))
    write_json(folder / METRICS_FILE, figures)
    return Played(run=run, schedule=schedule, labels=labels, figures=figures)


def _figures(run: LiveRun, live: LiveScheduler) -> dict[str, Any]:
    """Return the metrics of simulated episodes (times in nanoseconds), and what only a live run has."""
    jobs, decisions = run.jobs, run.decisions
    done = jobs[jobs["done"] == 1]
    metrics: dict[str, Any] = {}
    if len(done):
        found = driven_metrics(live.fleet)
        completion = {f"{name}_completion": value for name, value in quantiles(found.completion[0] * 1.0).items()}
        metrics = {**summarise(found), **completion}
    took = done["finished"] - done["started"]
    expected = live.fleet.true[done["job_class"], done["choice"]]
    predicted = live.fleet.predicted[done["job_class"], done["choice"]]
    return {
        "jobs": len(jobs),
        "done": len(done),
        "given_up": int((jobs["done"] == -1).sum()),
        "runs": int(jobs["tries"].sum()),
        "sessions": sum(entry["event"] == "session" for entry in run.entries),
        "knowledge": str(knowledge_of(live.policy, live.fleet.config, live.fleet.table)),
        "metrics": metrics,
        "deciding_us": quantiles(decisions["deciding_us"]),
        "predicting_us": quantiles(jobs["predicting_us"]),
        "dispatch_us": quantiles((done["started"] - done["decided"]) / 1e3),
        "report_us": quantiles((done["reported"] - done["finished"]) / 1e3),
        "took_over_profiled": quantiles(took / expected),
        "took_over_predicted": quantiles(took / predicted),
    }


def check_resumable(run: LiveRun) -> None:
    """Raise ConfigError for a run that has ended: nothing is left to go on with."""
    jobs = run.jobs
    if len(run.planned.planned) == int((jobs["done"] != 0).sum()):
        raise ConfigError(f"--resume: all {len(jobs):,} jobs of the run are done; there is nothing to go on with")
