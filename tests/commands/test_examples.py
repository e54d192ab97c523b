"""The examples that train, run for a moment: they learn without an error and end in a comparison."""

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BRIEF = ("--lanes", "4", "--test-episodes", "1", "--curve", "curve.json")
EXAMPLES = {  # the library that each needs, and how few decisions it can learn from
    "ppo": ("torch", 2_048),
    "sb3_a2c": ("stable_baselines3", 512),
    "sb3_dqn": ("stable_baselines3", 1_024),
    "sb3_maskable_ppo": ("sb3_contrib", 512),
    "sb3_mlp": ("sb3_contrib", 512),
    "rllib_ppo": ("ray.rllib", 512),
    "tianshou_ppo": ("tianshou", 512),
    "torchrl_ppo": ("torchrl", 512),
}
ADAPTERS = ("ray.rllib", "tianshou", "torchrl")
LONG = ("sb3_a2c", "sb3_dqn", "sb3_mlp", "tianshou_ppo")  # much of them is what sb3_maskable_ppo or test_libraries do


def marked(name):
    library = EXAMPLES[name][0]
    kinds = [pytest.mark.slow, *([pytest.mark.adapters] if library in ADAPTERS else [])]
    return pytest.param(name, marks=[*kinds, *([pytest.mark.long] if name in LONG else [])])


def test_every_example_is_run():
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == {*EXAMPLES, "evaluate_policy"}


def test_an_evaluator_scores_a_policys_file_or_says_why_it_cannot(tmp_path, monkeypatch):
    for name, value in {"WORLDS": 1, "EPISODES": 2, "JOBS": 20, "CLASSES": 8, "MOVES": 500, "ROUNDS": 20}.items():
        monkeypatch.setattr(f"gnnsched_env.bench.arena.arena.{name}", value)
    evaluator = runpy.run_path(str(ROOT / "examples" / "evaluate_policy.py"))
    path = tmp_path / "mine.py"
    path.write_text("def choose(observation, mask):\n    return int(mask.argmax())\n")
    found = evaluator["evaluate"](str(path))
    assert found["combined_score"] == -found["score"] == evaluator["fitness"](str(path)) < 0
    path.write_text("def choose(observation, mask):\n    return 1 / 0\n")
    failed = evaluator["evaluate"](str(path))
    assert failed["combined_score"] == -1000 and "ZeroDivisionError: division by zero (line 2)" in failed["error"]


@pytest.mark.parametrize("name", [marked(name) for name in sorted(EXAMPLES)])
def test_an_example_trains_and_compares(name, tmp_path):
    library, steps = EXAMPLES[name]
    pytest.importorskip(library, reason=f"{library} is not installed")
    command = [sys.executable, ROOT / "examples" / f"{name}.py", "--steps", str(steps), *BRIEF]
    if name == "ppo":
        command += ["--scenarios", "2"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compared = dict(re.findall(r"^(\w+) +mean completion .* (\d+\.\d+) of sjf", done.stdout, re.MULTILINE))
    assert set(compared) == {"trained", "random", "sjf", "min_min", "assignment"} and float(compared["sjf"]) == 1.0
    told = json.loads((tmp_path / "curve.json").read_text())
    assert told["points"][-1]["decisions"] >= steps // 2 and told["rivals"]["its classes"]["sjf"] == 1.0


@pytest.mark.slow
@pytest.mark.adapters
def test_the_zoo_trains_by_its_file(tmp_path):
    """The command is that of the file's first lines."""
    pytest.importorskip("rl_zoo3", reason="rl_zoo3 is not installed")
    file = ROOT / "examples" / "rl_zoo3.yml"
    lines = [line.removeprefix("#").strip().rstrip("\\") for line in file.read_text().splitlines()]
    first = next(number for number, line in enumerate(lines) if line.startswith("python -m rl_zoo3.train"))
    words = shlex.split(" ".join(lines[first : first + 2]))[1:]
    words[words.index("--conf-file") + 1] = str(file)
    briefly = ["--n-timesteps", "64", "--hyperparams", "n_envs:2", "n_steps:16", "batch_size:16", "--eval-freq", "-1"]
    done = subprocess.run(
        [sys.executable, *words, *briefly, "--log-folder", tmp_path],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("ppo/*/gnnsched-Queue-v0.zip"))
