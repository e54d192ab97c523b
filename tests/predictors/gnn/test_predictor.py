"""The predictor behind its protocol, and its file."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common.disk_cache import CACHE_VARIABLE
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import TreePredictor, build_table, make_predictor
from gnnsched_env.predictors.gnn import gnn_predictor as predictors
from gnnsched_env.predictors.gnn.gnn_predictor import GnnPredictor
from gnnsched_env.predictors.levels import Level
from tests.predictors.gnn.jobs import PAIRS, job_classes, random_graph, small_predictor

CLASSES = job_classes([random_graph(k, 9 + 8 * k) for k in range(6)], kinds=("gcn", "sage"), widths=((7, 2), (90, 5)))


def rewritten(path, change):
    """Write the file again with its arrays changed."""
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)


@pytest.fixture
def saved(tmp_path):
    small_predictor().save(tmp_path / "gnn.npz")
    return tmp_path / "gnn.npz"


def test_predictions_are_whole_cycles_for_every_pair():
    predictor = small_predictor()
    cycles = predictor.predict(CLASSES, PAIRS)
    assert cycles.shape == (6, len(PAIRS)) and cycles.dtype == np.int64 and (cycles >= 1).all()
    assert predictor.name == "gnn" and predictor.level is Level.GRAPH


def test_classes_and_pairs_may_come_in_any_company(monkeypatch):
    predictor = small_predictor()
    together = predictor.predict(CLASSES, PAIRS)
    alone = np.concatenate([predictor.predict(CLASSES.subset([c]), PAIRS) for c in range(6)])
    order = [4, 0, 5, 2, 1, 3]
    assert (together == alone).all()
    assert (predictor.predict(CLASSES.subset(order), PAIRS[::-1]) == together[order][:, ::-1]).all()
    monkeypatch.setattr(predictors, "ROWS_AT_ONCE", 30)
    assert (predictor.predict(CLASSES, PAIRS) == together).all()


def test_a_model_takes_as_long_as_its_layers():
    deep = job_classes(list(CLASSES.graphs), widths=((20, 4),), hidden=(16,))
    parts = [job_classes(list(CLASSES.graphs), widths=(pair,), hidden=()) for pair in ((20, 16), (16, 4))]
    predict = small_predictor().predict
    assert np.abs(predict(deep, PAIRS) - sum(predict(part, PAIRS) for part in parts)).max() <= 1


def test_models_of_different_depths_may_be_mixed():
    deep, flat = (job_classes(list(CLASSES.graphs), hidden=hidden) for hidden in ((16, 16), ()))
    mixed = replace(deep, models=(*deep.models[:3], *flat.models[3:]))
    predict = small_predictor().predict
    expected = np.concatenate((predict(deep, PAIRS)[:3], predict(flat, PAIRS)[3:]))
    assert (predict(mixed, PAIRS) == expected).all()


def test_it_reads_the_graph_and_not_the_degrees_given():
    other = replace(CLASSES, degrees=tuple(degrees + 5 for degrees in CLASSES.degrees))
    assert (small_predictor().predict(other, PAIRS) == small_predictor().predict(CLASSES, PAIRS)).all()


def test_classes_without_graphs_are_refused():
    with pytest.raises(ConfigError, match="must have graphs"):
        small_predictor().predict(replace(CLASSES, graphs=None), PAIRS)


def test_graphs_of_other_classes_are_refused():
    with pytest.raises(ConfigError, match="graphs must match the degrees"):
        small_predictor().predict(replace(CLASSES, graphs=CLASSES.graphs[::-1]), PAIRS)


def test_what_lies_outside_training_is_named_and_still_predicted():
    predictor = small_predictor()
    classes = job_classes([random_graph(0, 12), random_graph(1, 400)], widths=((16, 16), (16, 9_000)))
    assert predictor.out_of_domain(classes) == ((), ("vertices", "entries", "out_features"))
    assert predictor.predict(classes, PAIRS).shape == (2, len(PAIRS))


def test_a_saved_predictor_predicts_the_same(saved, tmp_path):
    loaded = GnnPredictor.load(saved)
    assert (loaded.predict(CLASSES, PAIRS) == small_predictor().predict(CLASSES, PAIRS)).all()
    assert loaded.out_of_domain(CLASSES) == small_predictor().out_of_domain(CLASSES)
    assert loaded.config == small_predictor().config and loaded.provenance["samples"] > 0
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == saved.read_bytes()


def test_a_file_is_a_predictor_by_name(saved):
    made = make_predictor(str(saved))
    assert isinstance(made, GnnPredictor)
    assert (made.predict(CLASSES, PAIRS) == small_predictor().predict(CLASSES, PAIRS)).all()
    with pytest.raises(FileFormatError, match="must be 'gnnsched-predictor'"):
        TreePredictor.load(saved)


@pytest.mark.slow
def test_kept_predictions_are_those_of_the_file_that_is_there_now(saved, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    fleet, predictor = load_fleet("hetero4"), small_predictor()
    first = build_table(CLASSES, fleet, predictor=str(saved))
    slower = dict(predictor.weights) | {"shift": predictor.weights["shift"] + 1}
    GnnPredictor.of(predictor.config, slower, domain=predictor.domain, provenance={}).save(saved)
    second = build_table(CLASSES, fleet, predictor=str(saved))
    fresh = build_table(CLASSES, fleet, predictor=str(saved), cache=False)
    assert (second.predicted_cycles == fresh.predicted_cycles).all()
    assert (second.predicted_cycles != first.predicted_cycles).any()


def change_manifest(**changes):
    def change(arrays):
        manifest = json.loads(str(arrays["manifest"])) | changes
        arrays["manifest"] = np.array(json.dumps(manifest))

    return change


def change_weight(arrays):
    arrays["stack.convs.0.lin_l.weight"] = arrays["stack.convs.0.lin_l.weight"] + 1e-6


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (change_weight, "SHA-256"),
        (change_manifest(version=2), "version must be 1, got 2"),
        (change_manifest(format="other"), "not a GNN predictor"),
        (change_manifest(domain={}), "SHA-256"),
        (lambda arrays: arrays.pop("manifest"), "no manifest"),
        (lambda arrays: arrays.pop("shift"), "SHA-256"),
        (lambda arrays: arrays.update(manifest=np.array({"a": 1}, dtype=object)), "manifest' is pickled"),
    ],
)
def test_a_changed_file_is_refused(saved, change, says):
    rewritten(saved, change)
    with pytest.raises(FileFormatError, match=says):
        GnnPredictor.load(saved)


def test_a_file_for_other_layer_features_is_refused(saved, monkeypatch):
    monkeypatch.setitem(predictors.ENCODING, "geometry", ("t_n", *predictors.GEOMETRY[1:]))
    with pytest.raises(FileFormatError, match="its geometry must be, in this order, t_n"):
        GnnPredictor.load(saved)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileFormatError, match=r"gnn\.npz"):
        GnnPredictor.load(saved)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="No such file"):
        GnnPredictor.load(tmp_path / "none.npz")


def test_weights_of_another_shape_are_refused():
    predictor = small_predictor()
    with pytest.raises(FileFormatError, match="weight 'shift' must have shape"):
        GnnPredictor.of(
            predictor.config, {**predictor.weights, "shift": np.zeros(3)}, domain=predictor.domain, provenance={}
        )


@pytest.mark.slow
def test_without_torch_the_extra_is_named():
    code = """
import sys
sys.modules["torch"] = None
from gnnsched_env.common.errors import ConfigError
import gnnsched_env.predictors
try:
    import gnnsched_env.predictors.gnn
except ConfigError as error:
    print(error)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "extra `gnn`" in out and "torch" in out
