"""Broken traces: every broken rule is named with line and column, however the file is read."""

from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.graphs import Graph, GraphSet
from gnnsched_env.scenario.traces import inspect_trace, read_trace
from gnnsched_env.scenario.traces import job_kinds as trace_keys
from gnnsched_env.scenario.traces import row_reader as trace_rows
from gnnsched_env.scenario.traces.row_reader import RowReader
from gnnsched_env.scenario.traces.trace_format import TraceProblem
from tests.twins import trace as naive_trace

HEADER = "time,class,repeats,deadline,weight"
GHZ = 10**9

FIELDS = {
    "time": [
        "0",
        "1",
        "1.5",
        " 2 ",
        "2e0",
        "+3",
        ".5",
        "3.",
        "x",
        "",
        "nan",
        "inf",
        "-1",
        "1_0",
        "1e10",
        "٣",
        "-0",
        "0x1",
    ],
    "class": ["a", " a", "b", '"a"', '"a,b"', '"a ""b"""', 'a"b', "", '"', "c", "ä", '"a'],
    "repeats": ["1", "2", "01", "", " ", "0", "-1", "1.0", "x", "1000000000", "1000000001", "9" * 30],
    "deadline": ["", " ", "0", "1e9", "1.5", "-1", "nan", "inf", "1e-400", "1,5", "1e400", "2_0"],
    "weight": ["", "1", "2.5", " 3", "0", "-1", "nan", "inf", "1e400", "1e-400", "1e6", "1000001", "1e-6", "9e-7", "w"],
}
GOOD = {"time": "1", "class": "a", "repeats": "1", "deadline": "", "weight": "1"}


def found(path, classes=None, *, block=1 << 17):
    """Return where the problems of a trace are, and the trace."""
    with mock.patch.object(trace_rows, "BLOCK_BYTES", block):
        report = inspect_trace(path, classes=classes, most=1000)
    return [(problem.line, problem.column) for problem in report.problems], report.trace


def mostly_good(column):
    """Draw a field that is more often right than not."""
    return st.just(GOOD[column]) | st.sampled_from(FIELDS[column])


rows = st.builds(",".join, st.tuples(*map(mostly_good, HEADER.split(",")))) | st.sampled_from(
    ["", "1,a", '"', "1,a,,,,"]
)


@pytest.mark.slow
@given(st.lists(rows, min_size=1, max_size=30), st.booleans(), st.sampled_from([128, 1 << 17]))
@settings(max_examples=300)
def test_problems_and_jobs_are_those_of_the_slow_twin(tmp_path_factory, lines, named, block):
    path = tmp_path_factory.mktemp("trace") / "jobs.csv"
    text = "\n".join([HEADER, *lines]) + "\n"
    path.write_text(text, encoding="utf-8", newline="")
    classes = ["a", "b"] if named else None
    expected_jobs, expected = naive_trace.read(text, GHZ, classes)
    places, trace = found(path, classes, block=block)
    assert places == expected
    if expected:
        with pytest.raises(FileFormatError, match=rf"jobs\.csv: line {expected[0][0]}[,:]"):
            read_trace(path, classes=classes)
        return
    jobs = [job for chunk in trace.chunks(GHZ) for job in chunk.tolist()]
    keys = [(trace.keys[number].name, trace.keys[number].repeats) for *_, number in jobs]
    assert keys == [job[3:] for job in expected_jobs]
    assert [(a, None if d == 1 << 62 else d, w) for a, d, w, _ in jobs] == [job[:3] for job in expected_jobs]


def one_at_a_time(reader, lines, read=RowReader._rows):
    if len(lines) > 1:
        raise TraceProblem(None)
    return read(reader, lines)


@pytest.mark.slow
@given(st.lists(rows, min_size=1, max_size=8), st.sampled_from([2, 64]))
@settings(max_examples=150)
def test_lines_together_and_one_by_one_agree(tmp_path_factory, lines, piece):
    path = tmp_path_factory.mktemp("trace") / "jobs.csv"
    path.write_text("\n".join([HEADER, *lines]), encoding="utf-8", newline="")
    with mock.patch.object(trace_rows, "PIECE", piece):
        places, trace = found(path)
    with mock.patch.object(RowReader, "_rows", one_at_a_time):
        other_places, other = found(path)
    assert places == other_places
    assert (trace is None) == (other is None)
    if trace is not None:
        assert (trace.keys, trace.counts.tolist(), trace.last_due_s) == (
            other.keys,
            other.counts.tolist(),
            other.last_due_s,
        )


def test_good_rows_are_read_together_and_bad_ones_without_trying_each(tmp_path):
    path = tmp_path / "jobs.csv"
    good = '1,a,,,\n1,"a,b",2,0.5,3\n'
    for text, most in ((good * 500, 1), (good * 250 + "x,a,,,\n" + good * 249, 1 + 16 + 64)):
        path.write_text(f"{HEADER}\n{text}")
        with mock.patch.object(RowReader, "_rows", autospec=True, side_effect=RowReader._rows) as tried:
            inspect_trace(path)
        assert tried.call_count <= most


@given(
    st.integers(0, 19),
    st.sampled_from(
        [
            ("time", "x"),
            ("time", "-1"),
            ("time", "nan"),
            ("time", ""),
            ("class", ""),
            ("class", "d"),
            ("repeats", "0"),
            ("repeats", "1.5"),
            ("deadline", "-0.1"),
            ("deadline", "inf"),
            ("weight", "0"),
            ("weight", "nan"),
            ("weight", "1e20"),
            ("weight", "1e-300"),
        ]
    ),
)
def test_every_corrupted_line_is_named_once(tmp_path_factory, place, fault):
    path = tmp_path_factory.mktemp("trace") / "jobs.csv"
    lines = [{**GOOD, "time": str(i)} for i in range(20)]
    lines[place][fault[0]] = fault[1]
    path.write_text("\n".join([HEADER, *(",".join(line.values()) for line in lines)]) + "\n")
    places, trace = found(path, classes=["a", "b"])
    assert trace is None
    assert places == [(place + 2, fault[0])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: must hold a header row"),
        ("\ufeff", "line 1: column 'time' is missing|line 1: must hold"),
        ("\n", "line 1: column 'time' is missing"),
        ("time,class\n", "line 1: must be followed by at least one job, got none"),
        ("class\na\n", "line 1: column 'time' is missing"),
        ("time\n0\n", "line 1: must have either a column 'class' or the columns 'graph' and 'model', got neither"),
        ("time,class,graph,model\n", "line 1: must have either a column 'class' or .*, got both"),
        ("time,graph\n", "line 1: column 'model' is missing beside 'graph'"),
        ("time,class,model\n", "line 1, column model: belongs to 'graph', got 'class'"),
        ("time,clas\n0,a\n", r"line 1: unknown column 'clas'; did you mean 'class'\? \(known: time, class, graph"),
        ("time,class,class\n", "line 1, column class: must occur once"),
        ("0,a\n1,b\n", "line 1: unknown column '0'"),
        ("time,class\n0,a\n1,a,3\n", r"line 3: must have 2 fields \(time,class\), got 3"),
        ("time,class\n0,a\n\n1,a\n", r"line 3: must have 2 fields \(time,class\), got an empty line"),
        ("time,class\n1,a\n0.5,a\n", "line 3, column time: must not be before that of the line before, 1.0, got '0.5'"),
        ('time,class\n0,"a\nb"\n', "line 2: must be one row of comma-separated fields"),
        ('time,class\n0,"a"b\n', "line 2: must be one row of comma-separated fields"),
        ("time,class\n0,a\r1,b\n", "line 2: must be one row of comma-separated fields"),
        (f"time,class\n0,{'a' * 1001}\n", "line 2, column class: must be at most 1,000 characters long, got 1,001"),
        (f"time,class\n{'9' * 100},a\n", r"line 2, column time: must be a decimal .* got '9{80}'\.\.\."),
    ],
)
def test_the_first_broken_rule_is_named(tmp_path, text, message):
    (tmp_path / "jobs.csv").write_text(text, encoding="utf-8", newline="")
    with pytest.raises(FileFormatError, match=rf"jobs\.csv: ({message})"):
        read_trace(tmp_path / "jobs.csv")


@pytest.mark.parametrize("shift", range(4))
def test_lines_are_counted_and_times_compared_from_block_to_block(tmp_path, shift):
    path = tmp_path / "jobs.csv"
    times = [9] * shift + [time for time in (8, 7, 6, 5) for _ in range(4)]  # blocks of four lines, at some shift
    path.write_text("time,class\n" + "".join(f"{time},a\n" for time in times))
    drops = [i + 2 for i in range(1, len(times)) if times[i] < times[i - 1]]
    assert found(path, block=16) == ([(line, "time") for line in drops], None)


def test_lines_that_are_not_utf8_are_named(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_bytes(b"time,class\n0,a\n1,\xe4\n2,a\n3,\xff\n")
    assert found(path) == ([(3, None), (5, None)], None)
    with pytest.raises(FileFormatError, match=r"line 3: must be UTF-8, got b'\\xe4' at byte 3"):
        read_trace(path)


def test_a_file_without_line_ends_is_not_swallowed_whole(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_bytes(b"time,class\n0,a\n" + b"x" * 3_000_000)
    with pytest.raises(FileFormatError, match="line 3: must be shorter than 131,072 bytes"):
        read_trace(path)


def test_an_unknown_class_comes_with_a_likely_one(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text("time,class\n0,Cora\n1,Citeser\n")
    with pytest.raises(
        FileFormatError, match=r"line 3, column class: .* 2 classes, got 'Citeser'; did you mean 'Citeseer'"
    ):
        read_trace(path, classes=["Cora", "Citeseer"])


def test_likely_names_are_looked_for_in_the_first_problems_only(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text("time,class\n" + "".join(f"0,Cora{i}\n" for i in range(500)))
    with mock.patch.object(trace_keys, "did_you_mean", return_value="") as hint:
        report = inspect_trace(path, classes=["Cora"])
    assert (len(report.problems), report.problem_count) == (20, 500)
    assert hint.call_count < 50


def test_too_many_kinds_of_job_are_refused(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text("time,class\n" + "".join(f"0,class{i}\n" for i in range(12)))
    with mock.patch.object(trace_keys, "MOST_KEYS", 10):
        assert found(path) == ([(12, None), (13, None)], None)
    assert read_trace(path).num_jobs == 12


@pytest.mark.parametrize(
    ("graph", "model", "message"),
    [
        ("paths.npz", "gcn", "column graph: must say which of the file's 4 graphs, as FILE.npz:i or FILE.npz:i-j"),
        ("paths.npz:4", "gcn", "column graph: must name graphs from 0 to 3 of the file, got 'paths.npz:4'"),
        ("paths.npz:2-4", "gcn", "column graph: must name graphs from 0 to 3 of the file"),
        ("paths.npz:2-1", "gcn", "column graph: i-j must name graphs i to j with i at most j"),
        ("paths.npz:-1", "gcn", "column graph: must be FILE.npz"),
        ("paths.txt", "gcn", "column graph: must be FILE.npz"),
        ("path.npz", "gcn", "column graph: must name a graph file"),
        ("text.npz", "gcn", "column graph: must name a graph file"),
        ("paths.npz:0", "gcnn", "column model: must be one of gcn, gin, sage, got 'gcnn'; did you mean 'gcn'"),
        ("paths.npz:0", "", "column model: must be one of gcn, gin, sage, got ''"),
    ],
)
def test_graphs_that_cannot_be_used_are_named(tmp_path, graph, model, message):
    graphs = [Graph.from_edges(3, [0, 1], [1, 2])] * 4
    GraphSet.from_graphs(graphs, name="paths", num_features=3, num_classes=2).save(tmp_path / "paths.npz")
    (tmp_path / "text.npz").write_text("text")
    (tmp_path / "jobs.csv").write_text(f"time,graph,model\n0,paths.npz:1,gcn\n0,{graph},{model}\n0,paths.npz:0,gin\n")
    with pytest.raises(FileFormatError, match=f"line 3, {message}"):
        read_trace(tmp_path / "jobs.csv")
    assert [line for line, _ in found(tmp_path / "jobs.csv")[0]] == [3]


def test_files_that_are_not_there_are_named(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(FileFormatError, match="cannot be read"):
            read_trace(path)
        with pytest.raises(FileFormatError, match="cannot be read"):
            inspect_trace(path)
