"""The page of a file of `gnnsched evaluate --json`."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table

from gnnsched_env.common.checks import require
from gnnsched_env.common.errors import GnnSchedError
from gnnsched_env.evaluation.episode_blocks import Record
from gnnsched_env.evaluation.records_file import Recorded
from gnnsched_env.report.page.charts import Line, lines_chart, ranges_chart
from gnnsched_env.report.page.html_page import Chart, Section
from gnnsched_env.report.page.played import MOST_POLICIES, played_sections
from gnnsched_env.report.policy_table import legend, policy_table
from gnnsched_env.scenario import scenario_table

SHOWN = 8  # lines that are shown at first
KILO = 1_000


def evaluation_facts(recorded: Recorded) -> dict[str, str]:
    """Return what was evaluated, in words, by name."""
    records = recorded.records
    seed, episodes = recorded.seed, max(record["episodes"] for record in records)
    return {
        "file": str(recorded.path),
        "fleet": _listed(record["fleet"] for record in records),
        "environment": _listed(record["env"] for record in records),
        "loads": _listed(_load(record) for record in records),
        "graphs": _listed(name for record in records for name in record["graphs"]),
        "episodes": f"{episodes:,} of {records[0]['jobs']:,} jobs, seeds {seed} to {seed + episodes - 1}",
        "made by": f"gnnsched-env {recorded.provenance.get('gnnsched_env', '?')}",
    }


def evaluation_sections(
    recorded: Recorded,
    *,
    policies: Sequence[str] = (),
    load: float | None = None,
    seed: int | None = None,
    episodes: int,
) -> list[Section]:
    """Return the sections of an evaluation: policies, completion over load, distributions, schedules.

    `policies`: the one or two that are played again, by default the best two; `load`: one of the file's, by default
    the largest; `seed`: of the episode whose schedules are shown, by default the first; `episodes`: at most so many of
    the file's are played for the distributions. Without `policies`, what cannot be played again is told on the page.
    Raise ConfigError where the file has no such load, and for `policies` that cannot be played.
    """
    mixes = _mixes(recorded.records)
    own = _at_load(recorded, mixes[0], load)
    sections = [
        Section(title="Policies", parts=(_table(recorded.records),), note=legend(recorded.records)),
        *(section for mix in mixes for section in _figures(mix, several=len(mixes) > 1)),
        Section(
            title="Percentiles",
            text=f"Completion times of all jobs of each policy{_at(own[0])}: from the median to the 99th percentile; "
            "the dot is the 95th.",
            parts=(_percentiles(own),),
        ),
    ]
    names = policies or [record["policy"] for record in own[:MOST_POLICIES]]
    try:
        scenario = recorded.scenario(own[0])
        table = scenario_table(scenario)
        same = recorded.made_with(table)
        sections += played_sections(
            names,
            scenario,
            table,
            dispatch=own[0]["env"] == "dispatch",
            first_seed=recorded.seed,
            episodes=min(episodes, own[0]["episodes"]),
            seed=recorded.seed if seed is None else seed,
            note="" if same else "The latencies are those of another version than the file's: this may be another run.",
        )
    except GnnSchedError as error:
        if policies:
            raise
        sections.append(Section(title="Schedules", text=f"Nothing could be played again: {error}"))
    return sections


def _table(records: Sequence[Record]) -> Table:
    """Return the policies' table, with columns of load and graphs where they differ."""
    columns: list[tuple[Any, Any, list[Any]]] = [
        (column.header, column.justify, [*column.cells]) for column in policy_table(records, title="").columns
    ]
    loads, graphs = [*map(_load, records)], [", ".join(record["graphs"]) for record in records]
    added: tuple[tuple[Any, Any, list[Any]], ...] = (("load", "right", loads), ("graphs", "left", graphs))
    columns[1:1] = [column for column in added if len(set(column[2])) > 1]
    made = Table()
    for header, justify, _ in columns:
        made.add_column(header, justify=justify)
    for row in zip(*(cells for *_, cells in columns), strict=True):
        made.add_row(*row)
    return made


def _figures(records: Sequence[Record], *, several: bool) -> list[Section]:
    """Return the section of one mix of graphs: each policy's ratio over the load, or at the only load."""
    loads = sorted({record["load"] for record in records if record["load"] is not None})
    best = [record["policy"] for record in _best_first(records, loads[-1] if loads else None)]
    title = "Completion over load" if len(loads) > 1 else "Completion"
    title += f": {', '.join(records[0]['graphs'])}" if several else ""
    text = (
        "Mean completion time over that of clairvoyant shortest-job-first on the same episodes (1, the smaller the "
        "better), with 95 % intervals over episodes."
    )
    if len(loads) > 1:
        lines = [_line(policy, records, shown=place < SHOWN) for place, policy in enumerate(best)]
        chart = lines_chart(
            lines,
            x_label="load",
            y_label="C / SJF*",
            marks=f"load-{'-'.join(records[0]['graphs'])}",
            log=True,
            levels={"clairvoyant sjf": 1.0},
        )
        text += f" The best {SHOWN} at the largest load are shown; press a name to show or hide it."
    else:
        values = {record["policy"]: record["ratio_to_sjf_clairvoyant"]["completion"] for record in records}
        ordered = [(low, value, high) for value, low, high in (values[policy] for policy in best)]
        tips = ("95 % from", "C / SJF*", "95 % to")
        chart = ranges_chart(best, ordered, x_label="C / SJF*", title="", tips=tips)
    return [Section(title=title, text=text, parts=(chart,))]


def _line(policy: str, records: Sequence[Record], *, shown: bool) -> Line:
    own = sorted(
        (record for record in records if record["policy"] == policy and record["load"] is not None),
        key=lambda record: float(record["load"]),
    )
    return Line(
        name=policy,
        x=[record["load"] for record in own],
        values=[record["ratio_to_sjf_clairvoyant"]["completion"] for record in own],
        tips=[
            {
                "mean, thousands of cycles": f"{record['mean_completion'] / KILO:,.1f}",
                "p95, thousands of cycles": f"{record['p95_completion'] / KILO:,.1f}",
                "sustained": {True: "yes", False: "no", None: "unknown"}[record["stable"]],
            }
            for record in own
        ],
        shown=shown,
    )


def _percentiles(records: Sequence[Record]) -> Chart:
    values = [[record[f"p{percent}_completion"] / KILO for percent in (50, 95, 99)] for record in records]
    names = [record["policy"] for record in records]
    tips = ("median", "95th percentile", "99th percentile")
    return ranges_chart(names, values, x_label="completion time, thousands of cycles", title="", tips=tips)


def _mixes(records: Sequence[Record]) -> list[list[Record]]:
    """Return the records of each fleet, environment and mix of graphs."""
    mixes: dict[object, list[Record]] = {}
    for record in records:
        mixes.setdefault((record["fleet"], record["env"], *record["graphs"]), []).append(record)
    return list(mixes.values())


def _at_load(recorded: Recorded, records: Sequence[Record], load: float | None) -> list[Record]:
    """Return the records of a load (None: the largest), best first."""
    loads = sorted({record["load"] for record in records if record["load"] is not None})
    told = ", ".join(f"{one:g}" for one in loads) or "none"
    require("report", "load", load, "" if load is None or load in loads else f"one of {recorded.path}'s ({told})")
    return _best_first(records, load if load is not None else loads[-1] if loads else None)


def _best_first(records: Sequence[Record], load: float | None) -> list[Record]:
    own = {record["policy"]: record for record in records if record["load"] == load}
    return sorted(own.values(), key=lambda record: float(record["mean_completion"]))


def _load(record: Record) -> str:
    return "-" if record["load"] is None else f"{record['load']:g}"


def _at(record: Record) -> str:
    return "" if record["load"] is None else f" at load {_load(record)}"


def _listed(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
