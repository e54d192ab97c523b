"""The command `gnnsched` itself: its subcommands, help, version, completion and errors."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gnnsched_cli.main import SUBCOMMANDS, main
from gnnsched_env.version import __version__
from tests.commands.running import gnnsched

ROOT = Path(__file__).parents[2]
HEAVY = ("numba", "torch", "lightgbm", "matplotlib", "sklearn", "stable_baselines3", "ortools", "pygame")
# Their options are declared beside what the simulator compiles.
WITH_NUMBA = ("train", "evaluate", "schedule", "bound", "record", "live")


def test_the_entry_point_is_main():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"gnnsched": "gnnsched_cli.main:main"}
    done = subprocess.run(
        [sys.executable, "-m", "gnnsched_cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"gnnsched {__version__}\n"


def test_help_lists_every_subcommand():
    for words in ([], ["--help"], ["-h"]):
        told = gnnsched(*words)
        assert told.returncode == 0 and told.stderr == ""
        assert re.findall(r"• ([a-z-]+) ", told.stdout) == list(SUBCOMMANDS)
        assert "gnnsched --version" in told.stdout and "--tyro-write-completion" in told.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *SUBCOMMANDS])
def test_help_says_what_it_is_for_and_imports_little(name):
    allowed = ("numba",) if name in WITH_NUMBA else ()
    code = (
        f"import sys; from gnnsched_cli.main import main\ntry: main([*{name.split()}, '--help'])\n"
        f"except SystemExit: print({HEAVY!r} and sorted(set({HEAVY!r}) & set(sys.modules) - set({allowed!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"usage: gnnsched {name}".rstrip())
    assert done.stdout.splitlines()[-1] == "[]"


def test_completion_knows_the_options_of_every_subcommand(tmp_path):
    script = tmp_path / "gnnsched"
    assert gnnsched("--tyro-write-completion", "bash", script).returncode == 0
    told = script.read_text()
    for option in (*SUBCOMMANDS, "--episodes", "--quirks", "--config", "--leave-one-out", "convert", "standin"):
        assert option in told, option


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evalute"], "unknown subcommand 'evalute'; did you mean 'evaluate'?"),
        (["cycles"], "missing from gnnsched cycles: --graph PATH"),
        (["check-trace"], "missing from gnnsched check-trace: PATH"),
        (["check-cycles"], "needs at least one file of cases"),
        (["evaluate", "--episode", "3"], "Unrecognized options: --episode, 3; perhaps you meant: --episodes INT"),
        (["evaluate", "--episodes", "x"], "--episodes: must be an integer of at most 64 bits, got 'x'"),
        (["evaluate", "--env", "quue"], "invalid choice 'quue' for argument '--env'. Expected one of ('queue', 'dis"),
        (["evaluate", "--failures", "3"], "'--failures'. Expected 2 values"),
        (["forecast"], "Expected one of {standin, train, score, predict}."),
        (["graphs", "describe", "none.npz"], "none.npz"),
        (["--verbose"], "Unrecognized options: --verbose"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, message):
    told = gnnsched(*words)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("error: ") and told.stderr.count("\n") == 1
    assert message in told.stderr


def test_defaults_that_help_shows_are_the_library_s():
    """They are written twice, so that help need not import what computes."""
    from gnnsched_cli import forecast_options, score_predictor
    from gnnsched_env.forecast.encoding.portions import HELD_SHARE
    from gnnsched_env.predictors.graph_scores import SAMPLES

    assert score_predictor.Arguments(predictor="exact", graphs=()).samples == SAMPLES
    assert forecast_options.Train(data=(), out=Path()).held_share == HELD_SHARE


def test_a_policy_in_the_current_folder_is_found_and_named(tmp_path):
    source = "from gnnsched_env import Knowledge\n\n\nclass First:\n    knowledge = Knowledge.NONE\n\n"
    source += "    def act(self, observation, mask):\n        return mask.argmax(axis=1)\n"
    (tmp_path / "mine_alone.py").write_text(source)
    command = [Path(sys.executable).with_name("gnnsched"), "evaluate", "--policies", "mine_alone:First"]
    done = subprocess.run(
        [*command, "--jobs", "10", "--episodes", "1"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "mine_alone:First" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("evaluate --failures 100", "Expected 2 values"),
        ("evaluate --load abc", "--load: Could not find valid parse"),
        ("evaluate --arrivals odd", "Expected one of ('poisson', 'bursty', 'diurnal'"),
        ("bound --known --seed 3", "--seed: does not go with --known"),
    ],
)
def test_a_bad_value_is_told_in_one_line(words, told, capsys):
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1 and "NoneType" not in error


def test_optional_values_are_shown_by_their_own_type(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    shown = capsys.readouterr().out
    assert "--jobs INT" in shown and "{None}" not in shown
