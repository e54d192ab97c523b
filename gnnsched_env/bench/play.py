"""Plays a policy on a task and scores it: the share of the reference's distance to the lower bound that it keeps."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gnnsched_env.bench.tasks import FIRST_SEED, Task
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.progress import Advance, no_progress
from gnnsched_env.common.stats import Interval, geometric_ratio, paired_ratio
from gnnsched_env.evaluation.runs import PolicyFactory, run_policy
from gnnsched_env.scenario import Scenario
from gnnsched_env.tables import LatencyTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a policy did on a task: the sum of its jobs' completion times in each episode, cycles.

    `knowledge` is what it knew of latencies; it took `decision_us` microseconds of real time a decision, in the mean,
    with all episodes side by side.
    """

    task: Task
    completions: tuple[int, ...]
    knowledge: str
    decision_us: float

    @property
    def score(self) -> Interval:
        """(policy - bound) / (reference - bound), mean completion times, with a 95 % interval over episodes."""
        return paired_ratio(*_distances(self))


def play(
    task: Task,
    factory: PolicyFactory,
    *,
    folder: str | os.PathLike[str] | None = None,
    advance: Advance = no_progress,
) -> Played:
    """Play a task's episodes; graph files are looked up in `folder`.

    Raise ConfigError for a task that cannot be opened (`Task.open`), and GnnSchedError where the policy fails.
    """
    return play_opened(task, *task.open(folder), factory, advance)


def play_opened(
    task: Task, scenario: Scenario, table: LatencyTable, factory: PolicyFactory, advance: Advance = no_progress
) -> Played:
    """Play a task that is open already; raise GnnSchedError where the policy fails."""
    runs = run_policy(
        factory, scenario, table, dispatch=False, seed=FIRST_SEED, episodes=task.episodes, advance=advance
    )
    return Played(
        task=task,
        completions=tuple(runs.total_completions()),
        knowledge=str(runs.knowledge),
        decision_us=1e6 * runs.decision_s / runs.decisions,
    )


def suite_score(played: Sequence[Played]) -> Interval:
    """Return the geometric mean of the scores on several tasks, with a 95 % interval over their episodes.

    It is nan where a policy is at or below a lower bound on average, which none is on the shipped tasks. Raise
    ConfigError without any task.
    """
    if not played:
        raise ConfigError("benchmark: a score needs at least one task, got none")
    return geometric_ratio([_distances(one) for one in played])


def mean_decision_us(played: Sequence[Played]) -> float:
    """Return the geometric mean over tasks of the microseconds that a decision took."""
    return math.exp(sum(math.log(one.decision_us) for one in played) / len(played))


def _distances(played: Played) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 [episodes] twice: the policy's and the reference's distance to the lower bound, cycles."""
    task = played.task
    bound = np.array(task.bound, np.float64)
    return np.array(played.completions, np.float64) - bound, np.array(task.reference, np.float64) - bound
