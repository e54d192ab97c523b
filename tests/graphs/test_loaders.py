import gzip

import numpy as np
import pytest

from gnnsched_env.common.errors import FileFormatError, GraphError
from gnnsched_env.graphs import GraphSet, load_edge_list, load_graph_set, load_tu_folder
from tests.twins.graphs import rows_of

# Two graphs: a triangle with a tail, and a single edge beside a lone vertex.
FILES = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n1, 3\n3, 1\n3, 4\n4, 3\n5, 6\n6, 5\n",
    "graph_indicator": "1\n1\n1\n1\n2\n2\n2\n",
    "graph_labels": "1\n-1\n",
    "node_labels": "0\n0\n3\n1\n0\n0\n0\n",
}


@pytest.fixture
def folder(tmp_path):
    """Return a function that writes the toy TU folder with some files changed (None removes one)."""

    def write(**changes):
        path = tmp_path / "TOY"
        path.mkdir(exist_ok=True)
        for part, text in (FILES | changes).items():
            if text is not None:
                (path / f"TOY_{part}.txt").write_text(text)
        return path

    return write


def test_tu_folder(folder):
    graphs = load_graph_set(folder())
    assert graphs.name == "TOY"
    assert [rows_of(graph) for graph in graphs] == [[[1, 2], [0, 2], [0, 1, 3], [2]], [[1], [0], []]]
    assert (graphs.num_features, graphs.num_classes) == (3, 2)
    assert graphs.labels.tolist() == [1, 0]


def test_tu_folder_without_labels_uses_degrees_one_hot(folder):
    graphs = load_tu_folder(folder(graph_labels=None, node_labels=None))
    assert (graphs.num_features, graphs.num_classes, graphs.labels) == (4, 1, None)
    graphs = load_tu_folder(folder(), num_features=9, num_classes=5)
    assert (graphs.num_features, graphs.num_classes) == (9, 5)


def test_tu_folder_one_direction_and_no_edges(folder):
    graphs = load_tu_folder(folder(A="1,2\n2,3\n3,1\n4,3\n6,5\n"))
    assert graphs.digest() == load_tu_folder(folder()).digest()
    assert load_tu_folder(folder(A="")).indices.tolist() == []


@pytest.mark.parametrize("name", ["MUTAG", "ENZYMES"])
def test_a_real_set_survives_the_text_format(shared, tmp_path, name):
    graphs = GraphSet.load(shared / "graphs" / f"{name}.npz")
    owners = np.repeat(np.arange(len(graphs)), np.diff(graphs.graph_ptr))
    rows = np.repeat(np.arange(len(owners)), np.diff(graphs.indptr))
    edges = np.column_stack([rows, graphs.indices + graphs.graph_ptr[owners[rows]]]) + 1
    np.savetxt(tmp_path / f"{name}_A.txt", edges, fmt="%d", delimiter=", ")
    np.savetxt(tmp_path / f"{name}_graph_indicator.txt", owners + 1, fmt="%d")
    np.savetxt(tmp_path / f"{name}_graph_labels.txt", graphs.labels, fmt="%d")
    again = load_tu_folder(tmp_path, num_features=graphs.num_features)
    assert again.digest() == graphs.digest()
    assert again.labels.tolist() == graphs.labels.tolist()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"A": "1, 2\n4, 5\n"}, GraphError, r"_A\.txt, line 2: an edge must stay in its graph, got 4,5"),
        ({"A": "1, 8\n"}, GraphError, r"_A\.txt, line 1: vertex ids must lie in 1\.\.7, got 8"),
        ({"A": "0, 1\n"}, GraphError, r"vertex ids must lie in 1\.\.7, got 0"),
        ({"A": "1, x\n"}, FileFormatError, "must hold 2 integers per line"),
        ({"A": "1\n"}, FileFormatError, "must hold 2 integers per line"),
        ({"A": "1, 2.5\n"}, FileFormatError, "must hold 2 integers per line"),
        ({"graph_indicator": "1\n1\n1\n1\n2\n1\n2\n"}, GraphError, "line 6: .* got 1 after 2 for vertex 6"),
        ({"graph_indicator": "1\n1\n1\n1\n3\n3\n3\n"}, GraphError, "got 3 after 1 for vertex 5"),
        ({"graph_indicator": "2\n2\n2\n2\n2\n2\n2\n"}, GraphError, "got 2 for vertex 1"),
        ({"graph_indicator": ""}, GraphError, "got an empty file"),
        ({"graph_labels": "1\n"}, FileFormatError, "must hold 2 lines, got 1"),
        ({"A": None}, FileFormatError, r"exactly one file \*_A.txt, found: none"),
        ({"graph_indicator": None}, FileFormatError, "cannot be read"),
    ],
)
def test_a_bad_tu_folder_is_refused(folder, changes, error, message):
    path = folder(**changes)
    with pytest.raises(error, match=message) as caught:
        load_tu_folder(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "10 20\n20 30\n",
        "# ids\n% more\n10,20\n20,30\n",
        "10\t20\t0.5\n20\t30\t0.1\n\n",
        "20 10\n30 20\n10 20\n",
        "\ufeff10,20\n20,30\n",
    ],
)
def test_edge_list(tmp_path, text):
    path = tmp_path / "toy.txt"
    path.write_text(text, encoding="utf-8")
    graph = load_edge_list(path)
    assert rows_of(graph) == [[1], [0, 2], [1]]
    assert graph.name == "toy"


def test_a_gzipped_edge_list(tmp_path):
    path = tmp_path / "toy.csv.gz"
    packed = gzip.compress(b"10,20\n20,30\n" * 100)
    path.write_bytes(packed)
    graph = load_edge_list(path)
    assert (graph.name, rows_of(graph)) == ("toy", [[1], [0, 2], [1]])
    path.write_bytes(packed[:-8])
    with pytest.raises(FileFormatError, match="is incomplete or damaged"):
        load_edge_list(path)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.txt", "1 2\nx 3\n", "line 5, column 1: must hold 2 integers per line: got 'x'"),
        ("a.txt", "1 2\n3\n", "line 5: must hold 2 integers per line: got 1"),
        ("a.txt", "1 2\n3 99999999999999999999\n", "line 5, column 2: .*: got '99999999999999999999'"),
        ("a.txt", "1 2 # fine\n% 7\n3 4.5\n", "line 6, column 2: .*: got '4.5'"),
        ("a.csv", "1,2\n3,\n", "line 5, column 2: .*: got ''"),
        ("a.txt", "1 2\n3 -4\n", "line 5: ids must not be negative, got -4"),
        ("a.txt", "1 2\n3 9000000000000000000\n", "line 5: integers must lie in .*, got 9000000000000000000"),
        ("a.mtx", "3 3 2\n1 2\n3 x\n", "line 6, column 2: .* got 'x'"),
        ("a.mtx", "3 3 2\n1 2\n3 4\n", r"line 6: vertices must lie in 1\.\.3, got 4"),
    ],
)
def test_a_fault_is_placed_by_the_line_that_an_editor_shows(tmp_path, name, data, said):
    path = tmp_path / name
    first = "%%MatrixMarket matrix coordinate pattern general" if name == "a.mtx" else "# a"
    path.write_text(f"{first}\n\n% b\n{data}")
    with pytest.raises((FileFormatError, GraphError), match=rf"{name}, {said}") as caught:
        load_graph_set(path, num_features=2, num_classes=2)
    assert " row " not in str(caught.value)


def test_edge_list_with_ids_kept(tmp_path):
    path = tmp_path / "toy.txt"
    path.write_text("0 2\n")
    assert rows_of(load_edge_list(path, num_vertices=4, undirected=False)) == [[2], [], [], []]
    path.write_text("0 4\n")
    with pytest.raises(GraphError, match=r"toy.txt: .*targets must lie in 0\.\.3, got 4"):
        load_edge_list(path, num_vertices=4)


@pytest.mark.parametrize(
    ("text", "message"), [("", "at least one edge"), ("a b\n", "2 integers per"), ("1 2\n3\n", "2 integers per")]
)
def test_a_bad_edge_list_is_refused(tmp_path, text, message):
    path = tmp_path / "toy.txt"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        load_edge_list(path)
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_edge_list(tmp_path / "absent.txt")


@pytest.mark.parametrize("num_vertices", [None, 4])
def test_negative_ids_are_refused(tmp_path, num_vertices):
    path = tmp_path / "toy.txt"
    path.write_text("0 1\n-1 2\n")
    with pytest.raises(GraphError, match="ids must not be negative, got -1"):
        load_edge_list(path, num_vertices=num_vertices)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_matrix_market_is_no_edge_list(tmp_path, pack):
    path = tmp_path / "toy.mtx"
    path.write_bytes(pack(b"%%MatrixMarket matrix coordinate pattern general\n3 3 1\n1 2\n"))
    with pytest.raises(FileFormatError, match=r"toy\.mtx: is in MatrixMarket's format"):
        load_edge_list(path)
