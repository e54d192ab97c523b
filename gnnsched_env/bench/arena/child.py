"""Runs a policy's file in a process of its own: observations come in, actions go out, and nothing else is let through.

    python child.py POLICY.py MEBIBYTES

It imports nothing of this project, whose simulator runs in the parent. The parent writes messages to stdin and reads
answers from stdout (`Child` in `file_policy.py` says how they look). What the policy prints is dropped.
"""

import builtins
import contextlib
import json
import operator
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, BinaryIO

import numpy as np

READY, ACTION, FAILED = b"R", b"A", b"F"
LONGEST = 1_000  # characters of a failure's text
CONSTANTS = {
    "WRITES": os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND,
    "LIBRARIES": tuple(path + os.sep for path in sys.path if path and Path(path).is_dir()),
    "REFUSED": (
        *("_posixsubprocess", "code.", "cpython.", "ctypes", "fcntl.", "ftplib.", "gc.", "http.", "imaplib.", "mmap."),
        *("msvcrt.", "object.__getattr__", "os.", "pty.", "resource."),
        *("setopencodehook", "shutil.", "signal.", "smtplib.", "socket.", "sqlite3.", "subprocess.", "sys._current"),
        *("sys.setprofile", "sys.settrace", "sys.unraisablehook", "syslog.", "telnetlib.", "tempfile.", "urllib."),
        *("webbrowser.", "winreg."),
    ),
    "LISTINGS": ("os.listdir", "os.scandir"),
    "NEVER_IMPORTED": ("_ctypes", "_posixsubprocess", "ctypes", "gnnsched", "multiprocessing", "subprocess"),
}


def guard(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise PermissionError for what reaches beyond the process: files, processes, sockets, memory, the interpreter.

    Python's libraries may be read and imported, this project's own left out. It is called with names of its own
    (`confine`), so that patching modules does not reach it.
    """
    if event == "import":
        if arguments[0].startswith(NEVER_IMPORTED):  # type: ignore[name-defined]  # noqa: F821
            raise PermissionError(f"importing {arguments[0]} is not allowed")
        return
    if event == "open" or event in LISTINGS:  # type: ignore[name-defined]  # noqa: F821
        path = arguments[0]
        if type(path) is int or (event != "open" and path is None):
            raise PermissionError(f"{event} of {path} is not allowed")
        writes = event == "open" and arguments[2] & WRITES  # type: ignore[name-defined]  # noqa: F821
        inside = type(path) is str and path.startswith(LIBRARIES)  # type: ignore[name-defined]  # noqa: F821
        if writes or not inside or ".." in path or "gnnsched" in path:
            raise PermissionError(f"{event} of {path} is not allowed")
    elif event.startswith(REFUSED):  # type: ignore[name-defined]  # noqa: F821
        raise PermissionError(f"{event} is not allowed")


def confine(mebibytes: int) -> None:
    """Limit memory and file sizes, where the system can, and refuse from now on what `guard` refuses."""
    with contextlib.suppress(ImportError):
        import resource  # noqa: TID251

        for kind, most in (
            (resource.RLIMIT_AS, mebibytes << 20),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        ):
            with contextlib.suppress(ValueError, OSError):  # already lower
                resource.setrlimit(kind, (most, most))
    for name in ("_posixsubprocess", "resource"):
        sys.modules.pop(name, None)
    names = {**CONSTANTS, "__builtins__": dict(vars(builtins))}
    sys.addaudithook(FunctionType(guard.__code__, names))


def load(source: bytes, name: str) -> Callable[[dict[str, Any], Any], Any]:
    """Return the function `choose` that a policy's file defines."""
    space: dict[str, Any] = {"__name__": "policy", "__file__": name}
    exec(compile(source, name, "exec"), space)
    choose = space.get("choose")
    if not callable(choose):
        raise Lacking("must define a function choose(observation, mask)")
    return choose  # type: ignore[no-any-return]


class Lacking(Exception):
    """The policy's file lacks something."""


def told(error: BaseException) -> bytes:
    """Return what is told of an error: its type, message and line."""
    if isinstance(error, MemoryError):
        return b"used more memory than is allowed"
    if isinstance(error, Lacking):
        return str(error).encode()
    line, place = 0, error.__traceback__
    while place is not None:
        line, place = place.tb_lineno, place.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno or 0
    try:
        text = f"raised {type(error).__name__}: {error} (line {line})"
    except Exception:  # of an error that cannot be shown
        text = f"raised {type(error).__name__} (line {line})"
    return " ".join(text.split())[:LONGEST].encode(errors="replace")


def read(inbox: BinaryIO) -> dict[str, np.ndarray] | None:
    """Return the arrays of the next message; None where the parent has closed the pipe."""
    size = inbox.read(4)
    if len(size) < 4:
        return None
    heads = json.loads(inbox.read(struct.unpack("<I", size)[0]))
    arrays = {}
    for name, kind, shape in heads:
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(inbox.read(count * np.dtype(kind).itemsize), kind).reshape(shape).copy()
    return arrays


def main() -> None:
    """Load the policy, then answer each observation with its action until the parent closes the pipe."""
    name, mebibytes = sys.argv[1], int(sys.argv[2])
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)

    def answer(kind: bytes, content: bytes) -> None:
        os.write(outbox, kind + struct.pack("<I", len(content)) + content)

    try:
        source = Path(name).read_bytes()
        confine(mebibytes)
        choose = load(source, Path(name).name)
    except BaseException as error:
        answer(FAILED, told(error))
        return
    answer(READY, b"")
    while (arrays := read(inbox)) is not None:
        mask = arrays.pop("mask")
        try:
            action = choose(arrays, mask)
            chosen = action if isinstance(action, int) else operator.index(action)
            answer(ACTION, struct.pack("<q", chosen))
        except (TypeError, struct.error) as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                answer(FAILED, told(error))
            else:
                answer(FAILED, f"must return an integer, the number of an action, got {action!r:.100}".encode())
            return
        except BaseException as error:
            answer(FAILED, told(error))
            return


if __name__ == "__main__":
    main()
