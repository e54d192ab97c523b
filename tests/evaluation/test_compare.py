"""Comparing policies by name."""

from contextlib import contextmanager
from pathlib import Path

import pytest

import gnnsched_baselines  # noqa: F401  registers its policies
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.parallel import task_runs
from gnnsched_env.evaluation import add_bound, compare, episode_blocks, records, with_graphs
from gnnsched_env.evaluation.compare import contest_of, mixes
from gnnsched_env.evaluation.episode_blocks import Condition
from gnnsched_env.evaluation.optimality.distances import draw_instances, find_limits
from gnnsched_env.evaluation.policies import policy_factory
from gnnsched_env.evaluation.records import evaluate_each
from gnnsched_env.scenario import load_scenario, scenario_table

SCENARIO = load_scenario("hetero4").with_options(jobs=12)


def test_names_and_factories_compare_alike():
    by_name = compare(SCENARIO, ("sjf", "fifo"), episodes=2, versus="min_min")
    factories = {name: policy_factory(name, dispatch=False) for name in ("sjf", "fifo", "min_min")}
    assert by_name == compare(SCENARIO, factories, table=scenario_table(SCENARIO), episodes=2, versus="min_min")
    assert {record["policy"] for record in by_name} == {"sjf", "fifo", "min_min"}
    assert by_name[0]["graphs"] == ["molecule", "ego", "rmat", "citation"]
    assert all(record["ratio_to_best_uninformed"] and record["ratio_to_versus"] for record in by_name)


def test_a_bad_name_is_refused_before_anything_is_played(monkeypatch):
    monkeypatch.setattr(records, "run_tasks", None)
    for policies, options in (
        (("sjf", "fiffo"), {}),
        (("sjf",), {"versus": "fiffo"}),
        (("sjf", "fifo"), {"dispatch": True}),
    ):
        with pytest.raises(ConfigError, match="fifo"):
            compare(SCENARIO, policies, **options)


def test_the_bar_tells_every_task_and_policy(monkeypatch):
    told = []

    @contextmanager
    def bar(description, total, *, shown, unit):
        yield lambda amount, doing=None: told.append((total, amount, doing))

    monkeypatch.setattr(task_runs, "progress_bar", bar)
    compare(SCENARIO.with_options(jobs=200), ("sjf", "fifo"), episodes=3, progress=True)
    names = [doing for _, _, doing in told if doing and doing != "1 worker"]
    assert names[0] == "clairvoyant sjf" and names[-1] == "sjf" and (len(names), 0, "1 worker") in told
    totals = {total for total, _, _ in told}
    assert totals == {len(names)}
    assert sum(amount for _, amount, _ in told) == pytest.approx(totals.pop())
    assert len([amount for _, amount, _ in told if amount]) > 2 * len(names)  # it moves within a task, too


def test_records_do_not_depend_on_blocks_and_what_is_kept_is_found(tmp_path, monkeypatch):
    table = scenario_table(SCENARIO)
    conditions = [Condition(scenario=SCENARIO.with_options(load=load), table=table, graphs=()) for load in (0.5, 0.9)]
    options = {"dispatch": False, "versus": None, "seed": 3, "episodes": 23}
    whole = [one.records for one in evaluate_each(contest_of(("sjf", "random"), **options), conditions)]
    contest = contest_of(("random", "sjf"), **options, block=5)
    assert [one.records for one in evaluate_each(contest, conditions[:1], keep=tmp_path)] == whole[:1]
    monkeypatch.setattr(episode_blocks, "run_unbounded", None)  # the first load's is kept
    found = evaluate_each(contest, conditions, keep=tmp_path)
    assert next(found).records == whole[0]
    with pytest.raises(TypeError):
        next(found)
    with pytest.raises(ConfigError, match="policy 'mine': results are kept of policies by name only"):
        mine = {"mine": lambda layout, table: None}
        next(evaluate_each(contest_of(mine, **options), conditions, keep=tmp_path))


def test_bounds_are_those_of_all_episodes_together():
    table = scenario_table(SCENARIO)
    own = [{"mean_completion": 1000.0}]
    add_bound(own, SCENARIO, table, seed=3, episodes=2)
    limits = find_limits(draw_instances(SCENARIO, table, seed=3, episodes=2))
    assert own[0]["ratio_to_bound"] == pytest.approx(1000.0 * 24 / limits.bound.sum())


def test_mixes_and_graphs():
    paths = [Path("a.npz"), Path("b.npz")]
    assert mixes(paths, per_file=True) == [(*paths,), (paths[0],), (paths[1],)]
    assert mixes(paths, per_file=False) == [(*paths,)] and mixes(paths[:1], per_file=True) == [(paths[0],)]
    assert with_graphs(SCENARIO, paths).workload.graphs == ("a.npz", "b.npz")
    assert with_graphs(SCENARIO, ()) is SCENARIO
