"""Print the figures of a stand-in for the TpuGraphs data set beside those that real files were found to have.

Example:
    python scripts/studies/describe_tpugraphs.py --folder DIR
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from gnnsched_cli.command import print_table, run_command
from gnnsched_cli.forecast_runs import report
from gnnsched_env.forecast.data.folder_tree import open_programs
from gnnsched_env.forecast.data.program import Program
from gnnsched_env.forecast.data.schema import SHAPE_PRODUCT, Collection
from gnnsched_env.forecast.standin import made

SLOW: Final = 1.6
"""Times the fastest runtime: beyond it lies the slow mode of default collections."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Describe a stand-in."""

    folder: Path
    """The folder of the data set."""


Quantity = tuple[str, str, Callable[[Program], float]]
"""Its name, what real files have, and how it is found."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/describe_tpugraphs.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Print one row for each collection and quantity: least, mean and most over the labelled files."""
    opened = open_programs(made(arguments.folder), report, thorough=True)
    programs = [program for program in opened.programs if program.labelled]
    table = Table("collection", "quantity", "real files", "least", "mean", "most")
    for collection in Collection:
        own = [program for program in programs if program.collection is collection]
        for name, real, value in quantities(collection) if own else ():
            values = np.array([value(program) for program in own])
            found = (f"{figure:,.4g}" for figure in (values.min(), values.mean(), values.max()))
            table.add_row(collection, name, real, *found)
    print_table(table)


def quantities(collection: Collection) -> list[Quantity]:
    """Return what is worth a look in a collection's files."""
    graph: list[Quantity] = [
        ("nodes", "2-60" if collection.is_tile else "372-43,615", lambda program: program.graph.num_nodes),
        ("edges / node", "1 (tile), 1.61", lambda program: program.graph.num_edges / program.graph.num_nodes),
        ("configurations", "2-600 (tile), 109-20,000", lambda program: program.num_configs),
        ("duplicates", "0.37-0.40 (default), below 0.20", duplicates),
        ("runtime (ms), median", "1-1000 (layout)", lambda program: float(np.median(program.runtimes)) / 1e6),
    ]
    if collection.is_tile:
        return [*graph, ("slowest / fastest", "1-29", lambda program: float(slowdowns(program).max()))]
    graph += [
        (
            "columns not constant",
            "70-96",
            lambda program: float(np.ptp(program.graph.node_features, axis=0).astype(bool).sum()),
        ),
        ("largest product", "up to 3e8", lambda program: float(program.graph.node_features[:, SHAPE_PRODUCT].max())),
        ("most operands of one", "20-230", lambda program: float(np.bincount(program.graph.edges[:, 0]).max())),
        ("configurable nodes", "26-62 and more (xla), 72-344 (nlp)", lambda program: len(program.configurable)),
        (
            "rows left to the compiler",
            "0.02-0.07",
            lambda program: float((program.configurations() < 0).all(axis=2).mean()),
        ),
    ]
    if collection.endswith("random"):
        return [*graph, ("slowest / fastest", "1.1-5", lambda program: float(slowdowns(program).max()))]
    return [
        *graph,
        ("slowest / fastest but slow mode", "1.01-1.1", lambda program: float(usual(program).max())),
        ("in slow mode", "0.10-0.15", lambda program: 1 - len(usual(program)) / program.num_configs),
        ("slowest / fastest", "2-5", lambda program: float(slowdowns(program).max())),
    ]


def slowdowns(program: Program) -> NDArray[np.float64]:
    """Return how many times slower than the fastest each configuration is."""
    return np.asarray(program.runtimes / program.runtimes.min())


def usual(program: Program) -> NDArray[np.float64]:
    """Return the slowdowns below the slow mode."""
    over = slowdowns(program)
    return over[over <= SLOW]


def duplicates(program: Program) -> float:
    """Return the share of the configurations that stand there before."""
    rows = program.configurations().reshape(program.num_configs, -1)
    return 1 - len(np.unique(rows, axis=0)) / program.num_configs


if __name__ == "__main__":
    sys.exit(main())
