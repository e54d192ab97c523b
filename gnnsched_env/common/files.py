"""Files written whole or not at all."""

import contextlib
import csv
import errno
import io
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

PARTIALS = ".*.partial"
"""Pattern of the files that a killed write leaves beside its target."""

_NAME = 32  # characters of the target's name in a partial file's, which must not grow too long


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object], *, parents: bool = True) -> None:
    """Let `write` fill a file beside the target, then move it into place.

    A failed or interrupted write leaves the target as it was, and nothing else; a killed one may leave a file of
    pattern PARTIALS. Concurrent writers do not disturb each other: the last one wins. `parents`: make the folders that
    are missing. OSErrors, which name the target, and whatever `write` raises, pass.
    """
    target = Path(path)
    if target.exists() and not target.is_file() and not target.is_dir():
        raise OSError(errno.EINVAL, "Not a regular file", str(target))  # a device would be replaced by a file
    if parents:
        target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name[:_NAME]}.{uuid.uuid4().hex}.partial"
    try:
        with partial.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        if error.filename is None or os.fspath(error.filename) != str(partial):
            raise
        raise OSError(error.errno, error.strerror, str(target)) from None  # the partial file is no business of users
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_rows(path: str | os.PathLike[str], header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file whole, UTF-8, lines ended by a line feed; `rows` are asked for one by one."""

    def write(file: BinaryIO) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        text.flush()
        text.detach()  # the file is the caller's to close

    write_whole(path, write)


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]], *, parents: bool = True) -> None:
    """Write a compressed npz file whole; equal arrays give equal bytes (numpy stamps members with a fixed time)."""
    write_whole(path, lambda file: np.savez_compressed(file, **arrays), parents=parents)  # type: ignore[arg-type]
