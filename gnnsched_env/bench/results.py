"""Results on the benchmark: a JSON file that says what was played, and that can be played again to the last digit."""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Self

from gnnsched_env.bench.play import Played, mean_decision_us, play_opened, suite_score
from gnnsched_env.bench.tasks import BENCHMARK, VERSION, Task, bench_tasks
from gnnsched_env.common.checks import OneOf
from gnnsched_env.common.disk_cache import content_key
from gnnsched_env.common.errors import FileFormatError, GnnSchedError
from gnnsched_env.common.files import read_json, write_json
from gnnsched_env.common.parallel.installed import installed
from gnnsched_env.common.parallel.kept_results import KeptResults
from gnnsched_env.common.parallel.task_runs import HERE, Where, run_tasks
from gnnsched_env.common.progress import Advance
from gnnsched_env.common.stats import Interval
from gnnsched_env.evaluation.policies import policy_factory, policy_source, source_of
from gnnsched_env.evaluation.runs import PolicyFactory
from gnnsched_env.scenario import Scenario
from gnnsched_env.tables import LatencyTable
from gnnsched_env.version import __version__

FORMAT = f"{BENCHMARK}-result"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one policy did on tasks of a suite; `training` says in words what it was trained with, if it was.

    `source` is the SHA-256 of the policy's file, "" for a policy without one.
    """

    policy: str
    suite: str
    training: str
    source: str
    played: tuple[Played, ...]

    @property
    def knowledge(self) -> str:
        """What the policy knew of latencies."""
        return self.played[0].knowledge

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON has it."""
        return {
            "policy": self.policy,
            "suite": self.suite,
            "training": self.training,
            "source_sha256": self.source,
            "knowledge": self.knowledge,
            "score": suite_score(self.played).as_list(),
            "decision_us": mean_decision_us(self.played),
            "tasks": [
                {
                    "task": one.task.name,
                    "digest": one.task.digest,
                    "score": one.score.as_list(),
                    "completions": list(one.completions),
                    "decision_us": one.decision_us,
                }
                for one in self.played
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], tasks: Mapping[str, Task]) -> Self:
        """Return the result that `to_dict` described, of known tasks by name.

        Raise FileFormatError where a task's hash differs, a task is unknown or missing, or a score does not follow from
        the completion times.
        """
        where = f"result of {data.get('policy')!r}"
        try:
            played = tuple(_played(where, entry, data["knowledge"], tasks) for entry in data["tasks"])
            result = cls(
                policy=str(data["policy"]),
                suite=str(data["suite"]),
                training=str(data["training"]),
                source=str(data["source_sha256"]),
                played=played,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise FileFormatError(f"{where}: not a result ({type(error).__name__}: {error})") from None
        names = [one.task.name for one in played]
        expected = [name for name, task in tasks.items() if task.suite == result.suite]
        if not names or names != [name for name in expected if name in names]:
            raise FileFormatError(
                f"{where}: must hold some of the {len(expected)} tasks of the suite {result.suite!r}, each once and in "
                f"their order, got {len(names)} tasks"
            )
        scores = [("the suite", data.get("score"), suite_score(played))]
        scores += [
            (one.task.name, entry.get("score"), one.score) for entry, one in zip(data["tasks"], played, strict=True)
        ]
        for name, told, found in scores:
            if not _close(told, found):
                raise FileFormatError(f"{where}: the score of {name} must be {found.value:.6f}, got {told!r:.80}")
        return result


def _played(where: str, entry: Mapping[str, Any], knowledge: str, tasks: Mapping[str, Task]) -> Played:
    name = entry["task"]
    if name not in tasks:
        raise FileFormatError(f"{where}: unknown task {name!r}")
    task = tasks[name]
    if entry["digest"] != task.digest:
        raise FileFormatError(f"{where}: the hash of task {name!r} must be {task.digest}, got {entry['digest']!r:.80}")
    completions = tuple(entry["completions"])
    good = len(completions) == task.episodes and all(type(value) is int for value in completions)
    if not good or any(value < least for value, least in zip(completions, task.bound, strict=True)):
        raise FileFormatError(
            f"{where}: completions of task {name!r} must be {task.episodes} integers, none below its proved bound"
        )
    return Played(task=task, completions=completions, knowledge=knowledge, decision_us=float(entry["decision_us"]))


def _close(told: Any, found: Interval) -> bool:
    """Return whether an interval that was told is the one found, but for the last digits, which the machine decides."""
    expected = (found.value, found.low, found.high)
    if not isinstance(told, list) or len(told) != len(expected):
        return False
    pairs = zip(told, expected, strict=True)
    return all(isinstance(one, int | float) and math.isclose(one, other, rel_tol=1e-9) for one, other in pairs)


def run_suite(
    policy: str,
    suite: str = "small",
    *,
    training: str = "",
    fleets: Sequence[str] = (),
    folder: str | os.PathLike[str] | None = None,
    where: Where = HERE,
) -> Result:
    """Play a policy, by name, on all tasks of a suite, or on those of some `fleets`.

    Options are those of `run_suites`. Raise ConfigError for an unknown policy, suite or fleet, or a task that cannot be
    opened, and GnnSchedError where the policy fails.
    """
    (result,) = run_suites([policy], suite, training=training, fleets=fleets, folder=folder, where=where)
    if isinstance(result, GnnSchedError):
        raise result
    return result


def run_suites(
    policies: Sequence[str],
    suite: str = "small",
    *,
    training: str = "",
    fleets: Sequence[str] = (),
    folder: str | os.PathLike[str] | None = None,
    where: Where = HERE,
    keep: Path | None = None,
    progress: bool | None = False,
) -> Iterator[Result | GnnSchedError]:
    """Play policies, by name, on a suite's tasks; yield each one's result, or the error with which it failed.

    `training`: what they were trained with, in words; `folder`: where graph files are. Each policy plays each task
    `where` is said, on which results do not depend, but for the time that a decision took. `keep` is a folder in which
    finished tasks are kept, which a later run finds. `progress` shows a bar; None: if stderr is a terminal. Raise
    ConfigError for an unknown policy, suite or fleet, or a task that cannot be opened.
    """
    tasks = tasks_of(suite, fleets)
    sources = [policy_source(policy) for policy in policies]
    played = _play_all(policies, tasks, "playing", folder=folder, where=where, keep=keep, progress=progress)
    for policy, source, own in zip(policies, sources, played, strict=True):
        if isinstance(own, GnnSchedError):
            yield own
        else:
            yield Result(policy=policy, suite=suite, training=training, source=source, played=own)


def tasks_of(suite: str, fleets: Sequence[str] = ()) -> tuple[Task, ...]:
    """Return the tasks of a suite, or those of some fleets; raise ConfigError for an unknown one."""
    tasks = bench_tasks(suite)
    known = tuple(dict.fromkeys(task.fleet for task in tasks))
    chosen = [OneOf(known).check("benchmark", "fleet", name) for name in fleets] or known
    return tuple(task for task in tasks if task.fleet in chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A policy that plays a task; `digest` is the task's, `source` a hash of the policy's file."""

    policy: str
    source: str
    task: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What all entries share: tasks with their scenarios and tables, and what makes each policy, by name."""

    tasks: Mapping[str, tuple[Task, Scenario, LatencyTable]]
    policies: Mapping[str, PolicyFactory]


def play_entry(opened: Opened, entry: Entry, advance: Advance) -> dict[str, Any]:
    """Play an entry; return the fields of `Played` but the task."""
    task, scenario, table = opened.tasks[entry.task]
    advance(0, f"{entry.policy}: {entry.task}")
    share: Advance = partial(_part_of, advance, task.episodes)
    played = play_opened(task, scenario, table, opened.policies[entry.policy], share)
    return {name: getattr(played, name) for name in ("completions", "knowledge", "decision_us")}


def _part_of(advance: Advance, episodes: int, amount: float, doing: str | None = None) -> None:
    advance(amount / episodes)


def _play_all(
    policies: Sequence[str],
    tasks: Sequence[Task],
    title: str,
    *,
    folder: str | os.PathLike[str] | None,
    where: Where,
    keep: Path | None,
    progress: bool | None,
) -> Iterator[tuple[Played, ...] | GnnSchedError]:
    """Yield what each policy did on the tasks, or the error with which it failed first."""
    factories = {policy: policy_factory(policy, dispatch=False) for policy in policies}
    opened = Opened(tasks={task.name: (task, *task.open(folder)) for task in tasks}, policies=factories)
    entries = [
        Entry(policy=policy, source=source_of(policy, factories[policy]), task=task.name, digest=task.digest)
        for policy in policies
        for task in tasks
    ]
    kept = None if keep is None else KeptResults(folder=keep, about=content_key(installed=installed()))
    options: Any = {"where": where, "keep": kept, "title": title, "progress": progress}
    with closing(run_tasks(play_entry, entries, shared=opened, catch=(GnnSchedError,), **options)) as results:
        for _ in policies:
            own = list(islice(results, len(tasks)))
            failed = next((one for one in own if isinstance(one, GnnSchedError)), None)
            yield failed or tuple(
                Played(task=task, **{**one, "completions": tuple(one["completions"])})
                for task, one in zip(tasks, own, strict=True)
            )


def write_results(path: str | os.PathLike[str], results: Iterable[Result]) -> None:
    """Write a file of results."""
    content = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "benchmark": f"{BENCHMARK} v{VERSION}",
        "gnnsched_env": __version__,
        "results": [result.to_dict() for result in results],
    }
    write_json(path, {**content, "sha256": _digest(content)})


def read_results(path: str | os.PathLike[str]) -> list[Result]:
    """Return the results in a file.

    Raise FileFormatError if it is no such file, of another version, of another benchmark, or was changed: its content
    and its hash differ, a task's hash is another, or a score does not follow from the completion times.
    """
    data = read_json(path)
    if data.get("format") != FORMAT:
        raise FileFormatError(f"{path}: must be of the format {FORMAT!r}, got {data.get('format')!r:.80}")
    for name, expected in (("version", FORMAT_VERSION), ("benchmark", f"{BENCHMARK} v{VERSION}")):
        if data.get(name) != expected:
            raise FileFormatError(f"{path}: {name} must be {expected!r}, got {data.get(name)!r:.80}")
    if data.pop("sha256", None) != _digest(data):
        raise FileFormatError(f"{path}: content and SHA-256 do not agree; it was changed after it was written")
    tasks = {task.name: task for task in bench_tasks()}
    if not isinstance(data.get("results"), list) or not all(isinstance(one, dict) for one in data["results"]):
        raise FileFormatError(f"{path}: results must be a list of objects")
    try:
        return [Result.from_dict(one, tasks) for one in data["results"]]
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where a result that was played again differs: the task, the episode, and the sums of completion times, cycles."""

    policy: str
    task: str
    episode: int
    told: int
    found: int


def play_again(
    result: Result,
    *,
    folder: str | os.PathLike[str] | None = None,
    where: Where = HERE,
    keep: Path | None = None,
    progress: bool | None = False,
) -> list[Difference]:
    """Play a result's policy again; return where a sum of completion times differs, nothing where none does.

    Options are those of `run_suites`. Raise GnnSchedError where the policy's file is another than the one that made the
    result, or the policy fails.
    """
    if result.source != (source := policy_source(result.policy)):
        raise GnnSchedError(
            f"policy {result.policy}: the SHA-256 of its file must be {result.source or 'that of no file'}, got "
            f"{source or 'no file'}"
        )
    tasks = [one.task for one in result.played]
    options: Any = {"folder": folder, "where": where, "keep": keep, "progress": progress}
    (again,) = _play_all([result.policy], tasks, "playing again", **options)
    if isinstance(again, GnnSchedError):
        raise again
    return [
        Difference(policy=result.policy, task=one.task.name, episode=episode, told=told, found=found)
        for one, other in zip(result.played, again, strict=True)
        for episode, (told, found) in enumerate(zip(one.completions, other.completions, strict=True))
        if told != found
    ]


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
