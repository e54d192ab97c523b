"""A schedule as a picture in SVG, made of text alone: what a notebook shows of an environment's `schedule()`."""

import html
from collections.abc import Iterator
from dataclasses import dataclass

from gnnsched_env.envs.labels import DOWN_COLOUR, ScheduleLabels, css, round_step, time_unit
from gnnsched_env.sim.schedule import RunState, Schedule

WIDTH = 960
LEFT, RIGHT, TOP = 90, 12, 26  # pixels around the bars
ROW, BAR, CURVE, AXIS, KEY = 26, 20, 60, 22, 20  # heights, pixels
LETTER = 7.0  # width of a letter, pixels
MOST_STEPS = 8  # of the time axis
MOST_TITLES = 2_000  # runs that say what they are where the pointer rests on them; more make a notebook slow
LONGEST_NAME = 12  # letters of an accelerator's name
FONT = "font:12px system-ui,sans-serif;fill:currentColor;white-space:pre"
RED = css(DOWN_COLOUR)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledSchedule(Schedule):
    """A schedule with the names behind its numbers; a notebook shows it as a picture."""

    labels: ScheduleLabels

    def _repr_html_(self) -> str:
        return schedule_svg(self, self.labels)


def schedule_svg(schedule: Schedule, labels: ScheduleLabels) -> str:
    """Return the picture: a row of bars for each accelerator, coloured by dataflow, and the number of waiting jobs.

    Text has the colour of what is around it, so that the picture can stand on light and dark ground.
    """
    picture = _Picture(schedule, labels)
    body = "".join([*picture.bars(), *picture.curve(), *picture.axis(), *picture.keys()])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {picture.height:g}" role="img" '
        f'style="width:100%;max-width:{WIDTH}px;{FONT}">'
        f'<text x="0" y="15">{html.escape(labels.status(schedule))}</text>{body}</svg>'
    )


class _Picture:
    """The parts of one picture, each a sequence of SVG elements."""

    def __init__(self, schedule: Schedule, labels: ScheduleLabels) -> None:
        self.schedule, self.labels = schedule, labels
        self._colours = [css(colour) for colour in labels.colours]
        self._span = max(1, schedule.until - schedule.since)
        self._floor = TOP + ROW * len(labels.accelerators) + CURVE  # of the curve
        self._rows: list[list[tuple[str, str]]] = [[]]  # of the keys
        used = 0.0
        for name, colour in [(labels.dataflows[k], self._colours[k]) for k in labels.used(schedule)]:
            width = KEY + LETTER * len(name) + 12
            if used + width > WIDTH - LEFT:
                self._rows.append([])
                used = 0.0
            self._rows[-1].append((name, colour))
            used += width
        self.height = self._floor + AXIS + KEY * len(self._rows)

    def bars(self) -> Iterator[str]:
        """Yield the accelerators' names, downtimes, and a bar for each run, which says what it is."""
        schedule, labels = self.schedule, self.labels
        for row, name in enumerate(labels.accelerators):
            shown = html.escape(name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…")
            yield f'<text x="{LEFT - 8}" y="{TOP + ROW * row + 15}" text-anchor="end">{shown}</text>'
        for down in schedule.downs:
            yield self._bar(int(down["accelerator"]), int(down["start"]), int(down["end"]), RED, opacity=0.25)
        for number, run in enumerate(schedule.runs):
            dataflow = labels.choice_dataflows[int(run["choice"])]
            start, finish = int(run["start"]), int(run["finish"])
            cut = run["state"] == RunState.ABORTED
            told = ""
            if number < MOST_TITLES:
                ends = f"{labels.time(start)} to {labels.time(finish)}"
                told = (
                    f"job {run['job']} ({labels.classes[int(run['job_class'])]}), {labels.dataflows[dataflow]}, {ends}"
                )
                told += ", cut short" if cut else ""
            colour = self._colours[dataflow]
            yield self._bar(int(run["accelerator"]), start, finish, colour, told=told, edge=RED if cut else "")

    def curve(self) -> Iterator[str]:
        """Yield the number of waiting jobs as an area of steps."""
        counts = self.schedule.waiting_counts.tolist()
        most = max(4, *counts)
        places = [self._x(time) for time in [*self.schedule.waiting_times.tolist(), self.schedule.until]]
        steps = "".join(
            f"H{place:.1f}V{self._floor - (CURVE - 12) * count / most:.1f}"
            for place, count in zip(places, counts, strict=False)
        )
        path = f"M{places[0]:.1f} {self._floor}{steps}H{places[-1]:.1f}V{self._floor}Z"
        yield f'<path d="{path}" fill="currentColor" fill-opacity="0.25"/>'
        yield f'<text x="{LEFT - 8}" y="{self._floor - 4}" text-anchor="end">waiting</text>'
        place = f'x="{LEFT - 8}" y="{self._floor - CURVE + 22}" text-anchor="end"'
        yield f'<text {place} opacity="0.7">most {max(counts)}</text>'

    def axis(self) -> Iterator[str]:
        """Yield the time axis."""
        hertz = self.labels.clock_hz
        scale, unit = time_unit(max(1, self.schedule.until) / hertz)
        yield f'<path d="M{LEFT} {self._floor}H{WIDTH - RIGHT}" stroke="currentColor" opacity="0.6"/>'
        step = round_step(self._span / hertz / scale, MOST_STEPS)
        first = -(-self.schedule.since / hertz / scale // step)
        for number in range(MOST_STEPS + 1):
            time = (first + number) * step
            place = self._x(time * scale * hertz)
            if place > WIDTH - RIGHT - LETTER * 3:
                break
            text = f"{time:g}" + (f" {unit}" if not number else "")
            yield f'<text x="{place:.1f}" y="{self._floor + 15}">{text}</text>'
            yield f'<path d="M{place:.1f} {self._floor}v4" stroke="currentColor" opacity="0.6"/>'

    def keys(self) -> Iterator[str]:
        """Yield the dataflows' colours and names."""
        for number, row in enumerate(self._rows):
            place, level = float(LEFT), self._floor + AXIS + KEY * number
            for name, colour in row:
                yield f'<rect x="{place:.1f}" y="{level + 4}" width="11" height="11" fill="{colour}"/>'
                yield f'<text x="{place + 15:.1f}" y="{level + 14}">{html.escape(name)}</text>'
                place += KEY + LETTER * len(name) + 12

    def _bar(
        self, row: int, start: int, end: int, colour: str, *, told: str = "", edge: str = "", opacity: float = 1.0
    ) -> str:
        since, until = self.schedule.since, self.schedule.until
        left, right = self._x(max(start, since)), self._x(min(end, until))
        inside = f"<title>{html.escape(told)}</title>" if told else ""
        style = f' stroke="{edge}"' if edge else ""
        style += f' fill-opacity="{opacity:g}"' if opacity < 1 else ""
        place = f'x="{left:.1f}" y="{TOP + ROW * row}" width="{max(0.6, right - left):.1f}" height="{BAR}"'
        return f'<rect {place} fill="{colour}"{style}>{inside}</rect>'

    def _x(self, cycle: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (cycle - self.schedule.since) / self._span
