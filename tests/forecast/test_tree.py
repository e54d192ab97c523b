import zipfile

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast import Collection
from gnnsched_env.forecast.data.file_selection import Selection
from gnnsched_env.forecast.data.folder_tree import collections_of, find_programs, open_programs
from gnnsched_env.forecast.encoding.samples import prepare_all
from gnnsched_env.forecast.models.simple_rankers import RandomRanker
from gnnsched_env.forecast.scoring.program_scores import evaluate
from tests.forecast import toy_programs


@pytest.fixture
def root(tmp_path):
    for name in ("b", "a"):
        toy_programs.layout_file(tmp_path, name)
    toy_programs.layout_file(tmp_path, "c", collection="layout/nlp/random", split="test")
    toy_programs.tile_file(tmp_path, "d", split="valid")
    (tmp_path / "npz/layout/xla/default/train/.hidden.npz").write_bytes(b"")
    (tmp_path / "npz/layout/xla/default/train/notes.txt").write_bytes(b"")
    return tmp_path


EXPECTED = {
    Collection.LAYOUT_XLA_DEFAULT: ("train",),
    Collection.LAYOUT_NLP_RANDOM: ("test",),
    Collection.TILE_XLA: ("valid",),
}


def test_the_root_may_be_any_of_three(root):
    (root / "npz_all").mkdir()
    (root / "npz").rename(root / "npz_all/npz")
    for start in (root, root / "npz_all", root / "npz_all/npz"):
        assert collections_of(start) == EXPECTED
        paths = find_programs(start, "layout:xla:default", "train")
        assert [path.name for path in paths] == ["a.npz", "b.npz"]
        assert [program.collection for program in open_programs(paths).programs] == [Collection.LAYOUT_XLA_DEFAULT] * 2


def test_what_is_not_there_is_named(root, tmp_path_factory):
    with pytest.raises(ConfigError, match="no files of tile:xla, split train; found: layout:xla:default: train; "):
        find_programs(root, Collection.TILE_XLA, "train")
    with pytest.raises(ConfigError, match="split must be one of train, valid, test, got 'val'"):
        find_programs(root, Collection.TILE_XLA, "val")
    with pytest.raises(ConfigError, match=r"must hold layout/ or tile/"):
        collections_of(tmp_path_factory.mktemp("empty"))


def test_bad_files_are_reported_skipped_and_counted(root):
    bad = toy_programs.layout_file(root, "aa", node_opcode=np.full(8, 200, np.uint8))
    worse = root / "npz/layout/xla/default/train/ab.npz"
    worse.write_bytes(b"PK")
    lines = []
    paths = find_programs(root, "layout:xla:default", "train")
    opened = open_programs(paths, lines.append)
    assert [program.name for program in opened.programs] == ["a", "b"]
    assert [path for path, _ in opened.skipped] == [bad, worse]
    assert lines[0] == f"skipped: {bad}: array 'node_opcode' must be within 0..120, got 200 at 0"
    assert lines[1].startswith(f"skipped: {worse}: the archive is incomplete")
    assert lines[2] == "2 of 4 files skipped"
    lines.clear()
    assert open_programs(opened_paths(opened), lines.append).skipped == lines == []


def changed_entry(path, name, **changes):
    """Let the archive's directory give another account of a member."""
    with zipfile.ZipFile(path, "a") as archive:
        for field, value in changes.items():
            setattr(archive.getinfo(name), field, value)
        archive.writestr("note.txt", "the directory is written anew")


def replaced(path, name, content):
    with zipfile.ZipFile(path) as archive:
        members = {one: archive.read(one) for one in archive.namelist()} | {name: content}
    with zipfile.ZipFile(path, "w") as archive:
        for one, own in members.items():
            archive.writestr(one, own)


def into_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:500]),
    "text": lambda path: path.write_text("no archive"),
    "folder": into_folder,
    "link to nothing": lambda path: (path.unlink(), path.symlink_to("nowhere")),
    "method": lambda path: changed_entry(path, "node_feat.npy", compress_type=99),
    "encrypted": lambda path: changed_entry(path, "config_runtime.npy", flag_bits=1),
    "no array": lambda path: replaced(path, "edge_index.npy", b"text"),
    "header": lambda path: replaced(path, "edge_index.npy", b"\x93NUMPY\1\0\2\0{["),
    "checksum": lambda path: changed_entry(path, "node_config_feat.npy", CRC=7),
    "method of configurations": lambda path: changed_entry(path, "node_config_feat.npy", compress_type=12),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("cached", [False, True])
def test_one_damaged_file_is_skipped_whatever_its_damage(root, damage, cached):
    bad = toy_programs.layout_file(root, "aa")
    DAMAGES[damage](bad)
    lines = []
    opened = Selection(data=(root,), cache=root / "cache" if cached else None).open(lines.append)
    result = evaluate(RandomRanker(), opened, report=lines.append)
    prepared = prepare_all(opened.programs, lines.append)
    for skipped in (result.skipped, [*opened.skipped, *prepared.skipped]):
        assert [path for path, _ in skipped] == [bad]
    assert [score.name for score in result.scores] == [sample.name for sample in prepared.samples] == ["a", "b"]
    assert lines[0].startswith(f"skipped: {bad}: ")


def opened_paths(opened):
    return [program.path for program in opened.programs]


def test_damaged_configurations_are_found_by_a_thorough_look_or_in_preparing(root, tmp_path):
    values = toy_programs.layouts(9)
    values[8] = 6
    bad = toy_programs.layout_file(root, "aa", node_config_feat=values)
    paths = find_programs(root, "layout:xla:default", "train")
    lines = []
    thorough = open_programs(paths, lines.append, thorough=True)
    assert [path for path, _ in thorough.skipped] == [bad]
    assert lines[-1] == "1 of 3 files skipped"
    lines.clear()
    hasty = open_programs(paths, lines.append, cache=tmp_path / "cache")
    assert len(hasty.programs) == 3 and lines == []
    prepared = prepare_all(hasty.programs, lines.append)
    assert [sample.name for sample in prepared.samples] == ["a", "b"]
    assert [path for path, _ in prepared.skipped] == [bad]
    assert lines[0].startswith(f"skipped: {bad}: array 'node_config_feat' must hold whole numbers -1..5, got 6.0")
    assert lines[1] == "1 of 3 programs skipped"


def test_the_real_tree(tpugraphs):
    assert collections_of(tpugraphs) == {
        Collection.LAYOUT_XLA_DEFAULT: ("train",),
        Collection.TILE_XLA: ("train", "test"),
    }
    counts = {}
    for collection, splits in collections_of(tpugraphs / "npz").items():
        for split in splits:
            opened = open_programs(find_programs(tpugraphs, collection, split), pytest.fail, thorough=True)
            counts[collection, split] = len(opened.programs)
            assert all(program.labelled == (split == "train") for program in opened.programs)
    assert list(counts.values()) == [1, 10, 5]
