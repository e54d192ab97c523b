"""The command lines that build a training set and plot its coverage."""

import sys

import numpy as np
import pytest

import plot_coverage
from gnnsched_env.graphs import GraphSet
from gnnsched_env.graphs.generators import draw_graphs
from gnnsched_env.predictors.datasets.dataset_files import load_dataset
from tests.commands.running import gnnsched


def run(monkeypatch, script, *arguments):
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, arguments)])
    return script.main()


def test_a_training_set_is_built_and_kept(tmp_path):
    options = ["--graphs", 20, "--seed", 7, "--fleet", "hetero4", "--most-vertices", 100, "--workers", 1]
    built = gnnsched("dataset", "build", *options, "--out", tmp_path / "set")
    assert "20 graphs x 9 pairs, 1 chunk, 1 built now" in built.stdout, built.stderr
    assert load_dataset(tmp_path / "set").dataset.cycles.shape == (20, 9)
    assert "0 built now" in gnnsched("dataset", "build", *options, "--out", tmp_path / "set").stdout
    assert "20 graphs x 9 pairs, 1 chunk, " in gnnsched("dataset", "check", tmp_path / "set").stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--graphs", 0], "graphs must be an integer of at least 1, got 0"),
        (["--fleet", "hetero"], "did you mean 'hetero4'"),
        (["--workers", 0], "workers must be"),
    ],
)
def test_bad_options_end_with_one_line(tmp_path, options, message):
    done = gnnsched("dataset", "build", "--out", tmp_path / "set", *options)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and line.startswith("error: ") and message in line
    assert not (tmp_path / "set").exists()


@pytest.mark.slow
def test_coverage_is_plotted(monkeypatch, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    graphs = draw_graphs("molecule", np.random.default_rng(0), 5)
    GraphSet.from_graphs(graphs, name="M", num_features=1, num_classes=2).save(tmp_path / "M.npz")
    out = tmp_path / "coverage.png"
    run(monkeypatch, plot_coverage, "--graphs", tmp_path / "M.npz", "--out", out, "--sets", 12)
    assert out.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "M: " in printed and "% of its graphs have a synthetic one near" in printed


def test_a_missing_graph_file_ends_with_one_line(monkeypatch, capsys, tmp_path):
    options = ["--graphs", tmp_path / "none.npz", "--out", tmp_path / "x.png", "--sets", 2]
    assert run(monkeypatch, plot_coverage, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and "none.npz" in line
