"""The CSV of jobs against the simulator's records; the trace against the rules of the Trace Event Format."""

import csv
import json
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from gnnsched_env.envs.exports import JOB_COLUMNS, JOB_TIMES, trace_events, write_csv, write_trace
from gnnsched_env.envs.labels import ScheduleLabels
from gnnsched_env.sim.schedule import SCHEDULED_JOB, RunState, schedule_of
from tests.envs.environments import ENVIRONMENTS
from tests.envs.rendered import made_up_labels, made_up_schedule, make_rendered, play

COST = {"latency_us": 0.3, "workers": 2}


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def in_nanoseconds(event):
    """Return when a complete event begins and ends."""
    begin, length = event["ts"] * 1e3, event["dur"] * 1e3
    assert abs(begin - round(begin)) < 1e-3 and abs(length - round(length)) < 1e-3
    return round(begin), round(begin) + round(length)


def check_trace(content):
    """Check the format's rules; return the complete events of each thread, by its name."""
    assert content["displayTimeUnit"] in ("ms", "ns")
    names, counted, complete = {}, defaultdict(list), defaultdict(list)
    for event in content["traceEvents"]:
        assert {"name", "ph", "pid", "ts"} <= set(event)
        assert isinstance(event["name"], str) and isinstance(event["pid"], int) and event["ts"] >= 0
        assert isinstance(event["ts"], float)
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
            if event["name"] == "thread_name":
                names[event["tid"]] = event["args"]["name"]
        elif event["ph"] == "C":
            assert event["args"] and all(isinstance(value, int) for value in event["args"].values())
            counted[event["name"]].append(event["ts"])
        elif event["ph"] == "i":
            assert event["s"] in ("g", "p", "t") and event["cat"] and event["tid"] in names
        else:
            assert event["ph"] == "X" and event["cat"] and event["dur"] >= 0
            complete[names[event["tid"]]].append(event)
    assert len(set(names.values())) == len(names)
    for stamps in counted.values():
        assert all(before < after for before, after in pairwise(stamps))
    for events in complete.values():
        spans = sorted(in_nanoseconds(event) for event in events)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    return complete


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
@pytest.mark.parametrize("decision", [None, COST])
def test_the_csv_holds_the_records_of_every_job(name, decision, tmp_path):
    env = make_rendered(name, "ansi", decision=decision)
    assert play(env, 1000)
    path = tmp_path / "deep" / "jobs.csv"
    write_csv(schedule_of(env.batch.simulation), env.labels, path)
    rows = read_rows(path)
    assert tuple(rows[0]) == JOB_COLUMNS
    records = env.batch.simulation.jobs[0]
    assert [int(row["job"]) for row in rows] == list(range(len(records)))
    for row, record in zip(rows, records, strict=True):
        cycles = {time: int(row[f"{time}_cycles"]) for time in JOB_TIMES}
        assert {time: cycles[time] for time in ("arrival", "ready", "start", "finish")} == {
            time: record[time] for time in ("arrival", "ready", "start", "finish")
        }
        assert cycles["execution"] == record["finish"] - record["start"]
        assert cycles["waited"] == record["start"] - record["ready"]
        assert cycles["completion"] == cycles["finish"] - cycles["arrival"]
        choice = env.table.choice_names[record["choice"]]
        assert f"{row['accelerator']}/{row['dataflow']}" == choice
        assert row["class"] == env.table.class_names[record["job_class"]]
        assert (row["state"], row["aborted_runs"], cycles["aborted"]) == ("done", "0", 0)
        for time in JOB_TIMES:
            assert float(row[f"{time}_s"]) == cycles[time] / 1e9
    assert any(int(row["ready_cycles"]) > int(row["arrival_cycles"]) for row in rows) == (decision is not None)
    assert list(path.parent.iterdir()) == [path]


def test_the_csv_of_an_episode_under_way_leaves_out_what_is_to_come(tmp_path):
    env = make_rendered("queue", "ansi", load=1.4)
    play(env, 30)
    schedule = schedule_of(env.batch.simulation)
    write_csv(schedule, env.labels, tmp_path / "jobs.csv")
    rows = read_rows(tmp_path / "jobs.csv")
    states = Counter(row["state"] for row in rows)
    running = int((schedule.runs["state"] == RunState.RUNNING).sum())
    assert states == {"done": schedule.done, "running": running, "waiting": schedule.waiting}
    assert min(states.values()) > 0
    for row in rows:
        known = {time for time in JOB_TIMES if row[f"{time}_cycles"]}
        begun = {"start", "waited"} if row["state"] != "waiting" else set()
        ended = {"finish", "execution", "completion"} if row["state"] == "done" else set()
        assert known == {"arrival", "ready", "aborted"} | begun | ended
        assert known == {time for time in JOB_TIMES if row[f"{time}_s"]}
        assert bool(row["accelerator"]) == bool(row["dataflow"]) == (row["state"] != "waiting")


def with_failures():
    """Return a finished schedule of two jobs: job 1's first two runs were cut short, its third ends at 950."""
    whole = made_up_schedule()
    runs = whole.runs[[0, 1, 1, 2]].copy()
    runs[2] = (1, 1, 0, 1, 650, 660, 660, RunState.ABORTED)
    runs[3] = (1, 1, 0, 2, 700, 950, 950, RunState.FINISHED)
    jobs = np.array([(0, 0, 90, 95, 100, 400), (1, 1, 120, 150, 700, 950)], SCHEDULED_JOB)
    return replace(whole, runs=runs, jobs=jobs, downs=whole.downs[1:])


def test_the_parts_of_a_job_that_failed_add_up(tmp_path):
    write_csv(with_failures(), made_up_labels(), tmp_path / "jobs.csv")
    first, second = read_rows(tmp_path / "jobs.csv")
    assert (first["aborted_runs"], second["aborted_runs"]) == ("0", "2")
    assert (second["aborted_cycles"], second["waited_cycles"], second["execution_cycles"]) == ("410", "140", "250")
    for row in (first, second):
        parts = sum(int(row[f"{time}_cycles"]) for time in ("waited", "aborted", "execution"))
        prediction = int(row["ready_cycles"]) - int(row["arrival_cycles"])
        assert int(row["completion_cycles"]) == prediction + parts
    assert (second["accelerator"], second["dataflow"], second["completion_s"]) == ("a0", "d2", "0.00083")


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
@pytest.mark.parametrize("clock_hz", [1_000_000_000, 700_000_000, 3_000_000_000, 1])
def test_the_trace_keeps_the_rules_and_tells_every_run(name, clock_hz, tmp_path):
    env = make_rendered(name, "ansi", load=1.2, decision=COST)
    assert play(env, 1000)
    schedule = schedule_of(env.batch.simulation)
    labels = ScheduleLabels.of(env.table, clock_hz)
    write_trace(schedule, labels, tmp_path / "trace.json", name="a fleet")
    content = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    complete = check_trace(content)
    told = {event["args"]["job"]: (name, event) for name, events in complete.items() for event in events}
    assert len(told) == sum(len(events) for events in complete.values()) == len(schedule.runs)
    for run in schedule.runs:
        accelerator, event = told[run["job"]]
        assert f"{accelerator}/{event['cat']}" == env.table.choice_names[run["choice"]]
        assert (event["args"]["start_cycles"], event["args"]["finish_cycles"]) == (run["start"], run["finish"])
        assert event["ts"] == pytest.approx(run["start"] / clock_hz * 1e6, rel=1e-12, abs=6e-4)
        assert event["dur"] == pytest.approx((run["finish"] - run["start"]) / clock_hz * 1e6, rel=1e-12, abs=1.1e-3)
        assert event["args"]["state"] == "finished"
    instants = Counter(event["name"] for event in content["traceEvents"] if event["ph"] == "i")
    late = int((schedule.jobs["ready"] > schedule.jobs["arrival"]).sum())
    assert instants == {"arrival": len(schedule.jobs), "ready": late}
    assert late > 0
    counts = [(event["ts"], event["args"]["jobs"]) for event in content["traceEvents"] if event["ph"] == "C"]
    assert counts[0] == (0.0, 0) and counts[-1][1] == 0
    if clock_hz <= 1_000_000_000:  # else changes less than a nanosecond apart become one
        expected = schedule.waiting_times / clock_hz * 1e6
        assert np.allclose([stamp for stamp, _ in counts], expected, rtol=1e-12, atol=6e-4)
        assert [count for _, count in counts] == schedule.waiting_counts.tolist()
    assert content["otherData"] == {"clock_hz": clock_hz, "until_cycles": schedule.until}


def test_the_trace_counts_once_a_nanosecond_and_names_late_jobs_only():
    jobs = np.array([(0, 0, 3, 3, -1, -1), (1, 0, 6, 9, -1, -1)], SCHEDULED_JOB)
    times, counts = np.array([0, 1, 2, 3, 9]), np.array([0, 1, 2, 1, 0])
    schedule = replace(with_failures(), jobs=jobs, waiting_times=times, waiting_counts=counts)
    events = list(trace_events(schedule, replace(made_up_labels(), clock_hz=3_000_000_000)))
    told = [(event["ts"], event["args"]["jobs"]) for event in events if event["ph"] == "C"]
    assert told == [(0.0, 1), (0.003, 0)]  # cycles 0 and 1, and 2 and 3, are a nanosecond each
    instants = [(event["name"], event["args"]["job"], event["ts"]) for event in events if event["ph"] == "i"]
    assert instants == [("arrival", 0, 0.001), ("arrival", 1, 0.002), ("ready", 1, 0.003)]


def test_the_trace_tells_of_failures():
    events = list(trace_events(with_failures(), made_up_labels()))
    complete = check_trace({"displayTimeUnit": "ns", "traceEvents": json.loads(json.dumps(events))})
    assert [(event["name"], event["ts"], event["dur"]) for event in complete["a1"]] == [
        ("d1 (aborted)", 200.0, 400.0),
        ("down", 600.0, 300.0),
    ]
    assert complete["a1"][0]["cat"] == "d1,aborted"
    assert [event["args"]["state"] for event in complete["a0"]] == ["finished", "aborted", "finished"]


@pytest.mark.parametrize(("write", "name"), [(write_csv, "jobs.csv"), (write_trace, "trace.json")])
def test_a_failed_write_leaves_what_was_there(write, name, tmp_path):
    path = tmp_path / name
    path.write_text("before")
    with pytest.raises(IndexError):
        write(with_failures(), replace(made_up_labels(), classes=()), path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
