"""The display of a running training: a bar and lines on stderr, and events for TensorBoard."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

FIELDS = ("iteration", "rate", "ratio", "left")


class Display:
    """Permanent lines above a progress bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        texts: dict[str, Any] = dict.fromkeys(FIELDS, "")
        self._task = progress.add_task("training", total=1.0, **texts)

    def say(self, line: str) -> None:
        """Print a line."""
        self._progress.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def show(self, spent: float, told: Mapping[str, Any]) -> None:
        """Move the bar to a share of the budget; `told` holds the texts of FIELDS."""
        self._progress.update(self._task, completed=min(1.0, spent), **told)


@contextmanager
def open_display(shown: bool | None) -> Iterator[Display]:
    """Yield a display on stderr, with a bar if `shown` is True, or if it is None and stderr is a terminal."""
    texts = [TextColumn("{task.fields[" + name + "]}") for name in FIELDS]
    hidden = not (sys.stderr.isatty() if shown is None else shown)
    columns = (TextColumn("iteration"), texts[0], BarColumn(), *texts[1:])
    with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as progress:
        yield Display(progress)


class EventLog:
    """Logs figures for TensorBoard by number of decisions; without a writer they are dropped."""

    def __init__(self, writer: Any | None) -> None:
        self._writer = writer

    def add(self, group: str, figures: Mapping[str, float], decisions: int) -> None:
        """Write figures of a group."""
        if self._writer is not None:
            for name, value in figures.items():
                self._writer.add_scalar(f"{group}/{name}", value, decisions)


@contextmanager
def open_events(folder: Path, decisions: int) -> Iterator[EventLog]:
    """Yield a log that continues in a folder; events after `decisions` are replaced by repeated iterations."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # evolution strategies need no torch
        print("no events for TensorBoard are written; they need: pip install 'gnnsched-env[agents]'", file=sys.stderr)
        yield EventLog(None)
        return
    writer = SummaryWriter(str(folder), purge_step=decisions + 1)
    try:
        yield EventLog(writer)
    finally:
        writer.close()
