"""Paired runs, ratios and records, with policies whose results are known."""

import json

import numpy as np
import pytest

from gnnsched_env.envs import unflatten
from gnnsched_env.errors import ConfigError, GnnSchedError
from gnnsched_env.evaluation import evaluate, paired_ratio, run_policy, run_unbounded, write_json
from gnnsched_env.hardware import load_fleet
from gnnsched_env.policy import Knowledge, Routing
from gnnsched_env.scenario import Scenario
from tests.envs.environments import hetero_table

FIELDS = [
    "policy", "knowledge", "fleet", "env", "load", "capacity", "stable", "episodes", "jobs", "graphs",
    "mean_completion", "p50_completion", "p95_completion", "p99_completion", "mean_execution", "mean_slowdown",
    "utilisation", "throughput_per_mcycle", "ratio_to_best_uninformed", "ratio_to_sjf_clairvoyant",
]  # fmt: skip


class First:
    """The first legal action; knows nothing."""

    knowledge = Knowledge.NONE
    routing = Routing.FREE
    choices = None

    def __init__(self, layout, table):
        self.layout = layout

    def act(self, observation, mask):
        return mask.argmax(axis=1)


class Shortest(First):
    """The legal pair of smallest predicted latency."""

    knowledge = Knowledge.PREDICTED

    def act(self, observation, mask):
        latencies = unflatten(observation, self.layout).latencies.reshape(len(mask), -1)
        if not self.layout.dispatch:
            latencies = np.concatenate([latencies, np.full((len(mask), 1), 2.0)], axis=1)
        return np.where(mask, latencies, 3.0).argmin(axis=1)


@pytest.fixture
def scenario():
    return Scenario(name="random", fleet=load_fleet("hetero4"), table=hetero_table()).with_options(jobs=40, load=0.5)


def run_all(scenario, dispatch=False, episodes=6):
    return evaluate(
        scenario,
        scenario.table,
        {"first": First, "shortest": Shortest},
        shortest_job_first=Shortest,
        dispatch=dispatch,
        seed=0,
        episodes=episodes,
        graphs=["random"],
    )


def test_paired_ratio_of_a_constant_multiple_has_no_width():
    values = np.random.default_rng(0).exponential(size=50)
    interval = paired_ratio(3 * values, values)
    assert (interval.value, interval.low, interval.high) == pytest.approx((3, 3, 3))


def test_paired_ratio_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(100):
        shared = rng.exponential(size=80)
        interval = paired_ratio(shared * rng.uniform(1, 3, 80), shared)
        hits += interval.low <= 2.0 <= interval.high
    assert 85 <= hits <= 100


@pytest.mark.parametrize("dispatch", [False, True])
def test_records_hold_every_field_and_are_best_first(scenario, dispatch, tmp_path):
    records = run_all(scenario, dispatch)
    assert [list(record) for record in records] == [FIELDS, FIELDS]
    completions = [record["mean_completion"] for record in records]
    assert completions == sorted(completions)
    write_json(tmp_path / "out" / "records.json", {"provenance": {}, "records": records})
    assert json.loads((tmp_path / "out" / "records.json").read_text())["records"] == records


def test_the_best_uninformed_policy_is_its_own_reference(scenario):
    by_name = {record["policy"]: record for record in run_all(scenario)}
    assert by_name["first"]["ratio_to_best_uninformed"] == {"completion": [1.0] * 3, "execution": [1.0] * 3}
    ratio = by_name["shortest"]["ratio_to_best_uninformed"]["completion"][0]
    assert ratio == pytest.approx(by_name["shortest"]["mean_completion"] / by_name["first"]["mean_completion"])


def test_the_clairvoyant_reference_is_the_same_policy_on_the_true_table(scenario):
    runs = run_policy(Shortest, scenario, scenario.table.clairvoyant(), dispatch=False, seed=0, episodes=6)
    reference = run_unbounded(Shortest, scenario, scenario.table.clairvoyant(), seed=0, episodes=6)
    assert runs.most_waiting <= 32
    assert reference.pooled("completion").tolist() == runs.pooled("completion").tolist()


def test_the_unbounded_window_grows_until_it_hides_nothing(scenario):
    crowded = scenario.with_options(jobs=600, load=1.4)
    reference = run_unbounded(Shortest, crowded, scenario.table, seed=0, episodes=2)
    whole = run_policy(Shortest, crowded.with_options(window=600), scenario.table, dispatch=False, seed=0, episodes=2)
    assert reference.most_waiting > 64
    assert reference.pooled("completion").tolist() == whole.pooled("completion").tolist()


def test_episodes_do_not_depend_on_how_many_run_together(scenario):
    many = run_policy(Shortest, scenario, scenario.table, dispatch=True, seed=0, episodes=5).per_episode("completion")
    alone = [
        run_policy(Shortest, scenario, scenario.table, dispatch=True, seed=seed, episodes=1).per_episode("completion")[
            0
        ]
        for seed in range(5)
    ]
    assert many.tolist() == alone


def test_a_policy_that_misbehaves_is_named(scenario):
    class Floats(First):
        def act(self, observation, mask):
            return np.zeros(len(mask))

    class Outside(First):
        def act(self, observation, mask):
            return np.full(len(mask), 10**6)

    with pytest.raises(GnnSchedError, match="policy Floats: act must return integers"):
        run_policy(Floats, scenario, scenario.table, dispatch=False, seed=0, episodes=2)
    with pytest.raises(GnnSchedError, match="policy Outside: actions must be in"):
        run_policy(Outside, scenario, scenario.table, dispatch=False, seed=0, episodes=2)
    with pytest.raises(ConfigError, match="episodes must be at least 1"):
        run_policy(First, scenario, scenario.table, dispatch=False, seed=0, episodes=0)
