"""Pictures of whole schedules: one with its number of waiting jobs, or two policies' on the same jobs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError, needs_extra
from gnnsched_env.common.files import write_whole
from gnnsched_env.envs.labels import COLOURS, DOWN_COLOUR, Colour, ScheduleLabels, time_unit
from gnnsched_env.report.pyplot import import_pyplot, save_figure
from gnnsched_env.sim.schedule import RunState, Schedule
from gnnsched_env.tables import LatencyTable

FORMATS = (".png", ".svg", ".pdf")
BAR = 0.8  # bar height, as a share of the row's height
GIF_COLOURS = 64
MOST_BARS = 1250  # side by side: shorter runs are drawn at this length
TOLD_APART = 5  # bars of this many times the least length have a line between neighbours
LINE = 0.5
DIGIT = 6.0  # width of a digit of a job's number, in widths of such bars
PLAIN, ABORTED, SLOW = range(3)
SLOW_COLOUR = (60, 60, 60)
SLOW_FACTOR = 2  # a run is slow from this many times the job's smallest predicted latency


def check_picture(path: Path) -> None:
    """Raise ConfigError if a picture's file name has no known ending, or Matplotlib is not installed."""
    if path.suffix not in FORMATS:
        raise ConfigError(f"picture {path}: must end in one of {', '.join(FORMATS)}, got {path.suffix!r}")
    import_pyplot(path)


def check_animation(path: Path) -> None:
    """Raise ConfigError if an animation's file name does not end in .gif, or what makes it is not installed."""
    if path.suffix != ".gif":
        raise ConfigError(f"animation {path}: must end in .gif, got {path.suffix!r}")
    with needs_extra(f"animation {path}", "render"):
        import PIL  # noqa: F401
        import pygame  # noqa: F401


def plot_schedule(schedule: Schedule, labels: ScheduleLabels, out: Path, *, title: str = "") -> None:
    """Draw a schedule from its first to its last cycle into an image file."""
    check_picture(out)
    pyplot = import_pyplot(out)

    rows = len(labels.accelerators)
    figure, (gantt, curve) = pyplot.subplots(
        *(2, 1),
        figsize=(14, min(20.0, 2.6 + 0.55 * rows)),
        sharex=True,
        height_ratios=(max(2.0, 0.55 * rows), 1.0),
        layout="constrained",
    )
    scale, unit = time_unit(schedule.until / labels.clock_hz)
    per_cycle = 1.0 / (labels.clock_hz * scale)
    dataflows = np.array(labels.choice_dataflows)[schedule.runs["choice"]]
    least = (schedule.until - schedule.since) / MOST_BARS
    _draw_runs(gantt, schedule, dataflows, labels.colours, _aborted(schedule), least=least, per_cycle=per_cycle)
    _draw_downs(gantt, schedule, per_cycle)
    _set_rows(gantt, labels)
    gantt.set(xlim=(schedule.since * per_cycle, max(1, schedule.until) * per_cycle))
    times = np.append(schedule.waiting_times, schedule.until) * per_cycle
    curve.stairs(schedule.waiting_counts, times, fill=True, color="0.75")
    curve.stairs(schedule.waiting_counts, times, color="0.4", linewidth=0.8)
    curve.set(xlabel=f"time, {unit}", ylabel="waiting jobs", ylim=(0, max(4, 1.1 * schedule.waiting_counts.max())))
    gantt.set_title(f"{title}\n{labels.status(schedule)}" if title else labels.status(schedule), fontsize=10)
    _draw_legend(figure, [schedule], labels, {k: labels.dataflows[k] for k in labels.used(schedule)})
    save_figure(figure, out)


def plot_versus(
    schedules: tuple[Schedule, Schedule],
    labels: ScheduleLabels,
    table: LatencyTable,
    out: Path,
    *,
    names: tuple[str, str],
    title: str = "",
) -> None:
    """Draw two policies' schedules of the same jobs on one time axis, and the number of jobs in the system of both.

    A job has a colour by its number, the same in both schedules, and the number is on its bar if there is room. Dots
    mark jobs that are predicted (by `table`, of jobs) to take at least SLOW_FACTOR times as long there as where they
    are fastest.
    """
    check_picture(out)
    pyplot = import_pyplot(out)

    height = max(1.6, 0.45 * len(labels.accelerators))
    shape: dict[str, Any] = {"figsize": (14, min(30.0, 2.8 + 2 * height)), "height_ratios": (height, height, 1.3)}
    figure, axes = pyplot.subplots(3, 1, sharex=True, layout="constrained", **shape)
    until = max(1, *(schedule.until for schedule in schedules))
    scale, unit = time_unit(until / labels.clock_hz)
    per_cycle = 1.0 / (labels.clock_hz * scale)
    for gantt, schedule, name in zip(axes, schedules, names, strict=False):
        _draw_jobs(gantt, schedule, labels, table, least=until / MOST_BARS, per_cycle=per_cycle)
        mean = labels.time(schedule.mean_completion) if schedule.done else "-"
        gantt.set_title(f"{name}: mean completion {mean}", fontsize=10, loc="left")
    _draw_counts(axes[2], schedules, names, until, per_cycle)
    axes[2].set_xlabel(f"time, {unit}")
    figure.suptitle(title, fontsize=10)
    _draw_legend(figure, schedules, labels, {}, slow=True)
    save_figure(figure, out)


def write_gif(frames: Sequence[NDArray[np.uint8]], out: Path, *, fps: float) -> None:
    """Write frames (uint8 [height, width, 3]) as an endless GIF; a schedule has few colours, so it stays small."""
    check_animation(out)
    if not frames:
        raise ConfigError(f"animation {out}: needs at least one frame, got none")
    from PIL import Image

    images = [Image.fromarray(frame).quantize(GIF_COLOURS, dither=Image.Dither.NONE) for frame in frames]
    rest = {"append_images": images[1:], "save_all": True, "duration": round(1000 / fps), "loop": 0}
    write_whole(out, lambda file: images[0].save(file, format="GIF", **rest))


def _aborted(schedule: Schedule) -> NDArray[np.int64]:
    """Return the hatch of each run; only aborted runs have one."""
    return np.where(schedule.runs["state"] == RunState.ABORTED, ABORTED, PLAIN)


def _set_rows(gantt: Any, labels: ScheduleLabels) -> None:
    """Label one row per accelerator, the first on top."""
    rows = len(labels.accelerators)
    gantt.set(ylim=(rows - 0.5, -0.5))
    gantt.set_yticks(range(rows), labels=labels.accelerators)
    gantt.tick_params(axis="y", length=0)


def _draw_runs(
    axes: Any,
    schedule: Schedule,
    kinds: NDArray[np.int64],
    colours: Sequence[Colour],
    hatches: NDArray[np.int64],
    *,
    least: float,
    per_cycle: float,
) -> None:
    """Draw each run in the colour of its kind (an index), with its hatch; none shorter than `least` cycles."""
    styles: tuple[dict[str, Any], ...] = (
        {},
        {"hatch": "////", "edgecolor": _share(DOWN_COLOUR)},
        {"hatch": "....", "edgecolor": _share(SLOW_COLOUR)},
    )
    for kind in np.unique(kinds).tolist():
        for accelerator in range(schedule.num_accelerators):
            for hatch, style in enumerate(styles):
                own = (kinds == kind) & (schedule.runs["accelerator"] == accelerator) & (hatches == hatch)
                runs = schedule.runs[own]
                if not len(runs):
                    continue
                lengths = np.maximum(runs["finish"] - runs["start"], least)
                lines = np.where(lengths > TOLD_APART * least, LINE, 0.0)
                axes.broken_barh(
                    np.stack([runs["start"], lengths], axis=1) * per_cycle,
                    (accelerator - BAR / 2, BAR),
                    **{"facecolor": _share(colours[kind]), "edgecolor": "white", "linewidths": lines} | style,
                )


def _draw_jobs(
    gantt: Any,
    schedule: Schedule,
    labels: ScheduleLabels,
    table: LatencyTable,
    *,
    least: float,
    per_cycle: float,
) -> None:
    """Draw runs in their jobs' colours and with their numbers."""
    runs = schedule.runs
    kinds = runs["job"] % len(COLOURS)
    predicted = table.predicted_cycles[runs["job_class"]]
    slow = predicted[np.arange(len(runs)), runs["choice"]] >= SLOW_FACTOR * predicted.min(axis=1)
    hatches = np.where(runs["state"] == RunState.ABORTED, ABORTED, np.where(slow, SLOW, PLAIN))
    _draw_runs(gantt, schedule, kinds, COLOURS, hatches, least=least, per_cycle=per_cycle)
    _draw_downs(gantt, schedule, per_cycle)
    _set_rows(gantt, labels)
    gantt.tick_params(labelbottom=True)  # though the axis is shared
    for run, kind, hatch in zip(runs, kinds.tolist(), hatches.tolist(), strict=True):
        number = str(run["job"])
        if run["finish"] - run["start"] < (DIGIT * len(number) + 2) * least:
            continue
        dark = sum(COLOURS[kind]) < 3 * 128
        back = {} if hatch == PLAIN else {"bbox": {"facecolor": _share(COLOURS[kind]), "linewidth": 0, "pad": 0.8}}
        middle = (run["start"] + run["finish"]) / 2 * per_cycle
        style = {"fontsize": 6, "ha": "center", "va": "center_baseline", "color": "white" if dark else "black"}
        gantt.text(middle, run["accelerator"], number, **style, **back)


def _draw_counts(axes: Any, schedules: Sequence[Schedule], names: Sequence[str], until: int, per_cycle: float) -> None:
    """Draw two policies' numbers of jobs that have arrived and are not done: a line in front of an area."""
    styles: tuple[dict[str, Any], ...] = ({"color": "black", "zorder": 3}, {"color": "0.75", "fill": True})
    most = 4.0
    for schedule, name, style in zip(schedules, names, styles, strict=True):
        times, counts = jobs_in_system(schedule)
        most = max(most, 1.1 * counts.max())
        axes.stairs(counts, np.append(times, until) * per_cycle, label=name, **style)
    axes.set(ylabel="jobs in\nthe system", xlim=(0, until * per_cycle), ylim=(0, most))
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.97), fontsize=9, frameon=False, ncols=2)


def jobs_in_system(schedule: Schedule) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the step function of the number of jobs that have arrived and are not done.

    Both int64 [N]: it is `counts[k]` from `times[k]` on; the first time is `since`.
    """
    arrivals, finishes = schedule.jobs["arrival"], schedule.jobs["finish"]
    finishes = finishes[finishes >= 0]
    times = np.unique(np.concatenate([[schedule.since], arrivals, finishes]).clip(min=schedule.since))
    came = np.searchsorted(np.sort(arrivals), times, side="right")
    return times, came - np.searchsorted(np.sort(finishes), times, side="right")


def _draw_downs(axes: Any, schedule: Schedule, per_cycle: float) -> None:
    for down in schedule.downs:
        span = (down["start"] * per_cycle, (down["end"] - down["start"]) * per_cycle)
        place = (down["accelerator"] - BAR / 2, BAR)
        axes.broken_barh([span], place, facecolor="#fce0e0", edgecolor=_share(DOWN_COLOUR), hatch="////", linewidth=0)


def _draw_legend(
    figure: Any,
    schedules: Sequence[Schedule],
    labels: ScheduleLabels,
    kinds: dict[int, str],
    *,
    slow: bool = False,
) -> None:
    """Draw a legend of the dataflows' colours, the `slow` dots, and the effects of failures, if any."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=_share(labels.colours[k]), label=name) for k, name in kinds.items()]
    red = _share(DOWN_COLOUR)
    if slow:
        grey = _share(SLOW_COLOUR)
        told = f"predicted to run there at least {SLOW_FACTOR} times as long as where it is fastest"
        handles.append(Patch(facecolor="0.85", edgecolor=grey, hatch="....", label=told))
    if any((schedule.runs["state"] == RunState.ABORTED).any() for schedule in schedules):
        handles.append(Patch(facecolor="0.8", edgecolor=red, hatch="////", label="aborted"))
    if any(len(schedule.downs) for schedule in schedules):
        handles.append(Patch(facecolor="#fce0e0", edgecolor=red, hatch="////", linewidth=0, label="down"))
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(12, len(handles)), frameon=False)


def _share(colour: Colour) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
