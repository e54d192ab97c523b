"""Every option of every subcommand that takes a number, with values that mean none."""

import re

import pytest

from gnnsched_cli.main import SUBCOMMANDS
from tests.commands.running import gnnsched
from tests.forecast.little_files import tile_file
from tests.report.pages import write_records

ABSURD = ("", "nan", "1e400", "1_0", "\u0663", str(2**70), "1" * 5001, " 1", "0x1", "1,0")
NESTED = {
    "dataset": ("build", "check"),
    "graphs": ("get", "convert", "describe"),
    "forecast": ("standin", "train", "score", "predict"),
}
COMMANDS = tuple((name, *more) for name in SUBCOMMANDS for more in ([(one,) for one in NESTED.get(name, ())] or [()]))
CONFIGS = ("queue_hetero4", "queue_hetero4_ppo")
# What each needs besides, to come as far as it can.
REQUIRED = {
    ("cycles",): ("--graph", "karate"),
    ("graphs", "get"): ("karate",),
    ("graphs", "convert"): ("karate", "--out", "out.npz"),
    ("score-predictor",): ("--predictor", "closed_form", "--graphs", "karate"),
    ("check-trace",): ("none.csv",),
    ("dataset", "build"): ("--out", "data"),
    ("forecast", "standin"): ("--out", "standin"),
    ("forecast", "train"): ("--data", "data", "--out", "out"),
    ("forecast", "score"): ("--data", "data", "--ranker", "random", "--files", "train"),
    ("forecast", "predict"): ("--data", "data", "--ranker", "random", "--files", "train", "--out", "out.csv"),
    ("schedule",): ("--policy", "sjf", "--jobs", "5"),
    ("evaluate",): ("--policies", "sjf", "--jobs", "5"),
    ("arena",): ("mine.py",),
    ("bench",): ("fifo",),
    ("record",): ("--out", "data"),
    ("profile",): ("--graphs", "karate", "--out", "data"),
    ("live",): ("--graphs", "karate", "--out", "data"),
    ("replay",): ("run",),
    ("calibrate",): ("run", "--out", "out"),
    ("report",): ("records.json", "--html", "out.html"),
    ("bound",): ("--policies", "sjf", "--jobs", "5"),
}
LINES = [
    (*words, *more)
    for words in COMMANDS
    for more in ([("--config", one) for one in CONFIGS] if words == ("train",) else [()])
]


def options(words, monkeypatch):
    """Return, from the help, how many numbers each option takes, and the options whose numbers are floats."""
    monkeypatch.setenv("COLUMNS", "250")
    told = gnnsched(*words, "--help").stdout
    found = re.findall(r"(--[a-z][\w.-]*) (\[?(?:INT|FLOAT)\b[^a-z]*?)(?:  | *│)", told)
    counts = {name: 1 if kinds.startswith("[") else len(kinds.split()) for name, kinds in found}
    return counts, [name for name, kinds in found if "FLOAT" in kinds]


def refused(words, option, values):
    """Run a command line that must end in one line about the option; return that line."""
    done = gnnsched(
        *words,
        *[word for word in REQUIRED.get(words[:2], REQUIRED.get(words[:1], ())) if option not in words],
        option,
        *values,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1, (words, option, values, done)
    assert done.stderr.startswith("error: "), (words, option, values, done)
    return done.stderr


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_what_is_no_number_is_refused_by_name(words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found, floats = options(words, monkeypatch)
    for number, (option, count) in enumerate(found.items()):
        value = ABSURD[number % len(ABSURD)]
        value = "1e400" if value == str(2**70) and option in floats else value  # which a float holds
        told = refused(words, option, [value] * count)
        assert told.startswith(f"error: {option}: ") and re.search("must be an? |Could not ", told), told
        assert value == ABSURD[6] or len(told) < 200


@pytest.mark.slow
@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_a_number_below_all_bounds_is_refused_by_name(words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if words[0] == "forecast":
        tile_file(tmp_path / "data", name="kernel", configs=20)
    write_records(tmp_path / "records.json")
    (tmp_path / "mine.py").write_text("def choose(observation, mask):\n    return int(mask.argmax())\n")
    found, _ = options(words, monkeypatch)
    for option, count in found.items():
        told = refused(words, option, ["-1"] * count)
        assert " must " in told and re.search(r"got \(?-1", told), told


def test_an_error_is_told_whole_where_the_terminal_is_not_utf8():
    """tyro then draws a box without sides: the last letter of a full line was lost."""
    told = gnnsched("train", "--config", "queue_hetero4", "--method.arrivals", "-1").stderr
    assert told == "error: improvement: arrivals must be an integer of at least 0, got -1\n"


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize("option", ["--seed", "--decision-us"])
def test_every_absurd_value_is_refused_or_too_large(option, value):
    assert re.search(r"error: (--[a-z-]+|decision): .*must be a", refused(("evaluate",), option, [value]))


@pytest.mark.parametrize("value", ["+3", "007", "1e2", ".5", "5.", "1E-3"])
def test_what_people_write_is_read(value):
    told = gnnsched("schedule", "--policy", "sjf", "--jobs", "3", "--decision-us", value)
    assert told.returncode == 0, told.stderr
