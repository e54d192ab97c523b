"""Parts of a file's configurations: what is read, what is refused."""

import json

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.forecast.data.program import open_program
from gnnsched_env.forecast.data.row_splits import check_apart, part_of, read_split
from tests.forecast.little_files import layout_file


def test_parts_are_rows(tmp_path):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": [0, 3, 1], "held": [2]}))
    parts = read_split(path)
    program = open_program(layout_file(tmp_path, configs=4))
    assert part_of(path, parts, "train", program).tolist() == [0, 3, 1]
    with pytest.raises(ConfigError, match="one of train, held, got 'trian'; did you mean 'train'"):
        part_of(path, parts, "trian", program)
    small = open_program(layout_file(tmp_path, name="small", configs=3))
    with pytest.raises(FileFormatError, match=r"split.json: part 'train': rows of small must be in 0..2, got 3"):
        part_of(path, parts, "train", small)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be a JSON file"),
        ("[1, 2]", "object, got list"),
        ("{}", "object of named lists"),
        ('{"a": []}', "part 'a' must be a list of rows"),
        ('{"a": [1], "b": [1.5]}', "part 'b' must be a list of rows"),
        ('{"a": [-1]}', "part 'a' must be a list of rows"),
        ('{"a": [true]}', "part 'a' must be a list of rows"),
        ('{"a": "12"}', "part 'a' must be a list of rows"),
        ('{"a": [4, 4]}', "part 'a' must name each row once"),
    ],
)
def test_what_is_no_split_is_named(tmp_path, text, message):
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_split(path)
    assert str(path) in str(caught.value)


def test_a_duplicate_of_what_was_trained_on_may_not_be_scored(tmp_path):
    program = open_program(layout_file(tmp_path, configs=6, repeats=2))
    rows = program.configurations().reshape(12, -1)
    same = np.flatnonzero((rows == rows[0]).all(axis=1))
    others = np.flatnonzero(~(rows == rows[0]).all(axis=1))
    check_apart(program, same, others)
    with pytest.raises(ConfigError, match=f"1 rows to score, row {same[1]} first"):
        check_apart(program, np.append(others, same[0]), same[1:])
    with pytest.raises(ConfigError, match=f"share no row, got {same[0]} in both"):
        check_apart(program, np.append(others, same[0]), same)
