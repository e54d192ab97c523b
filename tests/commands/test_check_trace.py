"""Checking traces from the command line."""

import re

import numpy as np
import pytest

from gnnsched_cli.main import main
from gnnsched_env.graphs import Graph, GraphSet
from gnnsched_env.predictors import default_table
from gnnsched_env.scenario.traces import write_trace
from gnnsched_env.sim import fleet_capacity


@pytest.fixture
def poisson(tmp_path):
    """Return a trace of the embedded workload, at three quarters of what hetero4 can sustain."""
    table, rng = default_table("hetero4"), np.random.default_rng(0)
    rate = 0.75 * fleet_capacity(table.true_cycles, table.weights, table.choice_accelerators).rate * 1e9
    times = np.cumsum(rng.exponential(1 / rate, 20_000))
    names = np.array(table.class_names)[rng.choice(table.num_classes, times.size, p=table.weights)]
    write_trace(tmp_path / "jobs.csv", times, names, deadlines_s=np.where(np.arange(20_000) % 4, np.inf, 0.5))
    return tmp_path / "jobs.csv"


def test_a_summary_with_the_load_on_a_fleet(poisson, capsys):
    assert main(["check-trace", str(poisson), "--scenario", "hetero4"]) == 0
    out = capsys.readouterr().out
    assert f"{poisson}: 20,000 jobs" in out
    assert "deadlines: 5,000 jobs (25.0%)" in out
    assert "kinds of job: 256 (class)" in out and "and 246 more" in out
    load = float(re.search(r"load on hetero4: ([\d.]+) of", out).group(1))
    assert 0.70 < load < 0.80


def test_a_summary_without_a_scenario(tmp_path, capsys):
    (tmp_path / "jobs.csv").write_text("time,class,repeats\n1,a,1\n3,b,2\n5,a,1\n")
    assert main(["check-trace", str(tmp_path / "jobs.csv")]) == 0
    out = capsys.readouterr().out
    assert "from 1 s to 5 s: 4 s, 0.5 jobs a second" in out
    assert "66.7%  a\n" in out and "33.3%  b, 2 inferences\n" in out
    assert "load" not in out


@pytest.mark.parametrize(("lines", "jobs"), [(["2"], "1 job"), (["2", "2", "2"], "3 jobs")])
def test_jobs_that_come_together_have_no_rate_and_no_load(tmp_path, capsys, lines, jobs):
    name = default_table("hetero4").class_names[0]
    path = tmp_path / "jobs.csv"
    path.write_text(
        "time,class,deadline\n" + "".join(f"{time},{name},{'' if k else 1}\n" for k, time in enumerate(lines))
    )
    assert main(["check-trace", str(path), "--scenario", "hetero4"]) == 0
    out = capsys.readouterr().out
    assert f"jobs.csv: {jobs}, sha256" in out
    assert "from 2 s to 2 s: 0 s\n" in out
    assert "deadlines: 1 job (" in out
    assert not any(word in out for word in ("inf", "nan", "a second", "load"))


@pytest.mark.slow
def test_graphs_have_a_load_too(tmp_path, own_cache, capsys):
    star = Graph.from_edges(9, [0] * 8, range(1, 9))
    GraphSet.from_graphs([star], name="star", num_features=20, num_classes=5).save(tmp_path / "star.npz")
    (tmp_path / "jobs.csv").write_text("time,graph,model\n0,star.npz,gcn\n0.001,star.npz,sage\n")
    assert main(["check-trace", str(tmp_path / "jobs.csv"), "--scenario", "hetero4"]) == 0
    assert re.search(r"load on hetero4: 0\.\d+ of", capsys.readouterr().out)


def test_the_first_problems_are_printed_with_their_number(tmp_path, capsys):
    path = tmp_path / "jobs.csv"
    path.write_text("time,class\n" + "0,a\n-1,a\n" * 30)
    assert main(["check-trace", str(path)]) == 2
    output = capsys.readouterr()
    lines = output.err.splitlines()
    assert output.out == "" and len(lines) == 21
    assert lines[0].startswith(f"{path}: line 3, column time: must be")
    assert lines[-1] == f"error: {path}: 30 lines break a rule (the first 20 are shown)"


def test_unknown_classes_are_named(tmp_path, capsys):
    path = tmp_path / "jobs.csv"
    path.write_text("time,class\n0,molecule x1 #0 F=23 G=4\n")
    assert main(["check-trace", str(path), "--scenario", "hetero4"]) == 2
    err = capsys.readouterr().err
    assert "line 2, column class: must be one of the workload's 256 classes" in err
    assert "did you mean 'molecule x1 #0 F=23 G=3'?" in err and "1 line breaks a rule" in err


@pytest.mark.parametrize("arguments", [["none.csv"], ["none.csv", "--scenario", "hetro4"]])
def test_what_is_not_there_is_one_line(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    assert main(["check-trace", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1
