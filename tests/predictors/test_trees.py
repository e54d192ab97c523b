"""Boosted trees as arrays against LightGBM and a slow twin; files of predictors, whole and broken."""

import json
from importlib import resources

import numpy as np
import pytest

from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.common.store import digest
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import (
    DatasetSpec,
    Job,
    Level,
    TreePredictor,
    job_inputs,
    labelled,
    make_predictor,
    training_chunk,
)
from gnnsched_env.predictors.trees.forests import Forests
from gnnsched_env.predictors.trees.tree_predictor import closed_form_terms, shipped_predictor, tree_columns
from gnnsched_env.predictors.trees.tree_training import BOOSTING_OF, Boosting, train
from gnnsched_env.tables import distinct_pairs
from gnnsched_env.workload import synthetic_classes
from tests.twins import latency as naive_latency

pytest.importorskip("lightgbm")

PAIRS = distinct_pairs(load_fleet("flexible4")).pairs[:3]


BOOSTING = Boosting(trees=12, leaves=7, least=5)


@pytest.fixture(scope="module")
def dataset():
    return labelled(training_chunk(DatasetSpec(graphs=300, seed=3, most_vertices=500), 0), PAIRS)


@pytest.fixture(scope="module")
def predictor(dataset):
    return train(dataset, PAIRS, Level.DEGREES, {"seed": 3}, boosting=BOOSTING)


@pytest.mark.parametrize("level", BOOSTING_OF)
def test_trees_agree_with_lightgbm(level, dataset):
    trained = train(dataset, PAIRS, level, {}, boosting=BOOSTING)
    for p in range(len(PAIRS)):
        columns = tree_columns(dataset.inputs, level, p)
        residuals = np.log(dataset.cycles[:, p] / closed_form_terms(dataset.inputs, level)[:, p, 1])
        expected = BOOSTING.regressor().fit(columns, residuals).predict(columns)
        ours = [naive_latency.tree_sum(row, trained.forests, p) for row in columns[:40]]
        assert ours == pytest.approx(expected[:40], abs=1e-6)
    assert np.ptp(trained.forests.forest_ptr) > 0


@pytest.mark.kernels
def test_one_jobs_cycles_agree_with_columns_and_trees(predictor):
    classes = synthetic_classes(6, hidden=(16, 8))
    inputs = job_inputs(classes, PAIRS)
    one = predictor.for_pairs(PAIRS)
    for c, (degrees, model) in enumerate(zip(classes.degrees, classes.models, strict=True)):
        expected = np.zeros(3)
        for row in np.flatnonzero(inputs.owners == c):
            for p in range(3):
                columns = tree_columns(inputs, predictor.level, p)[row]
                correction = np.exp(naive_latency.tree_sum(columns, predictor.forests, p))
                expected[p] += inputs.degree_terms[row, p, 1] * correction
        assert np.abs(one(Job(degrees, model)) - expected).max() <= 0.5 + 1e-6


def test_a_file_gives_the_same_predictions_and_the_same_bytes(predictor, tmp_path):
    classes = synthetic_classes(8)
    predictor.save(tmp_path / "a.npz")
    again = TreePredictor.load(tmp_path / "a.npz")
    assert (again.predict(classes, PAIRS) == predictor.predict(classes, PAIRS)).all()
    assert (again.name, again.keys, again.provenance) == (predictor.name, predictor.keys, predictor.provenance)
    assert again.provenance["seed"] == 3
    assert again.out_of_domain(classes) == predictor.out_of_domain(classes)
    again.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_file_is_written_whole_or_not_at_all(predictor, tmp_path, monkeypatch):
    predictor.save(tmp_path / "a.npz")
    before = (tmp_path / "a.npz").read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="No space left"):
        predictor.save(tmp_path / "a.npz")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.npz", before)]


@pytest.mark.parametrize("name", ["gradient_boosting", "gradient_boosting_metadata"])
def test_a_shipped_file_saved_again_is_the_same(name, tmp_path):
    shipped_predictor(name).save(tmp_path / "again.npz")
    with np.load(resources.files("gnnsched_env.predictors") / "data" / f"{name}.npz") as file:
        stored = dict(file)
    with np.load(tmp_path / "again.npz") as file:
        assert file.files == list(stored)
        assert all(file[key].dtype == stored[key].dtype and (file[key] == stored[key]).all() for key in stored)


def test_a_file_is_a_predictor_by_name(predictor, tmp_path):
    predictor.save(tmp_path / "a.npz")
    made, classes = make_predictor(str(tmp_path / "a.npz")), synthetic_classes(8)
    assert isinstance(made, TreePredictor) and made.provenance["seed"] == 3
    assert (made.predict(classes, PAIRS) == predictor.predict(classes, PAIRS)).all()
    changed = rewritten(tmp_path / "a.npz", _set("format", "other"), sign=True)
    with pytest.raises(
        FileFormatError, match=r"changed\.npz: .* must be 'gnnsched-predictor' or 'gnnsched-gnn', got 'oth"
    ):
        make_predictor(str(changed))
    np.savez(tmp_path / "list.npz", manifest=np.array("[1, 2]"))
    with pytest.raises(FileFormatError, match=r"its manifest must be an object, got \[1, 2\]"):
        make_predictor(str(tmp_path / "list.npz"))
    changed = rewritten(tmp_path / "a.npz", _set("name", "renamed"), sign=False)
    with pytest.raises(FileFormatError, match="changed or damaged"):
        make_predictor(str(changed))


def rewritten(path, change, *, sign):
    """Write the file's arrays again after a change of (manifest, arrays); with a fitting hash if it is to be signed."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    manifest = json.loads(str(arrays.pop("manifest")))
    change(manifest, arrays)
    if sign:
        manifest.pop("sha256")
        manifest["sha256"] = digest(manifest, arrays)
    out = path.with_name("changed.npz")
    np.savez(out, manifest=np.array(json.dumps(manifest)), **arrays)
    return out


def _set(name, value):
    def change(manifest, arrays):
        manifest[name] = value

    return change


def _edit(name, edit):
    def change(manifest, arrays):
        arrays[name] = edit(arrays[name].copy())

    return change


def _first_to(value):
    def edit(array):
        array.reshape(-1)[0] = value
        return array

    return edit


@pytest.mark.parametrize(
    ("change", "sign", "message"),
    [
        (_set("format", "other"), True, "must be 'gnnsched-predictor'"),
        (_set("version", 99), True, "version must be 1, got 99"),
        (_set("name", "renamed"), False, "changed or damaged"),
        (_edit("values", lambda values: values * 2), False, "changed or damaged"),
        (_set("columns", ["log_entries", "log_vertices"]), True, "must be those of feature set terms, in order"),
        (_edit("low", lambda low: low[:3]), True, "array 'low' must be float64 of shape"),
        (_edit("roots", _first_to(10**6)), True, "trees must be valid"),
        (_edit("children", _first_to(0)), True, "trees must be valid"),
        (_edit("features", _first_to(10_000)), True, "trees must be valid"),
        (_edit("forest_ptr", lambda ptr: ptr[:-1]), True, "trees must be valid"),
        (_edit("features", _first_to(-2)), True, "trees must be valid"),
        (_edit("values", _first_to(np.nan)), True, "trees must be valid"),
        (_edit("thresholds", _first_to(np.nan)), True, "trees must be valid"),
        (_edit("low", _first_to(np.nan)), True, "array 'low' must be finite"),
        (_edit("mean_log_cycles", _first_to(np.inf)), True, "array 'mean_log_cycles' must be finite"),
        (_edit("mean_log_cycles", lambda means: means[:-1]), True, "array 'mean_log_cycles' must be float64 of shape"),
        (_set("feature_set", "S5"), True, "its feature set must be one of S2, terms, got 'S5'"),
        (_set("feature_set", ["terms"]), True, "field 'feature_set' must be a str"),
        (_set("pairs", 5), True, "field 'pairs' must be a list, got 5"),
        (lambda manifest, arrays: manifest.pop("provenance"), True, "field 'provenance' must be a dict, got None"),
        (lambda manifest, arrays: arrays.pop("values"), True, "array 'values' of kind 'f' is missing"),
    ],
)
def test_a_changed_file_is_refused(predictor, tmp_path, change, sign, message):
    predictor.save(tmp_path / "a.npz")
    with pytest.raises(FileFormatError, match=message):
        TreePredictor.load(rewritten(tmp_path / "a.npz", change, sign=sign))


def test_what_is_no_predictor_file_is_refused(predictor, tmp_path):
    predictor.save(tmp_path / "a.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:500])
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "plain.npy", np.zeros(3))
    for name in ("cut.npz", "other.npz", "text.npz", "plain.npy"):
        with pytest.raises(FileFormatError, match=name):
            TreePredictor.load(tmp_path / name)
    with pytest.raises(FileFormatError, match="No such file"):
        TreePredictor.load(tmp_path / "none.npz")


def test_pairs_without_a_correction_have_no_trees():
    class Exact:
        class booster_:
            @staticmethod
            def dump_model():
                return {"tree_info": [{"tree_structure": {"leaf_value": 0.0}}]}

    forests = Forests.from_lightgbm([Exact])
    assert forests.roots.size == 0 and forests.forest_ptr.tolist() == [0, 0]
