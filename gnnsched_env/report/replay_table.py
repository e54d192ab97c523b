"""Live runs beside their replays, for the terminal and as Markdown."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from gnnsched_env.envs.labels import time_unit
from gnnsched_env.live.live_fleet import CLOCK_HZ
from gnnsched_env.live.replay.comparison import Comparison, Ranking
from gnnsched_env.live.replay.finished_runs import FIGURES

LABELS = {
    "mean_completion": "mean completion",
    "p50_completion": "p50 completion",
    "p95_completion": "p95 completion",
    "p99_completion": "p99 completion",
    "mean_execution": "mean execution",
    "utilisation": "utilisation",
}
HEADINGS = ("load", "policy", "figure", "real", "simulated", "error", "noise")
RANKING_HEADINGS = ("load", "policies, fastest first", "tau", "told apart", "tau of these")
LEGEND = (
    "simulated: mean of the replays, with the range of 95 % of them; error: simulated over real, less 1; noise: how "
    "far two real runs of the same jobs are apart; *: the calibration was fitted on a run among these."
)
RANKING_LEGEND = (
    "tau: Kendall's, between the real and the simulated order of policies by mean completion; told apart: pairs of "
    "policies that differ by more than the noise."
)
UNKNOWN = "-"


def replay_table(comparisons: Sequence[Comparison], *, title: str) -> Table:
    """Return a row for each load, policy and figure."""
    return _table(HEADINGS, _rows(comparisons), title, left=("policy", "figure"))


def replay_markdown(comparisons: Sequence[Comparison]) -> str:
    """Return the same table as Markdown."""
    return _markdown(HEADINGS, _rows(comparisons), left=("policy", "figure"))


def ranking_table(rankings: Sequence[Ranking], *, title: str) -> Table:
    """Return a row for each load: how the simulator ranks the policies."""
    return _table(RANKING_HEADINGS, _ranking_rows(rankings), title, left=("policies, fastest first",))


def ranking_markdown(rankings: Sequence[Ranking]) -> str:
    """Return the same table as Markdown."""
    return _markdown(RANKING_HEADINGS, _ranking_rows(rankings), left=("policies, fastest first",))


def percent(value: float | None, *, sign: bool = True) -> str:
    """Return a share in percent, with its sign by default; "-" for None."""
    return UNKNOWN if value is None else f"{100 * value:{'+' if sign else ''}.1f} %"


def _rows(comparisons: Iterable[Comparison]) -> list[list[str]]:
    return [
        [
            f"{one.load:g}",
            one.policy + ("*" if one.fitted else ""),
            LABELS[name],
            _value(name, one.real[name]),
            _simulated(one, name),
            percent(one.error(name)),
            percent(one.noise[name], sign=False),
        ]
        for one in comparisons
        for name in FIGURES
    ]


def _ranking_rows(rankings: Iterable[Ranking]) -> list[list[str]]:
    rows = []
    for one in rankings:
        pairs = len(one.policies) * (len(one.policies) - 1) // 2
        apart = UNKNOWN if one.told_apart is None else f"{one.told_apart} of {pairs}"
        own = UNKNOWN if one.tau_told_apart is None else f"{one.tau_told_apart:.2f}"
        rows.append([f"{one.load:g}", " ".join(one.policies), f"{one.tau:.2f}", apart, own])
    return rows


def _value(name: str, value: float) -> str:
    if name == "utilisation":
        return f"{100 * value:.1f} %"
    scale, unit = time_unit(value / CLOCK_HZ)
    return f"{value / CLOCK_HZ / scale:.4g} {unit}"


def _simulated(one: Comparison, name: str) -> str:
    known = one.simulated[name]
    told = _value(name, known.value)
    return told if known.low == known.high else f"{told} ({_value(name, known.low)} to {_value(name, known.high)})"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str, *, left: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title=Text(title), title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[str]) -> str:
    lines = [
        f"| {' | '.join(headings)} |",
        "|" + "|".join("---" if name in left else "---:" for name in headings) + "|",
    ]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])
