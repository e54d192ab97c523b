"""Locks of folders: one writer at a time, in any process, and none left behind."""

import multiprocessing
import os

import pytest

from gnnsched_env.common import folder_lock
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.folder_lock import LOCK, writing_folder


def _hold(folder, pipe):
    with writing_folder(folder):
        pipe.send("held")
        pipe.recv()


@pytest.fixture
def holder(tmp_path):
    """Return a process that holds tmp_path / "run", and a function that ends it."""
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    ours, pipe = context.Pipe()
    process = context.Process(target=_hold, args=(tmp_path / "run", pipe))
    process.start()
    assert ours.poll(30)

    def release():
        ours.send("end")
        process.join()

    yield process, release
    process.kill()
    process.join()


def test_another_process_is_refused_by_name_and_takes_its_turn(holder, tmp_path):
    process, release = holder
    with pytest.raises(ConfigError, match=rf"^folder {tmp_path}/run: is being written by process {process.pid};"):
        writing_folder(tmp_path / "run").__enter__()
    release()
    with writing_folder(tmp_path / "run"):
        assert (tmp_path / "run" / LOCK).read_text() == str(os.getpid())
    assert list((tmp_path / "run").iterdir()) == []


def test_a_killed_process_holds_nothing(holder, tmp_path):
    process, _ = holder
    process.kill()
    process.join()
    assert (tmp_path / "run" / LOCK).exists()
    with writing_folder(tmp_path / "run"):
        pass
    assert not (tmp_path / "run" / LOCK).exists()


def test_a_second_writer_in_the_same_process_is_refused(tmp_path):
    with writing_folder(tmp_path):
        with pytest.raises(ConfigError, match=f"process {os.getpid()};"):
            writing_folder(tmp_path).__enter__()
        assert (tmp_path / LOCK).exists()


def test_a_lock_file_that_its_writer_deletes_meanwhile_is_no_lock(tmp_path, monkeypatch):
    lock = folder_lock._lock
    calls = []

    def after_the_other_ended(file):
        calls.append(file)
        if len(calls) == 1:
            (tmp_path / LOCK).unlink()
        lock(file)

    monkeypatch.setattr(folder_lock, "_lock", after_the_other_ended)
    with writing_folder(tmp_path):
        assert (tmp_path / LOCK).read_text() == str(os.getpid())
        with pytest.raises(ConfigError, match="is being written"):
            writing_folder(tmp_path).__enter__()
    assert len(calls) == 3


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"folder .*file: cannot be written"):
        writing_folder(tmp_path / "file").__enter__()


def test_a_file_system_without_locks_is_written_all_the_same(tmp_path, monkeypatch):
    def refuse(file):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(folder_lock, "_lock", refuse)
    with writing_folder(tmp_path):
        pass
    with writing_folder(None):
        pass
