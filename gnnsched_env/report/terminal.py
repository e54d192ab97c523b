"""Records as a rich table for the terminal."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

KILO = 1_000


LEGEND = """C, E: completion and execution time of a job, thousands of cycles; slowd.: completion over the shortest.
cap.: a bound on the load that the policy can sustain (the fleet's is 1); ! marks one below this load, whose means
grow with the number of jobs. SJF*: clairvoyant shortest-job-first in Queue-v0 with an unbounded window.
uninf.: the best baseline that knows no latencies. ±: half of a paired 95 % interval."""


def policy_table(records: Sequence[dict[str, Any]], *, title: str) -> Table:
    """Return one row per record; ratios with half their 95 % interval, cycles in thousands."""
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("policy", no_wrap=True)
    table.add_column("knows", no_wrap=True)
    for name in ("C", "C p95", "E", "slowd.", "used", "cap.", "C / SJF*", "C / uninf.", "E / uninf."):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        uninformed, episodes = record["ratio_to_best_uninformed"], record["episodes"]
        table.add_row(
            record["policy"],
            record["knowledge"],
            _kilo(record["mean_completion"]),
            _kilo(record["p95_completion"]),
            _kilo(record["mean_execution"]),
            _figure(record["mean_slowdown"]),
            f"{100 * record['utilisation']:.0f}%",
            f"{record['capacity']:.2f}" + (" " if record["stable"] else "!"),
            _ratio(record["ratio_to_sjf_clairvoyant"]["completion"], episodes),
            "-" if uninformed is None else _ratio(uninformed["completion"], episodes),
            "-" if uninformed is None else _ratio(uninformed["execution"], episodes),
            style="" if record["stable"] else "dim",
        )
    return table


def _kilo(cycles: float) -> str:
    return _figure(cycles / KILO)


def _figure(value: float) -> str:
    return f"{value:,.1f}" if value < KILO else f"{value:,.0f}"


def _ratio(interval: Sequence[float], episodes: int) -> str:
    value, low, high = interval
    digits = 3 if value < 10 else 1
    spread = f" ±{(high - low) / 2:.{digits}f}" if episodes > 1 else ""  # one episode tells nothing of its spread
    return f"{value:.{digits}f}{spread}"
