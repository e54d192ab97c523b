import contextlib
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import FileFormatError, GraphError
from gnnsched_env.graphs import Graph, GraphSet, block_diagonal

pytestmark = pytest.mark.kernels

SIZES = {"MUTAG": 188, "PROTEINS": 1113, "ENZYMES": 600, "IMDB-BINARY": 1000, "Cora": 1, "Citeseer": 1}


def random_graphs(seed, count):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, count)
    return [Graph.from_edges(int(v), rng.integers(0, v, v), rng.integers(0, v, v)) for v in sizes]


def toy_set(seed=0, count=5, **changes):
    fields = {"name": "toy", "num_features": 3, "num_classes": 2} | changes
    return GraphSet.from_graphs(random_graphs(seed, count), **fields)


@pytest.fixture
def archive(tmp_path):
    """Return a function that writes the toy set with some arrays changed (None removes one)."""

    def write(**changes):
        path = tmp_path / "toy.npz"
        toy_set(labels=[0, 1, 0, 1, 1]).save(path)
        with np.load(path) as found:
            arrays = dict(found) | changes
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return path

    return write


@given(st.integers(0, 1000), st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_batches_and_degrees_agree_with_the_graphs_one_by_one(seed, ids):
    graphs = random_graphs(seed, 5)
    together = GraphSet.from_graphs(graphs, name="toy", num_features=1, num_classes=1)
    assert [graph.digest() for graph in together] == [graph.digest() for graph in graphs]
    batch = together.batch(ids)
    assert batch.digest() == block_diagonal([graphs[i] for i in ids]).digest()
    for self_loops in (False, True):
        expected = batch.with_self_loops().degrees if self_loops else batch.degrees
        assert together.degrees(ids, self_loops=self_loops).tolist() == expected.tolist()


@given(st.integers(0, 1000), st.booleans())
def test_save_and_load_round_trip(tmp_path_factory, seed, labelled):
    path = tmp_path_factory.mktemp("sets") / "toy.npz"
    before = toy_set(seed, labels=[4, 3, 2, 1, 0] if labelled else None)
    before.save(path)
    after = GraphSet.load(path)
    assert after.digest() == before.digest()
    assert (after.name, after.num_features, after.num_classes, len(after)) == ("toy", 3, 2, 5)
    assert (after.labels is None) == (not labelled)
    assert after.labels is None or after.labels.tolist() == [4, 3, 2, 1, 0]
    assert pickle.loads(pickle.dumps(after)).digest() == before.digest()


@pytest.mark.parametrize("name", SIZES)
def test_real_sets(shared, tmp_path, name):
    graphs = GraphSet.load(shared / "graphs" / f"{name}.npz")
    assert (graphs.name, len(graphs)) == (name, SIZES[name])
    ids = np.random.default_rng(0).integers(0, len(graphs), 16)
    checked = Graph(graphs.batch(ids).indptr, graphs.batch(ids).indices)
    assert checked.with_self_loops().degrees.tolist() == graphs.degrees(ids, self_loops=True).tolist()
    graphs.save(tmp_path / "copy.npz")
    assert GraphSet.load(tmp_path / "copy.npz").digest() == graphs.digest()
    with np.load(tmp_path / "copy.npz") as ours, np.load(shared / "graphs" / f"{name}.npz") as theirs:
        assert sorted(ours) == sorted(theirs)
        for array in ours:
            assert (ours[array].dtype, ours[array].tolist()) == (theirs[array].dtype, theirs[array].tolist())


def test_citeseers_own_loops_are_not_doubled(shared):
    graphs = GraphSet.load(shared / "graphs" / "Citeseer.npz")
    assert graphs.loops.sum() == 124
    added = graphs.degrees([0], self_loops=True).sum() - graphs.degrees([0], self_loops=False).sum()
    assert added == 3327 - 124


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"indptr": None}, FileFormatError, "array 'indptr' is missing"),
        ({"num_classes": None}, FileFormatError, "array 'num_classes' is missing"),
        ({"indices": np.array([0.5])}, FileFormatError, "array 'indices' must hold integers in 1 dimensions"),
        ({"indices": np.zeros((2, 2), int)}, FileFormatError, "array 'indices' must hold integers in 1 dimensions"),
        ({"num_features": np.array([3])}, FileFormatError, "array 'num_features' must hold integers in 0 dimensions"),
        ({"indices": np.array([{}])}, FileFormatError, "array 'indices' is pickled; only plain arrays are read"),
        (
            {"num_features": np.int64(2**40)},
            GraphError,
            "num_features must be at most .*got 1099511627776",
        ),
        (
            {"num_features_alt": np.array([0])},
            GraphError,
            "num_features_alt must be an integer .*got 0",
        ),
        (
            {"num_features_alt": np.array([2**40])},
            GraphError,
            "num_features_alt must be at most .*got 1099511627776",
        ),
        ({"num_features": np.int32(0)}, GraphError, r"num_features must be an integer .*got 0"),
        ({"num_classes": np.int32(0)}, GraphError, r"num_classes must be an integer .*got 0"),
        ({"graph_ptr": np.array([0])}, GraphError, "graph_ptr must end with the number of vertices"),
        ({"graph_ptr": np.array([], int)}, GraphError, "graph_ptr must begin with 0, got an empty array"),
        ({"self_loops": np.int32(99)}, GraphError, "self_loops must be the number of loops"),
        ({"graph_labels": np.array([1])}, GraphError, "labels must have one entry per graph, 5, got 1"),
        ({"indices": np.array([2**40])}, GraphError, "indices must fit int32"),
    ],
)
def test_a_bad_file_is_refused_with_file_array_and_rule(archive, changes, error, message):
    path = archive(**changes)
    with pytest.raises(error, match=message) as caught:
        GraphSet.load(path)
    assert str(path) in str(caught.value)


def test_an_empty_graph_is_refused(archive):
    with np.load(archive()) as found:
        pointers = found["graph_ptr"]
    pointers = np.insert(pointers, 2, pointers[2])
    with pytest.raises(GraphError, match="graph 2 has none"):
        GraphSet.load(archive(graph_ptr=pointers, graph_labels=None))


def test_every_truncation_is_refused(archive):
    path = archive()
    data = path.read_bytes()
    for length in range(0, len(data), 37):
        path.write_bytes(data[:length])
        with pytest.raises(FileFormatError, match=r"toy\.npz"):
            GraphSet.load(path)


def test_every_flipped_byte_is_noticed_or_harmless(archive):
    path = archive()
    data, digest = path.read_bytes(), GraphSet.load(path).digest()
    for at in range(0, len(data), 11):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        with contextlib.suppress(FileFormatError, GraphError):
            assert GraphSet.load(path).digest() == digest


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "toy.npz"
    with pytest.raises(FileFormatError, match="cannot be read: No such file"):
        GraphSet.load(path)
    for content in (b"", b"text", pickle.dumps({"indptr": [0]})):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"toy\.npz: not an npz archive$"):
            GraphSet.load(path)
    with path.open("wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(FileFormatError, match="must be an npz archive, got a single array"):
        GraphSet.load(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(FileFormatError, match=r"array 'readme\.txt' is incomplete or damaged: .* magic string"):
        GraphSet.load(path)


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "toy.npz"
    toy_set().save(path)
    before = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(FileFormatError, match="cannot be written: No space left on device"):
        toy_set(seed=1).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_bad_ids_are_refused():
    graphs = toy_set()
    for ids, message in (([], "at least one graph"), ([0, 5], r"must lie in 0\.\.4, got 5"), ([-1], "got -1")):
        with pytest.raises(GraphError, match=message):
            graphs.batch(ids)
        with pytest.raises(GraphError, match=message):
            graphs.degrees(ids, self_loops=True)
    with pytest.raises(GraphError, match="one-dimensional array of integers"):
        graphs.degrees([0.5], self_loops=True)
    with pytest.raises(IndexError, match=r"must lie in 0\.\.4, got 5"):
        graphs[5]
    for number in (0.5, True, "1", None):
        with pytest.raises(GraphError, match="the number of a graph must be an integer, got"):
            graphs[number]
    assert graphs[np.int8(-1)].digest() == graphs[4].digest()
    assert graphs[-1].digest() == graphs[4].digest()


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", None])
def test_bad_widths_are_refused(value):
    with pytest.raises(GraphError, match="graph set 'toy': num_features must be an integer of at least 1"):
        toy_set(num_features=value)


def test_bad_members_are_refused():
    with pytest.raises(GraphError, match="graphs must not be empty"):
        GraphSet.from_graphs([], name="toy", num_features=1, num_classes=1)
    directed = Graph.from_edges(2, [0], [1], undirected=False, name="one way")
    with pytest.raises(GraphError, match="graph 0 \\('one way'\\) is not"):
        GraphSet.from_graphs([directed], name="toy", num_features=1, num_classes=1)
