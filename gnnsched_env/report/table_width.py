"""Tables that are made to fit a terminal by leaving columns out."""

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

WIDEST = 10_000  # characters: no table is wider


def fit_columns(table: Table, width: int, leave_out: Sequence[str]) -> tuple[str, ...]:
    """Leave columns out of a table, by their headings and in this order, until it fits; return those left out."""
    left_out = []
    for heading in leave_out:
        if table_width(table) <= width:
            break
        kept = [column for column in table.columns if str(column.header) != heading]
        if len(kept) < len(table.columns):
            table.columns = kept
            left_out.append(heading)
    return tuple(left_out)


def table_width(table: Table) -> int:
    """Return how many characters wide a table is where nothing in it is wrapped."""
    console = Console(width=WIDEST)
    return Measurement.get(console, console.options, table).maximum
