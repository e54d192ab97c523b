"""Every command that the README prints runs as printed, outside the repository."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.extras import needs

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    command.split("#")[0].strip()
    for command in re.findall(r"(?:^|`)(gnnsched [a-z][^`\n]*)", README, re.MULTILINE)
    if "SUBCOMMAND" not in command
]
AFTER = {"live": "replay"}  # what is read there is written by the other, which the README shows before it
EXTRAS = {"live": ("ray", "torch"), "train": ("torch", "stable_baselines3"), "forecast": ("torch", "torch_geometric")}
SHORTER = {"--minutes 1": "--minutes 0.2", "--jobs 200 --out": "--jobs 20 --out"}  # more of it would show no more here
QUICK = ("cycles", "schedule", "doctor", "forecast", "score-predictor")


def marks(command):
    """Return the marks of a command: which extra it needs, and whether it takes long."""
    name = command.split()[1]
    elsewhere = "bound --known" in command or name == "live"  # test_bound.py, fewer policies; test_live.py, fewer jobs
    long = [pytest.mark.long] if elsewhere else []
    return [needs(*EXTRAS.get(name, ())), *long, *([] if name in QUICK else [pytest.mark.slow])]


def test_the_readme_shows_commands():
    assert {"demo", "evaluate", "train", "cycles", "schedule", "doctor"} <= {command.split()[1] for command in COMMANDS}


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=marks(command), id=command)
        for command in COMMANDS
        if command.split()[1] not in AFTER.values()
    ],
)
def test_it_runs_as_printed(command, tmp_path):
    runs_as_printed(command, tmp_path)
    for other in COMMANDS:
        if other.split()[1] == AFTER.get(command.split()[1]):
            runs_as_printed(other, tmp_path)


def runs_as_printed(command, tmp_path):
    for printed, shorter in SHORTER.items():
        command = command.replace(printed, shorter)
    words = command.split()[1:]
    path = os.pathsep.join(str(Path(place).resolve()) for place in sys.path if place)
    done = subprocess.run(
        [sys.executable, "-m", "gnnsched_cli", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
