"""The tasks of gnnsched-bench: frozen episodes, each with a proved lower bound and a reference that scores are over."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gnnsched_env.common.checks import OneOf
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import read_json, write_whole
from gnnsched_env.envs.construction import scenario_batch
from gnnsched_env.envs.env_batch import EnvBatch
from gnnsched_env.scenario import Scenario, load_scenario, scenario_table, simulation_settings
from gnnsched_env.tables import LatencyTable

BENCHMARK = "gnnsched-bench"
VERSION = 1
TASKS_FILE = f"tasks_v{VERSION}.json"
FIRST_SEED = 1_000_000  # of each task's test episodes: apart from those that `gnnsched evaluate` plays by default
SUITES = {
    "small": "25 tasks of 20 episodes of 200 jobs at load 0.8: what learns in minutes is seen here",
    "full": "75 tasks of 10 episodes of 1,000 jobs at loads 0.5, 0.8 and 0.95: the leaderboard's",
    "real": "15 tasks like the full suite's, on four real graph sets (a folder that holds them is needed)",
}
PLAYED_SETTINGS = ("jobs", "window", "mean_gap", "mean_up", "mean_down", "decision", "workers", "cached", "lookup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A preset fleet at a load under a condition, and the episodes that are played on it in Queue-v0.

    `options` are those of `Scenario.with_options` that make the condition; `graphs` the files of its workload, none for
    the embedded classes. `digest` is a hash of all that is played (`task_digest`). Of each episode, in cycles summed
    over its jobs: `bound`, which no schedule's completion times are below, and `reference`, those of clairvoyant
    shortest-job-first with an unbounded window.
    """

    suite: str
    fleet: str
    condition: str
    load: float
    jobs: int
    episodes: int
    graphs: tuple[str, ...]
    options: Mapping[str, Any]
    digest: str = ""
    bound: tuple[int, ...] = ()
    reference: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The task's name, unique in the benchmark: suite/fleet-condition-load."""
        return f"{self.suite}/{self.fleet}-{self.condition}-{self.load:g}"

    @property
    def seeds(self) -> list[int]:
        """The seeds of the task's episodes, of the split "test"."""
        return list(range(FIRST_SEED, FIRST_SEED + self.episodes))

    def scenario(self, folder: str | os.PathLike[str] | None = None) -> Scenario:
        """Return the task's scenario; graph files are looked up in `folder`.

        Raise ConfigError for a task on graph files without a folder, or with one that lacks them.
        """
        base = load_scenario(self.fleet)
        if self.graphs:
            base = replace(base, workload=replace(base.workload, graphs=self._files(folder)))
        return base.with_options(load=self.load, jobs=self.jobs, split="test", **self.options)

    def open(self, folder: str | os.PathLike[str] | None = None) -> tuple[Scenario, LatencyTable]:
        """Return the task's scenario and its latency table (cycles of one inference).

        Raise ConfigError, as `scenario` does, and where other episodes would be played than those that were frozen.
        """
        scenario = self.scenario(folder)
        table = scenario_table(scenario)
        if (found := task_digest(self, scenario, table)) != self.digest:
            raise ConfigError(
                f"task {self.name!r}: its hash must be {self.digest}, got {found}: the fleet, the dataflows, the "
                "workload or the simulator differs from those of version 1 of the benchmark"
            )
        return scenario, table

    def _files(self, folder: str | os.PathLike[str] | None) -> tuple[str, ...]:
        if folder is None:
            needed = ", ".join(self.graphs)
            raise ConfigError(f"task {self.name!r}: needs the folder of {needed} (`gnnsched graphs get` fetches them)")
        files = [Path(folder) / name for name in self.graphs]
        for file in files:
            if not file.is_file():
                raise ConfigError(
                    f"task {self.name!r}: {file} is missing (`gnnsched graphs get {file.stem}` fetches it)"
                )
        return tuple(map(str, files))


def bench_tasks(suite: str | None = None, path: str | os.PathLike[str] | None = None) -> tuple[Task, ...]:
    """Return the tasks of a suite ("small", "full" or "real"), or of all, in their order.

    `path`: the file of frozen tasks, by default the shipped one. Raise ConfigError for an unknown suite, and
    FileFormatError for a damaged file.
    """
    if suite is not None:
        OneOf(tuple(SUITES)).check("benchmark", "suite", suite)
    tasks = _read(Path(__file__).with_name(TASKS_FILE) if path is None else Path(path))
    return tuple(task for task in tasks if suite in (None, task.suite))


def _read(path: Path) -> tuple[Task, ...]:
    data = read_json(path, "the benchmark's tasks")
    if (found := (data.get("benchmark"), data.get("version"))) != (BENCHMARK, VERSION):
        raise FileFormatError(f"{path}: must be {BENCHMARK} of version {VERSION}, got {found[0]!r} of {found[1]!r}")
    try:
        return tuple(_task(entry, data["conditions"]) for entry in data["tasks"])
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{path}: not the tasks of a benchmark: {type(error).__name__}: {error}") from None


def _task(entry: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> Task:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return Task(options=conditions[entry["condition"]], **fields)


def write_tasks(path: str | os.PathLike[str], tasks: Iterable[Task], conditions: Mapping[str, Any]) -> None:
    """Write the file that `bench_tasks` reads, a task a line."""
    names = ("suite", "fleet", "condition", "load", "jobs", "episodes", "graphs", "digest", "bound", "reference")
    lines = ",\n".join(json.dumps({name: getattr(task, name) for name in names}) for task in tasks)
    header = json.dumps({"benchmark": BENCHMARK, "version": VERSION, "conditions": dict(conditions)})[:-1]
    write_whole(path, lambda file: file.write(f'{header}, "tasks": [\n{lines}\n]}}\n'.encode()))


def task_batch(task: Task, scenario: Scenario, table: LatencyTable) -> EnvBatch:
    """Return the task's environments after reset, one lane an episode."""
    settings = simulation_settings(scenario, table, dispatch=False)
    batch = scenario_batch(scenario, table, settings, lanes=task.episodes, capacity=settings.jobs)
    batch.reset(task.seeds)
    return batch


def task_digest(task: Task, scenario: Scenario, table: LatencyTable) -> str:
    """Return a hash (SHA-256, hexadecimal) of all that decides what a policy meets in the task's episodes.

    That is the fleet, the true and the predicted latencies of every class, the jobs' arrival times and classes, and
    what failures and predictions take.
    """
    batch = task_batch(task, scenario, table)
    simulation = batch.simulation
    settings = {name: getattr(simulation.config, name) for name in PLAYED_SETTINGS}
    told = {"name": task.name, "fleet": scenario.fleet.digest(), "seeds": task.seeds, **settings}
    state = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    jobs = simulation.jobs
    for array in (simulation.true, simulation.predicted, jobs["arrival"], jobs["job_class"]):
        state.update(np.ascontiguousarray(array, "<i8").tobytes())
    return state.hexdigest()
