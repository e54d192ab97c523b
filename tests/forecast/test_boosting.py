"""Boosted trees without the graph: what they learn, of one program and of several."""

import dataclasses

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.encoding.portions import Portion, whole
from gnnsched_env.forecast.models.boosting import BoostingRanker, BoostingSettings, categories
from gnnsched_env.forecast.scoring.rank_scores import kendall_tau
from tests.forecast.little_samples import LAYOUTS, layout_sample, tile_sample

CONFIG = BoostingSettings(trees=150, leaves=7, least=3, columns=1.0)


def test_one_program_is_learned_operation_by_operation():
    sample = layout_sample(configurable=5, configs=240, copies=0.0)
    ranker = BoostingRanker.fit(CONFIG, [Portion(sample=sample, rows=np.arange(180))])
    rest = np.arange(180, 240)
    assert kendall_tau(ranker.predict(sample, rest), sample.targets[rest]) > 0.8


def test_a_new_program_is_ranked_by_what_configurations_have_in_common():
    samples = [layout_sample(seed=seed, configs=81, copies=0.0) for seed in range(6)]
    for sample in samples:  # layout 1 is slow, wherever it is
        sample.targets[:] = (sample.raw == LAYOUTS[1]).all(axis=2).sum(axis=1) + 1.0
    ranker = BoostingRanker.fit(CONFIG, [whole(sample) for sample in samples[:5]])
    assert ranker.layouts is None
    other = layout_sample(seed=7, configurable=3, configs=27)
    true = (other.raw == LAYOUTS[1]).all(axis=2).sum(axis=1) + 1
    assert kendall_tau(ranker.predict(other), true) > 0.9


def test_tiles_are_learned():
    ranker = BoostingRanker.fit(CONFIG, [whole(tile_sample(configs=100))])
    new = tile_sample(configs=60, seed=5)
    assert kendall_tau(ranker.predict(new), new.targets) > 0.7


def test_equal_seeds_give_equal_trees():
    sample = layout_sample()
    thin = dataclasses.replace(CONFIG, trees=10, columns=0.5)
    texts = [BoostingRanker.fit(dataclasses.replace(thin, seed=seed), [whole(sample)]).trees for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_a_layout_unknown_in_training_is_no_error():
    sample = layout_sample()
    known = np.flatnonzero((sample.raw[:, 0] != LAYOUTS[2]).any(axis=1))
    ranker = BoostingRanker.fit(CONFIG, [Portion(sample=sample, rows=known)])
    assert np.isfinite(ranker.predict(sample)).all()
    columns = categories(sample, np.arange(60), ranker.layouts)
    assert np.isnan(columns[:, 0]).sum() == 60 - len(known)
    for places, column in zip(ranker.layouts, columns.T, strict=True):
        told = np.flatnonzero(np.isfinite(column))
        node = (columns == column[:, None]).all(axis=0).argmax()
        np.testing.assert_array_equal(places[column[told].astype(int)], sample.raw[told, node])


def test_the_graph_is_of_no_account():
    sample = layout_sample()
    bare = dataclasses.replace(sample, edge_index=np.zeros((2, 0), np.int64), nodes=np.zeros_like(sample.nodes))
    for samples in ([sample], [sample, layout_sample(seed=1)]):
        ranker = BoostingRanker.fit(dataclasses.replace(CONFIG, trees=5), [whole(sample) for sample in samples])
        np.testing.assert_array_equal(ranker.predict(bare), ranker.predict(sample))


def test_a_ranker_of_one_program_refuses_another_shape():
    ranker = BoostingRanker.fit(dataclasses.replace(CONFIG, trees=2), [whole(layout_sample())])
    with pytest.raises(ConfigError, match="knows one program"):
        ranker.predict(layout_sample(configurable=3, configs=27))


def test_what_cannot_be_learned_from_is_refused():
    blank = dataclasses.replace(layout_sample(), targets=np.zeros(60))
    for samples in ([], [blank], [layout_sample(), tile_sample()]):
        with pytest.raises(ConfigError, match="samples must be"):
            BoostingRanker.fit(CONFIG, [whole(sample) for sample in samples])
    pair = [whole(blank), whole(layout_sample())]
    assert BoostingRanker.fit(dataclasses.replace(CONFIG, trees=2), pair).layouts is not None


@pytest.mark.parametrize(
    "wrong", [{"trees": 0}, {"leaves": 1}, {"rate": 0.0}, {"columns": 1.1}, {"most": 1}, {"seed": -1}]
)
def test_wrong_settings_are_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        BoostingSettings(**wrong)
