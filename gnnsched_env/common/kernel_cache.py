"""Compiled kernels on disk: a folder for each module and state of its sources, a file for each kernel and signature.

A folder's name holds a hash of the package's version, of the compilers' and of the module's own source and all that it
imports from the project, directly or not: an edit of a callee or of a constant elsewhere compiles anew, an edit of what
a kernel cannot see does not. A file holds some bytes and their SHA-256: one that is empty, truncated or otherwise
damaged is deleted and made again. Nothing here raises an error: a kernel that can be neither read nor written is
compiled in each process.
"""

import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from gnnsched_env.common.disk_cache import cache_folder
from gnnsched_env.common.files import write_whole
from gnnsched_env.version import __version__

PACKAGES = ("gnnsched_env", "gnnsched_baselines", "gnnsched_agents")
"""Packages whose kernels are kept."""

STATES_KEPT = 8  # folders of one module, the last used first
_DIGEST = hashlib.sha256().digest_size
_IMPORT = re.compile(r"(?:from|import) (gnnsched_[\w.]+)(?: import (\([^)]*\)|.*))?")


@cache
def sources_folder(module: str, *versions: str) -> str:
    """Return the name of the folder of a module's kernels; `versions` are those of the compilers."""
    state = hashlib.sha256(repr((__version__, sys.implementation.cache_tag, *versions)).encode())
    names, known = [module], {module}
    while names:
        name = names.pop()
        source, imported = _read_source(name)
        state.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(source).digest())
        new = [one for one in imported if one not in known]
        known.update(new)
        names += new
    return f"{module}-{state.hexdigest()[:16]}"


@cache
def _read_source(name: str) -> tuple[bytes, tuple[str, ...]]:
    """Return a module's source and the modules of the project that it imports, in an order of their own."""
    known = _modules(name.partition(".")[0])
    source = known[name].read_bytes() if name in known else b""
    imported: dict[str, None] = {}
    for module, names in _IMPORT.findall(source.decode()):
        inside = _modules(module.partition(".")[0])
        for part in re.findall(r"(\w+)(?: as \w+)?", names) or [""]:
            imported[f"{module}.{part}" if f"{module}.{part}" in inside else module] = None
    return source, tuple(imported)


@cache
def _modules(package: str) -> dict[str, Path]:
    """Return the source file of each module of a package, by the module's name."""
    spec = find_spec(package)
    files = {}
    for folder in (spec and spec.submodule_search_locations) or ():
        for file in Path(folder).rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            files[".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))] = file
    return files


def kernel_folders(*, make: bool = False) -> Iterator[Path]:
    """Yield the folders that may hold kernels: the package's cache folder, then a temporary folder of this user's own.

    Kernels are written to the first writable one. The second is for systems such as a container with a read-only home;
    it is omitted if it does not exist (unless `make`) or is open to other users, since kernels are executable code.
    """
    yield cache_folder() / "kernels"
    temporary = _temporary_folder(make)
    if temporary is not None:
        yield temporary


def load_kernel(folder: str, name: str) -> bytes | None:
    """Return the bytes kept under a name, or None; a damaged file is deleted."""
    for root in kernel_folders():
        path = root / folder / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError:
            _delete(path)
            continue
        if hashlib.sha256(content[_DIGEST:]).digest() == content[:_DIGEST]:
            with suppress(OSError):
                os.utime(path.parent)  # marks the folder as used, so that it is not deleted
            return content[_DIGEST:]
        _delete(path)
    return None


def save_kernel(folder: str, name: str, payload: bytes) -> None:
    """Keep bytes under a name, written atomically; of several writers the last one wins."""
    problem: OSError | None = None
    for root in kernel_folders(make=True):
        fresh = not (root / folder).is_dir()
        try:
            write_whole(root / folder / name, lambda file: file.write(hashlib.sha256(payload).digest() + payload))
        except OSError as error:
            problem = problem or error
            continue
        if fresh:
            _delete_old_states(root, folder.rpartition("-")[0])
        return
    warn_once(f"compiled kernels are not kept, so each process compiles them ({problem})")


def kept_kernels(folder: str, pattern: str) -> list[Path]:
    """Return the files whose names match the pattern, wherever kernels are kept."""
    return [path for root in kernel_folders() for path in sorted((root / folder).glob(pattern))]


def _delete(path: Path) -> None:
    """Delete a damaged file, or a folder that stands in its place."""
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@cache
def warn_once(message: str) -> None:
    """Print a line to stderr, once per process."""
    print(f"warning: {message}", file=sys.stderr)


def _temporary_folder(make: bool) -> Path | None:
    """Return a folder under the system's temporary one that only this user can write, or None."""
    has_users = hasattr(os, "getuid")  # elsewhere (Windows) the temporary folder is the user's own
    try:
        folder = Path(tempfile.gettempdir()) / (f"gnnsched-{os.getuid()}" if has_users else "gnnsched")  # noqa: TID251
        if make:
            folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    own = not has_users or (status.st_uid == os.getuid() and not status.st_mode & 0o077)  # noqa: TID251
    return folder if own and stat.S_ISDIR(status.st_mode) else None


def _delete_old_states(root: Path, module: str) -> None:
    """Delete the folders of a module that have not been used for longest."""
    ages = []
    for folder in root.glob(f"{module}-*"):
        with suppress(OSError):
            ages.append((folder.stat().st_mtime, folder))
    for _, folder in sorted(ages, reverse=True)[STATES_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
