"""Measured latencies: files that are read or refused, files that are filled, and what is learnt from them."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.graphs import Graph, GraphSet
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.measured import measured_models as mm
from gnnsched_env.predictors.measured.measurements import load_measurements
from gnnsched_env.workload.job_classes import log_uniform
from scripts.studies import measure_cpu
from scripts.studies.measure_cpu import Reading
from tests.extras import needs

HEADER = "graph_file,graph_ids,in_features,out_features,choice,microseconds,again,repeats"
GOOD = (
    HEADER,
    "A.npz,0,,,fast,1.5,1.8,5",
    "A.npz,0,,,slow,20,20,5",
    "A.npz,2 1,7,3,slow,40,30,5",
    "A.npz,2 1,7,3,fast,4,4,5",
)


def write_set(path, sizes=(4, 5, 6), features=10, classes=2):
    graphs = [Graph.from_edges(size, np.arange(size), (np.arange(size) + 1) % size) for size in sizes]
    GraphSet.from_graphs(graphs, name=path.stem, num_features=features, num_classes=classes).save(path)
    return path


def write_csv(folder, lines):
    write_set(folder / "A.npz")
    path = folder / "m.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_file_becomes_jobs_with_their_graphs(tmp_path):
    measured = load_measurements(write_csv(tmp_path, GOOD))
    assert measured.choices == ("fast", "slow")
    assert measured.microseconds.tolist() == [[1.5, 20.0], [4.0, 40.0]]
    assert measured.again.tolist() == [[1.8, 20.0], [4.0, 30.0]]
    assert measured.noise() == pytest.approx(0.1)  # the median of 0.2, 0, 0, 0.25
    assert [graph.num_vertices for graph in measured.classes.graphs] == [4, 11]
    assert [degrees.tolist() for degrees in measured.classes.degrees] == [[3] * 4, [3] * 11]
    widths = [(model.in_features, model.out_features, len(model.layers)) for model in measured.classes.models]
    assert widths == [(10, 2, 1), (7, 3, 1)]
    assert measured.classes.group_names == ("A",)


def test_columns_may_come_in_any_order_and_optional_ones_may_lack(tmp_path):
    lines = ["microseconds,choice,graph_file", "3,x,A.npz", "4,y,A.npz"]
    measured = load_measurements(write_csv(tmp_path, lines))
    assert measured.jobs[0].graph_ids == (0, 1, 2)
    assert measured.classes.names == ("A x3 #0",)
    assert measured.classes.graphs[0].num_vertices == 15  # all graphs of the file
    assert (measured.again, measured.noise()) == (None, None)


def changed(line, old, new):
    lines = list(GOOD)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    return lines


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (changed(1, "microseconds", "us"), "line 1: column microseconds is missing"),
        (changed(1, "repeats", "speed"), "line 1: unknown column 'speed'"),
        (changed(1, "repeats", "again"), "line 1: column again must occur once"),
        ([""], "line 1: column graph_file is missing"),
        ([HEADER], "at least one measurement"),
        (changed(3, ",20,20", ",-20,20"), "line 3, column microseconds: must be a finite number above 0, got '-20'"),
        (changed(3, ",20,20", ",0,20"), "line 3, column microseconds: must be a finite number above 0, got '0'"),
        (changed(3, ",20,20", ",nan,20"), "line 3, column microseconds: must be a finite number above 0, got 'nan'"),
        (changed(3, ",20,20", ",inf,20"), "line 3, column microseconds: must be a finite number above 0, got 'inf'"),
        (changed(3, ",20,20", ",,20"), "line 3, column microseconds: must not be empty"),
        (changed(3, ",20,20", ",2O,20"), "line 3, column microseconds: must be a number, got '2O'"),
        (changed(3, ",20,20", ",2_0,20"), "line 3, column microseconds: must be a number, got '2_0'"),
        (changed(3, ",20,20", ",٢٠,20"), "line 3, column microseconds: must be a number, got '٢٠'"),
        (changed(3, ",20,20", ",20,-1"), "line 3, column again: must be a finite number above 0, got '-1'"),
        (changed(4, "A.npz", "B.npz"), "line 4, column graph_file: must name a graph file that exists, got 'B.npz'"),
        (changed(4, "A.npz", "m.csv"), "line 4, column graph_file: .*m.csv"),
        (changed(4, "2 1", "2 3"), r"line 4, column graph_ids: must lie in 0..2, the file's graphs, got '2 3'"),
        (changed(4, "2 1", "-1"), "line 4, column graph_ids: must hold integers of at least 0, .*got '-1'"),
        (changed(4, "2 1", "1 2 1"), "line 4, column graph_ids: must name each graph once, got '1 2 1'"),
        (changed(4, "2 1", "9" * 5_000), "line 4, column graph_ids: must hold integers .* at most 18 digits, got '999"),
        (changed(4, ",7,3", ",0,3"), "line 4, column in_features: must hold integers of at least 1, .*got '0'"),
        (changed(4, ",7,3", ",1048577,3"), r"line 4, column in_features: must be at most 2\^20, .*got '1048577'"),
        (changed(4, ",7,3", ",7,1048577"), r"line 4, column out_features: must be at most 2\^20, .*got '1048577'"),
        (changed(4, ",7,3", ",7,3 4"), "line 4, column out_features: must be one integer, got '3 4'"),
        (changed(4, ",30,5", ",30,0"), "line 4, column repeats: must hold integers of at least 1, .*got '0'"),
        (changed(4, "slow", ""), "line 4, column choice: must not be empty"),
        (changed(4, ",30,5", ",30"), "line 4: must have 8 fields, as the header, got 7"),
        ([*GOOD, GOOD[2]], r"line 6, column choice: .*'slow' of A.npz, graphs 0, 10 -> 2 is on line 3 already"),
        ([*GOOD, "A.npz,0,10,2,fast,1,1,1"], "line 6, column choice: .* is on line 2 already"),
        ([*GOOD, "A.npz,1 2,7,3,fast,1,1,1"], "line 6, column choice: .*graphs 1 2, 7 -> 3 is on line 5 already"),
        ([*GOOD, "./A.npz,0,,,fast,1,1,1"], "line 6, column choice: .*'fast' of A.npz, .* is on line 2 already"),
        (GOOD[:4], "line 4, column choice: every job must have all choices, fast, slow, .* lacks fast"),
    ],
)
def test_bad_files_are_refused_with_line_and_column(lines, message, tmp_path):
    with pytest.raises(FileFormatError, match=message):
        load_measurements(write_csv(tmp_path, lines))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileFormatError, match=r"none.csv: cannot be read: No such file"):
        load_measurements(tmp_path / "none.csv")
    with pytest.raises(FileFormatError, match=r"cannot be read: Is a directory"):
        load_measurements(tmp_path)


def test_the_whole_of_one_graph_is_the_same_job_as_its_id(tmp_path):
    write_set(tmp_path / "one.npz", sizes=(5,))
    path = tmp_path / "m.csv"
    path.write_text("graph_file,graph_ids,choice,microseconds\none.npz,,x,1\none.npz,0,x,2\n")
    with pytest.raises(FileFormatError, match=r"line 3, column choice: .* is on line 2 already"):
        load_measurements(path)
    path.write_text("graph_file,graph_ids,choice,microseconds\none.npz,,x,1\none.npz,0,y,2\n")
    assert load_measurements(path).microseconds.tolist() == [[1.0, 2.0]]


def test_every_spelling_of_a_path_is_one_file(tmp_path):
    path = write_csv(tmp_path, ["graph_file,choice,microseconds"])
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.npz").symlink_to(tmp_path / "A.npz")
    spellings = "A.npz", "sub/../A.npz", str(tmp_path / "A.npz"), "link.npz"
    rows = [f"{spelling},{choice},1" for choice, spelling in enumerate(spellings)]
    path.write_text("\n".join(["graph_file,choice,microseconds", *rows]) + "\n")
    measured = load_measurements(path)
    assert [job.graph_file for job in measured.jobs] == ["A.npz"]
    assert measured.microseconds.shape == (1, 4)
    assert measured.classes.group_names == ("A",)


def test_a_copy_of_a_file_is_refused(tmp_path):
    write_set(tmp_path / "copy.npz")
    path = write_csv(tmp_path, ["graph_file,choice,microseconds", "A.npz,x,1", "copy.npz,x,1"])
    with pytest.raises(FileFormatError, match=r"line 3, column graph_file: .*the same graphs as A.npz, got 'copy.npz'"):
        load_measurements(path)


def test_the_files_own_widths_are_bounded_too(tmp_path):
    write_set(tmp_path / "wide.npz", features=2**20 + 1)
    path = write_csv(tmp_path, ["graph_file,choice,microseconds", "wide.npz,x,1"])
    with pytest.raises(FileFormatError, match=r"line 2, column in_features: .*but the width is 1,048,577, got ''"):
        load_measurements(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(b"graph_file,\xff\xfe")
    with pytest.raises(FileFormatError, match="must be UTF-8"):
        load_measurements(path)


class Machine:
    """A made-up device: one way pays for entries, one for all vertex pairs but little to start.

    Times scatter by 3 %; measured a second time, a job takes 2 % longer. Inputs wider than a `cliff` take thrice as
    long, which no operation count explains.
    """

    def __init__(self, *, cliff=10**6, scatter=0.03):
        self.cliff, self.scatter, self.seen = cliff, scatter, set()

    def __call__(self, graph, width_in, width_out):
        v, e = graph.num_vertices, graph.num_edges + graph.num_vertices
        job = (v, e, width_in, width_out)
        rng = np.random.default_rng(job)
        factor = (3.0 if width_in > self.cliff else 1.0) * (1.02 if job in self.seen else 1.0)
        self.seen.add(job)
        times = {"sparse": 50 + 0.01 * e * width_in, "dense": 5 + 0.002 * v * v * width_in}
        return {
            name: Reading(microseconds=us * factor * np.exp(self.scatter * rng.normal()), repeats=5)
            for name, us in times.items()
        }


def fill(folder, measure=None, *, families=("near", "far", "real"), jobs=40):
    """Write a CSV of made-up measurements of rings; return its path."""
    every = []
    for i, family in enumerate(families):
        rng = np.random.default_rng(i)
        path = write_set(folder / f"{family}.npz", sizes=[log_uniform(rng, 3, 400) for _ in range(20)])
        every += measure_cpu.synthetic_jobs(path, folder, count=jobs, seed=i)
    path = folder / "m.csv"
    assert measure_cpu.append_measurements(path, every, measure or Machine(), lambda amount: None) == []
    return path


@pytest.mark.slow
def test_operation_rates_are_recovered(tmp_path):
    measured = load_measurements(fill(tmp_path, Machine(scatter=0.0)))
    inputs = mm.measured_inputs(measured.classes, Level.METADATA)
    model = mm.OperationsModel()
    model.fit(inputs, measured.microseconds[:, measured.choices.index("sparse")])
    rates = dict(zip(mm.OPERATION_NAMES, model.rates, strict=True))
    assert rates["1"] == pytest.approx(50, rel=0.01)
    # a ring's A+I has 3 V entries, so that E F and V F cannot be told apart
    assert rates["E F"] * 3 + rates["V F"] == pytest.approx(0.03, rel=0.02)
    assert (model.rates >= 0).all()


@needs("lightgbm")
def test_held_out_sets_are_predicted_and_compared(tmp_path):
    measured = load_measurements(fill(tmp_path))
    inputs = mm.measured_inputs(measured.classes, Level.DEGREES)
    assert inputs.features.shape[1] == len(mm.measured_feature_names(Level.DEGREES))
    alone, others = mm.score_sets_apart(measured, inputs, synthetic=["near", "far"])
    assert (alone["graphs"], alone["training"], alone["training_jobs"]) == (["real"], "synthetic", 80)
    assert others["training"] == "all other sets"
    for record in (alone, others):
        assert record["model"] == "operations"  # there is nothing else in these times
        assert record["mape"] < 4.0 and record["accuracy"] >= 95.0
        assert record["fixed_accuracy"] < 90.0 < record["repeat_accuracy"] == 100.0
        assert record["fixed_regret_mean"] > 1.05 > record["regret_mean"]
        assert record["repeat_mape"] == pytest.approx(2.0, abs=0.01)
        assert record["noise"] == pytest.approx(0.02, abs=0.001)


@needs("lightgbm")
@pytest.mark.slow
def test_what_operations_do_not_explain_is_learnt(tmp_path):
    measured = load_measurements(fill(tmp_path, Machine(cliff=200), jobs=60))
    inputs = mm.measured_inputs(measured.classes)
    errors = mm.cross_validated_errors(inputs, measured.microseconds, measured.classes.groups)
    assert errors["boosted"] < 0.5 * errors["operations"]
    records = mm.score_sets_apart(measured, inputs, synthetic=["near", "far"], targets=["real"])
    assert all(record["model"] == "boosted" for record in records)


@needs("lightgbm")
def test_the_test_set_never_helps_to_choose_or_train(tmp_path):
    measured = load_measurements(fill(tmp_path))
    inputs, groups = mm.measured_inputs(measured.classes), measured.classes.groups
    train, test = np.flatnonzero(groups != 2), np.flatnonzero(groups == 2)
    _, before = mm.predict_held_out(inputs, measured.microseconds, groups, train, test)
    spoilt = measured.microseconds.copy()
    spoilt[test] *= 1_000
    _, after = mm.predict_held_out(inputs, spoilt, groups, train, test)
    assert (before == after).all()


def test_sets_are_checked(tmp_path):
    measured = load_measurements(fill(tmp_path, families=("only",), jobs=5))
    inputs = mm.measured_inputs(measured.classes, Level.METADATA)
    with pytest.raises(ConfigError, match="must be among only, got 'other'"):
        mm.score_sets_apart(measured, inputs, synthetic=["other"])
    with pytest.raises(ConfigError, match="at least one must not be synthetic"):
        mm.score_sets_apart(measured, inputs, synthetic=["only"])
    with pytest.raises(ConfigError, match="training and test jobs are needed, got 0 and 5"):
        mm.score_held_out(measured, inputs, np.arange(0), np.arange(5), training="nothing")
    with pytest.raises(ConfigError, match="two graph files, got one"):
        mm.cross_validated_errors(inputs, measured.microseconds, measured.classes.groups)
    with pytest.raises(ConfigError, match="one file must be left to train on"):
        mm.score_sets_apart(measured, inputs, synthetic=[])


def test_sets_of_one_name_are_tested_each_and_leave_training(tmp_path):
    rows = []
    for place, first in (("a", 3), ("b", 30)):
        (tmp_path / place).mkdir()
        write_set(tmp_path / place / "same.npz", sizes=range(first, first + 6))
        rows += [f"{place}/same.npz,{i},{f},{c},{1 + i + first}" for i in range(6) for f in (4, 9) for c in "xy"]
    path = tmp_path / "m.csv"
    path.write_text("\n".join(["graph_file,graph_ids,in_features,choice,microseconds", *rows]) + "\n")
    measured = load_measurements(path)
    assert measured.classes.group_names == ("same (a/same.npz)", "same (b/same.npz)")
    inputs = mm.measured_inputs(measured.classes, Level.METADATA)
    plain = replace(measured, classes=replace(measured.classes, group_names=("same", "same")))
    for each in (measured, plain):
        records = mm.score_sets_apart(each, inputs, synthetic=[])
        seen = [(record["training_jobs"], record["samples"]) for record in records]
        assert seen == [(12, 12), (12, 12)]
    first, second = (record["mape"] for record in mm.score_sets_apart(plain, inputs, synthetic=[]))
    assert first != second  # the one was tested on a, the other on b


def test_targets_that_are_trained_on_are_refused(tmp_path):
    measured = load_measurements(fill(tmp_path, jobs=5))
    inputs = mm.measured_inputs(measured.classes, Level.METADATA)
    with pytest.raises(ConfigError, match="targets must not be synthetic too, got far"):
        mm.score_sets_apart(measured, inputs, synthetic=["near", "far"], targets=["real", "far"])


def test_a_copy_is_refused_before_anything_is_measured(tmp_path):
    one, copy = write_set(tmp_path / "A.npz"), write_set(tmp_path / "copy.npz")
    jobs = [measure_cpu.real_jobs(path, tmp_path, samples=2) for path in (one, copy)]
    out, machine = tmp_path / "m.csv", Machine()
    with pytest.raises(ConfigError, match=r"copy.npz holds the same graphs as .*A.npz"):
        measure_cpu.append_measurements(out, jobs[0] + jobs[1], machine, lambda amount: None)
    assert not machine.seen and not out.exists()
    measure_cpu.append_measurements(out, jobs[0], machine, lambda amount: None)
    before = out.read_bytes()
    with pytest.raises(ConfigError, match=r"copy.npz holds the same graphs as .*A.npz"):
        measure_cpu.append_measurements(out, jobs[1], machine, lambda amount: None)
    assert out.read_bytes() == before


def test_jobs_that_a_file_has_in_other_words_are_not_measured_again(tmp_path):
    path, out = write_set(tmp_path / "A.npz"), tmp_path / "m.csv"
    rows = ["./A.npz,2 1,7,3,sparse,4.000,4.100,5", f"{path},1 2,7,3,dense,5.000,5.100,5"]
    out.write_text("\n".join([HEADER, *rows]) + "\n")
    machine = Machine()
    job = load_measurements(out).jobs[0]
    assert job.graph_ids == (1, 2)
    measure_cpu.append_measurements(out, [job], machine, lambda amount: None)
    assert not machine.seen and out.read_text().splitlines() == [HEADER, *rows]


class Killed(Machine):
    """A machine whose run is interrupted at its n-th measurement."""

    def __init__(self, last):
        super().__init__()
        self.left, self.calls = last, 0

    def __call__(self, *job):
        if self.calls == self.left:
            raise KeyboardInterrupt
        self.calls += 1
        return super().__call__(*job)


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    path, out = write_set(tmp_path / "A.npz", sizes=range(3, 20)), tmp_path / "m.csv"
    jobs = measure_cpu.synthetic_jobs(path, tmp_path, count=8)
    for last, first_done, second_done in ((5, 5, 0), (7, 8, 4)):
        with pytest.raises(KeyboardInterrupt):
            measure_cpu.append_measurements(out, jobs, Killed(last), lambda amount: None)
        assert load_measurements(out).jobs == tuple(jobs[:first_done])
        assert load_measurements(out).again is None
        assert out.read_text().count(",,5\n") == 2 * (first_done - second_done)
    rest, ticks = Killed(100), []
    measure_cpu.append_measurements(out, jobs, rest, ticks.append)
    assert (rest.calls, len(ticks)) == (4, 16)
    assert load_measurements(out).jobs == tuple(jobs)
    assert load_measurements(out).again is not None
    assert not list(tmp_path.glob(".*.partial"))


def test_jobs_that_cannot_be_measured_are_left_out_and_said(tmp_path):
    path = write_set(tmp_path / "A.npz")
    jobs = measure_cpu.synthetic_jobs(path, tmp_path, count=4)

    machine = Machine()

    def refuses(graph, width_in, width_out):
        if (width_in, width_out) == (jobs[1].in_features, jobs[1].out_features):
            raise ConfigError("too large")
        return machine(graph, width_in, width_out)

    out = tmp_path / "m.csv"
    assert measure_cpu.append_measurements(out, jobs, refuses, lambda amount: None) == ["too large"]
    assert load_measurements(out).jobs == (jobs[0], jobs[2], jobs[3])


def test_a_file_of_other_columns_is_not_added_to(tmp_path):
    path = write_csv(tmp_path, ["microseconds,choice,graph_file", "3,x,A.npz"])
    with pytest.raises(FileFormatError, match="columns of an existing file must be"):
        measure_cpu.append_measurements(path, [], Machine(), lambda amount: None)


def test_jobs_of_real_files_are_layers_of_the_usual_model(tmp_path):
    many, one = write_set(tmp_path / "A.npz", sizes=range(3, 23)), write_set(tmp_path / "B.npz", sizes=(9,))
    jobs = measure_cpu.draw_jobs([many, one], [], tmp_path, samples=3, synthetic_count=0, seed=4)
    assert jobs == measure_cpu.draw_jobs([many, one], [], tmp_path, samples=3, synthetic_count=0, seed=4)
    assert {(job.in_features, job.out_features) for job in jobs} == {(10, 16), (16, 2)}
    assert sorted(len(job.graph_ids) for job in jobs if job.graph_file == "A.npz") == [1] * 3 + [4] * 3 + [16] * 3
    assert [job.graph_ids for job in jobs if job.graph_file == "B.npz"] == [(0,), (0,)]


def test_synthetic_files_are_written_once_and_jobs_stay_small(tmp_path):
    paths = measure_cpu.write_synthetic_sets(tmp_path, pool=3)
    written = [path.stat().st_mtime_ns for path in paths]
    assert measure_cpu.write_synthetic_sets(tmp_path, pool=3) == paths
    assert [path.stat().st_mtime_ns for path in paths] == written
    assert len(paths) == len(measure_cpu.SYNTHETIC_FAMILIES)
    for path in paths:
        graphs = GraphSet.load(path)
        short = measure_cpu.synthetic_jobs(path, tmp_path, count=5)
        jobs = measure_cpu.synthetic_jobs(path, tmp_path, count=20)
        assert jobs[:5] == short and len(set(jobs)) == 20
        for job in jobs:
            vertices = graphs.batch(job.graph_ids).num_vertices
            assert vertices <= measure_cpu.MOST_VERTICES
            assert vertices * job.in_features * (vertices + job.out_features) <= measure_cpu.MOST_WORK
