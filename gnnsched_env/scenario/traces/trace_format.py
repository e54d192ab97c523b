"""The trace format, one line at a time: columns, keys, numbers, and what is wrong with a line."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

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

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_GRAPH = re.compile(r"(.+\.npz)(?::(\d{1,18})(?:-(\d{1,18}))?)?", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceKey:
    """A kind of job: a class's name, or a graph as the trace writes it with its `model`; and how many inferences."""

    name: str
    model: str = ""
    repeats: int = 1

    @property
    def class_name(self) -> str:
        """Return the name of the job class in a table: that of a graph names its model too."""
        return f"{self.name} {self.model}" if self.model else self.name


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in one place: line (the header's is 1), column if it is of one, and the rule with the value."""

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
class Layout:
    """Which column is where. `kind`: whether jobs name a class or a graph; `key_places`: the columns of a key."""

    columns: tuple[str, ...]
    kind: Kind
    key_places: tuple[int, ...]

    def place(self, column: str) -> int | None:
        """Return where a column is, None where the file has none."""
        return self.columns.index(column) if column in self.columns else None


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


def parse_header(fields: Sequence[str]) -> Layout:
    """Return the layout that a header gives; raise TraceProblem for unknown, doubled and missing columns."""
    columns = tuple(field.strip() for field in fields)
    for name in columns:
        if name not in COLUMNS:
            refuse(1, None, f"unknown column {shown(name)}{did_you_mean(name, COLUMNS)} (known: {', '.join(COLUMNS)})")
        if columns.count(name) > 1:
            refuse(1, name, "must occur once, got it twice")
    if "time" not in columns:
        refuse(1, None, "column 'time' is missing")
    if ("class" in columns) == ("graph" in columns):
        got = "both" if "class" in columns else "neither"
        refuse(1, None, f"must have either a column 'class' or the columns 'graph' and 'model', got {got}")
    if ("model" in columns) != ("graph" in columns):
        rule = "column 'model' is missing beside 'graph'" if "graph" in columns else "belongs to 'graph', got 'class'"
        refuse(1, None if "graph" in columns else "model", rule)
    return Layout(
        columns=columns,
        kind="class" if "class" in columns else "graph",
        key_places=tuple(columns.index(name) for name in KEY_COLUMNS if name in columns),
    )


def split_line(line: int, text: str) -> list[str]:
    """Return the fields of one line; raise TraceProblem where quotes are unbalanced or a field spans lines."""
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        refuse(line, None, f"must be one row of comma-separated fields ({error})")
    return rows[0] if rows else []


def parse_time(line: int, text: str) -> float:
    """Return seconds since the start."""
    return _seconds(line, "time", text)


def parse_deadline(line: int, text: str) -> float:
    """Return seconds after the arrival; NO_DEADLINE for an empty field."""
    return _seconds(line, "deadline", text) if text.strip() else NO_DEADLINE


def parse_weight(line: int, text: str) -> float:
    """Return the weight; 1 for an empty field."""
    if not text.strip():
        return 1.0
    value = _number(text)
    if value is None or not LEAST_WEIGHT <= value <= MOST_WEIGHT:
        refuse(line, "weight", f"must be a number {WEIGHTS}, got {shown(text)}")
    return value


def parse_key(line: int, layout: Layout, fields: Sequence[str]) -> TraceKey:
    """Return the key in a row's key fields (those at `layout.key_places`, in that order)."""
    names = (layout.columns[place] for place in layout.key_places)
    given = {name: field.strip() for name, field in zip(names, fields, strict=True)}
    name = given[layout.kind]
    if not name:
        refuse(line, layout.kind, "must not be empty, got ''")
    if len(name) > LONGEST_NAME:
        refuse(line, layout.kind, f"must be at most {LONGEST_NAME:,} characters long, got {len(name):,}")
    if layout.kind == "graph":
        parse_graph(line, name)
        if given["model"] not in MODEL_KINDS:
            hint = did_you_mean(given["model"], MODEL_KINDS)
            refuse(line, "model", f"must be one of {', '.join(MODEL_KINDS)}, got {shown(given['model'])}{hint}")
    text = given.get("repeats") or "1"
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= MOST_REPEATS:
        refuse(line, "repeats", f"must be an integer from 1 to {MOST_REPEATS:,}, got {shown(text)}")
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


def _seconds(line: int, column: str, text: str) -> float:
    value = _number(text)
    if value is None or not 0 <= value <= LONGEST_S:
        refuse(line, column, f"must be a decimal number of seconds from 0 to {LONGEST_S:,.0f}, got {shown(text)}")
    return value


def _number(text: str) -> float | None:
    """Return a decimal number; None for anything else, NaN and infinity too."""
    text = text.strip()
    return float(text) if _DECIMAL.fullmatch(text) else None
