"""Configurations of one file, by rows: streamed from the archive, or from a copy of one byte a value kept on disk."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import write_whole
from gnnsched_env.forecast.data.array_rules import NODE_CONFIG_FEAT, check_layouts, check_tiles
from gnnsched_env.forecast.data.npz_streaming import BLOCK_BYTES, Member

Array = NDArray[Any]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRows:
    """The streamed array of configurations; layouts come as int8 [k, nc, 18], tiles as float32 [k, 24].

    `cache`: a folder that keeps layouts as int8, a file for each source (by path, size and time of change), so that
    a second look costs no inflating; None keeps nothing. Copies of sources that have changed since are left there.
    """

    member: Member
    cache: Path | None

    def __len__(self) -> int:
        return self.member.shape[0]

    def take(self, rows: IntArray | None) -> Array:
        """Return the rows in the order asked for, repeats allowed; None: all, which may be a read-only map."""
        if rows is not None:
            return self._some(self._asked(rows))
        kept = self._kept()
        if kept is not None:
            return kept
        taken = self._room(len(self))
        for first, block in self.blocks():
            taken[first : first + len(block)] = block
        return taken

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield (first row, rows) in order, some megabytes at a time."""
        kept = self._kept()
        if kept is None:
            for first, block in self.member.blocks():
                yield first, self._checked(block, np.arange(first, first + len(block)))
            return
        step = max(1, BLOCK_BYTES // max(1, kept[0].nbytes))
        for first in range(0, len(kept), step):
            yield first, kept[first : first + step]

    def _asked(self, rows: IntArray) -> IntArray:
        rows = np.asarray(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise ConfigError(f"rows must be integers [k], got {rows.dtype} of shape {rows.shape}")
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            outside = rows[(rows < 0) | (rows >= len(self))][0]
            raise ConfigError(f"rows must be within 0..{len(self) - 1} for {self.member.path}, got {outside}")
        return rows.astype(np.int64)

    def _some(self, rows: IntArray) -> Array:
        """Return rows; of the others only one block is held, and none behind the last asked for is read."""
        kept = self._kept()
        if kept is not None:
            return np.asarray(kept)[rows]
        taken = self._room(len(rows))
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        done = 0
        for first, block in self.member.blocks():
            end = int(np.searchsorted(ascending, first + len(block)))
            numbers = ascending[done:end]
            taken[order[done:end]] = self._checked(block[numbers - first], numbers)
            done = end
            if done == len(rows) and first + len(block) < len(self):
                break
        return taken

    def _room(self, count: int) -> Array:
        return np.empty((count, *self.member.shape[1:]), dtype=np.int8 if self._is_layout else np.float32)

    @property
    def _is_layout(self) -> bool:
        return self.member.name == NODE_CONFIG_FEAT

    def _checked(self, block: Array, numbers: IntArray) -> Array:
        try:
            return check_layouts(block, numbers) if self._is_layout else check_tiles(block, numbers)
        except ConfigError as error:
            raise FileFormatError(f"{self.member.path}: {error}") from None

    def _kept(self) -> Array | None:
        """Return the map of the kept copy, made at need; None without a cache."""
        if self.cache is None or not self._is_layout:
            return None
        path = self.cache / self._key()
        kept = self._open(path)
        if kept is None:
            try:
                write_whole(path, self._write)
            except OSError as error:
                raise ConfigError(f"cache {self.cache} cannot be written: {error.strerror or error}") from None
            kept = self._open(path)
        if kept is None:
            raise ConfigError(f"cache {self.cache}: {path.name} cannot be read back")
        return kept

    def _key(self) -> str:
        path = self.member.path.resolve()
        try:
            state = path.stat()
        except OSError as error:
            raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None
        text = f"{path}\n{state.st_size}\n{state.st_mtime_ns}"
        return f"{path.stem[:80]}-{hashlib.sha256(text.encode()).hexdigest()[:24]}.npy"

    def _open(self, path: Path) -> Array | None:
        """Return the map of a kept copy; None where there is none, or one that is no such copy."""
        try:
            kept = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return kept if kept.dtype == np.int8 and kept.shape == self.member.shape else None

    def _write(self, file: BinaryIO) -> None:
        header = {"descr": "|i1", "fortran_order": False, "shape": self.member.shape}
        npy.write_array_header_1_0(file, header)  # type: ignore[arg-type]
        for first, block in self.member.blocks():
            file.write(self._checked(block, np.arange(first, first + len(block))).data)
