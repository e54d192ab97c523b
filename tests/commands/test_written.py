"""Every command: what it writes is refused before the work or written before anything is printed."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import robustness
from gnnsched_cli.command import OutFile, OutFolder, check_outputs, outputs_of
from gnnsched_cli.main import SUBCOMMANDS, main
from gnnsched_env.bench import bench_tasks
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import GraphSet
from gnnsched_env.graphs.generators import draw_graphs
from tests.forecast.little_files import layout_file
from tests.live.little_runs import write_run
from tests.report.pages import write_records

STUDIES = sorted(path.stem for path in (Path(__file__).parents[2] / "scripts" / "studies").glob("*.py"))
# Options of any command that name what is read; all other paths are written.
READ = ("graphs", "data", "split", "validation")
READ_BY = {
    ("cycles", "graph"),
    ("graphs convert", "file"),
    ("graphs describe", "paths"),
    ("score-measured", "csv"),
    ("check-cycles", "files"),
    ("check-trace", "file"),
    ("arena", "file"),
    ("live", "table"),
    ("compare_live", "table"),
    ("replay", "runs"),
    ("replay", "calibration"),
    ("calibrate", "runs"),
    ("report", "source"),
    ("dataset check", "folder"),
    ("describe_tpugraphs", "folder"),
}
PLAY = ("--jobs", "5", "--seed", "1")
# Of each command that writes files, a quick run but for the options that name them.
RUNS = {
    "evaluate": ("--policies", "sjf", "--episodes", "1", "--load", "0.5", *PLAY),
    "schedule": ("--policy", "sjf", *PLAY),
    "bound": ("--policies", "sjf", "--episodes", "1", "--rounds", "5", "--moves", "5", "--tries", "1", *PLAY),
    "score-predictor": ("--predictor", "exact", "--graphs", "A.npz", "--batch-sizes", "1", "--samples", "2"),
    "score-measured": ("--csv", "measured.csv"),
    "graphs get": ("karate",),
    "graphs convert": ("edges.txt", "--features", "1", "--classes", "2"),
    "forecast score": ("--data", ".", "--ranker", "random"),
    "forecast predict": ("--data", ".", "--ranker", "random", "--files", "valid"),
    "doctor": (),
    "bench": ("fifo",),
    "report": ("records.json", "--policies", "sjf", "--episodes", "1"),
    "arena": ("mine.py", "--seed", "1", "--losses", "0"),
    "replay": ("run",),
}
SUFFIX = {"html": ".html", "png": ".png", "gif": ".gif", "csv": ".csv"}
EXTRA = {"png": "matplotlib", "gif": "pygame", "html": "bokeh"}


def parts(kind):
    """Yield the name and the arguments of each subcommand of a union; "" where it is none."""
    if get_origin(kind) is Annotated:
        name = next((note.name for note in kind.__metadata__ if getattr(note, "name", None)), "")
        yield from ((name, inner) for _, inner in parts(get_args(kind)[0]))
    elif get_args(kind):
        for one in get_args(kind):
            yield from parts(one)
    else:
        yield "", kind


def commands():
    for name in SUBCOMMANDS:
        file = import_module(f"gnnsched_cli.{name.replace('-', '_')}")
        kind = file.options([])[0] if hasattr(file, "options") else file.Arguments
        yield from ((f"{name} {part}".strip(), own) for part, own in parts(kind))


KINDS = dict(commands())
WRITTEN = {
    (name, option)
    for name, kind in KINDS.items()
    for option, word in outputs_of(kind).items()
    if word in OutFile.__metadata__
}


def study(name):
    try:
        return import_module(name).Arguments
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")


def is_path(hint):
    return hint is Path or any(is_path(part) for part in get_args(hint))


@pytest.mark.parametrize("name", [*KINDS, *STUDIES])
def test_every_path_is_known_to_be_read_or_to_be_written(name):
    kind = KINDS[name] if name in KINDS else study(name)
    for option, hint in get_type_hints(kind, include_extras=True).items():
        read = option in READ or (name, option) in READ_BY
        if is_path(hint) and option not in getattr(kind, "added_options", ()):
            assert read != (option in outputs_of(kind)), f"{name} --{option}: declare it as OutFile or OutFolder"


def test_every_command_that_writes_is_run_here():
    assert {name for name, _ in WRITTEN} == set(RUNS)


class Full(io.StringIO):
    """A stdout on a disk that is full."""

    def write(self, text):
        raise OSError(28, "No space left on device")


def gnnsched(out, command, *words):
    """Run a command line in this process; return its status and what it told on stderr."""
    told = io.StringIO()
    with redirect_stdout(out), redirect_stderr(told):
        status = main([*command.split(), *map(str, words)])
    return status, told.getvalue()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Return a folder with the inputs of all commands."""
    folder = tmp_path_factory.mktemp("inputs")
    rows = ["graph_file,graph_ids,choice,microseconds"]
    for name in ("A", "synthetic_a"):
        graphs = draw_graphs("molecule", np.random.default_rng(len(name)), 8)
        GraphSet.from_graphs(graphs, name=name, num_features=3, num_classes=2).save(folder / f"{name}.npz")
        rows += [f"{name}.npz,{i},{way},{5 + (3 * i) % (4 + len(way))}" for i in range(8) for way in ("one", "other")]
    (folder / "measured.csv").write_text("\n".join(rows) + "\n")
    (folder / "edges.txt").write_text("0 1\n1 2\n")
    layout_file(folder, name="held", configs=30, split="valid", seed=7)
    write_records(folder / "records.json")
    write_run(folder / "run")
    (folder / "mine.py").write_text("def choose(observation, mask):\n    return int(mask.argmax())\n")
    return folder


@pytest.fixture
def here(inputs, monkeypatch):
    """Work in that folder, on a benchmark and in an arena of one little task."""
    monkeypatch.chdir(inputs)
    monkeypatch.setattr("gnnsched_env.bench.results.bench_tasks", lambda suite=None: bench_tasks("small")[:1])
    for size in ("WORLDS", "EPISODES", "JOBS", "CLASSES", "MOVES", "ROUNDS"):
        monkeypatch.setattr(f"gnnsched_env.bench.arena.arena.{size}", {"JOBS": 10, "CLASSES": 8}.get(size, 1))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "option"), sorted(WRITTEN))
def test_results_are_written_before_they_are_printed(name, option, here, tmp_path):
    if option in EXTRA:
        pytest.importorskip(EXTRA[option])
    path = tmp_path / "new" / f"result{SUFFIX.get(option, '.json')}"
    status, told = gnnsched(Full(), name, *RUNS[name], f"--{option}", path)
    assert (status, told.splitlines()[-1]) == (2, "error: output: No space left on device")
    assert path.stat().st_size > 0
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("name", "option"), sorted(WRITTEN))
def test_what_cannot_be_written_is_refused_before_the_work(name, option, here, tmp_path, monkeypatch):
    for module in (
        "arena",
        "bench",
        "bound",
        "doctor",
        "evaluate",
        "graphs",
        "replay",
        "schedule",
        "score_measured",
        "score_predictor",
    ):
        monkeypatch.setattr(f"gnnsched_cli.{module}.run", None)  # the work
    (tmp_path / "file").write_text("before")
    for path, told in (
        (tmp_path, "must be a file, but"),
        (tmp_path / "file" / "x.png", "must be in a folder, but"),
        ("/dev/null", "must be a regular file, but"),
    ):
        out = io.StringIO()
        status, line = gnnsched(out, name, *RUNS[name], f"--{option}", path)
        assert status == 2 and line.startswith(f"error: --{option}: {told}") and line.count("\n") == 1
        assert out.getvalue() == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", STUDIES)
def test_studies_refuse_what_cannot_be_written_before_the_work(name, tmp_path):
    kind = study(name)
    (tmp_path / "file").write_text("before")
    for option, word in outputs_of(kind).items():
        given = kind.__new__(kind)  # what it needs besides does not matter
        for other in get_type_hints(kind):
            object.__setattr__(given, other, None)
        bad = tmp_path if word in OutFile.__metadata__ else tmp_path / "file"
        object.__setattr__(given, option, bad)
        with pytest.raises(ConfigError, match=rf"^(--)?{option.replace('_', '-')}: must be"):
            check_outputs(given)


def test_a_file_is_not_both_read_and_written(here):
    status, told = gnnsched(io.StringIO(), "score-predictor", *RUNS["score-predictor"], "--json", "../inputs0/./A.npz")
    assert status == 2 and "--json: must be another file than that of --graphs" in told


@pytest.mark.slow
def test_a_study_writes_before_it_prints(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(robustness, "CONDITIONS", {"Poisson": {}})
    words = ["--fleets", "hetero4", "--jobs", "5", "--episodes", "1", "--policies", "sjf"]
    assert robustness.main([*words, "--json", str(tmp_path / "out.json")]) == 2
    assert (tmp_path / "out.json").stat().st_size > 0


def test_a_folder_that_is_written_to_is_checked(here, tmp_path):
    (tmp_path / "file").write_text("before")
    folders = [(name, option) for name, kind in KINDS.items() for option, word in outputs_of(kind).items()]
    assert ("train", "folder") in folders
    assert {word for kind in KINDS.values() for word in outputs_of(kind).values()} == {
        *OutFile.__metadata__,
        *OutFolder.__metadata__,
    }
    status, told = gnnsched(io.StringIO(), "train", "--folder", tmp_path / "file")
    assert (status, told) == (2, f"error: --folder: must be a folder, but {tmp_path / 'file'} is a file\n")
