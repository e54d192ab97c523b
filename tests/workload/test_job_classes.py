"""Job classes from files and from the embedded families."""

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.graphs import Graph, GraphSet
from gnnsched_env.workload import classes_from_files, synthetic_classes
from gnnsched_env.workload.job_classes import SYNTHETIC_WIDTHS

PATH = Graph.from_edges(3, [0, 1], [1, 2])
LOOP = Graph.from_edges(2, [0, 0], [0, 1])


def write(folder, name, graphs, *, features=5, classes=2):
    path = folder / f"{name}.npz"
    GraphSet.from_graphs(graphs, name=name, num_features=features, num_classes=classes).save(path)
    return path


@pytest.fixture
def many(tmp_path):
    """Return a file of twenty stars, of 2 to 21 vertices, told apart by their sizes."""
    stars = [Graph.from_edges(n, [0] * (n - 1), range(1, n)) for n in range(2, 22)]
    return write(tmp_path, "stars", stars)


def test_batch_sizes_have_equal_shares_and_batches_hold_different_graphs(many):
    classes = classes_from_files([many], batch_sizes=(1, 4, 16), classes_per_file=12)
    sizes = [int(name.split()[1][1:]) for name in classes.names]
    assert [sizes.count(size) for size in (1, 4, 16)] == [4, 4, 4]
    for size, degrees in zip(sizes, classes.degrees, strict=True):
        # With its loop, the centre of a star has as many entries as the star has vertices.
        stars, position = [], 0
        while position < len(degrees):
            stars.append(int(degrees[position]))
            position += stars[-1]
        assert len(stars) == len(set(stars)) == size
        assert set(stars) <= set(range(2, 22))


def test_the_seed_decides_the_batches(many):
    first, again, other = (classes_from_files([many], seed=seed).digest() for seed in (1, 1, 2))
    assert first == again != other


def test_a_file_gives_the_same_classes_alone_and_in_any_mix(tmp_path, many):
    other = write(tmp_path, "other", [PATH, LOOP, PATH, LOOP])
    alone = classes_from_files([many], batch_sizes=(4,), classes_per_file=3)
    for mix in ([many, other], [other, many]):
        classes = classes_from_files(mix, batch_sizes=(4,), classes_per_file=3)
        own = [
            degrees.tolist() for name, degrees in zip(classes.names, classes.degrees, strict=True) if "stars" in name
        ]
        assert own == [degrees.tolist() for degrees in alone.degrees]


def test_groups_of_equal_names_are_told_apart(many):
    assert classes_from_files([many, many], classes_per_file=4).group_names == ("stars", "stars (2)")


def test_each_file_is_equally_likely_and_a_single_graph_is_one_class(tmp_path, many):
    single = write(tmp_path, "path", [PATH], features=7, classes=3)
    classes = classes_from_files([many, single], batch_sizes=(1, 4), classes_per_file=10)
    assert len(classes) == 11
    assert classes.names[-1] == "path"
    assert classes.weights[classes.groups == 0].sum() == pytest.approx(0.5)
    assert classes.weights[-1] == pytest.approx(0.5)
    assert [layer.in_features for layer in classes.models[-1].layers] == [7, 16]
    assert classes.models[-1].out_features == 3


@pytest.mark.parametrize(("kind", "expected"), [("gcn", [2, 2]), ("gin", [2, 2]), ("sage", [2, 1])])
def test_degrees_are_those_of_the_matrix_that_the_model_aggregates_over(tmp_path, kind, expected):
    classes = classes_from_files([write(tmp_path, "loop", [LOOP])], model_kind=kind)
    assert classes.degrees[0].tolist() == expected


def test_hidden_widths_make_the_model(tmp_path):
    classes = classes_from_files([write(tmp_path, "path", [PATH])], hidden=(64, 32))
    assert [layer.out_features for layer in classes.models[0].layers] == [64, 32, 2]


def test_batch_sizes_above_the_set_are_left_out(many):
    classes = classes_from_files([many], batch_sizes=(4, 64), classes_per_file=6)
    assert {name.split()[1] for name in classes.names} == {"x4"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_sizes": (64,)}, "batch_sizes must include one of at most its 20 graphs"),
        ({"batch_sizes": ()}, "batch_sizes must be a list"),
        ({"batch_sizes": (0,)}, "entries of batch_sizes must be an integer of at least 1, got 0"),
        ({"classes_per_file": 1}, "classes_per_file must be at least the number of batch sizes"),
        ({"model_kind": "sages"}, "did you mean 'sage'"),
    ],
)
def test_a_bad_workload_is_refused_with_the_rule(many, options, message):
    with pytest.raises(ConfigError, match=message):
        classes_from_files([many], **options)


def test_no_file_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="at least one graph file"):
        classes_from_files([])
    with pytest.raises(FileFormatError):
        classes_from_files([tmp_path / "none.npz"])


def test_synthetic_classes_keep_the_documented_ranges_and_shares():
    classes = synthetic_classes(32)
    assert classes.group_names == tuple(SYNTHETIC_WIDTHS)
    assert np.bincount(classes.groups).tolist() == [8, 8, 8, 8]
    assert classes.weights == pytest.approx(1 / 32)
    for group, model in zip(classes.groups, classes.models, strict=True):
        (low_in, high_in), (low_out, high_out) = SYNTHETIC_WIDTHS[classes.group_names[group]]
        assert low_in <= model.in_features <= high_in
        assert low_out <= model.out_features <= high_out


def test_synthetic_classes_are_reproducible_and_never_mutable():
    assert synthetic_classes(8).digest() == synthetic_classes(8).digest() != synthetic_classes(8, seed=1).digest()
    with pytest.raises(ValueError, match="read-only"):
        synthetic_classes(8).degrees[0][0] = 1


def test_a_subset_keeps_relative_weights():
    part = synthetic_classes(9).subset([0, 8])
    assert part.weights.sum() == pytest.approx(1.0)
    assert part.weights[1] / part.weights[0] == pytest.approx(3 / 2)


def test_the_six_reference_files_make_one_mix(shared):
    paths = sorted((shared / "graphs").glob("*.npz"))
    classes = classes_from_files(paths)
    assert len(classes) == 4 * 120 + 2
    assert np.bincount(classes.groups, classes.weights) == pytest.approx(1 / 6)
