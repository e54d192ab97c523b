"""The loop of a training: what its folder holds, and that a killed one goes on exactly."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gnnsched_agents.methods.evolution import Evolution
from gnnsched_agents.methods.registry import method_config
from gnnsched_agents.run_folder import RunFolder
from gnnsched_agents.training_config import require_same
from gnnsched_agents.training_loop import train
from gnnsched_agents.validation import Validation
from gnnsched_baselines.learned.pair_network import load_network
from gnnsched_env.common.errors import ConfigError, FileFormatError
from tests.tiny_training import TINY, TINY_TOML


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of a tiny training that nothing interrupted, and its result."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(TINY, folder, command="gnnsched train --config tiny.toml", progress=False)


@pytest.fixture
def tiny_file(tmp_path):
    """Return the path of the tiny training's config."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_TOML)
    return path


def weights(path):
    return [array.tolist() for array in load_network(path)[0].arrays]


def curve(folder):
    """Return the curve without what the clock says."""
    kept = json.loads((folder / "checkpoint.json").read_text())
    return [{name: value for name, value in entry.items() if name != "minutes"} for entry in kept["curve"]]


def require_equal(folder, other):
    assert weights(folder / "last.npz") == weights(other / "last.npz")
    assert weights(folder / "best.npz") == weights(other / "best.npz")
    assert curve(folder) == curve(other)


def interrupt(monkeypatch, at, act):
    """Let iteration number `at` of evolution do something first."""
    update = Evolution.update

    def interrupted(self):
        if self.generation == at:
            act()
        return update(self)

    monkeypatch.setattr(Evolution, "update", interrupted)


class Killed(BaseException):
    """What nothing catches."""


def test_a_training_validates_and_keeps_the_best(whole):
    folder, result = whole
    assert result.finished and result.iteration == 7
    found = curve(folder)
    assert [entry["iteration"] for entry in found] == [0, 2, 4, 6, 7]
    assert found[0]["ratio"] == 1.0
    assert result.best["ratio"] == min(entry["ratio"] for entry in found)
    validation = Validation(TINY.validation, TINY.workloads)
    assert validation.score(load_network(folder / "best.npz")[0]).ratio == result.best["ratio"]
    assert validation.score(load_network(folder / "last.npz")[0]).ratio == found[-1]["ratio"]
    assert len({entry["ratio"] for entry in found}) > 2  # it did move


def test_the_card_tells_how_the_weights_were_made(whole):
    folder, result = whole
    _, card = load_network(folder / "best.npz")
    assert card["command"] == "gnnsched train --config tiny.toml"
    assert card["seed"] == 0 and card["name"] == "tiny"
    assert card["decisions"] == card["validation"]["decisions"] <= result.decisions == card["training"]["decisions"]
    assert card["iteration"] == result.best["iteration"] and 0 <= card["hours"] <= card["training"]["hours"]
    assert {name: card["validation"][name] for name in result.best} == result.best
    assert [entry["iteration"] for entry in card["curve"]] == [0, 2, 4, 6, 7]
    assert card["config"] == TINY.plain() and card["config"]["method"]["kind"] == "evolution"
    cases = card["validation"]["cases"]
    assert [(case["workload"], case["load"]) for case in cases] == [(101, 0.7), (101, 0.9)]
    assert np.exp(np.mean(np.log([case["ratio"] for case in cases]))) == pytest.approx(result.best["ratio"])


def test_events_are_written_against_decisions(whole):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder, result = whole
    events = accumulator.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    ratios = events.Scalars("validation/ratio")
    assert [event.step for event in ratios] == [entry["decisions"] for entry in curve(folder)]
    assert [event.value for event in ratios] == pytest.approx([entry["ratio"] for entry in curve(folder)])
    assert events.Scalars("train/decisions")[-1].step == result.decisions


@pytest.mark.parametrize("at", [0, 3, 6])
def test_a_killed_training_goes_on_as_if_it_had_not_been(whole, tmp_path, monkeypatch, at):
    def die():
        raise Killed

    with monkeypatch.context() as patch:
        interrupt(patch, at, die)
        with pytest.raises(Killed):
            train(TINY, tmp_path, progress=False)
    assert json.loads((tmp_path / "checkpoint.json").read_text())["iteration"] == 2 * (at // 2)
    train(TINY, tmp_path, progress=False)
    require_equal(tmp_path, whole[0])
    assert len(list(tmp_path.glob("method-*"))) == 1


@pytest.mark.slow
def test_the_command_killed_outright_goes_on_exactly(tiny_file, tmp_path):
    folder = tmp_path / "folder"
    words = [sys.executable, "-m", "gnnsched_cli", "train", "--config", str(tiny_file), "--folder", str(folder)]
    process = subprocess.Popen([*words, "--iterations", "100000"], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 100
        while not (folder / "checkpoint.json").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
    reached = json.loads((folder / "checkpoint.json").read_text())["iteration"]
    longer = replace(TINY, iterations=reached + 3)
    assert train(longer, folder, progress=False).finished
    train(longer, tmp_path / "whole", progress=False)
    require_equal(folder, tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_iteration_and_saves(whole, tmp_path, monkeypatch, number):
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        interrupt(patch, 4, lambda: os.kill(os.getpid(), number))
        result = train(TINY, tmp_path, progress=False)
    assert not result.finished and result.iteration == 5
    assert signal.getsignal(number) is before
    assert train(TINY, tmp_path, progress=False).finished
    require_equal(tmp_path, whole[0])


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(whole, tmp_path, monkeypatch):
    save = Evolution.save

    def full(self, path):
        if self.generation == 4:
            raise OSError(28, "No space left on device", str(path))
        save(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(Evolution, "save", full)
        with pytest.raises(OSError, match="No space left"):
            train(TINY, tmp_path, progress=False)
    assert RunFolder(tmp_path).read()["iteration"] == 2 and (tmp_path / "method-2").exists()
    train(TINY, tmp_path, progress=False)
    require_equal(tmp_path, whole[0])


def test_a_signal_before_the_first_iteration_stops_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(Validation, "play_references", lambda self: signal.raise_signal(signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(TINY, tmp_path, progress=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not (tmp_path / "checkpoint.json").exists()


def test_a_second_signal_stops_at_once(tmp_path, monkeypatch):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    interrupt(monkeypatch, 3, twice)
    with pytest.raises(KeyboardInterrupt):
        train(TINY, tmp_path, progress=False)
    assert json.loads((tmp_path / "checkpoint.json").read_text())["iteration"] == 2


def test_more_iterations_go_on_where_fewer_ended(whole, tmp_path):
    train(replace(TINY, iterations=4), tmp_path, progress=False)
    finished = train(replace(TINY, iterations=4), tmp_path, progress=False)
    assert finished.finished and finished.iteration == 4
    train(TINY, tmp_path, progress=False)
    require_equal(tmp_path, whole[0])


def test_minutes_end_a_training(tmp_path):
    result = train(replace(TINY, iterations=None, minutes=0.001), tmp_path, progress=False)
    assert result.finished and result.seconds >= 0.06 and result.iteration < 1000


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(TINY, seed=1), r"a training with seed 0, not 1:"),
        (replace(TINY, method=replace(TINY.method, sigma=0.4)), r"a training with method.sigma 0.1, not 0.4:"),
        (replace(TINY, workloads=replace(TINY.workloads, loads=(0.4, 0.9))), r"workloads.loads \[0.4, 1.0\], not"),
        (replace(TINY, validate_every=3), r"a training with validate_every 2, not 3:"),
    ],
)
def test_a_training_of_another_config_is_refused(whole, other, message):
    with pytest.raises(ConfigError, match=message):
        train(other, whole[0], progress=False)


def test_another_way_of_training_is_refused_by_its_kind():
    kept = {"method": {"kind": "ppo", "clip": 0.2}}
    with pytest.raises(ConfigError, match=r"with method\.kind 'ppo', not 'evolution'"):
        require_same(Path("out"), kept, {"method": {"kind": "evolution", "sigma": 0.1}})


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', "{", '{"format": "1"}'])
def test_a_damaged_checkpoint_is_refused(tmp_path, text):
    (tmp_path / "checkpoint.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"checkpoint\.json: must "):
        train(TINY, tmp_path, progress=False)


def test_a_checkpoint_names_files_of_its_folder_only(whole, tmp_path):
    kept = json.loads((whole[0] / "checkpoint.json").read_text())
    for change, message in (({"method": "../method-7"}, "must be the name of a file"), ({"format": 9}, "of format 9")):
        (tmp_path / "checkpoint.json").write_text(json.dumps({**kept, **change}))
        with pytest.raises(FileFormatError, match=message):
            RunFolder(tmp_path).read()


@pytest.mark.parametrize("change", [{"seconds": float("nan")}, {"iteration": -3}, {"curve": [{}]}, {"curve": [1]}])
def test_amounts_that_are_none_are_refused(whole, tmp_path, change):
    kept = json.loads((whole[0] / "checkpoint.json").read_text())
    (tmp_path / "checkpoint.json").write_text(json.dumps({**kept, **change}))
    with pytest.raises(FileFormatError, match=r"checkpoint\.json: .* an amount is below 0 or no number"):
        RunFolder(tmp_path).read()


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PK")])
def test_best_weights_that_are_lost_do_not_lose_the_training(tmp_path, damage, capsys):
    """The present weights take their place at once, and those that validate better later on take theirs."""
    train(replace(TINY, iterations=4), tmp_path, progress=False)
    damage(tmp_path / "best.npz")
    result = train(TINY, tmp_path, progress=False)
    assert "the present weights take its place" in capsys.readouterr().err
    found = curve(tmp_path)
    assert [entry["iteration"] for entry in found] == [0, 2, 4, 4, 6, 7]
    assert [bool(entry.get("lost")) for entry in found] == [True] * 3 + [False] * 3
    assert result.best["ratio"] == min(entry["ratio"] for entry in found[3:])
    validation = Validation(TINY.validation, TINY.workloads)
    assert validation.score(load_network(tmp_path / "best.npz")[0]).ratio == result.best["ratio"]


def test_one_process_trains_in_a_folder(tmp_path, monkeypatch):
    def again():
        with pytest.raises(ConfigError, match="is being written by process"):
            train(TINY, tmp_path, progress=False)

    interrupt(monkeypatch, 1, again)
    assert train(replace(TINY, iterations=2), tmp_path, progress=False).finished
    assert train(replace(TINY, iterations=2), tmp_path, progress=False).finished


def test_a_method_file_that_is_gone_is_named(whole, tmp_path):
    (tmp_path / "checkpoint.json").write_text((whole[0] / "checkpoint.json").read_text())
    with pytest.raises(FileFormatError, match="method-7"):
        train(TINY, tmp_path, progress=False)


SMALL_METHODS = {
    "evolution": {"width": 3, "pairs": 2, "worlds": 1, "lanes": 2, "prior": 0.1, "sigma": 0.1},
    "improvement": {"width": 4, "states": 8, "rounds": 1, "lanes": 4, "futures": 2, "arrivals": 5, "passes": 1},
    "policy_iteration": {"width": 4, "worlds": 1, "short": 1, "states": 8, "lanes": 4, "futures": 2, "share": 0.5},
    "ppo": {"width": 4, "critic_width": 4, "worlds": 2, "lanes": 2, "steps": 16, "batch": 32},
    "maskable_ppo": {"width": 4, "worlds": 2, "lanes": 2, "steps": 16, "batch": 32},
    "a2c": {"width": 4, "worlds": 2, "lanes": 2, "steps": 4, "rollouts": 4},
    "dqn": {"width": 4, "worlds": 2, "lanes": 2, "steps": 16, "batch": 8, "warmup": 20, "replay": 100, "target": 20},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SMALL_METHODS)
def test_every_way_of_training_runs_and_goes_on(kind, tmp_path, capsys):
    if kind != "evolution":
        pytest.importorskip("torch")
    if library := kind not in ("evolution", "improvement", "policy_iteration", "ppo"):
        pytest.importorskip("sb3_contrib")
    method = method_config(kind)(**SMALL_METHODS[kind])
    if kind == "improvement":
        method = replace(method, then=method_config("policy_iteration")(**SMALL_METHODS["policy_iteration"]))
    config = replace(TINY, method=method, iterations=3, validate_every=1)
    train(config, tmp_path / "whole", progress=False)
    train(replace(config, iterations=2), tmp_path / "parts", progress=False)
    train(config, tmp_path / "parts", progress=False)
    assert ("in new worlds" in capsys.readouterr().err) == library
    if not library:
        require_equal(tmp_path / "whole", tmp_path / "parts")
    for folder in ("whole", "parts"):
        decisions = [entry["decisions"] for entry in curve(tmp_path / folder)]
        assert decisions == sorted(set(decisions)) and len(decisions) == 4
        assert (tmp_path / folder / "best.zip").exists() == library
