"""Without an optional library, the line that names its extra."""

import subprocess
import sys

import pytest

HIDDEN = """
import sys
class Hider:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hider())
from gnnsched_cli.main import main
sys.exit(main({words!r}))
"""
SMALL = ["--jobs", "5", "--policy", "sjf"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hidden", "words", "extra"),
    [
        ("matplotlib", ["schedule", *SMALL, "--png", "out.png"], "plots"),
        ("matplotlib", ["schedule", *SMALL, "--versus", "fifo", "--png", "out.png"], "plots"),
        ("pygame", ["schedule", *SMALL, "--gif", "out.gif"], "render"),
        ("PIL", ["schedule", *SMALL, "--gif", "out.gif"], "render"),
        ("bokeh", ["report", ".", "--html", "out.html"], "report"),
        ("ortools", ["bound", "--jobs", "5", "--episodes", "1", "--policies", "sjf", "--seconds", "1"], "bounds"),
        ("torch", ["train", "--config", "queue_hetero4_ppo"], "agents"),
        ("stable_baselines3", ["train", "--config", "queue_hetero4_a2c"], "agents"),
        ("torch", ["evaluate", "--predictor", "gnn", "--policies", "sjf"], "gnn"),
        ("torch_geometric", ["score-predictor", "--predictor", "gnn", "--graphs", "karate"], "gnn"),
        ("torch_geometric", ["graphs", "get", "cora"], "gnn"),
        ("torch", ["forecast", "train", "--data", ".", "--collection", "tile:xla", "--out", "out"], "gnn"),
    ],
)
def test_the_extra_is_named_in_one_line(hidden, words, extra, tmp_path):
    if words[0] == "forecast":
        from tests.forecast.little_files import tile_file

        tile_file(tmp_path, name="kernel", configs=20)
    code = HIDDEN.format(hidden=[hidden], words=words)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    told = done.stderr.splitlines()[-1]
    assert done.returncode == 2, done.stderr
    assert told.startswith("error: ") and f"needs the extra `{extra}` (pip install 'gnnsched-env[{extra}]')" in told
    assert "Traceback" not in done.stderr and done.stdout == ""
