"""Kernels that are compiled already, for a test whose cache is a folder of its own."""

import shutil
from contextlib import suppress
from pathlib import Path

from gnnsched_env.common.disk_cache import cache_folder


def copy_kernels(cache: Path, *, but: str = "") -> None:
    """Copy what this machine has compiled into another cache folder, the kernels of one module left out."""
    with suppress(shutil.Error, FileNotFoundError):  # another process may write meanwhile: what lacks is compiled anew
        shutil.copytree(cache_folder() / "kernels", cache / "kernels", ignore=shutil.ignore_patterns("*.partial"))
    for folder in (cache / "kernels").glob(f"{but}-*") if but else ():
        shutil.rmtree(folder)
