"""The commands as a newcomer types them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cycles as benchmark
from gnnsched_cli import cycles
from gnnsched_cli.main import main
from gnnsched_env.graphs import Graph, GraphSet

ROOT = Path(__file__).parents[2]


@pytest.fixture
def graph_file(tmp_path):
    graphs = [Graph.from_edges(n, np.arange(n), (np.arange(n) + 1) % n) for n in (40, 50, 60)]
    path = tmp_path / "Rings.npz"
    GraphSet.from_graphs(graphs, name="Rings", num_features=9, num_classes=3).save(path)
    return path


def test_dataflows_are_printed_best_first(graph_file, capsys):
    report = _json(capsys, graph_file, "--batch", "2", "--model", "sage", "--accelerator", "omega256")
    cycle_counts = [row["cycles"] for row in report["dataflows"]]
    assert cycle_counts == sorted(cycle_counts)
    assert len(cycle_counts) == 9
    assert report["model"]["layers"][0]["combination_features"] == 18
    assert all(0 < row["utilisation"] <= 1 for row in report["dataflows"])
    first = report["dataflows"][0]
    assert first["microseconds"] == first["cycles"] / 1e9 * 1e6


def test_the_same_seed_draws_the_same_batch(graph_file, capsys):
    runs = [_json(capsys, graph_file, "--batch", "2", "--seed", seed) for seed in "112"]
    assert runs[0] == runs[1]
    assert len(set(runs[0]["drawn"])) == 2
    assert (runs[0]["graphs_in_set"], runs[0]["seed"]) == (3, 1)


def test_the_header_says_what_was_drawn(graph_file, capsys):
    assert _run(graph_file, "--batch", "3", "--accelerator", "omega256") == 0
    output = capsys.readouterr().out
    assert "(3 of 3 graphs drawn with seed 0: " in output
    assert "T_Va,T_N,T_Fa | T_Vc,T_G,T_Fc" in output
    assert _run("karate") == 0
    assert capsys.readouterr().out.startswith("karate: 34 vertices")


def test_an_edge_list_needs_widths(tmp_path, capsys):
    path = tmp_path / "path.txt"
    path.write_text("10 20\n20 30\n")
    assert _run(path) == 2
    assert "--features and --classes are required" in capsys.readouterr().err
    report = _json(capsys, path, "--features", "5", "--classes", "2", "--accelerator", "omega256")
    assert (report["vertices"], report["edges"], report["drawn"]) == (3, 4, [])


@pytest.mark.slow
def test_a_reader_who_leaves_is_no_error(graph_file):
    command = [sys.executable, "-m", "gnnsched_cli", "cycles", "--graph", str(graph_file), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 0
    assert b"BrokenPipe" not in errors
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    ("value", "text"), [(0.059, "0.0590"), (0.9996, "1.00"), (47.545, "47.5"), (47545.0, "47,500")]
)
def test_microseconds_have_three_digits(value, text):
    assert cycles._three_digits(value) == text


@pytest.mark.slow
def test_the_table_names_every_dataflow(graph_file, capsys):
    assert _run(graph_file, "--quirks", "golden_corrected", "--hidden", "--features", "5") == 0
    output, refused = capsys.readouterr()
    assert all(name in output for name in ("Seq1", "SPhighV", "microseconds", "5 -> 3"))
    assert "PP2 left out: PP: the reference's formula needs V >= 2" in refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--accelerator", "omega51"], "did you mean 'omega512'"),
        (["--batch", "0"], "--batch must be at least 1, got 0"),
        (["--batch", "4"], "--batch must be at most the set's 3 graphs, got 4"),
        (["--seed", "-1"], "--seed must be at least 0, got -1"),
        (["--clock-hz", "0"], "--clock-hz must be at least 1"),
        (["--dataflow", "Seq1"], "--dataflow: goes with --explain"),
        (["--explain", "--dataflow", "Seq9"], "got 'Seq9'; did you mean"),
        (["--explain", "--quirks", "reference"], "--explain: explains the mended model, not --quirks reference"),
    ],
)
def test_mistakes_are_explained(graph_file, capsys, arguments, message):
    assert _run(graph_file, *arguments) == 2
    assert message in capsys.readouterr().err


def test_counts_are_explained_and_orders_compared(graph_file, capsys):
    report = _json(capsys, graph_file, "--explain", "--dataflow", "SP2", "Seq1", "--order", "degree", "rcm")
    cycles = {flow["dataflow"]: flow["cycles"] for flow in report["dataflows"]}
    for name, layers in report["explained"].items():
        assert sum(layer["cycles"] for layer in layers) == cycles[name]
        parts = [sum((*layer["aggregation"].values(), *layer["combination"].values())) for layer in layers]
        assert sum(parts) + sum(layer["composing"] for layer in layers) == pytest.approx(cycles[name])
    assert list(report["explained"]) == ["SP2", "Seq1"] and list(report["orders"]) == ["degree", "rcm"]
    assert report["orders"]["degree"].keys() == cycles.keys()
    assert _run(graph_file, "--explain", "--order", "degree") == 0
    told = capsys.readouterr().out
    assert "rows of a tile that wait for its slowest one" in told and "Most goes to:" in told and "over given" in told


def test_the_benchmark_runs_on_stand_ins(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "ROWS", benchmark.ROWS[:1])
    monkeypatch.setattr(sys, "argv", ["cycles", "--repeats", "1"])
    monkeypatch.setattr(benchmark, "pin_to_one_core", lambda: None)
    benchmark.main()
    assert "stand-in for MUTAG" in capsys.readouterr().out


def _run(path, *arguments):
    return main(["cycles", "--graph", str(path), *arguments])


def _json(capsys, path, *arguments):
    assert _run(path, "--json", *arguments) == 0
    return json.loads(capsys.readouterr().out)


def test_the_snippets_of_the_documentation_run_as_written():
    page = (ROOT / "docs" / "reference" / "cycles.md").read_text(encoding="utf-8")
    snippets = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    for snippet in snippets:
        exec(snippet, names)
    assert names["counts"].cycles == names["table"][0, 0]
