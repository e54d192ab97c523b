"""From traces to latency tables and job classes: one class for each kind of job, named lines where there is none."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common import disk_cache as cache
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.graphs import Graph, GraphSet
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import build_table
from gnnsched_env.scenario.traces import read_trace, trace_classes, trace_table, write_trace
from gnnsched_env.tables import true_cycles
from gnnsched_env.tables.energy import energy_table
from gnnsched_env.workload import classes_from_files
from tests import toys

BASE = replace(
    toys.table([[1, 2], [30, 40], [5, 6]], [[1, 3], [31, 41], [5, 7]]),
    energy_pj=np.array([[1.5, 2.5], [3.5, 4.5], [5.5, 6.5]]),
    class_groups=np.array([0, 1, 1]),
    group_names=("a", "b"),
)


def trace_of(folder, text):
    (folder / "jobs.csv").write_text(text)
    return read_trace(folder / "jobs.csv")


@pytest.fixture
def sets(tmp_path):
    """Return a folder with a set of three paths and a file of one star."""
    paths = [Graph.from_edges(n, range(n - 1), range(1, n)) for n in (3, 4, 5)]
    GraphSet.from_graphs(paths, name="paths", num_features=6, num_classes=2).save(tmp_path / "paths.npz")
    star = Graph.from_edges(9, [0] * 8, range(1, 9))
    GraphSet.from_graphs([star], name="star", num_features=20, num_classes=5).save(tmp_path / "star.npz")
    return tmp_path


def test_a_class_for_each_kind_of_job(tmp_path):
    trace = trace_of(tmp_path, "time,class,repeats\n0,class1,1\n1,class0,3\n2,class1,1\n3,class1,10\n")
    table = trace_table(trace, BASE)
    assert table.true_cycles.tolist() == [[30, 40], [3, 6], [300, 400]]
    assert table.predicted_cycles.tolist() == [[31, 41], [3, 9], [310, 410]]
    assert table.energy_pj.tolist() == [[3.5, 4.5], [4.5, 7.5], [35.0, 45.0]]
    assert table.weights.tolist() == [0.5, 0.25, 0.25]
    assert table.class_names == ("class1", "class0 (3 inferences)", "class1 (10 inferences)")
    assert [table.group_names[group] for group in table.class_groups] == ["b", "a", "b"]
    assert table.choice_names == BASE.choice_names
    shift = (np.log(3) + np.log(10)) / 4
    assert table.mean_log_cycles == pytest.approx(BASE.mean_log_cycles + shift)
    assert table.provenance["trace"] == {"sha256": trace.digest, "jobs": 4}
    assert [chunk["job_class"].tolist() for chunk in trace.chunks(1)] == [[0, 1, 0, 2]]


def test_energies_are_not_needed(tmp_path):
    trace = trace_of(tmp_path, "time,class\n0,class1\n")
    assert trace_table(trace, replace(BASE, energy_pj=None)).energy_pj is None


def test_classes_that_the_table_lacks_are_named_with_their_line(tmp_path):
    trace = trace_of(tmp_path, "time,class\n0,class1\n0,clas0\n")
    rule = r"jobs\.csv: line 3, column class: must be one of the table's 3 classes, got 'clas0'; did you mean 'class0'"
    with pytest.raises(ConfigError, match=rule):
        trace_table(trace, BASE)


def test_names_that_several_classes_have_are_refused_where_they_are_used(tmp_path):
    base = replace(BASE, class_names=("twin", "class1", "twin"))
    assert trace_table(trace_of(tmp_path, "time,class\n0,class1\n"), base).num_classes == 1
    with pytest.raises(ConfigError, match="line 2, column class: must name one class of the table, got 'twin'"):
        trace_table(trace_of(tmp_path, "time,class\n0,twin\n"), base)


def test_jobs_too_long_for_policies_are_refused(tmp_path):
    base = replace(BASE, predicted_cycles=BASE.predicted_cycles * 100, true_cycles=BASE.true_cycles * 100)
    assert trace_table(trace_of(tmp_path, "time,class,repeats\n0,class1,1000000000\n"), BASE).num_classes == 1
    rule = r"line 3, column repeats: must keep the job below 2\^40 cycles: at most [\d,]+ inferences of up to 4,100 "
    with pytest.raises(ConfigError, match=rule):
        trace_table(trace_of(tmp_path, "time,class,repeats\n0,class1,1\n0,class1,1000000000\n"), base)


def test_job_classes_of_graphs(sets):
    rows = "0,paths.npz:1,gcn,1\n1,star.npz,sage,1\n2,paths.npz:0-2,gcn,1\n3,paths.npz:1,gcn,5\n4,star.npz:0,gin,1\n"
    trace = trace_of(sets, f"time,graph,model,repeats\n{rows}")
    classes = trace_classes(trace, (7,))
    assert classes.names == ("paths.npz:1 gcn", "star.npz sage", "paths.npz:0-2 gcn", "star.npz:0 gin")
    assert classes.weights.tolist() == [0.4, 0.2, 0.2, 0.2]
    assert [classes.group_names[group] for group in classes.groups] == ["paths.npz", "star.npz"] * 2
    assert [degrees.tolist() for degrees in classes.degrees] == [
        [2, 3, 3, 2],
        [8] + [1] * 8,
        [2, 3, 2, 2, 3, 3, 2, 2, 3, 3, 3, 2],
        [9] + [2] * 8,
    ]
    widths = [(model.in_features, model.layers[0].out_features, model.out_features) for model in classes.models]
    assert widths == [(6, 7, 2), (20, 7, 5), (6, 7, 2), (20, 7, 5)]
    assert [graph.num_vertices for graph in classes.graphs] == [4, 9, 12, 9]


def test_a_trace_of_graphs_gets_the_latencies_of_its_graphs(sets, monkeypatch):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(sets / "cache"))
    fleet = load_fleet("hetero4")
    trace = trace_of(sets, "time,graph,model,repeats\n0,star.npz,gcn,3\n1,star.npz,gcn,1\n")
    table = trace_table(trace, build_table(trace_classes(trace), fleet, predictor="exact"))
    star = classes_from_files([sets / "star.npz"])
    assert table.true_cycles.tolist() == (true_cycles(star, fleet) * [[3], [1]]).tolist()
    assert table.energy_pj.tolist() == (energy_table(star, fleet) * [[3], [1]]).tolist()


def test_classes_have_no_graphs(tmp_path):
    with pytest.raises(ConfigError, match="must have a column 'graph'"):
        trace_classes(trace_of(tmp_path, "time,class\n0,class1\n"))


def test_graph_files_that_changed_after_the_check_are_named(sets):
    trace = trace_of(sets, "time,graph,model\n0,paths.npz:2,gcn\n")
    (sets / "star.npz").replace(sets / "paths.npz")
    with pytest.raises(FileFormatError, match=r"paths\.npz has changed since the trace was checked"):
        trace_classes(trace)
    (sets / "paths.npz").unlink()
    with pytest.raises(FileFormatError, match=r"paths\.npz"):
        trace_classes(trace)


def test_drawn_jobs_are_exported_and_come_back(tmp_path):
    rng = np.random.default_rng(0)
    arrivals, drawn = np.cumsum(rng.integers(0, 10**6, 500)), rng.integers(0, 3, 500)
    write_trace(tmp_path / "jobs.csv", arrivals / 1e9, np.array(BASE.class_names)[drawn])
    trace = read_trace(tmp_path / "jobs.csv", classes=BASE.class_names)
    table = trace_table(trace, BASE)
    jobs = np.concatenate(list(trace.chunks(10**9, 64)))
    assert jobs["arrival"].tolist() == arrivals.tolist()
    assert [table.class_names[c] for c in jobs["job_class"]] == [BASE.class_names[c] for c in drawn]
    assert (table.true_cycles[jobs["job_class"]] == BASE.true_cycles[drawn]).all()
    shares = np.bincount(drawn) / 500
    assert {name: table.weights[i] for i, name in enumerate(table.class_names)} == pytest.approx(
        dict(zip(BASE.class_names, shares, strict=True))
    )
