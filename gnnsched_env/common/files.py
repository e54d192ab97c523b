"""Atomic writing of files, and readers of npz, JSON and TOML files that raise FileFormatError for any defect."""

import contextlib
import csv
import errno
import io
import json
import os
import sys
import time
import tomllib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Any, BinaryIO
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gnnsched_env.common.errors import FileFormatError, GnnSchedError

Arrays = dict[str, NDArray[Any]]

PARTIALS = ".*.partial"
"""Pattern of the files that a killed write leaves beside its target."""

_NAME = 32  # characters of the target's name in a partial file's, which must not grow too long
# Windows refuses to replace a file while another process reads or replaces it: seconds to wait before it is asked again
_WAITS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if sys.platform == "win32" else ()


def file_path(path: Any, what: str = "a file") -> Path:
    """Return a path as a Path, of a file that may lack.

    Raise FileFormatError unless it is text or a path, without the character NUL, and for a pipe or a device, of which
    reading might wait for ever.
    """
    if not isinstance(path, str | os.PathLike):
        raise FileFormatError(f"{what} must be named by a path, got {path!r}")
    named = Path(path)
    if "\0" in str(named):
        raise FileFormatError(f"{what} must be named by a path without the character NUL, got {str(named)!r}")
    try:
        special = named.exists() and not named.is_file() and not named.is_dir()
    except OSError as error:  # a name that is too long, for example
        raise FileFormatError(f"{named}: cannot be read: {error.strerror or error}") from None
    if special:
        raise FileFormatError(f"{named}: must be a regular file, not a pipe or a device")
    return named


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object], *, parents: bool = True) -> None:
    """Let `write` fill a file beside the target, then move it into place.

    Of a symbolic link, the file that it names is written. A failed or interrupted write leaves the target as it was,
    and nothing else; a killed one may leave a file of pattern PARTIALS. Concurrent writers do not disturb each other:
    the last one wins. `parents`: make the folders that are missing. OSErrors, also those of a full disk, name the
    target unless they name another file; any other error that `write` raises is passed on.
    """
    target = Path(path)
    if target.is_symlink():
        target = target.resolve()  # the link stays, and what it names is written
    if target.exists() and not target.is_file() and not target.is_dir():
        raise OSError(errno.EINVAL, "Not a regular file", str(target))  # else a device would be replaced by a file
    if parents:
        target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name[:_NAME]}.{uuid.uuid4().hex}.partial"
    try:
        with partial.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        _replace(partial, target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(partial)):
            raise
        raise OSError(error.errno, error.strerror, str(target)) from None  # names the target, not the partial file
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _replace(partial: Path, target: Path) -> None:
    """Move a file into the place of another; where the system refuses that for a moment (_WAITS_S), try again."""
    for seconds in _WAITS_S:
        try:
            partial.replace(target)
            return
        except PermissionError:
            time.sleep(seconds)
    partial.replace(target)


def write_rows(path: str | os.PathLike[str], header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file atomically, in UTF-8 with line feeds; `rows` are consumed one by one."""

    def write(file: BinaryIO) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        text.flush()
        text.detach()  # the file is the caller's to close

    write_whole(path, write)


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]], *, parents: bool = True) -> None:
    """Write a compressed npz file atomically; equal arrays give equal bytes (numpy gives members a fixed time)."""
    write_whole(path, lambda file: np.savez_compressed(file, **arrays), parents=parents)  # type: ignore[arg-type]


def read_npz(path: str | os.PathLike[str], source: str = "") -> Arrays:
    """Return all arrays of an npz file, each after its checksum is verified; no code in the file is executed.

    Raise FileFormatError if the file is missing, is no npz archive, or has a member that is pickled, damaged or no
    array; `source` names the file in the message (by default its path).
    """
    source, named = source or str(path), file_path(path)
    arrays: Arrays = {}
    with reading(source, "the archive"), named.open("rb") as file:
        start = file.read(len(_NPY_MAGIC))
        if start == _NPY_MAGIC:
            raise FileFormatError(f"{source}: must be an npz archive, got a single array")
        if not start.startswith(_ZIP_MAGIC):
            raise FileFormatError(f"{source}: not an npz archive")
        with open_zip(file) as archive:
            for info in archive.infolist():
                member = info.filename.removesuffix(".npy")
                if member in arrays:
                    raise FileFormatError(f"{source}: array {member!r} must be there once, got two")
                with reading(source, f"array {member!r}"), archive.open(info) as data:
                    arrays[member] = npy.read_array(data, allow_pickle=False)
                    check_end(data)
    return arrays


def open_zip(file: str | os.PathLike[str] | IO[bytes]) -> ZipFile:
    """Open a zip archive; raise BadZipFile if its directory lacks members, of which a damaged one can hide others."""
    archive = ZipFile(file)
    assert archive.fp is not None
    archive.fp.seek(max(0, archive.fp.seek(0, os.SEEK_END) - _LONGEST_END))
    end = archive.fp.read()
    count = int.from_bytes(end[end.rfind(_END_MAGIC) + 10 :][:2], "little")
    if count not in (len(archive.filelist), _ZIP64_COUNT):
        archive.close()
        raise BadZipFile(f"the directory must hold {count} members, got {len(archive.filelist)}")
    return archive


def check_end(data: IO[bytes]) -> None:
    """Read past the last value of a zip's member, upon which its checksum is verified; ValueError for further bytes."""
    if data.read(1):
        raise ValueError("bytes follow its last value")


@contextlib.contextmanager
def reading(source: str, what: str = "the content") -> Iterator[None]:
    """Raise FileFormatError, in one line that names `source`, for whatever goes wrong in a block that reads a file.

    What libraries raise for damaged content is no closed list, so any error counts: the block should read and convert,
    and do nothing else. `what` is the part of the file that is read. An error of the project's own passes if it names
    `source` already.
    """
    try:
        yield
    except GnnSchedError as error:
        if str(error).startswith(source):
            raise
        raise FileFormatError(f"{source}: {error}") from None
    except OSError as error:
        raise FileFormatError(f"{source}: cannot be read: {error.strerror or error}") from None
    except Exception as error:
        raise FileFormatError(f"{source}: {what} {_fault(error)}") from None


def _fault(error: Exception) -> str:
    """Return what an error says of a file's content; numpy's advice to load pickles is left out."""
    text = " ".join(str(error).split())
    if "max_header_size" in text:
        return "has a header that is too long"
    if "allow_pickle" in text:
        return "is pickled; only plain arrays are read"
    if isinstance(error, KeyError):
        return f"lacks {text}"
    return f"is incomplete or damaged: {text or type(error).__name__}"


def write_json(path: str | os.PathLike[str], value: Any, *, indent: int = 1, parents: bool = True) -> None:
    """Write a JSON file atomically, with a line feed at its end."""
    text = json.dumps(value, indent=indent) + "\n"
    write_whole(path, lambda file: file.write(text.encode()), parents=parents)


def read_json(path: str | os.PathLike[str], source: str = "") -> dict[str, Any]:
    """Return the object in a JSON file; raise FileFormatError if it is missing, invalid, or another type of value."""
    source, named = source or str(path), file_path(path)
    try:
        value = json.loads(named.read_bytes().removeprefix(BYTE_ORDER_MARK))
    except OSError as error:
        raise FileFormatError(f"{source}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{source}: must be a JSON file ({error})") from None
    if not isinstance(value, dict):
        raise FileFormatError(f"{source}: must hold a JSON object, got {type(value).__name__}")
    return value


def read_toml(path: Path | Traversable, source: str = "") -> dict[str, Any]:
    """Return the table of a TOML file; FileFormatError where it is missing or no TOML."""
    source = source or str(path)
    try:
        named = path if isinstance(path, Traversable) and not isinstance(path, Path) else file_path(path)
        return tomllib.loads(named.read_bytes().removeprefix(BYTE_ORDER_MARK).decode())
    except OSError as error:
        raise FileFormatError(f"{source}: cannot be read: {error.strerror or error}") from None
    except FileFormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{source}: must be a TOML file ({error})") from None


_ZIP_MAGIC = b"PK"
_END_MAGIC = b"PK\5\6"  # of the record behind a zip's directory
_LONGEST_END = 22 + 0xFFFF  # bytes of that record, with the longest comment
_ZIP64_COUNT = 0xFFFF  # stands in it for more members than it can count
_NPY_MAGIC = b"\x93NUMPY"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # which some editors put before UTF-8
