"""Boosted trees as arrays against LightGBM and a slow twin; files of predictors, whole and broken."""

import json
from importlib import resources

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.store import digest
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import (
    DatasetSpec,
    Job,
    RegressionPredictor,
    TreePredictor,
    job_inputs,
    labelled,
    make_predictor,
    training_chunk,
)
from gnnsched_env.predictors.trees.forests import Forests
from gnnsched_env.predictors.trees.regressors import Boosting
from gnnsched_env.predictors.trees.tree_predictor import shipped_predictor
from gnnsched_env.tables import distinct_pairs
from gnnsched_env.workload import synthetic_classes
from tests.twins import latency as naive_latency

PAIRS = distinct_pairs(load_fleet("flexible4")).pairs[:3]


@pytest.fixture(scope="module")
def regression():
    dataset = labelled(training_chunk(DatasetSpec(graphs=300, seed=3, most_vertices=500), 0), PAIRS)
    return dataset, RegressionPredictor("lightgbm", "terms", boosting=Boosting(trees=12, leaves=7, least=5)).fit(
        dataset, PAIRS
    )


@pytest.fixture(scope="module")
def predictor(regression):
    means = np.log(regression[0].cycles).mean(axis=0)
    return TreePredictor.of(regression[1], "toy", means, {"seed": 3})


@pytest.mark.slow
def test_trees_agree_with_lightgbm_and_with_the_naive_twin(regression, predictor):
    dataset, trained = regression
    for p, model in enumerate(trained.models):
        columns = predictor.features.columns(dataset.inputs, p)
        ours = predictor.forests.predict(p, columns)
        assert ours == pytest.approx(model.predict(columns), abs=1e-6)
        assert ours[:9].tolist() == pytest.approx(
            [naive_latency.tree_sum(row, predictor.forests, p) for row in columns[:9]]
        )
    assert np.ptp(predictor.forests.forest_ptr) > 0


@pytest.mark.kernels
def test_one_jobs_cycles_agree_with_columns_and_trees(predictor):
    classes = synthetic_classes(6, hidden=(16, 8))
    inputs = job_inputs(classes, PAIRS)
    one = predictor.for_pairs(PAIRS)
    for c, (degrees, model) in enumerate(zip(classes.degrees, classes.models, strict=True)):
        expected = np.zeros(3)
        for row in np.flatnonzero(inputs.owners == c):
            for p in range(3):
                columns = predictor.features.columns(inputs, p)[row]
                correction = np.exp(naive_latency.tree_sum(columns, predictor.forests, p))
                expected[p] += inputs.degree_terms[row, p, 1] * correction
        assert np.abs(one(Job(degrees, model)) - expected).max() <= 0.5 + 1e-6


def test_a_file_gives_the_same_predictions_and_the_same_bytes(predictor, tmp_path):
    classes = synthetic_classes(8)
    predictor.save(tmp_path / "a.npz")
    again = TreePredictor.load(tmp_path / "a.npz")
    assert (again.predict(classes, PAIRS) == predictor.predict(classes, PAIRS)).all()
    assert (again.name, again.keys, dict(again.provenance)) == (predictor.name, predictor.keys, {"seed": 3})
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
    assert isinstance(made, TreePredictor) and made.name == "toy"
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


def test_only_boosted_residuals_are_kept(regression):
    means = np.zeros(3)
    for other in (RegressionPredictor("ridge", "terms"), RegressionPredictor("lightgbm", "S5")):
        with pytest.raises(ConfigError, match=f"is kept, got {other.name}"):
            TreePredictor.of(other, "toy", means, {})
    with pytest.raises(ConfigError, match="not trained yet"):
        TreePredictor.of(RegressionPredictor("lightgbm", "terms"), "toy", means, {})


def test_pairs_without_a_correction_have_no_trees():
    class Exact:
        class booster_:
            @staticmethod
            def dump_model():
                return {"tree_info": [{"tree_structure": {"leaf_value": 0.0}}]}

    forests = Forests.from_lightgbm([Exact])
    assert forests.predict(0, np.zeros((2, 3))).tolist() == [0.0, 0.0]
