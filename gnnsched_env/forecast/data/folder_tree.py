"""The official folder tree: npz/layout/{xla,nlp}/{random,default}/SPLIT/NAME.npz and npz/tile/xla/SPLIT/NAME.npz."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from gnnsched_env.common.checks import OneOf
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.forecast.data.program import Program, open_program
from gnnsched_env.forecast.data.schema import SPLITS, Collection

_PARENTS = ("", "npz", "npz_all/npz")  # where the tree may begin below the root that is named


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Programs that could be opened, in the order of their paths, and (path, reason) of the files that could not."""

    programs: list[Program]
    skipped: list[tuple[Path, str]]


def collections_of(root: str | Path) -> dict[Collection, tuple[str, ...]]:
    """Return the collections that have files under a root, each with its splits that have some.

    The root is the folder npz, or one that holds npz/ or npz_all/npz/; ConfigError where it is neither.
    """
    base = _base(Path(root))
    found = {}
    for collection in Collection:
        splits = tuple(split for split in SPLITS if _files(base / collection.folder / split))
        if splits:
            found[collection] = splits
    return found


def find_programs(root: str | Path, collection: Collection | str, split: str) -> list[Path]:
    """Return the files of a split ("train", "valid" or "test"), sorted by name; ConfigError where there are none."""
    collection = Collection.named(collection)
    OneOf(SPLITS).check("forecast data", "split", split)
    paths = _files(_base(Path(root)) / collection.folder / split)
    if not paths:
        there = "; ".join(f"{name}: {', '.join(splits)}" for name, splits in collections_of(root).items())
        raise ConfigError(f"{root}: no files of {collection}, split {split}; found: {there or 'none'}")
    return paths


def open_programs(
    paths: Iterable[Path],
    report: Callable[[str], None] = lambda line: None,
    *,
    collection: Collection | str | None = None,
    cache: Path | None = None,
    thorough: bool = False,
) -> Opened:
    """Open many files; a bad one is reported and skipped, and the skipped are counted in a last line.

    `thorough`: read the configurations too, whose damage shows only then; it costs inflating every file (with a
    `cache`, once). `collection`, `cache`: as in `open_program`.
    """
    programs: list[Program] = []
    skipped: list[tuple[Path, str]] = []
    for path in paths:
        try:
            program = open_program(path, collection, cache=cache)
            if thorough:
                for _ in program.blocks():
                    pass
            programs.append(program)
        except FileFormatError as error:
            skipped.append((path, str(error)))
            report(f"skipped: {error}")
    if skipped:
        report(f"{len(skipped)} of {len(programs) + len(skipped)} files skipped")
    return Opened(programs=programs, skipped=skipped)


def _base(root: Path) -> Path:
    """Return the folder that holds layout/ or tile/."""
    for parent in _PARENTS:
        base = root / parent
        if (base / "layout").is_dir() or (base / "tile").is_dir():
            return base
    raise ConfigError(f"{root}: must hold layout/ or tile/, directly, in npz/ or in npz_all/npz/; got no such folder")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.npz") if not path.name.startswith("."))
