"""The trace format: its columns, and the rules for fields and lines, checked for many lines at once."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, check_fields
from gnnsched_env.common.errors import did_you_mean
from gnnsched_env.hardware import MODEL_KINDS
from gnnsched_env.scenario.options import LEAST_WEIGHT, MOST_REPEATS, MOST_WEIGHT, WEIGHTS

Kind = Literal["class", "graph"]

COLUMNS = ("time", "class", "graph", "model", "repeats", "deadline", "weight")
KEY_COLUMNS = ("class", "graph", "model", "repeats")  # what tells one kind of job from another
LONGEST_S = 1e9  # of a time and of a deadline, 31 years
LONGEST_NAME = 1_000  # characters of a class or graph
MOST_SHOWN = 80  # characters of a bad value in a message
NO_DEADLINE = float("inf")

FloatArray = NDArray[np.float64]

_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_GRAPH = re.compile(r"(.+\.npz)(?::(\d{1,18})(?:-(\d{1,18}))?)?", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceKey:
    """A kind of job: a class's name, or a graph as the trace writes it with its `model`; and how many inferences."""

    name: str
    model: str = ""
    repeats: Annotated[int, Integer(1, MOST_REPEATS)] = 1

    def __post_init__(self) -> None:
        check_fields(self, "trace")

    @property
    def class_name(self) -> str:
        """Return the name of the job class in a table: that of a graph names its model too."""
        return f"{self.name} {self.model}" if self.model else self.name


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken rule: its line (the header's is 1), its column or None, and the rule in words with the value."""

    line: int
    column: str | None
    rule: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.column is None else f"line {self.line}, column {self.column}"
        return f"{where}: {self.rule}"


class TraceProblem(Exception):
    """A line that breaks a rule; `problem` says which."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceColumns:
    """The columns of a file. `kind`: whether jobs name a class or a graph; `key_places`: where a key's columns are."""

    names: tuple[str, ...]
    kind: Kind
    key_places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GraphSource:
    """A graph as a trace writes it: a file, and the graphs from `first` to `last`; None: the file's only one."""

    file: str
    first: int | None
    last: int | None


def refuse(line: int, column: str | None, rule: str) -> NoReturn:
    """Raise TraceProblem."""
    raise TraceProblem(Problem(line, column, rule))


def shown(text: str) -> str:
    """Return a value as messages show it: quoted, the end of a long one left out."""
    return repr(text) if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]!r}..."


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRule:
    """What a column of numbers may hold: numbers from `low` to `high`, described in errors by `words`.

    An empty field stands for `empty`, or is refused if that is None.
    """

    column: str
    low: float
    high: float
    empty: float | None = None
    words: str

    def within(self, numbers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return bool [n]: which numbers lie from `low` to `high` (NaN does not)."""
        return (numbers >= self.low) & (numbers <= self.high)

    def read(self, line: int, fields: Sequence[str]) -> FloatArray:
        """Return the numbers in the fields of lines from `line` on, float64 [n]; TraceProblem for the first bad one."""
        blank = [not field.strip() for field in fields] if self.empty is not None else []
        some = any(blank)
        numbers = _decimals(["nan" if b else field for b, field in zip(blank, fields, strict=True)] if some else fields)
        good = self.within(numbers)
        if some:
            good |= blank
            numbers[blank] = self.empty
        if not good.all():
            i = int(good.argmin())
            refuse(line + i, self.column, f"must be {self.words}, got {shown(fields[i])}")
        return numbers


_SECONDS = f"a decimal number of seconds from 0 to {LONGEST_S:,.0f}"
TIME = NumberRule(column="time", low=0.0, high=LONGEST_S, words=_SECONDS)
DEADLINE = NumberRule(column="deadline", low=0.0, high=LONGEST_S, empty=NO_DEADLINE, words=_SECONDS)
WEIGHT = NumberRule(column="weight", low=LEAST_WEIGHT, high=MOST_WEIGHT, empty=1.0, words=f"a number {WEIGHTS}")
REPEATS = NumberRule(column="repeats", low=1, high=MOST_REPEATS, words=f"an integer from 1 to {MOST_REPEATS:,}")


def parse_header(fields: Sequence[str]) -> TraceColumns:
    """Return the columns that a header names; raise TraceProblem for unknown, doubled and missing columns."""
    names = tuple(field.strip() for field in fields)
    for name in names:
        if name not in COLUMNS:
            refuse(1, None, f"unknown column {shown(name)}{did_you_mean(name, COLUMNS)} (known: {', '.join(COLUMNS)})")
        if names.count(name) > 1:
            refuse(1, name, "must occur once, got it twice")
    if "time" not in names:
        refuse(1, None, "column 'time' is missing")
    if ("class" in names) == ("graph" in names):
        got = "both" if "class" in names else "neither"
        refuse(1, None, f"must have either a column 'class' or the columns 'graph' and 'model', got {got}")
    if ("model" in names) != ("graph" in names):
        rule = "column 'model' is missing beside 'graph'" if "graph" in names else "belongs to 'graph', got 'class'"
        refuse(1, None if "graph" in names else "model", rule)
    return TraceColumns(
        names=names,
        kind="class" if "class" in names else "graph",
        key_places=tuple(names.index(name) for name in KEY_COLUMNS if name in names),
    )


def split_lines(line: int, lines: list[bytes]) -> list[list[str]]:
    """Return the fields of lines from `line` on; raise TraceProblem where one is no row of its own.

    The problem is exact for a single line; of several it says only that one is bad.
    """
    try:
        rows = list(csv.reader(b"\n".join(lines).decode().split("\n"), strict=True))
    except UnicodeDecodeError as error:
        got = error.object[error.start : error.start + 8]
        refuse(line, None, f"must be UTF-8, got {got!r} at byte {error.start + 1}")
    except csv.Error as error:
        refuse(line, None, f"must be one row of comma-separated fields ({error})")
    if len(rows) != len(lines):
        refuse(line, None, "must be one row of comma-separated fields (a field spans lines)")
    return rows


def split_columns(line: int, lines: list[bytes], columns: TraceColumns) -> list[tuple[str, ...]]:
    """Return the columns of lines from `line` on, a tuple of fields each; raise TraceProblem as `split_lines` does."""
    rows = split_lines(line, lines)
    expected = len(columns.names)
    if set(map(len, rows)) != {expected}:
        i = next(i for i, row in enumerate(rows) if len(row) != expected)
        got = f"{len(rows[i])}" if rows[i] else "an empty line"
        refuse(line + i, None, f"must have {expected} fields ({','.join(columns.names)}), got {got}")
    return list(zip(*rows, strict=True))


def parse_key(line: int, columns: TraceColumns, fields: Sequence[str]) -> TraceKey:
    """Return the key in a row's key fields (those at `columns.key_places`, in that order)."""
    names = (columns.names[place] for place in columns.key_places)
    given = {name: field.strip() for name, field in zip(names, fields, strict=True)}
    name = given[columns.kind]
    if not name:
        refuse(line, columns.kind, "must not be empty, got ''")
    if len(name) > LONGEST_NAME:
        refuse(line, columns.kind, f"must be at most {LONGEST_NAME:,} characters long, got {len(name):,}")
    if columns.kind == "graph":
        parse_graph(line, name)
        if given["model"] not in MODEL_KINDS:
            hint = did_you_mean(given["model"], MODEL_KINDS)
            refuse(line, "model", f"must be one of {', '.join(MODEL_KINDS)}, got {shown(given['model'])}{hint}")
    text = given.get("repeats") or "1"
    if not _WHOLE.fullmatch(text) or not REPEATS.low <= int(text) <= REPEATS.high:
        refuse(line, "repeats", f"must be {REPEATS.words}, got {shown(text)}")
    return TraceKey(name=name, model=given.get("model", ""), repeats=int(text))


def parse_graph(line: int, text: str) -> GraphSource:
    """Return the file and the graphs of it that a graph field names: FILE.npz, FILE.npz:i or FILE.npz:i-j."""
    match = _GRAPH.fullmatch(text)
    if match is None:
        refuse(line, "graph", f"must be FILE.npz, FILE.npz:i or FILE.npz:i-j (graphs i to j), got {shown(text)}")
    file, first, last = match.groups()
    if first is None:
        return GraphSource(file, None, None)
    source = GraphSource(file, int(first), int(last or first))
    if int(first) > int(last or first):
        refuse(line, "graph", f"i-j must name graphs i to j with i at most j, got {shown(text)}")
    return source


def _decimals(fields: Sequence[str]) -> FloatArray:
    """Return the numbers in some fields, float64 [n], NaN for any other text.

    Numbers are Python's, but in ASCII and without underscores.
    """
    joined = "".join(fields)
    if not joined.isascii():  # blanks around a number need not be
        fields = [field.strip() for field in fields]
        joined = "".join(fields)
    if joined.isascii() and "_" not in joined:
        try:
            return np.fromiter(map(float, fields), np.float64, len(fields))
        except ValueError:
            pass
    if len(fields) == 1:
        return np.array([np.nan])
    return np.concatenate([_decimals([field]) for field in fields])
