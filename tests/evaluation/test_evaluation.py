"""Paired runs, ratios and records, with policies whose results are known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.common.policy import Knowledge, Routing
from gnnsched_env.envs import EnvBatch, unflatten
from gnnsched_env.evaluation import evaluate, paired_ratio, provenance, run_policy, run_unbounded, write_json
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import Scenario, simulation_settings
from tests.envs.environments import hetero_table

FIELDS = [
    "policy", "knowledge", "fleet", "env", "load", "capacity", "stable", "episodes", "jobs", "repeats", "decision",
    "arrivals", "failures", "prediction_error", "reward", "graphs",
    "mean_completion", "mean_execution", "mean_slowdown", "mean_predicting", "mean_weighted_completion",
    "missed_deadlines", "mean_tardiness", "mean_energy_pj", "utilisation", "makespan", "energy_pj", "mean_failures",
    "mean_aborted", "availability", "p50_completion", "p95_completion", "p99_completion", "throughput_per_mcycle",
    "ratio_to_best_uninformed", "ratio_to_sjf_clairvoyant",
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


def run_all(scenario, dispatch=False, episodes=6, **more):
    return evaluate(
        scenario,
        scenario.table,
        {"first": First, "shortest": Shortest, **more},
        shortest_job_first=Shortest,
        uninformed={"first": First},
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


class Last(First):
    """The last accelerator that is legal for the oldest job; knows nothing."""

    def act(self, observation, mask):
        first = mask[:, : self.layout.columns]
        last = self.layout.columns - 1 - first[:, ::-1].argmax(axis=1)
        return np.where(first.any(axis=1), last, mask.argmax(axis=1))


def test_records_say_what_the_jobs_say(scenario):
    """Every figure is worked out again from the jobs themselves, one by one."""
    by_name = {record["policy"]: record for record in run_all(scenario, episodes=3)}
    table = scenario.table
    completion, execution, slowdown, busy, throughput = [], [], [], [], []
    for seed in range(3):
        batch = EnvBatch(table, simulation_settings(scenario.with_options(split="test"), table, dispatch=False))
        batch.reset([seed])
        policy = Shortest(batch.layout, table)
        while not batch.ended.all():
            batch.step(policy.act(batch.observation, batch.mask))
        jobs = batch.simulation.jobs[0]
        for job in jobs:
            completion.append(int(job["finish"] - job["arrival"]))
            execution.append(int(job["finish"] - job["start"]))
            slowdown.append(completion[-1] / min(table.true_cycles[job["job_class"]].tolist()))
        makespan = int(jobs["finish"].max())
        busy.append(sum(execution[-40:]) / (4 * makespan))
        throughput.append(40 / (makespan / 1e6))
    record = by_name["shortest"]
    assert record["mean_completion"] == pytest.approx(np.mean(completion))
    assert record["mean_execution"] == pytest.approx(np.mean(execution))
    assert record["mean_slowdown"] == pytest.approx(np.mean(slowdown))
    assert record["utilisation"] == pytest.approx(np.mean(busy))
    assert record["throughput_per_mcycle"] == pytest.approx(np.mean(throughput))
    for percent in (50, 95, 99):
        assert record[f"p{percent}_completion"] == pytest.approx(np.percentile(completion, percent))


def test_ratios_refer_to_the_truth_and_to_the_shortest_completion(scenario):
    uninformed = {"first": First, "last": Last}
    records = evaluate(
        scenario,
        scenario.table,
        {**uninformed, "shortest": Shortest},
        shortest_job_first=Shortest,
        uninformed=uninformed,
        dispatch=False,
        seed=0,
        episodes=4,
        graphs=["random"],
    )
    by_name = {record["policy"]: record for record in records}
    best = min(("first", "last"), key=lambda name: by_name[name]["mean_completion"])
    clairvoyant = run_policy(Shortest, scenario, scenario.table.clairvoyant(), dispatch=False, seed=0, episodes=4)
    for record in records:
        for name in ("completion", "execution"):
            mean = record[f"mean_{name}"]
            assert record["ratio_to_best_uninformed"][name][0] == pytest.approx(mean / by_name[best][f"mean_{name}"])
            reference = float(clairvoyant.per_episode(name).mean())
            assert record["ratio_to_sjf_clairvoyant"][name][0] == pytest.approx(mean / reference)


def test_a_load_above_the_capacity_is_unstable(scenario):
    class OneMachine(First):
        choices = (0, 1)

    for load in (0.05, 0.9):
        records = evaluate(
            scenario.with_options(load=load),
            scenario.table,
            {"one": OneMachine},
            shortest_job_first=Shortest,
            uninformed={},
            dispatch=False,
            seed=0,
            episodes=1,
            graphs=[],
        )
        assert records[0]["capacity"] < 0.9
        assert records[0]["stable"] == (load < records[0]["capacity"])
        assert records[0]["ratio_to_best_uninformed"] is None


def test_an_exact_predictor_tells_the_truth(scenario):
    exact = replace(scenario, table=scenario.table.clairvoyant())
    knowledge = {record["policy"]: record["knowledge"] for record in run_all(exact)}
    assert knowledge == {"first": "none", "shortest": "true"}


def test_reconfiguration_is_charged(scenario):
    fleet = scenario.fleet
    slow = tuple(replace(accelerator, reconfiguration_cycles=10_000) for accelerator in fleet.accelerators)
    slower = replace(scenario, fleet=replace(fleet, accelerators=slow))
    means = [
        run_policy(Shortest, each, scenario.table, dispatch=True, seed=0, episodes=2).per_episode("execution").mean()
        for each in (scenario, slower)
    ]
    assert means[1] > means[0] + 100


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
    with pytest.raises(ConfigError, match="episodes must be"):
        run_policy(First, scenario, scenario.table, dispatch=False, seed=0, episodes=0)


def test_repeats_stretch_time_and_leave_ratios(scenario):
    once, often = run_all(scenario), run_all(scenario.with_options(repeats=1000))
    assert [record["repeats"] for record in once + often] == [1, 1, 1000, 1000]
    for one, many in zip(once, often, strict=True):
        assert one["policy"] == many["policy"]
        assert many["capacity"] == pytest.approx(one["capacity"])
        assert many["mean_completion"] == pytest.approx(1000 * one["mean_completion"], rel=0.02)
        assert many["utilisation"] == pytest.approx(one["utilisation"], rel=0.02)


def test_the_policy_gets_the_table_of_its_jobs(scenario):
    seen = []

    class Looks(First):
        def __init__(self, layout, table):
            super().__init__(layout, table)
            seen.append((table, layout))

    run_policy(Looks, scenario.with_options(repeats=5), scenario.table, dispatch=True, seed=0, episodes=1)
    table, layout = seen[0]
    assert (table.true_cycles == 5 * scenario.table.true_cycles).all()
    assert layout.mean_log_cycles == pytest.approx(scenario.table.mean_log_cycles + np.log(5))


@pytest.mark.parametrize("dispatch", [False, True])
def test_deciding_costs_those_who_use_predictions(scenario, dispatch):
    charged = scenario.with_options(decision={"latency_us": 0.5})
    free, costly = ({r["policy"]: r for r in run_all(each, dispatch)} for each in (scenario, charged))
    cost = {"latency_us": 0.5, "workers": 1, "cached": False, "lookup_us": 0.0, "skip_below": 0}
    assert [costly[name]["decision"] for name in ("first", "shortest")] == [None, cost]
    assert costly["first"] == free["first"]
    assert free["shortest"]["mean_predicting"] == 0
    assert costly["shortest"]["mean_predicting"] >= 500
    ratios = [each["shortest"]["ratio_to_sjf_clairvoyant"]["completion"][0] for each in (free, costly)]
    reference = [
        each["shortest"]["mean_completion"] / ratio for each, ratio in zip((free, costly), ratios, strict=True)
    ]
    assert reference[0] == pytest.approx(reference[1])  # the reference pays nothing, so that ratios show the cost
    assert ratios[1] > ratios[0]


def test_an_exact_predictor_is_charged_too(scenario):
    exact = replace(scenario, table=scenario.table.clairvoyant()).with_options(decision={"latency_us": 0.5})
    by_name = {record["policy"]: record for record in run_all(exact)}
    assert by_name["shortest"]["knowledge"] == "true"
    assert by_name["shortest"]["mean_predicting"] >= 500


class Told(First):
    """One machine alone, in hindsight; knows the truth, and reads no predictions."""

    knowledge = Knowledge.TRUE


def test_a_policy_that_is_told_the_truth_pays_for_no_predictions(scenario):
    charged = scenario.with_options(decision={"latency_us": 0.5})
    run = run_policy(Told, charged, scenario.table, dispatch=False, seed=0, episodes=2)
    assert (run.knowledge, run.settings.decision) == ("true", 0)
    assert (run.pooled("predicting") == 0).all()
    free = run_policy(Told, scenario, scenario.table, dispatch=False, seed=0, episodes=2)
    assert run.pooled("completion").tolist() == free.pooled("completion").tolist()


@pytest.mark.parametrize("options", [{"dataflow": "predicted_best"}, {"window_order": "shortest"}])
def test_a_policy_that_is_told_the_truth_pays_where_predictions_are_used_for_it(scenario, options):
    charged = scenario.with_options(decision={"latency_us": 0.5}, **options)
    run = run_policy(Told, charged, scenario.table, dispatch=False, seed=0, episodes=2)
    assert run.knowledge == "true"
    assert (run.pooled("predicting") >= 500).all()


def test_a_cost_of_less_than_half_a_cycle_is_one_cycle(scenario):
    by_name = {record["policy"]: record for record in run_all(scenario.with_options(decision={"latency_us": 1e-7}))}
    assert by_name["shortest"]["decision"]["latency_us"] == 1e-7
    assert by_name["shortest"]["mean_predicting"] >= 1


@pytest.mark.parametrize(
    ("options", "dispatch", "known"),
    [
        ({}, False, "none"),
        ({"dataflow": "predicted_best"}, True, "predicted"),
        ({"window_order": "shortest"}, False, "predicted"),
        ({"window_order": "shortest"}, True, "none"),
    ],
)
def test_an_uninformed_policy_pays_where_predictions_are_used_for_it(scenario, options, dispatch, known):
    charged = scenario.with_options(decision={"latency_us": 0.5}, **options)
    run = run_policy(First, charged, scenario.table, dispatch=dispatch, seed=0, episodes=2)
    assert run.knowledge == known
    assert (run.settings.decision > 0) == (known == "predicted")
    assert (run.pooled("predicting") > 0).all() == (known == "predicted")


class Skips(Shortest):
    """The shortest first, of which jobs are predicted from two waiting on."""

    skip_below = 2


def test_records_say_from_how_many_waiting_on_jobs_were_predicted(scenario):
    for own, expected in ((0, 2), (3, 2)):
        charged = scenario.with_options(decision={"latency_us": 900.0, "skip_below": own})
        found = {record["policy"]: record for record in run_all(charged, episodes=2, skips=Skips)}
        assert found["skips"]["decision"]["skip_below"] == expected and found["skips"]["stable"]
        assert found["shortest"]["decision"]["skip_below"] == own
        assert found["shortest"]["stable"] == (own > 0)  # a predictor that is skipped bounds nothing
    run = run_policy(Skips, charged, scenario.table.clairvoyant(), dispatch=False, seed=0, episodes=1)
    assert run.knowledge == "predicted"  # though the predictor is exact


def test_a_predictor_slower_than_the_arrivals_is_unstable(scenario):
    def capacity(**decision):
        records = run_all(scenario.with_options(decision=decision, repeats=2), episodes=1)
        return next(record for record in records if record["policy"] == "shortest")

    whole = capacity()["capacity"]
    gap = 1000 * simulation_settings(scenario.with_options(load=1.0), scenario.table, dispatch=True).mean_gap / 1e6
    slow = capacity(latency_us=8 * gap)  # four times the gap between jobs of two inferences, at a load of 1
    assert slow["capacity"] == pytest.approx(1 / 4, rel=0.01)  # rounded to whole cycles
    assert not slow["stable"]
    assert capacity(latency_us=8 * gap, workers=3)["capacity"] == pytest.approx(3 / 4, rel=0.01)
    assert capacity(latency_us=8 * gap, workers=1000)["capacity"] == whole
    assert capacity(latency_us=8 * gap, cached=True)["capacity"] == whole


def test_provenance_tells_repeats_and_the_decision_cost(scenario):
    charged = scenario.with_options(repeats=9, decision={"latency_us": 3, "workers": 2})
    about = provenance(charged, [scenario.table], {})
    assert about["repeats"] == 9
    assert about["decision"] == {"latency_us": 3.0, "workers": 2, "cached": False, "lookup_us": 0.0, "skip_below": 0}
