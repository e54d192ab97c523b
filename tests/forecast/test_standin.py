import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.folder_lock import writing_folder
from gnnsched_env.forecast.data.program import open_program
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.standin import Size, made, make, plan, tiles, write_standin
from gnnsched_env.forecast.standin import layout_costs as layouts
from gnnsched_env.forecast.standin.standin_programs import SIZES, SPECIALS
from gnnsched_env.forecast.standin.tape import Op, Tape
from gnnsched_env.forecast.standin.training_steps import FAMILIES, FEWEST_NODES
from scripts.studies.tpugraphs_gap import gaps
from tests.twins import forecast_standin as naive

TINY = Size(layouts=(1, 1, 1), tiles=(2, 1, 1), nodes=900, configs=(200, 300))
LAYOUTS = [collection for collection in Collection if not collection.is_tile]


def spec(collection, place=0, split="train", **given):
    size = given.pop("size", SIZES["small"])
    first = next(one for one in plan(0, size) if one.collection == collection and one.split == split)
    return replace(first, place=place, **given)


def special(label):
    (one,) = [each for each in SPECIALS if each.label == label and not (label == "hidden" and each.collection.is_tile)]
    return one


@pytest.fixture(scope="module", params=LAYOUTS)
def program(request):
    return make(spec(request.param, configs=500))


@pytest.fixture(scope="module")
def kernels():
    return [make(spec("tile:xla", place)) for place in range(60)]


def test_the_same_models_stand_in_both_collections_and_test_files_have_md5_names():
    specs = plan(3, replace(SIZES["small"], specials=False))
    counts = Counter((one.collection, one.split) for one in specs)
    assert [counts["layout:nlp:random", split] for split in ("train", "valid", "test")] == [20, 4, 8]
    assert sum(counts["tile:xla", split] for split in ("train", "valid", "test")) == 40
    assert len({one.path for one in specs}) == len(specs)
    names = {collection: [one.name for one in specs if one.collection == collection] for collection in Collection}
    assert names["layout:xla:default"] == names["layout:xla:random"] != names["layout:nlp:random"]
    for one in specs:
        assert one.path.parts[0] == "npz" and Collection.of_path(one.path) is one.collection
        assert (len(one.name) == 32 and set(one.name) <= set("0123456789abcdef")) == (one.split == "test")
    pair = [make(replace(one, configs=200)) for one in specs if one.name == names["layout:xla:default"][0]]
    assert np.array_equal(pair[0].graph.node_features, pair[1].graph.node_features)
    assert np.array_equal(pair[0].graph.edges, pair[1].graph.edges)
    assert pair[0].codes.shape != pair[1].codes.shape or (pair[0].codes != pair[1].codes).any()


def test_a_larger_set_begins_with_a_smaller(tmp_path):
    few, more = Size(layouts=(1, 0, 0), tiles=(1, 0, 0)), Size(layouts=(2, 1, 0), tiles=(3, 0, 0))
    assert {one.path for one in plan(0, few)} < {one.path for one in plan(0, more)}
    for small, large in ((one, two) for one in plan(0, few) for two in plan(0, more) if one.path == two.path):
        assert make(small).write(tmp_path / "few").read_bytes() == make(large).write(tmp_path / "more").read_bytes()


@pytest.mark.slow
def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path):
    seen = []
    size = replace(TINY, tiles=(1, 0, 1))
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        steps = []
        count, written = write_standin(tmp_path / folder, seed, size, report=lambda *step: steps.append(step))  # noqa: B023
        paths = list(made(tmp_path / folder))
        assert steps == [(done, count) for done in range(1, count + 1)]
        assert len(paths) == count and written == sum(path.stat().st_size for path in paths)
        seen.append({path.relative_to(tmp_path / folder).as_posix().replace("_1_", "_0_"): path for path in paths})
    assert all(seen[1][name].read_bytes() == path.read_bytes() for name, path in seen[0].items())
    train = [name for name in seen[0] if "/train/" in name]
    assert len(train) == 5 and all(seen[2][name].read_bytes() != seen[0][name].read_bytes() for name in train)


def test_a_folder_in_use_is_left_alone_and_force_replaces_a_stand_in_only(tmp_path):
    size = Size(layouts=(0, 0, 0), tiles=(2, 0, 0))
    write_standin(tmp_path, 0, size)
    with pytest.raises(ConfigError, match="must be empty unless forced"):
        write_standin(tmp_path, 0, size)
    mine = tmp_path / "npz/tile/xla/train/mine.npz"
    mine.write_bytes(b"real")
    old = list(made(tmp_path))
    write_standin(tmp_path, 1, size, force=True)
    assert mine.read_bytes() == b"real" and not any(path.exists() for path in old)
    note = json.loads((tmp_path / "standin.json").read_text())
    assert "says nothing about real" in note["what"] and note["seed"] == 1
    (tmp_path / "standin.json").unlink()
    with pytest.raises(ConfigError, match=r"must hold standin\.json"):
        write_standin(tmp_path, 1, size, force=True)
    for text in ('{"files": ["../outside.npz"]}', '{"files": ["/etc/passwd"]}'):
        (tmp_path / "standin.json").write_text(text)
        with pytest.raises(ConfigError, match="inside its folder"):
            list(made(tmp_path))
    (tmp_path / "standin.json").write_text("{")
    with pytest.raises(FileFormatError, match="must be a JSON file"):
        list(made(tmp_path))
    for text in ("{}", '{"files": 3}', '{"files": [3]}'):
        (tmp_path / "standin.json").write_text(text)
        with pytest.raises(ConfigError, match="must name its files"):
            list(made(tmp_path))
    with writing_folder(tmp_path), pytest.raises(ConfigError, match="is being written by process"):
        write_standin(tmp_path, 1, size, force=True)


def test_files_read_back(program, tmp_path, kernels):
    for one in (program, kernels[0]):
        read = open_program(one.write(tmp_path))
        assert read.name == one.spec.name and read.collection is one.spec.collection
        assert np.array_equal(read.graph.node_features, one.graph.node_features)
        assert np.array_equal(read.runtimes, one.runtimes) and read.labelled
        assert np.array_equal(read.configurations(), one.configurations)
        if one.splits is not None:
            assert np.array_equal(read.configurable, one.configurable) and np.array_equal(read.splits, one.splits)


def test_edges_lead_forward_and_are_as_many_as_in_real_graphs(program):
    edges, nodes = program.graph.edges, program.graph.num_nodes
    assert (edges[:, 0] > edges[:, 1]).all()
    assert edges.tolist() == sorted(set(map(tuple, edges.tolist()))) or edges.tolist() == [
        list(edge) for edge in sorted(set(map(tuple, edges.tolist())))
    ]
    assert len(edges) / nodes == pytest.approx(1.61, abs=0.01)
    assert (np.bincount(edges.ravel(), minlength=nodes) > 0).all()
    operands = np.bincount(edges[:, 0], minlength=nodes)
    assert operands[program.graph.opcodes != 100].max() <= 5
    assert 20 <= operands[program.graph.opcodes == 100].max() <= 230
    assert program.splits[0] == 0 and program.splits[-1] == nodes and 0 < program.splits[1] < nodes


def test_columns_agree_with_each_other(program):
    features, opcodes = program.graph.node_features, program.graph.opcodes
    assert (features[:, 2:21].sum(axis=1) == 1).all() and not features[:, 1].any()
    groups = [(21, 6), *[(37 + 8 * group, 6) for group in range(6)], (121, 2), (125, 2), (129, 2)]
    for row, opcode in zip(features, opcodes, strict=True):
        shape = naive.dims(row)
        assert row[21:29].tolist() == naive.listed(shape, 6)
        layout = row[134 : 134 + len(shape)].astype(int).tolist()
        assert sorted(layout) == list(range(len(shape))) and not row[134 + len(shape) : 140].any()
        windowed = opcode in (26, 72)
        assert windowed == bool(row[37]) and (opcode == 26) == bool(row[93:107].any())
        if not windowed:
            assert row[37:85].tolist() == [0, 0, 0, 0, 0, 0, 0, 1] * 6
        for first, width in groups:
            if not row[first : first + width].any():
                assert row[first + width + 1] in (0, 1)
        assert row[29] == 0 or row[18] == 1
    assert 70 <= (features != features[0]).any(axis=0).sum() <= 96
    assert features[:, 28].max() <= 3e8


def test_what_may_be_configured_and_how(program):
    opcodes = program.graph.opcodes[program.configurable]
    assert set(opcodes.tolist()) <= {26, 34, 75} and (np.diff(program.configurable) > 0).all()
    nlp = "nlp" in program.spec.collection
    assert len(program.configurable) in ((72, 88, 104, 120, 152, 200, 344) if nlp else range(26, 80))
    assert program.configurations.dtype == np.int8
    for place, opcode in enumerate(opcodes):
        rows = {tuple(row) for row in program.configurations[:, place].tolist()}
        assert len(rows) <= {26: 8, 34: 9, 75: 5}[int(opcode)]
        for row in rows:
            tensors = [[entry for entry in row[first : first + 6] if entry >= 0] for first in (0, 6, 12)]
            assert all(
                row[6 * at + len(tensor) : 6 * at + 6] == (-1,) * (6 - len(tensor)) for at, tensor in enumerate(tensors)
            )
            if opcode == 26:
                assert all(len(tensor) == 2 and len(set(tensor)) == 2 for tensor in tensors)
            elif opcode == 34:
                assert tensors[0] in ([1, 0], [0, 1]) and all(
                    not tensor or sorted(tensor) == [0, 1] for tensor in tensors
                )
            else:
                assert not tensors[2] and all(sorted(tensor) == list(range(len(tensor))) for tensor in tensors)
    unset = (program.configurations < 0).all(axis=2).mean()
    assert 0.02 <= unset <= 0.07


def test_configurations_repeat_and_spread_as_in_real_files(program):
    _, first, group = np.unique(program.codes, axis=0, return_index=True, return_inverse=True)
    again = 1 - len(first) / len(program.codes)
    over = program.noise_free / program.noise_free.min()
    if "default" in program.spec.collection:
        assert 0.36 <= again <= 0.40
        slow = over > 1.6
        assert 0.09 <= slow.mean() <= 0.16
        assert 1.01 <= over[~slow].max() <= 1.11 and over[slow].min() >= 2 and over.max() <= 5
    else:
        assert again < 0.2 and 1.1 <= over.max() <= 5
    assert program.runtimes.min() >= 1e6 * 0.99 and program.runtimes.max() <= 1e9 * 1.01
    assert program.runtimes.dtype == np.int64
    jitter = np.log(program.runtimes / program.noise_free)
    assert 2.5e-4 < jitter.std() < 3.5e-4 and abs(jitter.mean()) < 1e-4
    assert np.array_equal(program.noise_free, program.noise_free[first][group.ravel()])


@pytest.mark.slow
@pytest.mark.parametrize("collection", LAYOUTS)
@pytest.mark.parametrize("place", [1, 2])
def test_runtimes_are_what_the_documentation_says(collection, place):
    program = make(spec(collection, place, configs=120, size=replace(TINY, configs=(109, 120))))
    chosen = range(0, 120, 3)
    work = np.array([naive.work(program.graph, program.configurable, program.configurations[row]) for row in chosen])
    times = program.noise_free[list(chosen)]
    if "default" in collection:
        spilled = [naive.spills(program.graph, program.configurable, program.configurations[row]) for row in chosen]
        assert all(len(nodes) <= 1 for nodes in spilled)
        slow = np.array([len(nodes) == 1 for nodes in spilled])
        assert slow.any() and times[slow].min() > 1.9 * times[~slow].max() / 1.1
        sizes = [naive.num_bytes(program.graph.node_features[nodes[0]]) for nodes in spilled if nodes]
        assert kendalltau(sizes, times[slow])[0] > 0.8 or len(set(sizes)) < 3
        work, times = work[~slow], times[~slow]
    assert naive.same_line(work, times) < 1e-6


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from(list(FAMILIES)))
def test_paths_and_prices_agree_with_the_naive_walk(seed, family):
    rng = np.random.default_rng(seed)
    tape = FAMILIES[family](rng, FEWEST_NODES[family] + int(rng.integers(40))).tape
    work, graph = layouts.work_of(tape, unset=0.05), tape.graph()
    nodes = work.nodes.tolist()
    ends = sorted((nodes[producer], nodes[consumer]) for producer, consumer in work.paths)
    assert ends == sorted(naive.paths(graph, work.nodes)) and ends
    codes = np.stack([work.draw(rng) for _ in range(2)])
    expected = [naive.work(graph, work.nodes, rows) for rows in work.rows(codes)]
    assert work.price(codes) == pytest.approx(np.array(expected) * layouts.NS_PER_BYTE)


@pytest.mark.slow
@pytest.mark.parametrize("collection", LAYOUTS)
def test_linear_models_without_a_graph_stay_behind_the_oracle(collection):
    size = replace(SIZES["small"], layouts=(6, 0, 3))
    specs = [replace(one, configs=300) for one in plan(0, size) if one.collection == collection]
    train, test = ([make(one) for one in specs if one.split == split] for split in ("train", "test"))
    for gap in gaps(train, test):
        assert gap.oracle > 0.85
        assert gap.oracle - gap.within >= 0.1 and gap.oracle - gap.across >= 0.1


@pytest.mark.slow
def test_without_copies_there_is_nothing_for_a_graph_model_to_win(monkeypatch):
    monkeypatch.setattr(layouts, "COPY_RATE", 0.0)
    specs = [
        replace(one, configs=300) for one in plan(0, Size(layouts=(6, 0, 3))) if one.collection == "layout:xla:random"
    ]
    train, test = ([make(one) for one in specs if one.split == split] for split in ("train", "test"))
    found = gaps(train, test)
    assert np.mean([gap.oracle - gap.across for gap in found]) < 0.1


def test_gaps_need_labels():
    hidden = make(replace(special("hidden"), configs=200, nodes=876))
    with pytest.raises(ConfigError, match="labelled layout programs"):
        gaps([hidden], [hidden])
    with pytest.raises(ConfigError, match="at least one"):
        gaps([], [])


def test_kernels_look_like_real_ones(kernels):
    nodes = [kernel.graph.num_nodes for kernel in kernels]
    assert min(nodes) >= 2 and max(nodes) <= 60 and 30 <= np.mean(nodes) <= 50
    convolutions = 0
    for kernel in kernels:
        edges, sizes = kernel.graph.edges, kernel.configurations
        assert (edges[:, 0] > edges[:, 1]).all() and 0.5 <= len(edges) / kernel.graph.num_nodes <= 1.3
        assert sizes.dtype == np.float32 and 2 <= len(sizes) <= 600
        assert len(np.unique(sizes, axis=0)) == len(sizes) and not sizes[:, 16:].any()
        for row in sizes.astype(int).tolist():
            for first in (0, 8, 16):
                columns = row[first : first + 8]
                assert columns == naive.tile_columns([bound for bound in columns[:6] if bound])
        (root,) = np.flatnonzero(kernel.graph.opcodes == 41)
        shape = np.array(naive.dims(kernel.graph.node_features[root]))
        assert (sizes[:, 8 : 8 + len(shape)] <= shape).all() and (sizes[:, 8 : 8 + len(shape)] >= 1).all()
        has = 26 in kernel.graph.opcodes
        convolutions += has
        assert bool(sizes[:, 0].any()) == has
        over = kernel.noise_free.max() / kernel.noise_free.min()
        assert 1 <= over <= 28.5 * 1.001 and kernel.runtimes.min() >= 600 and kernel.runtimes.max() <= 4e6
        assert np.ptp(kernel.normalizers) / kernel.normalizers.mean() <= 0.02
        assert np.abs(np.log(kernel.runtimes / kernel.noise_free)).max() < 0.02
    assert 0 < convolutions < len(kernels)


def test_bigger_tiles_have_less_to_start_but_too_big_ones_spill():
    result = tiles.Tensor(0, (64, 128))
    bounds = np.array([[1, 128], [8, 128], [64, 128]])
    alone = tiles.kernel_times(result, bounds, np.ones((3, 0)), 1, 0, 1000)
    assert alone[0] > alone[1] > alone[2]
    wide = tiles.Tensor(0, (8192, 4096))
    big = tiles.kernel_times(wide, np.array([[256, 512], [8192, 4096]]), np.ones((2, 0)), 1, 0, 1000)
    assert big[1] > big[0]


@pytest.mark.parametrize(("label", "nodes", "configs"), [("20k_nodes", 20_000, 1_000), ("many", 372, 20_000)])
def test_large_specials_have_exact_sizes(label, nodes, configs):
    program = make(special(label))
    assert program.graph.num_nodes == nodes and len(program.runtimes) == configs
    assert special("40k_nodes").nodes == 40_000


def test_odd_specials(tmp_path):
    isolated, rare = (make(replace(special(label), nodes=500, configs=200)) for label in ("isolated", "rare"))
    touched = [np.bincount(one.graph.edges.ravel(), minlength=500) > 0 for one in (isolated, rare)]
    assert (~touched[0]).sum() == 1 and touched[1].all()
    assert (rare.graph.opcodes == 120).sum() == 1 and not (isolated.graph.opcodes == 120).any()
    hidden = make(replace(special("hidden"), nodes=876))
    assert len(hidden.runtimes) == 1_000 and not hidden.runtimes.any() and len(hidden.spec.name) == 32
    assert np.ptp(hidden.noise_free) > 0 and not open_program(hidden.write(tmp_path)).labelled
    (single,) = [make(one) for one in SPECIALS if one.single]
    assert len(np.unique(single.configurations, axis=0)) == 1 < len(single.configurations)
    assert not single.configurations.any() and single.graph.num_nodes == 2
    (unlabelled,) = [make(one) for one in SPECIALS if one.hidden and one.collection.is_tile]
    assert not unlabelled.runtimes.any() and (unlabelled.normalizers == 1).all()
    assert {one.path for one in SPECIALS} <= {one.path for one in plan(0, replace(TINY, specials=True))}
    assert not {one.path for one in SPECIALS} & {one.path for one in plan(0, TINY)}


def test_bad_input():
    for given_, message in (
        ({"nodes": 500}, "nodes must be 876..43615, got 500"),
        ({"nodes": 50_000}, "nodes must be"),
        ({"configs": (10, 100)}, "configs must be two rising numbers, at least 109"),
        ({"configs": (300, 200)}, "configs must be"),
        ({"tiles": (1, -1, 1)}, "entries of tiles must be an integer of at least 0, got -1"),
    ):
        with pytest.raises(ConfigError, match=message):
            Size(**given_)
    with pytest.raises(ConfigError, match="must ask for at least one file, got none"):
        Size(layouts=(0, 0, 0), tiles=(0, 0, 0))
    with pytest.raises(ConfigError, match="seed must be an integer of at least 0, got -1"):
        plan(-1, TINY)
    with pytest.raises(ConfigError, match="nodes must be at least"):
        make(spec("layout:xla:random", nodes=200))


def test_asking_for_more_configurations_than_there_are():
    tape = Tape()
    layouts_ = np.full((3, 18), -1, np.int8)
    layouts_[1:, 0] = 0, 1
    tape.add(Op.RESHAPE, (2, 2), alphabet=layouts_)
    work = layouts.work_of(tape, unset=0.05)
    assert len(layouts.random_codes(np.random.default_rng(0), work, 3)) == 3
    with pytest.raises(ConfigError, match="4 different ones were asked for, got 3"):
        layouts.random_codes(np.random.default_rng(0), work, 4)
