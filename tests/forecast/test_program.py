import io
import math
import os
import subprocess
import sys
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.forecast import Collection, ProgramGraph, open_program, write_program
from gnnsched_env.forecast.data import config_rows as rows
from gnnsched_env.forecast.data import kept_layouts
from gnnsched_env.forecast.data import npz_streaming as reading
from gnnsched_env.forecast.data.kept_layouts import CHECKED_BYTES
from tests.forecast import toy_programs


def real_files(folder):
    return sorted((folder / "npz").rglob("*.npz"))


@pytest.mark.slow
def test_every_real_file_is_read_as_numpy_reads_it(tpugraphs):
    paths = real_files(tpugraphs)
    assert len(paths) == 16
    for path in paths:
        program = open_program(path)
        with np.load(path) as arrays:
            for array, name in [
                (program.graph.node_features, "node_feat"),
                (program.graph.opcodes, "node_opcode"),
                (program.graph.edges, "edge_index"),
                (program.runtimes, "config_runtime"),
                (program.configurations(), "config_feat" if program.is_tile else "node_config_feat"),
            ]:
                np.testing.assert_array_equal(array, arrays[name])
            if not program.is_tile:
                np.testing.assert_array_equal(program.configurable, arrays["node_config_ids"])
                np.testing.assert_array_equal(program.splits, arrays["node_splits"][0])
        assert program.labelled == (path.parent.name != "test")
        assert program.is_tile == ("tile" in path.parts)
        assert program.name == path.name.removesuffix(".npz")
        assert (program.graph.edges[:, 0] > program.graph.edges[:, 1]).all()


def test_types_and_collection_of_a_layout_file(tmp_path):
    path = toy_programs.layout_file(tmp_path, collection="layout/nlp/random", split="valid")
    program = open_program(path)
    assert program.collection is Collection.LAYOUT_NLP_RANDOM
    assert (program.num_configs, program.graph.num_nodes, program.graph.num_edges) == (9, 8, 7)
    kinds = [program.graph.node_features, program.graph.opcodes, program.graph.edges, program.configurable]
    assert [str(array.dtype) for array in kinds] == ["float32", "uint8", "int64", "int64"]
    assert program.runtimes.dtype == np.int64
    assert program.configurations().dtype == np.int8
    assert program.configurations().shape == (9, 3, 18)
    assert program.normalizers is None
    assert program.targets().tolist() == program.runtimes.tolist()


def test_runtimes_stay_exact_and_tiles_are_relative(tmp_path):
    runtimes = np.array([2**24 + 1, 2**24, 2**52 + 1], dtype=np.int64)
    layout = open_program(toy_programs.layout_file(tmp_path, configs=3, config_runtime=runtimes))
    assert layout.targets().tolist() == runtimes.tolist()
    normalizers = np.array([1_000, 2_000, 3_000], dtype=np.int64)
    path = toy_programs.tile_file(
        tmp_path, configs=3, config_runtime=np.array([500, 3_000, 3_000]), config_runtime_normalizers=normalizers
    )
    tile = open_program(path)
    assert tile.is_tile and tile.collection is Collection.TILE_XLA
    assert tile.targets().tolist() == [0.5, 1.5, 1.0]
    assert len(tile.configurable) == 0
    assert tile.configurations().dtype == np.float32
    assert tile.configurations().shape == (3, 24)


@pytest.mark.parametrize(
    "changes",
    [
        {"edge_index": np.array(toy_programs.EDGES, dtype=np.int32)},
        {"node_config_ids": np.array(toy_programs.CONFIGURABLE, dtype=np.int32)},
        {"node_opcode": np.array(toy_programs.OPCODES, dtype=np.int64)},
        {"node_opcode": np.array(toy_programs.OPCODES, dtype=np.int32)},
        {"node_splits": np.array([0, 4, 8], dtype=np.int32)},
        {"node_feat": np.asfortranarray(toy_programs.node_features(toy_programs.SHAPES))},
        {"node_feat": toy_programs.node_features(toy_programs.SHAPES).astype(">f4")},
        {"node_config_feat": toy_programs.layouts(9).astype(np.int8)},
        {"node_config_feat": toy_programs.layouts(9).astype(">f4")},
        {"config_runtime": toy_programs.layout_arrays()["config_runtime"].astype(np.int32)},
        {"config_runtime": toy_programs.layout_arrays()["config_runtime"].astype(np.uint64)},
        {"something_else": np.array(["text"])},
    ],
)
def test_other_types_give_the_same_program(tmp_path, changes):
    expected = open_program(toy_programs.layout_file(tmp_path, "plain"))
    program = open_program(toy_programs.layout_file(tmp_path, **changes))
    for name in ("node_features", "opcodes", "edges"):
        same_array(getattr(program.graph, name), getattr(expected.graph, name))
    for name in ("configurable", "runtimes", "splits"):
        same_array(getattr(program, name), getattr(expected, name))
    same_array(program.configurations(), expected.configurations())


def same_array(array, other):
    assert array.dtype == other.dtype
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, other)


def test_special_files_have_a_defined_result(tmp_path):
    single = open_program(toy_programs.layout_file(tmp_path, configs=1))
    assert single.configurations().shape == (1, 3, 18)
    no_splits = open_program(toy_programs.layout_file(tmp_path, node_splits=None))
    assert no_splits.splits.tolist() == [0, 8]
    unlabelled = open_program(toy_programs.layout_file(tmp_path, config_runtime=np.zeros(9, np.int64)))
    assert not unlabelled.labelled
    assert unlabelled.targets().tolist() == [0.0] * 9
    no_edges = open_program(toy_programs.layout_file(tmp_path, edge_index=np.zeros((0, 2), np.int64)))
    assert no_edges.graph.edges.shape == (0, 2)
    stored = tmp_path / "stored.npz"
    np.savez(stored, **toy_programs.tile_arrays())
    assert open_program(stored, "tile:xla").num_configs == 6


@settings(max_examples=30)
@given(data=st.data(), cached=st.booleans(), block=st.integers(1, 2_500))
def test_rows_are_those_asked_for_in_their_order(tmp_path_factory, data, cached, block):
    folder = tmp_path_factory.mktemp("rows")
    whole = toy_programs.layouts(9)
    program = open_program(toy_programs.layout_file(folder), cache=folder / "cache" if cached else None)
    asked = np.array(data.draw(st.lists(st.integers(0, 8), max_size=12)), dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK_BYTES", block)
        patch.setattr(rows, "BLOCK_BYTES", block)
        for _ in range(2):
            same_array(program.configurations(asked), whole[asked].astype(np.int8))
        same_array(np.asarray(program.configurations()), whole.astype(np.int8))
        pieces = list(program.blocks())
        assert [first for first, _ in pieces] == np.cumsum([0, *(len(piece) for _, piece in pieces)])[:-1].tolist()
        same_array(np.concatenate([piece for _, piece in pieces]), whole.astype(np.int8))
        tile = open_program(toy_programs.tile_file(folder))
        tiles = toy_programs.tile_arrays()["config_feat"]
        same_array(tile.configurations(asked[asked < 6]), tiles[asked[asked < 6]])


@pytest.mark.parametrize(
    ("asked", "message"),
    [([9], r"within 0\.\.8 for .*toy.npz, got 9"), ([0, -1], "got -1"), ([0.5], "integers"), ([[1]], "integers")],
)
def test_rows_that_are_not_there_are_refused(tmp_path, asked, message):
    with pytest.raises(ConfigError, match=message):
        open_program(toy_programs.layout_file(tmp_path)).configurations(np.array(asked))


LARGE = (40_000, 40)  # configurations, nodes: 115 MB of floats


@pytest.fixture(scope="module")
def large_file(tmp_path_factory):
    """Return a file whose configurations take 115 MB as floats, 29 MB as bytes."""
    configs, nodes = LARGE
    path = tmp_path_factory.mktemp("large") / "npz/layout/xla/random/train/large.npz"
    layouts = toy_programs.layouts(1_000, nodes=nodes).astype(np.int8)
    layouts = np.tile(layouts, (configs // 1_000, 1, 1))
    layouts[:, 0, 0] = np.arange(configs) % 6
    graph = ProgramGraph(
        node_features=np.zeros((nodes, 140), np.float32),
        opcodes=np.full(nodes, 26, np.uint8),
        edges=np.zeros((0, 2), np.int64),
    )
    write_program(
        path,
        graph=graph,
        configurations=layouts,
        configurable=np.arange(nodes),
        runtimes=np.arange(1, configs + 1),
    )
    return path


@pytest.mark.slow
def test_a_few_rows_of_a_large_file_take_little_memory(large_file):
    asked = np.random.default_rng(0).integers(0, LARGE[0], 100)
    asked[-1] = LARGE[0] - 1  # the whole file is inflated
    tracemalloc.start()
    try:
        taken = open_program(large_file).configurations(asked)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken[:, 0, 0].tolist() == (asked % 6).tolist()
    assert peak < 24e6  # some blocks of 4 MiB


def test_the_process_stays_small_too(large_file):
    code = (
        "import resource, sys, numpy as np\n"
        "from gnnsched_env.forecast import open_program\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"open_program({str(large_file)!r}).configurations(np.arange(0, {LARGE[0]}, 400))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
        "assert not any(name.startswith('torch') for name in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(result.stdout) * 1024 < 40e6  # kilobytes on Linux


def test_the_cache_is_one_byte_a_value_and_read_again(large_file, tmp_path, monkeypatch):
    program = open_program(large_file, cache=tmp_path / "cache")
    asked = np.array([5, 39_999, 5])
    first = program.configurations(asked)
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.name.startswith("large-")
    blocks = math.ceil(LARGE[0] / (CHECKED_BYTES // (LARGE[1] * 18)))
    assert kept.stat().st_size - np.prod([*LARGE, 18]) == 128 + 4 * blocks
    monkeypatch.setattr(reading.Member, "blocks", lambda member: pytest.fail("it was inflated again"))
    again = open_program(large_file, cache=tmp_path / "cache")
    same_array(again.configurations(asked), first)
    assert isinstance(again.configurations(), np.memmap)


def test_the_cache_follows_the_source(tmp_path):
    path = tmp_path / "stored.npz"  # of one size, whatever it holds
    for seed in (0, 1):
        np.savez(path, **toy_programs.layout_arrays(seed=seed))
        os.utime(path, ns=(10**18 + seed, 10**18 + seed))
        program = open_program(path, "layout:xla:random", cache=tmp_path / "cache")
        same_array(np.array(program.configurations()), toy_programs.layouts(9, seed=seed).astype(np.int8))
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"no array"])
def test_a_damaged_copy_is_made_anew(tmp_path, damage):
    path = toy_programs.layout_file(tmp_path)
    whole = toy_programs.layouts(9).astype(np.int8)
    program = open_program(path, cache=tmp_path / "cache")
    program.configurations()
    (kept,) = (tmp_path / "cache").iterdir()
    good = kept.read_bytes()
    another = io.BytesIO()
    np.save(another, whole[:5])
    for content in (damage, good[:-1], another.getvalue()):
        kept.write_bytes(content)
        same_array(np.array(program.configurations()), whole)
        assert kept.read_bytes() == good


@pytest.mark.parametrize("rows", [None, np.array([7, 0]), "blocks"])
def test_a_flipped_bit_of_a_copy_is_never_another_value(tmp_path, monkeypatch, rows, capsys):
    monkeypatch.setattr(kept_layouts, "CHECKED_BYTES", 200)  # three rows a block
    program = open_program(toy_programs.layout_file(tmp_path), cache=tmp_path / "cache")
    whole = toy_programs.layouts(9).astype(np.int8)
    program.configurations()
    (kept,) = (tmp_path / "cache").iterdir()
    good = kept.read_bytes()
    rng = np.random.default_rng(0)
    places = rng.permutation(len(good))[:60]
    for place in places:
        content = bytearray(good)
        content[place] ^= 1 << int(rng.integers(8))
        kept.write_bytes(content)
        if isinstance(rows, str):
            found = np.concatenate([block for _, block in program.blocks()])
            same_array(found, whole)
        else:
            same_array(np.array(program.configurations(rows)), whole if rows is None else whole[rows])
            if rows is None:
                assert kept.read_bytes() == good
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == len(places) or rows is not None  # other blocks are not read
    assert len(warnings) > 30 and all("cache entry is made anew" in line for line in warnings)


def test_a_copy_is_whole_or_not_there(tmp_path):
    values = toy_programs.layouts(9)
    values[8, 0, 0] = 7
    program = open_program(toy_programs.layout_file(tmp_path, node_config_feat=values), cache=tmp_path / "cache")
    with pytest.raises(FileFormatError, match="got 7"):
        program.configurations(np.array([0]))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "cache").write_text("a file")
    program = open_program(toy_programs.layout_file(tmp_path), cache=tmp_path / "cache")
    with pytest.raises(ConfigError, match=r"cache .*cache cannot be written"):
        program.configurations()


# What is wrong is found at once, and named by file, array, rule and value.

FEATURES = toy_programs.node_features(toy_programs.SHAPES)
NOT_FINITE = FEATURES.copy()
NOT_FINITE[2, 30] = np.inf


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"node_feat": None}, "'node_feat' is missing, which layout:xla:default needs; found: config_runtime, "),
        ({"node_feat": FEATURES.astype(np.float64)}, "'node_feat' must be float32, got float64"),
        ({"node_feat": FEATURES[:, :139]}, r"'node_feat' must have shape \(n, 140\), n above 0, got \(8, 139\)"),
        ({"node_feat": FEATURES[:0]}, r"n above 0, got \(0, 140\)"),
        ({"node_feat": NOT_FINITE}, "'node_feat' must be finite, got inf at node 2, column 30"),
        ({"node_opcode": None}, "'node_opcode' is missing"),
        ({"node_opcode": np.zeros(7, np.uint8)}, r"'node_opcode' must have shape \(8,\), got \(7,\)"),
        ({"node_opcode": np.full(8, 121, np.uint8)}, r"'node_opcode' must be within 0\.\.120, got 121 at 0"),
        ({"node_opcode": np.full(8, -1, np.int32)}, "got -1 at 0"),
        ({"node_opcode": np.ones(8, np.float32)}, "'node_opcode' must hold integers, got float32"),
        ({"edge_index": np.array([[1, 0], [8, 0]])}, r"'edge_index' must be within 0\.\.7, got 8 at \(1, 0\)"),
        ({"edge_index": np.array([[1, -1]])}, r"got -1 at \(0, 1\)"),
        ({"edge_index": np.zeros((2, 7), np.int64)}, r"'edge_index' must have shape \(m, 2\), got \(2, 7\)"),
        ({"edge_index": np.zeros((2, 2))}, "'edge_index' must hold integers, got float64"),
        ({"node_config_ids": np.array([3, 6, 5])}, "'node_config_ids' must be increasing, got 6 before 5"),
        ({"node_config_ids": np.array([3, 3, 5])}, "got 3 before 3"),
        ({"node_config_ids": np.array([3, 5, 8])}, r"'node_config_ids' must be within 0\.\.7, got 8 at 2"),
        ({"node_config_ids": np.zeros(0, np.int64)}, "must name at least one configurable node"),
        ({"node_config_ids": None}, "'node_config_ids' is missing"),
        ({"node_config_ids": np.array([3, 5])}, r"'node_config_feat' must have shape \(c, 2, 18\).*\(9, 3, 18\)"),
        ({"node_config_feat": toy_programs.layouts(0)}, "c above 0"),
        ({"node_config_feat": toy_programs.layouts(9).astype(np.int64)}, "must be float32 or int8, got int64"),
        ({"config_runtime": np.ones(8, np.int64)}, r"'config_runtime' must have shape \(9,\), got \(8,\)"),
        ({"config_runtime": np.ones(9)}, "'config_runtime' must hold integers, got float64"),
        ({"config_runtime": np.arange(-1, 8)}, r"'config_runtime' must be within 0\.\.\d+, got -1 at 0"),
        (
            {"config_runtime": np.array([5] * 4 + [0] * 5)},
            "'config_runtime' must be above 0 everywhere, or 0 .* got 0 at 4",
        ),
        ({"node_splits": np.array([[0], [8]])}, r"'node_splits' must have shape \(s,\) or \(1, s\), got \(2, 1\)"),
        ({"node_splits": np.array([0, 9])}, r"'node_splits' must be within 0\.\.8, got 9"),
        ({"node_splits": np.array([0, 5, 3])}, r"'node_splits' must not fall, got \[0, 5, 3\]"),
        ({"config_runtime": np.array([1] * 9, dtype=object)}, "'config_runtime' is pickled"),
        ({"other": np.array([{}], dtype=object)}, "'other' is pickled; only plain arrays are read"),
    ],
)
def test_what_breaks_a_rule_of_layout_files(tmp_path, changes, message):
    path = toy_programs.layout_file(tmp_path, **changes)
    with pytest.raises(FileFormatError, match=rf"^{path}: array {message}" if message[0] == "'" else message) as caught:
        open_program(path)
    assert str(caught.value).startswith(f"{path}: array '")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config_feat": None}, "'config_feat' is missing, which tile:xla needs"),
        ({"config_feat": np.zeros((6, 23), np.float32)}, r"'config_feat' must have shape \(c, 24\), c above 0"),
        ({"config_feat": np.zeros((6, 24), np.int8)}, "'config_feat' must be float32, got int8"),
        ({"config_runtime_normalizers": np.arange(6)}, r"'config_runtime_normalizers' must be within 1\.\.\d+, got 0"),
        ({"config_runtime_normalizers": None}, "'config_runtime_normalizers' is missing"),
    ],
)
def test_what_breaks_a_rule_of_tile_files(tmp_path, changes, message):
    path = toy_programs.tile_file(tmp_path, **changes)
    with pytest.raises(FileFormatError, match=rf"^{path}: array {message}"):
        open_program(path)


@pytest.mark.parametrize("value", [6.0, -2.0, 0.5, np.nan, np.inf, 300.0, 258.0])
@pytest.mark.parametrize("cached", [False, True])
def test_layouts_outside_their_range_are_found_when_read(tmp_path, value, cached):
    values = toy_programs.layouts(9)
    values[7, 1, 4] = value
    path = toy_programs.layout_file(tmp_path, node_config_feat=values)
    program = open_program(path, cache=tmp_path / "cache" if cached else None)
    for read in (program.configurations, lambda: program.configurations(np.array([2, 7])), lambda: [*program.blocks()]):
        with pytest.raises(FileFormatError) as caught:
            read()
        assert str(caught.value) == (
            f"{path}: array 'node_config_feat' must hold whole numbers -1..5, got {np.float32(value)} in "
            "configuration 7, node 1, column 4 of 18"
        )
    if not cached:
        assert program.configurations(np.array([8])).shape == (1, 3, 18)


def test_tiles_that_are_not_finite_are_found_when_read(tmp_path):
    tiles = toy_programs.tile_arrays()["config_feat"]
    tiles[4, 3] = np.nan
    program = open_program(toy_programs.tile_file(tmp_path, config_feat=tiles))
    with pytest.raises(FileFormatError, match="'config_feat' must be finite, got nan in configuration 4, column 3 of"):
        program.configurations()


def test_layouts_in_fortran_order_are_refused(tmp_path):
    path = toy_programs.layout_file(tmp_path, node_config_feat=np.asfortranarray(toy_programs.layouts(9)))
    with pytest.raises(FileFormatError, match="'node_config_feat' must be in C order, got Fortran order"):
        open_program(path).configurations()


def test_files_that_are_no_archives(tmp_path):
    for name, content in {"empty": b"", "text": b"not an archive", "zip": b"PK\x03\x04 and no more"}.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=rf"^{path}: (must be an npz archive|the archive is incomplete)"):
            open_program(path, "tile:xla")
    with pytest.raises(FileFormatError, match=r"absent\.npz: cannot be read: No such file"):
        open_program(tmp_path / "absent.npz", "tile:xla")
    with pytest.raises(FileFormatError, match="cannot be read: Is a directory"):
        open_program(tmp_path, "tile:xla")


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = toy_programs.layout_file(tmp_path)
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match=str(path)):
            open_program(path)


@pytest.mark.parametrize("name", ["node_feat", "edge_index", "config_runtime"])
def test_a_flipped_bit_is_found(tmp_path, name):
    path = toy_programs.layout_file(tmp_path)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
    content = bytearray(path.read_bytes())
    content[info.header_offset + 30 + len(info.filename) + len(info.extra) + info.compress_size // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=rf"^{path}: array '{name}' is incomplete or damaged"):
        open_program(path)


@pytest.mark.parametrize("name", ["node_feat", "node_config_feat"])
def test_a_wrong_checksum_is_found_with_the_last_byte(tmp_path, name):
    path = toy_programs.layout_file(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.getinfo(f"{name}.npy").CRC ^= 1
        archive.writestr("note.txt", "the directory is written anew")
    with pytest.raises(FileFormatError, match=f"array '{name}' is incomplete or damaged: Bad CRC"):
        open_program(path).configurations()


def with_cut_stream(path, arrays, name, *, keep):
    """Write an npz file whose directory is whole, but one array's deflate stream ends early."""
    buffer = io.BytesIO()
    np.save(buffer, arrays[name])
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    stream = packer.compress(buffer.getvalue()) + packer.flush()
    np.savez_compressed(path, **{key: array for key, array in arrays.items() if key != name})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", stream[: int(keep * len(stream))], zipfile.ZIP_STORED)
        info = archive.getinfo(f"{name}.npy")
        info.compress_type = zipfile.ZIP_DEFLATED  # the directory is written on closing
        info.file_size, info.CRC = len(buffer.getvalue()), zlib.crc32(buffer.getvalue())
    return path


def test_a_stream_that_ends_early_is_found_when_read(tmp_path, monkeypatch):
    configs = 300
    values = np.random.default_rng(0).integers(-1, 6, (configs, 3, 18)).astype(np.float32)
    arrays = toy_programs.layout_arrays(configs=configs, node_config_feat=values)
    whole = open_program(
        with_cut_stream(tmp_path / "whole.npz", arrays, "node_config_feat", keep=1.0), "layout:xla:random"
    )
    same_array(whole.configurations(), values.astype(np.int8))
    monkeypatch.setattr(reading, "BLOCK_BYTES", 3_000)
    path = with_cut_stream(tmp_path / "cut.npz", arrays, "node_config_feat", keep=0.8)
    program = open_program(path, "layout:xla:random")
    same_array(program.configurations(np.array([3])), values[[3]].astype(np.int8))  # before the damage
    for read in (program.configurations, lambda: program.configurations(np.array([299]))):
        with pytest.raises(FileFormatError, match=rf"^{path}: array 'node_config_feat' is incomplete or damaged: "):
            read()
    with pytest.raises(FileFormatError, match="'node_config_feat' is incomplete or damaged"):
        open_program(path, "layout:xla:random", cache=tmp_path / "cache").configurations(np.array([3]))


def test_a_header_that_claims_more_than_there_is(tmp_path):
    path = toy_programs.layout_file(tmp_path, config_runtime=None)
    buffer = io.BytesIO()
    header = {"descr": "<i8", "fortran_order": False, "shape": (10**15,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config_runtime.npy", buffer.getvalue())
    with pytest.raises(FileFormatError, match=r"'config_runtime' is incomplete or damaged: shape .* got 128"):
        open_program(path)


def test_the_collection_must_be_known(tmp_path):
    path = toy_programs.save(tmp_path / "somewhere/toy.npz", toy_programs.layout_arrays())
    with pytest.raises(ConfigError, match=r"toy\.npz: the collection must be named or told by the folders"):
        open_program(path)
    assert open_program(path, "layout:nlp:default").collection is Collection.LAYOUT_NLP_DEFAULT
    with pytest.raises(ConfigError, match="got 'layout:nlp:defalt'; did you mean 'layout:nlp:default'"):
        open_program(path, "layout:nlp:defalt")


def written(path, arrays):
    """Write arrays of a toy with the package's writer."""
    graph = ProgramGraph(node_features=arrays["node_feat"], opcodes=arrays["node_opcode"], edges=arrays["edge_index"])
    tile = "config_feat" in arrays
    write_program(
        path,
        graph=graph,
        configurations=arrays["config_feat" if tile else "node_config_feat"],
        runtimes=arrays["config_runtime"],
        configurable=arrays.get("node_config_ids"),
        normalizers=arrays.get("config_runtime_normalizers"),
        splits=arrays.get("node_splits"),
    )
    return path


@pytest.mark.parametrize("make", [toy_programs.layout_arrays, toy_programs.tile_arrays])
def test_written_files_hold_the_real_types_and_equal_bytes(tmp_path, make):
    arrays = make()
    path = written(tmp_path / "a/one.npz", arrays)
    with np.load(path) as found:
        assert sorted(found.files) == sorted(arrays)
        for name, array in arrays.items():
            same_array(found[name], array)
    assert written(tmp_path / "two.npz", arrays).read_bytes() == path.read_bytes()


def test_written_layouts_may_be_bytes(tmp_path):
    arrays = toy_programs.layout_arrays()
    expected = written(tmp_path / "floats.npz", arrays).read_bytes()
    arrays["node_config_feat"] = arrays["node_config_feat"].astype(np.int8)
    assert written(tmp_path / "bytes.npz", arrays).read_bytes() == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config_runtime": np.arange(8)}, r"'config_runtime' must have shape \(9,\), got \(8,\)"),
        ({"node_config_feat": toy_programs.layouts(9) * 3}, "must hold whole numbers -1..5, got 9"),
        ({"node_config_ids": np.array([5, 3, 6])}, "must be increasing"),
        ({"node_config_ids": None}, "either configurable nodes"),
        ({"config_runtime_normalizers": np.ones(9, np.int64)}, "either configurable nodes"),
    ],
)
def test_nothing_is_written_that_breaks_a_rule(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        written(tmp_path / "bad.npz", toy_programs.layout_arrays(**change))
    assert list(tmp_path.iterdir()) == []
