"""Graphs from text: TU data-set folders and edge lists."""

import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import shown
from gnnsched_env.common.errors import FileFormatError, GnnSchedError, GraphError
from gnnsched_env.common.files import BYTE_ORDER_MARK, file_path
from gnnsched_env.graphs.graph import Graph
from gnnsched_env.graphs.graph_set import GraphSet
from gnnsched_env.graphs.structure import LARGEST_ID

COMMENT_MARKS = ("#", "%")
GZIP_MAGIC = b"\x1f\x8b"
MATRIX_MARKET_BANNER = b"%%matrixmarket"

_COMMENT = re.compile(f"[{''.join(COMMENT_MARKS)}]")
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)


def load_tu_folder(folder: str | Path, *, num_features: int | None = None, num_classes: int | None = None) -> GraphSet:
    """Read a folder in TUDataset's text format; every edge is taken in both directions.

    Needs `*_A.txt` (two vertex ids per line, from 1) and `*_graph_indicator.txt` (the graph of each vertex, from 1,
    not decreasing); `*_graph_labels.txt` and `*_node_labels.txt` are used if present. F defaults to the number of node
    labels (one-hot), or without them to the highest degree + 1 (degrees one-hot); G to the number of graph labels.
    """
    prefix = _tu_prefix(Path(folder))
    owners = _column(_sibling(prefix, "graph_indicator")) - 1
    graph_ptr = _graph_pointers(_sibling(prefix, "graph_indicator"), owners)
    edges = _tu_edges(_sibling(prefix, "A"), owners)
    joined = Graph.from_edges(len(owners), edges[:, 0], edges[:, 1], name=prefix.name)
    rows = np.repeat(np.arange(len(owners)), joined.degrees)
    labels = _optional_labels(_sibling(prefix, "graph_labels"), len(graph_ptr) - 1)
    node_labels = _optional_labels(_sibling(prefix, "node_labels"), len(owners))
    if num_features is None:
        num_features = _distinct(node_labels) if node_labels is not None else int(joined.degrees.max()) + 1
    if num_classes is None:
        num_classes = _distinct(labels) if labels is not None else 1
    return GraphSet(
        name=prefix.name,
        indptr=joined.indptr,
        indices=(joined.indices - graph_ptr[owners[rows]]).astype(np.int32),
        graph_ptr=graph_ptr,
        num_features=num_features,
        num_classes=num_classes,
        labels=None if labels is None else np.unique(labels, return_inverse=True)[1].astype(np.int16),
    )


def load_edge_list(path: str | Path, *, num_vertices: int | None = None, undirected: bool = True) -> Graph:
    """Read one graph: two ids a line, none negative, separated by blanks, tabs or commas; UTF-8, gzipped or not.

    Lines that begin with # or % are comments; further columns (weights, times) are ignored. Without `num_vertices`
    the vertices are the ids that occur, relabelled 0, 1, ... in ascending order, so that gaps leave no vertices behind;
    with it the ids are kept, must lie in 0..num_vertices-1, and those without edges are vertices too. `undirected`
    adds every reverse. A file in MatrixMarket's format is refused.
    """
    path = Path(path)
    if file_start(path).lower().startswith(MATRIX_MARKET_BANNER):  # otherwise its size line would be read as an edge
        raise FileFormatError(f"{path}: is in MatrixMarket's format, not an edge list; load_graph_set reads it")
    edges = _table(path, columns=2)
    if edges.size and edges.min() < 0:
        row = int(np.flatnonzero(edges.min(axis=1) < 0)[0])
        raise GraphError(f"{place_of(path, row)}: ids must not be negative, got {int(edges[row].min())}")
    if num_vertices is None:
        if len(edges) == 0:
            raise FileFormatError(f"{path}: must hold at least one edge where num_vertices is not given")
        ids, numbers = np.unique(edges, return_inverse=True)
        num_vertices, edges = len(ids), numbers.reshape(edges.shape)
    try:
        return Graph.from_edges(num_vertices, edges[:, 0], edges[:, 1], undirected=undirected, name=bare_name(path))
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from None


def bare_name(path: Path) -> str:
    """Return a file's name without its ending, and without .gz."""
    return Path(path.name.removesuffix(".gz")).stem


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, behind a byte-order mark, and decompress gzip whatever its name.

    Raise FileFormatError if it is damaged.
    """
    try:
        with file_path(path).open("rb") as file:
            zipped = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            if zipped:
                with gzip.open(file) as unzipped:
                    yield _behind_mark(unzipped)  # type: ignore[arg-type]
            else:
                yield _behind_mark(file)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (EOFError, zlib.error, ValueError) as error:
        if isinstance(error, GnnSchedError):
            raise
        raise FileFormatError(f"{path}: is incomplete or damaged: {error}") from None


def _behind_mark(file: BinaryIO) -> BinaryIO:
    """Return a file as it is at its start, or behind the byte-order mark that it starts with."""
    if file.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
        file.seek(0)
    return file


def file_start(path: Path) -> bytes:
    """Return the first bytes of a file, decompressed, without a byte-order mark."""
    with open_binary(path) as file:
        return file.read(64)


def _tu_prefix(folder: Path) -> Path:
    """Return folder/NAME, where NAME_A.txt is the only file of its kind."""
    found = sorted(folder.glob("*_A.txt"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise FileFormatError(f"{folder}: a TU folder must hold exactly one file *_A.txt, found: {names}")
    return folder / found[0].name.removesuffix("_A.txt")


def _sibling(prefix: Path, part: str) -> Path:
    return prefix.with_name(f"{prefix.name}_{part}.txt")


def _graph_pointers(path: Path, owners: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(owners) == 0:
        raise GraphError(f"{path}: must name the graph of at least one vertex, got an empty file")
    steps = np.diff(owners, prepend=-1 if owners[0] == 0 else owners[0] - 2)
    wrong = np.flatnonzero((steps < 0) | (steps > 1))
    if len(wrong):
        at = int(wrong[0])
        before = f" after {owners[at - 1] + 1}" if at else ""
        raise GraphError(
            f"{place_of(path, at)}: graph ids must count up from 1 without a gap, got {owners[at] + 1}{before} for "
            f"vertex {at + 1}"
        )
    counts: NDArray[np.int64] = np.bincount(owners)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _tu_edges(path: Path, owners: NDArray[np.int64]) -> NDArray[np.int64]:
    edges = _table(path, columns=2) - 1
    if len(edges) and (edges.min() < 0 or edges.max() >= len(owners)):
        row, column = np.argwhere((edges < 0) | (edges >= len(owners)))[0]
        raise GraphError(
            f"{place_of(path, row)}: vertex ids must lie in 1..{len(owners)}, got {edges[row, column] + 1}"
        )
    ends = owners[edges]
    split = np.flatnonzero(ends[:, 0] != ends[:, 1])
    if len(split):
        source, target = edges[split[0]] + 1
        raise GraphError(f"{place_of(path, int(split[0]))}: an edge must stay in its graph, got {source},{target}")
    return edges


def _optional_labels(path: Path, expected: int) -> NDArray[np.int64] | None:
    if not path.exists():
        return None
    labels = _column(path)
    if len(labels) != expected:
        raise FileFormatError(f"{path}: must hold {expected} lines, got {len(labels)}")
    return labels


def _column(path: Path) -> NDArray[np.int64]:
    return _table(path, columns=1)[:, 0]


def _distinct(labels: NDArray[np.int64]) -> int:
    return len(np.unique(labels))


def _table(path: Path, *, columns: int) -> NDArray[np.int64]:
    """Read the first columns of a text file of integers as int64 [rows, columns]; an empty file has no rows."""
    delimiter = _delimiter(path)
    with open_binary(path) as file:
        lines = io.TextIOWrapper(file, encoding="utf-8")
        try:
            table = read_integers(lines, columns, delimiter=delimiter)
        except (ValueError, OverflowError) as error:
            place, rule = bad_line(path, columns, delimiter=delimiter) or (str(path), str(error))
            raise FileFormatError(f"{place}: must hold {columns} integers per line: {rule}") from None
    if table.size and not -LARGEST_ID <= table.min() <= table.max() <= 2**62:
        row, column = np.argwhere((table < -LARGEST_ID) | (table > 2**62))[0]
        raise FileFormatError(
            f"{place_of(path, row)}: integers must lie in {-LARGEST_ID}..2^62, got {table[row, column]}"
        )
    return table.reshape(-1, columns)


def read_integers(lines: Iterable[str], columns: int, *, delimiter: str | None = None) -> NDArray[np.int64]:
    """Read the first columns of lines of text as int64 [rows, columns]; raise ValueError or OverflowError."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input contained no data")
        table: NDArray[np.int64] = np.loadtxt(
            lines, np.int64, comments=list(COMMENT_MARKS), delimiter=delimiter, usecols=range(columns), ndmin=2
        )
    return table.reshape(-1, columns)


def place_of(path: Path, row: int) -> str:
    """Return the file and the line, as editors count, of a row of data, from 0.

    Comments and empty lines are no rows.
    """
    line = next((number for k, (number, _) in enumerate(_data_lines(path)) if k == row), None)
    return str(path) if line is None else f"{path}, line {line}"


def bad_line(path: Path, columns: int, *, delimiter: str | None = None, skipped: int = 0) -> tuple[str, str] | None:
    """Return the place of the first line that does not begin with so many integers, and what it has instead.

    The first `skipped` rows are of another form. None where every line is good.
    """
    for number, text in islice(_data_lines(path), skipped, None):
        fields = [field.strip() for field in text.split(delimiter)]
        for column, field in enumerate(fields[:columns], start=1):
            if not _INTEGER.fullmatch(field) or not -(2**63) <= int(field) < 2**63:
                return f"{path}, line {number}, column {column}", f"got {shown(field)}"
        if len(fields) < columns:
            return f"{path}, line {number}", f"got {len(fields)}"
    return None


def _data_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line that holds data."""
    with open_binary(path) as file:
        for number, line in enumerate(io.TextIOWrapper(file, encoding="utf-8", errors="replace"), start=1):
            if text := _COMMENT.split(line, maxsplit=1)[0].strip():
                yield number, text


def _delimiter(path: Path) -> str | None:
    """Return a comma if the first line of data has one, else None for blanks."""
    first = next(_data_lines(path), None)
    return "," if first is not None and "," in first[1] else None
