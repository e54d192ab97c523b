import gzip
import pickle
import sys
import zipfile

import networkx
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError, FileFormatError, GnnSchedError, GraphError
from gnnsched_env.graphs import EXAMPLES, Graph, GraphSet, graph_file, load_graph_set
from gnnsched_env.graphs.generators import molecule_graph
from tests.twins.graphs import rows_of

WIDTHS = {"num_features": 5, "num_classes": 2}
GRAPH = Graph.from_edges(5, [0, 1, 2, 3], [1, 2, 0, 3])  # a triangle, a loop and a lone vertex


def write_matrix_market(path):
    scipy.io.mmwrite(path, GRAPH.to_scipy().astype(float))


WRITERS = {
    ".mtx": write_matrix_market,
    ".npz": lambda path: scipy.sparse.save_npz(path, GRAPH.to_scipy()),
    ".graphml": lambda path: networkx.write_graphml(GRAPH.to_networkx(), path),
    ".gml": lambda path: networkx.write_gml(GRAPH.to_networkx(), path),
    ".adjlist": lambda path: networkx.write_adjlist(GRAPH.to_networkx(), path),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_holds_the_same_graph(tmp_path, ending, zipped):
    path = tmp_path / f"toy{ending}"
    WRITERS[ending](path)
    if zipped:
        if ending == ".npz":
            pytest.skip("npz files are compressed already")
        packed = tmp_path / f"toy{ending}.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    graphs = load_graph_set(path, **WIDTHS)
    assert (graphs.name, len(graphs), graphs.num_features, graphs.num_classes) == ("toy", 1, 5, 2)
    assert graphs[0].digest() == GRAPH.digest()
    with pytest.raises(ConfigError, match="--features and --classes"):
        load_graph_set(path)


@pytest.mark.parametrize("ending", WRITERS)
def test_a_damaged_file_is_refused_or_holds_a_graph(tmp_path, ending):
    path = tmp_path / f"toy{ending}"
    WRITERS[ending](path)
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        for changed in (data[:at], data[:at] + bytes([data[at] ^ 0x15]) + data[at + 1 :]):
            path.write_bytes(changed)
            try:
                load_graph_set(path, **WIDTHS)
            except GnnSchedError as error:
                assert "toy" in str(error)


def test_direction_and_weights_play_no_part(tmp_path):
    path = tmp_path / "toy.mtx"
    path.write_text("%%MatrixMarket matrix coordinate real general\n3 3 3\n1 2 0.5\n1 2 7\n3 3 0\n")
    assert rows_of(load_graph_set(path, **WIDTHS)[0]) == [[1], [0], [2]]
    directed = networkx.DiGraph([(0, 1), (1, 0), (1, 2)])
    networkx.write_graphml(directed, tmp_path / "toy.graphml")
    assert rows_of(load_graph_set(tmp_path / "toy.graphml", **WIDTHS)[0]) == [[1], [0, 2], [1]]


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("toy.mtx", "%%MatrixMarket matrix coordinate pattern general\n2 3 1\n1 2\n", GraphError, "must be square"),
        ("toy.mtx", "%%MatrixMarket matrix array real general\n1 1\n1\n", FileFormatError, "must be a sparse"),
        (
            "toy.mtx",
            "%%MatrixMarket matrix coordinate pattern general\n2 2 1\n1\n",
            FileFormatError,
            "toy.mtx, line 3: must hold 2",
        ),
        ("toy.mtx", "1 2\n", FileFormatError, "MatrixMarket"),
        ("toy.graphml", "<graphml", FileFormatError, "networkx cannot read it as graphml"),
        ("toy.gml", "graph [", FileFormatError, "networkx cannot read it as gml"),
        ("toy.doc", "hello", FileFormatError, "ends in none of"),
        ("toy", "hello", FileFormatError, "ends in none of"),
    ],
)
def test_files_that_are_no_graph_are_refused(tmp_path, name, text, error, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(error, match=message) as caught:
        load_graph_set(path, **WIDTHS)
    assert str(path) in str(caught.value)


class Bomb:
    def __reduce__(self):
        return sys.exit, (13,)


@pytest.mark.parametrize("name", ["g.pkl", "g.gpickle", "g.pt", "g.txt", "g.csv.gz", "g.npz"])
@pytest.mark.parametrize("protocol", [0, 5])
def test_pickles_are_refused_unread(tmp_path, name, protocol):
    if protocol == 0 and not name.endswith(("kl", "le", ".pt")):
        pytest.skip("a pickle of protocol 0 is text, told by its name only")
    path = tmp_path / name
    data = pickle.dumps(Bomb(), protocol=protocol)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    with pytest.raises(FileFormatError, match=r"is a pickle.*save"):
        load_graph_set(path, **WIDTHS)


def test_pickles_inside_archives_are_refused_unread(tmp_path):
    path = tmp_path / "torch.npz"  # what torch.save writes is a zip archive
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    with pytest.raises(FileFormatError, match="is a pickle"):
        load_graph_set(path, **WIDTHS)
    arrays = {"format": "csr", "shape": (1, 1), "data": [1], "indices": [0], "indptr": np.array([Bomb()])}
    np.savez(path, **arrays)
    with pytest.raises(FileFormatError, match=r"array 'indptr' is pickled; only plain arrays are read"):
        load_graph_set(path, **WIDTHS)


@pytest.mark.parametrize(
    ("indices", "indptr"), [([1, 0], [0, 2**40, 2]), ([1, 0], [0, 2, 1]), ([1, 5], [0, 1, 2]), ([1, -5], [0, 1, 2])]
)
def test_a_scipy_file_with_bad_pointers_is_refused(tmp_path, indices, indptr):
    path = tmp_path / "toy.npz"
    np.savez(path, format="csr", shape=(2, 2), data=[1, 1], indices=indices, indptr=indptr)
    with pytest.raises((FileFormatError, GraphError), match="toy"):
        load_graph_set(path, **WIDTHS)


@given(st.integers(1, 9), st.integers(0, 30), st.booleans(), st.integers(0, 10_000))
def test_from_scipy_agrees_with_from_edges(vertices, edges, undirected, seed):
    rng = np.random.default_rng(seed)
    sources, targets = rng.integers(0, vertices, (2, edges))
    values = rng.integers(0, 2, edges)  # a stored zero is an entry
    matrix = scipy.sparse.coo_array((values, (sources, targets)), shape=(vertices, vertices))
    expected = Graph.from_edges(vertices, sources, targets, undirected=undirected, name="toy")
    for form in (matrix, matrix.tocsr(), matrix.tocsc(), scipy.sparse.coo_matrix(matrix).tobsr((1, 1))):
        found = Graph.from_scipy(form, undirected=undirected, name="toy")
        assert (found.digest(), found.name) == (expected.digest(), "toy")
    assert Graph.from_scipy(expected.to_scipy(), undirected=undirected).digest() == expected.digest()


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(2), r"must be a scipy\.sparse matrix or array, got ndarray"),
        (scipy.sparse.csr_array((2, 3)), r"must be square.*got \(2, 3\)"),
        (scipy.sparse.csr_array((0, 0)), "num_vertices must be an integer of at least 1"),
    ],
)
def test_bad_matrices_are_refused(matrix, message):
    with pytest.raises(GraphError, match=message):
        Graph.from_scipy(matrix)


def test_a_matrix_with_bad_pointers_is_refused():
    matrix = scipy.sparse.csr_array(np.eye(3))
    matrix.indptr[1] = 2**30
    with pytest.raises(GraphError, match="matrix is malformed"):
        Graph.from_scipy(matrix)


class Tensor:
    """What torch's tensors have that is used, on another device: numpy cannot take them as they are."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.detached = self.home = False

    def detach(self):
        copy = Tensor(self.values)
        copy.detached = True
        return copy

    def cpu(self):
        copy = Tensor(self.values)
        copy.detached, copy.home = self.detached, True
        return copy

    def __array__(self, dtype=None, copy=None):
        assert self.detached
        assert self.home
        return self.values


class DglGraph:
    """A stand-in for dgl.DGLGraph with the calls that its documentation gives: edges, num_nodes, is_homogeneous."""

    def __init__(self, sources, targets, vertices, *, homogeneous=True):
        self._ends = Tensor(sources), Tensor(targets)
        self._vertices = vertices
        self.is_homogeneous = homogeneous
        self.ndata = {}

    def edges(self, form="uv", order="eid", etype=None):
        assert (form, order) == ("uv", "eid")
        return self._ends

    def num_nodes(self, ntype=None):
        return self._vertices


def test_from_dgl():
    graph = DglGraph([0, 1, 1, 2, 2], [1, 0, 2, 2, 2], 4)
    assert rows_of(Graph.from_dgl(graph, name="toy")) == [[1], [0, 2], [1, 2], []]
    assert rows_of(Graph.from_dgl(graph, undirected=False)) == [[1], [0, 2], [2], []]
    with pytest.raises(GraphError, match="one type of node"):
        Graph.from_dgl(DglGraph([], [], 1, homogeneous=False))
    with pytest.raises(GraphError, match=r"targets must lie in 0\.\.1, got 7"):
        Graph.from_dgl(DglGraph([0], [7], 2))


def test_from_pyg():
    torch = pytest.importorskip("torch", reason="needs the extra `gnn`")
    data = pytest.importorskip("torch_geometric.data", reason="needs the extra `gnn`")
    graph = data.Data(edge_index=torch.tensor([[0, 1, 1, 2, 2], [1, 0, 2, 2, 2]]), num_nodes=4)
    assert rows_of(Graph.from_pyg(graph, name="toy")) == [[1], [0, 2], [1, 2], []]
    assert rows_of(Graph.from_pyg(graph, undirected=False)) == [[1], [0, 2], [2], []]
    with pytest.raises(GraphError, match="must be homogeneous and have edge_index, got HeteroData"):
        Graph.from_pyg(data.HeteroData())
    with pytest.raises(GraphError, match=r"edge_index must have shape \[2, E\], got \(3, 2\)"):
        Graph.from_pyg(data.Data(edge_index=torch.zeros(3, 2, dtype=torch.long), num_nodes=4))
    with pytest.raises(GraphError, match="one-dimensional array of integers"):
        Graph.from_pyg(data.Data(edge_index=torch.zeros(2, 3), num_nodes=4))


EXAMPLE_SOURCES = {"karate": networkx.karate_club_graph, "southern_women": networkx.davis_southern_women_graph}


def test_the_examples_are_networkxs():
    assert sorted(EXAMPLES) == sorted(EXAMPLE_SOURCES)
    for name, source in EXAMPLE_SOURCES.items():
        graphs, expected = load_graph_set(name), Graph.from_networkx(source())
        assert (graphs.name, len(graphs), graphs[0].digest()) == (name, 1, expected.digest())
        assert (graphs.num_features, graphs.num_classes) == (expected.num_vertices, 2)
    assert load_graph_set("karate", num_features=9).num_features == 9


def test_a_file_of_an_examples_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert graph_file("karate") == EXAMPLES["karate"]
    graph = molecule_graph(np.random.default_rng(0), 9)
    GraphSet.from_graphs([graph], name="mine", **WIDTHS).save("karate")
    assert load_graph_set("karate").digest() != load_graph_set(EXAMPLES["karate"]).digest()
    with pytest.raises(FileFormatError, match="No such file or directory; did you mean 'southern_women'"):
        load_graph_set("southern_woman")
