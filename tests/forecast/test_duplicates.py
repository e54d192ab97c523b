import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast import open_program
from gnnsched_env.forecast.data import npz_streaming as reading
from gnnsched_env.forecast.data.duplicates import merge, noise
from tests.forecast import toy_programs
from tests.twins import forecast_files as naive_files


def repeated(tmp_path_factory, drawn, *, tile=False):
    """Return a program in which equal numbers drawn stand for equal configurations."""
    folder = tmp_path_factory.mktemp("programs")
    make = toy_programs.tile_file if tile else toy_programs.layout_file
    key = "config_feat" if tile else "node_config_feat"
    arrays = toy_programs.tile_arrays(configs=4) if tile else toy_programs.layout_arrays(configs=4)
    array = arrays[key].copy()
    array[:, ..., 0] = np.arange(4).reshape(-1, *[1] * (array.ndim - 2))
    changes = {key: array[np.array(drawn)], "configs": len(drawn)}
    return open_program(make(folder, **changes))


@settings(max_examples=40)
@given(drawn=st.lists(st.integers(0, 3), min_size=1, max_size=12), data=st.data(), tile=st.booleans())
def test_merging_agrees_with_the_slow_twin(tmp_path_factory, drawn, data, tile):
    program = repeated(tmp_path_factory, drawn, tile=tile)
    everything = st.permutations(range(len(drawn)))
    rows = data.draw(st.none() | everything.flatmap(lambda p: st.integers(1, len(p)).map(lambda k: p[:k])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK_BYTES", 700)
        found = merge(program, None if rows is None else np.array(rows))
    asked = list(range(len(drawn))) if rows is None else rows
    whole = program.configurations()
    firsts, groups, means = naive_files.merged(whole, program.targets(), asked)
    assert found.rows.tolist() == firsts
    assert found.groups.tolist() == groups
    np.testing.assert_allclose(found.targets, means, rtol=1e-14)
    np.testing.assert_array_equal(found.configurations, whole[firsts])
    assert found.configurations.dtype == whole.dtype
    assert found.counts.tolist() == np.bincount(groups).tolist()


@settings(max_examples=40)
@given(drawn=st.lists(st.integers(0, 3), min_size=5, max_size=20))
def test_noise_agrees_with_the_slow_twin(tmp_path_factory, drawn):
    program = repeated(tmp_path_factory, drawn)
    measured = noise(program)
    median, deviation = naive_files.noise(drawn, program.targets().tolist())
    assert measured.median_difference == pytest.approx(median, rel=1e-12)
    assert measured.log_deviation == pytest.approx(deviation, rel=1e-9)
    assert (measured.configurations, measured.rows) == (len(set(drawn)), len(drawn))
    assert measured.repeated == sum(drawn.count(value) > 1 for value in set(drawn))


def test_signs_of_zero_do_not_part_equal_tiles(tmp_path):
    tiles = np.zeros((2, 24), dtype=np.float32)
    tiles[1] = -0.0
    program = open_program(toy_programs.tile_file(tmp_path, configs=2, config_feat=tiles))
    assert merge(program).rows.tolist() == [0]


def test_noise_is_nan_without_repeats_or_labels(tmp_path_factory, tmp_path):
    alone = noise(repeated(tmp_path_factory, [0, 1, 2]))
    assert math.isnan(alone.median_difference) and math.isnan(alone.log_deviation)
    path = toy_programs.layout_file(
        tmp_path, configs=4, node_config_feat=np.zeros((4, 3, 18), np.float32), config_runtime=np.zeros(4, np.int64)
    )
    unlabelled = noise(open_program(path))
    assert math.isnan(unlabelled.median_difference) and unlabelled.repeated == 1
    assert merge(open_program(path)).targets.tolist() == [0.0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 9], r"within 0\.\.8 for .*toy\.npz, got 9"),
        ([-1], "got -1"),
        ([2, 1, 2], "must differ from each other, got 2 twice"),
        ([], "k above 0"),
        ([0.5], "must be integers"),
    ],
)
def test_bad_rows_are_refused(tmp_path, rows, message):
    with pytest.raises(ConfigError, match=message):
        merge(open_program(toy_programs.layout_file(tmp_path)), np.array(rows))


@pytest.mark.slow
def test_memory_of_merging_is_that_of_the_different_rows(tmp_path):
    configs, nodes = 20_000, 40  # 57.6 MB as floats, 14.4 MB as bytes; 200 rows differ
    features = np.zeros((nodes, 140), dtype=np.float32)
    drawn = toy_programs.layouts(200, nodes=nodes)[np.random.default_rng(1).integers(0, 200, configs)]
    path = toy_programs.layout_file(
        tmp_path,
        configs=configs,
        node_feat=features,
        node_opcode=np.full(nodes, 26, np.uint8),
        node_config_ids=np.arange(nodes),
        node_config_feat=drawn,
        node_splits=None,
    )
    del drawn
    tracemalloc.start()
    try:
        merged = merge(open_program(path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(merged.rows) == 200
    assert peak < 24e6  # some blocks of 4 MiB


def test_the_real_file(alexnet):
    program = open_program(alexnet)
    found = noise(program)
    assert (found.rows, found.configurations, found.repeated) == (47_712, 29_905, 9_978)
    assert round(found.median_difference * 100, 2) == 0.03  # per cent
    assert found.log_deviation == pytest.approx(3.63e-4, rel=0.01)
