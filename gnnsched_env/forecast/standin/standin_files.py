"""A stand-in on disk: the data set's tree, and a note that says what it is and which files are its own."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from gnnsched_env.common.checks import shown
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.files import read_json, write_json
from gnnsched_env.common.folder_lock import LOCK, writing_folder
from gnnsched_env.forecast.standin.standin_programs import Size, make, plan

LABEL: Final = "synthetic stand-in; a score on it says nothing about real collections"
MANIFEST: Final = "standin.json"


def write_standin(
    folder: str | Path, seed: int, size: Size, *, force: bool = False, report: Callable[[int, int], None] | None = None
) -> tuple[int, int]:
    """Write a data set below `folder`; return how many files and bytes; `report` is given files done and files in all.

    ConfigError where the folder is not empty, unless `force`: then the files that its standin.json names are removed
    first, and nothing else is. A killed run leaves a folder that `force` mends.
    """
    folder = Path(folder)
    specs = plan(seed, size)
    with writing_folder(folder):
        if any(path.name != LOCK for path in folder.iterdir()):
            if not force:
                raise ConfigError(f"folder must be empty unless forced, got {folder}")
            _remove(folder)
        paths = [spec.path.as_posix() for spec in specs]
        manifest = {"what": LABEL, "seed": seed, "size": asdict(size), "files": paths}
        write_json(folder / MANIFEST, manifest)
        written = 0
        for done, spec in enumerate(specs, start=1):
            path = make(spec).write(folder)
            written += path.stat().st_size
            if report is not None:
                report(done, len(specs))
    return len(specs), written


def made(folder: str | Path) -> Iterator[Path]:
    """Yield the paths that a folder's standin.json names; ConfigError where it is no stand-in's folder."""
    manifest = Path(folder) / MANIFEST
    if not manifest.exists():
        raise ConfigError(f"folder must hold {MANIFEST}, as a stand-in's does, got {folder}")
    files = read_json(manifest).get("files")
    if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
        raise ConfigError(f"{manifest} must name its files, as a stand-in's does, got {shown(files)}")
    for name in files:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ConfigError(f"{manifest} must name files inside its folder, got {name!r}")
        yield Path(folder) / name


def _remove(folder: Path) -> None:
    for path in list(made(folder)):
        path.unlink(missing_ok=True)
    (folder / MANIFEST).unlink()
