"""The schedule's command line, as a user runs it."""

import csv
import json

import pytest

from tests.commands.running import gnnsched


def run(*arguments):
    return gnnsched("schedule", "--jobs", "20", *arguments)


@pytest.mark.slow
def test_everything_that_is_asked_for_is_written(tmp_path):
    paths = {name: tmp_path / f"out.{name}" for name in ("csv", "trace", "png", "gif")}
    result = run(*(part for name, path in paths.items() for part in (f"--{name}", str(path))), "--seed", "3")
    assert result.returncode == 0, result.stderr
    for path in paths.values():
        assert f"wrote {path}" in result.stdout
    assert "hetero4, queue, assignment, load 0.8, seed 3" in result.stdout
    assert "done 20/20" in result.stdout
    assert len(list(csv.DictReader(paths["csv"].open()))) == 20
    events = json.loads(paths["trace"].read_text())["traceEvents"]
    assert sum(event["ph"] == "X" for event in events) == 20
    assert paths["png"].read_bytes().startswith(b"\x89PNG")
    assert paths["gif"].read_bytes().startswith(b"GIF")


def test_dispatch_on_another_fleet_writes_nothing_unasked(tmp_path):
    result = run("--scenario", "big_little", "--env", "dispatch", "--policy", "least_loaded", "--load", "0.5")
    assert result.returncode == 0, result.stderr
    assert "big_little, dispatch, least_loaded, load 0.5, seed 0" in result.stdout
    assert "wrote" not in result.stdout


def test_conditions_change_the_episode(tmp_path):
    path = tmp_path / "out.csv"
    conditions = ["--arrivals", "bursty", "--drift", "0.5", "--failures", "30", "5", "--prediction-error", "0.2", "1.1"]
    result = run(*conditions, "--reward", "energy", "--csv", str(path))
    assert result.returncode == 0, result.stderr
    first = result.stdout.splitlines()[0]
    assert first == (
        "hetero4, queue, assignment, load 0.8, seed 0; arrivals.process = bursty; arrivals.drift = 0.5; "
        "failures.up = 30; failures.down = 5; prediction_error.noise = 0.2; prediction_error.bias = 1.1; "
        "reward.completion = 0; reward.energy = 1"
    )
    assert "x" in result.stdout.split("seq")[1].splitlines()[0] + result.stdout.split("highv")[1].splitlines()[0]
    plain = run("--csv", str(tmp_path / "plain.csv"))
    assert plain.stdout.splitlines()[0] == "hetero4, queue, assignment, load 0.8, seed 0"
    assert path.read_text() != (tmp_path / "plain.csv").read_text()


def test_two_policies_play_the_same_jobs(tmp_path):
    path = tmp_path / "versus.png"
    result = run("--policy", "assignment", "--versus", "sjf", "--episodes", "3", "--seed", "4", "--png", str(path))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    for name in ("assignment", "sjf"):
        assert lines[lines.index(f"hetero4, queue, {name}, load 0.8, seed 4") + 1].startswith("time ")
    assert result.stdout.count("done 20/20") == 2
    table = result.stdout[result.stdout.index("mean of 3 episodes") :]
    assert table.split()[4:7] == ["assignment", "sjf", "ratio"]
    assert "decisions that wait though a job could start" in table and "±" in table
    assert f"wrote {path}" in result.stdout
    assert path.read_bytes().startswith(b"\x89PNG")


def test_one_episode_of_two_policies_has_the_means_of_each_alone():
    both = run("--policy", "static_best", "--versus", "least_loaded", "--env", "dispatch", "--load", "0.6").stdout
    for name in ("static_best", "least_loaded"):
        alone = run("--policy", name, "--env", "dispatch", "--load", "0.6").stdout.splitlines()
        assert alone[1] in both
        assert alone[1].split("mean completion ")[1] in both[both.index("1 episode") :]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "assignement"], "did you mean 'assignment'"),
        (["--policy", "assignment", "--env", "dispatch"], "is made for queue, not for dispatch"),
        (["--scenario", "hetro4"], "did you mean 'hetero4'"),
        (["--load", "1.5"], "load must be a number of at least 1e-09 and below 1.5, got 1.5"),
        (["--jobs", "0"], "jobs must be an integer of at least 1, got 0"),
        (["--png", "out.bmp"], "must end in one of .png, .svg, .pdf, got '.bmp'"),
        (["--gif", "out.mp4"], "animation out.mp4: must end in .gif, got '.mp4'"),
        (["--csv", "/proc/x.csv"], "--csv: must be in a folder that can be written to, but /proc cannot: No such file"),
        (["--drift", "2"], "arrivals: drift must be a number from 0 to 1, got 2"),
        (["--failures", "-1", "5"], "failures: up must be a number from 0 to 1e+09, got -1"),
        (["--prediction-error", "0.1", "1", "2"], "one or two numbers, noise and bias, got (0.1, 1.0, 2.0)"),
        (["--prediction-error"], "one or two numbers, noise and bias, got ()"),
        (["--csv", "."], "--csv: must be a file, but . is a folder"),
        (["--versus", "sfj"], "unknown policy 'sfj'; did you mean 'sjf'"),
        (
            ["--env", "dispatch", "--policy", "least_loaded", "--versus", "assignment"],
            "'assignment' is made for queue, not for dispatch",
        ),
        (["--versus", "assignment"], "--versus: must be another policy than --policy, got 'assignment' for both"),
        (["--env", "dispatch", "--policy", "sjf", "--window", "8"], "--window: belongs to --env queue"),
        (["--episodes", "2"], "--episodes: one episode is shown without --versus, got 2"),
        (["--versus", "sjf", "--episodes", "0"], "--episodes: must be at least 1, got 0"),
        (["--versus", "sjf", "--csv", "out.csv"], "--csv: shows one policy, so it does not go with --versus sjf"),
        (["--gif", "out.gif", "--gif-every", "0"], "--gif-every: must be at least 1, got 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    result = run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_bad_picture_is_refused_before_anything_is_played(tmp_path):
    result = run("--png", str(tmp_path / "out.bmp"), "--csv", str(tmp_path / "out.csv"))
    assert result.returncode == 2
    assert not list(tmp_path.iterdir())
