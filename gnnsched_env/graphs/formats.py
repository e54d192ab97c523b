"""Load graph files: detect a file's format, and read the formats that scipy and networkx support."""

import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import numpy as np

from gnnsched_env.common.errors import ConfigError, FileFormatError, GraphError, did_you_mean
from gnnsched_env.common.files import file_path, read_npz, reading
from gnnsched_env.graphs.graph import Graph
from gnnsched_env.graphs.graph_set import GraphSet
from gnnsched_env.graphs.loaders import (
    MATRIX_MARKET_BANNER,
    bad_line,
    bare_name,
    file_start,
    load_edge_list,
    load_tu_folder,
    open_binary,
    place_of,
    read_integers,
)

EXAMPLES = MappingProxyType({path.stem: path for path in sorted((Path(__file__).parent / "examples").glob("*.npz"))})
"""The graphs that come with the package, by name (sources and licence: `examples/README.md`)."""

EDGE_LIST_ENDINGS = (".txt", ".csv", ".tsv", ".edges", ".edgelist", ".el")
PICKLE_ENDINGS = (".pkl", ".pickle", ".gpickle", ".pt", ".pth", ".joblib")

FIELDS = ("real", "double", "integer", "complex", "pattern", "unsigned-integer")  # of a MatrixMarket file
SYMMETRIES = ("general", "symmetric", "skew-symmetric", "hermitian")

_ZIP_MAGIC = b"PK"
_PICKLE_MAGIC = b"\x80"  # of protocol 2 and above


def graph_file(path: str | Path) -> Path:
    """Return the path of a graph file, or of a shipped example ("karate") if no file has that name."""
    path = file_path(path, "a graph file")
    return path if path.exists() else EXAMPLES.get(str(path), path)


def load_graph_set(
    path: str | Path,
    *,
    num_features: int | None = None,
    num_classes: int | None = None,
    num_vertices: int | None = None,
) -> GraphSet:
    """Read the graphs of a file, of a TU folder, or of a shipped example, by its name; a file may be gzipped.

    An npz file and a TU folder hold the widths F and G of their learning task, which `num_features` and `num_classes`
    replace; every other format holds one graph and needs both: an edge list, MatrixMarket (.mtx), a matrix that
    scipy.sparse.save_npz wrote (.npz), and networkx's GraphML, GML and adjacency list (.graphml .gml .adjlist).
    Every edge counts in both directions. `num_vertices` keeps an edge list's ids, as in `load_edge_list`. Pickles are
    refused. Raise FileFormatError for what cannot be read, GraphError for a malformed graph, ConfigError for widths
    that are missing.
    """
    path = graph_file(path)
    if not path.exists():
        hint = did_you_mean(path, EXAMPLES) or f"; the examples that come with the package are {', '.join(EXAMPLES)}"
        raise FileFormatError(f"{path}: cannot be read: No such file or directory{hint}")
    if path.is_dir():
        return load_tu_folder(path, num_features=num_features, num_classes=num_classes)
    read = _reader(path)
    if read is None:
        return GraphSet.load(path).with_widths(num_features, num_classes)
    if num_features is None or num_classes is None:
        raise ConfigError(
            f"{path}: this format gives neither the number of vertex features nor of classes: --features and "
            "--classes are required (gnnsched graphs convert, which has these options, writes a file that holds both)"
        )
    if num_vertices is not None and read is not load_edge_list:
        raise ConfigError(f"{path}: a number of vertices (--vertices) can be given for an edge list only")
    graph = load_edge_list(path, num_vertices=num_vertices) if read is load_edge_list else read(path)
    return GraphSet.from_graphs([graph], name=bare_name(path), num_features=num_features, num_classes=num_classes)


def _reader(path: Path) -> Callable[[Path], Graph] | None:
    """Return the function that reads the file as one graph, or None for an npz graph set or an unknown format."""
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    start = file_start(path)
    members = _members(path) if start.startswith(_ZIP_MAGIC) else ()
    pickled = start.startswith(_PICKLE_MAGIC) or any(name.endswith("data.pkl") for name in members)
    if pickled or ending in PICKLE_ENDINGS:
        raise FileFormatError(
            f"{path}: is a pickle, which is refused: reading it would run whatever code it holds; in the program that "
            "wrote it, make a Graph (from_networkx, from_pyg, from_dgl, from_scipy) and save that: "
            "GraphSet.from_graphs([graph], name=..., num_features=..., num_classes=...).save('graph.npz')"
        )
    if start.lower().startswith(MATRIX_MARKET_BANNER):
        return _read_matrix_market
    if "format.npy" in members and "graph_ptr.npy" not in members:
        return _read_scipy
    if ending == ".npz" or members:
        return None
    if ending not in _BY_ENDING:
        known = ", ".join((".npz", *_BY_ENDING))
        raise FileFormatError(f"{path}: ends in none of {known} (.gz may follow), and is no folder")
    return _BY_ENDING[ending]


def _members(path: Path) -> tuple[str, ...]:
    """Return the member names of an archive, or none if it is damaged (the reader then raises the error)."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist())
    except Exception:  # what zipfile raises for damage is no closed list
        return ()


def _read_matrix_market(path: Path) -> Graph:
    """Read the pattern of a sparse matrix (Boisvert et al. 1996, "The Matrix Market exchange formats").

    scipy's own reader ends the process at some damaged files.
    """
    with open_binary(path) as file:
        lines = io.TextIOWrapper(file, encoding="utf-8")
        try:
            banner = lines.readline().lower().split()
            _check_banner(path, banner)
            size = next((line for line in lines if line.strip() and not line.startswith("%")), "").split()
            if len(size) != 3 or not all(word.isascii() and word.isdigit() and len(word) < 19 for word in size):
                raise FileFormatError(f"{path}: must give rows, columns and entries as integers, got {size!r:.100}")
            rows, columns, count = map(int, size)
            table = read_integers(lines, 2)
        except (ValueError, OverflowError) as error:
            if isinstance(error, FileFormatError):
                raise
            place, rule = bad_line(path, 2, skipped=1) or (str(path), str(error))
            raise FileFormatError(f"{place}: must hold 2 integers in this MatrixMarket file: {rule}") from None
    if rows != columns:
        raise GraphError(f"{path}: matrix must be square, a row and a column for each vertex, got {(rows, columns)}")
    if len(table) != count:
        raise FileFormatError(f"{path}: must have {count:,} entries, as its size says, got {len(table):,}")
    outside = np.argwhere((table < 1) | (table > rows))
    if len(outside):
        row, column = outside[0]
        raise GraphError(f"{place_of(path, row + 1)}: vertices must lie in 1..{rows}, got {table[row, column]}")
    try:
        return Graph.from_edges(rows, table[:, 0] - 1, table[:, 1] - 1, name=bare_name(path))
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from None


def _check_banner(path: Path, words: list[str]) -> None:
    """Raise FileFormatError unless a file's first line announces a sparse matrix."""
    if len(words) != 5 or words[1] != "matrix" or words[3] not in FIELDS or words[4] not in SYMMETRIES:
        raise FileFormatError(f"{path}: is no valid MatrixMarket file: its first line is {' '.join(words)!r:.100}")
    if words[2] != "coordinate":
        raise FileFormatError(f"{path}: must be a sparse MatrixMarket file (coordinate), got a dense one ({words[2]})")


def _read_scipy(path: Path) -> Graph:
    from scipy.sparse import load_npz

    read_npz(path)  # scipy does not verify the checksums
    with reading(str(path), "the matrix of scipy.sparse.save_npz"):
        matrix = load_npz(path)  # by np.load without pickles
    return _from_scipy(path, matrix)


def _from_scipy(path: Path, matrix: object) -> Graph:
    try:
        return Graph.from_scipy(matrix, name=bare_name(path))  # type: ignore[arg-type]
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from None


def _read_networkx(path: Path) -> Graph:
    import networkx

    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    with open_binary(path) as file:
        try:
            if ending == ".gml":
                found = networkx.read_gml(file, label="id")
            else:
                found = (networkx.read_graphml if ending == ".graphml" else networkx.read_adjlist)(file)
        except (OSError, EOFError, zlib.error):
            raise  # of gzip
        except Exception as error:  # what networkx raises for damage is no closed list
            reason = " ".join(str(error).split()) or type(error).__name__
            raise FileFormatError(f"{path}: networkx cannot read it as {ending[1:]}: {reason}") from None
    try:
        return Graph.from_networkx(found, undirected=True)
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from None


_BY_ENDING: dict[str, Callable[[Path], Graph]] = {
    **dict.fromkeys(EDGE_LIST_ENDINGS, load_edge_list),
    ".mtx": _read_matrix_market,
    **dict.fromkeys((".graphml", ".gml", ".adjlist"), _read_networkx),
}
