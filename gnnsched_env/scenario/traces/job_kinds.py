"""The kinds of job of a trace: found once for each spelling, numbered in order of appearance."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from gnnsched_env.common.errors import FileFormatError, GraphError, did_you_mean
from gnnsched_env.graphs import GraphSet
from gnnsched_env.scenario.traces.trace_format import TraceColumns, TraceKey, parse_graph, parse_key, refuse, shown

MOST_KEYS = 100_000


class KeyIndex:
    """Numbers for keys: `known` gives that of each spelling met so far (a field, or a tuple of fields).

    `keys` are in order of appearance, `first_lines` says where each came first. `classes`: the names that the column
    "class" may hold, None for any. Graph files are looked for in `folder`, and not looked for if that is None.
    """

    def __init__(self, columns: TraceColumns, folder: Path | None, classes: Collection[str] | None) -> None:
        self.known: dict[Any, int] = {}
        self.keys: dict[TraceKey, int] = {}
        self.first_lines: list[int] = []
        self.hints = True
        self._columns = columns
        self._folder = folder
        self._classes = None if classes is None else frozenset(classes)
        self._sizes: dict[str, int | str] = {}

    def add(self, line: int, raw: Any) -> int:
        """Return the number of a spelling not met before; raise TraceProblem where it breaks a rule.

        `hints` False leaves out what a mistyped name may have meant, which takes long to find.
        """
        key = parse_key(line, self._columns, (raw,) if isinstance(raw, str) else raw)
        if len(self.known) >= MOST_KEYS:
            names = ", ".join(self._columns.names[place] for place in self._columns.key_places)
            refuse(
                line, None, f"a trace must hold at most {MOST_KEYS:,} different kinds of job ({names}), got one more"
            )
        if key not in self.keys:
            self._check(line, key)
            self.keys[key] = len(self.keys)
            self.first_lines.append(line)
        self.known[raw] = self.keys[key]
        return self.keys[key]

    def _check(self, line: int, key: TraceKey) -> None:
        if self._columns.kind == "graph":
            if self._folder is not None:
                self._check_graph(line, key.name, self._folder)
        elif self._classes is not None and key.name not in self._classes:
            hint = did_you_mean(key.name, self._classes) if self.hints else ""
            refuse(
                line,
                "class",
                f"must be one of the workload's {len(self._classes)} classes, got {shown(key.name)}{hint}",
            )

    def _check_graph(self, line: int, name: str, folder: Path) -> None:
        source = parse_graph(line, name)
        if source.file not in self._sizes:
            if len(self._sizes) >= MOST_KEYS:  # of files that cannot be used: others are as few as the keys
                self._sizes.clear()
            self._sizes[source.file] = _graphs_in(folder / source.file)
        size = self._sizes[source.file]
        if isinstance(size, str):
            refuse(line, "graph", size)
        if source.first is None and size > 1:
            refuse(
                line,
                "graph",
                f"must say which of the file's {size} graphs, as FILE.npz:i or FILE.npz:i-j, got {shown(name)}",
            )
        if source.last is not None and source.last >= size:
            refuse(line, "graph", f"must name graphs from 0 to {size - 1} of the file, got {shown(name)}")


def _graphs_in(path: Path) -> int | str:
    """Return how many graphs a file holds, or what is wrong with it."""
    try:
        return len(GraphSet.load(path))
    except OSError as error:
        return f"must name a readable file, got {str(path)!r} ({error.strerror or error})"
    except (FileFormatError, GraphError) as error:
        return f"must name a graph file ({error})"
