"""A disk cache of arrays under a content hash: files are written atomically, and failures are never fatal."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from platformdirs import user_cache_dir

from gnnsched_env.common.errors import FileFormatError, reason
from gnnsched_env.common.files import Arrays, read_npz, write_npz
from gnnsched_env.version import __version__

CACHE_VARIABLE = "GNNSCHED_CACHE"
PACKAGE = Path(__file__).parents[1]


def cache_folder() -> Path:
    """Return where tables are kept: $GNNSCHED_CACHE, or the user's cache folder."""
    return Path(os.environ.get(CACHE_VARIABLE) or user_cache_dir("gnnsched"))


def content_key(**parts: Any) -> str:
    """Return a hash (SHA-256, hexadecimal) of JSON-like parts; equal parts give equal keys in every process."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def code_digest(*rooms: str) -> str:
    """Return a hash of the package's version and of the sources of its rooms, so that edited code misses the cache."""
    state = hashlib.sha256(__version__.encode())
    for room in rooms:
        for source in sorted((PACKAGE / room).rglob("*.py")):
            state.update(source.relative_to(PACKAGE).as_posix().encode())
            state.update(source.read_bytes())
    return state.hexdigest()


def cached(key: str, names: Iterable[str], build: Callable[[], Mapping[str, NDArray[Any]]]) -> Arrays:
    """Return the arrays cached under the key, or build and cache them.

    An entry that is damaged or lacks one of the `names` is built anew, with a warning. If the folder cannot be written,
    nothing is cached, with a warning. Concurrent writers do not disturb each other: the last one wins.
    """
    path = cache_folder() / f"{key}.npz"
    if path.exists():
        try:
            kept = read_npz(path, "it")
            return {name: kept[name] for name in names}
        except (FileFormatError, KeyError) as error:
            warn(f"{path}: damaged cache entry is built anew ({reason(error)})")
    arrays = dict(build())
    try:
        write_npz(path, arrays)
    except OSError as error:
        warn(f"{path}: not kept in the cache ({error})")
    return arrays


def warn(message: str) -> None:
    """Print a warning in one line, without the calling code, which is not at fault."""
    print(f"warning: {' '.join(message.split())}", file=sys.stderr)
