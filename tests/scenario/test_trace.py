"""Traces: what is written is read, in chunks of any size, in bounded memory, from a file that may not change."""

import os
import tracemalloc
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.graphs import Graph, GraphSet
from gnnsched_env.scenario import load_scenario, scenario_table, simulation_settings
from gnnsched_env.scenario.traces import NO_DUE, TRACE_JOB, TraceKey, inspect_trace, read_trace, write_trace
from gnnsched_env.scenario.traces import row_reader as trace_rows
from gnnsched_env.sim import Simulation
from tests.twins import trace as naive_trace

GHZ = 10**9

names = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")) | st.sampled_from(' ,"'), min_size=1, max_size=12
).filter(lambda name: name == name.strip())


def jobs_of(trace, clock_hz=GHZ, size=7):
    """Return the jobs as the slow twin gives them."""
    jobs = []
    for chunk in trace.chunks(clock_hz, size):
        assert chunk.dtype == TRACE_JOB and 1 <= len(chunk) <= size
        for arrival, due, weight, number in chunk.tolist():
            key = trace.keys[number]
            jobs.append((arrival, None if due == NO_DUE else due, weight, key.name, key.repeats))
    return jobs


@st.composite
def columns(draw):
    """Draw the columns of a trace, as `write_trace` takes them; arrivals are whole cycles at 1 GHz."""
    count = draw(st.integers(1, 40))

    def many(values):
        return draw(st.lists(values, min_size=count, max_size=count))

    arrivals = sorted(many(st.integers(0, 2**50)))
    own = draw(st.lists(names, min_size=1, max_size=5))
    given = {
        "times_s": np.array(arrivals) / GHZ,
        "class_names": many(st.sampled_from(own)),
        "repeats": many(st.sampled_from([1, 2, 10**9])),
        "deadlines_s": many(st.sampled_from([np.inf, 0.0, 1.5e-9, 3.25, 1e9])),
        "weights": many(st.floats(1e-6, 1e6)),
    }
    dropped = draw(st.sets(st.sampled_from(["repeats", "deadlines_s", "weights"])))
    return arrivals, {name: None if name in dropped else column for name, column in given.items()}


@pytest.mark.slow
@given(columns(), st.integers(1, 50))
@settings(max_examples=60)
def test_what_is_written_is_read(tmp_path_factory, drawn, size):
    arrivals, given_columns = drawn
    path = tmp_path_factory.mktemp("trace") / "jobs.csv"
    write_trace(path, **given_columns)
    with mock.patch.object(trace_rows, "BLOCK_BYTES", 300):
        trace = read_trace(path)
        jobs = jobs_of(trace, size=size)
    count = len(arrivals)
    repeats = given_columns["repeats"] or [1] * count
    weights = given_columns["weights"] or [1.0] * count
    deadlines = given_columns["deadlines_s"] or [np.inf] * count
    due = [None if d == np.inf else a + round(d * GHZ) for a, d in zip(arrivals, deadlines, strict=True)]
    assert jobs == list(zip(arrivals, due, weights, given_columns["class_names"], repeats, strict=True))
    assert trace.num_jobs == count == trace.counts.sum()
    assert (trace.first_time_s, trace.last_time_s) == (arrivals[0] / GHZ, arrivals[-1] / GHZ)
    assert trace.deadlines == sum(d is not None for d in due)
    assert len(set(trace.keys)) == len(trace.keys) == len({(name, r) for _, _, _, name, r in jobs})


@given(st.integers(1, 30), st.integers(1, 10**7), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_cycles_are_those_of_the_slow_twin_at_any_clock(tmp_path_factory, count, clock_hz, random):
    path = tmp_path_factory.mktemp("trace") / "jobs.csv"
    times = sorted(random.uniform(0, 1e5) for _ in range(count))
    rows = [f"{random.choice([' a', 'a', 'b'])},{time:.7f},{random.choice(['', ' ', '2', '1.5e2'])}" for time in times]
    text = "class,time,deadline\n" + "\n".join(rows)  # no newline at the end
    path.write_text(text)
    jobs, problems = naive_trace.read(text, clock_hz)
    assert problems == []
    assert jobs_of(read_trace(path), clock_hz) == jobs


def test_a_bom_and_lines_as_windows_ends_them_are_understood(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_bytes("\ufefftime,class\r\n0,ä\r\n1,ä\r\n".encode())
    trace = read_trace(path)
    assert (trace.num_jobs, trace.keys) == (2, (TraceKey(name="ä"),))
    assert len(jobs_of(trace)) == 2


def test_keys_are_in_order_of_appearance_however_they_are_spelt(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text("repeats,time,class\n,0,b\n2,0,a\n1,0,b\n01,0,b \n")
    trace = read_trace(path)
    assert trace.keys == (TraceKey(name="b"), TraceKey(name="a", repeats=2))
    assert (trace.counts.tolist(), trace.first_lines.tolist()) == ([3, 1], [2, 3])


def test_the_mean_rate_and_the_last_deadline(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text("time,class,deadline\n1,a,9\n2,a,\n3,a,1\n")
    trace = read_trace(path)
    assert (trace.rate_hz, trace.last_due_s) == (1.0, 10.0)
    path.write_text("time,class\n1,a\n1,a\n")
    assert read_trace(path).rate_hz is None


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path):
    peaks = []
    for count in (30_000, 120_000):
        path = tmp_path / f"{count}.csv"
        rng = np.random.default_rng(count)
        classes = np.array([f"class {c}" for c in range(50)])[rng.integers(0, 50, count)]
        write_trace(path, np.cumsum(rng.exponential(1e-6, count)), classes, deadlines_s=rng.random(count))
        tracemalloc.start()
        trace = read_trace(path)
        assert sum(len(chunk) for chunk in trace.chunks(GHZ, 10_000)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 20_000_000


def slowly(trace):
    """Yield the chunks of a file that is read in many blocks."""
    with mock.patch.object(trace_rows, "BLOCK_BYTES", 64):
        yield from trace.chunks(GHZ, 2)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "between"])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "99,a\n",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("3995,a", "3995,b"),
        lambda text: text.replace("3995,a", "3994,a"),
        lambda text: text.replace("3995,a", "3995,c"),
        lambda text: "",
    ],
)
def test_a_file_that_changed_is_refused(tmp_path, change, when):
    path = tmp_path / "jobs.csv"
    text = "time,class\n0,b\n" + "".join(f"{i},a\n" for i in range(4000))  # more than is read ahead
    path.write_text(text)
    trace = read_trace(path)
    chunks = slowly(trace)
    if when == "between":
        next(chunks)
    path.write_text(change(text))
    os.utime(path, ns=(trace.mtime_ns, trace.mtime_ns))  # as if nothing had been written
    with pytest.raises(FileFormatError, match="has changed since it was checked"):
        list(chunks)


def test_the_last_jobs_are_not_handed_out_before_the_file_is_known_to_be_the_same(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text("time,class\n0,a\n1,a\n")
    trace = read_trace(path)
    path.write_text("time,class\n0,a\n2,a\n")
    os.utime(path, ns=(trace.mtime_ns, trace.mtime_ns))
    with pytest.raises(FileFormatError, match="has changed"):
        next(trace.chunks(GHZ))


def test_a_file_that_went_away_is_named(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text("time,class\n0,a\n")
    trace = read_trace(path)
    path.unlink()
    with pytest.raises(FileFormatError, match=r"jobs\.csv: cannot be read"):
        list(trace.chunks(GHZ))


def test_times_beyond_int64_and_bad_arguments_are_refused(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text("time,class,deadline\n1e9,a,1e9\n")
    trace = read_trace(path)
    assert next(trace.chunks(GHZ)).tolist() == [(10**18, 2 * 10**18, 1.0, 0)]
    with pytest.raises(ConfigError, match=r"below 2\^61 cycles, but 2e\+09 s at 5000000000 Hz are 1e\+19"):
        trace.chunks(5 * GHZ)
    for arguments in ((0,), (1.5,), (True,), (GHZ, 0)):
        with pytest.raises(ConfigError, match="must be an integer of at least 1"):
            trace.chunks(*arguments)


def test_graphs_are_looked_for_beside_the_trace(tmp_path):
    (tmp_path / "sets").mkdir()
    path = Graph.from_edges(3, [0, 1], [1, 2])
    GraphSet.from_graphs([path] * 4, name="paths", num_features=3, num_classes=2).save(tmp_path / "sets" / "paths.npz")
    write_trace(
        tmp_path / "jobs.csv", [0, 1], graphs=["sets/paths.npz:0-3", "sets/paths.npz:2"], models=["gcn", "sage"]
    )
    trace = read_trace(tmp_path / "jobs.csv")
    assert trace.kind == "graph"
    assert [key.class_name for key in trace.keys] == ["sets/paths.npz:0-3 gcn", "sets/paths.npz:2 sage"]
    (tmp_path / "sets" / "paths.npz").unlink()  # the jobs still stream: their graphs have been read by then
    assert [job[3] for job in jobs_of(trace)] == ["sets/paths.npz:0-3", "sets/paths.npz:2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times_s": [1, 0]}, "times_s must be not before the entry before, got 0.0 at entry 1"),
        (
            {"times_s": [-1, 0]},
            "times_s must be a decimal number of seconds from 0 to 1,000,000,000, got -1.0 at entry 0",
        ),
        ({"times_s": [0, np.nan]}, "got nan at entry 1"),
        ({"times_s": [0, 1, 2]}, "class must have one entry a job, 3, got 2"),
        ({"times_s": [], "class_names": []}, "at least one job"),
        ({"times_s": ["x", "y"]}, "times_s must be an array of numbers"),
        ({"times_s": [[0, 1]]}, "times_s must be an array of shape"),
        ({"class_names": ["a", ""]}, "class_names must be non-empty"),
        ({"class_names": ["a", "b\nc"]}, "on one line"),
        ({"class_names": ["a", " b"]}, "without blanks around"),
        ({"class_names": "ab"}, "must be a sequence of names"),
        ({"class_names": None}, "either class_names, or graphs and models"),
        ({"graphs": ["a.npz"] * 2, "models": ["gcn"] * 2}, "either class_names, or graphs and models"),
        ({"class_names": None, "graphs": ["a.npz"] * 2}, "either class_names, or graphs and models"),
        ({"repeats": [1, 0]}, "repeats must be an integer from 1 to 1,000,000,000, got 0 at entry 1"),
        ({"repeats": [1.0, 2.0]}, "repeats must be an array of integers"),
        ({"deadlines_s": [0, -1]}, "deadlines_s must be .* from 0"),
        ({"deadlines_s": [0, np.nan]}, "deadlines_s must be .* from 0"),
        ({"weights": [1, 0]}, "weights must be a number from 1e-06 to 1e\\+06, got 0.0 at entry 1"),
        ({"weights": [np.inf, 1]}, "weights must be a number from 1e-06 to 1e\\+06, got inf at entry 0"),
        ({"weights": [9.9e-7, 1]}, "weights must be a number from 1e-06 to 1e\\+06, got 9.9e-07 at entry 0"),
        ({"weights": [1e6, 1000001]}, "weights must be a number from 1e-06 to 1e\\+06, got 1000001.0 at entry 1"),
        ({"weights": [1, np.nan]}, "weights must be a number from 1e-06 to 1e\\+06, got nan at entry 1"),
    ],
)
def test_bad_columns_are_not_written(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        write_trace(tmp_path / "jobs.csv", **{"times_s": [0, 1], "class_names": ["a", "b"], **change})
    assert list(tmp_path.iterdir()) == []


def test_an_inspection_gives_the_trace(tmp_path):
    write_trace(tmp_path / "jobs.csv", [0, 1], ["a", "b"])
    report = inspect_trace(tmp_path / "jobs.csv", classes=["a", "b"])
    assert report.trace is not None and report.trace.num_jobs == 2
    assert (report.problems, report.problem_count) == ((), 0)


def test_a_deadline_s_length_is_told_only_where_the_scenario_draws_it():
    """A trace brings deadlines of its own, so settings say (0, 0): nothing that the error could be about."""
    scenario = load_scenario("hetero4").with_options(jobs=2)
    table = scenario_table(scenario)
    long = replace(simulation_settings(scenario, table, dispatch=False), mean_gap=1e18, slack=(0.0, 0.0))
    with pytest.raises(ConfigError, match=r"2 jobs, a mean gap of 1e\+18 cycles, .* may take 2\^62 cycles") as told:
        Simulation(table, long)
    assert "deadlines" not in str(told.value)
    with pytest.raises(ConfigError, match=r"deadlines of up to 7"):
        Simulation(table, replace(long, slack=(0.0, 7.0)))
