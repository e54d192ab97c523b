"""Training sets and regressors: reproducible, of the right shape, and good enough for the pipeline."""

import numpy as np
import pytest

from gnnsched_env.errors import ConfigError
from gnnsched_env.hardware import GnnModel, Layer, load_accelerator, make_model
from gnnsched_env.latency import (
    GradientBoostingRegressor,
    TrainingSpec,
    job_inputs,
    score_predictions,
    training_classes,
    training_dataset,
)
from gnnsched_env.latency.training_graphs import WIDTHS_IN, WIDTHS_OUT, reshaped
from gnnsched_env.tables import pair_cycles, synthetic_classes

SMALL = TrainingSpec(classes=400, sets=40, seed=1)
GCN = make_model("gcn", 7, 2)


@pytest.fixture(scope="module")
def pairs():
    accelerator = load_accelerator("omega512")
    return [(accelerator, dataflow) for dataflow in accelerator.dataflows[:3]]


@pytest.fixture(scope="module")
def dataset(pairs):
    return training_dataset(GCN, pairs, SMALL)


def test_training_classes_keep_the_documented_ranges():
    classes = training_classes(GCN, SMALL)
    sizes = np.array([degrees.size for degrees in classes.degrees])
    assert len(classes) == 400
    assert sizes.min() <= 20 and 5_000 <= sizes.max() < 200_000
    assert all(WIDTHS_IN[0] <= model.in_features <= WIDTHS_IN[1] for model in classes.models)
    assert all(WIDTHS_OUT[0] <= model.out_features <= WIDTHS_OUT[1] for model in classes.models)
    assert {model.layers[0].out_features for model in classes.models} == {16}


def test_training_classes_follow_the_seed():
    first, again = (training_classes(GCN, TrainingSpec(classes=12, sets=6, seed=2)).digest() for _ in range(2))
    other = training_classes(GCN, TrainingSpec(classes=12, sets=6, seed=3)).digest()
    assert first == again != other


def test_a_reshaped_model_keeps_its_kind():
    assert reshaped(make_model("sage", 7, 2, (64,)), 9, 4) == make_model("sage", 9, 4, (64,))
    odd = Layer(in_features=4, combination_features=6, out_features=2, self_loops=True)
    with pytest.raises(ConfigError, match="multiple of in_features"):
        reshaped(GnnModel(name="odd", layers=(odd,)), 8, 2)


def test_a_small_training_set_already_predicts_well(pairs, dataset):
    classes = synthetic_classes(64)
    predicted = GradientBoostingRegressor().fit(dataset).predict(job_inputs(classes, pairs))
    assert predicted.dtype == np.int64 and predicted.min() >= 1
    scores = score_predictions(pair_cycles(classes, pairs), predicted)
    assert scores.mape < 6.0
    assert scores.mean_regret < 1.02


def test_training_is_deterministic(pairs, dataset):
    inputs = job_inputs(synthetic_classes(16), pairs)
    first, second = (GradientBoostingRegressor().fit(dataset).predict(inputs) for _ in range(2))
    assert (first == second).all()


def test_a_regressor_refuses_other_pairs(pairs, dataset):
    with pytest.raises(ConfigError, match="trained for 0 pairs, asked for 3"):
        GradientBoostingRegressor().predict(dataset.inputs)


def test_a_training_set_needs_a_class_for_each_made_up_set():
    with pytest.raises(ConfigError, match=r"sets must lie in 1\.\.classes"):
        TrainingSpec(classes=3, sets=4)
