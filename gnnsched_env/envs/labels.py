"""Labels for pictures and files of a schedule: names, the clock, a colour for each dataflow."""

import colorsys
import math
from dataclasses import dataclass
from typing import Self

from gnnsched_env.sim.schedule import Schedule
from gnnsched_env.tables import LatencyTable

Colour = tuple[int, int, int]

# Distinct to most colour-blind eyes too; red is reserved for downtimes and aborted runs.
COLOURS: tuple[Colour, ...] = (
    (68, 119, 170),
    (136, 204, 238),
    (34, 136, 51),
    (153, 201, 69),
    (226, 192, 68),
    (238, 136, 102),
    (170, 51, 119),
    (240, 170, 200),
    (119, 85, 51),
    (68, 187, 153),
    (51, 34, 136),
    (120, 120, 40),
)
DOWN_COLOUR: Colour = (204, 30, 40)
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_GOLDEN = 0.6180339887


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleLabels:
    """The names behind a schedule's numbers, and the clock behind its cycles.

    `accelerators` [A], `choice_dataflows` [K] (an index into `dataflows` for each choice), `classes` [C];
    `clock_hz` turns cycles into seconds.
    """

    accelerators: tuple[str, ...]
    dataflows: tuple[str, ...]
    choice_dataflows: tuple[int, ...]
    classes: tuple[str, ...]
    clock_hz: float

    @classmethod
    def of(cls, table: LatencyTable, clock_hz: float) -> Self:
        """Return the labels of a table; choices are named accelerator/dataflow, and equal dataflows are listed once."""
        owners = [table.accelerator_names[owner] for owner in table.choice_accelerators]
        names = [name.removeprefix(f"{owner}/") for name, owner in zip(table.choice_names, owners, strict=True)]
        dataflows = tuple(dict.fromkeys(names))
        return cls(
            accelerators=tuple(table.accelerator_names),
            dataflows=dataflows,
            choice_dataflows=tuple(dataflows.index(name) for name in names),
            classes=tuple(table.class_names),
            clock_hz=clock_hz,
        )

    @property
    def colours(self) -> tuple[Colour, ...]:
        """Return a colour for each dataflow."""
        return tuple(_colour(k) for k in range(len(self.dataflows)))

    def dataflow(self, choice: int) -> str:
        """Return the name of a choice's dataflow."""
        return self.dataflows[self.choice_dataflows[choice]]

    def used(self, schedule: Schedule) -> list[int]:
        """Return the dataflows (indices) that ran, in order."""
        return sorted({self.choice_dataflows[choice] for choice in schedule.runs["choice"].tolist()})

    def time(self, cycles: float) -> str:
        """Return a time with a readable unit, such as "1.25 ms"."""
        scale, unit = time_unit(cycles / self.clock_hz)
        return f"{cycles / self.clock_hz / scale:.3g} {unit}"

    def status(self, schedule: Schedule) -> str:
        """Return a one-line summary of the episode's progress."""
        scale, unit = time_unit(schedule.until / self.clock_hz)
        now = f"{schedule.until / self.clock_hz / scale:.3f} {unit}"
        mean = self.time(schedule.mean_completion) if schedule.done else "-"
        jobs = f"done {schedule.done:,}/{schedule.total:,}   waiting {schedule.waiting:,}"
        return f"time {now}   {jobs}   mean completion {mean}"


def css(colour: Colour) -> str:
    """Return a colour as style sheets and SVG have it, such as "#4477aa"."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def time_unit(seconds: float) -> tuple[float, str]:
    """Return the unit in which a time reads best: its length in seconds and its name."""
    for scale, unit in _UNITS:
        if seconds >= scale:
            return scale, unit
    return _UNITS[-1]


def shown_span(schedule: Schedule, span: int) -> tuple[int, int]:
    """Return the first and last cycle that a chart of `span` cycles shows: it slides once it is full."""
    first = max(0, schedule.until - span)
    return first, first + span


def round_step(length: float, most: int) -> float:
    """Return the smallest of 1, 2, 5, 10, ... times a power of ten that divides a length into at most `most` steps."""
    power: float = 10.0 ** math.floor(math.log10(length / most))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0, 20.0) if length <= step * power * most)


def _colour(number: int) -> Colour:
    """Return a colour of the palette, or beyond its end one of any hue but red."""
    if number < len(COLOURS):
        return COLOURS[number]
    hue = 0.08 + 0.84 * (number * _GOLDEN % 1.0)
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.45 + 0.4 * (number % 2), 0.85)
    return round(255 * red), round(255 * green), round(255 * blue)
