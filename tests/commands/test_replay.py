"""`gnnsched replay` and `gnnsched calibrate`: what they print and write, and bad input."""

import json
import shutil

import pytest

import gnnsched_baselines  # noqa: F401
from gnnsched_env.live.live_fleet import LiveFleet
from gnnsched_env.live.live_run import LOG_FILE, RUN_FILE, TABLE_FILE
from tests.commands.running import gnnsched
from tests.live.little_runs import FLEET, little_table, write_run


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for policy in ("sjf", "fifo"):
        for repeat in "ab":
            write_run(tmp_path / f"{policy}-{repeat}", policy=policy, jobs=20)
    return tmp_path


RUNS = ("sjf-a", "sjf-b", "fifo-a", "fifo-b")


def changed(folder, **fields):
    path = folder / RUN_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_runs_are_replayed_calibrated_and_evaluated(here):
    done = gnnsched("replay", *RUNS, "--json", "plain.json")
    assert done.returncode == 0, done.stderr
    told = json.loads((here / "plain.json").read_text())
    assert {one["policy"] for one in told["comparisons"]} == {"sjf", "fifo"}
    for one in told["comparisons"]:
        assert set(one["error"].values()) == set(one["noise"].values()) == {0.0} and one["seeds"] == [3, 3]
    assert told["rankings"][0]["tau"] == 1.0 and told["rankings"][0]["tau_told_apart"] == 1.0
    assert done.stdout.count("+0.0 %") == 12 and "1 of 1" in done.stdout
    done = gnnsched("calibrate", *RUNS[:2], "--out", "fit")
    assert done.returncode == 0 and "fitted on 40 jobs of 2 runs" in done.stdout, done.stderr
    assert {path.name for path in (here / "fit").iterdir()} == {
        "calibration.json",
        "scenario.toml",
        "fleet.toml",
        "table.npz",
    }
    done = gnnsched("replay", *RUNS, "--calibration", "fit", "--replays", "2", "--markdown")
    assert done.returncode == 0 and "| sjf* |" in done.stdout and "| fifo |" in done.stdout, done.stderr
    log = here / "sjf-a" / LOG_FILE
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines, '{"event":"down","at":1,"device":0,"why":"x"}']) + "\n")
    assert "sjf-a: 1 loss of devices, 0 stopped runs and 0 jobs given up" in gnnsched("replay", "sjf-a").stdout
    words = ("evaluate", "--scenario", "fit/scenario.toml", "--policies", "sjf", "--jobs", "20", "--episodes", "1")
    done = gnnsched(*words)
    assert done.returncode == 0 and "sleep2, queue, load 0.8: toy" in done.stdout, done.stderr
    for more, told in (
        (("--predictor", "exact"), "--predictor: must not be given for a scenario that has a latency table"),
        (("--graphs", "karate"), "has a latency table of its own, so graphs must not be given"),
    ):
        done = gnnsched(*words, *more)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and told in done.stderr, done.stderr


def test_bad_input_is_one_line(here):
    for name in ("old", "open", "copy"):
        shutil.copytree(here / "sjf-a", here / name)
    changed(here / "old", version=2)
    lines = (here / "open" / LOG_FILE).read_text().splitlines(keepends=True)
    (here / "open" / LOG_FILE).write_text("".join(lines[: len(lines) // 2]))
    write_run(here / "table", table=little_table(seed=1), jobs=20)
    shutil.copytree(here / "sjf-a", here / "repeats")
    scenario = json.loads((here / "sjf-a" / RUN_FILE).read_text())["scenario"]
    scenario["workload"]["repeats"] = 7
    changed(here / "repeats", started={"wall_ns": 1}, scenario=scenario)
    shutil.copytree(here / "sjf-a", here / "fleet")
    other = FLEET.to_dict() | {"name": "other"}
    assert LiveFleet.from_dict(other) != FLEET
    changed(here / "fleet", started={"wall_ns": 2}, fleet=other)
    shutil.copytree(here / "sjf-a", here / "lost")
    (here / "lost" / TABLE_FILE).unlink()
    for words, told in (
        (("replay",), "runs: at least one run's folder must be given, got none"),
        (("calibrate", "--out", "fit"), "runs: at least one run's folder must be given, got none"),
        (("replay", "none"), "none/run.json: cannot be read"),
        (("replay", "old"), "old/run.json: version must be 1, got 2"),
        (("replay", "lost"), "table.npz: cannot be read"),
        (("replay", "open"), "open: the run must have ended, but "),
        (("calibrate", "sjf-a", "open", "--out", "fit"), "open: the run must have ended, but "),
        (("replay", "sjf-a", "copy"), "copy: must be another run than sjf-a, got the same one"),
        (("replay", "sjf-a", "table"), "table: its latency table must be that of sjf-a, but it is another"),
        (("replay", "sjf-a", "repeats"), "repeats: repeats must be that of sjf-a, 1, got 7"),
        (("replay", "sjf-a", "fleet"), "fleet: its fleet must be that of sjf-a, 'sleep2' of sparse/csr_spmm"),
        (("replay", "sjf-a", "--calibration", "none"), "none: cannot be read"),
        (("replay", "sjf-a", "--calibration", "sjf-a/run.json"), "must be a calibration"),
        (("replay", "sjf-a", "--replays", "5"), "--replays: goes with --calibration"),
        (("calibrate", "sjf-a", "--out", "sjf-a"), "--out: must be another folder than that of a run"),
    ):
        done = gnnsched(*words)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, (words, done)
        assert done.stderr.startswith("error: ") and told in done.stderr, (words, done.stderr)
