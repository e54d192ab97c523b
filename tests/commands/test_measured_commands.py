"""Measuring and scoring measured latencies from the command line."""

import json
import sys

import numpy as np
import pytest

from gnnsched_cli.main import main
from gnnsched_env.graphs import Graph, GraphSet
from scripts.studies import measure_cpu


def write_set(path, count=8):
    rng = np.random.default_rng(count)
    sizes = rng.integers(4, 60, size=count)
    graphs = [Graph.from_edges(s, rng.integers(s, size=2 * s), rng.integers(s, size=2 * s)) for s in sizes.tolist()]
    GraphSet.from_graphs(graphs, name=path.stem, num_features=6, num_classes=2).save(path)
    return path


def score_measured(words):
    return main(["score-measured", *words])


def call(command, *arguments):
    return command([str(argument) for argument in arguments])


def test_measure_resume_and_score(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.setattr(measure_cpu, "ENOUGH_SECONDS", 0.0005)
    monkeypatch.setattr(
        measure_cpu, "write_synthetic_sets", lambda folder, seed: [write_set(tmp_path / "synthetic_a.npz", 6)]
    )
    graphs, out = write_set(tmp_path / "A.npz"), tmp_path / "cpu.csv"
    options = "--graphs", graphs, "--samples", 3, "--synthetic", 12, "--out", out
    assert call(measure_cpu.main, *options) == 0
    first = out.read_text()
    assert first.count("\n") == 1 + 3 * (6 + 12)
    assert call(measure_cpu.main, *options) == 0
    assert out.read_text() == first  # nothing is measured again
    assert "noise floor" in capsys.readouterr().out
    scores = tmp_path / "scores.json"
    assert call(score_measured, "--csv", out, "--json", scores) == 0
    records = json.loads(scores.read_text())["records"]
    assert [(record["graphs"], record["training"]) for record in records] == [
        (["A"], "synthetic"),
        (["A"], "all other sets"),
    ]
    assert all(0 <= record["accuracy"] <= 100 and record["repeat_mape"] > 0 for record in records)
    printed = capsys.readouterr().out
    assert "noise floor" in printed and "csr_spmm" in printed


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (score_measured, ["--csv", "none.csv"], "none.csv"),
        (score_measured, ["--csv", "bad.csv"], "bad.csv, line 2, column microseconds"),
        (score_measured, ["--csv", "good.csv", "--synthetic", "B"], "must be among A, got 'B'"),
        (score_measured, ["--csv", "good.csv", "--json", "."], "must be a file"),
        (measure_cpu.main, ["--out", "x.csv", "--synthetic", "0"], "--graphs: needs at least one graph file"),
        (measure_cpu.main, ["--out", "x.csv", "--synthetic", "0", "--graphs", "none.npz"], "none.npz"),
        (measure_cpu.main, ["--out", "x.csv", "--samples", "0"], "--samples must be at least 1, got 0"),
        (measure_cpu.main, ["--out", "x.csv", "--synthetic", "-1"], "--synthetic must be at least 0, got -1"),
    ],
)
def test_bad_input_is_one_line_and_status_2(command, arguments, message, tmp_path, monkeypatch, capsys):
    write_set(tmp_path / "A.npz")
    (tmp_path / "bad.csv").write_text("graph_file,choice,microseconds\nA.npz,x,-3\n")
    (tmp_path / "good.csv").write_text("graph_file,choice,microseconds\nA.npz,x,3\n")
    monkeypatch.chdir(tmp_path)
    assert call(command, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert message in captured.err and captured.out == ""
    assert not (tmp_path / "x.csv").exists()


class NoTorch:
    """An importer that has no torch."""

    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")


def test_without_torch_the_extra_is_named(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.delitem(sys.modules, "torch", raising=False)  # None there is what the parser of arguments stumbles on
    monkeypatch.setattr(sys, "meta_path", [NoTorch(), *sys.meta_path])
    graphs = write_set(tmp_path / "A.npz")
    assert call(measure_cpu.main, "--graphs", graphs, "--synthetic", 0, "--out", tmp_path / "x.csv") == 2
    assert "pip install 'gnnsched-env[gnn]'" in capsys.readouterr().err
