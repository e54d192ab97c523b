import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast import ProgramGraph, open_program
from gnnsched_env.forecast.data import schema
from gnnsched_env.forecast.encoding.samples import (
    LAYOUT_COLUMNS,
    LAYOUT_ENCODED,
    NODE_COLUMNS,
    NODE_WIDTH,
    TILE_ENCODED,
    encode_layouts,
    encode_nodes,
    encode_tiles,
    layouts_of,
    prepare,
    ranks,
)
from tests.forecast import toy_programs
from tests.twins import forecast_files as naive_files


def features_of(shape, layout=None, **columns):
    """Return one operation's features, the layout last dimension first where none is named."""
    row = toy_programs.node_features([shape])
    if layout is not None:
        row[0, 134:140] = np.resize([*layout, 0, 0, 0, 0, 0, 0], 6)
    for name, value in columns.items():
        row[0, getattr(schema, name)] = value
    return row


# The layout columns alone do not tell these apart: 0 is a dimension and also stands for nothing.
@pytest.mark.parametrize(
    ("features", "layout"),
    [
        (features_of([]), [-1, -1, -1, -1, -1, -1]),
        (features_of([], TUPLE_SIZE=3.0), [-1, -1, -1, -1, -1, -1]),
        (features_of([7]), [0, -1, -1, -1, -1, -1]),
        (features_of([1]), [0, -1, -1, -1, -1, -1]),
        (features_of([7, 5], [0, 1]), [0, 1, -1, -1, -1, -1]),
        (features_of([7, 5], [1, 0]), [1, 0, -1, -1, -1, -1]),
        (features_of([2, 3, 4, 5, 6, 7]), [5, 4, 3, 2, 1, 0]),
        (features_of([0]), [0, -1, -1, -1, -1, -1]),  # a vector of nothing: only the product tells
        (features_of([3, 0], [1, 0]), [1, 0, -1, -1, -1, -1]),
        (features_of([0, 0], [0, 1]), [0, 1, -1, -1, -1, -1]),
        (features_of([0, 3], [0, 1]), [0, 1, -1, -1, -1, -1]),
        (features_of([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]), [-1, 5, 4, 3, 2, 1]),  # the first six of seven
    ],
)
def test_padding_is_told_from_dimension_zero_by_the_rank(features, layout):
    assert layouts_of(features).tolist() == [layout]
    assert layouts_of(features).dtype == np.int8
    places = slice(*NODE_COLUMNS["layout"].indices(NODE_WIDTH)[:2])
    graph = ProgramGraph(node_features=features, opcodes=np.zeros(1, np.uint8), edges=np.zeros((0, 2), np.int64))
    assert encode_nodes(graph)[0, places].tolist() == naive_files.one_hots(layout)


@given(data=st.data())
def test_ranks_are_those_of_the_shapes(data):
    sizes = st.lists(st.integers(0, 4), max_size=6)
    shapes = data.draw(st.lists(sizes, min_size=1, max_size=8))
    features = toy_programs.node_features(shapes)
    for row, shape in zip(features, shapes, strict=True):
        row[134 : 134 + len(shape)] = data.draw(st.permutations(range(len(shape))))
    assert ranks(features).tolist() == [len(shape) for shape in shapes]
    assert ((layouts_of(features) >= 0).sum(axis=1) == [len(shape) for shape in shapes]).all()


def test_nodes_agree_with_the_slow_twin():
    rng = np.random.default_rng(0)
    features = rng.integers(-3, 300, (40, 140)).astype(np.float32)
    features[:, 21:27] = np.abs(features[:, 21:27]) * (rng.random((40, 6)) < 0.7)
    features[:, 28] = rng.integers(0, 2, 40)
    features[:, 134:140] = rng.integers(-1, 8, (40, 6))
    graph = ProgramGraph(node_features=features, opcodes=np.zeros(40, np.uint8), edges=np.zeros((0, 2), np.int64))
    found = encode_nodes(graph)
    assert found.shape == (40, NODE_WIDTH)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [naive_files.encoded_node(row) for row in features.tolist()], rtol=1e-6)
    assert [group.start for group in NODE_COLUMNS.values()] == [0, *(g.stop for g in NODE_COLUMNS.values())][:-1]
    assert NODE_COLUMNS["fill"].stop == NODE_WIDTH


def test_every_column_but_the_unused_one_matters():
    base = toy_programs.node_features([[4, 4, 4, 4, 4, 4]])
    rows = np.repeat(base, 140, axis=0)
    changed = rows + np.eye(140, dtype=np.float32)
    empty = {"opcodes": np.zeros(140, np.uint8), "edges": np.zeros((0, 2), np.int64)}
    before = encode_nodes(ProgramGraph(node_features=rows, **empty))
    after = encode_nodes(ProgramGraph(node_features=changed, **empty))
    assert np.flatnonzero((before == after).all(axis=1)).tolist() == [schema.UNUSED]


def test_column_groups_cover_all_columns_once():
    columns = np.concatenate([np.arange(140)[group] for group in schema.COLUMN_GROUPS.values()])
    assert columns.tolist() == list(range(schema.NODE_FEATURES))


@settings(max_examples=30)
@given(st.integers(0, 3), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_layouts_agree_with_the_slow_twin(count, nodes, seed):
    rng = np.random.default_rng(seed)
    layouts = rng.integers(-1, 6, (count, nodes, 18)).astype(np.int8)
    layouts[rng.random((count, nodes)) < 0.2] = -1
    layouts[..., :6][rng.random((count, nodes)) < 0.3] = -1
    shapes = rng.integers(0, 300, (nodes, 6)).astype(np.float32)
    found = encode_layouts(layouts, shapes)
    assert found.shape == (count, nodes, LAYOUT_ENCODED)
    assert found.dtype == np.float32
    expected = [
        [naive_files.encoded_layout(row, shape) for row, shape in zip(rows, shapes.tolist(), strict=True)]
        for rows in layouts.tolist()
    ]
    np.testing.assert_allclose(found, np.array(expected).reshape(found.shape), rtol=1e-6)


def test_equal_layouts_have_equal_columns_wherever_they_stand():
    row = np.full((1, 1, 18), -1, dtype=np.int8)
    row[0, 0, 0:4] = row[0, 0, 6:10] = 3, 2, 1, 0
    row[0, 0, 12:16] = 0, 3, 2, 1
    encoded = encode_layouts(row, np.array([[2, 3, 4, 5, 0, 0]], np.float32))[0, 0]
    output, given_, kernel = (encoded[LAYOUT_COLUMNS[name]] for name in ("output", "input", "kernel"))
    features = features_of([2, 3, 4, 5])
    graph = ProgramGraph(node_features=features, opcodes=np.zeros(1, np.uint8), edges=np.zeros((0, 2), np.int64))
    own = encode_nodes(graph)[0, NODE_COLUMNS["layout"]]
    assert output.tolist() == given_.tolist() == own.tolist()
    assert (output @ own, output @ kernel) == (4, 0)


def test_the_compilers_choice_is_flagged():
    rows = np.full((3, 1, 18), -1, dtype=np.int8)
    rows[1, 0, 12] = 0
    rows[2, 0, [0, 6, 12]] = 0
    encoded = encode_layouts(rows, np.ones((1, 6), np.float32))
    assert encoded[:, 0, LAYOUT_COLUMNS["default"]].tolist() == [[1], [0], [0]]
    assert encoded[:, 0, LAYOUT_COLUMNS["open"]].tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    assert not encoded[0, 0, : LAYOUT_COLUMNS["open"].start].any()


def test_tiles_are_logarithms():
    tiles = np.array([[0.0, 1.0, -1.0, 7.0] + [0.0] * 20], dtype=np.float32)
    encoded = encode_tiles(tiles)
    assert encoded.shape == (1, TILE_ENCODED)
    np.testing.assert_allclose(encoded[0, :4], [0, np.log(2), -np.log(2), np.log(8)], rtol=1e-6)


def test_a_sample_of_a_layout_program(tmp_path):
    values = toy_programs.layouts(9)
    values[[4, 8]] = values[1]
    program = open_program(toy_programs.layout_file(tmp_path, node_config_feat=values))
    sample = prepare(program, hops=1)
    kept = [1, 2, 3, 4, 5, 6, 7]
    np.testing.assert_array_equal(sample.nodes, encode_nodes(program.graph)[kept])
    assert sample.opcodes.tolist() == [toy_programs.OPCODES[node] for node in kept]
    producers, consumers = np.array(kept)[sample.edge_index]
    assert sorted(zip(consumers, producers, strict=True)) == [tuple(e) for e in toy_programs.EDGES if 0 not in e]
    assert np.array(kept)[sample.configurable].tolist() == toy_programs.CONFIGURABLE
    assert sample.shapes.tolist() == [[*shape, *[0] * (6 - len(shape))] for shape in ([8, 5, 5, 64], [8, 32], [256])]
    assert sample.rows.tolist() == [0, 1, 2, 3, 5, 6, 7]
    assert sample.groups.tolist() == [0, 1, 2, 3, 1, 4, 5, 6, 1]
    assert sample.targets[1] == program.runtimes[[1, 4, 8]].mean()
    assert sample.targets[[0, 2, 3, 4]].tolist() == program.runtimes[[0, 2, 3, 5]].tolist()
    assert (sample.raw.dtype, sample.opcodes.dtype, sample.edge_index.dtype) == (np.int8, np.int64, np.int64)
    assert sample.edge_index.flags.c_contiguous
    assert (sample.num_nodes, sample.num_configs, sample.is_tile, sample.labelled) == (7, 7, False, True)
    rows = np.array([6, 0, 6])
    np.testing.assert_array_equal(sample.configs(rows), encode_layouts(sample.raw[rows], sample.shapes))
    assert sample.configs().shape == (7, 3, LAYOUT_ENCODED)


@pytest.mark.parametrize("cached", [False, True])
def test_a_sample_without_merging_keeps_the_order(tmp_path, cached):
    program = open_program(toy_programs.layout_file(tmp_path), cache=tmp_path / "cache" if cached else None)
    rows = np.array([5, 0, 5])
    sample = prepare(program, rows=rows, merge=False)
    assert sample.rows.tolist() == [5, 0, 5]
    assert sample.groups.tolist() == [0, 1, 2]
    assert sample.targets.tolist() == program.runtimes[rows].tolist()
    whole = prepare(program, merge=False)
    np.testing.assert_array_equal(whole.raw[rows], sample.raw)
    assert isinstance(whole.raw, np.memmap) == cached
    merged = prepare(program, rows=np.array([5, 0]))
    assert merged.rows.tolist() == [0, 5]
    assert merged.groups.tolist() == [1, 0]


def test_a_sample_of_a_tile_program_is_whole(tmp_path):
    program = open_program(toy_programs.tile_file(tmp_path))
    sample = prepare(program, hops=0, merge=False)
    assert sample.num_nodes == 8
    assert len(sample.configurable) == 0
    assert sample.shapes.shape == (0, 6)
    np.testing.assert_array_equal(sample.configs(np.array([2])), encode_tiles(program.configurations()[[2]]))
    assert sample.targets.tolist() == program.targets().tolist()
    assert sample.is_tile


def test_rows_that_are_not_there_are_refused(tmp_path):
    sample = prepare(open_program(toy_programs.layout_file(tmp_path)))
    for rows in ([9], [-1]):
        with pytest.raises(ConfigError, match=rf"toy: rows must be within 0\.\.8, got {rows[0]}"):
            sample.configs(np.array(rows))


def test_a_batch_is_encoded_in_place():
    layouts = np.full((64, 344, 18), -1, dtype=np.int8)
    layouts[..., [0, 1, 6, 7, 12, 13]] = [3, 0, 0, 3, 3, 2]
    shapes = np.ones((344, 6), np.float32)
    tracemalloc.start()
    try:
        encoded = encode_layouts(layouts, shapes)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.7 * encoded.nbytes


@pytest.mark.slow
def test_the_real_file(alexnet):
    program = open_program(alexnet)
    sample = prepare(program)
    assert (sample.num_nodes, sample.num_configs, len(sample.configurable)) == (342, 29_905, 26)
    assert np.isfinite(sample.nodes).all()
    rank_of = ranks(program.graph.node_features)
    assert np.bincount(rank_of).tolist() == [157, 59, 75, 0, 81]
    layouts = layouts_of(program.graph.node_features)
    for rank, layout in zip(rank_of, layouts.tolist(), strict=True):
        assert sorted(layout[:rank]) == list(range(rank))  # a permutation, and nothing behind it
        assert layout[rank:] == [-1] * (6 - rank)
    products = program.graph.node_features[:, schema.SHAPE_PRODUCT]
    np.testing.assert_array_equal(products[rank_of == 0], 1)
    whole = program.configurations()
    np.testing.assert_array_equal(sample.raw[sample.groups], whole)
    fixed = (whole[..., :6] >= 0).sum(axis=-1).max(axis=0)
    assert (fixed <= rank_of[program.configurable]).all()
