"""Freeze the tasks of gnnsched-bench: the hash, the lower bounds and the reference of each.

Example:
    python scripts/studies/build_bench.py --graphs ../shared/graphs
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gnnsched_baselines  # registers sjf
from gnnsched_cli.command import OutFile, run_command
from gnnsched_env.bench.tasks import FIRST_SEED, TASKS_FILE, Task, task_digest, write_tasks
from gnnsched_env.common.processes import WorkerPool
from gnnsched_env.evaluation import policy_factory
from gnnsched_env.evaluation.compare import REFERENCE
from gnnsched_env.evaluation.optimality.distances import draw_instances, find_limits
from gnnsched_env.evaluation.runs import run_unbounded
from gnnsched_env.scenario import scenario_table

assert gnnsched_baselines.__name__  # imported for what it registers
FLEETS = ("hetero4", "flexible4", "big_little", "fixed9", "wide64")
LOADS = (0.5, 0.8, 0.95)
CONDITIONS: dict[str, dict[str, Any]] = {
    "poisson": {},
    "bursty": {"arrivals": {"process": "bursty", "drift": 0.8}},
    "failures": {"failures": {"up": 400.0, "down": 10.0}},
    "error20": {"prediction_error": {"noise": 0.2, "seed": 0}},
    "deciding": {"decision": {"latency_us": 20.0, "workers": 8, "cached": True, "lookup_us": 0.5}},
}
REAL = ("ENZYMES.npz", "IMDB-BINARY.npz", "MUTAG.npz", "PROTEINS.npz")
# What a bound need not know, as it only delays jobs: a bound without it holds with it too.
WITHOUT: dict[str, Any] = {"failures": {"up": 0.0}}
ROUNDS = 500  # of the lower bound's search: within half a percent of three times as many


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Bound every task's episodes from below, play its reference, and write the file that ships."""

    file: OutFile = Path(__file__).parents[2] / "gnnsched_env" / "bench" / TASKS_FILE
    """Where to write the tasks."""
    graphs: Path = Path("../shared/graphs")
    """The folder of the real graph sets."""
    processes: int = 2
    """Processes that work at once."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/build_bench.py", Arguments, build, __doc__, words)


def build(arguments: Arguments) -> None:
    """Freeze and write."""
    groups: dict[Any, list[Task]] = {}
    for task in unfrozen():  # those whose jobs are the same share their bounds
        arrivals = str(task.options.get("arrivals"))
        groups.setdefault((task.suite, task.fleet, task.load, arrivals), []).append(task)
    frozen: dict[str, Task] = {}
    with WorkerPool(arguments.processes) as pool:
        for done in as_completed([pool.submit(freeze, own, arguments.graphs) for own in groups.values()]):
            for task in done.result():
                frozen[task.name] = task
                print(f"{task.name}: reference / bound {sum(task.reference) / sum(task.bound):.3f}", flush=True)
    write_tasks(arguments.file, [frozen[task.name] for task in unfrozen()], CONDITIONS)
    print(f"{arguments.file}: {len(frozen)} tasks")


def unfrozen() -> Iterator[Task]:
    """Yield the tasks, without hash, bounds and references."""
    for suite, loads, jobs, episodes, graphs in (
        ("small", (0.8,), 200, 20, ()),
        ("full", LOADS, 1_000, 10, ()),
        ("real", LOADS, 1_000, 10, REAL),
    ):
        for fleet in FLEETS:
            for name in ("poisson",) if graphs else CONDITIONS:
                for load in loads:
                    yield Task(
                        suite=suite,
                        fleet=fleet,
                        condition=name,
                        options=CONDITIONS[name],
                        load=load,
                        graphs=graphs,
                        jobs=jobs,
                        episodes=episodes,
                    )


def freeze(tasks: Sequence[Task], folder: Path) -> list[Task]:
    """Return tasks of the same jobs with their hashes, lower bounds and what the reference takes for each episode."""
    plain = tasks[0].scenario(folder).with_options(**WITHOUT)
    table = scenario_table(plain, progress=False)
    seeds: Any = {"seed": FIRST_SEED, "episodes": tasks[0].episodes}
    bounds = find_limits(draw_instances(plain, table, **seeds), rounds=ROUNDS).bound.tolist()
    return [freeze_one(task, folder, bounds) for task in tasks]


def freeze_one(task: Task, folder: Path, bounds: Sequence[int]) -> Task:
    """Return a task with its hash, the bounds of its jobs and what the reference takes for each episode."""
    scenario = task.scenario(folder)
    table = scenario_table(scenario, progress=False)
    seeds: Any = {"seed": FIRST_SEED, "episodes": task.episodes}
    played = run_unbounded(policy_factory(REFERENCE, dispatch=False), scenario, table.clairvoyant(), **seeds)
    totals = tuple(played.total_completions())
    return replace(task, digest=task_digest(task, scenario, table), bound=tuple(bounds), reference=totals)


if __name__ == "__main__":
    raise SystemExit(main())
