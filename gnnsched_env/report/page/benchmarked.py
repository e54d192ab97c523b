"""The page of a file of `gnnsched bench --json`."""

import os
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from gnnsched_env.bench.play import Played, suite_score
from gnnsched_env.bench.results import Result
from gnnsched_env.bench.tasks import FIRST_SEED, Task
from gnnsched_env.common.checks import OneOf
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.report.leaderboard import LEGEND, fleet_rows, leaderboard_table
from gnnsched_env.report.page.charts import Line, distribution_chart, lines_chart, ranges_chart
from gnnsched_env.report.page.html_page import Chart, Section
from gnnsched_env.report.page.played import MOST_POLICIES, played_sections
from gnnsched_env.scenario import scenario_table

SCORE = "score (1: clairvoyant sjf)"


def bench_facts(results: Sequence[Result]) -> dict[str, str]:
    """Return what was played, in words, by name."""
    tasks = {one.task.name: one.task for result in results for one in result.played}
    return {
        "policies": ", ".join(dict.fromkeys(result.policy for result in results)),
        "suites": ", ".join(dict.fromkeys(result.suite for result in results)),
        "tasks": f"{len(tasks)}, of {sum(task.episodes for task in tasks.values()):,} episodes in all",
    }


def bench_sections(
    results: Sequence[Result],
    *,
    policies: Sequence[str] = (),
    task: str | None = None,
    seed: int | None = None,
    episodes: int,
    folder: str | os.PathLike[str] | None = None,
) -> list[Section]:
    """Return the sections of results on the benchmark: each suite's scores, distributions, schedules.

    `policies`: the one or two that are played again, by default the best two of the first suite; `task`: the one that
    they play, by default the first suite's first; `seed`: of the episode whose schedules are shown, by default the
    task's first; `folder`: where graph files are. Without `policies`, what cannot be played again is told on the page.
    Raise ConfigError without results, for a task that they lack, and for `policies` that cannot be played.
    """
    if not results:
        raise ConfigError("report: the file must hold at least one result, got none")
    sections = []
    suites = {
        suite: [one for one in results if one.suite == suite] for suite in dict.fromkeys(r.suite for r in results)
    }
    for suite, own in suites.items():
        sections += _suite_sections(suite, sorted(own, key=lambda result: suite_score(result.played).value))
    known = {one.task.name: one.task for result in results for one in result.played}
    chosen = known[OneOf(tuple(known)).check("report", "task", next(iter(known)) if task is None else task)]
    best = sorted(suites[chosen.suite], key=lambda result: suite_score(result.played).value)
    names = policies or [*dict.fromkeys(result.policy for result in best)][:MOST_POLICIES]
    try:
        sections += _played(chosen, names, seed=seed, episodes=episodes, folder=folder)
    except GnnSchedError as error:
        if policies:
            raise
        sections.append(Section(title="Schedules", text=f"Nothing could be played again: {error}"))
    return sections


def _played(
    task: Task, names: Sequence[str], *, seed: int | None, episodes: int, folder: str | os.PathLike[str] | None
) -> list[Section]:
    scenario = task.scenario(folder)
    return played_sections(
        names,
        scenario,
        scenario_table(scenario),
        dispatch=False,
        first_seed=FIRST_SEED,
        episodes=min(episodes, task.episodes),
        seed=FIRST_SEED if seed is None else seed,
        note=f"Task {task.name}.",
    )


def _suite_sections(suite: str, results: Sequence[Result]) -> list[Section]:
    """Return a suite's leaderboard, scores with intervals, and distribution of scores over episodes; best first."""
    headings, lines = fleet_rows(results)
    parts = Table(title="By fleet and by condition")
    for number, name in enumerate(headings):
        parts.add_column(name, justify="right" if number else "left")
    for line in lines:
        parts.add_row(*line)
    samples = {result.policy: np.concatenate([_episodes(one) for one in result.played]) for result in results}
    distribution = distribution_chart(
        {name: sample[sample > 0] for name, sample in samples.items()},
        x_label=SCORE,
        y_label="share of the episodes",
        title="Episodes at or below a score",
        marks=f"episodes-{suite}",
    )
    return [
        Section(
            title=f"Suite {suite}",
            parts=(leaderboard_table(results, title=""), parts, *_scores(suite, results), distribution),
            note=LEGEND,
        )
    ]


def _scores(suite: str, results: Sequence[Result]) -> list[Chart]:
    """Return a chart of the scores over the load, or, where there is one load only, of the scores by policy."""
    loads = sorted({one.task.load for result in results for one in result.played})
    if len(loads) == 1:
        found = [suite_score(result.played) for result in results]
        ranges = [(score.low, score.value, score.high) for score in found]
        names = [result.policy for result in results]
        tips = ("95 % from", "score", "95 % to")
        return [ranges_chart(names, ranges, x_label=SCORE, title="Scores, with 95 % intervals", tips=tips, log=False)]
    lines = []
    for result in results:
        scores = [suite_score([one for one in result.played if one.task.load == load]) for load in loads]
        values = [(score.value, score.low, score.high) for score in scores]
        lines.append(Line(name=result.policy, x=loads, values=values))
    title, levels = "Score over load, with 95 % intervals", {"clairvoyant sjf": 1.0}
    return [
        lines_chart(lines, x_label="load", y_label="score", title=title, marks=f"load-{suite}", log=True, levels=levels)
    ]


def _episodes(played: Played) -> np.ndarray:
    """Return each episode's own score: (policy - bound) / (reference - bound), float64 [episodes]."""
    bound = np.array(played.task.bound, np.float64)
    distance: np.ndarray = (np.array(played.completions) - bound) / np.maximum(
        np.array(played.task.reference) - bound, 1.0
    )
    return distance
