import sys

from gnnsched_cli import graphs as describe_graphs
from gnnsched_env.graphs import Graph, GraphSet


def test_one_row_for_each_set_and_family(tmp_path, monkeypatch, capsys):
    path = tmp_path / "triangle.npz"
    GraphSet.from_graphs(
        [Graph.from_edges(3, [0, 1, 2], [1, 2, 0])], name="triangle", num_features=1, num_classes=1
    ).save(path)
    monkeypatch.setattr(sys, "argv", ["describe_graphs", str(path), "--count", "2"])
    describe_graphs.main()
    rows = capsys.readouterr().out.splitlines()
    assert rows[2] == "| triangle | 1 | 3.0 | 3.0 | 2.00 | 2 | 1.000 |"
    assert [row.split("`")[1] for row in rows[3:]] == ["molecule", "ego", "rmat", "citation"]
