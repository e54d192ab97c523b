"""The page of a training: the curves of its validations, and its best policy at work."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from rich.table import Table

from gnnsched_env.common.errors import FileFormatError, GnnSchedError
from gnnsched_env.report.page.charts import Line, lines_chart
from gnnsched_env.report.page.html_page import Chart, Section
from gnnsched_env.report.page.played import played_sections
from gnnsched_env.scenario import Scenario, scenario_table

AT_LOAD = "ratio_at_"
MILLION, THOUSAND = 1_000_000, 1_000


def training_facts(
    where: str, config: Mapping[str, Any], curve: Sequence[Mapping[str, Any]], over: str
) -> dict[str, str]:
    """Return what was trained, in words, by name: `config` and `curve` are those of the folder's checkpoint.

    `over`: what the ratios of the curve are over, in words.
    """
    best = min(curve, key=lambda entry: float(entry["ratio"]))
    last, method = curve[-1], config.get("method")
    return {
        "folder": where,
        "training": str(config.get("name", "?")),
        "method": str(method.get("kind", "?")) if isinstance(method, dict) else "?",
        "seed": str(config.get("seed", "?")),
        "trained for": f"{last['decisions']:,.0f} decisions, {last['minutes']:.1f} minutes",
        "best": f"{best['ratio']:.4f} of {over}, after {best['decisions']:,.0f} decisions",
    }


def reference_of(config: Mapping[str, Any], heuristic: str) -> str:
    """Return in words what the ratios of a training of a config are over, by default the heuristic."""
    validation = config.get("validation")
    names = validation.get("references") if isinstance(validation, dict) else None
    if not isinstance(names, list) or not names:
        return heuristic
    return str(names[0]) if len(names) == 1 else "the best heuristic"


def training_sections(where: str, curve: Sequence[Mapping[str, Any]], over: str) -> list[Section]:
    """Return the learning curve of a training folder's checkpoint, and its validations as a table.

    `over`: what ratios are over, in words. Each entry of `curve` has finite "iteration", "decisions", "minutes",
    "ratio", "error" and "sjf_ratio", and may have "ratio_at_LOAD". Raise FileFormatError for an empty curve.
    """
    if not curve:
        raise FileFormatError(f"{where}: has not been validated yet, so that there is no curve to show")
    x = [entry["decisions"] for entry in curve]
    whole = [
        (entry["ratio"], entry["ratio"] / (1 + entry["error"]), entry["ratio"] * (1 + entry["error"]))
        for entry in curve
    ]
    lines = [Line(name=f"all validation episodes, over {over}", x=x, values=whole)]
    loads = [name for name in curve[0] if name.startswith(AT_LOAD)]
    for name in loads:
        values = [(entry[name],) * 3 for entry in curve if isinstance(entry.get(name), int | float)]
        if len(values) == len(curve):
            lines.append(Line(name=f"at load {name.removeprefix(AT_LOAD)}, over {over}", x=x, values=values))
    lines.append(Line(name="over sjf", x=x, values=[(entry["sjf_ratio"],) * 3 for entry in curve], shown=False))
    table = Table()
    names = ("iteration", "decisions", "minutes", "ratio", "error", "sjf_ratio")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for entry in curve:
        figures = (f"{entry['iteration']:.0f}", f"{entry['decisions']:,.0f}", f"{entry['minutes']:.2f}")
        table.add_row(*figures, *(f"{entry[name]:.4f}" for name in names[3:]))
    return [
        Section(
            title="Learning curve",
            text="Mean completion time of the validation episodes over a heuristic's (1: as good, the smaller the "
            "better), after so many decisions; the bars are 95 % intervals.",
            parts=(_curve(lines, {"as good": 1.0}, "curve"), table),
        )
    ]


def points_sections(where: str, data: Mapping[str, Any]) -> list[Section]:
    """Return the curves of a file that `LearningCurve` wrote; raise FileFormatError where it is none."""
    points, rivals = data.get("points"), data.get("rivals", {})
    if not isinstance(points, list) or not points or not all(map(_sound, points)) or not isinstance(rivals, dict):
        raise FileFormatError(f"{where}: points must be a list of objects with decisions, seconds and ratios")
    sections: list[Section] = []
    for name in points[0]["ratios"]:
        own = [point for point in points if name in point["ratios"]]
        values = [(point["ratios"][name],) * 3 for point in own]
        line = Line(name="trained", x=[point["decisions"] for point in own], values=values)
        levels = rivals.get(name, {})
        good = isinstance(levels, dict) and all(map(_number, levels.values()))
        if not good:
            raise FileFormatError(f"{where}: rivals of {name!r} must be numbers by name, got {levels!r:.80}")
        chart = _curve([line], levels, f"curve-{len(sections)}")
        told = "Mean completion time over the reference's in test episodes, after so many decisions."
        sections.append(Section(title=f"Learning curve: {name}", text=told, parts=(chart,)))
    return sections


def best_sections(
    policies: Sequence[str], scenario: Scenario, *, dispatch: bool, seed: int, episodes: int, asked: bool
) -> list[Section]:
    """Return the sections of policies that play a training's fleet.

    What cannot be played is told on the page, or raised as GnnSchedError where it was `asked` for.
    """
    try:
        table = scenario_table(scenario)
        return played_sections(
            policies, scenario, table, dispatch=dispatch, first_seed=seed, episodes=episodes, seed=seed
        )
    except GnnSchedError as error:
        if asked:
            raise
        return [Section(title="Schedules", text=f"Nothing could be played: {error}")]


def _curve(lines: Sequence[Line], levels: Mapping[str, float], marks: str) -> Chart:
    """Return a chart of ratios over numbers of decisions, in a unit that keeps the axis short."""
    most = max(float(np.max(line.x)) for line in lines)
    unit, name = (MILLION, "millions of decisions") if most >= MILLION else (THOUSAND, "thousands of decisions")
    scaled = [replace(line, x=np.asarray(line.x, np.float64) / unit) for line in lines]
    return lines_chart(scaled, x_label=name, y_label="ratio", marks=marks, log=True, levels=levels)


def _sound(point: Any) -> bool:
    return (
        isinstance(point, dict)
        and _number(point.get("decisions"))
        and isinstance(ratios := point.get("ratios"), dict)
        and all(_number(ratio) and ratio > 0 for ratio in ratios.values())
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
