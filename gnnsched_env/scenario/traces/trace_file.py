"""`Trace`: a file of jobs and when they come, checked once and then streamed in cycles as often as wanted."""

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import file_path
from gnnsched_env.hardware.fleet import MOST_CLOCK_HZ
from gnnsched_env.scenario.traces.row_reader import RowReader, Rows
from gnnsched_env.scenario.traces.trace_format import NO_DEADLINE, Kind, Problem, TraceKey
from gnnsched_env.sim.feed import LATEST_READ
from gnnsched_env.sim.records import NEVER

TRACE_JOB = np.dtype(
    [
        ("arrival", "i8"),  # cycles since the start
        ("due", "i8"),  # cycles since the start; NO_DUE where there is no deadline
        ("weight", "f8"),
        ("job_class", "i4"),  # index into the trace's keys
    ],
    align=True,
)
NO_DUE = NEVER
CHUNK = 65_536
SHOWN_PROBLEMS = 20

TraceJobs = NDArray[Any]  # of dtype TRACE_JOB


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """A checked trace; the jobs themselves stay in the file.

    `keys`: the kinds of job, in order of appearance. `counts` int64 [keys]: jobs of each. `first_lines` int64 [keys]:
    where each came first. Times are seconds since the start; `last_due_s`: when the last deadline is over, or the last
    job comes. `deadlines`: jobs that have one. `digest` (SHA-256, hexadecimal), `size` (bytes) and `mtime_ns` tell
    whether the file has changed.
    """

    path: Path
    kind: Kind
    num_jobs: int
    first_time_s: float
    last_time_s: float
    last_due_s: float
    deadlines: int
    keys: tuple[TraceKey, ...]
    counts: NDArray[np.int64]
    first_lines: NDArray[np.int64]
    digest: str
    size: int
    mtime_ns: int

    @property
    def rate_hz(self) -> float | None:
        """Return jobs a second between the first and the last; None where they come together."""
        span = self.last_time_s - self.first_time_s
        return (self.num_jobs - 1) / span if span > 0 else None

    def chunks(self, clock_hz: int, size: int = CHUNK) -> Iterator[TraceJobs]:
        """Return the jobs as records of TRACE_JOB, `size` at a time (the last chunk may be shorter), read anew.

        Seconds become cycles of the clock, to the nearest. Raise FileFormatError where the file has changed since it
        was checked; jobs handed out before the change was seen are then void.
        """
        clock_hz = Integer(1, MOST_CLOCK_HZ).check("trace", "clock_hz", clock_hz)
        size = Integer(1).check("trace", "size", size)
        if self.last_due_s * clock_hz >= LATEST_READ:
            raise ConfigError(
                f"trace {self.path}: times must stay below 2^61 cycles, but {self.last_due_s:g} s "
                f"at {clock_hz} Hz are {self.last_due_s * clock_hz:.3g}"
            )
        return self._chunks(clock_hz, size)

    def _chunks(self, clock_hz: int, size: int) -> Iterator[TraceJobs]:
        left = self.num_jobs
        chunk, filled = np.empty(min(size, left), TRACE_JOB), 0
        for rows in self._rows():
            taken = 0
            while taken < len(rows.times):
                part = slice(taken, taken + min(len(chunk) - filled, len(rows.times) - taken))
                count = part.stop - part.start
                _fill(chunk[filled : filled + count], rows, part, clock_hz)
                taken, filled = part.stop, filled + count
                if filled == len(chunk):
                    left -= filled
                    yield chunk
                    chunk, filled = np.empty(min(size, left), TRACE_JOB), 0

    def _rows(self) -> Iterator[Rows]:
        """Yield the rows, each block once the next is known to be the same file's; FileFormatError where it is not."""
        jobs, held = 0, None
        try:
            with file_path(self.path).open("rb") as file:
                reader = RowReader(file, None, report=self._changed)
                for rows in reader.blocks():
                    jobs += len(rows.times)
                    kinds = len(reader.keys.keys) if reader.keys is not None else 0
                    if kinds > len(self.keys) or jobs > self.num_jobs or _state(file) != (self.size, self.mtime_ns):
                        self._changed()
                    if held is not None:
                        yield held
                    held = rows
        except OSError as error:
            raise FileFormatError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        if held is None or reader.digest != self.digest:
            self._changed()
        else:
            yield held

    def _changed(self, problem: Problem | None = None) -> None:
        raise FileFormatError(f"{self.path}: has changed since it was checked{f' ({problem})' if problem else ''}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceReport:
    """Result of a check: the trace, or None and the first `problems` of `problem_count`, at most one for each line."""

    trace: Trace | None
    problems: tuple[Problem, ...]
    problem_count: int


def read_trace(path: str | Path, *, classes: Collection[str] | None = None) -> Trace:
    """Check a trace in one pass, in bounded memory, and return it; FileFormatError names the first broken rule.

    `classes`: the names that the column "class" may hold (any if None). The format: docs/reference/traces.md.
    """

    def report(problem: Problem) -> None:
        raise FileFormatError(f"{path}: {problem}")

    trace = _read(Path(path), report, classes)
    assert trace is not None
    return trace


def inspect_trace(
    path: str | Path, *, classes: Collection[str] | None = None, most: int = SHOWN_PROBLEMS
) -> TraceReport:
    """Check a trace to its end and report the trace or its problems; raise FileFormatError if it cannot be read."""
    most = Integer(0).check("trace", "most", most)
    problems: list[Problem] = []
    count = 0

    def report(problem: Problem) -> None:
        nonlocal count
        count += 1
        if len(problems) < most:
            problems.append(problem)

    trace = _read(Path(path), report, classes)
    return TraceReport(trace=trace, problems=tuple(problems), problem_count=count)


def _read(path: Path, report: Callable[[Problem], None], classes: Collection[str] | None) -> Trace | None:
    """Return the trace, None where a rule is broken; every broken rule is reported."""
    sums = _Sums()
    try:
        with file_path(path).open("rb") as file:
            size, changed = _state(file)
            reader = RowReader(file, path.parent, report=report, classes=classes)
            for rows in reader.blocks():
                sums.add(rows)
            if _state(file) != (size, changed):
                raise FileFormatError(f"{path}: changed while it was checked")
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    if reader.problems:
        return None
    keys = reader.keys
    if keys is None or sums.jobs == 0:
        report(Problem(1, None, "must be followed by at least one job, got none"))
        return None
    return Trace(
        path=path,
        kind="class" if reader.columns is None else reader.columns.kind,
        num_jobs=sums.jobs,
        first_time_s=sums.first_time,
        last_time_s=sums.last_time,
        last_due_s=sums.last_due,
        deadlines=sums.deadlines,
        keys=tuple(keys.keys),
        counts=sums.counts,
        first_lines=np.array(keys.first_lines, np.int64),
        digest=reader.digest,
        size=size,
        mtime_ns=changed,
    )


class _Sums:
    """Sums over the rows read so far: their number, first and last times, deadlines and counts of each key."""

    def __init__(self) -> None:
        self.jobs = 0
        self.deadlines = 0
        self.first_time = self.last_time = self.last_due = 0.0
        self.counts = np.zeros(0, np.int64)

    def add(self, rows: Rows) -> None:
        """Add a block, in order."""
        if not len(rows.times):
            return
        if self.jobs == 0:
            self.first_time = float(rows.times[0])
        self.jobs += len(rows.times)
        self.last_time = float(rows.times[-1])
        bounded = rows.deadlines != NO_DEADLINE
        self.deadlines += int(bounded.sum())
        due = rows.times + np.where(bounded, rows.deadlines, 0.0)
        self.last_due = max(self.last_due, float(due.max()))
        counts = np.bincount(rows.keys, minlength=self.counts.size)
        counts[: self.counts.size] += self.counts
        self.counts = counts


def _fill(jobs: TraceJobs, rows: Rows, part: slice, clock_hz: int) -> None:
    """Fill records from a part of some rows, seconds turned into cycles."""
    deadlines = rows.deadlines[part]
    bounded = deadlines != NO_DEADLINE
    arrivals = np.rint(rows.times[part] * clock_hz).astype(np.int64)
    jobs["arrival"] = arrivals
    allowed = np.rint(np.where(bounded, deadlines, 0.0) * clock_hz).astype(np.int64)
    jobs["due"] = np.where(bounded, arrivals + allowed, NO_DUE)
    jobs["weight"] = rows.weights[part]
    jobs["job_class"] = rows.keys[part]


def _state(file: BinaryIO) -> tuple[int, int]:
    """Return size and time of change of an open file."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
