"""The commands bench, arena and record, as they are typed."""

import json

import pytest

from gnnsched_cli.main import main
from gnnsched_env.bench import bench_tasks, results

GOOD = "def choose(observation, mask):\n    return int(mask.argmax())\n"
BAD = "def choose(observation, mask):\n    return 1 / 0\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder of its own, on a benchmark of one task and in an arena of one little workload."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "gnnsched_env.bench.results.bench_tasks",
        lambda suite=None: bench_tasks(suite or "small")[:1],
    )
    sizes = {"WORLDS": 1, "EPISODES": 2, "JOBS": 20, "CLASSES": 8, "MOVES": 500, "ROUNDS": 20}
    for name, value in sizes.items():
        monkeypatch.setattr(f"gnnsched_env.bench.arena.arena.{name}", value)
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)


def gnnsched(capsys, *words):
    status = main(list(words))
    told = capsys.readouterr()
    return status, told.out, told.err


def test_tasks_are_listed(capsys):
    status, out, _ = gnnsched(capsys, "bench", "--list")
    assert status == 0
    assert all(text in out for text in ("small: 25 tasks", "full/wide64-bursty-0.95", "real/fixed9-poisson-0.5"))
    status, out, _ = gnnsched(capsys, "bench", "--list", "--suite", "small")
    assert status == 0 and out.count("small/") == 25 and "full/" not in out and "real/" not in out
    status, _, told = gnnsched(capsys, "bench", "--list", "--suite", "smal")
    assert status == 2 and "suite must be one of" in told


def test_a_result_is_written_validated_and_tabulated(capsys, tmp_path):
    words = ("fifo", "file:good.py", "--json", "out.json", "--markdown", "a.md", "--training", "none at all")
    status, out, _ = gnnsched(capsys, "bench", *words)
    assert status == 0 and "file:good.py" in out and "none at all" in out
    assert "| `fifo` |" in (tmp_path / "a.md").read_text()
    status, out, _ = gnnsched(capsys, "bench", "validate", "out.json")
    assert (status, out.count("all 20 episodes are the same")) == (0, 2)
    status, out, _ = gnnsched(capsys, "bench", "table", "out.json", "out.json", "--html", "page.html")
    assert status == 0 and (tmp_path / "page.html").read_text().count("<td>fifo</td>") == 4
    (tmp_path / "good.py").write_text(GOOD + "\n")
    status, _, err = gnnsched(capsys, "bench", "validate", "out.json")
    assert status == 2 and "the SHA-256 of its file must be" in err


def test_a_result_that_differs_when_it_is_played_again_is_status_1(capsys, monkeypatch):
    assert gnnsched(capsys, "bench", "fifo", "--json", "out.json")[0] == 0
    played = results._play_all
    monkeypatch.setattr(results, "_play_all", lambda names, *given, **options: played(["sjf"], *given, **options))
    status, out, _ = gnnsched(capsys, "bench", "validate", "out.json")
    assert status == 1 and "of 20 episodes differ, the first in small/hetero4-poisson-0.8, episode 0:" in out


def test_a_policy_that_fails_does_not_stop_the_others(capsys, tmp_path):
    status, out, err = gnnsched(capsys, "bench", "file:bad.py", "fifo", "--json", "out.json")
    assert status == 2 and "fifo" in out and err.count("raised ZeroDivisionError: division by zero (line 2)") == 1
    assert [one["policy"] for one in json.loads((tmp_path / "out.json").read_text())["results"]] == ["fifo"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "needs a policy"),
        (("validate",), "bench validate: needs a result file"),
        (("nobody",), "unknown policy 'nobody'"),
        (("fifo", "--suite", "big"), "suite must be one of small, full, real, got 'big'"),
        (("fifo", "--suite", "real"), "needs the folder of ENZYMES.npz"),
        (("fifo", "--suite", "real", "--graphs", "nowhere"), "--graphs: must be a folder, got nowhere"),
        (("fifo", "--graphs", "."), "--graphs: goes with --suite real, got the suite 'small'"),
        (("validate", "nowhere.json"), "nowhere.json: cannot be read"),
        (("validate", "good.py"), "good.py"),
        (("table", "nowhere.json", "--json", "x.json"), "--json: does not go with `table`"),
        (("validate", "nowhere.json", "--html", "x.html"), "--html: does not go with `validate`"),
        (("random", "least_loaded", "--suite", "real", "--graphs", "."), "ENZYMES.npz is missing"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, message, capsys):
    status, out, err = gnnsched(capsys, "bench", *words)
    assert (status, out) == (2, "") and message in err and err.startswith("error: ") and err.count("\n") == 1


def test_the_arena_prints_scores_and_losses(capsys, tmp_path):
    status, out, _ = gnnsched(capsys, "arena", "good.py", "--seed", "3", "--json", "out.json")
    assert status == 0
    assert all(text in out for text in ("hidden episodes of seed 3", "good.py", "assignment", "sjf", "it did"))
    told = json.loads((tmp_path / "out.json").read_text())
    assert (
        told["seed"] == 3 and len(told["losses"]) > 0 and told["score"]["value"] > told["others"]["assignment"]["value"]
    )
    assert gnnsched(capsys, "arena", "good.py", "--seed", "3", "--losses", "0", "--at-most", "0.1")[0] == 1
    assert gnnsched(capsys, "arena", "good.py", "--seed", "3", "--losses", "0", "--at-most", "1e9")[0] == 0
    status, out, err = gnnsched(capsys, "arena", "bad.py", "--seed", "3")
    assert (status, out) == (2, "") and "bad.py: raised ZeroDivisionError: division by zero (line 2)" in err


def test_record_writes_a_data_set(capsys, tmp_path):
    minari = pytest.importorskip("minari", reason="minari is not installed")
    status, out, _ = gnnsched(
        capsys, "record", "--policies", "sjf", "--episodes", "2", "--jobs", "9", "--out", "new/set"
    )
    assert status == 0 and "2 episodes of sjf" in out
    assert minari.MinariDataset(str(tmp_path / "new" / "set")).total_steps >= 18
    status, _, err = gnnsched(capsys, "record", "--out", "new/set")
    assert status == 2 and "the folder must be empty or new" in err
