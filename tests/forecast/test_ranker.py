"""Files of rankers, networks and trees alike: what comes back, and what is refused."""

import pickle

import numpy as np
import pytest
import torch

from gnnsched_env.common import store
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import read_npz, write_npz
from gnnsched_env.forecast.encoding.portions import whole
from gnnsched_env.forecast.models.boosting import BoostingRanker, BoostingSettings
from gnnsched_env.forecast.models.model_list import open_ranker
from gnnsched_env.forecast.models.network import ForecastNetwork
from gnnsched_env.forecast.models.network_ranker import NetworkRanker, widths
from gnnsched_env.forecast.models.network_settings import ConvolutionShape
from tests.forecast.little_samples import layout_sample, tile_sample

KINDS = ("network", "network of tiles", "trees", "trees of many", "trees of tiles")
SMALL = ConvolutionShape(width=8, depth=2, norm="instance", residual=True, attention=True, references=4, segment=7)


def make(kind):
    """Return a ranker and a sample that it ranks."""
    sample = tile_sample() if "tiles" in kind else layout_sample()
    if "network" in kind:
        torch.manual_seed(0)
        network = ForecastNetwork(SMALL, widths(sample.is_tile))
        weights = {name: value.numpy() for name, value in network.state_dict().items()}
        return NetworkRanker.of(SMALL, weights, is_tile=sample.is_tile, hops=3, provenance={"seed": 0}), sample
    samples = [sample, layout_sample(seed=1)] if "many" in kind else [sample]
    return BoostingRanker.fit(BoostingSettings(trees=5, least=2), [whole(one) for one in samples]), sample


@pytest.fixture(params=KINDS)
def pair(request):
    return make(request.param)


def test_a_ranker_comes_back_from_its_file(pair, tmp_path):
    ranker, sample = pair
    ranker.save(tmp_path / "ranker.npz")
    again = open_ranker(tmp_path / "ranker.npz")
    assert type(again) is type(ranker)
    assert (again.hops, again.is_tile, again.provenance) == (ranker.hops, ranker.is_tile, ranker.provenance)
    np.testing.assert_array_equal(again.predict(sample), ranker.predict(sample))
    again.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "ranker.npz").read_bytes()


def test_scores_are_those_of_the_rows_asked_for(pair):
    ranker, sample = pair
    scores = ranker.predict(sample)
    assert scores.dtype == np.float64 and scores.shape == (sample.num_configs,) and np.isfinite(scores).all()
    rows = np.array([30, 2, 2, 39])
    np.testing.assert_allclose(ranker.predict(sample, rows), scores[rows], atol=1e-5)
    assert ranker.predict(sample, np.zeros(0, np.int64)).shape == (0,)


def test_the_other_kind_of_configurations_is_refused(pair):
    ranker, sample = pair
    other = layout_sample() if sample.is_tile else tile_sample()
    with pytest.raises(ConfigError, match=r"ranks (tile|layout) configurations, got (tile|layout) ones"):
        ranker.predict(other)


def test_damage_is_refused(pair, tmp_path):
    ranker, _ = pair
    path = tmp_path / "ranker.npz"
    ranker.save(path)
    whole = path.read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"ranker\.npz"):
            open_ranker(path)
    path.unlink()
    with pytest.raises(FileFormatError, match="No such file"):
        open_ranker(path)


def test_a_changed_array_is_refused(pair, tmp_path):
    ranker, _ = pair
    ranker.save(tmp_path / "ranker.npz")
    arrays = read_npz(tmp_path / "ranker.npz")
    name = next(name for name in arrays if name != "manifest")
    arrays[name] = arrays[name].copy()
    arrays[name].flat[0] += 1
    write_npz(tmp_path / "ranker.npz", arrays)
    with pytest.raises(FileFormatError, match="SHA-256"):
        open_ranker(tmp_path / "ranker.npz")


def repacked(path, change):
    """Change a ranker's manifest or arrays, and let its hash agree."""
    stored = store.load(path, store.FORECAST_NETWORK, store.FORECAST_TREES)
    change(stored.manifest, stored.arrays)
    store.save(path, stored.format, stored.manifest, stored.arrays)


def test_another_encoding_is_refused(pair, tmp_path):
    ranker, _ = pair
    ranker.save(tmp_path / "ranker.npz")
    repacked(tmp_path / "ranker.npz", lambda manifest, arrays: manifest["encoding"].update(version=0))
    with pytest.raises(FileFormatError, match="encoding"):
        open_ranker(tmp_path / "ranker.npz")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m, a: a.pop("each.weight"), "each.weight"),
        (lambda m, a: a.update(extra=np.zeros(1)), "extra"),
        (lambda m, a: a["each.weight"].fill(np.nan), "finite"),
        (lambda m, a: m["config"].update(width=9), "shape"),
        (lambda m, a: m["config"].update(conv="gat"), "conv"),
        (lambda m, a: m["config"].update(colour="red"), "colour"),
        (lambda m, a: m.pop("is_tile"), "is_tile"),
        (lambda m, a: m.update(version=7), "version"),
        (lambda m, a: m.update(format="gnnsched-gnn"), "not a forecast ranker"),
    ],
)
def test_a_network_that_is_not_one_is_refused(change, said, tmp_path):
    make("network")[0].save(tmp_path / "ranker.npz")
    repacked(tmp_path / "ranker.npz", change)
    with pytest.raises(FileFormatError, match=said):
        open_ranker(tmp_path / "ranker.npz")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m, a: a.pop("trees"), "trees"),
        (lambda m, a: a.update(trees=np.frombuffer(b"no trees", np.uint8)), "ranker"),
        (lambda m, a: a.update(layouts=np.zeros(3)), "layouts"),
    ],
)
def test_trees_that_are_none_are_refused(change, said, tmp_path):
    make("trees")[0].save(tmp_path / "ranker.npz")
    repacked(tmp_path / "ranker.npz", change)
    with pytest.raises(FileFormatError, match=said):
        open_ranker(tmp_path / "ranker.npz")


class Bomb:
    def __reduce__(self):
        return exec, ("import builtins; builtins.exploded = True",)


@pytest.mark.parametrize("wrap", [pickle.dumps, None])
def test_a_pickle_is_refused_unread(wrap, tmp_path):
    import builtins

    path = tmp_path / "ranker.npz"
    if wrap is None:
        np.savez(path, manifest=np.array([Bomb()], dtype=object))
    else:
        path.write_bytes(wrap(Bomb()))
    with pytest.raises(FileFormatError, match="forecast ranker"):
        open_ranker(path)
    assert not hasattr(builtins, "exploded")
