"""Measured latencies from a CSV file: read, checked line by line, and joined with the graphs that they belong to.

A file has a header and one row per (job, choice); a job is a graph, or a batch of graphs of a set, and the widths of
one GCN layer. Columns, in any order: `graph_file` (relative to the CSV's folder, or absolute), `choice`,
`microseconds`, and optionally `graph_ids` (numbers from 0, separated by blanks; empty: the whole file), `in_features`
and `out_features` (empty: the file's F and G), `again` (microseconds of a second measurement) and `repeats`.
"""

import csv
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError, FileFormatError, GraphError
from gnnsched_env.common.files import file_path
from gnnsched_env.cycles.domain import MOST_FEATURES
from gnnsched_env.graphs import GraphSet, load_graph_set
from gnnsched_env.hardware import make_model
from gnnsched_env.workload import JobClasses

FloatArray = NDArray[np.float64]

SYNTHETIC_PREFIX = "synthetic_"  # how the names of synthetic graph sets begin
REQUIRED = ("graph_file", "choice", "microseconds")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|nan)", re.ASCII)
MOST_DIGITS = 18  # most digits of an integer, so that it fits int64
COLUMNS = ("graph_file", "graph_ids", "in_features", "out_features", "choice", "microseconds", "again", "repeats")


@dataclass(frozen=True, slots=True, order=True)
class MeasuredJob:
    """The job of a measurement: graphs of a file under one layer of the given widths.

    Equal jobs are equal values: `graph_file` is the shortest path from the CSV's folder, symbolic links followed, and
    `graph_ids` are all given, in rising order.
    """

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
    jobs: tuple[MeasuredJob, ...]
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
    job: MeasuredJob
    choice: str
    microseconds: float
    again: float | None
    cells: Mapping[str, str]


def load_measurements(path: str | Path) -> Measurements:
    """Read and check a CSV file of measured latencies (columns: see the module).

    Raises `FileFormatError`, naming line (the header being 1) and column, for a missing, unknown or repeated column,
    a latency that is not a number above 0, an unknown graph file, one that holds the same graphs as another, ids or
    widths out of range, ids given twice, a row given twice, and a job that lacks a choice which others have.
    """
    files = _Files(folder=Path(path).parent)
    cells = _cells(Path(path), files)
    choices = tuple(next(iter(cells.values())))
    order = [[cells[job][choice] for choice in choices] for job in cells]
    again = [[row.again for row in of_job] for of_job in order]
    complete = all(value is not None for of_job in again for value in of_job)
    return Measurements(
        choices=choices,
        jobs=tuple(cells),
        microseconds=np.array([[row.microseconds for row in of_job] for of_job in order]),
        again=np.array(again, np.float64) if complete else None,
        classes=_classes(tuple(cells), files.sets),
    )


def measured_cells(path: str | Path) -> dict[MeasuredJob, dict[str, Mapping[str, str]]]:
    """Read and check a CSV file as `load_measurements` does; return its rows as they stand, by job and choice."""
    cells = _cells(Path(path), _Files(folder=Path(path).parent))
    return {job: {choice: row.cells for choice, row in own.items()} for job, own in cells.items()}


def relative_file(path: Path, folder: Path) -> str:
    """Return a graph file's path from the CSV's folder, in a canonical form that every system reads.

    It is absolute where no path leads from one to the other (on Windows, between drives).
    """
    path, folder = path.resolve(), folder.resolve()
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.as_posix()


def _classes(jobs: tuple[MeasuredJob, ...], sets: Mapping[str, GraphSet]) -> JobClasses:
    files = tuple(dict.fromkeys(job.graph_file for job in jobs))
    graphs = tuple(sets[job.graph_file].batch(job.graph_ids) for job in jobs)
    return JobClasses(
        names=tuple(f"{sets[job.graph_file].name} x{len(job.graph_ids)} #{i}" for i, job in enumerate(jobs)),
        models=tuple(make_model("gcn", job.in_features, job.out_features, ()) for job in jobs),
        degrees=tuple(graph.row_degrees(self_loops=True) for graph in graphs),
        weights=np.full(len(jobs), 1.0 / len(jobs)),
        groups=np.array([files.index(job.graph_file) for job in jobs], np.int64),
        group_names=_distinct_names({file: sets[file].name for file in files}),
        graphs=graphs,
    )


def _distinct_names(names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of files; if several have the same name, add their path."""
    taken = list(names.values())
    return tuple(name if taken.count(name) == 1 else f"{name} ({file})" for file, name in names.items())


def _cells(path: Path, files: "_Files") -> dict[MeasuredJob, dict[str, _Row]]:
    """Return the rows by job and choice, every job having every choice once, in the order of their first rows."""
    rows = list(_rows(path, files))
    if not rows:
        raise FileFormatError(f"{path}: must hold at least one measurement, got a header only")
    choices = tuple(dict.fromkeys(row.choice for row in rows))
    cells: dict[MeasuredJob, dict[str, _Row]] = {}
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
    return {job: {choice: own[choice] for choice in choices} for job, own in cells.items()}


def _rows(path: Path, files: "_Files") -> Iterator[_Row]:
    try:
        with file_path(path).open(encoding="utf-8-sig", newline="") as file:
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
                yield _row(_Line(path=path, number=reader.line_num, cells=cells), files)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: must be UTF-8 text ({error})") from None
    except csv.Error as error:
        raise FileFormatError(f"{path}: must be CSV ({error})") from None


def _check_header(path: Path, header: list[str]) -> None:
    for name in REQUIRED:
        if name not in header:
            raise FileFormatError(f"{path}, line 1: column {name} is missing, got {', '.join(header) or 'nothing'}")
    for i, name in enumerate(header):
        if name not in COLUMNS:
            raise FileFormatError(f"{path}, line 1: unknown column {name!r}; known: {', '.join(COLUMNS)}")
        if name in header[:i]:
            raise FileFormatError(f"{path}, line 1: column {name} must occur once, got it twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line's cells, with methods that parse them and raise FileFormatError for invalid ones."""

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
        if not NUMBER.fullmatch(word):
            raise self.refuse(column, "must be a number")
        value = float(word)
        if not (math.isfinite(value) and value > 0.0):
            raise self.refuse(column, "must be a finite number above 0")
        return value

    def integers(self, column: str, *, least: int) -> tuple[int, ...]:
        """Return the integers of a cell, which may be missing."""
        words = self.cells.get(column, "").split()
        digits = all(word.isascii() and word.isdigit() and len(word) <= MOST_DIGITS for word in words)
        if not digits or not all(int(word) >= least for word in words):
            raise self.refuse(column, f"must hold integers of at least {least}, and at most {MOST_DIGITS} digits")
        return tuple(int(word) for word in words)

    def width(self, column: str, default: int) -> int:
        """Return the width in a cell, or the default if it is empty; it must be within the cost model's bounds."""
        width, *more = self.integers(column, least=1) or (default,)
        if more:
            raise self.refuse(column, "must be one integer")
        if width > MOST_FEATURES:
            raise self.refuse(column, f"must be at most 2^20, but the width is {width:,}")
        return width

    def graph_ids(self, graphs: GraphSet) -> tuple[int, ...]:
        """Return the ids of a cell in rising order, or all ids of the file if it is empty."""
        ids = sorted(self.integers("graph_ids", least=0)) or range(len(graphs))
        if ids[-1] >= len(graphs):
            raise self.refuse("graph_ids", f"must lie in 0..{len(graphs) - 1}, the file's graphs")
        if len(set(ids)) < len(ids):
            raise self.refuse("graph_ids", "must name each graph once")
        return tuple(ids)


@dataclass(slots=True, kw_only=True)
class _Files:
    """The graph files of a CSV in `folder`: canonical paths by their spelling, and graph sets by canonical path."""

    folder: Path
    paths: dict[str, str] = field(default_factory=dict)
    sets: dict[str, GraphSet] = field(default_factory=dict)
    _origins: dict[str, str] = field(default_factory=dict)

    def path_of(self, line: _Line) -> str:
        """Return the path of a line's graph file; the file is read the first time."""
        spelt = line.text("graph_file")
        if spelt not in self.paths:
            self.paths[spelt] = relative_file(self.folder / spelt, self.folder)
        file = self.paths[spelt]
        if file not in self.sets:
            graphs = _load_set(line, spelt)
            if (earlier := self._origins.setdefault(graphs.digest(), file)) != file:
                raise line.refuse("graph_file", f"files must differ, but this one holds the same graphs as {earlier}")
            self.sets[file] = graphs
        return file


def _row(line: _Line, files: _Files) -> _Row:
    file = files.path_of(line)
    graphs = files.sets[file]
    line.integers("repeats", least=1)
    return _Row(
        line=line.number,
        job=MeasuredJob(
            file,
            line.graph_ids(graphs),
            line.width("in_features", graphs.num_features),
            line.width("out_features", graphs.num_classes),
        ),
        choice=line.text("choice"),
        microseconds=line.latency("microseconds"),
        again=line.latency("again") if line.cells.get("again") else None,
        cells=line.cells,
    )


def _load_set(line: _Line, file: str) -> GraphSet:
    path = line.path.parent / file
    if not path.exists():
        raise line.refuse("graph_file", "must name a graph file that exists")
    try:
        return load_graph_set(path)
    except (ConfigError, FileFormatError, GraphError, OSError) as error:
        raise FileFormatError(f"{line.path}, line {line.number}, column graph_file: {error}") from None


def _words(job: MeasuredJob) -> str:
    ids = " ".join(map(str, job.graph_ids[:8])) + (" ..." if len(job.graph_ids) > 8 else "")
    return f"{job.graph_file}, graphs {ids}, {job.in_features} -> {job.out_features}"
