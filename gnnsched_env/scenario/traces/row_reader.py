"""The rows of a trace as arrays, streamed in blocks: column by column, line by line only where a rule is broken."""

import csv
import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.scenario.options import LEAST_WEIGHT, MOST_WEIGHT
from gnnsched_env.scenario.traces.job_kinds import KeyIndex
from gnnsched_env.scenario.traces.trace_format import (
    LONGEST_S,
    NO_DEADLINE,
    Layout,
    Problem,
    TraceProblem,
    parse_deadline,
    parse_header,
    parse_time,
    parse_weight,
    refuse,
    shown,
    split_line,
)

BLOCK_BYTES = 1 << 17  # read at once; a line may not be much longer
MOST_HINTS = 20  # broken rules for which a mistyped name's likely meaning is looked for
BOM = b"\xef\xbb\xbf"

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows: seconds float64 [n] (deadlines after the arrival, infinite where none), and key numbers int64 [n]."""

    times: FloatArray
    deadlines: FloatArray
    weights: FloatArray
    keys: NDArray[np.int64]


class RowReader:
    """Reads a trace once, from an open file, in bounded memory.

    Broken rules go to `report`, at most one a line, and the line is left out; one that leaves nothing to read ends the
    reading. After the last block `digest` (SHA-256, hexadecimal) is the file's, `keys` holds the kinds of job and
    `problems` the number of broken rules. `folder`, `classes`: see KeyIndex.
    """

    def __init__(
        self,
        file: BinaryIO,
        folder: Path | None,
        *,
        report: Callable[[Problem], None],
        classes: Collection[str] | None = None,
    ) -> None:
        self._file = file
        self._folder = folder
        self._report = report
        self._classes = classes
        self._state = hashlib.sha256()
        self._line = 0  # lines read so far
        self._latest = 0.0  # time of the line before, seconds
        self.problems = 0
        self.layout: Layout | None = None
        self.keys: KeyIndex | None = None

    @property
    def digest(self) -> str:
        """Return the hash of what has been read."""
        return self._state.hexdigest()

    def blocks(self) -> Iterator[Rows]:
        """Yield the rows, in order."""
        try:
            for data in self._whole_lines():
                lines = data.split(b"\n")
                if not lines[-1]:
                    lines.pop()
                if self.layout is None:
                    self._read_header(lines.pop(0))
                rows = self._columns(lines)
                yield self._line_by_line(lines) if rows is None else rows
                self._line += len(lines)
            if self.layout is None:
                refuse(1, None, "must hold a header row (time,class,... or time,graph,model,...), got an empty file")
        except TraceProblem as error:
            self._tell(error.problem)

    def _tell(self, problem: Problem) -> None:
        self.problems += 1
        if self.problems >= MOST_HINTS and self.keys is not None:
            self.keys.hints = False
        self._report(problem)

    def _whole_lines(self) -> Iterator[bytes]:
        rest = b""
        while data := self._file.read(BLOCK_BYTES):
            self._state.update(data)
            data = rest + data
            end = data.rfind(b"\n") + 1
            rest = data[end:]
            if end:
                yield data[:end]
            if len(rest) > BLOCK_BYTES:
                refuse(self._line + 1, None, f"must be shorter than {BLOCK_BYTES:,} bytes, got more")
        if rest:
            yield rest

    def _read_header(self, data: bytes) -> None:
        self.layout = parse_header(split_line(1, _decoded(1, data.removeprefix(BOM))))
        self.keys = KeyIndex(self.layout, self._folder, self._classes)
        self._line = 1

    def _columns(self, lines: list[bytes]) -> Rows | None:
        """Return the rows of many lines, read column by column; None where some rule is broken."""
        layout = self.layout
        assert layout is not None
        if not lines:
            return _rows([], [], [], [])
        try:
            fields = list(csv.reader(b"\n".join(lines).decode().split("\n"), strict=True))
            if len(fields) != len(lines) or set(map(len, fields)) != {len(layout.columns)}:
                return None
            columns = list(zip(*fields, strict=True))
            times = _numbers(columns, layout.place("time"), len(lines), -1.0)
            deadlines = _numbers(columns, layout.place("deadline"), len(lines), NO_DEADLINE)
            weights = _numbers(columns, layout.place("weight"), len(lines), 1.0)
            if not _sound(self._latest, times, deadlines, weights):
                return None
            keys = self._key_numbers([columns[place] for place in layout.key_places])
        except (ValueError, csv.Error, TraceProblem):
            return None
        self._latest = float(times[-1])
        return _rows(times, deadlines, weights, keys)

    def _key_numbers(self, columns: list[tuple[str, ...]]) -> list[int]:
        assert self.keys is not None
        raw: list[Any] = list(columns[0] if len(columns) == 1 else zip(*columns, strict=True))
        numbers = list(map(self.keys.known.get, raw))
        if None not in numbers:
            return numbers  # type: ignore[return-value]
        return [
            self.keys.known[key] if key in self.keys.known else self.keys.add(self._line + 1 + i, key)
            for i, key in enumerate(raw)
        ]

    def _line_by_line(self, lines: list[bytes]) -> Rows:
        """Return the rows of the lines that keep every rule, and report the others."""
        found: list[tuple[float, float, float, int]] = []
        for number, data in enumerate(lines, start=self._line + 1):
            try:
                found.append(self._row(number, data))
            except TraceProblem as error:
                self._tell(error.problem)
        return _rows(*zip(*found, strict=True)) if found else _rows([], [], [], [])

    def _row(self, line: int, data: bytes) -> tuple[float, float, float, int]:
        """Return (time, deadline, weight, key) of one line; raise TraceProblem for the first rule that it breaks."""
        assert self.layout is not None and self.keys is not None
        columns = self.layout.columns
        fields = split_line(line, _decoded(line, data))
        if len(fields) != len(columns):
            got = f"{len(fields)}" if fields else "an empty line"
            refuse(line, None, f"must have {len(columns)} fields ({','.join(columns)}), got {got}")
        given = dict(zip(columns, fields, strict=True))
        time = parse_time(line, given["time"])
        earlier, self._latest = self._latest, time
        if time < earlier:
            refuse(line, "time", f"must not be before that of the line before, {earlier!r}, got {shown(given['time'])}")
        deadline, weight = parse_deadline(line, given.get("deadline", "")), parse_weight(line, given.get("weight", ""))
        own = tuple(fields[place] for place in self.layout.key_places)
        raw = own[0] if len(own) == 1 else own
        number = self.keys.known.get(raw)
        return time, deadline, weight, self.keys.add(line, raw) if number is None else number


def _numbers(columns: list[tuple[str, ...]], place: int | None, rows: int, missing: float) -> FloatArray:
    """Return a column's numbers, `missing` for empty fields; ValueError for what a line may not hold."""
    if place is None:
        return np.full(rows, missing)
    column = columns[place]
    joined = "".join(column)
    if "_" in joined or not joined.isascii():  # Python's own numbers may hold both
        raise ValueError
    if "" in column:
        values = [float(field) if field else np.nan for field in column]
        numbers = np.array(values)
        empty = np.array([not field for field in column])
    else:
        numbers = np.fromiter(map(float, column), np.float64, rows)
        empty = np.zeros(rows, np.bool_)
    if not np.isfinite(numbers[~empty]).all():
        raise ValueError
    numbers[empty] = missing
    return numbers


def _sound(latest: float, times: FloatArray, deadlines: FloatArray, weights: FloatArray) -> bool:
    """Say whether numbers that `_numbers` lets pass keep the rules; `latest`: the time of the line before, seconds."""
    if times[0] < latest or (times[1:] < times[:-1]).any() or times[-1] > LONGEST_S:
        return False
    allowed = (deadlines >= 0) & ((deadlines <= LONGEST_S) | (deadlines == NO_DEADLINE))
    return bool(allowed.all() and ((weights >= LEAST_WEIGHT) & (weights <= MOST_WEIGHT)).all())


def _rows(times: Any, deadlines: Any, weights: Any, keys: Any) -> Rows:
    return Rows(
        np.asarray(times, np.float64),
        np.asarray(deadlines, np.float64),
        np.asarray(weights, np.float64),
        np.asarray(keys, np.int64),
    )


def _decoded(line: int, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        refuse(line, None, f"must be UTF-8, got {data[error.start : error.start + 8]!r} at byte {error.start + 1}")
