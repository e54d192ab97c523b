"""The contract of every predictor, and what each promises beyond it."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import load_accelerator, load_dataflow, load_fleet, make_model
from gnnsched_env.predictors import (
    PREDICTORS,
    DatasetSpec,
    Job,
    Level,
    TrainingSet,
    labelled,
    make_predictor,
    score_predictions,
    training_chunk,
)
from gnnsched_env.predictors.training_range import Domain
from gnnsched_env.predictors.trees.tree_training import Boosting, train
from gnnsched_env.tables import distinct_pairs, pair_cycles
from gnnsched_env.workload import synthetic_classes
from tests.extras import needs
from tests.predictors.jobs import classes_of

NAMES = [name if name != "gnn" else pytest.param(name, marks=needs("torch", "torch_geometric")) for name in PREDICTORS]
PAIRS = distinct_pairs(load_fleet("flexible4")).pairs


@pytest.fixture(scope="module")
def dataset():
    spec = DatasetSpec(graphs=400, seed=3, most_vertices=1_000)
    return labelled(training_chunk(spec, 0), PAIRS[:3], Level.STRUCTURE)


@pytest.mark.parametrize("name", NAMES)
def test_a_predictor_gives_whole_cycles_class_by_class(name):
    predictor, classes = make_predictor(name, PAIRS), synthetic_classes(24, hidden=(16, 8))
    predicted = predictor.predict(classes, PAIRS)
    assert predictor.name == name and isinstance(predictor.level, Level)
    assert predicted.shape == (24, 9) and predicted.dtype == np.int64 and predicted.min() >= 1
    some = [5, 2, 17]
    assert (predictor.predict(classes.subset(some), PAIRS) == predicted[some]).all()
    assert (predictor.predict(classes, PAIRS[::-1]) == predicted[:, ::-1]).all()
    assert len(predictor.out_of_domain(classes)) == 24


@pytest.mark.parametrize("name", NAMES)
def test_one_job_at_a_time_is_predicted_the_same(name):
    predictor, classes = make_predictor(name, PAIRS), synthetic_classes(16)
    if not hasattr(predictor, "for_pairs"):
        pytest.skip("it predicts classes only")
    one = predictor.for_pairs(PAIRS)
    rows = [one(Job(degrees, model)) for degrees, model in zip(classes.degrees, classes.models, strict=True)]
    assert (np.array(rows) == predictor.predict(classes, PAIRS)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_predictor_knows_no_more_than_its_level(name):
    predictor = make_predictor(name, PAIRS)
    if predictor.level.rank > Level.DEGREES.rank:
        pytest.skip("it reads the graph")
    flat, skewed = predictor.predict(classes_of([4] * 64, [1] * 63 + [193]), PAIRS)
    assert (flat.tolist() == skewed.tolist()) == (predictor.level is Level.METADATA)


def test_the_shipped_default_is_nearly_right_on_unseen_jobs():
    classes = training_chunk(DatasetSpec(graphs=100, seed=999), 0)
    true = pair_cycles(classes, PAIRS)
    scores = score_predictions(true, make_predictor("gradient_boosting").predict(classes, PAIRS))
    assert scores.accuracy >= 97.0 and scores.mean_regret <= 1.001 and scores.mape <= 1.0
    metadata = score_predictions(true, make_predictor("gradient_boosting_metadata").predict(classes, PAIRS))
    assert scores.mape < metadata.mape < 25.0


def test_what_lies_outside_the_training_range_is_named_and_still_predicted():
    predictor = make_predictor("gradient_boosting")
    wide = classes_of([1, 2, 2, 1], model=make_model("gcn", 200_000, 3))
    (names,) = predictor.out_of_domain(wide)
    assert "log_in_features" in names and predictor.predict(wide, PAIRS).min() >= 1
    assert predictor.out_of_domain(synthetic_classes(8)) == ((),) * 8


@needs("lightgbm")
def test_bad_trainings_are_refused(dataset):
    with pytest.raises(ConfigError, match="it has 3, got 9"):
        train(dataset, PAIRS, Level.DEGREES, {})
    with pytest.raises(ConfigError, match="in order; it has 3, got 3"):
        train(dataset, PAIRS[2::-1], Level.DEGREES, {})
    fitted = train(dataset, PAIRS[:3], Level.DEGREES, {}, boosting=Boosting(trees=2, leaves=4))
    with pytest.raises(ConfigError, match="is not one of them"):
        fitted.predict(synthetic_classes(4), PAIRS[3:5])
    with pytest.raises(ConfigError, match="leaves must be an integer of at least 2, got 1"):
        Boosting(leaves=1)
    with pytest.raises(ConfigError, match=r"trees must be an integer of at least 1, got 1\.5"):
        Boosting(trees=1.5)
    with pytest.raises(ConfigError, match="rate must be"):
        Boosting(rate=-1)
    with pytest.raises(ConfigError, match="cycles must be integers of at least 1"):
        replace(dataset, cycles=dataset.cycles * 0)
    with pytest.raises(ConfigError, match="at least one row"):
        dataset.take(np.zeros(0, np.int64))


def test_small_graphs_and_narrow_models_lie_outside_too():
    big = labelled(classes_of([9] * 50, [7] * 40), PAIRS[:1])
    domain = Domain.of(big.inputs, Level.DEGREES)
    (names,) = domain.outside(classes_of([1, 1]))
    assert {"log_vertices", "log_entries", "log_max_degree"} <= set(names)


def test_predictors_by_name():
    with pytest.raises(ConfigError, match="did you mean 'exact'"):
        make_predictor("exat")
    with pytest.raises(FileFormatError, match=r"none\.npz: no such file"):
        make_predictor("none.npz")
    narrow = replace(load_accelerator("omega512"), name="narrow", distribution_bandwidth=64)
    with pytest.raises(ConfigError, match=r"trained for 27 .* pairs, and 'narrow' \(512 PEs\) under 'PP1'"):
        make_predictor("gradient_boosting").predict(synthetic_classes(4), [(narrow, load_dataflow("PP1"))])


def test_training_needs_pairs_and_the_shipped_predictors_do_not():
    jobs = TrainingSet(None)
    assert make_predictor("gradient_boosting", jobs=jobs) is make_predictor("gradient_boosting")
    other = TrainingSet(None, DatasetSpec(graphs=60, most_vertices=100))
    with pytest.raises(ConfigError, match=r"training needs the \(accelerator, dataflow\) pairs, got none"):
        make_predictor("gradient_boosting", jobs=other)


def test_a_directed_graph_has_structure_features():
    graph = Graph.from_edges(3, [0, 1], [1, 2], undirected=False)
    classes = classes_of([1, 1, 0], model=make_model("sage", 5, 3), graphs=(graph,))
    assert np.isfinite(labelled(classes, PAIRS[:1], Level.STRUCTURE).inputs.features).all()
