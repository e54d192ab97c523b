"""Tables of forecast scores, for the terminal."""

import math
from collections.abc import Sequence

from rich import box
from rich.table import Table

from gnnsched_env.common.stats import Interval
from gnnsched_env.forecast.scoring.noise_ceiling import Ceiling
from gnnsched_env.forecast.scoring.rank_scores import TILE_TOP, TOPS, CollectionScore, GraphScore

# Columns that a narrow terminal does without, the first one first.
LEAVE_OUT = ("pairs", "top 10", "top 1", "top 100", "excluded", "configs")
LEGEND = """\
tau: Kendall's tau-b; pairs: share of the pairs of unequal runtimes in the right order; top K: by how much the best of
the predicted top K is slower than the best; score: the competition's, tau or 1 - slowdown of the top 5. Means over
files, with 95 % bootstrap intervals over files in brackets; files with nothing to rank are in no mean."""
CEILING = """\
ceiling: tau that a perfect predictor would reach on runtimes as noisy as these, estimated from duplicates; second: tau
of a second measurement; bound: what no predictor exceeds but by chance; noise: deviation of one log runtime."""


def graph_table(scores: Sequence[GraphScore]) -> Table:
    """Return one row per file."""
    table = plain_table("file", "collection")
    for name in ("configs", "tau", "pairs", *(f"top {k}" for k in TOPS), "score"):
        table.add_column(name, justify="right", no_wrap=True)
    if any(score.reason for score in scores):
        table.add_column("why no scores", no_wrap=True)
    for score in scores:
        about = score.name, str(score.collection), str(score.configs)
        if score.reason:
            table.add_row(*about, *[""] * (3 + len(TOPS)), score.reason, style="dim")
            continue
        slowdowns = (f"{value:.4f}" for value in score.slowdowns)
        table.add_row(*about, f"{score.tau:.4f}", f"{score.pairs:.4f}", *slowdowns, f"{score.competition:.4f}")
    return table


def collection_table(scores: Sequence[CollectionScore]) -> Table:
    """Return one row per collection."""
    table = plain_table("collection")
    for name in ("files", "excluded", "tau", "pairs", *(f"top {k}" for k in TOPS), "score"):
        table.add_column(name, justify="right", no_wrap=True)
    for score in scores:
        top = dict(zip(TOPS, score.slowdowns, strict=True))
        counts = str(score.graphs), str(score.excluded)
        slowdowns = (mean_text(mean) if k == TILE_TOP else _short(mean) for k, mean in top.items())
        table.add_row(
            str(score.collection),
            *counts,
            mean_text(score.tau),
            _short(score.pairs),
            *slowdowns,
            mean_text(score.competition),
        )
    return table


def ceiling_table(ceilings: Sequence[tuple[str, Ceiling]]) -> Table:
    """Return one row per file."""
    table = plain_table("file")
    for name in ("ceiling", "second", "bound", "noise %", "measured again"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, own in ceilings:
        figures = f"{own.tau:.3f}", f"{own.retest:.3f}", f"{own.high:.3f}", f"{100 * own.noise_sd:.4f}"
        table.add_row(name, *figures, str(own.repeated))
    return table


def plain_table(*names: str) -> Table:
    """Return an empty table with these columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, no_wrap=True)
    return table


def mean_text(mean: Interval, *, signed: bool = False) -> str:
    """Return a mean with its interval, all with their signs if `signed`."""
    form = "+.4f" if signed else ".4f"
    interval = "" if math.isnan(mean.value) or mean.low == mean.high else f" [{mean.low:{form}}, {mean.high:{form}}]"
    return (_short(mean) if not signed else f"{mean.value:{form}}") + interval


def _short(mean: Interval) -> str:
    return "-" if math.isnan(mean.value) else f"{mean.value:.4f}"
