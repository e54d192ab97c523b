"""The leaderboard of gnnsched-bench: for the terminal, as Markdown, and as one page of HTML."""

import html
import math
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from gnnsched_env.bench.play import mean_decision_us, suite_score
from gnnsched_env.bench.results import Result, tasks_of

COLUMNS = ("policy", "score", "95 %", "knows", "us/decision", "trained with")
LEAVE_OUT = ("trained with", "us/decision", "knows")
LEGEND = """score: geometric mean over the suite's tasks of (C - bound) / (C of clairvoyant shortest-job-first - bound),
C being the mean completion time and bound a proved lower bound on it: 1 is clairvoyant shortest-job-first, 0 would be
the bound. 95 %: interval over episodes, paired. knows: what the policy knows of latencies. us/decision: real time of a
decision, microseconds, with a task's episodes side by side, on the machine that played it."""
STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24}
h2{margin-top:2.5rem}table{border-collapse:collapse;width:100%}th,td{text-align:right;padding:.35rem .6rem;
border-bottom:1px solid #d8dee4}th:first-child,td:first-child,th:last-child,td:last-child{text-align:left}
.wrap{overflow-x:auto}code{font:13px ui-monospace,monospace}
@media(prefers-color-scheme:dark){body{background:#14171a;color:#dfe3e7}th,td{border-color:#33383d}}"""


def rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Return a row of COLUMNS for each result of a suite, the best score first, and those of parts of it at the end."""
    return [
        (
            result.policy + _part(result),
            f"{score.value:.3f}",
            f"{score.low:.3f} to {score.high:.3f}",
            result.knowledge,
            f"{mean_decision_us(result.played):,.1f}",
            result.training or "-",
        )
        for score, result in ((suite_score(result.played), result) for result in _ordered(results))
    ]


def _ordered(results: Sequence[Result]) -> list[Result]:
    """Return results of a suite, the best score first; those of a part of it after all others."""

    def place(result: Result) -> tuple[bool, float]:
        score = suite_score(result.played).value
        return bool(_part(result)), math.inf if math.isnan(score) else score

    return sorted(results, key=place)


def _part(result: Result) -> str:
    """Return what stands behind the name of a policy that played only some of the suite's tasks."""
    every = len(tasks_of(result.suite))
    return "" if len(result.played) == every else f" ({len(result.played)} of {every} tasks)"


def fleet_rows(results: Sequence[Result]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return headings and rows of the scores by fleet and by condition, in the order of `rows`."""
    tasks = tasks_of(results[0].suite)
    columns = [("fleet", name) for name in dict.fromkeys(task.fleet for task in tasks)]
    columns += [("condition", name) for name in dict.fromkeys(task.condition for task in tasks)]
    lines = []
    for result in _ordered(results):
        cells = []
        for kind, name in columns:
            part = [one for one in result.played if getattr(one.task, kind) == name]
            whole = len(part) == sum(getattr(task, kind) == name for task in tasks)
            cells.append(f"{suite_score(part).value:.3f}" if whole else "-")
        lines.append((result.policy, *cells))
    return ("policy", *(name for _, name in columns)), lines


def leaderboard_table(results: Sequence[Result], *, title: str) -> Table:
    """Return the leaderboard of one suite for a terminal."""
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("policy", "trained with") else "right", no_wrap=True)
    for row in rows(results):
        table.add_row(*(Text(cell) for cell in row))
    return table


def markdown(results: Sequence[Result]) -> str:
    """Return the leaderboard of each suite as Markdown: the scores, then those by fleet and by condition."""
    parts = []
    for suite, own in _by_suite(results):
        parts.append(f"## Suite `{suite}`\n\n{_markdown_table(COLUMNS, rows(own))}")
        if any(len(result.played) > 1 for result in own):
            headings, lines = fleet_rows(own)
            parts.append(f"Scores by fleet and by condition:\n\n{_markdown_table(headings, lines)}")
    return "\n\n".join(parts) + "\n"


def page(results: Sequence[Result]) -> str:
    """Return the leaderboard as one page of HTML that needs no other file."""
    parts = []
    for suite, own in _by_suite(results):
        headings, lines = fleet_rows(own)
        parts.append(f"<h2>Suite {html.escape(suite)}</h2>{html_table(COLUMNS, rows(own))}")
        parts.append(f"<h3>By fleet and by condition</h3>{html_table(headings, lines)}")
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html><html lang="en"><head>{head}<title>gnnsched-bench</title><style>{STYLE}</style></head>'
        f"<body><h1>gnnsched-bench v1</h1><p>{html.escape(LEGEND)}</p>{''.join(parts)}</body></html>\n"
    )


def html_table(
    headings: Sequence[str],
    lines: Sequence[Sequence[str]],
    *,
    left: Sequence[bool] | None = None,
    sortable: bool = False,
) -> str:
    """Return a table in HTML, its cells as they are.

    `left`: which columns are text, aligned left; `sortable`: headings are buttons, for a script that sorts.
    """
    kinds = [' class="text"' if text else "" for text in left or [False] * len(headings)]
    titles = [f"<button>{html.escape(name)}</button>" if sortable else html.escape(name) for name in headings]
    head = "".join(f"<th{kind}>{title}</th>" for kind, title in zip(kinds, titles, strict=True))
    rows = [
        "".join(f"<td{kind}>{html.escape(cell)}</td>" for kind, cell in zip(kinds, line, strict=True)) for line in lines
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wrap"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _by_suite(results: Sequence[Result]) -> list[tuple[str, list[Result]]]:
    suites = dict.fromkeys(result.suite for result in results)
    return [(suite, [result for result in results if result.suite == suite]) for suite in suites]


def _markdown_table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is shown as code."""
    rule = "|".join(["---", *("---:" for _ in headings[1:])])
    body = [" | ".join([f"`{line[0]}`", *(cell.replace("|", "\\|") for cell in line[1:])]) for line in lines]
    return "\n".join([f"| {' | '.join(headings)} |", f"|{rule}|", *(f"| {line} |" for line in body)])
