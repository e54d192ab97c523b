"""A progress bar on stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Moves a progress bar on by an amount; `doing` tells what is under way, until something else is told."""

    def __call__(self, amount: float, doing: str | None = None) -> None:
        """Move the bar on."""
        ...


def no_progress(amount: float, doing: str | None = None) -> None:
    """Show nothing."""


@contextmanager
def progress_bar(description: str, total: int, *, shown: bool | None, unit: str = "") -> Iterator[Advance]:
    """Yield a function that advances the bar; `shown=None` shows the bar if stderr is a terminal.

    With a `unit` ("episodes") the bar tells how many of the total are done, not only their share.
    """
    if not (sys.stderr.isatty() if shown is None else shown):
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    counts = TextColumn(f"{{task.completed:,.0f}}/{{task.total:,.0f}} {unit}") if unit else TaskProgressColumn()
    start, end = TextColumn("{task.description}"), TextColumn("{task.fields[doing]}")
    columns = (start, BarColumn(20 if unit else 40), counts, TimeRemainingColumn(), end)
    with Progress(*columns, console=Console(stderr=True), transient=shown is None) as bar:
        task = bar.add_task(description, total=total, doing="")

        def advance(amount: float, doing: str | None = None) -> None:
            bar.advance(task, amount)
            if doing is not None:
                bar.update(task, doing=doing)

        yield advance
