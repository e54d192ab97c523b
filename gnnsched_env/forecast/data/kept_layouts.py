"""The kept copy of one file's layouts: one byte a value, mapped into memory, each block of rows under a CRC-32.

npy header, int8 [c, nc, 18]    an array as numpy writes it
uint32 [b], little-endian       the CRC-32 of each block of rows, which other readers of npy files ignore
"""

import io
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.common.files import reading

Array = NDArray[Any]
IntArray = NDArray[np.int64]
Shape = tuple[int, ...]

CHECKED_BYTES = 1 << 14
"""Bytes of a block, at least one row: what is read, and summed up, for any row in it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptLayouts:
    """An open copy: `rows`, a read-only map int8 [c, nc, 18], and `sums`, uint32 [b], the CRC-32 of each block."""

    path: Path
    rows: Array
    sums: Array

    @classmethod
    def open(cls, path: Path, shape: Shape) -> Self | None:
        """Map a copy of layouts of a shape; None where there is no file, FileFormatError where it is no such copy."""
        header, count = _header(shape), int(np.prod(shape))
        blocks = -(-shape[0] // _block_rows(shape))
        with reading(str(path)):
            try:
                file = path.open("rb")
            except FileNotFoundError:
                return None
            with file:
                size = os.fstat(file.fileno()).st_size
                if size != len(header) + count + 4 * blocks or file.read(len(header)) != header:
                    raise FileFormatError(f"{path}: is no copy of layouts {shape}")
                file.seek(len(header) + count)
                sums = np.frombuffer(file.read(), "<u4")
                rows = np.memmap(file, np.int8, "r", len(header), shape)  # type: ignore[call-overload]
        return cls(path=path, rows=rows, sums=sums)

    def check(self, rows: IntArray | None = None) -> None:
        """Raise FileFormatError if a block is damaged that holds one of some `rows`, int64 [k] (None: all blocks)."""
        step = _block_rows(self.rows.shape)
        for block in range(len(self.sums)) if rows is None else np.unique(rows // step).tolist():
            first = block * step
            if zlib.crc32(self.rows[first : first + step].data) != self.sums[block]:
                last = min(first + step, len(self.rows)) - 1
                raise FileFormatError(f"{self.path}: content and CRC-32 do not agree in configurations {first}..{last}")


def write_copy(file: BinaryIO, shape: Shape, parts: Iterable[Array]) -> None:
    """Write a copy of layouts, int8 [k, nc, 18] each, which together have a shape; any number may come at a time."""
    file.write(_header(shape))
    block = _block_rows(shape) * int(np.prod(shape[1:]))
    sums, crc, filled = [], 0, 0
    for part in parts:
        content = np.ascontiguousarray(part).data.cast("B")
        file.write(content)
        while len(content):
            taken = content[: block - filled]
            crc, filled = zlib.crc32(taken, crc), filled + len(taken)
            content = content[len(taken) :]
            if filled == block:
                sums.append(crc)
                crc, filled = 0, 0
    if filled:
        sums.append(crc)
    file.write(np.array(sums, "<u4").tobytes())


def _header(shape: Shape) -> bytes:
    text = io.BytesIO()
    npy.write_array_header_1_0(text, {"descr": "|i1", "fortran_order": False, "shape": shape})  # type: ignore[arg-type]
    return text.getvalue()


def _block_rows(shape: Shape) -> int:
    return max(1, CHECKED_BYTES // int(np.prod(shape[1:])))
