"""docs/how-to/add_a_tpugraphs_model.md, followed on a copy of the packages."""

import json

import numpy as np
import pytest

from tests.contracts.recipes import Copy
from tests.forecast.little_files import layout_file

PAGE = "add_a_tpugraphs_model.md"
TINY = "--steps", 3, "--validate-every", 3, "--configs-a-step", 8, "--model.width", 8
READ = """\
import sys
from gnnsched_env.forecast.data.program import open_program
from gnnsched_env.forecast.encoding.samples import prepare
from gnnsched_env.forecast.models.model_list import open_ranker

ranker = open_ranker(sys.argv[1])
scores = ranker.predict(prepare(open_program(sys.argv[2]), hops=ranker.hops))
print(type(ranker.shape).__name__, len(scores), float(scores.std()) > 0)
"""


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    ("section", "model", "shape", "files"),
    [
        ("Another shape of an existing network", "gin", "ConvolutionShape", 1),
        ("A network of your own", "gated", "GatedShape", 2),
    ],
)
def test_a_model_is_one_or_two_files(section, model, shape, files, tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    copy = Copy(tmp_path / "copy")
    assert copy.follow(PAGE, section) == files
    paths = [layout_file(tmp_path, name=f"p{k}", configs=20, seed=k) for k in range(2)]
    command = "-m", "gnnsched_cli", "forecast", "train"
    helped = copy.run(*command, "--model", model, "--help", COLUMNS="200")
    assert f"boosting, {model};" in helped or f"{model}, attention, boosting;" in helped
    assert ("--model.rounds" in helped) == (model == "gated")
    out = tmp_path / "out"
    copy.run(*command, "--data", tmp_path, "--out", out, "--model", model, "--device", "cpu", *TINY)
    assert copy.run("-c", READ, out / "ranker.npz", paths[0]).split() == [shape, "20", "True"]
    scores = tmp_path / "scores.json"
    copy.run(*command[:-1], "score", "--data", *paths, "--ranker", out / "ranker.npz", "--json", scores)
    taus = [graph["tau"] for graph in json.loads(scores.read_text())["graphs"]]
    assert len(taus) == 2 and np.isfinite(taus).all()
