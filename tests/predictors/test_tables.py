"""Tables from end to end: built, cached, shipped."""

import subprocess
import sys
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from gnnsched_env.common import disk_cache as cache
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import (
    DatasetSpec,
    build_table,
    default_table,
    latency_tables,
    make_predictor,
    score_predictions,
)
from gnnsched_env.predictors.datasets import training_set
from gnnsched_env.predictors.trees import tree_training
from gnnsched_env.predictors.trees.tree_predictor import shipped_predictor
from gnnsched_env.tables import true_cycles
from gnnsched_env.workload import classes_from_files, synthetic_classes
from tests.extras import needs

TINY = DatasetSpec(graphs=60, seed=1, most_vertices=500)
SHIPPED_FLEETS = ("big_little", "flexible4", "hetero4")  # whose pairs the shipped files have


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    return tmp_path


def forbid(monkeypatch, module, *names):
    def refuse(*arguments, **options):
        raise AssertionError("built again")

    for name in names:
        monkeypatch.setattr(module, name, refuse)


@needs("lightgbm")
@pytest.mark.slow
def test_a_built_table_holds_truth_and_predictions():
    classes, fleet = synthetic_classes(12), load_fleet("hetero4")
    table = build_table(classes, fleet, training=TINY, cache=False)
    assert (table.true_cycles == true_cycles(classes, fleet)).all()
    assert score_predictions(table.true_cycles, table.predicted_cycles).mape < 40.0
    assert table.choice_names == tuple(choice.name for choice in fleet.choices)
    assert table.class_names == classes.names
    assert table.provenance["fleet"] == fleet.digest()


@pytest.mark.slow
def test_exact_predictions_are_the_truth():
    table = build_table(synthetic_classes(8), load_fleet("hetero4"), predictor="exact", training=TINY)
    assert (table.predicted_cycles == table.true_cycles).all()


@needs("lightgbm")
@pytest.mark.slow
def test_the_cache_serves_equal_hardware_under_any_name(monkeypatch, folder):
    classes = synthetic_classes(8)
    first = build_table(classes, load_fleet("hetero4"), training=TINY)
    kept = sorted(folder.iterdir())
    forbid(monkeypatch, latency_tables, "pair_cycles")
    forbid(monkeypatch, training_set, "training_chunk")
    forbid(monkeypatch, tree_training, "train")
    again = build_table(classes, load_fleet("hetero4"), training=TINY)
    assert (first.predicted_cycles == again.predicted_cycles).all()
    flexible = build_table(classes, load_fleet("flexible4"), training=TINY)
    assert sorted(folder.iterdir()) == kept
    position = flexible.choice_names.index("flex2/PP3")
    assert (flexible.predicted_cycles[:, position] == first.predicted_cycles[:, -2]).all()


@needs("lightgbm")
@pytest.mark.slow
def test_other_classes_reuse_the_training_set(monkeypatch):
    fleet, others = load_fleet("hetero4"), synthetic_classes(8, seed=5)
    first = build_table(synthetic_classes(8), fleet, training=TINY)
    forbid(monkeypatch, training_set, "training_chunk")
    forbid(monkeypatch, tree_training, "train")
    second = build_table(others, fleet, training=TINY)
    assert (second.true_cycles == true_cycles(others, fleet)).all()
    assert (second.predicted_cycles != first.predicted_cycles).any()


@needs("lightgbm")
@pytest.mark.slow
def test_another_training_set_or_fleet_misses_the_cache():
    classes = synthetic_classes(8)
    first = build_table(classes, load_fleet("hetero4"), training=TINY)
    other = build_table(classes, load_fleet("hetero4"), training=replace(TINY, seed=2))
    assert (first.predicted_cycles != other.predicted_cycles).any()
    assert (first.mean_log_cycles != other.mean_log_cycles).any()
    little = build_table(classes, load_fleet("big_little"), training=TINY)
    assert little.mean_log_cycles.shape == (27,) and set(little.mean_log_cycles) > set(first.mean_log_cycles)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED_FLEETS)
def test_means_belong_to_the_choices(name):
    fleet, shipped = load_fleet(name), shipped_predictor("gradient_boosting")
    places = shipped.places([(choice.accelerator, choice.dataflow) for choice in fleet.choices])
    for table in (default_table(name), build_table(synthetic_classes(4), fleet)):
        assert table.mean_log_cycles.tolist() == shipped.mean_log_cycles[places].tolist()


@pytest.mark.slow
def test_the_shipped_table_holds_what_the_shipped_predictor_says():
    classes, fleet = synthetic_classes(), load_fleet("big_little")
    pairs = [(choice.accelerator, choice.dataflow) for choice in fleet.choices]
    predicted = shipped_predictor("gradient_boosting").predict(classes, pairs)
    assert (default_table("big_little").predicted_cycles == predicted).all()
    made = default_table("big_little").provenance["made"]
    assert made["training"]["graphs"] == made["samples"] == 100_000


def test_the_shipped_predictor_serves_preset_pairs_without_training(monkeypatch):
    forbid(monkeypatch, training_set, "training_chunk")
    forbid(monkeypatch, tree_training, "train")
    classes, fleet = synthetic_classes(4, model_kind="sage", hidden=(64,)), load_fleet("hetero4")
    table = build_table(classes, fleet)
    assert score_predictions(table.true_cycles, table.predicted_cycles).mape < 1.0
    pairs = [(choice.accelerator, choice.dataflow) for choice in fleet.choices]
    assert (table.predicted_cycles == make_predictor("gradient_boosting").predict(classes, pairs)).all()


@pytest.mark.parametrize("predictor", ["closed_form", "closed_form_metadata", "gradient_boosting_metadata"])
def test_a_table_takes_any_predictor(predictor):
    classes, fleet = synthetic_classes(4), load_fleet("flexible4")
    table = build_table(classes, fleet, predictor=predictor)
    assert table.provenance["predictor"] == predictor
    default = build_table(classes, fleet)
    assert (table.predicted_cycles != default.predicted_cycles).any()
    assert (table.mean_log_cycles == default.mean_log_cycles).all()


def test_an_unknown_predictor_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'exact'"):
        build_table(synthetic_classes(4), load_fleet("hetero4"), predictor="exat")


@pytest.mark.parametrize("name", SHIPPED_FLEETS)
def test_the_shipped_table_serves_every_preset_fleet(name):
    fleet, table = load_fleet(name), default_table(name)
    assert table.choice_names == tuple(choice.name for choice in fleet.choices)
    assert table.num_classes == 256
    scores = score_predictions(table.true_cycles, table.predicted_cycles)
    assert scores.accuracy >= 97.0 and scores.mape < 1.0 and scores.mean_regret < 1.001


@pytest.mark.slow
def test_the_shipped_truth_is_what_the_cost_model_says():
    classes, fleet = synthetic_classes(), load_fleet("big_little")
    table = default_table("big_little")
    assert table.class_names == classes.names
    assert table.weights == pytest.approx(classes.weights)
    assert table.provenance["classes"] == classes.digest()
    sample = np.arange(0, 256, 11)
    assert (table.true_cycles[sample] == true_cycles(classes.subset(sample), fleet)).all()


def test_the_shipped_table_is_small():
    path = resources.files("gnnsched_env.predictors") / "data" / latency_tables.SHIPPED_FILE
    assert len(path.read_bytes()) < 100_000


def test_an_unknown_fleet_has_no_shipped_table():
    with pytest.raises(ConfigError, match="did you mean 'hetero4'"):
        default_table("hetero")


@pytest.mark.slow
def test_the_shipped_table_imports_no_learning_library():
    code = (
        "import sys; from gnnsched_env.predictors import default_table; default_table('hetero4'); "
        "print([name for name in ('sklearn', 'torch', 'lightgbm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_cora_is_one_class_with_the_documented_widths(shared):
    classes = classes_from_files([shared / "graphs" / "Cora.npz"])
    assert [(model.in_features, model.out_features) for model in classes.models] == [(1433, 7)]
    table = build_table(classes, load_fleet("hetero4"), predictor="exact", training=TINY)
    assert table.true_cycles.min() > 100_000
