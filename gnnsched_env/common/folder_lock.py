"""A lock on a folder that one process writes: a second writer is refused, and no dead process leaves a lock behind."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from gnnsched_env.common.errors import ConfigError

try:
    import fcntl  # noqa: TID251
except ImportError:
    fcntl = None  # type: ignore[assignment]

try:
    import msvcrt
except ImportError:
    msvcrt = None  # type: ignore[assignment]

LOCK = ".lock"
"""Name of the file in a folder that its writer holds locked, with the process's number, and deletes at the end."""

_LOCKED = 1 << 30  # Windows locks bytes, which nobody else can read then: one far behind the number


@contextmanager
def writing_folder(folder: Path | None) -> Iterator[None]:
    """Hold a folder, which is made at need, for the writer in this block.

    Raise ConfigError if another writer holds it, in this process or in another one. The system releases the lock when
    the process ends, however it ends. On file systems without locks the folder is not held. None is no folder.
    """
    if folder is None:
        yield
        return
    with _locked(folder) as file:
        with suppress(OSError):
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        try:
            yield
        finally:
            with suppress(OSError):  # Windows deletes no open files
                (folder / LOCK).unlink()


def _locked(folder: Path) -> IO[str]:
    """Return the folder's lock file, open and locked until it is closed."""
    path = folder / LOCK
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"folder {folder}: cannot be written: {error.strerror or error}") from None
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):
            with file:
                file.seek(0)
                number = file.read().strip()
            holder = f"process {number}" if number.isdecimal() else "another process"
            raise ConfigError(f"folder {folder}: is being written by {holder}; name another folder, or wait") from None
        except OSError:
            return file  # the file system has no locks
        with suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # its writer ended, and deleted it, between opening and locking


def _lock(file: IO[str]) -> None:
    """Lock an open file until it is closed; raise BlockingIOError or PermissionError if it is locked already."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif msvcrt is not None:
        file.seek(_LOCKED)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
