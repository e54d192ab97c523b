"""Measured latencies from a CSV file: read, checked line by line, and joined with the graphs that they belong to.

A file has a header and one row per (job, choice); a job is a graph, or a batch of graphs of a set, and the widths of
one GCN layer. Columns, in any order: `graph_file` (relative to the CSV's folder, or absolute), `choice`,
`microseconds`, and optionally `graph_ids` (numbers from 0, separated by blanks; empty: the whole file), `in_features`
and `out_features` (empty: the file's F and G), `again` (microseconds of a second measurement) and `repeats`.
"""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.errors import FileFormatError, GraphError
from gnnsched_env.graphs import Graph, GraphSet, load_graph_set
from gnnsched_env.hardware import make_model
from gnnsched_env.tables import JobClasses

FloatArray = NDArray[np.float64]

REQUIRED = ("graph_file", "choice", "microseconds")
OPTIONAL = ("graph_ids", "in_features", "out_features", "again", "repeats")
COLUMNS = ("graph_file", "graph_ids", "in_features", "out_features", "choice", "microseconds", "again", "repeats")


@dataclass(frozen=True, slots=True, order=True)
class Job:
    """What was measured: graphs of a file (none named: all of it) under one layer of these widths."""

    graph_file: str
    graph_ids: tuple[int, ...]
    in_features: int
    out_features: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurements:
    """N jobs under K choices, jobs and choices in the order of their first row.

    `microseconds` float64 [N, K]; `again` the same, of a second measurement, or None if any row lacks it.
    `classes`: the jobs with their graphs, one GCN layer each, one group per graph file.
    """

    choices: tuple[str, ...]
    jobs: tuple[Job, ...]
    microseconds: FloatArray
    again: FloatArray | None
    classes: JobClasses

    def noise(self) -> float | None:
        """Return the noise floor: the median of |again - first| / first over all jobs and choices."""
        if self.again is None:
            return None
        return float(np.median(np.abs(self.again - self.microseconds) / self.microseconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    line: int
    job: Job
    choice: str
    microseconds: float
    again: float | None


def load_measurements(path: str | Path) -> Measurements:
    """Read and check a CSV file of measured latencies (columns: see the module).

    Raises `FileFormatError`, naming line (the header being 1) and column, for a missing, unknown or repeated column,
    a latency that is not a number above 0, an unknown graph file, ids or widths out of range, a row given twice, and
    a job that lacks a choice which others have.
    """
    path = Path(path)
    sets: dict[str, GraphSet] = {}
    rows = list(_rows(path, sets))
    if not rows:
        raise FileFormatError(f"{path}: must hold at least one measurement, got a header only")
    choices = tuple(dict.fromkeys(row.choice for row in rows))
    cells = _cells(path, rows, choices)
    order = [[cells[job][choice] for choice in choices] for job in cells]
    again = [[row.again for row in of_job] for of_job in order]
    complete = all(value is not None for of_job in again for value in of_job)
    return Measurements(
        choices=choices,
        jobs=tuple(cells),
        microseconds=np.array([[row.microseconds for row in of_job] for of_job in order]),
        again=np.array(again, np.float64) if complete else None,
        classes=_classes(tuple(cells), sets),
    )


def job_graph(graphs: GraphSet, job: Job) -> Graph:
    """Return the graph of a job: the batch of its ids, or of all graphs of the file."""
    return graphs.batch(job.graph_ids or range(len(graphs)))


def _classes(jobs: tuple[Job, ...], sets: Mapping[str, GraphSet]) -> JobClasses:
    files = tuple(dict.fromkeys(job.graph_file for job in jobs))
    graphs = tuple(job_graph(sets[job.graph_file], job) for job in jobs)
    return JobClasses(
        names=tuple(f"{sets[job.graph_file].name} x{max(1, len(job.graph_ids))} #{i}" for i, job in enumerate(jobs)),
        models=tuple(make_model("gcn", job.in_features, job.out_features, ()) for job in jobs),
        degrees=tuple(graph.row_degrees(self_loops=True) for graph in graphs),
        weights=np.full(len(jobs), 1.0 / len(jobs)),
        groups=np.array([files.index(job.graph_file) for job in jobs], np.int64),
        group_names=tuple(sets[file].name for file in files),
        graphs=graphs,
    )


def _cells(path: Path, rows: list[_Row], choices: tuple[str, ...]) -> dict[Job, dict[str, _Row]]:
    """Return the rows by job and choice; every job must have every choice once."""
    cells: dict[Job, dict[str, _Row]] = {}
    for row in rows:
        own = cells.setdefault(row.job, {})
        if row.choice in own:
            raise FileFormatError(
                f"{path}, line {row.line}, column choice: a job must have each choice once, "
                f"but {row.choice!r} of {_words(row.job)} is on line {own[row.choice].line} already"
            )
        own[row.choice] = row
    for job, own in cells.items():
        missing = [choice for choice in choices if choice not in own]
        if missing:
            line = next(iter(own.values())).line
            raise FileFormatError(
                f"{path}, line {line}, column choice: every job must have all choices, "
                f"{', '.join(choices)}, but {_words(job)} lacks {', '.join(missing)}"
            )
    return cells


def _rows(path: Path, sets: dict[str, GraphSet]) -> Iterator[_Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header)
            for values in reader:
                if not values:
                    continue
                if len(values) != len(header):
                    raise FileFormatError(
                        f"{path}, line {reader.line_num}: must have {len(header)} fields, as the header, "
                        f"got {len(values)}"
                    )
                cells = dict(zip(header, (value.strip() for value in values), strict=True))
                yield _row(_Line(path=path, number=reader.line_num, cells=cells), sets)
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: must be UTF-8 text ({error})") from None
    except csv.Error as error:
        raise FileFormatError(f"{path}: must be CSV ({error})") from None


def _check_header(path: Path, header: list[str]) -> None:
    for name in REQUIRED:
        if name not in header:
            raise FileFormatError(f"{path}, line 1: column {name} is missing, got {', '.join(header) or 'nothing'}")
    for i, name in enumerate(header):
        if name not in (*REQUIRED, *OPTIONAL):
            raise FileFormatError(f"{path}, line 1: unknown column {name!r}; known: {', '.join(COLUMNS)}")
        if name in header[:i]:
            raise FileFormatError(f"{path}, line 1: column {name} must occur once, got it twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line's cells, and how to refuse them."""

    path: Path
    number: int
    cells: dict[str, str]

    def refuse(self, column: str, rule: str) -> FileFormatError:
        return FileFormatError(
            f"{self.path}, line {self.number}, column {column}: {rule}, got {self.cells.get(column, '')!r}"
        )

    def text(self, column: str) -> str:
        if not self.cells[column]:
            raise self.refuse(column, "must not be empty")
        return self.cells[column]

    def latency(self, column: str) -> float:
        word = self.text(column)
        try:
            value = float(word)
        except ValueError:
            raise self.refuse(column, "must be a number") from None
        if not (math.isfinite(value) and value > 0.0):
            raise self.refuse(column, "must be a finite number above 0")
        return value

    def integers(self, column: str, *, least: int, default: int | None = None) -> tuple[int, ...]:
        """Return the integers of a cell, which may be missing."""
        words = self.cells.get(column, "").split()
        if not words:
            return () if default is None else (default,)
        if not all(word.isascii() and word.isdigit() and int(word) >= least for word in words):
            raise self.refuse(column, f"must hold integers of at least {least}")
        if default is not None and len(words) > 1:
            raise self.refuse(column, "must be one integer")
        return tuple(int(word) for word in words)


def _row(line: _Line, sets: dict[str, GraphSet]) -> _Row:
    file = line.text("graph_file")
    if file not in sets:
        sets[file] = _load_set(line, file)
    graphs = sets[file]
    ids = line.integers("graph_ids", least=0)
    if ids and max(ids) >= len(graphs):
        raise line.refuse("graph_ids", f"must lie in 0..{len(graphs) - 1}, the file's graphs")
    line.integers("repeats", least=1)
    return _Row(
        line=line.number,
        job=Job(
            file,
            ids,
            *line.integers("in_features", least=1, default=graphs.num_features),
            *line.integers("out_features", least=1, default=graphs.num_classes),
        ),
        choice=line.text("choice"),
        microseconds=line.latency("microseconds"),
        again=line.latency("again") if line.cells.get("again") else None,
    )


def _load_set(line: _Line, file: str) -> GraphSet:
    path = line.path.parent / file
    if not path.exists():
        raise line.refuse("graph_file", "must name a graph file that exists")
    try:
        return load_graph_set(path)
    except (FileFormatError, GraphError, OSError) as error:
        raise FileFormatError(f"{line.path}, line {line.number}, column graph_file: {error}") from None


def _words(job: Job) -> str:
    ids = " ".join(map(str, job.graph_ids[:8])) + (" ..." if len(job.graph_ids) > 8 else "")
    return f"{job.graph_file}, graphs {ids or 'all'}, {job.in_features} -> {job.out_features}"
