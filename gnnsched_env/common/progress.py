"""A progress bar on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(description: str, total: int, *, shown: bool | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances the bar; `shown=None` shows the bar if stderr is a terminal."""
    if not (sys.stderr.isatty() if shown is None else shown):
        yield lambda amount: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=shown is None) as bar:
        task = bar.add_task(description, total=total)

        def advance(amount: int) -> None:
            bar.advance(task, amount)

        yield advance
