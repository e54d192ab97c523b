"""A whole schedule as a picture: accelerators over time, coloured by dataflow, and the number of waiting jobs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.envs.labels import DOWN_COLOUR, ScheduleLabels, time_unit
from gnnsched_env.errors import ConfigError
from gnnsched_env.files import write_whole
from gnnsched_env.sim.schedule import RunState, Schedule

FORMATS = (".png", ".svg", ".pdf")
BAR = 0.8  # of a row's height
GIF_COLOURS = 64
MOST_BARS = 1250  # side by side: shorter runs are drawn as long as this
TOLD_APART = 5  # so many times the least length: neighbours have a line between them
LINE = 0.5


def check_picture(path: Path) -> None:
    """Raise ConfigError where a picture's file name has no known ending."""
    if path.suffix not in FORMATS:
        raise ConfigError(f"picture {path}: must end in one of {', '.join(FORMATS)}, got {path.suffix!r}")


def check_animation(path: Path) -> None:
    """Raise ConfigError where an animation's file name does not end in .gif."""
    if path.suffix != ".gif":
        raise ConfigError(f"animation {path}: must end in .gif, got {path.suffix!r}")


def plot_schedule(schedule: Schedule, labels: ScheduleLabels, out: Path, *, title: str = "") -> None:
    """Draw a schedule from its first to its last cycle into an image file."""
    check_picture(out)
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

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
    _draw_runs(gantt, schedule, labels, per_cycle)
    _draw_downs(gantt, schedule, per_cycle)
    gantt.set(ylim=(rows - 0.5, -0.5), xlim=(schedule.since * per_cycle, max(1, schedule.until) * per_cycle))
    gantt.set_yticks(range(rows), labels=labels.accelerators)
    gantt.tick_params(axis="y", length=0)
    times = np.append(schedule.waiting_times, schedule.until) * per_cycle
    curve.stairs(schedule.waiting_counts, times, fill=True, color="0.75")
    curve.stairs(schedule.waiting_counts, times, color="0.4", linewidth=0.8)
    curve.set(xlabel=f"time, {unit}", ylabel="waiting jobs", ylim=(0, max(4, 1.1 * schedule.waiting_counts.max())))
    gantt.set_title(f"{title}\n{labels.status(schedule)}" if title else labels.status(schedule), fontsize=10)
    _draw_legend(figure, schedule, labels)
    write_whole(out, lambda file: figure.savefig(file, dpi=100, format=out.suffix[1:]))
    pyplot.close(figure)


def write_gif(frames: Sequence[NDArray[np.uint8]], out: Path, *, fps: float) -> None:
    """Write frames (uint8 [height, width, 3]) as an endless GIF; a schedule has few colours, so it stays small."""
    check_animation(out)
    if not frames:
        raise ConfigError(f"animation {out}: needs at least one frame, got none")
    from PIL import Image

    images = [Image.fromarray(frame).quantize(GIF_COLOURS, dither=Image.Dither.NONE) for frame in frames]
    rest = {"append_images": images[1:], "save_all": True, "duration": round(1000 / fps), "loop": 0}
    write_whole(out, lambda file: images[0].save(file, format="GIF", **rest))


def _draw_runs(axes: Any, schedule: Schedule, labels: ScheduleLabels, per_cycle: float) -> None:
    least = (schedule.until - schedule.since) / MOST_BARS
    dataflows = np.array(labels.choice_dataflows)[schedule.runs["choice"]]
    aborted = schedule.runs["state"] == RunState.ABORTED
    for k, colour in enumerate(labels.colours):
        for accelerator in range(len(labels.accelerators)):
            for cut in (False, True):
                own = (dataflows == k) & (schedule.runs["accelerator"] == accelerator) & (aborted == cut)
                runs = schedule.runs[own]
                lengths = np.maximum(runs["finish"] - runs["start"], least)
                lines = np.where(lengths > TOLD_APART * least, LINE, 0.0)
                hatch = {"hatch": "////", "edgecolor": _share(DOWN_COLOUR)} if cut else {}
                style = {"facecolor": _share(colour), "edgecolor": "white", "linewidths": lines} | hatch
                axes.broken_barh(
                    np.stack([runs["start"], lengths], axis=1) * per_cycle, (accelerator - BAR / 2, BAR), **style
                )


def _draw_downs(axes: Any, schedule: Schedule, per_cycle: float) -> None:
    for down in schedule.downs:
        span = (down["start"] * per_cycle, (down["end"] - down["start"]) * per_cycle)
        place = (down["accelerator"] - BAR / 2, BAR)
        axes.broken_barh([span], place, facecolor="#fce0e0", edgecolor=_share(DOWN_COLOUR), hatch="////", linewidth=0)


def _draw_legend(figure: Any, schedule: Schedule, labels: ScheduleLabels) -> None:
    """Draw a row with the dataflows that ran, and what failures did where there were any."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=_share(labels.colours[k]), label=labels.dataflows[k]) for k in labels.used(schedule)]
    red = _share(DOWN_COLOUR)
    if (schedule.runs["state"] == RunState.ABORTED).any():
        handles.append(Patch(facecolor="0.8", edgecolor=red, hatch="////", label="aborted"))
    if len(schedule.downs):
        handles.append(Patch(facecolor="#fce0e0", edgecolor=red, hatch="////", linewidth=0, label="down"))
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(12, len(handles)), frameon=False)


def _share(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
