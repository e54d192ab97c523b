"""Arrays of an npz file, whole or streamed by rows: what is not asked for is never held.

A member of an npz file is an npy file, deflated or stored. Inflating cannot start in the middle, so rows are reached
by inflating all before them, a block at a time.
"""

import contextlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.common.files import check_end, file_path, open_zip, reading

Array = NDArray[Any]

BLOCK_BYTES = 4 << 20  # of a streamed array, at least one row


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One array of an npz file, told by its header: `shape` and `dtype` (in the machine's byte order or not)."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool

    def read(self) -> Array:
        """Return the array, in the machine's byte order; FileFormatError where the data are damaged."""
        count = int(np.prod(self.shape, dtype=np.int64))
        with self._data() as data:
            flat = np.frombuffer(_take(data, count * self.dtype.itemsize), dtype=self.dtype)
            check_end(data)
        native = flat.astype(self.dtype.newbyteorder("="))
        return native.reshape(self.shape, order="F" if self.fortran_order else "C")

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield (first row, rows) in order, some megabytes at a time; each block is read-only and soon replaced.

        FileFormatError where the data are damaged, which shows only as far as they are read; the checksum is verified
        before the last block is yielded.
        """
        if self.fortran_order and len(self.shape) > 1:
            raise FileFormatError(f"{self.path}: array {self.name!r} must be in C order, got Fortran order")
        total = self.shape[0]
        width = int(np.prod(self.shape[1:], dtype=np.int64))
        row_bytes = width * self.dtype.itemsize
        step = max(1, BLOCK_BYTES // max(1, row_bytes))
        with self._data() as data:
            for first in range(0, total, step):
                rows = min(step, total - first)
                block = np.frombuffer(_take(data, rows * row_bytes), dtype=self.dtype)
                if first + rows == total:
                    check_end(data)
                yield first, block.reshape(rows, *self.shape[1:])

    @contextlib.contextmanager
    def _data(self) -> Iterator[IO[bytes]]:
        """Open the member behind its header."""
        with (
            reading(str(self.path), f"array {self.name!r}"),
            zipfile.ZipFile(self.path) as archive,
            archive.open(f"{self.name}.npy") as data,
        ):
            _read_header(data)
            yield data


def read_members(path: Path) -> dict[str, Member]:
    """Return the arrays of an npz file by name, headers only.

    FileFormatError names the file, the array and what is wrong: a missing or foreign file, a damaged archive, a
    pickled array, a header that disagrees with the size of the data.
    """
    members = {}
    with reading(str(path), "the archive"):
        with file_path(path).open("rb") as file:
            if file.read(2) != b"PK":
                raise FileFormatError(f"{path}: must be an npz archive, got a file that starts differently")
        with open_zip(path) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".npy"):
                    name = info.filename.removesuffix(".npy")
                    members[name] = _read_member(path, name, archive, info)
                else:  # opening compares its name with that before its data: a damaged name may be an array's
                    archive.open(info).close()
    return members


def _read_member(path: Path, name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    with reading(str(path), f"array {name!r}"), archive.open(info) as data:
        shape, fortran_order, dtype, start = _read_header(data)
    if dtype.hasobject:
        raise FileFormatError(f"{path}: array {name!r} is pickled; only plain arrays are read")
    size = start + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size != info.file_size:
        raise FileFormatError(
            f"{path}: array {name!r} is incomplete or damaged: shape {shape} of {dtype} needs {size} bytes, "
            f"got {info.file_size}"
        )
    return Member(path=path, name=name, shape=shape, dtype=dtype, fortran_order=fortran_order)


def _read_header(data: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, order, dtype and the header's length."""
    version = npy.read_magic(data)
    if version == (1, 0):
        header = npy.read_array_header_1_0(data)
    elif version == (2, 0):
        header = npy.read_array_header_2_0(data)
    else:
        raise ValueError(f"npy version {version} is not known")
    return *header, data.tell()


def _take(data: IO[bytes], count: int) -> bytes:
    taken = data.read(count)
    if len(taken) != count:
        raise EOFError(f"{count - len(taken)} bytes are missing")
    return taken
