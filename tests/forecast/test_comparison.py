"""Models beside each other: the same files and seeds, intervals over both, going on where it stopped."""

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.data.file_selection import Selection
from gnnsched_env.forecast.models.boosting import BoostingSettings
from gnnsched_env.forecast.models.ranker import Session
from scripts.studies.compare_forecasts import ModelScores, compare, configured
from tests.forecast.little_files import layout_file

SMALL = {"steps": 4, "validate_every": 2, "configs_a_step": 8}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    for k in range(3):
        layout_file(root, name=f"train_{k}", configs=40, seed=k)
        layout_file(root, name=f"test_{k}", configs=30, seed=10 + k, split="test")
    layout_file(root, name="blank", configs=30, split="test", labelled=False)
    return [Selection(data=(root,), split=split).open() for split in ("train", "test")]


def test_each_model_and_seed_is_scored_on_the_same_files_and_a_second_call_repeats_it(opened, tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    lines = []
    session = Session(folder=tmp_path, tensorboard=False)
    first = compare(["nn", "boosting"], [0, 3], *opened, session, told=lines.append, **SMALL)
    assert first.files == tuple(f"layout:xla:random:test_{k}" for k in range(3))
    assert [own.scores.shape for own in first.models] == [(2, 3), (2, 3)]
    assert not np.array_equal(*first.models[0].scores)
    assert [line.split(":")[0] for line in lines] == [
        "nn, seed 0",
        "boosting, seed 0",
        "nn, seed 3",
        "boosting, seed 3",
    ]
    written = (tmp_path / "nn-3" / "ranker.npz").stat().st_mtime_ns
    kept = (tmp_path / "nn-3" / "checkpoint.pt").read_bytes()
    again = compare(["nn"], [3, 0], *opened, session, **SMALL)
    np.testing.assert_array_equal(again.models[0].scores, first.models[0].scores[::-1])
    assert (tmp_path / "nn-3" / "checkpoint.pt").read_bytes() == kept
    assert (tmp_path / "nn-3" / "ranker.npz").stat().st_mtime_ns > written
    record = first.record()
    assert record["models"][0]["above_the_one_before"] is None
    assert record["models"][1]["seeds"]["3"] == first.models[1].scores[1].tolist()
    gap = first.models[1].scores.mean() - first.models[0].scores.mean()
    assert record["models"][1]["above_the_one_before"][0] == pytest.approx(gap)


def test_changes_are_of_networks_alone():
    (_, nn), (_, trees) = configured(["nn", "boosting"], 5, steps=7, hops=None)
    assert (nn.steps, nn.hops, nn.seed) == (7, 5, 5)
    assert trees == BoostingSettings(seed=5)


@pytest.mark.parametrize(
    ("models", "seeds", "said"),
    [
        (["nn", "nn"], [0], "models must be different ones, got nn, nn"),
        (["nn"], [], "seeds must be different ones, got none"),
        (["gnn46"], [0], "model must be one of .* got 'gnn46'; did you mean 'gnn64'"),
    ],
)
def test_what_cannot_be_compared_is_refused(models, seeds, said, opened):
    with pytest.raises(ConfigError, match=said):
        compare(models, seeds, *opened, Session())


def test_files_without_labels_alone_are_refused(tmp_path, opened):
    layout_file(tmp_path, name="blank", labelled=False, split="test")
    blank = Selection(data=(tmp_path,), split="test").open()
    with pytest.raises(ConfigError, match="no file to score has anything to rank"):
        compare(["boosting"], [0], opened[0], blank, Session())


def test_models_of_other_seeds_are_not_compared():
    one, other = (ModelScores(model="nn", seeds=seeds, scores=np.zeros((2, 3))) for seeds in ((0, 1), (1, 0)))
    with pytest.raises(ConfigError, match="same seeds"):
        one.above(other)
