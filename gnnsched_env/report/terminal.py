"""Records as a rich table for the terminal."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

KILO = 1_000


def policy_table(records: Sequence[dict[str, Any]], *, title: str) -> Table:
    """Return one row per record; ratios with half their 95 % interval, cycles in thousands."""
    table = Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        caption=_CAPTION,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("policy", no_wrap=True)
    table.add_column("knows", no_wrap=True)
    for name in ("C", "C p95", "E", "slowd.", "used", "cap.", "C / SJF*", "C / uninf.", "E / uninf."):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        uninformed = record["ratio_to_best_uninformed"]
        table.add_row(
            record["policy"],
            record["knowledge"],
            _kilo(record["mean_completion"]),
            _kilo(record["p95_completion"]),
            _kilo(record["mean_execution"]),
            _figure(record["mean_slowdown"]),
            f"{100 * record['utilisation']:.0f}%",
            f"{record['capacity']:.2f}" + (" " if record["stable"] else "!"),
            _ratio(record["ratio_to_sjf_clairvoyant"]["completion"]),
            "-" if uninformed is None else _ratio(uninformed["completion"]),
            "-" if uninformed is None else _ratio(uninformed["execution"]),
            style="" if record["stable"] else "dim",
        )
    return table


_CAPTION = (
    "C, E: completion and execution time of a job, thousands of cycles. cap.: the largest load that the policy can\n"
    "sustain (the fleet's is 1); ! marks one below this load, whose means grow with the number of jobs. SJF*:\n"
    "clairvoyant shortest-job-first in Queue-v0 with an unbounded window. uninf.: the best policy that knows no\n"
    "latencies. 95 % intervals, paired.\n"
)


def _kilo(cycles: float) -> str:
    return _figure(cycles / KILO)


def _figure(value: float) -> str:
    return f"{value:,.1f}" if value < KILO else f"{value:,.0f}"


def _ratio(interval: Sequence[float]) -> str:
    value, low, high = interval
    digits = 3 if value < 10 else 1
    return f"{value:.{digits}f} ±{(high - low) / 2:.{digits}f}"
