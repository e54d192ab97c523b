"""Trainings by name, from files and from the command line."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gnnsched_agents.config_files import load_config, override
from gnnsched_agents.methods.evolution import Evolution
from gnnsched_agents.methods.registry import KINDS, ImprovementConfig, kind_of
from gnnsched_agents.training_config import config_names, named_config
from gnnsched_agents.worlds import Workloads
from gnnsched_baselines.learned.pair_network import load_network
from gnnsched_cli.main import main
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.hardware.toml_format import preset_folder
from gnnsched_env.scenario import load_scenario
from tests.tiny_training import TINY, TINY_TOML


@pytest.fixture
def tiny_file(tmp_path):
    """Return the path of the tiny training's config."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_TOML)
    return path


def test_a_file_gives_the_config_that_code_gives(tiny_file):
    config = load_config(str(tiny_file))
    assert config == replace(TINY, minutes=60.0)
    assert config.name == "tiny"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('base = "queue_hetero4_es"\nsed = 1', r"unknown key 'sed'; did you mean 'seed'\?"),
        ('base = "queue_hetero4_es"\n[method]\nsigm = 1.0', r"method: unknown key 'sigm'; did you mean 'sigma'\?"),
        ('base = "queue_hetero4_es"\nmethod = 3', "method must be a table, got 3"),
        ('base = "queue_hetero4_es"\nseed = 1.5', "seed must be an integer, got 1.5"),
        ('base = "queue_hetero4_es"\nseed = true', "seed must be an integer, got True"),
        ('base = "queue_hetero4_es"\nminutes = "x"', "minutes must be a number, got 'x'"),
        ('base = "queue_hetero4_es"\n[workloads]\nloads = [0.5]', "loads must be a list of 2 numbers, got"),
        ('base = "queue_hetero4_es"\n[validation]\nloads = ["a"]', "loads must be a number, got 'a'"),
        ('base = "queue_hetero4_es"\n[validation]\nloads = 0.5', "loads must be a list of numbers, got 0.5"),
        ('base = "queue_hetero4_es"\n[method]\nweights = 3', "weights must be a path, got 3"),
        ('base = "queue_hetero4_es"\n[method]\nsigma = -1.0', "sigma must be a number above 0, got -1.0"),
        (
            'base = "queue_hetero_es"',
            r"base must name .*, one of queue, .*, got 'queue_hetero_es'; did you mean 'queue_hetero4_es'\?",
        ),
        ('base = "other.toml"', r"base must name the config to start from, one of .*a2c, .*, got 'other\.toml'"),
        ("seed = 1", "base must name the config to start from, one of .*a2c, .*, got None"),
        ("seed =", "must be a TOML file"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises((ConfigError, FileFormatError), match=message) as error:
        load_config(str(path))
    assert "bad.toml" in str(error.value) or "evolution: " in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileFormatError, match=r"none\.toml: cannot be read"):
        load_config(str(tmp_path / "none.toml"))


def test_a_file_may_give_whole_numbers_and_paths_as_toml_has_them():
    config = override("x", named_config("queue_hetero4_es"), {"minutes": 5, "method": {"weights": "a.npz"}})
    assert config.minutes == 5.0 and isinstance(config.minutes, float) and config.method.weights == Path("a.npz")


@pytest.mark.parametrize("name", config_names())
def test_named_configs_are_of_the_way_of_training_that_they_name(name):
    config = named_config(name)
    environment = config.workloads.environment
    ending = name.removeprefix(environment).removeprefix(f"_{config.workloads.scenario}").removeprefix("_")
    plain = {"queue": "improvement", "dispatch": "evolution"}[environment]
    kinds = {"": plain, "es": "evolution", "own": "policy_iteration"}
    assert kind_of(config.method) == kinds.get(ending, ending)
    assert json.loads(json.dumps(config.plain())) == config.plain()
    assert type(config.method)(**vars(config.method)) == config.method


def test_trainings_for_any_fleet_have_one_in_each_world():
    configs = [named_config(name) for name in ("queue", "queue_es", "queue_policy_iteration")]
    assert {config.workloads.scenario for config in configs} == {"random"}
    assert configs[0].method.then == configs[2].method and configs[1].method.level > 0
    assert all(len(config.validation.references) > 1 for config in configs)
    assert not named_config("queue_hetero4").validation.references


def test_every_way_of_training_has_a_name():
    assert {named_config(name).kind for name in config_names()} == set(KINDS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "seed must be"),
        ({"seed": 1 << 32}, "seed must be"),
        ({"minutes": None, "iterations": None}, "minutes or iterations must be"),
        ({"minutes": 0.0}, "minutes must be"),
        ({"iterations": 0}, "iterations must be"),
        ({"validate_every": 0}, "validate_every must be"),
        (
            {"method": ImprovementConfig(), "workloads": Workloads(environment="dispatch")},
            "workloads.environment must be 'queue' for the method improvement",
        ),
        (
            {"method": ImprovementConfig(), "workloads": Workloads(also=("fixed9",))},
            r"workloads.also must be empty for the method improvement",
        ),
        ({"method": Workloads()}, "method must be the config of one of improvement, .*, got Workloads"),
    ],
)
def test_bad_trainings_are_refused(change, message):
    with pytest.raises(ConfigError, match=f"training: {message}"):
        replace(TINY, **change)


def test_the_command_takes_a_file_and_what_differs(tiny_file, tmp_path, capsys):
    folder = tmp_path / "folder"
    words = ["--config", str(tiny_file), "--folder", str(folder), "--iterations", "2", "--method.sigma", "0.2"]
    assert main(["train", *words]) == 0
    assert "best.npz: " in capsys.readouterr().out
    _, card = load_network(folder / "best.npz")
    assert card["command"].startswith("gnnsched train --config ") and card["config"]["method"]["sigma"] == 0.2
    assert card["config"]["iterations"] == 2 and card["config"]["method"]["pairs"] == 2


def test_the_command_says_how_to_go_on(tiny_file, tmp_path, monkeypatch, capsys):
    words = ["--config", str(tiny_file), "--folder", str(tmp_path / "folder")]
    update = Evolution.update

    def interrupted(self):
        os.kill(os.getpid(), signal.SIGINT)
        return update(self)

    monkeypatch.setattr(Evolution, "update", interrupted)
    assert main(["train", *words]) == 130
    told = capsys.readouterr().err
    assert "stopping after this iteration" in told
    assert f"goes on: gnnsched train --config {tiny_file} --folder {tmp_path}/folder" in told


def test_the_command_tells_errors_in_one_line(capsys):
    assert main(["train", "--config", "queue_hetero5"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "did you mean 'queue_hetero4'?" in told
    assert main(["train", "--config", "queue_hetero4_es", "--method.pairs", "0"]) == 2
    assert capsys.readouterr().err == "error: evolution: pairs must be an integer of at least 1, got 0\n"


def test_the_help_is_for_its_reader(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--config", "queue_hetero4_es", "--help"])
    told = capsys.readouterr().out
    assert "\n    gnnsched train --config queue_hetero4\n    gnnsched train" in told
    assert "KINDS" not in told and "queue_FLEET_METHOD" in told


BLOCK = """
import sys
class Block:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("torch", "stable_baselines3", "sb3_contrib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""


def run_without_torch(code, *arguments):
    """Run code where PyTorch and what stands on it cannot be imported; return what came of it."""
    return subprocess.run([sys.executable, "-c", BLOCK + code, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_without_torch_all_is_there_but_what_needs_it():
    code = (
        "import gnnsched_agents\n"
        "from gnnsched_agents.methods.registry import trainer\n"
        "from gnnsched_agents.training_config import config_names, named_config\n"
        "print(len([named_config(name) for name in config_names()]), trainer('evolution').__name__)\n"
    )
    found = run_without_torch(code)
    assert found.stdout == f"{len(config_names())} Evolution\n", found.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("from gnnsched_agents import Sb3VecEnv", "Sb3VecEnv"),
        ("from gnnsched_agents.methods.registry import trainer\ntrainer('improvement')", "training by improvement"),
        ("from gnnsched_agents.methods.registry import trainer\ntrainer('ppo')", "training by ppo"),
        ("from gnnsched_agents.methods.registry import trainer\ntrainer('a2c')", "training by a2c"),
    ],
)
def test_a_missing_extra_is_named(code, what):
    last = run_without_torch(code).stderr.splitlines()[-1]
    assert (
        "ConfigError: " in last and f"{what}: needs the extra `agents` (pip install 'gnnsched-env[agents]'): " in last
    )


@pytest.mark.slow
def test_the_command_names_a_missing_extra_in_one_line(tmp_path):
    code = "from gnnsched_cli.main import main\nsys.exit(main(['train', *sys.argv[1:]]))"
    found = run_without_torch(code, "--config", "queue_hetero4", "--folder", str(tmp_path))
    assert found.returncode == 2 and found.stderr.count("\n") == 1 and "needs the extra `agents`" in found.stderr


def test_adapters_are_exported():
    pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed")
    import gnnsched_agents
    from gnnsched_agents.sb3.pair_env import PairVecEnv
    from gnnsched_agents.sb3.vec_env import Sb3VecEnv

    assert (gnnsched_agents.Sb3VecEnv, gnnsched_agents.PairVecEnv) == (Sb3VecEnv, PairVecEnv)
    with pytest.raises(AttributeError, match="no attribute 'VecEnv'"):
        _ = gnnsched_agents.VecEnv


def test_paths_in_a_file_start_from_its_folder(tmp_path, monkeypatch):
    fleet = (preset_folder() / "fleets" / "hetero4.toml").read_text()
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "own.toml").write_text(fleet.replace('name = "hetero4"', 'name = "own"'))
    config = 'base = "queue_hetero4_es"\nworkloads.scenario = "own.toml"\nmethod.weights = "start.npz"\n'
    config += 'workloads.also = ["fixed9", "own.toml"]\n'
    (tmp_path / "house" / "train.toml").write_text(config)
    monkeypatch.chdir(tmp_path)
    read = load_config("house/train.toml")
    assert read.method.weights == Path("house/start.npz")
    assert load_scenario(read.workloads.scenario).fleet.name == "own"
    assert read.workloads.also == ("fixed9", read.workloads.scenario)
    preset = 'base = "queue_hetero4_es"\nworkloads.scenario = "big_little"\n'
    (tmp_path / "house" / "preset.toml").write_text(preset)
    assert load_config("house/preset.toml").workloads.scenario == "big_little"
