"""Where results go: files before what is printed, links, devices, terminals without UTF-8."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gnnsched_cli.main import main
from gnnsched_env.common.files import write_whole
from tests.commands.running import gnnsched

EVALUATE = ("evaluate", "--policies", "sjf", "--jobs", "5", "--episodes", "1")
FULL = Path("/dev/full")


def told(done):
    """Return what a command told on stderr, but that it compiles, which it may be the first to do."""
    return [line for line in done.stderr.decode().splitlines() if not line.startswith("gnnsched: compiling")]


def run(words, folder, *, stdout=subprocess.PIPE, **environment):
    code = "import sys; from gnnsched_cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *map(str, words)]
    environment = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=environment, stdout=stdout, stderr=subprocess.PIPE, check=False)


@pytest.mark.slow
@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_results_are_kept_where_printing_fails(tmp_path):
    with FULL.open("w", encoding="utf-8") as full:
        done = run((*EVALUATE, "--json", "out.json"), tmp_path, stdout=full)
    assert (done.returncode, told(done)) == (2, ["error: output: No space left on device"])
    assert json.loads((tmp_path / "out.json").read_text())["records"][0]["policy"] == "sjf"


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_version_that_cannot_be_printed_is_one_line(tmp_path):
    with FULL.open("w", encoding="utf-8") as full:
        done = run(("--version",), tmp_path, stdout=full)
    assert (done.returncode, told(done)) == (2, ["error: output: No space left on device"])


def test_a_closed_stdout_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", None)
    assert main([*EVALUATE, "--json", "out.json"]) == 0
    assert json.loads((tmp_path / "out.json").read_text())["records"][0]["policy"] == "sjf"


@pytest.mark.slow
def test_results_of_the_loads_before_are_kept_where_one_fails(tmp_path, monkeypatch):
    from gnnsched_env.evaluation import records

    real = records.evaluate_each

    def fails_later(*given, **options):
        yield next(iter(real(*given, **options)))
        raise OSError(5, "Input/output error", "x")

    monkeypatch.setattr(records, "evaluate_each", fails_later)
    done = gnnsched(*EVALUATE, "--load", "0.5", "0.8", "--json", tmp_path / "out.json")
    assert done.returncode == 2
    assert len(json.loads((tmp_path / "out.json").read_text())["records"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("words", [EVALUATE, ("schedule", "--policy", "sjf", "--jobs", "5")])
def test_a_terminal_without_utf8_is_shown_ascii(words, encoding, tmp_path):
    done = run(words, tmp_path, LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode(encoding)
    assert "sjf" in shown and "?" not in shown and (shown.isascii() or encoding != "ascii")


def test_two_outputs_must_be_two_files(tmp_path):
    done = gnnsched("schedule", "--jobs", "5", "--csv", tmp_path / "a", "--trace", tmp_path / "b" / ".." / "a")
    assert done.returncode == 2 and "--trace: must be another file than that of --csv" in done.stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_device_is_refused_before_the_work(tmp_path):
    done = gnnsched(*EVALUATE, "--json", FULL)
    assert done.returncode == 2 and "must be a regular file, but /dev/full is a device" in done.stderr
    assert not done.stdout


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "real").write_bytes(b"before")
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", lambda file: file.write(b"after"))
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"after"
    (tmp_path / "new").symlink_to("made")
    write_whole(tmp_path / "new", lambda file: file.write(b"made"))
    assert (tmp_path / "new").is_symlink() and (tmp_path / "made").read_bytes() == b"made"


@pytest.mark.slow
@pytest.mark.parametrize("words", [("cycles", "--graph", "karate"), ("graphs", "describe", "karate", "--count", "0")])
def test_a_reader_that_goes_away_ends_a_command_quietly(words, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = run(words, tmp_path, stdout=pipe)
    assert (done.returncode, told(done)) == (0, [])


LONG = "q" * 300
NAMES = (
    "a b ",
    "\u00e4\u00f6",
    "-x",
    "%s%d",
    "[x]*",
    "[bold]x",
    "a\nb",
    os.fsdecode(b"\xff"),
    "n" * 250,
    "/".join(["p" * 60] * 5),
)


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_are_read_and_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert gnnsched("graphs", "convert", "karate", f"--out={name}.npz").returncode == 0
    done = gnnsched("cycles", f"--graph={name}.npz", "--json")
    assert done.returncode == 0, done.stderr
    done = gnnsched("schedule", "--policy", "sjf", "--jobs", "3", f"--csv={name}.csv", f"--trace={name}.j")
    assert done.returncode == 0 and Path(f"{name}.csv").exists() and Path(f"{name}.j").exists(), done.stderr
    done = gnnsched("schedule", "--jobs", "3", f"--policy=agent:{name}.npz")
    assert done.returncode == 2 and done.stderr.endswith("not a weights file (no manifest)\n")  # not the bare key


@pytest.mark.parametrize(
    "words",
    [
        ("graphs", "convert", "karate", f"--out={LONG}.npz"),
        ("graphs", "describe", f"{LONG}.npz"),
        ("cycles", "--graph", f"{LONG}.npz"),
        ("schedule", "--jobs", "3", "--policy", "sjf", "--csv", f"{LONG}.csv"),
        ("schedule", "--jobs", "3", "--policy", "sjf", "--png", f"{LONG}.png"),
        ("schedule", "--jobs", "3", "--policy", f"agent:{LONG}.npz"),
        ("schedule", "--jobs", "3", "--policy", f"sb3:{LONG}.zip"),
        ("evaluate", "--policies", "sjf", "--scenario", f"{LONG}.toml"),
        ("evaluate", "--policies", "sjf", "--trace", f"{LONG}.csv"),
        ("evaluate", "--policies", "sjf", "--predictor", f"{LONG}.npz"),
        ("evaluate", "--policies", "sjf", "--json", f"{LONG}/out.json"),
        ("check-trace", f"{LONG}.csv"),
        ("doctor", "--json", f"{LONG}.json"),
        ("train", "--config", f"{LONG}.toml"),
        ("train", "--config", "queue_hetero4", "--folder", LONG),
        ("score-predictor", "--predictor", "closed_form", "--graphs", f"{LONG}.npz"),
        ("forecast", "standin", "--out", LONG),
        ("forecast", "train", "--data", LONG, "--out", "out"),
        ("forecast", "score", "--data", LONG, "--ranker", "random"),
    ],
    ids=lambda words: f"{words[0]} {words[-2][:12]}",
)
def test_a_name_that_is_too_long_is_told_in_one_line(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = gnnsched(*words)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "File name too long" in done.stderr and LONG in done.stderr and "Errno" not in done.stderr, done.stderr
