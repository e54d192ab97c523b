import gzip

import numpy as np
import pytest

from gnnsched_cli.main import main
from gnnsched_env.graphs import EXAMPLES, Graph, GraphSet
from tests.twins.graphs import rows_of


def test_describe_prints_one_row_for_each_set_and_family(tmp_path, capsys):
    path = tmp_path / "triangle.npz"
    GraphSet.from_graphs(
        [Graph.from_edges(3, [0, 1, 2], [1, 2, 0])], name="triangle", num_features=1, num_classes=1
    ).save(path)
    assert main(["graphs", "describe", str(path), "karate", "--count", "2"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[2] == "| triangle | 1 | 3.0 | 3.0 | 2.00 | 2 | 1.000 |"
    assert rows[3] == "| karate | 1 | 34.0 | 78.0 | 4.59 | 17 | 0.571 |"
    assert [row.split("`")[1] for row in rows[4:]] == ["molecule", "ego", "rmat", "citation"]


def test_get_copies_an_example(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["graphs", "get", "karate"]) == 0
    assert capsys.readouterr().out == (
        "karate.npz: 1 graph, 34 vertices, 156 stored edges, F = 34 features, G = 2 classes\n"
    )
    assert GraphSet.load("karate.npz").digest() == GraphSet.load(EXAMPLES["karate"]).digest()
    assert main(["graphs", "get", "karate", "--out", "wide.npz", "--features", "9"]) == 0
    assert GraphSet.load("wide.npz").num_features == 9


def test_convert_writes_what_it_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roads.tsv.gz").write_bytes(gzip.compress(b"0\t2\n2\t3\n"))
    widths = ["--features", "5", "--classes", "2"]
    assert main(["graphs", "convert", "roads.tsv.gz", *widths, "--vertices", "5"]) == 0
    graphs = GraphSet.load("roads.npz")
    assert (rows_of(graphs[0]), graphs.num_features, graphs.num_classes) == ([[2], [], [0, 3], [2], []], 5, 2)
    np.savetxt("TOY_A.txt", [[1, 2]], fmt="%d", delimiter=",")
    np.savetxt("TOY_graph_indicator.txt", [1, 1], fmt="%d")
    assert main(["graphs", "convert", ".", "--out", "toy.npz"]) == 0
    assert len(GraphSet.load("toy.npz")) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["convert", "roads.csv"], "--features and --classes"),
        (["convert", "graph.pkl"], "is a pickle"),
        (["convert", "absent.mtx"], "No such file"),
        (["convert", "karate.npz"], "--out: must not be the file that is read"),
        (["get", "corra"], "did you mean 'cora'"),
        (["get", "karate", "--out", "."], "--out: must be a file, but . is a folder"),
        (["describe", "--count", "-1"], "--count must be at least 0, got -1"),
    ],
)
def test_bad_input_ends_in_one_line_and_status_2(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roads.csv").write_text("0,1\n")
    (tmp_path / "graph.pkl").write_bytes(b"\x80\x04.")
    GraphSet.load(EXAMPLES["karate"]).save(tmp_path / "karate.npz")
    assert main(["graphs", *words]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
