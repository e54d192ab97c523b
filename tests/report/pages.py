"""Small results and schedules for tests of the report page."""

from dataclasses import replace
from functools import cache

import numpy as np

import gnnsched_baselines  # noqa: F401  (registers policies)
from gnnsched_env.bench import results
from gnnsched_env.bench.tasks import FIRST_SEED, Task, task_digest
from gnnsched_env.common.files import write_json
from gnnsched_env.evaluation import compare, policy_factory, provenance, run_unbounded
from gnnsched_env.evaluation.one_episode import play_episode
from gnnsched_env.report.page.gantt import Episode
from gnnsched_env.scenario import load_scenario, scenario_table

SCENARIO = load_scenario("hetero4").with_options(jobs=15)
POLICIES = ("sjf", "fifo", "random")


@cache
def _recorded(loads, jobs):
    scenario = SCENARIO.with_options(jobs=jobs)
    records = [
        record for load in loads for record in compare(scenario.with_options(load=load), POLICIES, episodes=3, seed=4)
    ]
    made_by = provenance(scenario, [scenario_table(scenario)], {"seed": 4, "graphs": []})
    return {"provenance": made_by, "records": records}


def write_records(path, *, loads=(0.5, 0.9), jobs=15, change=lambda data: None):
    """Write a file of records as `gnnsched evaluate --json` does, changed by a function of its content."""
    import copy

    data = copy.deepcopy(_recorded(tuple(loads), jobs))
    change(data)
    write_json(path, data)
    return path


@cache
def tiny_tasks():
    """Return two tasks of the benchmark's form, at two loads; 0.6 of the reference stands for the bound."""
    made = []
    for load in (0.5, 0.8):
        task = Task(
            suite="full", fleet="hetero4", condition="poisson", load=load, jobs=15, episodes=3, graphs=(), options={}
        )
        scenario = task.scenario()
        table = scenario_table(scenario)
        first = policy_factory("sjf", dispatch=False)
        runs = run_unbounded(first, scenario, table.clairvoyant(), seed=FIRST_SEED, episodes=task.episodes)
        reference = tuple(runs.metrics.completion.sum(axis=1).tolist())
        bound = tuple(int(0.6 * one) for one in reference)
        made.append(replace(task, digest=task_digest(task, scenario, table), reference=reference, bound=bound))
    return tuple(made)


def write_bench(path, monkeypatch):
    """Write a file of two policies' results on the tiny tasks, which take the benchmark's place."""
    monkeypatch.setattr(results, "bench_tasks", lambda suite=None: tiny_tasks())
    results.write_results(path, [results.run_suite(name, "full") for name in ("fifo", "sjf")])
    return path


def played(policy="sjf", *, classes=None, **options):
    """Return the episode of a policy; `classes` takes the place of its job classes' names."""
    scenario = SCENARIO.with_options(**options)
    env = play_episode(policy_factory(policy, dispatch=False), scenario, dispatch=False, seed=0)
    labels = env.labels if classes is None else replace(env.labels, classes=(classes,) * len(env.labels.classes))
    return Episode(policy=policy, schedule=env.schedule(), table=env.table, labels=labels)


def sources(chart):
    """Return the columns of each of a chart's marks that have any, as arrays by name."""
    found = [
        {name: np.asarray(values) for name, values in one.data_source.data.items()} for one in chart.figure.renderers
    ]
    return [columns for columns in found if columns]
