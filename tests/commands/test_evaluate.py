"""The evaluation's command line, as a user runs it."""

import json
import pickle
import re

import numpy as np
import pytest

from gnnsched_baselines import PLANNERS, POLICIES
from gnnsched_cli.policy_names import FORMS
from gnnsched_env import ConfigError, GnnSchedError, PoliciesFailed
from gnnsched_env.evaluation import Attempts
from gnnsched_env.scenario import load_scenario, scenario_table
from gnnsched_env.scenario.traces import write_trace
from tests.commands.running import gnnsched


def run(*arguments):
    return gnnsched("evaluate", "--jobs", "30", "--episodes", "3", *arguments)


@pytest.mark.slow
def test_every_policy_on_the_embedded_workload(tmp_path):
    path = tmp_path / "out.json"
    result = run("--load", "0.5", "0.8", "--json", str(path))
    assert result.returncode == 0, result.stderr
    content = json.loads(path.read_text())
    assert {record["load"] for record in content["records"]} == {0.5, 0.8}
    names = {record["policy"] for record in content["records"]}
    assert {"random", "round_robin", "fifo", "static", "static_best", "least_loaded"} <= names
    assert {"predictor_greedy", "sjf", "min_min", "earliest_finish_wait", "index", "assignment"} <= names
    assert content["provenance"]["arguments"]["episodes"] == 3
    for name in names:
        assert name in result.stdout


def test_versus_pairs_the_episodes_of_two_policies(tmp_path):
    """Over itself a policy is exactly 1; the others' ratios are those of the means, which are in the records too."""
    path = tmp_path / "out.json"
    result = run("--policies", "sjf", "fifo", "--versus", "assignment", "--json", str(path))
    assert result.returncode == 0 and "C / assignment" in result.stdout, result.stderr
    records = json.loads(path.read_text())["records"]
    means = {record["policy"]: record["mean_completion"] for record in records}
    assert set(means) == {"sjf", "fifo", "assignment"}
    for record in records:
        value, low, high = record["ratio_to_versus"]["completion"]
        assert record["versus"] == "assignment" and low <= value <= high
        assert value == pytest.approx(means[record["policy"]] / means["assignment"])
        assert (low == high == 1.0) == (record["policy"] == "assignment")


def test_a_long_name_of_versus_is_told_whole():
    own = "tests.commands.own_policy:OldestFirst"
    result = run("--policies", "sjf", "--versus", own)
    assert result.returncode == 0, result.stderr
    assert f"C / versus: over {own}, which --versus names" in result.stdout
    assert result.stdout.count(own) == 2 and "…" not in result.stdout  # its row, and the legend


@pytest.mark.parametrize("name", ["evaluate", "bound", "schedule"])
def test_every_help_names_all_kinds_of_policies(name):
    told = gnnsched(name, "--help").stdout
    assert FORMS in " ".join(told.replace("│", " ").split())


def test_the_list_tells_of_every_policy():
    told = run("--list")
    assert told.returncode == 0 and told.stderr == ""
    rows = {line.split()[0]: line for line in told.stdout.splitlines() if line.strip()}
    assert {*POLICIES, *PLANNERS, "agent:NAME", "lookahead:NAME", "sb3:FILE.zip", "module:Class"} <= set(rows)
    assert rows["sjf"].split()[1:3] == ["predicted", "both"] and "smallest predicted latency" in rows["sjf"]
    assert rows["rollout"].split()[1:3] == ["predicted", "queue"]
    assert "queue_hetero4" in rows["agent:NAME"]


@pytest.mark.parametrize(("columns", "options", "cut"), [(80, [], True), (200, [], False), (80, ["--wide"], False)])
def test_the_table_fits_the_terminal(columns, options, cut, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the output for a terminal
    monkeypatch.setenv("NO_COLOR", "1")
    told = re.sub("\\x1b\\[[0-9;]*m", "", run("--policies", "sjf", "fifo", *options).stdout)
    assert ("C p95" in told.split("C, E:")[0]) != cut == ("--wide shows all" in told)
    if not options:
        assert max(map(len, told.splitlines())) <= columns


def test_dispatch_runs_the_policies_made_for_it(tmp_path):
    path = tmp_path / "out.json"
    result = run("--env", "dispatch", "--json", str(path))
    assert result.returncode == 0, result.stderr
    records = {record["policy"]: record for record in json.loads(path.read_text())["records"]}
    assert "assignment" not in records
    greedy = records["predictor_greedy"]["ratio_to_best_uninformed"]["completion"][0]
    assert greedy < 1


def test_a_policy_of_ones_own(tmp_path):
    path = tmp_path / "out.json"
    own = "tests.commands.own_policy:OldestFirst"
    result = run("--policies", "sjf", own, "--json", str(path))
    assert result.returncode == 0, result.stderr
    assert {record["policy"] for record in json.loads(path.read_text())["records"]} == {"sjf", own}


def test_repeats_and_the_cost_of_deciding(tmp_path):
    path = tmp_path / "out.json"
    cost = ["--decision-us", "20", "--decision-workers", "2", "--decision-cached", "True", "--lookup-us", "1"]
    result = run("--policies", "sjf", "fifo", "--repeats", "50", *cost, "--json", str(path))
    assert result.returncode == 0, result.stderr
    content = json.loads(path.read_text())
    expected = {"latency_us": 20.0, "workers": 2, "cached": True, "lookup_us": 1.0, "skip_below": 0}
    records = {record["policy"]: record for record in content["records"]}
    assert (records["sjf"]["repeats"], records["sjf"]["decision"], records["fifo"]["decision"]) == (50, expected, None)
    assert records["sjf"]["mean_predicting"] > 1000
    assert records["fifo"]["mean_predicting"] == 0
    assert content["provenance"]["decision"] == expected
    assert (content["provenance"]["repeats"], content["provenance"]["arguments"]["decision_us"]) == (50, 20.0)


def test_conditions_that_are_not_as_planned(tmp_path):
    path = tmp_path / "out.json"
    changes = ["--arrivals", "bursty", "--drift", "0.5", "--failures", "100", "10", "--prediction-error", "0.2", "1.1"]
    result = run(
        *["--policies", "sjf", "fifo", "--reward", "energy", "--reconfiguration", "500", "--repeats", "3", *changes],
        *["--decision-us", "2", "--json", str(path)],
    )
    assert result.returncode == 0, result.stderr
    content = json.loads(path.read_text())
    for record in content["records"]:
        assert (record["arrivals"]["process"], record["arrivals"]["drift"]) == ("bursty", 0.5)
        assert record["failures"] == {"up": 100.0, "down": 10.0}
        assert record["prediction_error"] == {"noise": 0.2, "bias": 1.1, "seed": 0}
        assert record["reward"]["energy"] == 1.0
        assert record["mean_energy_pj"] > 0
    fleet = content["provenance"]["fleet"]["accelerators"]
    assert {accelerator["reconfiguration_cycles"] for accelerator in fleet} == {500}
    header = " ".join(result.stdout[: result.stdout.index("policy")].split())
    assert "hetero4, queue, load 0.8: molecule, ego, rmat, citation; workload.repeats = 3" in header
    assert "decision.latency_us = 2; arrivals.process = bursty; arrivals.drift = 0.5; failures.up = 100" in header
    assert "prediction_error.noise = 0.2; prediction_error.bias = 1.1; reward.completion = 0" in header
    assert "reconfiguration = 500" in header
    assert "abort.: runs an episode that failures stopped." in result.stdout


def test_a_trace(tmp_path):
    path, trace = tmp_path / "out.json", tmp_path / "jobs.csv"
    name = scenario_table(load_scenario("hetero4")).class_names[0]
    write_trace(trace, np.arange(40) * 1e-5, [name] * 40, deadlines_s=np.full(40, 1.5e-5), weights=np.ones(40))
    result = run("--policies", "sjf", "--trace", str(trace), "--json", str(path))
    assert result.returncode == 0, result.stderr
    (record,) = json.loads(path.read_text())["records"]
    assert (record["arrivals"]["trace"], record["jobs"]) == (str(trace), 30)  # --jobs 30
    assert 0 <= record["missed_deadlines"] <= 1
    assert f"load {record['load']:.3g}" in result.stdout and "missed" in result.stdout


@pytest.mark.parametrize("jobs", [1, 40])
def test_a_trace_whose_jobs_come_together_has_no_load(tmp_path, jobs):
    path, trace = tmp_path / "out.json", tmp_path / "jobs.csv"
    write_trace(trace, np.ones(jobs), list(scenario_table(load_scenario("hetero4")).class_names[:jobs]))
    options = ["--policies", "sjf", "static", "--trace", str(trace), "--json", str(path), "--jobs", str(jobs)]
    result = run(*options)
    assert result.returncode == 0, result.stderr
    for record in json.loads(path.read_text())["records"]:
        assert (record["load"], record["stable"]) == (None, None)
        assert record["capacity"] > 0
    table = result.stdout[: result.stdout.index("C, E:")]
    assert "hetero4, queue: " in table and "load" not in table and "!" not in table


def test_failures_are_told_only_where_something_fails():
    result = run("--policies", "sjf", "--failures", "0", "5")
    assert result.returncode == 0, result.stderr
    assert not any(word in result.stdout for word in ("failures", " up ", "abort."))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--drift", "2"], "arrivals: drift must be a number from 0 to 1, got 2"),
        (["--failures", "-1", "5"], "failures: up must be a number from 0 to 1e+09, got -1"),
        (["--failures", "2", "5"], "a quarter of the longest latency"),
        (["--prediction-error", "-1"], "prediction_error: noise must be a number from 0 to 5, got -1"),
        (
            ["--prediction-error", "0.1", "1", "2"],
            "one or two numbers, noise and bias, got (0.1, 1.0, 2.0)",
        ),
        (["--prediction-error"], "one or two numbers, noise and bias, got ()"),
        (["--reconfiguration", "-1"], "reconfiguration must be an integer of at least 0, got -1"),
        (["--trace", "none.csv"], "none.csv"),
        (["--trace", "none.csv", "--load", "0.5"], "--load: does not go with --trace"),
        (["--trace", "none.csv", "--arrivals", "bursty"], "--arrivals: does not go with --trace"),
        (["--policies", "min_mim"], "did you mean 'min_min'"),
        (["--scenario", "hetro4"], "did you mean 'hetero4'"),
        (["--load", "1.5"], "load must be a number of at least 1e-09 and below 1.5, got 1.5"),
        (["--load", "-1"], "load must be a number of at least 1e-09 and below 1.5, got -1"),
        (["--graphs", "none.npz"], "none.npz"),
        (["--repeats", "0"], "repeats must be an integer of at least 1, got 0"),
        (["--repeats", "900000000"], "repeats must keep every job below 2^40 cycles"),
        (["--decision-us", "-1"], "latency_us must be a number from 0 to 1e+09, got -1"),
        (["--decision-us", "nan"], "--decision-us: must be a number that a float holds, got 'nan'"),
        (["--decision-workers", "0"], "workers must be an integer of at least 1, got 0"),
        (["--lookup-us", "1"], "lookup_us must be at most latency_us"),
        (["--episodes", "0"], "episodes must be"),
        (["--policies", "tests.commands.own_policy:Nobody"], "Nobody"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(arguments, message, tmp_path):
    path = tmp_path / "out.json"
    result = run(*arguments, "--json", str(path))
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not path.exists()


FAILING = [f"tests.commands.failing_policies:{name}" for name in ("InConstructor", "InAct", "OutOfRange")]
TOLD = (
    r"InConstructor': making it raised RuntimeError: no such model \(failing_policies.py, line 10\); .*InAct: act "
    r"raised KeyError: 'missing' \(failing_policies.py, line 20\); .*OutOfRange: actions must be in \[0, \d+\), got 1"
)


def test_policies_that_fail_do_not_stop_the_others(tmp_path):
    """They are named at the end, with the lines that failed; the others' records are those of a run without them."""
    alone, path = tmp_path / "alone.json", tmp_path / "out.json"
    assert run("--policies", "sjf", "fifo", "--json", alone).returncode == 0
    result = run("--policies", FAILING[0], "sjf", *FAILING[1:], "fifo", "--load", "0.8", "0.5", "--json", path)
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert re.match(f"error: .*{TOLD}", result.stderr)
    content, expected = json.loads(path.read_text()), json.loads(alone.read_text())
    assert content["records"][:2] == expected["records"] and len(content["records"]) == 4
    assert [(entry["policy"], entry["load"]) for entry in content["failed"]] == [
        (name, load) for load in (0.8, 0.5) for name in FAILING
    ]
    assert expected["failed"] == [] and "sjf" in result.stdout and "InAct" not in result.stdout


def test_where_the_policy_of_versus_fails_the_others_have_no_ratio_over_it(tmp_path):
    path = tmp_path / "out.json"
    result = run("--policies", "sjf", "--versus", FAILING[1], "--json", path)
    (record,) = json.loads(path.read_text())["records"]
    assert (result.returncode, record["policy"], record["ratio_to_versus"]) == (2, "sjf", None)


@pytest.mark.parametrize(
    "words",
    [
        ("bound", "--jobs", "12", "--episodes", "1", "--rounds", "20", "--policies", *FAILING, "sjf"),
        pytest.param(("bound", "--known", "--policies", *FAILING, "sjf"), marks=pytest.mark.slow),
    ],
)
def test_nor_do_they_in_bound(words, tmp_path):
    result = gnnsched(*words, "--json", tmp_path / "out.json")
    assert result.returncode == 2 and re.match(f"error: .*{TOLD}", result.stderr)
    content = json.loads((tmp_path / "out.json").read_text())
    assert {record["policy"] for record in content["records"]} == {"sjf"}
    assert [entry["policy"] for entry in content["failed"]] == FAILING


@pytest.mark.parametrize("failing", FAILING)
def test_a_schedule_is_shown_beside_a_policy_that_fails(failing):
    for words in (("--policy", failing, "--versus", "sjf"), ("--policy", "sjf", "--versus", failing)):
        result = gnnsched("schedule", "--jobs", "5", *words)
        assert result.returncode == 2 and "failing_policies" in result.stderr
        assert "sjf" in result.stdout


def test_where_nothing_can_be_played_the_error_is_told_once():
    """Two policies that fail alike are not at fault; two that fail each in its way are both named."""
    attempts = Attempts()
    for name in ("one", "two"):
        with attempts.of(name):
            raise ConfigError("the scenario is bad")
    with pytest.raises(ConfigError, match=r"^the scenario is bad$"):
        attempts.end(played=False)
    with attempts.of("three"):
        raise GnnSchedError("three is bad")
    with pytest.raises(
        PoliciesFailed, match=r"^one: the scenario is bad; two: the scenario is bad; three is bad$"
    ) as told:
        attempts.end([{"policy": "four"}])
    again = pickle.loads(pickle.dumps(told.value))
    assert str(again) == str(told.value) and again.records == [{"policy": "four"}]
