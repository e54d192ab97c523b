"""docs/how-to/add_a_predictor.md, followed on a copy."""

import json

import numpy as np
import pytest

from gnnsched_env.graphs import GraphSet
from gnnsched_env.graphs.generators import draw_graphs
from gnnsched_env.predictors import PREDICTORS
from tests.contracts.recipes import ROOT, Copy, examples
from tests.kept_kernels import copy_kernels

pytestmark = pytest.mark.slow  # a copy compiles its kernels anew

PAGE = "add_a_predictor.md"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Return a copy that has the recipe's predictor, with a cache of its own."""
    copy = Copy(tmp_path_factory.mktemp("predictor"))
    assert copy.follow(PAGE) <= 2
    copy_kernels(copy.folder / "cache")
    run = copy.run
    copy.run = lambda *words: run(*words, GNNSCHED_CACHE=str(copy.folder / "cache"))
    return copy


@pytest.fixture(scope="module")
def graphs(copy):
    path = copy.folder / "molecules.npz"
    drawn = draw_graphs("molecule", np.random.default_rng(0), 20)
    GraphSet.from_graphs(drawn, name="molecules", num_features=7, num_classes=2).save(path)
    return path


def scored(copy, predictor, graphs):
    """Return what `gnnsched score-predictor` says of all jobs of a file."""
    out = copy.folder / "scores.json"
    options = ["--predictor", predictor, "--graphs", graphs, "--samples", 5, "--json", out]
    copy.run("-m", "gnnsched_cli", "score-predictor", *options)
    return next(record for record in json.loads(out.read_text())["records"] if record["batch_size"] is None)


def test_its_name_is_known_in_environments_scenarios_and_errors(copy):
    assert copy.run("-c", examples(PAGE)[0]) == "linear\n"
    code = """
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.predictors import PREDICTORS, check_predictor
from gnnsched_env.scenario import load_scenario

scenario = load_scenario("hetero4").with_options(predictor="linear")
print(scenario.predictor, *PREDICTORS)
for check in (check_predictor, lambda name: load_scenario("hetero4").with_options(predictor=name)):
    try:
        check("linaer")
    except ConfigError as error:
        print(error)
"""
    names, *errors = copy.run("-c", code).splitlines()
    assert names.split() == ["linear", *PREDICTORS, "linear"]
    assert len(errors) == 2
    for error in errors:
        assert "exact, linear, or a file" in error and "did you mean 'linear'?" in error


def test_its_file_is_read_wherever_a_predictor_is_named(copy, graphs):
    assert copy.run("-c", examples(PAGE)[1]) == "(500, 9)\n"
    of_file = scored(copy, "mine.npz", graphs)
    assert (of_file["predictor"], of_file["level"], of_file["samples"]) == ("linear", "metadata", 15)
    assert 0 < of_file["mape"] < 60
    by_name = scored(copy, "linear", graphs)
    assert by_name["predictor"] == "linear" and by_name["mape"] != of_file["mape"]
    out = copy.folder / "evaluated.json"
    words = ["--predictor", "mine.npz", "--policies", "min_min", "--episodes", 1, "--jobs", 20, "--json", out]
    copy.run("-m", "gnnsched_cli", "evaluate", *words)
    assert out.exists()


def test_it_passes_the_contract_of_predictors(copy):
    code = """
import sys, pytest, gnnsched_env.predictors
root = sys.argv[1]
words = [f"{root}/tests/predictors/test_predictors.py", "-k", "linear", "-p", "no:cacheprovider", "-n", "0"]
status = pytest.main([*words, "-c", f"{root}/pyproject.toml", "-o", "pythonpath="])
print(gnnsched_env.predictors.__file__)
sys.exit(status)
"""
    told = copy.run("-c", code, ROOT)
    assert "[100%]" in told and told.splitlines()[-1].startswith(str(copy.folder))
