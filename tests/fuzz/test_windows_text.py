"""Text as editors on Windows write it, with a byte-order mark and lines that end in CR LF, is read as any other."""

from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest

from gnnsched_env.common.files import BYTE_ORDER_MARK
from gnnsched_env.graphs import Graph, GraphSet
from tests.extras import needs
from tests.fuzz.kinds import KINDS

TEXTS = (".txt", "_A.txt", ".mtx", ".graphml", ".gml", ".adjlist", ".toml", ".csv", ".json")
OF_THE_FILE = {"path", "digest", "size", "mtime_ns"}  # fields that tell of the file itself, not of what it holds


def comparable(value):
    """Return a value as nested tuples, without what tells of the file that it came from."""
    if isinstance(value, Graph | GraphSet):
        return value.digest()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if is_dataclass(value):
        names = [field.name for field in fields(value) if field.name not in OF_THE_FILE]
        return tuple((name, comparable(getattr(value, name))) for name in names)
    if isinstance(value, dict):
        return tuple((key, comparable(content)) for key, content in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(comparable, value))
    return value.name if isinstance(value, Path) else value


def cases():
    for name, kind in KINDS.items():
        if kind.ending in TEXTS and not kind.slow:
            yield pytest.param(kind, id=name, marks=[needs(*kind.needs)])


@pytest.mark.parametrize("kind", list(cases()))
def test_text_as_windows_writes_it_is_read_as_any_other(kind, tmp_path):
    path = tmp_path / "written" / f"file{kind.ending}"
    path.parent.mkdir()
    kind.write(path)
    expected = comparable(kind.read(path))
    for file in path.parent.glob("*"):
        if file.name.endswith(TEXTS):
            lines = file.read_bytes().splitlines()
            file.write_bytes(BYTE_ORDER_MARK + b"\r\n".join([*lines, b""]))
    assert comparable(kind.read(path)) == expected
