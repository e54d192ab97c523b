"""Sections of the page that need episodes played again: distributions of completion times, and schedules."""

from collections.abc import Sequence

import numpy as np

from gnnsched_env.common.checks import Integer, require, require_unique
from gnnsched_env.envs.labels import time_unit
from gnnsched_env.evaluation.one_episode import play_episode
from gnnsched_env.evaluation.policies import policy_factory
from gnnsched_env.evaluation.runs import run_policy
from gnnsched_env.report.page.charts import distribution_chart
from gnnsched_env.report.page.gantt import MOST_RUNS, TIPS_MEANING, Episode, gantt_charts
from gnnsched_env.report.page.html_page import Section
from gnnsched_env.scenario import Scenario
from gnnsched_env.tables import LatencyTable

MOST_POLICIES = 2
HOW = (
    "Drag to move along the time axis, hold Ctrl and turn the wheel (or pinch) to zoom: all charts move together. "
    "Point at a run for its job."
)


def played_sections(
    names: Sequence[str],
    scenario: Scenario,
    table: LatencyTable,
    *,
    dispatch: bool,
    first_seed: int,
    episodes: int,
    seed: int,
    note: str = "",
) -> list[Section]:
    """Play one or two policies; return a section of their completion times and one of their schedules.

    `episodes` episodes from `first_seed` on give the completion times, that of `seed` the schedules. `table` holds the
    cycles of one inference; `note` is added to the schedules' section. Raise ConfigError for more than two policies, an
    unknown one, or too few episodes, and GnnSchedError where a policy fails.
    """
    few = "" if 1 <= len(names) <= MOST_POLICIES else f"one or {MOST_POLICIES} policies"
    require("report", "policies", tuple(names), few)
    require_unique("report", "policy", names)
    Integer(1).check("report", "episodes", episodes)
    factories = {name: policy_factory(name, dispatch=dispatch) for name in names}
    shown, samples = [], {}
    for name, factory in factories.items():
        env = play_episode(factory, scenario, dispatch=dispatch, seed=seed)
        shown.append(Episode(policy=name, schedule=env.schedule(), table=env.table, labels=env.labels))
        runs = run_policy(factory, scenario, table, dispatch=dispatch, seed=first_seed, episodes=episodes)
        samples[name] = runs.pooled("completion")
    scale, unit = time_unit(float(np.median(np.concatenate([*samples.values()]))) / scenario.fleet.clock_hz)
    per_cycle = 1.0 / (scenario.fleet.clock_hz * scale)
    counted = f"{episodes:,} episode{'' if episodes == 1 else 's'}"
    distribution = distribution_chart(
        {name: sample * per_cycle for name, sample in samples.items()},
        x_label=f"completion time, {unit}",
        y_label="share of the jobs",
        title="Jobs that are done within a time",
        marks="distribution",
    )
    condition = _condition(scenario)
    cut = any(len(episode.schedule.runs) > MOST_RUNS for episode in shown)
    notes = [TIPS_MEANING, f"Only the first {MOST_RUNS:,} runs of a schedule are drawn." if cut else "", note]
    return [
        Section(
            title="Distribution of completion times",
            text=f"Every job of {counted} of seeds {first_seed} to {first_seed + episodes - 1}, {condition}.",
            parts=(distribution,),
            note="Played for this page.",
        ),
        Section(
            title="Schedules",
            text=f"The episode of seed {seed}, {condition}. {HOW}",
            parts=gantt_charts(shown),
            note="\n\n".join(filter(None, notes)),
        ),
    ]


def _condition(scenario: Scenario) -> str:
    load = "of a trace" if scenario.arrivals.trace else f"at load {scenario.environment.load:g}"
    return f"{scenario.fleet.name}, {load}"
