"""A terminal table of the policies' distances from bounds, offline schedules and optima."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from gnnsched_env.report.policy_table import ratio_text

KILO = 1_000

# Columns that a narrow terminal does without, the first one first.
LEAVE_OUT = ("mean", "worst", "C")
LEGEND = """C: completion time of a job, thousands of cycles; / bound: over a proved lower bound; / offline: over the
best schedule found that knows all jobs from the start. These are ratios of means, ±: half of a paired 95 % interval;
mean, worst: of the episodes' own ratios / offline. knows: what the policy knows of latencies."""
OPTIMUM = "/ optimum: over the optimum, in the episodes in which the offline schedule is proved to be one."


def distance_table(records: Sequence[dict[str, Any]], *, title: str) -> Table:
    """Return one row per record of `evaluation.optimality.distances.distance_records`.

    If some optima are proved, they have a column.
    """
    proved = _proved(records)
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("policy", no_wrap=True)
    table.add_column("knows", no_wrap=True)
    for name in ("C", "C / bound", "C / offline", "mean", "worst", *(["C / optimum"] if proved else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        optimum, episodes = record["over_optimum"], record["episodes"]
        table.add_row(
            record["policy"],
            record["knowledge"],
            f"{record['mean_completion'] / KILO:,.1f}",
            ratio_text(record["over_bound"], episodes),
            ratio_text(record["over_offline"], episodes),
            f"{record['mean_ratio_to_offline']:.3f}",
            f"{record['worst_over_offline']:.3f}",
            *(["-" if optimum is None else ratio_text(optimum, record["proved"])] if proved else []),
        )
    return table


def legend(records: Sequence[dict[str, Any]]) -> str:
    """Return what the columns of `distance_table` mean."""
    return f"{LEGEND}\n{OPTIMUM}" if _proved(records) else LEGEND


def _proved(records: Sequence[dict[str, Any]]) -> bool:
    """Return whether any episode's optimum is proved."""
    return any(record["over_optimum"] is not None for record in records)
