"""The comparison's command line, in process; what it trains is tiny."""

import json

import pytest

from scripts.studies import compare_forecasts
from tests.forecast.little_files import layout_file


@pytest.fixture
def tree(tmp_path):
    for k in range(2):
        layout_file(tmp_path, name=f"train_{k}", configs=30, seed=k)
        layout_file(tmp_path, name=f"test_{k}", configs=20, seed=10 + k, split="test")
    return tmp_path


def run(tree, *words):
    place = "--data", tree, "--collection", "layout:xla:random", "--out", tree / "out"
    return compare_forecasts.main([str(word) for word in (*place, *words)])


def test_models_are_compared_and_written(tree, capsys):
    pytest.importorskip("torch", reason="torch is not installed")
    assert run(tree, "--models", "nn", "boosting", "--seeds", "0", "1", "--steps", "3") == 0
    captured = capsys.readouterr()
    content = json.loads((tree / "out" / "comparison.json").read_text())
    assert [own["model"] for own in content["models"]] == ["nn", "boosting"]
    assert content["files"] == ["layout:xla:random:test_0", "layout:xla:random:test_1"]
    for own in content["models"]:
        assert f"{own['mean'][0]:.4f} [{own['mean'][1]:.4f}, {own['mean'][2]:.4f}]" in captured.out
    assert f"{content['models'][1]['above_the_one_before'][0]:+.4f} [" in captured.out
    assert "2 files, 2 seeds" in captured.out
    assert "boosting, seed 1: " in captured.err
    assert (tree / "out" / "nn-1" / "checkpoint.pt").exists()


def test_a_comparison_of_other_settings_is_not_replaced(tree, capsys):
    trees = "--models", "boosting"
    assert run(tree, *trees, "--seeds", "0") == 0
    kept = (tree / "out" / "comparison.json").read_text()
    assert run(tree, *trees, "--seeds", "0", "--limit", "1") == 2
    assert "of another comparison, with limit None instead of 1; choose another folder" in capsys.readouterr().err
    assert (tree / "out" / "comparison.json").read_text() == kept
    assert run(tree, *trees, "--seeds", "0", "1") == 0  # more seeds
    (tree / "out" / "comparison.json").write_text("[]")
    assert run(tree, *trees) == 2
    assert "comparison.json is there, but is no comparison" in capsys.readouterr().err


def test_test_files_without_runtimes_are_known_before_any_work(tmp_path, capsys, monkeypatch):
    layout_file(tmp_path, name="a", configs=30)
    layout_file(tmp_path, name="b", configs=30, split="test", labelled=False)
    monkeypatch.setattr("scripts.studies.compare_forecasts.prepare_all", None)
    assert run(tmp_path, "--models", "boosting") == 2
    assert "no file to score has anything to rank; are they unlabelled" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--models", "sagee"), "did you mean 'sage'"),
        (("--seeds", "1", "1"), "seeds must be different ones, got 1, 1"),
        (("--steps", "0"), "steps must be an integer of at least 1"),
        (("--models", "boosting", "--steps", "0"), "steps must be an integer of at least 1"),
        (("--files", "valid"), "valid"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, message, tree, capsys):
    assert run(tree, *words) == 2
    captured = capsys.readouterr()
    assert message in captured.err.splitlines()[-1]
    assert captured.out == ""
    assert not (tree / "out" / "comparison.json").exists()


def test_a_stopped_comparison_says_that_it_goes_on(tree, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare_forecasts, "compare", interrupted)
    assert run(tree) == 130
    assert "the same command goes on" in capsys.readouterr().err
