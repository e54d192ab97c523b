"""What the demonstration reads; that it runs is shown by continuous integration."""

import os

import pytest

from gnnsched_cli.demo import VARIABLE, graph_files
from gnnsched_env.common.errors import FileFormatError
from tests.commands.running import gnnsched


def test_files_and_folders_are_unfolded_in_order(tmp_path):
    for name in ("B.npz", "A.npz", "notes.txt"):
        (tmp_path / name).touch()
    single = str(tmp_path / "B.npz")
    assert graph_files("") == ()
    assert graph_files(single) == (single,)
    assert graph_files(f"{tmp_path}{os.pathsep}{single}") == (str(tmp_path / "A.npz"), single, single)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"holds no \.npz file"):
        graph_files(str(tmp_path))


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.npz"))
    result = gnnsched("demo")
    assert result.returncode == 2
    assert "none.npz" in result.stderr
    assert "Traceback" not in result.stderr
