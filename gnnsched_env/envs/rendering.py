"""Pictures of an environment's recent past: accelerators over time, and the number of waiting jobs below.

pygame draws them ("human", "rgb_array") and is imported for the first picture; "ansi" needs no package.
"""

import os
from functools import lru_cache
from typing import Any

import gymnasium.error
import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Number, OneOf
from gnnsched_env.common.errors import ConfigError, GnnSchedError, needs_extra
from gnnsched_env.common.kernel_cache import warn_once
from gnnsched_env.envs.labels import DOWN_COLOUR, Colour, ScheduleLabels, round_step, shown_span, time_unit
from gnnsched_env.envs.text_rendering import render_text
from gnnsched_env.sim.schedule import RunState, Schedule
from gnnsched_env.tables import LatencyTable

RENDER_MODES = ("human", "rgb_array", "ansi")
RENDER_FPS = 30
UNSEEN = ("offscreen", "dummy")  # drivers of SDL that show nothing
WITHOUT_SCREEN = 'on Linux DISPLAY or WAYLAND_DISPLAY names it; without one, use "rgb_array" or "ansi"'
SIZE = (960, 540)  # even, as video encoders require
SPAN_UNITS = 30  # mean job lengths that a picture shows

WHITE, INK, FAINT, BACKGROUND = (255, 255, 255), (40, 40, 45), (205, 207, 212), (244, 245, 247)
DOWN_FILL, CURVE = (252, 224, 224), (110, 120, 140)
TOP, AXIS, CURVE_HEIGHT, LEGEND_ROW, MARGIN, GAP = 44, 24, 84, 24, 20, 14
WIDEST_LABEL = 150
TALLEST_BAR = 64
LEAST_COUNT = 4  # the curve of waiting jobs reaches at least this far up


class RenderingUnavailable(GnnSchedError, gymnasium.error.DependencyNotInstalled):
    """Raised when a package or a screen that rendering needs is not there."""


class Renderer:
    """Draws schedules in one render mode; an environment has one of its own.

    `span`: the number of cycles in a picture, which ends now (or, early in an episode, begins at cycle 0).
    """

    def __init__(
        self, mode: str, labels: ScheduleLabels, *, span: int, size: tuple[int, int] = SIZE, fps: int = RENDER_FPS
    ) -> None:
        OneOf(RENDER_MODES).check("rendering", "render_mode", mode)
        Number(least=1).check("rendering", "span", span)
        self.mode = mode
        self.labels = labels
        self.span = int(span)
        self._size = size
        self._fps = fps
        self._chart: _Chart | None = None
        self._window: Any = None
        self._clock: Any = None

    def render(self, schedule: Schedule) -> NDArray[np.uint8] | str | None:
        """Draw a schedule (that covers at least `span`).

        Return a uint8 array [height, width, 3] ("rgb_array"), text ("ansi"), or None after showing it ("human", at
        `fps` pictures a second).
        """
        if self.mode == "ansi":
            return render_text(schedule, self.labels, span=self.span)
        if self._chart is None:
            self._chart = _Chart(import_pygame(), self.labels, self._size)
        surface = self._chart.draw(schedule, self.span)
        if self.mode == "human":
            self._show(surface)
            return None
        width, height = self._size
        pixels = np.frombuffer(import_pygame().image.tobytes(surface, "RGB"), np.uint8)
        return pixels.reshape(height, width, 3).copy()

    def close(self) -> None:
        """Close the window, if there is one; closing again does no harm."""
        if self._window is not None:
            import_pygame().display.quit()
        self._window = self._clock = self._chart = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to copy, without surfaces and windows, which the copy makes anew when it draws."""
        return {**self.__dict__, "_chart": None, "_window": None, "_clock": None}

    def _show(self, surface: Any) -> None:
        pygame = import_pygame()
        if self._window is None:
            self._window = _open_window(pygame, self._size)
            self._clock = pygame.time.Clock()
        self._window.blit(surface, (0, 0))
        pygame.event.pump()
        self._clock.tick(self._fps)
        pygame.display.flip()


def default_span(table: LatencyTable) -> int:
    """Return the cycles that a picture shows by default: SPAN_UNITS mean job lengths (`table` being that of a job)."""
    return max(1, round(SPAN_UNITS * table.mean_shortest_predicted))


def import_pygame() -> Any:
    """Return pygame; raise RenderingUnavailable, which names the extra, if it is not installed."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        with needs_extra('render_mode "human" and "rgb_array"', "render"):
            import pygame
    except ConfigError as error:
        raise RenderingUnavailable(str(error)) from error
    return pygame


def _open_window(pygame: Any, size: tuple[int, int]) -> Any:
    """Return a window; raise RenderingUnavailable where SDL can open none.

    Without a screen SDL may draw "offscreen", which nobody sees: a line says so, and no error, since environment
    checkers try every mode on servers too. Where SDL_VIDEODRIVER names such a driver, it is wanted.
    """
    try:
        pygame.display.init()
        pygame.display.set_caption("gnnsched")
        window = pygame.display.set_mode(size)
    except pygame.error as error:
        pygame.display.quit()
        raise RenderingUnavailable(f'render_mode "human": needs a screen ({error}); {WITHOUT_SCREEN}') from None
    if pygame.display.get_driver() in UNSEEN and "SDL_VIDEODRIVER" not in os.environ:
        warn_once(f'render_mode "human": no screen was found, so that nobody sees what is drawn; {WITHOUT_SCREEN}')
    return window


class _Chart:
    """The picture: its constant background is drawn once, and copied into each frame."""

    def __init__(self, pygame: Any, labels: ScheduleLabels, size: tuple[int, int]) -> None:
        pygame.font.init()
        self.pygame = pygame
        self.labels = labels
        self.size = size
        self.font = pygame.font.Font(None, 22)
        self.small = pygame.font.Font(None, 18)
        self.text = lru_cache(maxsize=512)(self._text)
        width, height = size
        names = [self._fitted(name) for name in labels.accelerators]
        left = max(self.font.size(name)[0] for name in [*names, "waiting"]) + 2 * GAP
        entries = self._legend_entries(width)
        legend = LEGEND_ROW * (1 + max(row for _, row, *_ in entries))
        curve_bottom = height - legend - AXIS - 6
        self.curve = pygame.Rect(left, curve_bottom - CURVE_HEIGHT, width - left - MARGIN, CURVE_HEIGHT)
        self.rows = pygame.Rect(left, TOP, self.curve.width, self.curve.top - GAP - TOP)
        self.hatch = self._hatching(INK)
        self.down_hatch = self._hatching(DOWN_COLOUR)
        self.background = self._background(names, entries, height - legend)
        self.frame = self.background.copy()

    def draw(self, schedule: Schedule, span: int) -> Any:
        """Return the surface with the schedule on it; the next call draws over it."""
        first, last = shown_span(schedule, span)
        scale = self.rows.width / (last - first)
        self.frame.blit(self.background, (0, 0))
        self._write(self.labels.status(schedule), (GAP, 14), self.font)
        self._draw_axis(first, last, scale)
        self.frame.set_clip(self.rows)
        for down in schedule.downs:
            box = self._box(down["accelerator"], down["start"] - first, down["end"] - first, scale)
            self.frame.fill(DOWN_FILL, box)
            self.frame.blit(self.down_hatch, box, box.move(-self.rows.left, -self.rows.top))
        for run in schedule.runs.tolist():
            self._draw_run(run, first, scale)
        self.frame.set_clip(None)
        self._draw_curve(schedule, first, scale)
        now = self.rows.left + min(self.rows.width - 1, round((schedule.until - first) * scale))
        self.pygame.draw.line(self.frame, INK, (now, self.rows.top), (now, self.curve.bottom))
        return self.frame

    def _draw_run(self, run: tuple[int, ...], first: int, scale: float) -> None:
        job, _, accelerator, choice, start, finish, _, state = run
        colour = self.labels.colours[self.labels.choice_dataflows[choice]]
        box = self._box(accelerator, start - first, finish - first, scale)
        self.frame.fill(colour, box)
        if box.width > 2:
            edge = tuple(round(0.7 * part) for part in colour)
            self.frame.fill(edge, (box.left, box.top, 1, box.height))
        if state == RunState.ABORTED:
            self.frame.blit(self.hatch, box, box.move(-self.rows.left, -self.rows.top))
            self.frame.fill(DOWN_COLOUR, (box.right - 3, box.top, 3, box.height))
            return
        number = self.text(f"{job}", self.small, _contrast(colour))
        shown = box.clip(self.rows)
        if shown.width > number.get_width() + 6 and box.height >= number.get_height():
            self.frame.blit(number, number.get_rect(center=shown.center))

    def _draw_axis(self, first: int, last: int, scale: float) -> None:
        clock = self.labels.clock_hz
        factor, unit = time_unit(last / clock)
        begin, end = first / clock / factor, last / clock / factor
        step = round_step(end - begin, 8)
        for k in range(int(np.ceil(begin / step)), int(end / step) + 1):
            x = self.rows.left + round((k * step * factor * clock - first) * scale)
            self.pygame.draw.line(self.frame, FAINT, (x, self.rows.top), (x, self.curve.bottom))
            label = self.text(f"{k * step:.6g} {unit}", self.small, INK)
            box = label.get_rect(midtop=(x, self.curve.bottom + 6))
            self.frame.blit(label, box.clamp(self.frame.get_rect()))

    def _draw_curve(self, schedule: Schedule, first: int, scale: float) -> None:
        times = np.append(schedule.waiting_times, schedule.until)
        counts = schedule.waiting_counts
        top = _round_up(max(LEAST_COUNT, int(counts.max())))
        x = self.curve.left + np.rint((np.clip(times, first, None) - first) * scale).astype(int)
        y = self.curve.bottom - 1 - np.rint(counts * ((self.curve.height - 2) / top)).astype(int)
        points = list(zip(np.repeat(x, 2)[1:-1].tolist(), np.repeat(y, 2).tolist(), strict=True))
        base = self.curve.bottom - 1
        if points[-1][0] > points[0][0]:
            self.frame.set_clip(self.curve)
            self.pygame.draw.polygon(self.frame, FAINT, [(points[0][0], base), *points, (points[-1][0], base)])
            self.pygame.draw.lines(self.frame, CURVE, False, points, 2)
            self.frame.set_clip(None)
        for count, height in ((0, self.curve.bottom), (top, self.curve.top)):
            label = self.text(f"{count:,}", self.small, INK)
            self.frame.blit(label, label.get_rect(midright=(self.curve.left - 6, height)))

    def _box(self, accelerator: int, start: int, end: int, scale: float) -> Any:
        """Return where an interval of an accelerator is drawn: at least a pixel wide.

        An interval that began before the picture starts just left of the rows: pygame fills a box that starts left of
        the surface too far to the right.
        """
        row = self.rows.height / len(self.labels.accelerators)
        height = max(1, min(TALLEST_BAR, round(0.8 * row)))
        top = self.rows.top + round((accelerator + 0.5) * row - height / 2)
        left, right = max(-2, round(start * scale)), round(end * scale)
        return self.pygame.Rect(self.rows.left + left, top, max(1, right - left), height)

    def _background(self, names: list[str], entries: list[tuple[str, int, int, Colour | None]], bottom: int) -> Any:
        surface = self.pygame.Surface(self.size, 0, 32)
        surface.fill(BACKGROUND)
        surface.fill(WHITE, self.rows)
        surface.fill(WHITE, self.curve)
        self.frame = surface
        row = self.rows.height / len(names)
        stride = max(1, -(-self.font.get_height() // max(1, round(row))))  # so that names do not overlap
        for accelerator in range(0, len(names), stride):
            label = self.text(names[accelerator], self.font, INK)
            middle = self.rows.top + round((accelerator + 0.5) * row)
            surface.blit(label, label.get_rect(midright=(self.rows.left - GAP, middle)))
        label = self.text("waiting", self.font, INK)
        surface.blit(label, label.get_rect(midright=(self.rows.left - GAP, self.curve.centery)))
        for name, line, x, colour in entries:
            box = self.pygame.Rect(x, bottom + LEGEND_ROW * line + 4, 14, 14)
            surface.fill(WHITE if colour is None else colour, box)
            if colour is None:
                surface.fill(DOWN_FILL if name == "down" else WHITE, box)
                surface.blit(self.down_hatch if name == "down" else self.hatch, box, ((0, 0), box.size))
            if name == "aborted":
                surface.fill(DOWN_COLOUR, (box.right - 3, box.top, 3, box.height))
            self._write(name, (box.right + 6, box.top), self.font)
        return surface

    def _legend_entries(self, width: int) -> list[tuple[str, int, int, Colour | None]]:
        """Return (name, row, x, colour) of each legend entry, wrapped to the width; without a colour it is hatched."""
        known: list[tuple[str, Colour | None]] = list(zip(self.labels.dataflows, self.labels.colours, strict=True))
        entries = []
        row, x = 0, GAP
        for name, colour in [*known, ("aborted", None), ("down", None)]:
            needed = 14 + 6 + self.font.size(name)[0] + 18
            if x + needed > width and x > GAP:
                row, x = row + 1, GAP
            entries.append((name, row, x, colour))
            x += needed
        return entries

    def _hatching(self, colour: Colour) -> Any:
        width, height = self.rows.size
        surface = self.pygame.Surface((width, height), self.pygame.SRCALPHA, 32)
        for x in range(-height, width, 7):
            self.pygame.draw.line(surface, (*colour, 170), (x, height), (x + height, 0))
        return surface

    def _fitted(self, name: str) -> str:
        """Return a name, cut short if it is too long for its column."""
        if self.font.size(name)[0] <= WIDEST_LABEL:
            return name
        while self.font.size(name + "...")[0] > WIDEST_LABEL:
            name = name[:-1]
        return name + "..."

    def _write(self, text: str, place: tuple[int, int], font: Any) -> None:
        self.frame.blit(font.render(text, True, INK), place)

    def _text(self, text: str, font: Any, colour: Colour) -> Any:
        return font.render(text, True, colour)


def _contrast(colour: Colour) -> Colour:
    """Return black or white, whichever reads better on a colour."""
    red, green, blue = colour
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else WHITE


def _round_up(count: int) -> int:
    """Return the next of 1, 2, 5, 10, 20, ... at or above a count."""
    return round(round_step(count, 1))
