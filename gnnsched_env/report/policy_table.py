"""A rich table of records for the terminal, and a text of a scenario's changes from the defaults."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from gnnsched_env.predictors import DEFAULT_PREDICTOR
from gnnsched_env.scenario import EnvironmentOptions, Scenario
from gnnsched_env.scenario.options import DEFAULT_JOBS
from gnnsched_env.scenario.scenario import SECTIONS

KILO = 1_000
PICO_TO_MICRO = 1e-6
LONGEST_HEADING = 24  # longer policy names are not used as a column's heading

# Columns that a narrow terminal does without, the first one first.
LEAVE_OUT = ("C p95", "E / uninf.", "used", "slowd.", "E", "cap.", "wC", "tard.", "abort.", "up", "uJ", "C / uninf.")
LEGEND = """C, E: completion and execution time of a job, thousands of cycles (p95: 95th percentile); slowd.: completion
over the shortest; knows: latencies that the policy reads; used: share of the accelerators' time in which they run jobs.
cap.: a bound on the load that the policy can sustain (the fleet's is 1); ! marks one below this load, whose means
grow with the number of jobs. SJF*: clairvoyant shortest-job-first in Queue-v0 with an unbounded window.
uninf.: the best baseline that knows no latencies, played besides. ±: half of a paired 95 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """A column shown only if its figure can differ: its heading, its legend, and its text for a record."""

    name: str
    meaning: str
    belongs: Callable[[dict[str, Any]], bool]
    show: Callable[[dict[str, Any]], str]


def policy_table(records: Sequence[dict[str, Any]], *, title: str) -> Table:
    """Return one row per record; ratios with half their 95 % interval, cycles in thousands.

    Deadlines, weights, failures and energy have columns if the records' scenario has them.
    """
    table = Table(
        title=Text(title),  # as it is: brackets in it are no markup
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    extras = _extras(records)
    table.add_column("policy", no_wrap=True)
    table.add_column("knows", no_wrap=True)
    for name in ("C", "C p95", "E", "slowd.", "used", "cap.", "C / SJF*", "C / uninf.", "E / uninf.", *extras):
        table.add_column(Text(name), justify="right", no_wrap=True)
    for record in records:
        unstable = record["stable"] is False  # None: unknown
        table.add_row(
            Text(record["policy"]),
            record["knowledge"],
            _kilo(record["mean_completion"]),
            _kilo(record["p95_completion"]),
            _kilo(record["mean_execution"]),
            _figure(record["mean_slowdown"]),
            f"{100 * record['utilisation']:.0f}%",
            f"{record['capacity']:.2f}" + ("!" if unstable else " "),
            _ratio_to(record, "sjf_clairvoyant", "completion"),
            _ratio_to(record, "best_uninformed", "completion"),
            _ratio_to(record, "best_uninformed", "execution"),
            *(extra.show(record) for extra in extras.values()),
            style="dim" if unstable else "",
        )
    return table


def legend(records: Sequence[dict[str, Any]]) -> str:
    """Return what the columns of `policy_table` mean, line by line."""
    return "\n".join([LEGEND, *(f"{extra.name}: {extra.meaning}." for extra in _extras(records).values())])


def ratio_text(interval: Sequence[float], episodes: int) -> str:
    """Return a ratio and half of its interval [value, low, high]."""
    value, low, high = interval
    digits = 3 if value < 10 else 1
    spread = f" ±{(high - low) / 2:.{digits}f}" if episodes > 1 else ""  # a single episode has no interval
    return f"{value:.{digits}f}{spread}"


def _ratio_to(record: dict[str, Any], reference: str, metric: str) -> str:
    """Return a record's ratio over a reference as text; "-" where there is no reference."""
    ratios = record[f"ratio_to_{reference}"]
    return "-" if ratios is None else ratio_text(ratios[metric], record["episodes"])


def changed_options(scenario: Scenario) -> tuple[str, ...]:
    """Return a scenario's options that differ from the defaults, as "section.key = value", without files and load.

    If nothing fails, the repair time is left out too.
    """
    changes = [] if scenario.predictor == DEFAULT_PREDICTOR else [f"predictor = {scenario.predictor}"]
    for name in SECTIONS:
        section = getattr(scenario, name)
        if name == "failures" and not section.up:
            continue
        plain = _default(scenario, name)
        for key in (entry.name for entry in fields(section) if entry.name not in ("graphs", "load")):
            if (value := getattr(section, key)) != getattr(plain, key):
                changes.append(f"{name}.{key} = {_plain(value)}")
    cycles = sorted({accelerator.reconfiguration_cycles for accelerator in scenario.fleet.accelerators})
    if cycles != [0]:
        changes.append(f"reconfiguration = {' or '.join(map(str, cycles))}")
    return tuple(changes)


def _default(scenario: Scenario, name: str) -> Any:
    """Return a section's default values; the default number of jobs is a default even if set explicitly."""
    if name == "environment" and scenario.environment.jobs == DEFAULT_JOBS and scenario.arrivals.trace is None:
        return EnvironmentOptions(jobs=DEFAULT_JOBS)
    return type(getattr(scenario, name))()


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_plain, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _fails(record: dict[str, Any]) -> bool:
    """Return whether accelerators fail in a record's scenario."""
    return record["failures"] is not None and record["failures"]["up"] > 0


def _arrivals(record: dict[str, Any], name: str) -> bool:
    """Return whether a record's arrivals have deadlines or priorities, or may have them from a trace."""
    arrivals = record["arrivals"]
    return arrivals is not None and bool(arrivals[name] or arrivals["trace"])


EXTRAS = (
    Extra(
        name="C / bound",
        meaning="over a proved lower bound on the mean completion time of any schedule of these jobs",
        belongs=lambda record: "ratio_to_bound" in record,
        show=lambda record: f"{record['ratio_to_bound']:.3f}",
    ),
    Extra(
        name="wC",
        meaning="completion time weighted by the jobs' weights, thousands of cycles",
        belongs=lambda record: _arrivals(record, "priorities"),
        show=lambda record: _kilo(record["mean_weighted_completion"]),
    ),
    Extra(
        name="missed",
        meaning="share of the deadlines that were missed",
        belongs=lambda record: _arrivals(record, "deadlines"),
        show=lambda record: f"{100 * record['missed_deadlines']:.1f}%",
    ),
    Extra(
        name="tard.",
        meaning="mean time by which jobs with a deadline were late, thousands of cycles",
        belongs=lambda record: _arrivals(record, "deadlines"),
        show=lambda record: _kilo(record["mean_tardiness"]),
    ),
    Extra(
        name="up",
        meaning="share of the time in which accelerators were up",
        belongs=_fails,
        show=lambda record: f"{100 * record['availability']:.1f}%",
    ),
    Extra(
        name="abort.",
        meaning="runs an episode that failures stopped",
        belongs=_fails,
        show=lambda record: _figure(record["mean_aborted"]),
    ),
    Extra(
        name="uJ",
        meaning="energy of a job, microjoules",
        belongs=lambda record: record["reward"] is not None and record["reward"]["energy"] > 0,
        show=lambda record: _figure(record["mean_energy_pj"] * PICO_TO_MICRO),
    ),
)


def _extras(records: Sequence[dict[str, Any]]) -> dict[str, Extra]:
    """Return, by name, the optional columns that some record's scenario needs."""
    versus = [_versus(record["versus"]) for record in records if "ratio_to_versus" in record][:1]
    return {extra.name: extra for extra in (*versus, *EXTRAS) if any(map(extra.belongs, records))}


def _versus(policy: str) -> Extra:
    """Return the column over the policy of --versus, headed by its name; a long one is in the legend only."""
    return Extra(
        name=f"C / {policy if len(policy) <= LONGEST_HEADING else 'versus'}",
        meaning=f"over {policy}, which --versus names, on the same episodes: above 1 is worse",
        belongs=lambda record: "ratio_to_versus" in record,
        show=lambda record: _ratio_to(record, "versus", "completion"),
    )


def _kilo(cycles: float) -> str:
    return _figure(cycles / KILO)


def _figure(value: float) -> str:
    return f"{value:,.1f}" if value < KILO else f"{value:,.0f}"
