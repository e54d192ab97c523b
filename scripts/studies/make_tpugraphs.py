"""Make a synthetic stand-in for the TpuGraphs data set: its tree and types, made-up programs and a made-up machine.

Example:
    python scripts/studies/make_tpugraphs.py --out DIR --seed 0

A score on a stand-in says nothing about real collections.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gnnsched_cli.command import run_command
from gnnsched_env.forecast.standin import SIZES, Size, write_standin


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Make a synthetic stand-in for the TpuGraphs data set."""

    out: Path
    """Folder of the data set."""
    seed: int = 0
    size: Literal["small", "medium", "large"] = "small"
    """small: to test and train on in minutes; large: as many files as the real data set."""
    layouts: tuple[int, int, int] | None = None
    """Programs of each family (xla, nlp) in train, valid and test, instead of the size's."""
    tiles: tuple[int, int, int] | None = None
    """Kernels in train, valid and test, instead of the size's."""
    nodes: int | None = None
    """Most operations of a graph, at least 876, instead of the size's."""
    configs: tuple[int, int] | None = None
    """Fewest (at least 109) and most configurations of a layout program, instead of the size's."""
    specials: bool | None = None
    """Add the odd files (20,000 and 40,000 nodes, 20,000 configurations, hidden runtimes, ...) or leave them out."""
    force: bool = False
    """Replace a stand-in that is there."""

    def sized(self) -> Size:
        """Return the size with what was given instead."""
        names = ("layouts", "tiles", "nodes", "configs", "specials")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(SIZES[self.size], **given)


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/make_tpugraphs.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Make the data set."""
    size, start = arguments.sized(), time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("files", total=None)
        count, written = write_standin(
            arguments.out,
            arguments.seed,
            size,
            force=arguments.force,
            report=lambda done, total: progress.update(task, completed=done, total=total),
        )
    seconds = time.perf_counter() - start
    print(f"{arguments.out}: {count} files, {written / 1e6:.1f} MB, made in {seconds:.0f} s (synthetic stand-in)")


if __name__ == "__main__":
    sys.exit(main())
