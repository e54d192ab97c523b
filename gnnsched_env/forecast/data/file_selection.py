"""Which files of a data set are meant."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gnnsched_env.common.checks import Integer, check_fields
from gnnsched_env.common.errors import ConfigError, did_you_mean
from gnnsched_env.forecast.data.folder_tree import Opened, collections_of, find_programs, open_programs
from gnnsched_env.forecast.data.program import Program
from gnnsched_env.forecast.data.schema import Collection

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Files of a data set, or single files.

    data: the tree's root (which holds layout/ or tile/, npz/ or npz_all/npz/) or .npz files. collections: those of the
    tree that are meant (none: all that have files of the split), or the one that the single files are of (none: told by
    their folders). split: "train", "valid" or "test", of a tree. names: files without suffix (none: all). limit: how
    many files of each collection at most, the first by name. cache: a folder that keeps layouts in a form that is read
    faster.
    """

    data: tuple[Path, ...]
    collections: tuple[str, ...] = ()
    split: str = "train"
    names: tuple[str, ...] = ()
    limit: Annotated[int | None, Integer(1)] = None
    cache: Path | None = None

    def __post_init__(self) -> None:
        check_fields(self, "forecast data")
        if not self.data:
            raise ConfigError("forecast data: needs a folder or files, got none")
        for name in self.collections:
            Collection.named(name)

    def open(self, report: Report = lambda line: None) -> Opened:
        """Open the files; bad ones are reported and skipped. ConfigError where none is left, or a name is not there."""
        given = list({path.resolve(): path for path in self.data}.values())  # one given twice counts once
        files = [path for path in given if path.is_file() and (not self.names or path.stem in self.names)]
        missing = [path for path in given if not path.exists()]
        if missing:
            raise ConfigError(f"forecast data: {missing[0]} does not exist")
        if files and len(self.collections) > 1:
            raise ConfigError(f"forecast data: single files are of one collection, got {', '.join(self.collections)}")
        own = self.collections[0] if self.collections else None
        files = files[: self.limit]
        parts = [open_programs(files, report, collection=own, cache=self.cache)] if files else []
        for root in given:
            if root.is_dir():
                parts += [open_programs(paths, report, cache=self.cache) for paths in self._paths(root)]
        programs = [program for part in parts for program in part.programs]
        skipped = [pair for part in parts for pair in part.skipped]
        self._check(programs, [*(program.name for program in programs), *(path.stem for path, _ in skipped)])
        return Opened(programs=programs, skipped=skipped)

    def _paths(self, root: Path) -> Iterator[list[Path]]:
        """Yield the files of each collection."""
        wanted: Sequence[str] = self.collections
        if not wanted:
            wanted = [kind for kind, splits in collections_of(root).items() if self.split in splits]
        if not wanted:
            raise ConfigError(f"forecast data: {root} holds no files of split {self.split}")
        for collection in wanted:
            paths = find_programs(root, collection, self.split)
            named = [path for path in paths if not self.names or path.stem in self.names]
            yield named[: self.limit]

    def _check(self, programs: Sequence[Program], seen: Sequence[str]) -> None:
        for name in self.names:
            if name not in seen:
                raise ConfigError(f"forecast data: no file is named {name!r}{did_you_mean(name, seen)}")
        if not programs:
            raise ConfigError(f"forecast data: no file can be read, {len(seen)} skipped")
