"""A table of one fleet's records under several conditions: one row per policy, one column per condition."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from gnnsched_env.report.policy_table import ratio_text

Record = dict[str, Any]
LEGEND = """Mean completion time over that of clairvoyant shortest-job-first in Queue-v0 with an unbounded window, which
meets the same arrivals and failures and no prediction error. ±: half of a paired 95 % interval. !: the load is not
below the bound on what the policy can sustain: its mean grows with the number of jobs."""


def condition_table(records: Mapping[str, Sequence[Record]], *, title: str) -> Table:
    """Return a table for the terminal; `records` by condition, best first under the first one."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("policy", no_wrap=True)
    for name in records:
        table.add_column(name, justify="right", no_wrap=True)
    for row in _rows(records):
        table.add_row(*row)
    return table


def condition_markdown(records: Mapping[str, Sequence[Record]]) -> str:
    """Return the same table as Markdown."""
    lines = ["| policy | " + " | ".join(records) + " |", "|---|" + "---:|" * len(records)]
    lines += [f"| {' | '.join(row)} |" for row in _rows(records)]
    return "\n".join(lines)


def _rows(records: Mapping[str, Sequence[Record]]) -> list[list[str]]:
    """Return each policy's name and its figure under each condition, in the order of the first condition's figures."""
    cells = {name: {record["policy"]: record for record in group} for name, group in records.items()}
    first = next(iter(records.values()))
    most = max(record["episodes"] for record in first)
    return [
        [_name(record, most), *(_cell(group[record["policy"]]) for group in cells.values())]
        for record in sorted(first, key=_ratio)
    ]


def _ratio(record: Record) -> float:
    value: float = record["ratio_to_sjf_clairvoyant"]["completion"][0]
    return value


def _name(record: Record, most: int) -> str:
    """Return a policy's name, with its number of episodes if others have more."""
    name, episodes = str(record["policy"]), record["episodes"]
    return name + ("" if episodes == most else f" ({episodes} episode{'s' if episodes > 1 else ''})")


def _cell(record: Record) -> str:
    interval = ratio_text(record["ratio_to_sjf_clairvoyant"]["completion"], record["episodes"])
    return interval + ("" if record["stable"] is not False else "!")
