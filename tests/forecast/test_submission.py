"""The submission: what is written, read back, refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.scoring.submission import read_submission, submission_id, top_configs, write_submission

LAYOUT = Collection.LAYOUT_NLP_RANDOM
TILE = Collection.TILE_XLA
ONE, TWO = "layout:nlp:random:0a1b", "tile:xla:ffee"


def test_ids_and_rows_are_the_competition_s(tmp_path):
    path = tmp_path / "deep" / "submission.csv"
    layout = top_configs(LAYOUT, [3.0, 1.0, 2.0, 0.5, 9.0, 8.0])
    tile = top_configs(TILE, [3.0, 1.0, 2.0, 0.5, 9.0, 8.0])
    assert submission_id(LAYOUT, "0a1b") == ONE
    assert write_submission(path, [(ONE, layout), (TWO, tile)]) == 2
    assert path.read_bytes() == b"ID,TopConfigs\nlayout:nlp:random:0a1b,3;1;2;0;5;4\ntile:xla:ffee,3;1;2;0;5\n"


@given(st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False))
def test_what_is_written_is_read_back(tmp_path_factory, layouts, tiles, random):
    path = tmp_path_factory.mktemp("rows") / "submission.csv"
    rows = {
        ONE: top_configs(LAYOUT, [random.random() for _ in range(layouts)]),
        TWO: top_configs(TILE, [random.random() for _ in range(tiles)]),
    }
    write_submission(path, rows.items())
    for counts in (None, {ONE: layouts, TWO: tiles}):
        read = read_submission(path, counts)
        assert list(read) == list(rows)
        assert all(np.array_equal(read[key], rows[key]) for key in rows)


def test_a_ranking_of_a_hundred_thousand_is_read(tmp_path):
    ranked = np.random.default_rng(0).permutation(100_000)
    write_submission(tmp_path / "long.csv", [(ONE, ranked)])
    assert np.array_equal(read_submission(tmp_path / "long.csv", {ONE: 100_000})[ONE], ranked)


def test_a_layout_row_holds_duplicates_and_a_tile_row_does_not():
    scores, groups = [2.0, 1.0, 1.0, 0.0, 1.0, 3.0], [0, 1, 1, 2, 1, 3]
    assert top_configs(LAYOUT, scores, groups).tolist() == [3, 1, 2, 4, 0, 5]
    assert top_configs(TILE, scores, groups).tolist() == [3, 1, 0, 5]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id,top"], "line 1 must be ID,TopConfigs, got 'id,top'"),
        ([], "line 1 must be ID,TopConfigs, got ''"),
        (["ID,TopConfigs", "tile:xla:ffee"], "line 2: must hold 2 values, got 1"),
        (["ID,TopConfigs", "tile:xla:ffee,1,2"], "line 2: must hold 2 values, got 3"),
        (["ID,TopConfigs", "tile:nlp:ffee,1"], "line 2: ID must be collection:file, got 'tile:nlp:ffee'"),
        (["ID,TopConfigs", "tile:xla:,1"], "ID must be collection:file"),
        (["ID,TopConfigs", "tile:xla:ffee,1;x"], "indices separated by semicolons, got 'x'"),
        (["ID,TopConfigs", "tile:xla:ffee,"], "indices separated by semicolons, got ''"),
        (["ID,TopConfigs", "tile:xla:ffee,-1"], "indices separated by semicolons, got '-1'"),
        (["ID,TopConfigs", "tile:xla:ffee,1;1"], "line 2: each index must be named once"),
        (["ID,TopConfigs", "tile:xla:ffee,1;2;3;4;5;6"], "must name 1 to 5 configurations, got 6"),
        (["ID,TopConfigs", "layout:nlp:random:0a1b,0;2"], "indices must be below 2, got 2"),
        (["ID,TopConfigs", "tile:xla:ffee,1", "tile:xla:ffee,2"], "line 3: tile:xla:ffee comes twice"),
    ],
)
def test_a_broken_submission_is_named(tmp_path, lines, message):
    path = tmp_path / "submission.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(FileFormatError, match=message) as caught:
        read_submission(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({ONE: 3}, "line 3: tile:xla:ffee is not among the 1 files"),
        ({ONE: 4, TWO: 9}, "line 2: must name 4 configurations, got 3"),
        ({ONE: 3, TWO: 7}, "line 3: indices must be below 7, got 7"),
        ({ONE: 3, TWO: 9, "tile:xla:00": 2}, r"got none for tile:xla:00 \(1 missing\)"),
    ],
)
def test_a_submission_for_other_files_is_named(tmp_path, counts, message):
    path = tmp_path / "submission.csv"
    write_submission(path, [(ONE, np.array([2, 0, 1])), (TWO, np.array([7, 1]))])
    read_submission(path, {ONE: 3, TWO: 9})
    with pytest.raises(FileFormatError, match=message):
        read_submission(path, counts)


def test_what_is_no_text_is_named(tmp_path):
    path = tmp_path / "submission.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="the text is incomplete or damaged: 'utf-8' codec"):
        read_submission(path)


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    path = tmp_path / "submission.csv"
    with pytest.raises(ConfigError, match="tile:xla:ffee comes twice"):
        write_submission(path, [(TWO, np.array([1])), (TWO, np.array([2]))])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="must hold no colon"):
        submission_id(TILE, "a:b")
