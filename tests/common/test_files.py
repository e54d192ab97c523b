"""Files come whole or not at all, whatever happens while they are written."""

import errno
import io
import multiprocessing
import os
import re
import signal
import threading
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gnnsched_env.common import files
from gnnsched_env.common.errors import ConfigError, FileFormatError, reason
from gnnsched_env.common.files import (
    PARTIALS,
    read_json,
    read_npz,
    read_toml,
    reading,
    write_json,
    write_npz,
    write_rows,
    write_whole,
)
from gnnsched_env.forecast.data.npz_streaming import read_members
from gnnsched_env.graphs.formats import load_graph_set
from gnnsched_env.graphs.loaders import load_edge_list


@pytest.fixture
def target(tmp_path):
    """Return a file that holds "before", alone in its folder."""
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    path.write_bytes(b"before")
    return path


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_is_made_or_replaced(target):
    write_whole(target, lambda file: file.write(b"after"))
    write_whole(os.fspath(target.with_name("new")), lambda file: file.write(b"new"))
    assert content(target.parent) == {"file": b"after", "new": b"new"}


def test_missing_folders_are_made_unless_they_must_be_there(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    with pytest.raises(FileNotFoundError):
        write_whole(path, lambda file: file.write(b"x"), parents=False)
    assert not list(tmp_path.iterdir())
    write_whole(path, lambda file: file.write(b"x"))
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("error", [OSError(5, "Input/output error", "other"), KeyboardInterrupt(), ValueError("no")])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(target, error):
    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises(type(error)) as caught:
        write_whole(target, fail)
    assert caught.value is error
    assert content(target.parent) == {"file": b"before"}


@pytest.mark.parametrize("write", [write_npz, write_json, lambda path, value: write_rows(path, ["a"], [value])])
def test_a_disk_that_is_full_is_told_with_the_file(target, write, monkeypatch):
    def full(file):
        raise OSError(28, "No space left on device")  # as the system has it: without a file

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write(target, {"a": 1})
    assert caught.value.filename == str(target)
    assert content(target.parent) == {"file": b"before"}


def test_errors_name_the_target_and_not_the_file_beside_it(tmp_path):
    (tmp_path / "folder").mkdir()
    closed = tmp_path / "gone" / "out.png"
    for path, kind in ((closed, FileNotFoundError), (tmp_path / "folder", IsADirectoryError)):
        with pytest.raises(kind) as caught:
            write_whole(path, lambda file: file.write(b"x"), parents=False)
        assert caught.value.filename == str(path)
        assert str(path) in str(caught.value) and "partial" not in str(caught.value)
    assert not list((tmp_path / "folder").iterdir())


def test_a_full_disk_leaves_the_old_file_and_nothing_else(target):
    resource = pytest.importorskip("resource", reason="the system limits no file sizes")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match=f"File too large: '{target}'"):
            write_npz(target, {"noise": np.random.default_rng(0).random(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert content(target.parent) == {"file": b"before"}


def _killed(path):
    def write(file):
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    write_whole(path, write)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_killed_write_leaves_the_old_file_and_a_partial_one(target):
    process = multiprocessing.get_context("fork").Process(target=_killed, args=(target,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (partial,) = target.parent.glob(PARTIALS)
    partial.unlink()
    assert content(target.parent) == {"file": b"before"}


def test_writers_at_once_do_not_disturb_each_other(target):
    together = threading.Barrier(4)

    def write(letter):
        def fill(file):
            for _ in range(3):
                together.wait()
                file.write(letter * 10)

        write_whole(target, fill)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(content(target.parent)) == ["file"]
    assert target.read_bytes() in {letter * 30 for letter in (b"a", b"b", b"c", b"d")}


@pytest.mark.parametrize("refused", [2, 3])
def test_a_file_that_is_being_read_is_replaced_soon_after(target, refused, monkeypatch):
    """Windows refuses to replace a file that is open; here, the first times that it is asked."""
    replace, calls = Path.replace, []

    def reluctant(self, to):
        calls.append(to)
        if len(calls) <= refused:
            raise PermissionError(errno.EACCES, "Access is denied", str(self))
        return replace(self, to)

    monkeypatch.setattr(Path, "replace", reluctant)
    monkeypatch.setattr(files, "_WAITS_S", (0.0, 0.0))
    if refused == 2:
        write_whole(target, lambda file: file.write(b"after"))
        assert content(target.parent) == {"file": b"after"}
    else:
        with pytest.raises(PermissionError, match=f"Access is denied: {str(target)!r}"):
            write_whole(target, lambda file: file.write(b"after"))
        assert content(target.parent) == {"file": b"before"}
    assert len(calls) == 3


def test_a_folder_that_cannot_be_written_raises(target, tmp_path):
    with pytest.raises(OSError, match="Not a directory"):
        write_whole(target / "below", lambda file: file.write(b"x"), parents=False)
    with pytest.raises(OSError, match="file"):
        write_whole(target / "below", lambda file: file.write(b"x"))
    with pytest.raises(IsADirectoryError):
        write_whole(target.parent, lambda file: file.write(b"x"))
    assert content(target.parent) == {"file": b"before"} and list(tmp_path.iterdir()) == [target.parent]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere, as on Windows")
def test_a_read_only_folder_raises(target):
    target.parent.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            write_whole(target, lambda file: file.write(b"x"))
    finally:
        target.parent.chmod(0o700)
    assert content(target.parent) == {"file": b"before"}


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / ("ü" * 127)
    write_whole(path, lambda file: file.write(b"x"))
    assert content(tmp_path) == {path.name: b"x"}


def test_a_file_is_as_readable_as_one_opened_for_writing(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_whole(tmp_path / "whole", lambda file: file.write(b""))
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_is_no_file_is_not_replaced_by_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="Not a regular file"):
        write_whole(pipe, lambda file: file.write(b"x"))
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]


def test_equal_arrays_give_equal_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_npz(tmp_path / name, {"x": np.arange(5), "y": np.zeros((2, 3))})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as file:
        assert file.files == ["x", "y"] and file["x"].tolist() == [0, 1, 2, 3, 4]


READERS = (read_npz, read_json, read_toml)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("path", [None, 3, b"a.npz", "a\0b", True])
def test_what_is_no_path_is_refused(read, path):
    with pytest.raises(FileFormatError, match="must be named by a path"):
        read(path)


@pytest.mark.parametrize("read", [*READERS, load_graph_set, load_edge_list])
def test_a_pipe_is_refused_instead_of_waited_for(read, tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(FileFormatError, match="must be a regular file, not a pipe or a device"):
        read(tmp_path / "pipe.npz")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b"a = " + b"[" * 100_000,
        b"a = " + b"9" * 5001,
        b"\xff\xfe\x00",
        b"PK\x03\x04",
        b"\x93NUMPY",
    ],
)
def test_damage_ends_in_an_error_of_our_own_or_in_content(read, content, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(content)
    try:
        assert isinstance(read(file), dict)
    except FileFormatError as error:
        assert str(file) in str(error)


@pytest.mark.parametrize(("read", "content"), [(read_json, '{"a": 1}'), (read_toml, "a = 1\r\n")])
def test_a_byte_order_mark_is_no_content(read, content, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"\xef\xbb\xbf" + content.encode())
    assert read(file) == {"a": 1}


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def with_entry(path, **changes):
    """Write an npz file whose directory gives another account of its only member, x.npy."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(np.arange(5)))
        for name, value in changes.items():
            setattr(archive.filelist[0], name, value)


def with_members(path, *members, method=zipfile.ZIP_STORED):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in members:
            archive.writestr(name, content)


def lzma_of_other_content(path):
    with_members(path, ("x.npy", npy(np.arange(5_000))), method=zipfile.ZIP_LZMA)
    content = bytearray(path.read_bytes())
    content[60:90] = b"\xff" * 30
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: with_entry(path, compress_type=99), "compression method"),
        (lambda path: with_entry(path, flag_bits=1), "is encrypted"),
        (lambda path: with_entry(path, flag_bits=0x20), "compressed patched data"),
        (lambda path: with_entry(path, CRC=7), "Bad CRC-32"),
        (lambda path: with_entry(path, header_offset=9), "Bad magic number"),
        (lambda path: with_entry(path, compress_size=3), "Bad CRC-32"),
        (lambda path: with_members(path, ("x.npy", b"text")), "magic string"),
        (lambda path: with_members(path, ("x.npy", npy(np.arange(3)) + b"more")), "bytes follow|got 156"),
        (lambda path: with_members(path, ("x.npy", npy(np.array([{}]), allow_pickle=True))), "is pickled; only plain"),
        (
            lambda path: with_members(path, ("x.npy", b"\x93NUMPY\1\0\xff\xff" + b" " * 65_535)),
            "header that is too long",
        ),
        (lambda path: with_members(path, ("x.npy", b"\x93NUMPY\1\0\2\0{[")), "EOF in multi-line"),
        (lzma_of_other_content, "Corrupt input data|Invalid or unsupported"),
    ],
)
@pytest.mark.parametrize(
    "read", [read_npz, lambda path: {name: one.read() for name, one in read_members(path).items()}]
)
def test_what_is_wrong_with_a_member_is_said_in_one_line(read, damage, said, tmp_path):
    path = tmp_path / "a.npz"
    damage(path)
    with pytest.raises(FileFormatError, match=rf"^{path}: array 'x' .*({said})") as caught:
        read(path)
    assert not re.search("\n|unsafe|allow_pickle", str(caught.value))


@pytest.mark.parametrize("read", [read_npz, read_members])
def test_a_member_that_a_damaged_directory_hides_is_missed(read, tmp_path):
    path = tmp_path / "a.npz"
    with_members(path, ("x.npy", npy(np.arange(3))), ("y.npy", npy(np.arange(2))))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 32] = len(b"y.npy") + 46  # x's comment, which takes in y's entry
    path.write_bytes(content)
    assert zipfile.ZipFile(path).namelist() == ["x.npy"]
    with pytest.raises(FileFormatError, match="the directory must hold 2 members, got 1"):
        read(path)


def test_members_without_an_ending_are_arrays_and_each_name_is_there_once(tmp_path):
    path = tmp_path / "a.npz"
    with_members(path, ("x", npy(np.arange(3))), ("y.npy", npy(np.arange(2))))
    assert {name: array.tolist() for name, array in read_npz(path).items()} == {"x": [0, 1, 2], "y": [0, 1]}
    for other in ("x", "x.npy"):
        with_members(path, ("x", npy(np.arange(3))), (other, npy(np.arange(2))))
        with pytest.raises(FileFormatError, match="array 'x' must be there once"):
            read_npz(path)


def test_an_error_of_ours_passes_with_the_name_of_the_file():
    for error in (ConfigError("a.npz: depth must be 1"), ConfigError("depth must be 1")):
        with pytest.raises((ConfigError, FileFormatError), match=r"^a\.npz: depth must be 1$"), reading("a.npz"):
            raise error
    with pytest.raises(FileFormatError, match=r"^a\.npz: the content lacks 'width'$"), reading("a.npz"):
        {}["width"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("records"), "'records' is missing"),
        (FileNotFoundError(2, "No such file or directory", "x"), "No such file or directory"),
        (ValueError("not a number"), "not a number"),
    ],
)
def test_a_reason_is_never_a_bare_key_or_number(error, told):
    assert reason(error) == told


@pytest.mark.parametrize("read", [read_json, read_npz, read_toml, load_graph_set])
def test_a_name_that_is_too_long_is_told_as_any_unreadable_file(read):
    with pytest.raises(FileFormatError, match="cannot be read: File name too long"):
        read(Path("n" * 300 + ".npz"))
