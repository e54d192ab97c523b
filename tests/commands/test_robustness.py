"""The table of every policy under every condition, as a user asks for it."""

import json
import subprocess
import sys

import pytest

from gnnsched_env.common.errors import ConfigError
from scripts.studies import decision_cost
from scripts.studies.robustness import CONDITIONS, Arguments, check

COMMAND = [
    sys.executable,
    "scripts/studies/robustness.py",
    "--jobs",
    "30",
    "--episodes",
    "3",
    "--policies",
    "sjf",
    "fifo",
]


def run(*arguments):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    path = tmp_path_factory.mktemp("robustness") / "out.json"
    options = ["--fleets", "hetero4", "flexible4", "--rollout-episodes", "1", "--workers", "2", "--markdown"]
    ran = run(*options, "--json", str(path))
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, json.loads(path.read_text())


def test_every_policy_meets_every_condition_on_every_fleet(result):
    _, content = result
    found = {(record["fleet"], record["condition"], record["policy"]) for record in content["records"]}
    names = ("sjf", "fifo", "rollout")
    expected = {(fleet, name, policy) for fleet in ("hetero4", "flexible4") for name in CONDITIONS for policy in names}
    assert found == expected
    assert len(content["records"]) == len(found)
    assert {record["episodes"] for record in content["records"] if record["policy"] == "rollout"} == {1}


def test_records_tell_the_condition_that_they_met(result):
    _, content = result
    by_condition = {record["condition"]: record for record in content["records"] if record["policy"] == "sjf"}
    assert by_condition["bursty"]["arrivals"]["process"] == "bursty"
    assert by_condition["diurnal"]["arrivals"]["process"] == "diurnal"
    assert by_condition["drift"]["arrivals"]["drift"] == 1.0
    assert by_condition["failures"]["failures"] == {"up": 100.0, "down": 10.0}
    assert by_condition["5 % error"]["prediction_error"]["noise"] == 0.05
    assert by_condition["20 % error"]["prediction_error"]["noise"] == 0.2
    assert {by_condition["Poisson"][name] for name in ("arrivals", "failures", "prediction_error")} == {None}


def test_the_table_shows_the_records(result):
    printed, content = result
    assert "## hetero4, Queue-v0, load 0.8, 30 jobs, 3 episodes" in printed
    row = next(line for line in printed.splitlines() if line.startswith("| fifo |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")][1:]
    own = {r["condition"]: r for r in content["records"] if (r["fleet"], r["policy"]) == ("hetero4", "fifo")}
    for name, cell in zip(CONDITIONS, cells, strict=True):
        value = own[name]["ratio_to_sjf_clairvoyant"]["completion"][0]
        assert cell.startswith(f"{value:.3f} ±")
        assert cell.endswith("!") == (not own[name]["stable"])
    assert "| rollout (1 episode) |" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episodes": 0}, "--episodes: must be an integer of at least 1, got 0"),
        ({"rollout_episodes": -1}, "--rollout-episodes: must be an integer of at least 0, got -1"),
        ({"workers": 0}, "--workers: must be an integer of at least 1, got 0"),
        ({"fleets": ()}, "--fleets: needs at least one value"),
        ({"policies": ()}, "--policies: needs at least one value"),
        ({"fleets": ("hetero4", "hetero4")}, "--fleets: must be distinct"),
        ({"fleets": ("hetro4",)}, "did you mean 'hetero4'"),
        ({"load": 2.0}, "load must be a number of at least 1e-09 and below 1.5, got 2.0"),
        ({"jobs": 0}, "jobs must be an integer of at least 1, got 0"),
    ],
)
def test_bad_input_is_named_before_the_work(arguments, message):
    with pytest.raises(ConfigError, match=message):
        check(Arguments(**arguments))


def test_an_error_is_one_line():
    result = run("--fleets", "hetro4")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "did you mean 'hetero4'" in result.stderr


def test_a_policy_that_fails_is_told_after_the_table_of_the_others():
    ran = run("--fleets", "hetero4", "--workers", "2", "--policies", "tests.commands.failing_policies:InAct", "sjf")
    assert ran.returncode == 2 and "act raised KeyError: 'missing' (failing_policies.py, line 20)" in ran.stderr
    assert "sjf" in ran.stdout and "InAct" not in ran.stdout


def test_a_predictor_that_fails_does_not_stop_the_others(capsys, tmp_path):
    words = ["--predictors", "nosuch", "exact", "--episodes", "1", "--jobs", "10", "--load", "0.5", "--slower", "1"]
    assert decision_cost.main([*words, "--json", str(tmp_path / "out.json")]) == 2
    told = capsys.readouterr()
    assert "| exact |" in told.out and "got 'nosuch'" in told.err
    assert {record["predictor"] for record in json.loads((tmp_path / "out.json").read_text())["records"]} == {"exact"}
