"""A rich table, for the terminal, that compares the behaviour of two policies over the same episodes."""

from collections.abc import Sequence

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.stats import paired_ratio
from gnnsched_env.envs.labels import ScheduleLabels, time_unit
from gnnsched_env.evaluation.behaviour import Behaviour
from gnnsched_env.report.policy_table import ratio_text

# For each field of a Behaviour: its name, its label, and its format.
FIGURES = (
    ("completion", "mean completion", "time"),
    ("waiting", "mean waiting", "time"),
    ("waiting_shortest", "... of the shortest half of the jobs", "time"),
    ("waiting_longest", "... of the longest tenth", "time"),
    ("execution", "mean execution", "time"),
    ("fastest", "jobs on the accelerator predicted fastest for them", "share"),
    ("stretch", "predicted latency over the job's smallest, mean", "factor"),
    ("work", "predicted work over the least possible", "factor"),
    ("waits", "decisions that wait though a job could start", "share"),
    ("idle", "accelerators' time idle while jobs wait", "share"),
    ("utilisation", "utilisation", "share"),
    ("makespan", "makespan", "time"),
)


def differences_table(
    names: tuple[str, str], behaviours: tuple[Sequence[Behaviour], Sequence[Behaviour]], labels: ScheduleLabels
) -> Table:
    """Return a row for each figure: its mean over the episodes of both policies, and the first's over the second's.

    If there are several episodes, the ratio comes with half of its paired 95 % interval; there is no ratio over 0. Both
    must have the same episodes, in the same order. Raise ConfigError if their numbers differ or are 0.
    """
    first, second = behaviours
    if len(first) != len(second) or not first:
        raise ConfigError(
            f"differences: needs as many episodes of both, at least 1, got {len(first)} and {len(second)}"
        )
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    episodes = f"{len(first)} episode{'s' if len(first) > 1 else ''}"
    table.add_column(f"mean of {episodes}" if len(first) > 1 else episodes, no_wrap=True)
    for title in (*names, "ratio"):
        table.add_column(Text(title), justify="right", no_wrap=True)  # shown literally: its brackets are not markup
    for field, meaning, kind in FIGURES:
        pair = [np.array([getattr(behaviour, field) for behaviour in own], np.float64) for own in behaviours]
        ratio = ratio_text(paired_ratio(*pair).as_list(), len(first)) if (pair[1] > 0).all() else "-"
        table.add_row(meaning, *(_written(float(values.mean()), kind, labels) for values in pair), ratio)
    return table


def _written(value: float, kind: str, labels: ScheduleLabels) -> str:
    if kind == "time":
        return _time(value / labels.clock_hz)
    return f"{100 * value:.1f}%" if kind == "share" else f"{value:.3f}"


def _time(seconds: float) -> str:
    """Return a time in three digits with trailing zeros, so that a row's times show the same precision."""
    scale, unit = time_unit(seconds)
    exponent = int(f"{seconds / scale:.2e}".split("e")[1])  # the exponent after rounding: 9.999 becomes 10.0
    return f"{seconds / scale:.{max(0, 2 - exponent)}f} {unit}"
