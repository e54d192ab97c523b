"""Validation holds whole families out; curves and times are what they say."""

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import (
    DatasetSpec,
    Level,
    labelled,
    make_predictor,
    mape,
    score_predictions,
    training_chunk,
)
from gnnsched_env.predictors.prediction_times import median_us, prediction_times
from gnnsched_env.predictors.trees.tree_training import Boosting
from gnnsched_env.tables import distinct_pairs
from gnnsched_env.workload import synthetic_classes
from scripts.studies.validate_predictors import (
    REGRESSORS,
    SETS,
    Candidate,
    closed_form_scores,
    family_folds,
    learning_curve,
    validate,
)

pytest.importorskip("lightgbm")

PAIRS = distinct_pairs(load_fleet("flexible4")).pairs[:2]
SMALL = Boosting(trees=10, leaves=6, least=5)


@pytest.fixture(scope="module")
def dataset():
    return labelled(training_chunk(DatasetSpec(graphs=300, seed=5, most_vertices=500), 0), PAIRS, Level.STRUCTURE)


def test_every_family_is_held_out_once_and_never_trained_on(dataset):
    held = []
    for train, test in family_folds(dataset, 3):
        assert not set(dataset.families[train]) & set(dataset.families[test])
        assert sorted([*train, *test]) == list(range(len(dataset.cycles)))
        held += list(test)
    assert sorted(held) == list(range(len(dataset.cycles)))
    with pytest.raises(ConfigError, match=r"folds must lie in 2\.\."):
        next(family_folds(dataset, 1))


def test_validation_scores_only_what_was_held_out(dataset, monkeypatch):
    seen = []
    fitted = Candidate.fitted
    monkeypatch.setattr(
        Candidate, "fitted", lambda self, part, pairs: (seen.append(part), fitted(self, part, pairs))[1]
    )
    record = validate(Candidate(features="terms", boosting=SMALL), dataset, PAIRS, folds=2)
    assert record["samples"] == len(dataset.cycles) == sum(len(part.cycles) for part in seen)
    assert not set(seen[0].families) & set(seen[1].families)
    assert record["accuracy"] > 95.0 and record["boosting"]["trees"] == 10
    assert validate(Candidate(regressor="ridge", features="S2"), dataset, PAIRS, folds=2)["boosting"] is None


def test_the_closed_form_is_scored_as_it_is(dataset):
    for level, terms in ((Level.DEGREES, dataset.inputs.degree_terms), (Level.METADATA, dataset.inputs.metadata_terms)):
        expected = score_predictions(dataset.cycles, np.rint(terms[:, :, 1]))
        assert closed_form_scores(dataset, level)["mape"] == pytest.approx(expected.mape)


def test_a_learning_curve_has_a_point_a_size(dataset):
    curve = learning_curve(Candidate(features="S4", boosting=SMALL), dataset, PAIRS, [20, 140], folds=2)
    assert [record["graphs"] for record in curve] == [20, 140]
    assert curve[1]["mape"] < curve[0]["mape"]


@pytest.mark.parametrize(("regressor", "joint"), [*((name, False) for name in REGRESSORS), ("lightgbm", True)])
def test_every_regressor_learns_and_repeats(regressor, joint, dataset):
    candidate = Candidate(regressor=regressor, features="S5", joint=joint, boosting=SMALL)
    seen, unseen = dataset.take(np.arange(240)), dataset.take(np.arange(240, 300))
    first, again = (candidate.fitted(seen, PAIRS).predict(unseen.inputs) for _ in range(2))
    assert mape(unseen.cycles, first) < 1.0
    assert (first == again).all()


@pytest.mark.parametrize("features", SETS)
def test_every_feature_set_and_target_fits_the_training_set(features, dataset):
    spread = np.abs(np.log(dataset.cycles) - np.log(dataset.cycles).mean(axis=0)).mean()
    for target in ("log",) if features == "S1" else ("log", "residual"):
        predicted = Candidate(features=features, target=target, boosting=SMALL).fitted(dataset, PAIRS)
        assert np.abs(np.log(predicted.predict(dataset.inputs) / dataset.cycles)).mean() < spread / 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regressor": "lightgb"}, "did you mean 'lightgbm'"),
        ({"features": "S7"}, "feature set must be one of S1, S2, S3, S4, S5, S6, terms, got 'S7'"),
        ({"target": "cycles"}, "target must be one of log, residual"),
        ({"features": "S1"}, "its target must be 'log'"),
    ],
)
def test_bad_candidates_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Candidate(**options)


def test_the_median_leaves_the_first_call_out():
    calls = []
    assert median_us(calls.append, 3) >= 0.0
    assert calls == [0, 1, 2, 3]


def test_new_models_are_new_at_every_call():
    classes, predictor = synthetic_classes(4), make_predictor("exact")
    times = [prediction_times(predictor, classes, PAIRS, repeats=20) for _ in range(2)]
    for own in times:
        assert own.new_model > 2 * own.one > 0.0 and own.many > 0.0
