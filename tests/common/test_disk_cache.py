"""The disk cache: whole entries or none, damage is mended, nothing is fatal."""

import multiprocessing
import os
import signal

import numpy as np
import pytest

from gnnsched_env.common import disk_cache as cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


class Builder:
    """Builds an array and counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"numbers": np.arange(1_000)}


def test_a_second_call_builds_nothing(folder):
    build = Builder()
    for _ in range(2):
        assert cache.cached("key", ["numbers"], build)["numbers"].tolist() == list(range(1_000))
    assert build.calls == 1
    assert [path.name for path in folder.iterdir()] == ["key.npz"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "foreign", "lacking", "array"])
def test_a_damaged_entry_is_built_anew_with_a_warning(folder, damage, capsys):
    build = Builder()
    cache.cached("key", ["numbers"], build)
    path = folder / "key.npz"
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[len(content) // 3] ^= 0xFF
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        path.write_bytes(b"not an archive")
    elif damage == "lacking":
        np.savez(path, other=np.arange(3))
    else:
        with path.open("wb") as file:
            np.save(file, np.arange(3))
    assert cache.cached("key", ["numbers"], build)["numbers"].tolist() == list(range(1_000))
    warning = capsys.readouterr().err
    assert warning.startswith(f"warning: {path}: damaged cache entry is built anew (")
    assert warning.count("\n") == 1
    assert build.calls == 2
    cache.cached("key", ["numbers"], build)
    assert build.calls == 2


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "file"))
    assert len(cache.cached("key", ["numbers"], Builder())["numbers"]) == 1_000
    assert "not kept in the cache" in capsys.readouterr().err


def _killed_while_writing(folder):
    os.environ[cache.CACHE_VARIABLE] = str(folder)

    def write_half(file, **arrays):
        file.write(b"half of it")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    np.savez_compressed = write_half
    cache.cached("key", ["numbers"], Builder())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_killed_writer_leaves_no_broken_entry(folder):
    process = multiprocessing.get_context("fork").Process(target=_killed_while_writing, args=(folder,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (folder / "key.npz").exists()
    build = Builder()
    cache.cached("key", ["numbers"], build)
    cache.cached("key", ["numbers"], build)
    assert build.calls == 1


def _write_often(folder, start):
    os.environ[cache.CACHE_VARIABLE] = str(folder)
    start.wait()
    for _ in range(30):
        cache.write_npz(folder / "key.npz", {"numbers": np.arange(1_000)})


def test_concurrent_writers_leave_a_whole_entry(folder):
    folder.mkdir()
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    start = context.Barrier(3)
    writers = [context.Process(target=_write_often, args=(folder, start)) for _ in range(2)]
    for writer in writers:
        writer.start()
    start.wait()
    for writer in writers:
        writer.join()
    build = Builder()
    assert len(cache.cached("key", ["numbers"], build)["numbers"]) == 1_000
    assert build.calls == 0
    assert [path.name for path in folder.iterdir()] == ["key.npz"]


def test_keys_follow_the_content_alone():
    assert cache.content_key(a=1, b=[2]) == cache.content_key(b=[2], a=1) != cache.content_key(a=1, b=[3])


def test_edited_sources_change_the_code_digest(monkeypatch, tmp_path):
    (tmp_path / "room").mkdir()
    source = tmp_path / "room" / "module.py"
    monkeypatch.setattr(cache, "PACKAGE", tmp_path)
    digests = []
    for text in ("a = 1", "a = 2", "a = 1"):
        source.write_text(text)
        cache.code_digest.cache_clear()
        digests.append(cache.code_digest("room"))
    cache.code_digest.cache_clear()
    assert digests[0] == digests[2] != digests[1]


def test_the_default_folder_is_the_users_cache(monkeypatch):
    monkeypatch.delenv(cache.CACHE_VARIABLE)
    assert "gnnsched" in str(cache.cache_folder())
