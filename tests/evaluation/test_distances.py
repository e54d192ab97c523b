"""Distances: the instances are the jobs that policies play, limits hold, ratios are what they say."""

import numpy as np
import pytest

from gnnsched_baselines import make_policy
from gnnsched_env.bounds import Plan
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.evaluation import run_policy
from gnnsched_env.evaluation.optimality.distances import (
    Limits,
    distance,
    distance_records,
    draw_instances,
    find_limits,
    played_plans,
)
from gnnsched_env.scenario import load_scenario, scenario_table

SCENARIO = load_scenario("hetero4").with_options(load=0.9, jobs=25)
TABLE = scenario_table(SCENARIO)
EPISODES = 3


def play(name, scenario=SCENARIO, *, dispatch=False, table=TABLE):
    def factory(layout, table):
        return make_policy(name, layout, table=table)

    return run_policy(factory, scenario, table, dispatch=dispatch, seed=4, episodes=EPISODES)


def drawn(scenario=SCENARIO, table=TABLE):
    return draw_instances(scenario, table, seed=4, episodes=EPISODES)


@pytest.mark.parametrize("name", ["sjf", "assignment", "fifo", "predictor_greedy", "random"])
@pytest.mark.parametrize("dispatch", [False, True])
def test_a_played_schedule_has_the_simulators_value(name, dispatch):
    """Every run under its own dataflow takes what the simulator says; under the best one a schedule is no worse."""
    if dispatch and name in ("assignment", "fifo"):
        pytest.skip("made for the queue")
    runs = play(name, dispatch=dispatch)
    jobs = runs.metrics.jobs
    for lane, (instance, plan) in enumerate(zip(drawn(), played_plans(runs, TABLE), strict=True)):
        assert np.array_equal(jobs["arrival"][lane], instance.release)
        cycles = TABLE.true_cycles[jobs["job_class"][lane], jobs["choice"][lane]]
        own = type(instance)(
            name="as run",
            release=instance.release,
            latency=np.where(np.arange(4) == plan.accelerators[:, np.newaxis], cycles[:, np.newaxis], instance.latency),
        )
        plan.check(own)
        assert plan.total(own) == runs.metrics.completion[lane].sum()
        plan.packed(instance).check(instance)
        assert plan.packed(instance).total(instance) <= plan.total(own)


def test_a_policy_that_takes_the_best_dataflows_and_never_waits_in_vain_is_as_its_plan():
    exact = TABLE.clairvoyant()
    runs = play("sjf", table=exact)
    plans = played_plans(runs, exact)
    totals = [plan.total(instance) for plan, instance in zip(plans, drawn(), strict=True)]
    assert totals == runs.metrics.completion.sum(axis=1).tolist()


@pytest.mark.parametrize(
    "options", [{"arrivals": "bursty"}, {"repeats": 7}, {"prediction_error": 0.3}, {"decision": {"latency_us": 50.0}}]
)
def test_limits_hold_under_other_conditions(options):
    scenario = SCENARIO.with_options(**options)
    table = scenario_table(scenario)
    instances = drawn(scenario, table)
    runs = {name: play(name, scenario, table=table) for name in ("sjf", "assignment")}
    starts = [played_plans(run, table) for run in runs.values()]
    limits = find_limits(instances, starts, moves=2000, rounds=100)
    for run in runs.values():
        assert np.array_equal(run.metrics.jobs["arrival"], [instance.release for instance in instances])
        totals = run.metrics.completion.sum(axis=1)
        assert (limits.bound <= limits.offline).all() and (limits.offline <= totals).all()
    for plan, instance in zip(limits.plans, instances, strict=True):
        plan.check(instance)


def test_records_say_how_far():
    runs = {name: play(name) for name in ("fifo", "assignment")}
    limits = find_limits(drawn(), moves=20_000, rounds=200)
    records = distance_records(runs, limits)
    assert [record["policy"] for record in records] == ["assignment", "fifo"]
    for record in records:
        totals = runs[record["policy"]].metrics.completion.sum(axis=1)
        assert record["mean_completion"] == pytest.approx(totals.sum() / (25 * EPISODES))
        assert record["over_bound"][0] == pytest.approx(totals.sum() / limits.bound.sum())
        assert record["over_offline"][0] == pytest.approx(totals.sum() / limits.offline.sum())
        assert record["worst_over_offline"] == pytest.approx((totals / limits.offline).max())


def test_ratios_to_the_optimum_are_of_the_proved_episodes():
    plan = Plan(accelerators=np.zeros(1, np.int64), starts=np.zeros(1, np.int64))
    limits = Limits(instances=(), plans=(plan,) * 3, bound=np.array([10, 18, 40]), offline=np.array([10, 20, 40]))
    found = distance(np.array([15.0, 40.0, 44.0]), limits)
    assert found["proved"] == 2
    assert found["over_optimum"][0] == pytest.approx(59 / 50)
    assert found["over_bound"][0] == pytest.approx(99 / 68)
    assert found["mean_ratio_to_offline"] == pytest.approx((1.5 + 2 + 1.1) / 3)
    assert found["worst_over_offline"] == 2.0
    none = Limits(instances=(), plans=(plan,), bound=np.array([9]), offline=np.array([10]))
    assert distance(np.array([15.0]), none)["over_optimum"] is None


def test_optima_are_proved_where_asked():
    pytest.importorskip("ortools.sat.python.cp_model", reason="OR-tools is not installed")
    instances = draw_instances(SCENARIO.with_options(jobs=8), TABLE, seed=0, episodes=2)
    assert find_limits(instances, seconds=30.0).proved.all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"failures": (200, 20)}, "must not fail"),
        ({"reconfiguration": 500}, "changing the dataflow must cost nothing, but takes up to 500 cycles"),
    ],
)
def test_what_has_no_bound_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        drawn(SCENARIO.with_options(**options))
    with pytest.raises(ConfigError, match="episodes must be"):
        draw_instances(SCENARIO, TABLE, seed=0, episodes=0)
