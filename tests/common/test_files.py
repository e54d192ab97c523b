"""Files come whole or not at all, whatever happens while they are written."""

import multiprocessing
import os
import resource
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from gnnsched_env.common.errors import FileFormatError, reason
from gnnsched_env.common.files import PARTIALS, read_json, read_npz, read_toml, write_npz, write_whole
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


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("no")])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(target, error):
    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises(type(error)) as caught:
        write_whole(target, fail)
    assert caught.value is error
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
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
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


def test_a_folder_that_cannot_be_written_raises(target, tmp_path):
    with pytest.raises(OSError, match="Not a directory"):
        write_whole(target / "below", lambda file: file.write(b"x"), parents=False)
    with pytest.raises(OSError, match="file"):
        write_whole(target / "below", lambda file: file.write(b"x"))
    with pytest.raises(IsADirectoryError):
        write_whole(target.parent, lambda file: file.write(b"x"))
    assert content(target.parent) == {"file": b"before"} and list(tmp_path.iterdir()) == [target.parent]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
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
