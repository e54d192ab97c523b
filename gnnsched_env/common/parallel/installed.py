"""What a machine has installed, as far as results depend on it: it must be the same wherever tasks run."""

import hashlib
import platform
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from gnnsched_env.common.kernel_cache import PACKAGES
from gnnsched_env.version import __version__

LIBRARIES = ("numpy", "numba", "scipy")
SUFFIXES = (".py", ".npz", ".toml")


@cache
def installed() -> dict[str, str]:
    """Return the versions of Python, of this package and of the libraries that compute, and a hash of its files."""
    versions = {"Python": platform.python_version(), "gnnsched-env": __version__}
    return versions | {name: metadata.version(name) for name in LIBRARIES} | {"hash of the sources": _sources()}


def _sources() -> str:
    """Return a hash of the project's sources, and of the weights and presets that its packages hold."""
    state = hashlib.sha256()
    for package in PACKAGES:
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            for file in sorted(file for file in Path(folder).rglob("*") if file.suffix in SUFFIXES):
                state.update(f"{package}/{file.relative_to(folder).as_posix()}".encode() + file.read_bytes())
    return state.hexdigest()
