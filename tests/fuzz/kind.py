"""A kind of file that the project reads."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A kind of file: its ending, what writes a small one, and what reads it.

    `content` returns what was read in a form that can be compared; None where nothing guards a file's content, so that
    a changed one may be read as another valid one. `needs`: modules without which there is no such kind. `slow`: it
    takes many milliseconds to read.
    """

    ending: str
    write: Callable[[Path], object]
    read: Callable[[Path], Any]
    content: Callable[[Any], Any] | None = None
    needs: tuple[str, ...] = ()
    slow: bool = False


def beside(path: Path, name: str) -> Path:
    """Return a copy of a file under the name that its reader expects, in a folder of its own."""
    copy = path.parent / "beside" / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(path.read_bytes())
    return copy
