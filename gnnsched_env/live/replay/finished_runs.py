"""Live runs that have ended and can be compared: of one fleet, one table, and equal options but for load and jobs."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common import store
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.live.live_run import LiveRun, quantiles, read_run
from gnnsched_env.sim.records import RecordArray
from gnnsched_env.tables import LatencyTable

FIGURES = ("mean_completion", "p50_completion", "p95_completion", "p99_completion", "mean_execution", "utilisation")
MAY_DIFFER = ("load", "jobs")  # options of runs that are compared

Folder = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedRun:
    """A run that has ended, the folder that it was read from, and its LIVE_JOB records [n], by number."""

    folder: str
    run: LiveRun
    jobs: RecordArray

    @property
    def load(self) -> float:
        """Return the run's load."""
        return self.run.scenario.environment.load

    @property
    def key(self) -> tuple[str, float, int, int]:
        """Return policy, load, jobs and seed: runs that share all four are repeats of each other."""
        return self.run.policy, self.load, len(self.jobs), self.run.seed

    @property
    def identity(self) -> list[Any]:
        """Return what tells this run from any other, as JSON has it: the machine, and when it began."""
        return [self.run.machine.get("host"), self.run.started.get("wall_ns")]

    @property
    def disturbances(self) -> dict[str, int]:
        """Return how often devices were lost or runs were stopped, and how many jobs were given up: no replay has any.

        Keys "down", "abort" and "give_up", as in the log.
        """
        events = [entry["event"] for entry in self.run.entries]
        return {name: events.count(name) for name in ("down", "abort", "give_up")}


def read_finished(folders: Sequence[Folder]) -> tuple[FinishedRun, ...]:
    """Return the runs of folders, in their order.

    Raise ConfigError without any folder, and where a run has not ended, is given twice, or differs from the first in
    its fleet, its table or an option other than load and jobs; FileFormatError as `read_run` does.
    """
    if not folders:
        raise ConfigError("runs: at least one run's folder must be given, got none")
    found: list[FinishedRun] = []
    for folder in folders:
        run = read_run(folder)
        jobs = run.jobs
        made = FinishedRun(folder=os.fspath(folder), run=run, jobs=jobs)
        _check_ended(made)
        for other in found:
            if other.identity == made.identity:
                raise ConfigError(f"{made.folder}: must be another run than {other.folder}, got the same one")
        if found:
            _check_alike(made, found[0])
        found.append(made)
    return tuple(found)


def figures(jobs: RecordArray, devices: int) -> dict[str, float]:
    """Return FIGURES of LIVE_JOB records [n], at least one of them done: times in nanoseconds, and a share.

    As in the run's metrics, a run lasts from its decision until the scheduler knew of its end. Runs that were stopped
    are not in `utilisation`.
    """
    done = jobs[jobs["done"] == 1]
    completion, execution = done["reported"] - done["arrival"], done["reported"] - done["decided"]
    return {
        "mean_completion": float(completion.mean()),
        **{f"{name}_completion": value for name, value in quantiles(completion.astype(np.float64)).items()},
        "mean_execution": float(execution.mean()),
        "utilisation": float(execution.sum() / (devices * max(1, int(jobs["reported"].max())))),
    }


def table_digest(table: LatencyTable) -> str:
    """Return a hash (SHA-256, hexadecimal) of a table's latencies and names.

    The weights are not in it: they are made to sum to 1 whenever a table is read, which may change their last digit.
    """
    arrays: dict[str, NDArray[Any]] = {name: getattr(table, name) for name in ("true_cycles", "predicted_cycles")}
    return store.digest({"choices": list(table.choice_names), "classes": list(table.class_names)}, arrays)


def _check_ended(made: FinishedRun) -> None:
    wanted, ended = made.run.planned.settings.jobs, int((made.jobs["done"] != 0).sum())
    if ended < wanted:
        raise ConfigError(
            f"{made.folder}: the run must have ended, but {ended:,} of {wanted:,} jobs have; "
            f"go on with it by: gnnsched live --resume --out {made.folder}"
        )
    if not (made.jobs["done"] == 1).any():
        raise ConfigError(f"{made.folder}: at least one job must be done, but all {ended:,} were given up")


def _check_alike(made: FinishedRun, first: FinishedRun) -> None:
    """Raise ConfigError where two runs are not of one fleet, table and kind."""
    own, other = made.run, first.run
    if own.fleet != other.fleet:
        raise ConfigError(
            f"{made.folder}: its fleet must be that of {first.folder}, {_told(other)}, but it is {_told(own)}"
        )
    if table_digest(own.table) != table_digest(other.table):
        raise ConfigError(
            f"{made.folder}: its latency table must be that of {first.folder}, but it is another: "
            "profile once, and run with --table"
        )
    for name, value in _options(own).items():
        if value != (expected := _options(other)[name]):
            raise ConfigError(f"{made.folder}: {name} must be that of {first.folder}, {expected!r}, got {value!r}")


def _told(run: LiveRun) -> str:
    return f"{run.fleet.name!r} of {', '.join(run.fleet.choice_names)}"


def _options(run: LiveRun) -> dict[str, Any]:
    """Return the options of a run that others must share, by name."""
    told = replace(run.scenario, table=None).to_dict()
    environment = {name: value for name, value in told["environment"].items() if name not in MAY_DIFFER}
    trace = run.scenario.arrivals.trace  # a copy in the run's own folder
    content = None if trace is None else hashlib.sha256(Path(trace).read_bytes()).hexdigest()
    return {
        **environment,
        "repeats": told["workload"]["repeats"],
        "arrivals": {**told["arrivals"], "trace": content},
    }


def check_drawn(made: FinishedRun) -> None:
    """Raise ConfigError for a run whose jobs come from a trace: calibrations are of the profile's classes."""
    if made.run.scenario.arrivals.trace is not None:
        raise ConfigError(f"{made.folder}: must be a run of drawn jobs to be calibrated, got one of a trace")
