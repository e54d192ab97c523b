"""Evaluation where arrivals change, accelerators fail or predictions are wrong, and of policies that plan."""

import json

import numpy as np
import pytest

from gnnsched_baselines import make_policy
from gnnsched_env.common.policy import Knowledge
from gnnsched_env.evaluation import evaluate, provenance, run_policy, run_unbounded, runs
from gnnsched_env.evaluation.one_episode import play_episode
from gnnsched_env.hardware import load_fleet
from gnnsched_env.report.policy_table import changed_options, legend, policy_table
from gnnsched_env.scenario import DecisionCost, Scenario, scenario_table, simulation_settings, table_rate
from gnnsched_env.scenario.traces import write_trace
from scripts.studies.robustness import condition_markdown
from tests.envs.environments import hetero_table

FAILING = {"up": 60.0, "down": 20.0}


def sjf(layout, table):
    return make_policy("sjf", layout)


def fifo(layout, table):
    return make_policy("fifo", layout)


@pytest.fixture
def scenario():
    return Scenario(name="random", fleet=load_fleet("hetero4"), table=hetero_table()).with_options(jobs=60, load=0.7)


def run_all(scenario, *, dispatch=False, episodes=4):
    records = evaluate(
        scenario,
        scenario_table(scenario),
        {"sjf": sjf, "fifo": fifo},
        shortest_job_first=sjf,
        uninformed={},
        dispatch=dispatch,
        seed=0,
        episodes=episodes,
        graphs=["random"],
    )
    return {record["policy"]: record for record in records}


def reference(record):
    return record["mean_completion"] / record["ratio_to_sjf_clairvoyant"]["completion"][0]


class Planner:
    """The first legal action; notes what it is told, and when."""

    knowledge = Knowledge.PREDICTED

    def __init__(self, layout, table):
        self.told = []
        self.belief = None

    def observe_belief(self, belief):
        assert self.belief is None
        self.belief = belief

    def act(self, observation, mask):
        belief, self.belief = self.belief, None
        self.told.append(belief.lanes["time"].tolist())
        return mask.argmax(axis=1)


def test_a_policy_that_plans_is_told_the_belief_before_each_decision(scenario):
    run = run_policy(Planner, scenario, scenario.table, dispatch=False, seed=0, episodes=2)
    times = np.array(run.policy.told)
    assert times.shape[1] == 2 and len(times) >= 60
    assert (np.diff(times, axis=0) >= 0).all() and (times[-1] > times[0]).all()


def test_one_episode_of_a_policy_that_plans_is_that_of_the_evaluation(scenario):
    short = scenario.with_options(jobs=12)

    def rollout(layout, table):
        return make_policy("rollout", layout, futures=4, arrivals=3)

    env = play_episode(rollout, short, dispatch=False, seed=3)
    run = run_policy(rollout, short, short.table, dispatch=False, seed=3, episodes=1)
    jobs = env.batch.simulation.jobs[0]
    assert (jobs["finish"] - jobs["arrival"]).tolist() == run.metrics.completion[0].tolist()


def test_a_record_tells_the_conditions(scenario):
    names = ("arrivals", "failures", "prediction_error", "reward")
    assert {run_all(scenario)["sjf"][name] for name in names} == {None}
    changed = scenario.with_options(
        arrivals={"process": "bursty", "deadlines": (1, 30), "priorities": [(1, 3), (4, 1)]},
        failures=FAILING,
        prediction_error=0.3,
        reward="weighted",
    )
    record = run_all(changed)["sjf"]
    assert json.loads(json.dumps(record)) == record
    assert (record["arrivals"]["process"], record["arrivals"]["deadlines"]) == ("bursty", [1.0, 30.0])
    assert record["failures"] == FAILING
    assert record["prediction_error"] == {"noise": 0.3, "bias": 1.0, "seed": 0}
    assert record["reward"] == {"completion": 0.0, "weighted": 1.0, "tardiness": 0.0, "energy": 0.0}
    assert 0 < record["missed_deadlines"] < 1
    assert record["mean_failures"] > 1
    about = provenance(changed, [], {})
    assert about["failures"] == FAILING and about["arrivals"]["process"] == "bursty"


def test_the_figures_of_a_record_are_those_of_the_jobs(scenario):
    changed = scenario.with_options(
        arrivals={"deadlines": (1, 30), "priorities": [(1, 3), (4, 1)]}, failures=FAILING, load=0.5
    )
    record = run_all(changed)["fifo"]
    completion, weights, late = [], [], []
    for seed in range(4):
        jobs = play_episode(fifo, changed, dispatch=False, seed=seed).batch.simulation.jobs[0]
        for job in jobs:
            completion.append(int(job["finish"] - job["arrival"]))
            weights.append(float(job["weight"]))
            late.append(max(0, int(job["finish"] - job["due"])))
    assert sorted(set(weights)) == [1.0, 4.0]
    assert record["mean_weighted_completion"] == pytest.approx(np.dot(weights, completion) / sum(weights))
    assert record["missed_deadlines"] == pytest.approx(np.count_nonzero(late) / len(late))
    assert record["mean_tardiness"] == pytest.approx(np.mean(late))


@pytest.mark.parametrize("arrivals", ["bursty", "diurnal", {"drift": 0.9}])
def test_the_reference_meets_the_same_jobs(scenario, arrivals):
    hetero = Scenario(name="shipped", fleet=load_fleet("hetero4")).with_options(jobs=60, load=0.7)  # it has groups
    plain, changed = run_all(hetero), run_all(hetero.with_options(arrivals=arrivals))
    own = run_unbounded(
        sjf, hetero.with_options(arrivals=arrivals), scenario_table(hetero).clairvoyant(), seed=0, episodes=4
    )
    assert reference(changed["sjf"]) == pytest.approx(float(own.per_episode("completion").mean()))
    assert reference(changed["sjf"]) != pytest.approx(reference(plain["sjf"]), rel=1e-6)
    assert changed["sjf"]["capacity"] == plain["sjf"]["capacity"]  # of the average rate and mix


def test_the_reference_fails_like_the_others_and_predicts_without_error(scenario):
    failing = scenario.with_options(failures=FAILING)
    own = run_unbounded(sjf, failing, scenario.table.clairvoyant(), seed=0, episodes=4)
    assert own.metrics.failures.sum() >= 4
    assert reference(run_all(failing)["sjf"]) == pytest.approx(float(own.per_episode("completion").mean()))
    wrong = run_all(scenario.with_options(prediction_error=1.5))
    right = run_all(scenario)
    assert reference(wrong["sjf"]) == pytest.approx(reference(right["sjf"]))
    assert wrong["sjf"]["mean_completion"] > right["sjf"]["mean_completion"]
    assert wrong["fifo"]["mean_completion"] == right["fifo"]["mean_completion"]  # it looks at no predictions


def test_an_exact_predictor_with_an_error_tells_no_truth(scenario):
    exact = Scenario(name="exact", fleet=scenario.fleet, table=scenario.table.clairvoyant()).with_options(jobs=10)
    assert run_all(exact)["sjf"]["knowledge"] == "true"
    assert run_all(exact.with_options(prediction_error=0.05))["sjf"]["knowledge"] == "predicted"


def test_a_failing_fleet_sustains_the_share_of_the_time_in_which_it_is_up(scenario):
    whole = run_all(scenario)["sjf"]
    half = run_all(scenario.with_options(failures={"up": 60, "down": 60}))["sjf"]
    assert whole["capacity"] == pytest.approx(1.0)
    assert half["capacity"] == pytest.approx(0.5)
    assert (whole["load"], whole["stable"]) == (0.7, True)
    assert (half["load"], half["stable"]) == (0.7, False)


def test_the_load_of_a_trace_is_its_rate(scenario, tmp_path):
    times = np.arange(50) * 2e-6
    write_trace(tmp_path / "jobs.csv", times, [scenario.table.class_names[k % 20] for k in range(50)])
    replayed = scenario.with_options(arrivals={"trace": str(tmp_path / "jobs.csv")})
    unlimited = Scenario(name="trace", fleet=scenario.fleet, table=scenario.table, arrivals=replayed.arrivals)
    record = run_all(unlimited, episodes=1)["sjf"]
    table = scenario_table(unlimited)
    assert (record["jobs"], record["arrivals"]["trace"]) == (50, str(tmp_path / "jobs.csv"))
    assert record["load"] == pytest.approx(1 / (2e-6 * scenario.fleet.clock_hz) / table_rate(table))
    assert record["stable"] == (record["load"] < record["capacity"])
    run = run_policy(sjf, unlimited, table, dispatch=False, seed=0, episodes=1)
    assert run.metrics.jobs["arrival"][0].tolist() == np.rint(times * scenario.fleet.clock_hz).tolist()


def test_episodes_too_large_to_be_played_together_are_played_in_turn(scenario, monkeypatch):
    whole = run_policy(sjf, scenario, scenario.table, dispatch=False, seed=0, episodes=5)
    lanes = []
    play = runs._play
    monkeypatch.setattr(runs, "_play", lambda batch, *rest: lanes.append(len(batch.mask)) or play(batch, *rest))
    monkeypatch.setattr(runs, "MOST_HELD", 2 * 60)
    parts = run_policy(sjf, scenario, scenario.table, dispatch=False, seed=0, episodes=5)
    assert lanes == [2, 2, 1]
    assert parts.metrics.completion.tolist() == whole.metrics.completion.tolist()


def test_what_a_scenario_changes_is_told(scenario):
    plain = Scenario(name="plain", fleet=load_fleet("hetero4"))
    assert changed_options(plain) == changed_options(plain.with_options(jobs=1000, load=0.3)) == ()
    changed = plain.with_options(
        jobs=50,
        repeats=7,
        decision=DecisionCost(latency_us=2.5),
        arrivals={"drift": 0.5, "deadlines": (2, 3)},
        prediction_error=0.05,
        reconfiguration=300,
        predictor="exact",
        failures={"up": 0, "down": 5},  # nothing fails
    )
    assert changed_options(changed) == (
        "predictor = exact",
        "workload.repeats = 7",
        "environment.jobs = 50",
        "decision.latency_us = 2.5",
        "arrivals.drift = 0.5",
        "arrivals.deadlines = [2, 3]",
        "prediction_error.noise = 0.05",
        "reconfiguration = 300",
    )


def headings(records):
    return [str(column.header) for column in policy_table(list(records.values()), title="").columns]


def test_columns_are_shown_where_they_can_differ(scenario):
    plain = run_all(scenario)
    failing = run_all(scenario.with_options(failures=FAILING))
    never = run_all(scenario.with_options(failures={"up": 0, "down": 5}))
    assert headings(never) == headings(plain) and legend(list(never.values())) == legend(list(plain.values()))
    due = run_all(scenario.with_options(arrivals={"deadlines": (1, 3)}))
    weighty = run_all(scenario.with_options(arrivals={"priorities": [(1, 1), (2, 1)]}))
    common = headings(plain)
    assert [headings(records)[len(common) :] for records in (failing, due, weighty)] == [
        ["up", "abort."],
        ["missed", "tard."],
        ["wC"],
    ]
    assert "missed: share of the deadlines" in legend(list(due.values()))
    assert legend(list(plain.values())) in legend(list(due.values()))
    table = policy_table(list(due.values()), title="")
    shown = list(table.columns[len(common)].cells)
    assert shown == [f"{100 * record['missed_deadlines']:.1f}%" for record in due.values()]


def test_conditions_are_columns_and_the_first_orders_the_rows():
    def record(policy, value, *, episodes=20, stable=True):
        interval = [value, value - 0.1, value + 0.1]
        return {
            "policy": policy,
            "episodes": episodes,
            "stable": stable,
            "ratio_to_sjf_clairvoyant": {"completion": interval},
        }

    records = {
        "Poisson": [record("b", 1.5), record("a", 1.25, episodes=2), record("c", 30, stable=False)],
        "bursty": [record("a", 2.0, episodes=2), record("c", 3.0), record("b", 1.0)],
    }
    assert condition_markdown(records).splitlines() == [
        "| policy | Poisson | bursty |",
        "|---|---:|---:|",
        "| a (2 episodes) | 1.250 ±0.100 | 2.000 ±0.100 |",
        "| b | 1.500 ±0.100 | 1.000 ±0.100 |",
        "| c | 30.0 ±0.1! | 3.000 ±0.100 |",
    ]


def test_the_stability_of_a_slow_predictor_on_a_failing_fleet_is_that_of_the_tighter_bound(scenario):
    gap_us = 1e6 * simulation_settings(scenario.with_options(load=1.0), scenario.table, dispatch=False).mean_gap
    gap_us /= scenario.fleet.clock_hz
    failing = scenario.with_options(failures={"up": 60, "down": 60})
    slow = run_all(failing.with_options(decision={"latency_us": 4 * gap_us}))["sjf"]
    quick = run_all(failing.with_options(decision={"latency_us": gap_us}))["sjf"]
    assert slow["capacity"] == pytest.approx(0.25, rel=0.01)
    assert quick["capacity"] == pytest.approx(0.5, rel=0.01)
