"""Gantt charts of played episodes, one above the other on one time axis, over their queues' lengths."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnnsched_env.envs.labels import DOWN_COLOUR, ScheduleLabels, css, time_unit
from gnnsched_env.evaluation.behaviour import waited_cycles
from gnnsched_env.report.page.charts import SERIES, new_figure, tips_html
from gnnsched_env.report.page.html_page import Chart, Key
from gnnsched_env.sim.schedule import RunState, Schedule
from gnnsched_env.tables import LatencyTable

BAR = 0.8  # height of a bar, as a share of the row's
ROW = 34  # pixels
TOOLBAR = 30  # pixels
LETTER = 7.5  # width of a letter of an accelerator's name, pixels
AXES = 56  # height of a chart's surroundings, pixels
QUEUE = 190  # height of the queues' chart, pixels
MOST_RUNS = 20_000  # drawn of a schedule: a page with more is slow to open
QUEUE_COLOURS = (SERIES[0], SERIES[1])
TIPS = (
    ("job", "@job (@job_class)"),
    ("ran as", "@dataflow on @accelerator, @state"),
    ("from, to", "@start, @finish"),
    ("latency", "@true true, @predicted predicted"),
    ("waited", "@waited"),
    ("regret", "@regret"),
    ("completion", "@completion"),
)
TIPS_MEANING = (
    "Waited: time in queues. Regret: the true latency under the choice taken over the job's smallest true latency, "
    "1 being the best choice. Completion: from arrival to finish."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A finished episode of a policy; `table` holds the latencies of its jobs."""

    policy: str
    schedule: Schedule
    table: LatencyTable
    labels: ScheduleLabels


def gantt_charts(episodes: Sequence[Episode]) -> tuple[Chart, ...]:
    """Return a Gantt chart for each episode, and a chart of how many jobs waited, all of which move together.

    A bar is a run, in the colour of its dataflow; red hatches are runs that a failure cut short, and downtimes. The
    episodes must be of one fleet. All charts begin at cycle 0 and end with the longest episode.
    """
    from bokeh.models import CrosshairTool, Range1d, Span

    labels = episodes[0].labels
    until = max(1, *(episode.schedule.until for episode in episodes))
    scale, unit = time_unit(until / labels.clock_hz)
    per_cycle = 1.0 / (labels.clock_hz * scale)
    span = until * per_cycle
    # the axis can be dragged a little beyond both ends, not away from the episode
    shared = Range1d(0.0, span, bounds=(-0.02 * span, 1.02 * span))
    used = sorted({dataflow for episode in episodes for dataflow in labels.used(episode.schedule)})
    keys = [Key(name=labels.dataflows[k], colour=css(labels.colours[k])) for k in used]
    if any(len(episode.schedule.downs) for episode in episodes):
        keys.append(Key(name="down, or cut short (hatched)", colour=css(DOWN_COLOUR)))
    charts: list[Chart] = []
    for episode in episodes:
        mean = labels.time(episode.schedule.mean_completion)
        figure = _gantt(episode, shared, per_cycle)
        title = f"{episode.policy}: mean completion {mean}"
        charts.append(Chart(figure=figure, title=title, keys=() if charts else tuple(keys)))
    queue_keys = [
        Key(name=episode.policy, colour=colour) for episode, colour in zip(episodes, QUEUE_COLOURS, strict=False)
    ]
    queues = _queues(episodes, shared, per_cycle, unit)
    charts.append(Chart(figure=queues, title="Waiting jobs", keys=tuple(queue_keys)))
    line = Span(dimension="height", line_color="#8a9199", line_dash="dotted")
    left = round(24 + LETTER * max(map(len, labels.accelerators)))
    for chart in charts:
        chart.figure.add_tools(CrosshairTool(overlay=line))
        chart.figure.min_border_left = left  # so that the axes begin at one place
    for chart in charts[1:]:
        chart.figure.toolbar_location = None  # the first chart's zooms them all
        chart.figure.height -= TOOLBAR
    return tuple(charts)


def _gantt(episode: Episode, shared: Any, per_cycle: float) -> Any:
    from bokeh.models import ColumnDataSource, HoverTool

    labels = episode.labels
    rows = len(labels.accelerators)
    made = new_figure(x_label="", y_label="", height=AXES + ROW * rows, x_range=shared, y_range=(rows - 0.5, -0.5))
    made.yaxis.ticker = list(range(rows))
    made.yaxis.major_label_overrides = dict(enumerate(labels.accelerators))
    made.ygrid.grid_line_color = None
    downs = episode.schedule.downs
    red = css(DOWN_COLOUR)
    hatch = {"hatch_pattern": "right_diagonal_line", "hatch_color": red, "hatch_alpha": 0.8, "hatch_weight": 1.0}
    made.hbar(
        y=downs["accelerator"].astype(np.float64),
        left=downs["start"] * per_cycle,
        right=downs["end"] * per_cycle,
        height=BAR,
        fill_color=red,
        fill_alpha=0.12,
        line_color=None,
        **hatch,
    )
    data = _run_columns(episode, per_cycle)
    cut = np.array(data["state"]) == "cut short"
    for own, style in ((~cut, {}), (cut, hatch)):
        source = ColumnDataSource({name: np.asarray(values)[own] for name, values in data.items()})
        bars = made.hbar(
            y="row",
            left="left",
            right="right",
            height=BAR,
            source=source,
            fill_color="colour",
            fill_alpha=0.85,
            line_color="colour",
            hover_line_color="#ffffff",
            **style,
        )
        made.add_tools(HoverTool(renderers=[bars], tooltips=tips_html(TIPS)))
    return made


def _run_columns(episode: Episode, per_cycle: float) -> dict[str, Any]:
    """Return a column of values, a value for each run, by name: its place, its colour, and what its tooltip says."""
    schedule, labels, table = episode.schedule, episode.labels, episode.table
    runs = schedule.runs[:MOST_RUNS]
    dataflows = [labels.choice_dataflows[choice] for choice in runs["choice"].tolist()]
    true = table.true_cycles[runs["job_class"], runs["choice"]]
    completion = schedule.jobs["finish"] - schedule.jobs["arrival"]
    aborted = runs["state"] == RunState.ABORTED

    def times(cycles: Any) -> list[str]:
        return [labels.time(value) for value in np.asarray(cycles).tolist()]

    return {
        "row": runs["accelerator"].astype(np.float64),
        "left": runs["start"] * per_cycle,
        "right": runs["finish"] * per_cycle,
        "colour": [css(labels.colours[k]) for k in dataflows],
        "job": runs["job"].astype(np.float64),
        "job_class": [labels.classes[k] for k in runs["job_class"].tolist()],
        "dataflow": [labels.dataflows[k] for k in dataflows],
        "accelerator": [labels.accelerators[k] for k in runs["accelerator"].tolist()],
        "state": ["cut short" if cut else "finished" for cut in aborted.tolist()],
        "start": times(runs["start"]),
        "finish": times(runs["finish"]),
        "true": times(true),
        "predicted": times(table.predicted_cycles[runs["job_class"], runs["choice"]]),
        "waited": times(waited_cycles(schedule)[runs["job"]]),
        "regret": [f"{value:.3f}" for value in true / table.true_cycles.min(axis=1)[runs["job_class"]]],
        "completion": times(completion[runs["job"]]),
    }


def _queues(episodes: Sequence[Episode], shared: Any, per_cycle: float, unit: str) -> Any:
    from bokeh.models import ColumnDataSource, HoverTool

    most = max(4, *(int(episode.schedule.waiting_counts.max()) for episode in episodes))
    made = new_figure(x_label=f"time, {unit}", y_label="", height=QUEUE, x_range=shared, y_range=(0, 1.08 * most))
    pairs = zip(episodes, QUEUE_COLOURS, strict=False)
    for episode, colour in reversed([*pairs]):  # the first in front
        schedule = episode.schedule
        times = np.append(schedule.waiting_times, schedule.until) * per_cycle
        counts = np.append(schedule.waiting_counts, schedule.waiting_counts[-1]).astype(np.float64)
        source = ColumnDataSource({"time": times, "count": counts, "policy": [episode.policy] * len(times)})
        made.varea_step("time", 0, "count", source=source, step_mode="after", color=colour, alpha=0.15)
        line = made.step("time", "count", source=source, mode="after", color=colour, line_width=1.5)
        tips = tips_html([("", "@policy"), ("waiting jobs", "@count")])
        made.add_tools(HoverTool(renderers=[line], tooltips=tips, mode="vline"))
    return made
