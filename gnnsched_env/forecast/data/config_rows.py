"""Configurations of one file, by rows: streamed from the archive, or from a copy of one byte a value kept on disk."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.disk_cache import warn
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import write_whole
from gnnsched_env.forecast.data.array_rules import NODE_CONFIG_FEAT, check_layouts, check_tiles
from gnnsched_env.forecast.data.kept_layouts import KeptLayouts, write_copy
from gnnsched_env.forecast.data.npz_streaming import BLOCK_BYTES, Member

Array = NDArray[Any]
IntArray = NDArray[np.int64]

FORMAT = 2  # of kept copies


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRows:
    """The streamed array of configurations; layouts come as int8 [k, nc, 18], tiles as float32 [k, 24].

    `cache`: a folder that keeps layouts as int8, a file for each source (by path, size and time of change), so that
    a second look costs no inflating; None keeps nothing. A copy's blocks are checked whenever rows in them are asked
    for, and a damaged copy is made anew, with a warning. Copies of sources that have changed since are left there.
    """

    member: Member
    cache: Path | None

    def __len__(self) -> int:
        return self.member.shape[0]

    def take(self, rows: IntArray | None) -> Array:
        """Return the rows in the order asked for, repeats allowed; None: all, which may be a read-only map."""
        if rows is not None:
            return self._some(self._asked(rows))
        kept = self._kept(None)
        if kept is not None:
            return kept
        taken = self._room(len(self))
        for first, block in self.blocks():
            taken[first : first + len(block)] = block
        return taken

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield (first row, rows) in order, some megabytes at a time."""
        if self.cache is None or not self._is_layout:
            first = 0
            for block in self._streamed():
                yield first, block
                first += len(block)
            return
        step = max(1, BLOCK_BYTES // int(np.prod(self.member.shape[1:])))
        for first in range(0, len(self), step):
            kept = self._kept(np.arange(first, min(first + step, len(self))))
            assert kept is not None
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
        kept = self._kept(rows)
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

    def _kept(self, rows: IntArray | None) -> Array | None:
        """Return the map of the kept copy, made at need and checked where it holds `rows`; None without a cache."""
        if self.cache is None or not self._is_layout:
            return None
        path = self.cache / self._key()
        try:
            if (kept := KeptLayouts.open(path, self.member.shape)) is not None:
                kept.check(rows)
                return kept.rows
        except FileFormatError as error:
            warn(f"damaged cache entry is made anew ({error})")
        try:
            write_whole(path, lambda file: write_copy(file, self.member.shape, self._streamed()))
        except OSError as error:
            raise ConfigError(f"cache {self.cache} cannot be written: {error.strerror or error}") from None
        kept = KeptLayouts.open(path, self.member.shape)
        if kept is None:
            raise ConfigError(f"cache {self.cache}: {path.name} cannot be read back")
        kept.check(rows)
        return kept.rows

    def _streamed(self) -> Iterator[Array]:
        for first, block in self.member.blocks():
            yield self._checked(block, np.arange(first, first + len(block)))

    def _key(self) -> str:
        path = self.member.path.resolve()
        try:
            state = path.stat()
        except OSError as error:
            raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None
        text = f"{FORMAT}\n{path}\n{state.st_size}\n{state.st_mtime_ns}"
        return f"{path.stem[:80]}-{hashlib.sha256(text.encode()).hexdigest()[:24]}.npy"
