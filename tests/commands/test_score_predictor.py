"""The predictor scores' command line: in process where it can be, once as a user runs it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from gnnsched_cli.main import main
from gnnsched_env.graphs import Graph, GraphSet


def write_set(path, count=6, seed=0):
    rng = np.random.default_rng(seed)
    graphs = [Graph.from_edges(9, rng.integers(9, size=14), rng.integers(9, size=14)) for _ in range(count)]
    GraphSet.from_graphs(graphs, name=path.stem, num_features=6, num_classes=2).save(path)
    return path


def run(*arguments):
    return main(["score-predictor", *map(str, arguments)])


def test_records_and_table(tmp_path, capsys):
    first, second = write_set(tmp_path / "A.npz"), write_set(tmp_path / "B.npz", count=1, seed=1)
    out = tmp_path / "deep" / "out.json"
    options = "--predictor", "exact", "--graphs", first, second, "--samples", "5", "--confusion", "--json", out
    assert run(*options) == 0
    content = json.loads(out.read_text())
    keys = [(record["graphs"], record["batch_size"], record["samples"]) for record in content["records"]]
    assert keys == [("A", 1, 5), ("A", 4, 5), ("A", None, 10), ("B", 1, 1), ("B", None, 1)]
    needed = {"graphs", "predictor", "fleet", "batch_size", "samples", "mape", "accuracy", "top2"}
    assert all(needed | {"regret_mean", "regret_max", "tau"} <= set(record) for record in content["records"])
    assert content["provenance"]["arguments"]["samples"] == 5
    assert content["provenance"]["fleet"]["name"] == "flexible4"
    printed = capsys.readouterr().out
    assert "exact" in printed and "A" in printed and "100.0" in printed and "chosen" in printed
    again = tmp_path / "again.json"
    assert run(*options[:-1], again) == 0
    assert json.loads(again.read_text())["records"] == content["records"]


def test_several_predictors_and_their_joint_table(tmp_path, capsys):
    graphs, out = write_set(tmp_path / "A.npz"), tmp_path / "joint.csv"
    words = "--predictor", "closed_form", "none", "exact", "--graphs", graphs, "--samples", "2", "--csv", out
    assert run(*words) == 2  # the one that is not known; the others are told
    printed = capsys.readouterr()
    assert "policy" not in printed.err and "none" in printed.err
    assert all(text in printed.out for text in ("closed_form (degrees)", "inside %", "us/job"))
    header, *rows = out.read_text().splitlines()
    assert header.startswith("predictor,knows,graphs,batch_size,class,choice,true_cycles,predicted_cycles,low_cycles")
    assert len(rows) == 2 * 4 * 9 and {row.split(",")[0] for row in rows} == {"closed_form", "exact"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--predictor", "exat", "--graphs", "A.npz"], "did you mean 'exact'"),
        (["--predictor", "exact", "--graphs", "none.npz"], "none.npz"),
        (["--predictor", "exact", "--graphs", "text.npz"], "text.npz"),
        (["--predictor", "exact", "--graphs"], "--graphs: needs at least one graph file"),
        (["--predictor", "exact", "--graphs", "A.npz", "./A.npz"], "holds the same graphs"),
        (["--predictor", "exact", "--graphs", "A.npz", "--fleet", "flexible"], "did you mean 'flexible4'"),
        (["--predictor", "exact", "--graphs", "A.npz", "--batch-sizes", "64"], "batch_sizes must include"),
        (["--predictor", "exact", "--graphs", "A.npz", "--samples", "0"], "samples must be an integer of at least 1"),
        (["--predictor", "exact", "--graphs", "A.npz", "--json", "."], "must be a file"),
        (["--predictor", "--graphs", "A.npz"], "--predictor: needs at least one predictor"),
        (["--predictor", "exact", "--graphs", "A.npz", "--coverage", "0.8"], "--coverage: must go with --csv"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message, tmp_path, monkeypatch, capsys):
    write_set(tmp_path / "A.npz")
    (tmp_path / "text.npz").write_text("no graphs")
    monkeypatch.chdir(tmp_path)
    extra = [] if "--json" in arguments else ["--json", "out.json"]
    assert run(*arguments, *extra) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""
    assert not (tmp_path / "out.json").exists()


@pytest.mark.slow
def test_as_a_user_runs_it(tmp_path):
    command = [sys.executable, "-m", "gnnsched_cli", "score-predictor", "--predictor", "exact", "--graphs"]
    done = subprocess.run([*command, str(tmp_path / "A.npz")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
