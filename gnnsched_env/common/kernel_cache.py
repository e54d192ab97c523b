"""Tells a person who waits that the kernels are being compiled, which happens once per installation."""

import sys
from functools import cache
from pathlib import Path
from typing import Any

from numba import config


@cache
def announce_compilation(kernel: Any, name: str, seconds: int) -> None:
    """Print a line to stderr, once a process, if `kernel` (`njit(cache=True)`) has no compiled form on disk."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return
    source = Path(kernel.py_func.__code__.co_filename)
    folder = Path(kernel.stats.cache_path)
    compiled = folder.glob(f"{source.stem}.{kernel.py_func.__name__}-*.nbi")
    newest = max((path.stat().st_mtime for path in compiled), default=0.0)
    if newest < source.stat().st_mtime:
        print(f"gnnsched: compiling {name}, once; this takes some {seconds} seconds ...", file=sys.stderr, flush=True)
