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
        ("ray", ["live", "--graphs", "karate", "--out", "out"], "live"),
        ("ray", ["evaluate", "--jobs", "5", "--policies", "sjf", "--ray"], "ray"),
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


CALLS = """
import gnnsched_agents
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs.public_sets import fetch_graph_set
from gnnsched_env.bounds.optimal import import_solver
from gnnsched_env.evaluation import policy_factory
from gnnsched_env.report.pyplot import import_pyplot
from gnnsched_env.envs.rendering import import_pygame
from importlib import import_module
calls = [(name, lambda name=name: getattr(gnnsched_agents, name)) for name in gnnsched_agents.__all__]
calls += [(name, lambda name=name: fetch_graph_set(name)) for name in ("cora", "MUTAG", "ogbn-arxiv", "ogbg-molhiv")]
calls += [("rllib", lambda: import_module("gnnsched_agents.rllib_module"))]
calls += [("gnn", lambda: import_module("gnnsched_env.predictors.gnn"))]
calls += [("solver", import_solver), ("picture", lambda: import_pyplot("a.png")), ("pygame", import_pygame)]
calls += [("sb3", lambda: policy_factory("sb3:model.zip", dispatch=False)(None, None))]
for name, call in calls:
    try:
        call()
    except Exception as error:
        print(name, type(error).__name__, error, sep="|")
    else:
        print(name, "made", "", sep="|")
"""
EXTRAS = {"ogbn-arxiv": "ogb", "ogbg-molhiv": "ogb", "cora": "gnn", "MUTAG": "gnn", "gnn": "gnn", "rllib": "adapters"}
EXTRAS |= {"solver": "bounds", "picture": "plots", "pygame": "render"}
OPTIONAL = (
    "torch",
    "torch_geometric",
    "stable_baselines3",
    "sb3_contrib",
    "matplotlib",
    "pygame",
    "PIL",
    "ortools",
    "ray",
    "ogb",
)


@pytest.mark.slow
def test_python_is_told_the_extra_of_everything_that_needs_one(tmp_path):
    (tmp_path / "model.zip").touch()
    code = HIDDEN.format(hidden=list(OPTIONAL), words=[]).partition("from gnnsched_cli")[0] + CALLS
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    told = {line.split("|")[0]: line.split("|")[1:] for line in done.stdout.splitlines()}
    assert len(told) == 18
    for name, (kind, message) in told.items():
        extra = EXTRAS.get(name, "agents")
        assert f"needs the extra `{extra}` (pip install 'gnnsched-env[{extra}]')" in message, (name, kind, message)
        assert kind in ("ConfigError", "RenderingUnavailable"), (name, kind, message)
