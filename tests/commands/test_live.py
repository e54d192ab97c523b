"""`gnnsched live` and `gnnsched profile`: a run that is killed and goes on, and bad input."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import pytest

import gnnsched_baselines  # noqa: F401
from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.live.live_fleet import load_live_fleet
from gnnsched_env.live.live_run import LiveRun, read_run
from gnnsched_env.live.running import play
from gnnsched_env.live.served_classes import ServedClasses
from gnnsched_env.live.simulated import simulated_scenario
from gnnsched_env.live.virtual_executor import VirtualExecutor
from gnnsched_env.scenario import Workload
from gnnsched_env.tables import LatencyTable
from tests.commands.running import gnnsched
from tests.extras import needs

pytestmark = pytest.mark.xdist_group("ray")  # clusters of one machine, one after the other

FLEET = load_live_fleet("sleep2")
JOBS = 200


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Return the file of a latency table as `gnnsched profile` writes it, with latencies of some milliseconds."""
    served = ServedClasses.of(Workload(graphs=("karate", "southern_women")))
    cycles = np.random.default_rng(0).integers(2_000_000, 6_000_000, (len(served.classes), 4))
    made = LatencyTable(
        true_cycles=cycles,
        predicted_cycles=cycles,
        weights=served.classes.weights,
        choice_names=FLEET.choice_names,
        choice_accelerators=FLEET.choice_devices,
        accelerator_names=tuple(device.name for device in FLEET.devices),
        mean_log_cycles=np.log(cycles).mean(axis=0),
        class_names=served.classes.names,
        class_groups=served.classes.groups,
        group_names=served.classes.group_names,
        provenance={"live": served.to_dict()},
    )
    path = tmp_path_factory.mktemp("profile") / "table.npz"
    made.save(path)
    return path


@pytest.fixture
def folder(table, tmp_path):
    """Return the folder of a run on a virtual clock that has ended."""
    made = LatencyTable.load(table)
    scenario = simulated_scenario(FLEET, made).with_options(jobs=30, load=0.7)
    classes = made.provenance["live"]
    run = LiveRun.new(fleet=FLEET, scenario=scenario, policy="sjf", seed=3, tries=2, classes=classes)
    out = tmp_path / "run"
    played = play(run, out, lambda run, begin: nullcontext(VirtualExecutor(made.true_cycles, FLEET.choice_devices)))
    assert played.figures["done"] == 30
    return out


def test_a_runs_folder_is_read_back(folder):
    run = read_run(folder)
    assert (run.policy, run.seed, run.tries, run.scenario.environment.load) == ("sjf", 3, 2, 0.7)
    assert run.fleet == FLEET and run.scenario.table is run.table
    jobs = run.jobs
    assert (jobs["done"] == 1).all() and (jobs["tries"] == 1).all()
    order = ("arrival", "ready", "decided", "dispatched", "started", "finished", "reported")
    assert all((jobs[one] <= jobs[other]).all() for one, other in pairwise(order))
    took = run.table.true_cycles[jobs["job_class"], jobs["choice"]]
    assert np.array_equal(jobs["finished"] - jobs["started"], took)
    assert sorted(run.decisions["job"][run.decisions["job"] >= 0].tolist()) == list(range(30))
    with (folder / "jobs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["reported_ns"]) for row in rows] == jobs["reported"].tolist()
    assert {row["state"] for row in rows} == {"done"} and rows[0]["device"] in ("sparse", "dense")
    figures = json.loads((folder / "metrics.json").read_text())
    assert figures["metrics"]["mean_completion"] == pytest.approx((jobs["reported"] - jobs["arrival"]).mean())
    assert (folder / "trace.json").exists() and (folder / "schedule.svg").read_text().startswith("<svg")


def changed(folder, **fields):
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_trace_is_replayed_and_kept(table, tmp_path):
    made, trace = LatencyTable.load(table), tmp_path / "jobs.csv"
    one, other = made.class_names
    trace.write_text(f"time,class,repeats\n0,{other},1\n0.001,{one},3\n0.002,{one},1\n")
    scenario = simulated_scenario(FLEET, made).with_options(arrivals={"trace": trace})
    run = LiveRun.new(fleet=FLEET, scenario=scenario, policy="sjf", seed=0, tries=2, classes=made.provenance["live"])
    kinds = [(1, 1), (0, 3), (0, 1)]
    assert list(zip(run.planned.served.tolist(), run.planned.repeats.tolist(), strict=True)) == kinds
    executor = VirtualExecutor(run.planned.table.true_cycles, FLEET.choice_devices)
    asked = []

    def predict(job_class):
        asked.append(job_class)
        return made.predicted_cycles[job_class]

    play(run, tmp_path / "run", lambda run, begin: nullcontext(executor), predict=predict)
    trace.unlink()
    again = read_run(tmp_path / "run")
    jobs = again.jobs
    assert jobs["arrival"].tolist() == again.planned.planned["arrival"].tolist() == [0, 1_000_000, 2_000_000]
    assert asked == 2 * [1, 0, 0]
    for job, (served, repeats) in zip(jobs, kinds, strict=True):
        assert job["finished"] - job["started"] == repeats * made.true_cycles[served, job["choice"]]


def test_other_formats_and_versions_are_refused(folder):
    for fields, told in (({"version": 2}, "version must be 1, got 2"), ({"format": "x"}, "must describe a live run")):
        changed(folder, **fields)
        with pytest.raises(FileFormatError, match=told):
            read_run(folder)


@needs("ray")
def test_bad_input_is_one_line(table, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.toml").write_text("[[device]]\nname='a'\nkind='sleep'\nchoices=['csr_spmm']\n")
    shutil.copytree(folder, tmp_path / "old")
    changed(tmp_path / "old", version=2)
    out = ("--out", tmp_path / "out")
    for words, told in (
        ((*out,), "--graphs: must be given, or else --table, got neither"),
        (("--graphs", "karate", "--table", table, *out), "got both"),
        (("--graphs", "none.npz", *out), "none.npz"),
        (("--table", "none.npz", *out), "none.npz: cannot be read"),
        (("--table", table, "--fleet", "other.toml", *out), "has no latencies of 'a/csr_spmm', a choice of the fleet"),
        (("--table", table, "--fleet", "cpu3", *out), "live fleet: name must be one of cpu2, sleep2"),
        (("--table", table, "--policy", "sjff", *out), "unknown policy 'sjff'; did you mean 'sjf'?"),
        (("--table", table, "--fleet", "sleep2", "--out", folder), "must be empty or new, or hold a run to go on with"),
        (("--resume", *out), "run.json: cannot be read"),
        (("--resume", "--out", "old"), "version must be 1, got 2"),
        (("--resume", "--out", folder), "all 30 jobs of the run are done"),
        (("--resume", "--policy", "fifo", "--out", folder), "--policy: the run was begun with None, got 'fifo'"),
        (
            ("--graphs", "karate", "--fleet", "sleep2", *out),
            "device 'sparse': cannot be profiled, since it sleeps",
        ),
    ):
        done = gnnsched("live", *words)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, (words, done)
        assert done.stderr.startswith("error: ") and told in done.stderr, (words, done.stderr)
    done = gnnsched("profile", *out)
    assert (done.returncode, done.stderr) == (2, "error: --graphs: needs at least one graph file\n")


@needs("ray", "torch")
@pytest.mark.slow
def test_a_killed_run_goes_on(table, tmp_path):
    words = ["live", "--fleet", "sleep2", "--table", table, "--jobs", JOBS, "--load", "0.9", "--out", tmp_path / "run"]
    words += ["--seed", 3]
    code = "import sys; from gnnsched_cli.main import main; sys.exit(main(sys.argv[1:]))"
    log = tmp_path / "run" / "log.jsonl"
    with subprocess.Popen([sys.executable, "-c", code, *map(str, words)], stderr=subprocess.DEVNULL) as child:
        while child.poll() is None and (not log.exists() or log.read_bytes().count(b'"done"') < JOBS // 3):
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)
    assert JOBS // 3 <= log.read_bytes().count(b'"done"') < JOBS
    refused = gnnsched("live", "--resume", "--seed", "0", "--out", tmp_path / "run")  # the default, but not the run's
    assert refused.stderr == "error: --seed: the run was begun with 3, got 0\n"
    done = gnnsched("live", "--resume", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert f"{JOBS} of {JOBS} jobs done" in done.stdout
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(entry["job"] for entry in events if entry["event"] == "done") == list(range(JOBS))
    stopped = [entry for entry in events if entry["event"] == "abort"]
    assert {entry["cause"] for entry in stopped} <= {"stopped"}
    assert read_run(tmp_path / "run").jobs["tries"].sum() == JOBS + len(stopped)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["sessions"] == 2
