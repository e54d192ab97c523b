"""Data sets on disk: built, killed, resumed, damaged, read."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from gnnsched_env.common import store
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.folder_lock import writing_folder
from gnnsched_env.common.parallel.task_runs import HERE, Where
from gnnsched_env.hardware import Fleet, load_fleet
from gnnsched_env.predictors.datasets import dataset_files as study
from gnnsched_env.predictors.datasets.dataset_files import build_dataset, load_dataset
from gnnsched_env.predictors.datasets.labelled_layers import job_inputs
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec, training_chunk
from gnnsched_env.predictors.features import feature_names
from gnnsched_env.predictors.levels import Level
from gnnsched_env.tables import distinct_pairs, pair_cycles

SPEC = DatasetSpec(graphs=40, seed=3, chunk_jobs=15, most_vertices=200)
FLEET = load_fleet("hetero4")
CHUNKS = ["chunk-00000.npz", "chunk-00001.npz", "chunk-00002.npz"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    assert build_dataset(SPEC, FLEET, folder, where=HERE, progress=False) == 3
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in whole.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def build(folder, spec=SPEC, fleet=FLEET, workers=1):
    return build_dataset(spec, fleet, folder, where=Where(workers=workers), progress=False)


def test_a_data_set_holds_what_the_cost_model_and_the_features_say(whole):
    assert sorted(contents(whole)) == [*CHUNKS, "dataset.json"]
    stored = load_dataset(whole)
    pairs = distinct_pairs(FLEET)
    chunks = [training_chunk(SPEC, chunk) for chunk in range(3)]
    assert (stored.dataset.cycles == np.concatenate([pair_cycles(c, pairs.pairs, workers=1) for c in chunks])).all()
    parts = [job_inputs(classes, pairs.pairs, Level.STRUCTURE).arrays() for classes in chunks]
    for name, array in stored.dataset.inputs.arrays().items():
        if name != "owners":
            assert (array == np.concatenate([part[name] for part in parts])).all()
    assert stored.dataset.inputs.owners.tolist() == list(range(40))
    assert stored.dataset.families.tolist() == [group for classes in chunks for group in classes.groups]
    assert stored.dataset.family_names == chunks[0].group_names
    degrees = [one for classes in chunks for one in classes.degrees]
    assert stored.vertices.tolist() == [len(one) for one in degrees]
    assert stored.entries.tolist() == [one.sum() for one in degrees]
    layers = [model.layers[0] for classes in chunks for model in classes.models]
    assert stored.layers.tolist() == [[one.in_features, one.combination_features, one.out_features] for one in layers]
    assert stored.chunks.tolist() == [0] * 15 + [1] * 15 + [2] * 10
    assert stored.pair_keys == pairs.keys


def test_provenance_is_inside(whole):
    settings = json.loads((whole / "dataset.json").read_text())
    assert settings["seed"] == 3
    assert settings["graphs"] == 40
    assert settings["fleet"] == FLEET.digest()
    assert settings["features"] == list(feature_names(Level.STRUCTURE))
    inside = store.load(whole / CHUNKS[1], store.DATASET_CHUNK).manifest["provenance"]
    assert inside == {"chunk": 1} | {name: value for name, value in settings.items() if name != "graphs"}
    assert load_dataset(whole).settings == settings


@pytest.mark.slow
def test_files_do_not_depend_on_the_workers(whole, tmp_path):
    assert build(tmp_path / "two", workers=2) == 3
    assert contents(tmp_path / "two") == contents(whole)


def test_a_finished_data_set_is_not_built_again(copy):
    before = {path: path.stat().st_mtime_ns for path in copy.iterdir()}
    assert build(copy) == 0
    assert {path: path.stat().st_mtime_ns for path in copy.iterdir()} == before


def test_a_folder_that_another_build_writes_is_refused(copy):
    before = contents(copy)
    with writing_folder(copy), pytest.raises(ConfigError, match="copy: is being written by process"):
        build(copy)
    assert contents(copy) == before


@pytest.mark.slow
def test_a_killed_build_resumes_to_the_same_bytes(tmp_path, whole):
    folder = tmp_path / "killed"
    code = (
        "from gnnsched_env.hardware import load_fleet\n"
        "from gnnsched_env.predictors.datasets.dataset_files import build_dataset\n"
        "from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec\n"
        "from gnnsched_env.common.parallel.task_runs import HERE\n"
        f"build_dataset({SPEC!r}, load_fleet('hetero4'), {str(folder)!r}, where=HERE)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while not (folder / CHUNKS[0]).exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (folder / f".chunk-00002.{process.pid}.partial").write_bytes(b"half a chunk")
    assert build(folder) < 3
    assert contents(folder) == contents(whole)


def test_a_larger_data_set_begins_with_the_smaller_one(whole, tmp_path):
    build(tmp_path / "larger", DatasetSpec(graphs=50, seed=3, chunk_jobs=15, most_vertices=200))
    larger = contents(tmp_path / "larger")
    assert all(larger[name] == contents(whole)[name] for name in CHUNKS[:2])
    assert larger[CHUNKS[2]] != contents(whole)[CHUNKS[2]]


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


DAMAGE = {
    "flipped": flipped,
    "truncated": lambda data: data[:-100],
    "empty": lambda data: b"",
    "text": lambda data: b"not a chunk",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_chunk_is_found_and_built_again(copy, whole, capsys, damage):
    path = copy / CHUNKS[1]
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(FileFormatError, match=CHUNKS[1]):
        load_dataset(copy)
    assert build(copy) == 1
    assert f"warning: chunk of a data set {path}: " in capsys.readouterr().err
    assert contents(copy) == contents(whole)


def test_a_chunk_of_another_place_is_found_and_built_again(copy, whole, capsys):
    (copy / CHUNKS[1]).write_bytes((copy / CHUNKS[0]).read_bytes())
    with pytest.raises(FileFormatError, match="belongs to another data set"):
        load_dataset(copy)
    assert build(copy) == 1
    assert "belongs to another data set" in capsys.readouterr().err
    assert contents(copy) == contents(whole)


@pytest.mark.parametrize(("field", "value"), [("graphs", 41), ("seed", 4), ("chunk_jobs", 16), ("most_vertices", 201)])
def test_a_folder_of_other_settings_is_refused(copy, whole, field, value):
    settings = {name: getattr(SPEC, name) for name in ("graphs", "seed", "chunk_jobs", "most_vertices")}
    message = rf"holds a data set with {field} {settings[field]}, not {value}; choose another folder"
    with pytest.raises(ConfigError, match=message):
        build(copy, DatasetSpec(**settings | {field: value}))
    assert contents(copy) == contents(whole)


def test_a_folder_of_another_fleet_or_code_is_refused(copy, monkeypatch):
    with pytest.raises(ConfigError, match="holds a data set with fleet"):
        build(copy, fleet=load_fleet("flexible4"))
    monkeypatch.setattr(study, "code_digest", lambda *rooms: "other")
    with pytest.raises(ConfigError, match="made by another version of the package's sources"):
        build(copy)


def test_a_fleets_own_columns_are_read(whole):
    one = Fleet(name="one", accelerators=(load_fleet("hetero4").accelerators[3],))
    stored = load_dataset(whole, fleet=one)
    full = load_dataset(whole)
    keys = distinct_pairs(one).keys
    columns = [full.pair_keys.index(key) for key in keys]
    assert stored.pair_keys == keys
    assert len(keys) == 4
    assert (stored.dataset.cycles == full.dataset.cycles[:, columns]).all()
    assert (stored.dataset.inputs.degree_terms == full.dataset.inputs.degree_terms[:, columns]).all()
    assert (stored.dataset.inputs.features == full.dataset.inputs.features).all()


def test_a_fleet_with_other_pairs_is_refused(whole):
    with pytest.raises(ConfigError, match=r"fleet 'big_little' needs 27 .* of which 18 are not among the 9 labelled"):
        load_dataset(whole, fleet=load_fleet("big_little"))


@pytest.mark.parametrize("level", [Level.METADATA, Level.DEGREES, Level.STRUCTURE])
def test_lower_levels_leave_inputs_out(whole, level):
    stored = load_dataset(whole, level=level).dataset.inputs
    pairs = distinct_pairs(FLEET).pairs
    expected = job_inputs(training_chunk(SPEC, 0), pairs, level)
    assert stored.level is level
    for name in ("features", "metadata_terms", "degree_terms"):
        assert (getattr(stored, name)[:15] == getattr(expected, name)).all()


def test_missing_chunks_and_data_sets_are_named(copy, tmp_path):
    for name in CHUNKS[1:]:
        (copy / name).unlink()
    with pytest.raises(FileFormatError, match=r"2 of 3 chunks are missing, first chunk-00001\.npz"):
        load_dataset(copy)
    with pytest.raises(FileFormatError, match=r"no data set here, dataset\.json is missing"):
        load_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}'])
def test_a_damaged_description_is_refused(copy, text):
    (copy / "dataset.json").write_text(text)
    for act in (load_dataset, build):
        with pytest.raises(FileFormatError, match=r"dataset\.json"):
            act(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda settings: settings.pop("pairs"), "field 'pairs' is missing"),
        (lambda settings: settings["features"].pop(), "features must be those of this version"),
        (lambda settings: settings["families"].reverse(), "families must be those of this version"),
    ],
)
def test_a_description_of_another_version_is_refused(copy, change, message):
    settings = json.loads((copy / "dataset.json").read_text())
    change(settings)
    (copy / "dataset.json").write_text(json.dumps(settings))
    with pytest.raises(FileFormatError, match=message):
        load_dataset(copy)


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="workers must be"):
        build(tmp_path, workers=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made a folder"):
        build(tmp_path / "file" / "set")
