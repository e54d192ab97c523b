"""The examples that train, run for a moment: they learn without an error and end in a comparison."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHORT = {"ppo.py": ["--steps", "8192", "--test-episodes", "1"], "sb3_maskable_ppo.py": ["4096"]}


def test_every_example_is_run():
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SHORT))
def test_an_example_trains_and_compares(name, tmp_path):
    pytest.importorskip("sb3_contrib", reason="the extra agents is not installed")
    command = [sys.executable, ROOT / "examples" / name, *SHORT[name]]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compared = dict(re.findall(r"^(\w+) .* (\d+\.\d+) of sjf", done.stdout, re.MULTILINE))
    assert {"random", "sjf", "min_min", "assignment"} < set(compared) and float(compared["sjf"]) == 1.0
