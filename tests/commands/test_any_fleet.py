"""The study that plays an agent on random fleets: its table, its summary, its file."""

import json

import pytest

from scripts.studies.any_fleet import main

SMALL = ["--fleets", "2", "--jobs", "30", "--episodes", "3", "--agent", "agent:queue_hetero4"]


@pytest.mark.slow
def test_each_scenario_has_a_line_and_the_best_heuristic_is_named(tmp_path, capsys):
    path = tmp_path / "out.json"
    assert main([*SMALL, "--heuristics", "fifo", "assignment", "sjf", "--json", str(path)]) == 0
    told = capsys.readouterr().out
    rows = [line for line in told.splitlines() if line.startswith("| test-0-")]
    lines = json.loads(path.read_text())["lines"]
    assert [line["scenario"] for line in lines] == ["test-0-0", "test-0-1"] and len(rows) == 2
    for row, line in zip(rows, lines, strict=True):
        assert line["best heuristic"] == min(line["ratios"], key=line["ratios"].get)
        assert line["over_agent"][0] == line["ratios"][line["best heuristic"]]
        assert f"| {line['best heuristic']} | {line['over_agent'][0]:.3f}" in row
    assert "(geometric mean of 2)" in told and "One heuristic for all: " in told


def test_assignment_is_always_compared_with(capsys):
    assert main([*SMALL, "--heuristics", "sjf"]) == 2
    assert "any_fleet: heuristics must include assignment, got sjf" in capsys.readouterr().err
