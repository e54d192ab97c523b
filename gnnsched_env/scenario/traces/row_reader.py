"""The rows of a trace as arrays, streamed in blocks of lines."""

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.scenario.traces.job_kinds import KeyIndex
from gnnsched_env.scenario.traces.trace_format import (
    DEADLINE,
    NO_DEADLINE,
    TIME,
    WEIGHT,
    FloatArray,
    Problem,
    TraceColumns,
    TraceProblem,
    parse_header,
    refuse,
    shown,
    split_columns,
    split_lines,
)

BLOCK_BYTES = 1 << 17  # read at once; a line may not be much longer
PIECE = 64  # lines of a block that breaks a rule which are tried together, before each is tried by itself
MOST_HINTS = 20  # broken rules for which a mistyped name's likely meaning is looked for
BOM = b"\xef\xbb\xbf"


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
        self.columns: TraceColumns | None = None
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
                if self.columns is None:
                    self._read_header(lines.pop(0))
                if lines:
                    yield from self._pieces(lines)
            if self.columns is None:
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
        self.columns = parse_header(split_lines(1, [data.removeprefix(BOM)])[0])
        self.keys = KeyIndex(self.columns, self._folder, self._classes)
        self._line = 1

    def _pieces(self, lines: list[bytes]) -> Iterator[Rows]:
        """Yield the rows of lines: together, or where a rule is broken in pieces, down to the line to report."""
        latest = self._latest
        try:
            rows = self._rows(lines)
        except TraceProblem as error:
            if len(lines) == 1:
                self._tell(error.problem)
                self._line += 1
                return
        else:
            self._line += len(lines)
            yield rows
            return
        self._latest = latest
        size = PIECE if len(lines) > PIECE else 1
        for start in range(0, len(lines), size):
            yield from self._pieces(lines[start : start + size])

    def _rows(self, lines: list[bytes]) -> Rows:
        """Return the rows of lines; raise TraceProblem where one breaks a rule: of a single line, the first rule."""
        assert self.columns is not None
        line, count = self._line + 1, len(lines)
        fields = split_columns(line, lines, self.columns)
        given = dict(zip(self.columns.names, fields, strict=True))
        times = TIME.read(line, given["time"])
        earlier = np.concatenate([[self._latest], times[:-1]])
        self._latest = float(times[-1])  # also where another rule is broken
        if (times < earlier).any():
            i = int((times < earlier).argmax())
            rule = f"must not be before that of the line before, {float(earlier[i])!r}, got {shown(given['time'][i])}"
            refuse(line + i, "time", rule)
        return Rows(
            times=times,
            deadlines=DEADLINE.read(line, given["deadline"]) if "deadline" in given else np.full(count, NO_DEADLINE),
            weights=WEIGHT.read(line, given["weight"]) if "weight" in given else np.ones(count),
            keys=self._key_numbers(line, [fields[place] for place in self.columns.key_places]),
        )

    def _key_numbers(self, line: int, fields: list[tuple[str, ...]]) -> NDArray[np.int64]:
        assert self.keys is not None
        known = self.keys.known
        raw: list[Any] = list(fields[0] if len(fields) == 1 else zip(*fields, strict=True))
        numbers = list(map(known.get, raw))
        if None in numbers:
            numbers = [known[key] if key in known else self.keys.add(line + i, key) for i, key in enumerate(raw)]
        return np.array(numbers, np.int64)
