"""Stored arrays: what is written comes back, and what is no file of the format is refused in words."""

import json

import numpy as np
import pytest

from gnnsched_env.common import store
from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.common.files import read_json, read_npz, read_toml, write_json, write_npz

TOY, OTHER = store.Format("gnnsched-toy", 2, "toy"), store.Format("gnnsched-other", 1, "other toy")
ARRAYS = {"numbers": np.arange(1_000), "one": np.float32(0.5)}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "toy.npz"
    store.save(path, TOY, {"name": "mine", "sizes": [1, 2]}, ARRAYS)
    return path


def test_a_file_comes_back_and_equal_ones_have_equal_bytes(path, tmp_path):
    stored = store.load(path, OTHER, TOY)
    assert (stored.format, stored.manifest) == (TOY, {"name": "mine", "sizes": [1, 2]})
    assert stored.arrays.keys() == ARRAYS.keys()
    assert all((stored.arrays[name] == ARRAYS[name]).all() for name in ARRAYS)
    store.save(tmp_path / "deep" / "again.npz", TOY, stored.manifest, stored.arrays)
    assert (tmp_path / "deep" / "again.npz").read_bytes() == path.read_bytes()
    with pytest.raises(FileNotFoundError):
        store.save(tmp_path / "other" / "toy.npz", TOY, {}, {}, parents=False)


def changed(path, change):
    arrays = read_npz(path)
    manifest = json.loads(str(arrays.pop("manifest")))
    change(manifest, arrays)
    write_npz(path, {"manifest": np.array(json.dumps(manifest)), **arrays})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda manifest, arrays: manifest.update(format="gnnsched-predictor"), "must be 'gnnsched-toy', got 'gnns"),
        (lambda manifest, arrays: manifest.pop("format"), "must be 'gnnsched-toy', got None"),
        (lambda manifest, arrays: manifest.update(version=1), "version must be 2, got 1"),
        (lambda manifest, arrays: manifest.update(name="yours"), "SHA-256"),
        (lambda manifest, arrays: manifest.pop("sha256"), "SHA-256"),
        (lambda manifest, arrays: arrays.update(one=np.float64(0.5)), "SHA-256"),
        (lambda manifest, arrays: arrays["numbers"].put(7, 0), "SHA-256"),
        (lambda manifest, arrays: arrays.pop("one"), "SHA-256"),
        (lambda manifest, arrays: arrays.update(more=np.zeros(0)), "SHA-256"),
    ],
)
def test_what_was_changed_is_refused(path, change, says):
    changed(path, change)
    with pytest.raises(FileFormatError, match=rf"toy .*toy\.npz: .*{says}"):
        store.load(path, TOY)


@pytest.mark.parametrize("manifest", [np.array("[1, 2]"), np.array("{"), np.array("[" * 100_000), None])
def test_what_has_no_manifest_is_refused(path, manifest):
    write_npz(path, {"numbers": np.arange(3), **({} if manifest is None else {"manifest": manifest})})
    with pytest.raises(FileFormatError, match="manifest"):
        store.load(path, TOY)


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [flipped, lambda data: data[:-50], lambda data: b"", lambda data: b"PK", None])
def test_damage_is_told(path, damage):
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FileFormatError, match=r"toy .*toy\.npz: (array|the archive|not an npz|cannot be read)"):
        store.load(path, TOY)


def test_one_array_and_a_pickle_are_refused(path):
    with path.open("wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(FileFormatError, match="got a single array"):
        read_npz(path)
    np.savez(path, plain=np.arange(3), bomb=np.array([{}], dtype=object))
    with pytest.raises(FileFormatError, match="array 'bomb' is pickled"):
        read_npz(path)


def test_json_comes_back_and_what_is_none_is_refused(tmp_path):
    path = tmp_path / "about.json"
    write_json(path, {"a": [1, 2.5, None]})
    assert read_json(path) == {"a": [1, 2.5, None]} and path.read_text().endswith("}\n")
    for text, says in (("{", "JSON file"), ("[]", "object, got list"), ("[" * 100_000, "JSON file"), ("\xff", "JSON")):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(FileFormatError, match=says):
            read_json(path)
    with pytest.raises(FileFormatError, match="cannot be read: No such file"):
        read_json(tmp_path / "none.json")


def test_toml_is_read_and_what_is_none_is_refused(tmp_path):
    path = tmp_path / "about.toml"
    path.write_text("[a]\nb = 1\n")
    assert read_toml(path) == {"a": {"b": 1}}
    for text in ("a =", "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(FileFormatError, match=r"about\.toml: must be a TOML file"):
            read_toml(path)
    with pytest.raises(FileFormatError, match="cannot be read: No such file"):
        read_toml(tmp_path / "none.toml")
