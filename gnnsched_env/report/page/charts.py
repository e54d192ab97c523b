"""Charts of the page, made with Bokeh: lines with intervals, ranges by policy, distributions."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnsched_env.report.page.html_page import Chart, Key

# Told apart on a light and on a dark ground.
SERIES = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#2ba8a0", "#c9a227", "#9c755f", "#e87ba4", "#8a9199")
HEIGHT = 380  # pixels
ROW = 26  # height of a policy's row, pixels
AXES = 70  # height of what surrounds the rows, pixels
STEPS = 400  # points of a distribution's curve
FONT = "12px"
TOOLS = "xpan,xwheel_zoom,xbox_zoom,xzoom_in,xzoom_out,reset"
TIP_STYLE = (
    "max-width:min(21rem,40vw);white-space:normal;overflow-wrap:anywhere;font:12px/1.5 system-ui,sans-serif;"
    "color:#1b1f24"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line with its intervals: `values` float [N, 3] (value, low, high) over `x` float [N].

    `tips`: for each point, what the pointer shows beside its value, by name. `shown`: at first.
    """

    name: str
    x: ArrayLike
    values: ArrayLike
    tips: Sequence[Mapping[str, str]] = ()
    shown: bool = True


def colour(number: int) -> str:
    """Return the colour of a line or policy by its number; they repeat."""
    return SERIES[number % len(SERIES)]


def new_figure(*, x_label: str, y_label: str, height: int = HEIGHT, **options: Any) -> Any:
    """Return an empty figure as wide as the page, in the page's colours, that drags and zooms along x.

    The wheel zooms with Ctrl held down, so that the page can be scrolled past a chart.
    """
    from bokeh.models import LogAxis, NumeralTickFormatter, WheelZoomTool
    from bokeh.plotting import figure

    made = figure(
        height=height,
        sizing_mode="stretch_width",
        tools=TOOLS,
        active_drag="xpan",
        toolbar_location="above",
        x_axis_label=x_label,
        y_axis_label=y_label,
        **options,
    )
    wheel = made.select_one(WheelZoomTool)
    wheel.modifiers = {"ctrl": True}
    made.toolbar.active_scroll = wheel
    made.toolbar.logo = None
    made.axis.axis_label_text_font_size = made.axis.major_label_text_font_size = FONT
    made.select(LogAxis).formatter = NumeralTickFormatter(format="0,0.[000]")  # not powers of ten
    made.min_border_right = 12
    return made


def tips_html(rows: Sequence[tuple[str, str]]) -> str:
    """Return a tooltip of names and values (Bokeh's @column), narrow enough for a telephone; values are escaped."""
    lines = [f"<div><b>{html.escape(name)}</b> {value}</div>" for name, value in rows]
    return f'<div style="{TIP_STYLE}">{"".join(lines)}</div>'


def lines_chart(
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    marks: str,
    log: bool = False,
    levels: Mapping[str, float] | None = None,
) -> Chart:
    """Return a chart of lines whose intervals are bars; a legend's keys show and hide them.

    `marks` names the chart among those of a page; `log`: a logarithmic axis of values; `levels`: horizontal lines.
    """
    from bokeh.models import ColumnDataSource, DataRange1d, HoverTool, Span

    made = new_figure(
        x_label=x_label,
        y_label=y_label,
        y_axis_type="log" if log else "linear",
        y_range=DataRange1d(only_visible=True),
    )
    for level in (levels or {}).values():
        made.add_layout(Span(location=level, dimension="width", line_color="#8a9199", line_dash="dashed"))
    dots, keys = [], []
    for number, line in enumerate(lines):
        tag = f"{marks}-{number}"
        names = [*line.tips[0]] if line.tips else []
        value, low, high = np.asarray(line.values, np.float64).reshape(-1, 3).T
        data = {"x": np.asarray(line.x, np.float64), "value": value, "low": low, "high": high}
        data["name"] = np.array([line.name] * len(value))
        data |= {name: np.array([tip[name] for tip in line.tips]) for name in names}
        source = ColumnDataSource(data)
        style = {"color": colour(number), "visible": line.shown}
        dash = "solid" if number < len(SERIES) else "dashed"
        drawn = [
            made.line("x", "value", source=source, line_width=2, line_dash=dash, **style),
            made.segment("x", "low", "x", "high", source=source, line_width=2, alpha=0.55, **style),
            made.scatter("x", "value", source=source, size=7, **style),
        ]
        for one in drawn:
            one.tags = [tag]
        tips = [("", "@name"), (x_label, "@x{0,0.[000]}"), (y_label, "@value{0.000} (@low{0.000} to @high{0.000})")]
        rows = [*tips, *((name, f"@{{{name}}}") for name in names)]
        made.add_tools(HoverTool(renderers=drawn[-1:], tooltips=tips_html(rows)))
        dots.append(drawn[-1])
        keys.append(Key(name=line.name, colour=colour(number), marks=tag, shown=line.shown))
    keys += [Key(name=name, colour="#8a9199") for name in levels or {}]
    return Chart(figure=made, title=title, keys=tuple(keys))


def ranges_chart(
    names: Sequence[str], ranges: ArrayLike, *, x_label: str, title: str, tips: tuple[str, str, str], log: bool = True
) -> Chart:
    """Return a chart of a row for each name: a bar from the least to the largest of three values, a dot at the middle.

    `ranges`: float [N, 3], rising; `tips`: what the three are called.
    """
    from bokeh.models import ColumnDataSource, HoverTool

    low, middle, high = np.asarray(ranges, np.float64).reshape(-1, 3).T
    data = {"name": list(names), "low": low, "middle": middle, "high": high}
    made = new_figure(
        x_label=x_label,
        y_label="",
        height=AXES + ROW * len(names),
        y_range=list(dict.fromkeys(reversed(names))),
        x_axis_type="log" if log else "linear",
    )
    source = ColumnDataSource(data)
    bars = made.hbar(y="name", left="low", right="high", height=0.5, source=source, color=SERIES[0], alpha=0.35)
    made.scatter("middle", "name", size=9, source=source, color=SERIES[0])
    values = zip(tips, ("@low{0,0.[000]}", "@middle{0,0.[000]}", "@high{0,0.[000]}"), strict=True)
    made.add_tools(HoverTool(renderers=[bars], tooltips=tips_html([("", "@name"), *values])))
    made.ygrid.grid_line_color = None
    return Chart(figure=made, title=title)


def distribution_chart(
    samples: Mapping[str, NDArray[np.float64]], *, x_label: str, y_label: str, title: str, marks: str
) -> Chart:
    """Return a chart of the share of each sample (float [N], above 0) that is at most x, on a logarithmic axis."""
    from bokeh.models import ColumnDataSource, HoverTool

    made = new_figure(x_label=x_label, y_label=y_label, x_axis_type="log")
    keys = []
    for number, (name, sample) in enumerate(samples.items()):
        share = np.linspace(0.0, 1.0, min(STEPS, max(2, len(sample))))
        data = {"x": np.quantile(sample, share), "share": share, "name": np.array([name] * len(share))}
        line = made.line("x", "share", source=ColumnDataSource(data), line_width=2, color=colour(number))
        line.tags = [f"{marks}-{number}"]
        tips = [("", "@name"), (x_label, "@x{0,0.[00]}"), (y_label, "@share{0.0%}")]
        made.add_tools(HoverTool(renderers=[line], tooltips=tips_html(tips), line_policy="nearest"))
        keys.append(Key(name=name, colour=colour(number), marks=f"{marks}-{number}"))
    return Chart(figure=made, title=title, keys=tuple(keys))
