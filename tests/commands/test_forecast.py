"""The forecast command line, in process; what it trains is tiny."""

import json
import subprocess
import sys

import numpy as np
import pytest

from gnnsched_cli.main import main
from gnnsched_env.forecast.scoring import program_scores as evaluation
from gnnsched_env.forecast.scoring.submission import read_submission
from tests.forecast.little_files import layout_file, tile_file

TREES = "--model", "boosting", "--trees", "20", "--least", "2"
NETWORK = "--model", "nn", "--model.width", "8", "--model.depth", "1", "--steps", "4", "--validate-every", "2"


def run(*words):
    return main(["forecast", *map(str, words)])


@pytest.fixture
def tree(tmp_path):
    """A data set of layout and tile files, one of them broken, one without labels."""
    for k in range(3):
        layout_file(tmp_path, name=f"layout_{k}", configs=40 + k, repeats=2, seed=k)
        tile_file(tmp_path, name=f"kernel_{k}", configs=20 + k, seed=k)
    for split in ("valid", "test"):
        labelled = split == "valid"
        layout_file(tmp_path, name="held", configs=30, split=split, labelled=labelled, seed=7)
        tile_file(tmp_path, name="held_kernel", configs=30, split=split, labelled=labelled, seed=7)
    tile_file(tmp_path, name="broken").write_bytes(b"PK")
    return tmp_path


def test_train_score_and_predict(tree, capsys):
    pytest.importorskip("torch", reason="torch is not installed")
    out = tree / "out"
    for kind, model in (("layout:xla:random", NETWORK), ("tile:xla", TREES)):
        assert run("train", "--data", tree, "--collection", kind, "--out", out / kind[:4], *model) == 0
    captured = capsys.readouterr()
    assert "step 4: held out" in captured.err
    assert "broken.npz" in captured.err and "1 of 4 files skipped" in captured.err
    rankers = [f"{kind}={out / kind[:4] / 'ranker.npz'}" for kind in ("layout:xla:random", "tile:xla")]
    assert run("score", "--data", tree, "--ranker", *rankers, "--json", out / "scores.json") == 0
    content = json.loads((out / "scores.json").read_text())
    assert [graph["name"] for graph in content["graphs"]] == ["held", "held_kernel"]
    assert [one["collection"] for one in content["collections"]] == ["layout:xla:random", "tile:xla"]
    assert content["competition"] is None
    assert content["arguments"]["ranker"] == rankers
    printed = capsys.readouterr().out
    assert f"{content['graphs'][0]['tau']:.4f}" in printed and "held_kernel" in printed
    assert run("predict", "--data", tree, "--ranker", *rankers, "--out", out / "submission.csv") == 0
    rows = read_submission(out / "submission.csv", {"layout:xla:random:held": 30, "tile:xla:held_kernel": 30})
    assert [len(row) for row in rows.values()] == [30, 5]


def test_a_part_of_one_file_is_trained_and_another_scored(tmp_path, capsys):
    path = layout_file(tmp_path, configs=300)
    order = np.random.default_rng(0).permutation(300).tolist()
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": order[:200], "heldout": order[200:]}))
    common = "--data", path, "--split", split
    assert run("score", *common, "--ranker", "ridge", "--ceiling", "--json", tmp_path / "ridge.json") == 0
    (graph,) = json.loads((tmp_path / "ridge.json").read_text())["graphs"]
    assert graph["tau"] > 0.9 and graph["configurations"] == 100
    assert "measured more than once, got 0" in capsys.readouterr().err
    assert run("score", *common, "--ranker", "random", "--json", tmp_path / "random.json") == 0
    assert abs(json.loads((tmp_path / "random.json").read_text())["graphs"][0]["tau"]) < 0.25
    assert run("train", *common, "--score-part", "heldout", "--out", tmp_path / "out", *TREES) == 0
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert content["graphs"][0]["configurations"] == 100
    assert content["arguments"]["training"]["trees"] == 20


def test_the_ceiling_is_of_files_with_duplicates(tmp_path, capsys):
    path = layout_file(tmp_path, configs=60, repeats=2)
    assert run("score", "--data", path, "--ranker", "random", "--ceiling", "--json", tmp_path / "scores.json") == 0
    ceiling = json.loads((tmp_path / "scores.json").read_text())["ceilings"]["layout:xla:random:little"]
    assert ceiling["repeated"] == 60 and 0.9 < ceiling["tau"] <= ceiling["high"] <= 1.0
    assert "measured again" in capsys.readouterr().out


def test_leave_one_out(tree, capsys):
    assert (
        run("train", "--data", tree, "--collection", "tile:xla", "--leave-one-out", "--out", tree / "out", *TREES) == 0
    )
    content = json.loads((tree / "out" / "scores.json").read_text())
    assert [graph["name"] for graph in content["graphs"]] == ["kernel_0", "kernel_1", "kernel_2"]
    assert content["collections"][0]["slowdown_top5"][0] < 0.05
    assert len(content["skipped"]) == 1
    assert "1 of 4 files could not be read" in capsys.readouterr().err


def test_a_training_without_time_goes_on_later(tmp_path, capsys):
    pytest.importorskip("torch", reason="torch is not installed")
    layout_file(tmp_path, configs=40)
    words = "train", "--data", tmp_path, "--out", tmp_path / "out", *NETWORK
    assert run(*words, "--minutes", "1e-9") == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert run(*words) == 0
    assert "resumed at step 1 of 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--out", "out", "--model", "sagee"], "did you mean 'sage'"),
        (["train", "--out", "out", "--collection", "tile:xl"], "did you mean 'tile:xla'"),
        (["train", "--out", "out", "--score-part", "a"], "--score-part: names a part of --split"),
        (
            ["train", "--out", "out", "--split", "split.json"],
            "--split: is of one program, got 6 (layout:xla:random:layout_0",
        ),
        (["train", "--out", "out", "--split", "split.json", "--leave-one-out"], "excludes --split"),
        (["train", "--out", "out", "--model", "boosting", "--minutes", "3"], "--minutes: is of networks; boosting has"),
        (["train", "--out", "out", "--model", "boosting", "--device", "cpu"], "--device: is of networks"),
        (["train", "--out", "text"], "--out: must be a folder, but text is a file"),
        (["train", "--out", "out", "--minutes", "0"], "minutes must be"),
        (["train", "--out", "out", "--rate", "0"], "rate must be"),
        (["train", "--out", "out", "--name", "layout_7"], "no file is named 'layout_7'"),
        (["score", "--ranker", "ridge"], "--ranker ridge: needs --split"),
        (["score", "--ranker", "none.npz"], "none.npz"),
        (["score", "--ranker", "text"], "text"),
        (["score", "--ranker", "random", "--json", "."], "--json: must be a file"),
        (["score", "--ranker", "random", "--json", "text/a.json"], "--json: must be in a folder, but text is a file"),
        (["score", "--ranker", "random", "--limit", "0"], "limit must be"),
        (
            ["score", "--ranker", "random", "--split", "split.json", "--name", "layout_0", "--score-part", "b"],
            "the part must be one of train, heldout, got 'b'",
        ),
        (
            ["score", "--ranker", "random", "--split", "split.json", "--name", "layout_0"],
            "must share no row, got 1 in both",
        ),
        (["predict", "--ranker", "random", "--out", "."], "--out: must be a file"),
        (
            ["predict", "--ranker", "random", "--out", "a.csv", "--files", "train"],
            "needs every file, but 1 cannot be read",
        ),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, message, tree, monkeypatch, capsys):
    monkeypatch.chdir(tree)
    (tree / "text").write_text("no ranker")
    (tree / "split.json").write_text(json.dumps({"train": [0, 1], "heldout": [1, 2]}))
    assert run(words[0], "--data", ".", *words[1:]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    error = captured.err.splitlines()[-1]
    assert error.startswith("error: ") and message in error
    assert not (tree / "a.csv").exists()


def test_leave_one_out_tells_that_minutes_cut_trainings_short(tree, capsys):
    pytest.importorskip("torch", reason="torch is not installed")
    words = "train", "--data", tree, "--collection", "tile:xla", "--leave-one-out", "--out", tree / "out", *NETWORK
    assert run(*words, "--minutes", "1e-9") == 130
    assert "stopped: 3 trainings before the end" in capsys.readouterr().err
    assert (tree / "out" / "scores.json").exists()


def test_a_missing_ranker_is_known_before_any_work(tree, capsys, monkeypatch):
    assert run("train", "--data", tree, "--collection", "tile:xla", "--out", tree / "out", *TREES) == 0
    monkeypatch.setattr(evaluation, "prepare", None)
    ranker = f"tile:xla={tree / 'out' / 'ranker.npz'}"
    for words in (("score",), ("predict", "--out", tree / "a.csv")):
        assert run(*words, "--data", tree, "--ranker", ranker) == 2
        assert (
            "rankers: layout:xla:random needs one, too (held is of it), got some of tile:xla only"
            in capsys.readouterr().err
        )


@pytest.mark.slow
@pytest.mark.parametrize("command", ["", "train", "score", "predict"])
def test_help_needs_no_torch(command):
    code = f"import sys; from gnnsched_cli.main import main\ntry: main(['forecast', *{command.split()}, '--help'])\n"
    code += "except SystemExit as error: print(error.code, sorted({'torch', 'lightgbm', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert "usage: gnnsched forecast" in done.stdout
