"""The bound's command line, as a user runs it."""

import json

import pytest

from gnnsched_env.report.distance_table import distance_table, legend
from tests.commands.running import gnnsched


def run(*arguments):
    return gnnsched("bound", *arguments)


def test_policies_on_a_scenario(tmp_path):
    path = tmp_path / "out.json"
    result = run(
        *["--jobs", "20", "--episodes", "2", "--load", "0.5", "0.9", "--policies", "sjf", "assignment"],
        *["--moves", "20000", "--rounds", "100", "--json", str(path)],
    )
    assert result.returncode == 0, result.stderr
    records = json.loads(path.read_text())["records"]
    assert [(record["load"], record["jobs"]) for record in records] == [(0.5, 20)] * 2 + [(0.9, 20)] * 2
    for record in records:
        assert 1 <= record["over_offline"][0] <= record["over_bound"][0]
        assert f"{record['over_bound'][0]:.3f}" in result.stdout
    assert "hetero4, queue, load 0.9, 20 jobs, 2 episodes; offline / bound 1." in result.stdout


@pytest.mark.parametrize("optimum", [None, [1.1, 1.0, 1.2]])
def test_optima_have_a_column_where_some_are_proved(optimum):
    ratios = {"over_bound": [1.2, 1.1, 1.3], "over_offline": [1.2, 1.1, 1.3]}
    means = dict.fromkeys(("mean_completion", "mean_ratio_to_offline", "worst_over_offline"), 2.0)
    records = [{"policy": "x", "knowledge": "none", "episodes": 3, "proved": 3, **ratios, **means}]
    records[0]["over_optimum"] = optimum
    headings = [str(column.header) for column in distance_table(records, title="").columns]
    assert ("C / optimum" in headings) == ("/ optimum" in legend(records)) == (optimum is not None)


def test_one_job_is_said_so():
    result = run("--jobs", "1", "--episodes", "1", "--policies", "sjf", "--rounds", "10")
    assert result.returncode == 0, result.stderr
    assert "hetero4, queue, load 0.8, 1 job, 1 episode; offline" in result.stdout


@pytest.mark.slow
def test_policies_on_the_known_optima(tmp_path):
    path = tmp_path / "out.json"
    result = run("--known", "--policies", "sjf", "tests.commands.own_policy:OldestFirst", "--json", str(path))
    assert result.returncode == 0, result.stderr
    records = json.loads(path.read_text())["records"]
    assert [record["fleet"] for record in records[::2]] == ["big_little", "flexible4", "hetero4"]
    for record in records:
        assert record["episodes"] == record["proved"] == 12
        assert record["over_bound"] == record["over_offline"] == record["over_optimum"]
        assert record["over_optimum"][0] > 1 and record["worst_over_offline"] > record["mean_ratio_to_offline"] > 1
    for fleet in ("big_little", "flexible4", "hetero4"):
        assert f"{fleet}, queue: 12 instances of 8 to 24 jobs with proved optima" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--known", "--jobs", "5"], "--jobs: does not go with --known"),
        (["--policies", "nothing"], "unknown policy 'nothing'"),
        (["--moves", "0"], "--moves: must be at least 1, or there is no offline schedule, got 0"),
        (["--seconds", "-1"], "--seconds: must be at least 0"),
        (["--episodes", "0"], "episodes must be"),
    ],
)
def test_bad_input_is_said_in_one_line(arguments, message):
    result = run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr and "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
