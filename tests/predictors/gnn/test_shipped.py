"""The predictor that comes with the package: its file, and its scores on graphs that it was not trained on."""

from importlib import resources

import numpy as np
import pytest

from gnnsched_env.predictors import DatasetSpec, mape, selection_accuracy, training_chunk
from gnnsched_env.predictors.gnn import TrainConfig, shipped_gnn
from gnnsched_env.predictors.gnn.gnn_predictor import SHIPPED
from gnnsched_env.tables import pair_cycles
from gnnsched_env.workload import classes_from_files
from tests.predictors.gnn.jobs import PAIRS


def test_the_file_is_small_and_says_how_it_was_made():
    file = resources.files("gnnsched_env.predictors") / "data" / SHIPPED
    assert len(file.read_bytes()) < 1_000_000
    training = shipped_gnn().provenance["training"]
    assert training["seed"] == TrainConfig().seed and training["graphs"] == TrainConfig().graphs
    assert shipped_gnn().provenance["validation"][-1]["mape"] < 1.0


def test_the_file_saved_again_is_the_same(tmp_path):
    shipped_gnn().save(tmp_path / "again.npz")
    with np.load(resources.files("gnnsched_env.predictors") / "data" / SHIPPED) as file:
        stored = dict(file)
    with np.load(tmp_path / "again.npz") as file:
        assert file.files == list(stored)
        assert all(file[key].dtype == stored[key].dtype and (file[key] == stored[key]).all() for key in stored)


@pytest.mark.slow
def test_held_out_families_are_predicted_within_a_percent():
    classes = training_chunk(DatasetSpec(graphs=500, seed=77, most_vertices=500), 0)
    held = TrainConfig().held_out
    members = [c for c in range(len(classes)) if classes.group_names[classes.groups[c]] in held]
    classes = classes.subset(members)
    true, predicted = pair_cycles(classes, PAIRS), shipped_gnn().predict(classes, PAIRS)
    assert len(members) > 20
    assert mape(true, predicted) < 1.0 and selection_accuracy(true, predicted) > 95.0


@pytest.mark.parametrize("name", ["MUTAG", "PROTEINS", "ENZYMES", "IMDB-BINARY", "Cora", "Citeseer"])
def test_real_sets_are_predicted_within_a_percent(shared, name):
    classes = classes_from_files([shared / "graphs" / f"{name}.npz"], classes_per_file=40)
    true, predicted = pair_cycles(classes, PAIRS), shipped_gnn().predict(classes, PAIRS)
    assert mape(true, predicted) < 1.0
    assert np.median(np.abs(predicted / true - 1)) < 0.005
