"""The frozen tasks: what is played is what was frozen, and no reference is below its proved bound."""

import json
from dataclasses import replace

import numpy as np
import pytest

import gnnsched_baselines  # noqa: F401  (registers sjf)
from gnnsched_env.bench import tasks
from gnnsched_env.bench.tasks import SUITES, bench_tasks, task_batch
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.evaluation import policy_factory
from gnnsched_env.evaluation.runs import run_unbounded
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import load_scenario, scenario_table
from gnnsched_env.sim.totals import exact_sum

SMALL = bench_tasks("small")


def test_suites_hold_the_tasks_that_their_help_tells():
    assert [len(bench_tasks(suite)) for suite in SUITES] == [25, 75, 15]
    names = [task.name for task in bench_tasks()]
    assert len(set(names)) == len(names) == 115
    assert {task.fleet for task in SMALL} == {"hetero4", "flexible4", "big_little", "fixed9", "wide64"}
    assert {task.load for task in bench_tasks("full")} == {0.5, 0.8, 0.95}


def test_no_reference_is_below_its_proved_bound():
    for task in bench_tasks():
        assert len(task.bound) == len(task.reference) == task.episodes
        assert all(0 < bound < reference for bound, reference in zip(task.bound, task.reference, strict=True)), (
            task.name
        )


@pytest.mark.parametrize("task", [task for task in SMALL if task.fleet in ("hetero4", "fixed9")], ids=lambda t: t.name)
def test_a_task_plays_what_was_frozen(task):
    scenario, table = task.open()
    factory = policy_factory("sjf", dispatch=False)
    seeds = {"seed": tasks.FIRST_SEED, "episodes": task.episodes}
    played = run_unbounded(factory, scenario, table.clairvoyant(), **seeds).metrics.completion
    assert tuple(exact_sum(row) for row in np.asarray(played)) == task.reference


def test_conditions_of_the_same_arrivals_share_their_jobs_and_bounds():
    own = {task.condition: task for task in SMALL if task.fleet == "hetero4"}
    jobs = {}
    for name, task in own.items():
        scenario = task.scenario()
        found = task_batch(task, scenario, scenario_table(scenario)).simulation.jobs
        jobs[name] = np.stack([found["arrival"], found["job_class"]])
    for name in ("failures", "error20", "deciding"):
        assert np.array_equal(jobs[name], jobs["poisson"]) and own[name].bound == own["poisson"].bound
    assert not np.array_equal(jobs["bursty"], jobs["poisson"])
    assert own["failures"].reference > own["poisson"].reference


@pytest.mark.parametrize(
    "changed",
    [
        lambda task: replace(task, load=0.81),
        lambda task: replace(task, fleet="flexible4"),
        lambda task: replace(task, options={"prediction_error": {"noise": 0.1}}),
        lambda task: replace(task, options={"failures": (400.0, 10.0)}),
        lambda task: replace(task, jobs=199),
    ],
)
def test_a_task_that_would_play_anything_else_is_refused(changed):
    with pytest.raises(ConfigError, match="its hash must be"):
        changed(SMALL[0]).open()


def test_real_tasks_need_their_files(tmp_path):
    task = bench_tasks("real")[0]
    with pytest.raises(ConfigError, match="needs the folder of ENZYMES"):
        task.open()
    with pytest.raises(ConfigError, match=r"ENZYMES.npz is missing \(`gnnsched graphs get ENZYMES`"):
        task.open(tmp_path)


def test_real_tasks_are_those_of_their_files(shared):
    """Their hashes hold, on one task of each condition of a fleet, and one of them is played as it was frozen."""
    own = [task for task in bench_tasks("real") if task.fleet == "big_little"]
    for task in own:
        scenario, table = task.open(shared / "graphs")
    assert len(own) == 3
    factory = policy_factory("sjf", dispatch=False)
    played = run_unbounded(factory, scenario, table.clairvoyant(), seed=tasks.FIRST_SEED, episodes=own[-1].episodes)
    assert tuple(exact_sum(row) for row in np.asarray(played.metrics.completion)) == own[-1].reference


def test_bad_names_and_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="suite must be one of small, full, real, got 'big'"):
        bench_tasks("big")
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps({"benchmark": "gnnsched-bench", "version": 2, "tasks": []}))
    with pytest.raises(FileFormatError, match="of version 1, got 'gnnsched-bench' of 2"):
        bench_tasks(path=path)
    path.write_text(json.dumps({"benchmark": "gnnsched-bench", "version": 1, "tasks": [{"suite": "small"}]}))
    with pytest.raises(FileFormatError, match="not the tasks of a benchmark"):
        bench_tasks(path=path)


def test_the_two_fleets_of_the_benchmark():
    fixed, wide = load_fleet("fixed9"), load_fleet("wide64")
    assert [len(accelerator.dataflows) for accelerator in fixed.accelerators] == [1] * 9
    assert len({choice.dataflow.name for choice in fixed.choices}) == 9
    assert len(wide.accelerators) == 64 and {accelerator.pes for accelerator in wide.accelerators} == {256, 512, 1024}
    assert load_scenario("wide64").fleet == wide
