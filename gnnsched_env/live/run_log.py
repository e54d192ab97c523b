"""The write-ahead log of a live run: JSON lines, one an event, from which the run's whole state follows.

An entry is written (and given to the system) before what it tells is acted upon, so that a scheduler that is killed at
any moment leaves a log from which another goes on. `sync` brings the entries to the disk, which also survives a machine
that fails: results are only handed out after it. A line that was cut off by the end of the writer is dropped.
docs/reference/live_runs.md lists the entries and their fields.
"""

import json
import os
from pathlib import Path
from typing import Any, Self

from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.common.files import file_path

Entry = dict[str, Any]

# The fields of each kind of entry, beside "event" and "at" (nanoseconds of the run's clock).
FIELDS: dict[str, tuple[str, ...]] = {
    "session": ("wall_ns", "pid"),
    "arrive": ("job", "class", "arrival", "due", "weight", "predicting_us"),
    "wait": ("seen", "waiting", "deciding_us"),
    "choose": ("job", "choice", "attempt", "seen", "waiting", "deciding_us"),
    "done": ("job", "choice", "attempt", "sent", "started", "finished"),
    "abort": ("job", "choice", "attempt", "cause", "why"),
    "give_up": ("job", "choice", "attempt", "cause", "why"),
    "down": ("device", "why"),
    "up": ("device",),
    "gone": ("device", "why"),
    "close": (),
}


class RunLog:
    """An open log; entries are appended."""

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else path.open("ab", buffering=0)
        self._dirty = False

    def write(self, event: str, at: int, **fields: Any) -> Entry:
        """Append an entry and return it; it survives the end of this process."""
        entry = {"event": event, "at": at, **fields}
        if self._file is not None:
            self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
            self._dirty = True
        return entry

    def sync(self) -> None:
        """Bring what was written to the disk."""
        if self._file is not None and self._dirty:
            os.fsync(self._file.fileno())
            self._dirty = False

    def close(self) -> None:
        """Sync and close; closing again does nothing."""
        if self._file is not None and not self._file.closed:
            self.sync()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def read_log(path: Path, *, mend: bool = False) -> list[Entry]:
    """Return the entries of a log; a last line that was cut off is left out, and with `mend` cut from the file.

    Raise FileFormatError, naming the line, where another line is no entry.
    """
    try:
        data = file_path(path).read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    whole = data.rfind(b"\n") + 1
    if mend and whole < len(data):
        os.truncate(path, whole)
    return [_entry(path, number, line) for number, line in enumerate(data[:whole].splitlines(), start=1)]


def _entry(path: Path, number: int, line: bytes) -> Entry:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict) or entry.get("event") not in FIELDS or type(entry.get("at")) is not int:
        raise FileFormatError(f"{path}, line {number}: must be an entry with an event and its time, got {line[:80]!r}")
    if missing := [name for name in FIELDS[entry["event"]] if name not in entry]:
        raise FileFormatError(f"{path}, line {number}: an entry {entry['event']!r} must have {', '.join(missing)}")
    return entry
