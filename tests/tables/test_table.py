"""`LatencyTable`: what is refused at birth, selection, and its file."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common import store
from gnnsched_env.common.errors import FileFormatError, TableError
from gnnsched_env.tables import LatencyTable
from tests import toys


def test_weights_are_normalised_and_arrays_read_only():
    table = toys.table([[1, 2], [3, 4]], weights=[1, 3])
    assert table.weights.tolist() == [0.25, 0.75]
    assert table.mean_shortest_predicted == 0.25 * 1 + 0.75 * 3
    with pytest.raises(ValueError, match="read-only"):
        table.true_cycles[0, 0] = 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"true": [[1, 0]]}, "at least 1"),
        ({"true": [[1, float("nan")]]}, "at least 1"),
        ({"true": [[1, 2.5]]}, "whole cycles"),
        ({"true": [[1, 1 << 50]]}, r"below 2\^50"),
        ({"true": [[1, 2]], "predicted": [[1, 2, 3]]}, "predicted_cycles must have shape"),
        ({"true": [[1, 2]], "weights": [0]}, "weights must be finite"),
        ({"true": [[1, 2]], "weights": [np.inf]}, "weights must be finite"),
        ({"true": [[1, 2]], "owners": [0, 2]}, "choice_accelerators must give each"),
        ({"true": [[1, 2]], "means": [1.0, np.nan]}, "mean_log_cycles must be finite"),
        ({"true": [[1, 2]], "means": [1.0]}, "mean_log_cycles must have shape"),
    ],
)
def test_bad_tables_are_refused_with_the_rule(options, message):
    with pytest.raises(TableError, match=message):
        toys.table(options.pop("true"), options.pop("predicted", None), **options)


def test_pair_keys_name_every_choice_or_none():
    table = toys.table([[1, 2]])
    assert table.pair_keys == ()
    with pytest.raises(TableError, match="pair_keys must name all 2 choices, got 1"):
        replace(table, pair_keys=("one",))


def test_a_file_gives_back_the_table(tmp_path):
    table = replace(toys.random_table(np.random.default_rng(0)), pair_keys=tuple("abcdef"))
    table.save(tmp_path / "deep" / "table.npz")
    again = LatencyTable.load(tmp_path / "deep" / "table.npz")
    for name in LatencyTable.__slots__:
        assert np.array_equal(getattr(again, name), getattr(table, name)), name
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["table.npz"]


def _flip(content):
    middle = len(content) // 2
    flipped = bytes(byte ^ 0xFF for byte in content[middle : middle + 40])  # more than a field that says nothing
    return content[:middle] + flipped + content[middle + 40 :]


@pytest.mark.parametrize("damage", [lambda c: c[: len(c) // 2], lambda c: b"", lambda c: b"text", _flip])
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "table.npz"
    toys.table([[1, 2]]).save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FileFormatError, match=r"table\.npz"):
        LatencyTable.load(path)


def test_a_file_that_lacks_names_or_has_others_is_refused(tmp_path):
    path = tmp_path / "table.npz"
    toys.table([[1, 2]]).save(path)
    stored = store.load(path, store.LATENCY_TABLE)
    for manifest, arrays in (
        ({"provenance": {}}, stored.arrays),
        ({**stored.manifest, "class_names": 3}, stored.arrays),
        (stored.manifest, {**stored.arrays, "colours": np.zeros(3)}),
    ):
        store.save(path, store.LATENCY_TABLE, manifest, arrays)
        with pytest.raises(FileFormatError, match=r"table\.npz"):
            LatencyTable.load(path)


def test_an_array_file_is_refused(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(3))
    with pytest.raises(FileFormatError):
        LatencyTable.load(tmp_path / "one.npy")


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "table.npz"
    table = toys.table([[1, 2]])
    table.save(path)
    before = path.read_bytes()

    def interrupt(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        table.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.npz"]


def test_one_group_alone_and_the_clairvoyant_twin():
    table = toys.table([[1, 2], [3, 4]], [[5, 6], [7, 8]])
    assert table.clairvoyant().predicted_cycles.tolist() == [[1, 2], [3, 4]]
    assert table.only_group("toy").num_classes == 2
    with pytest.raises(TableError, match="no group 'Cora'"):
        table.only_group("Cora")


def test_a_copy_has_the_same_weights_to_the_last_bit():
    rng = np.random.default_rng(0)
    for size in range(2, 60):
        first = replace(toys.table(np.full((size, 1), 10), owners=[0]), weights=rng.random(size))
        assert (replace(replace(first, noise=0.1), noise=0.0).weights == first.weights).all()
