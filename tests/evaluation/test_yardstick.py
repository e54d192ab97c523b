"""Yardsticks and learning curves: the same episodes each time, ratios as `run_policy` gives them, files and lines."""

import json

import gymnasium
import numpy as np
import pytest

import gnnsched_baselines  # noqa: F401  registers its policies
from gnnsched_baselines import make_policy
from gnnsched_env import Knowledge
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.evaluation import LearningCurve, Yardstick, policy_factory, run_policy
from gnnsched_env.scenario import load_scenario, scenario_table

SCENARIO = load_scenario("hetero4").with_options(jobs=15, window=8)


class FirstLegal:
    """A policy that reads rows of features."""

    knowledge = Knowledge.PREDICTED
    observation = "pairs"

    def act(self, observation, mask):
        assert observation.shape == (*mask.shape, 32)
        return mask.argmax(axis=1)


@pytest.fixture(scope="module")
def yardstick():
    return Yardstick(SCENARIO, episodes=3, seed=4)


def completions(name):
    run = run_policy(
        policy_factory(name, dispatch=False), SCENARIO, scenario_table(SCENARIO), dispatch=False, seed=4, episodes=3
    )
    return run.per_episode("completion")


def test_ratios_are_those_of_the_same_episodes(yardstick):
    expected = completions("min_min").mean() / completions("sjf").mean()
    assert yardstick.ratio("min_min") == pytest.approx(expected)
    assert yardstick.ratio("sjf") == 1.0
    interval = yardstick.interval("min_min")
    assert interval.low <= interval.value <= interval.high


def test_a_policy_may_be_an_object(yardstick):
    policy = FirstLegal()
    assert yardstick.ratio(policy) == yardstick.ratio(policy) > 0
    made = make_policy("min_min", made_layout(), table=scenario_table(SCENARIO))
    assert yardstick.ratio(made) == yardstick.ratio("min_min")


def made_layout():
    return gymnasium.make("gnnsched/Queue-v0", scenario=SCENARIO).unwrapped.layout


def test_registered_policies_are_played_once(yardstick, monkeypatch):
    before = yardstick.ratio("assignment")
    monkeypatch.setattr("gnnsched_env.evaluation.curves.yardstick.run_policy", None)
    assert yardstick.ratio("assignment") == before


def test_a_report_has_the_best_first(yardstick):
    lines = yardstick.report({"a": "random", "b": "min_min", "c": "sjf"}).splitlines()
    ratios = [float(line.split(" of sjf")[0].split()[-1]) for line in lines]
    assert ratios == sorted(ratios) and lines[0].startswith("b ") and len(lines) == 3


def test_bad_yardsticks_are_refused():
    with pytest.raises(ConfigError, match="sfj"):
        Yardstick(SCENARIO, reference="sfj")
    with pytest.raises(ConfigError, match="episodes must be an integer of at least 1, got 0"):
        Yardstick(SCENARIO, episodes=0)
    with pytest.raises(ConfigError, match="every must be an integer of at least 1, got 0"):
        LearningCurve({}, every=0)


@pytest.mark.parametrize("policy", [None, lambda observation, mask: None, object()])
def test_what_is_no_policy_is_refused(yardstick, policy):
    with pytest.raises(ConfigError, match="must have a method act"):
        yardstick.ratio(policy)


def test_other_things_than_yardsticks_are_refused(yardstick):
    for given in (yardstick, [yardstick], {"a": None}):
        with pytest.raises(ConfigError, match="yardsticks must be Yardsticks by name, got"):
            LearningCurve(given, every=1)
    with pytest.raises(ConfigError, match="dispatch must be true or false, got 'no'"):
        Yardstick(SCENARIO, dispatch="no")
    with pytest.raises(ConfigError, match="reference must be a policy's name, got"):
        Yardstick(SCENARIO, reference=FirstLegal())
    with pytest.raises(ConfigError, match=r"scenario must be a name, .* got a list of 1, which only batches take"):
        Yardstick([SCENARIO])
    for seed in (-1, True, "0"):
        with pytest.raises(ConfigError, match="seed must be an integer of at least 0, got"):
            Yardstick(SCENARIO, seed=seed)


def test_a_curve_of_the_other_environment_has_its_heuristics(capsys):
    curve = LearningCurve.on(SCENARIO.with_options(window=1), every=1, episodes=1, dispatch=True)
    curve.report(FirstLegal(), 1)
    assert "min_min" not in (out := capsys.readouterr().out) and "random" in out


def test_a_second_training_goes_on_where_the_first_ended(yardstick):
    curve = LearningCurve({"toy": yardstick}, every=100)
    curve.measure(FirstLegal(), 120)
    assert not curve.due(50) and curve.due(100)
    curve.measure(FirstLegal(), 100)
    assert [point["decisions"] for point in curve.points] == [120, 220]


def test_a_curve_is_measured_when_due_and_written(yardstick, tmp_path, capsys):
    file = tmp_path / "curve.json"
    curve = LearningCurve({"toy": yardstick}, every=100, file=file)
    assert not curve.due(99) and curve.due(100)
    curve.measure(FirstLegal(), 120)
    assert not curve.due(219) and curve.due(220)
    told = json.loads(file.read_text())
    assert [point["decisions"] for point in told["points"]] == [120] and "rivals" not in told
    curve.report(FirstLegal(), 250)
    curve.report(FirstLegal(), 250)
    told = json.loads(file.read_text())
    assert [point["decisions"] for point in told["points"]] == [120, 250]
    assert told["points"][1]["seconds"] >= told["points"][0]["seconds"] >= 0
    assert told["points"][0]["ratios"] == {"toy": yardstick.ratio(FirstLegal())}
    assert told["rivals"]["toy"]["min_min"] == yardstick.ratio("min_min")
    out = capsys.readouterr().out
    assert "       120 decisions" in out and "of sjf on toy" in out and "toy: 3 test episodes" in out


def test_measuring_is_not_counted_as_training(yardstick, monkeypatch):
    clock = iter(np.arange(100.0))
    monkeypatch.setattr("gnnsched_env.evaluation.curves.learning_curve.time.perf_counter", lambda: next(clock))
    curve = LearningCurve({"toy": yardstick}, every=1)
    curve.measure(FirstLegal(), 1)
    curve.measure(FirstLegal(), 2)
    assert [point["seconds"] for point in curve.points] == [1.0, 2.0]  # each measurement took one second, uncounted
