"""Make a synthetic stand-in for the TpuGraphs data set: its tree and types, made-up programs and a made-up machine.

Examples:
    python scripts/studies/make_tpugraphs.py --out DIR --seed 0
    python scripts/studies/make_tpugraphs.py --out DIR --describe
    python scripts/studies/make_tpugraphs.py --gap

A score on a stand-in says nothing about real collections.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gnnsched_cli.command import run_command, wide_console
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.standin import SIZES, Size, make, plan, write_standin
from gnnsched_env.forecast.standin.describe import describe
from gnnsched_env.forecast.standin.gap import gaps


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Make a synthetic stand-in for the TpuGraphs data set, or describe one."""

    out: Path | None = None
    """Folder of the data set; only the gap needs none."""
    seed: int = 0
    size: Literal["small", "medium", "large"] = "small"
    """small: to test and train on in minutes; large: as many files as the real data set."""
    layouts: tuple[int, int, int] | None = None
    """Programs of each family (xla, nlp) in train, valid and test, instead of the size's."""
    tiles: tuple[int, int, int] | None = None
    """Kernels in train, valid and test, instead of the size's."""
    nodes: int | None = None
    """Of the largest graph, at least 876, instead of the size's."""
    configs: tuple[int, int] | None = None
    """Fewest (at least 109) and most configurations of a layout program, instead of the size's."""
    specials: bool | None = None
    """Add the odd files (20,000 and 40,000 nodes, 20,000 configurations, hidden runtimes, ...) or leave them out."""
    force: bool = False
    """Replace a stand-in that is there."""
    describe: bool = False
    """Make nothing; print how a stand-in's figures compare with what it was made after."""

    gap: bool = False
    """Make programs but write nothing; print how far linear models without a graph stay behind noise-free runtimes."""

    def sized(self) -> Size:
        """Return the size with what was given instead."""
        names = ("layouts", "tiles", "nodes", "configs", "specials")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(SIZES[self.size], **given)


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/make_tpugraphs.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Make, describe, or measure the gap."""
    if arguments.gap:
        _print_gap(arguments.seed, arguments.sized())
        return
    if arguments.out is None:
        raise ConfigError("out must be given: the folder of the data set")
    if arguments.describe:
        _print_figures(arguments.out)
        return
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


def _print_figures(folder: Path) -> None:
    table = Table("collection", "quantity", "target", "least", "mean", "most")
    for figure in describe(folder):
        found = (f"{value:,.4g}" for value in (figure.least, figure.mean, figure.most))
        table.add_row(figure.collection, figure.quantity, figure.target, *found)
    wide_console(130).print(table)


def _print_gap(seed: int, size: Size) -> None:
    table = Table("collection", "programs", "oracle", "ridge within", "ridge across", "least gap")
    for collection in Collection:
        if collection.is_tile:
            continue
        specs = [spec for spec in plan(seed, size) if spec.collection is collection and not spec.hidden]
        train, test = ([make(spec) for spec in specs if spec.split == split] for split in ("train", "test"))
        found = gaps(train, test)
        means = [fmean(getattr(gap, name) for gap in found) for name in ("oracle", "within", "across")]
        least = min(gap.oracle - max(gap.within, gap.across) for gap in found)
        table.add_row(collection, str(len(test)), *(f"{value:.3f}" for value in (*means, least)))
    wide_console(100).print(table)


if __name__ == "__main__":
    sys.exit(main())
