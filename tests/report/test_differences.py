"""The table of what two policies do differently."""

from dataclasses import fields, replace
from io import StringIO

import pytest
from rich.console import Console

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.evaluation.behaviour import Behaviour
from gnnsched_env.report.difference_table import FIGURES, differences_table
from tests.envs.rendered import made_up_labels

FIRST = Behaviour(
    completion=3000.0,
    waiting=1000.0,
    waiting_shortest=0.0,
    waiting_longest=500.0,
    execution=2000.0,
    fastest=0.75,
    stretch=1.25,
    work=1.5,
    waits=0.125,
    idle=0.01,
    utilisation=0.5,
    makespan=2e6,
)
SECOND = replace(FIRST, completion=6000.0, waits=0.0, stretch=1.0)


def rows_of(table):
    written = StringIO()
    Console(width=200, file=written).print(table)
    lines = [line.strip() for line in written.getvalue().splitlines()]
    return {line.split("  ")[0]: line.split()[-3:] for line in lines if "  " in line}, lines


def test_each_figure_of_both_and_its_ratio():
    rows, lines = rows_of(differences_table(("[red]", "two"), ([FIRST], [SECOND]), made_up_labels()))
    assert lines[1].split() == ["1", "episode", "[red]", "two", "ratio"]
    assert "mean completion" in rows
    found = " ".join(next(line for line in lines if line.startswith("mean completion")).split())
    assert found == "mean completion 3.00 ms 6.00 ms 0.500"  # at 1 MHz
    assert rows["decisions that wait though a job could start"] == ["12.5%", "0.0%", "-"]
    assert rows["predicted latency over the job's smallest, mean"] == ["1.250", "1.000", "1.250"]
    assert rows["utilisation"] == ["50.0%", "50.0%", "1.000"]
    assert len([line for line in lines if line]) == 2 + len(FIGURES)


def test_several_episodes_are_averaged_and_their_ratio_has_an_interval():
    first = [FIRST, replace(FIRST, completion=5000.0)]
    second = [SECOND, replace(SECOND, completion=2000.0, waits=0.5)]
    _, lines = rows_of(differences_table(("one", "two"), (first, second), made_up_labels()))
    assert lines[1].startswith("mean of 2 episodes")
    found = " ".join(next(line for line in lines if line.startswith("mean completion")).split())
    assert found == "mean completion 4.00 ms 4.00 ms 1.000 ±1.000"  # from 0.5 to 2.5
    found = next(line for line in lines if line.startswith("decisions")).split()
    assert found[-3:] == ["12.5%", "25.0%", "-"]  # one episode's 0 would make ratios of resamples infinite


@pytest.mark.parametrize(
    ("cycles", "text"),
    [(8.9, "8.90 µs"), (6.19, "6.19 µs"), (100.0, "100 µs"), (9.999, "10.0 µs"), (999.9, "1000 µs"), (0, "0.00 ns")],
)
def test_times_have_three_digits(cycles, text):
    table = differences_table(("one", "two"), ([replace(FIRST, waiting=cycles)], [SECOND]), made_up_labels())
    found = next(line for line in rows_of(table)[1] if line.startswith("mean waiting"))
    assert found.removeprefix("mean waiting").strip().startswith(f"{text} ")


def test_every_figure_has_a_row():
    assert [field for field, _, _ in FIGURES] == [entry.name for entry in fields(Behaviour)]


@pytest.mark.parametrize("pair", [([FIRST], []), ([], []), ([FIRST], [SECOND, SECOND])])
def test_unequal_episodes_are_refused(pair):
    with pytest.raises(ConfigError, match=r"as many episodes of both, at least 1, got \d and \d"):
        differences_table(("one", "two"), pair, made_up_labels())
