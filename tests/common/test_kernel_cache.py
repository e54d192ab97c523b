"""Kernels on disk: compiled once, kept apart by sources, mended where damaged, never fatal."""

import multiprocessing
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numba
import numpy as np
import pytest

from gnnsched_env.common import compiled
from gnnsched_env.common import kernel_cache as cache

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="the JIT is off")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A cache folder and a temporary folder of the test's own."""
    monkeypatch.setenv("GNNSCHED_CACHE", str(tmp_path / "cache"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setitem(sys.modules, add_one.__module__, sys.modules[__name__])
    return tmp_path


def add_one(number):
    return number + 1


add_one.__module__ = "gnnsched_env.made_up"  # only the project's kernels are kept


def compilations(argument=1, decorate=compiled.kernel):
    """Do what a new process does with a kernel; return how often it was compiled."""
    kernel = decorate(add_one)
    assert kernel(argument) == argument + 1
    return sum(kernel.stats.cache_misses.values())


def kept(folder):
    return sorted(folder.rglob("*.nbc"))


def test_a_kernel_is_compiled_once_for_each_kind_of_arguments(home):
    assert [compilations(argument) for argument in (1, 1, 1.5, 1, 1.5)] == [1, 0, 1, 0, 0]
    assert len(kept(home / "cache" / "kernels")) == 2


def test_kernels_of_others_and_closures_are_not_kept(home, monkeypatch):
    further = 1

    def add(number):
        return number + further

    add.__module__ = "gnnsched_env.made_up"
    assert compiled.kernel(add)(1) == 2
    monkeypatch.setattr(add_one, "__module__", "somebody.else")
    assert [compilations(), compilations()] == [1, 1]
    assert not kept(home)


@pytest.mark.parametrize("damage", ["empty", "short", "flipped", "folder"])
def test_a_damaged_file_is_compiled_again(home, damage):
    compilations()
    (file,) = kept(home)
    content = file.read_bytes()
    if damage == "empty":
        file.write_bytes(b"")
    elif damage == "short":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        file.write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])
    else:
        file.unlink()
        file.mkdir()
        (file / "something").touch()
    assert [compilations(), compilations()] == [1, 0]


def test_a_kernel_that_cannot_be_loaded_is_compiled_again_with_a_warning(home, capsys):
    compilations()
    (file,) = kept(home)
    cache.save_kernel(file.parent.name, file.name, b"no pickle")
    assert [compilations(), compilations()] == [1, 0]
    assert "kept kernel gnnsched_env.made_up-" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["file", "/proc/nonexistent"])
def test_where_the_cache_folder_cannot_be_written_a_temporary_one_serves(home, monkeypatch, place):
    (home / "file").touch()
    monkeypatch.setenv("GNNSCHED_CACHE", str(home / place))
    assert [compilations(), compilations()] == [1, 0]
    (folder,) = (home / "temporary").iterdir()
    assert len(kept(folder)) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no users")
def test_a_temporary_folder_that_others_can_write_is_not_used(home, monkeypatch, capsys):
    monkeypatch.setenv("GNNSCHED_CACHE", "/proc/nonexistent")
    folder = home / "temporary" / f"gnnsched-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    cache.warn_once.cache_clear()
    assert [compilations(), compilations()] == [1, 1]
    assert not kept(home)
    assert capsys.readouterr().err.count("warning: compiled kernels are not kept") == 1


def test_importing_and_playing_work_where_nothing_can_be_written():
    code = (
        "import gymnasium, gnnsched_env\n"
        "from gnnsched_env.graphs.csr_kernels import batch_size\n"
        "import numpy as np\n"
        "print(batch_size(np.array([0, 3, 5]), np.array([1, 0])))"
    )
    given = {name: value for name, value in os.environ.items() if name not in ("GNNSCHED_CACHE", "XDG_CACHE_HOME")}
    given |= {"HOME": "/proc/nonexistent", "TMPDIR": "/proc/nonexistent", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=given)
    assert (done.stdout, done.returncode) == ("5\n", 0)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_ten_first_processes_do_not_disturb_each_other(home):
    with multiprocessing.get_context("fork").Pool(10) as pool:
        compiled_in_each = pool.map(compilations, [1] * 10, chunksize=1)
    assert sum(compiled_in_each) >= 1
    assert compilations() == 0
    assert len(kept(home)) == 1
    assert not list(home.rglob("*.partial"))


def test_one_is_told_only_of_what_is_compiled_and_once(capsys):
    def announced(function):
        return compiled.announced("a small thing", 1)(compiled.kernel(function))

    compilations(decorate=announced)
    compilations(1.5, decorate=announced)
    assert capsys.readouterr().err == "gnnsched: compiling a small thing, once; this takes some 1 seconds ...\n"
    compiled._announced.clear()
    compilations(decorate=announced)
    assert capsys.readouterr().err == ""


def test_one_can_ask_whether_a_kernel_is_compiled():
    kernel = compiled.kernel(add_one)
    assert not compiled.is_compiled(kernel)
    kernel(np.float32(1))
    assert compiled.is_compiled(compiled.kernel(add_one))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write the sources of a package, as the kernel cache sees them."""
    monkeypatch.setattr(cache, "find_spec", lambda name: type("Spec", (), {"submodule_search_locations": [tmp_path]}))

    def write(sources):
        for name, text in sources.items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        cache._read_source.cache_clear()
        cache._modules.cache_clear()
        return lambda *versions: cache.sources_folder.__wrapped__("gnnsched_env.room.kernels", *versions)

    yield write
    cache._read_source.cache_clear()
    cache._modules.cache_clear()


@pytest.mark.parametrize(
    "statement",
    [
        "from gnnsched_env.room.constants import LEAST, MOST",
        "from gnnsched_env.room import constants",
        "from gnnsched_env.room import constants as own, further",
        "from gnnsched_env.room import (\n    further,\n    constants,  # all of them\n)",
        "import gnnsched_env.room.constants",
        "def late():\n    from gnnsched_env.room.constants import MOST",
        "from gnnsched_env.room.between import MOST",
        "from gnnsched_env.between import MOST",
    ],
)
def test_an_edit_of_what_a_kernel_sees_compiles_anew_and_no_other(package, statement):
    sources = {
        "room/kernels": statement,
        "room/between": "from gnnsched_env.room.constants import MOST",
        "between/__init__": "from gnnsched_env.room.constants import MOST",
        "room/further": "",
        "room/constants": "MOST = 1",
        "other": "x = 1",
    }
    before = package(sources)()
    assert before.startswith("gnnsched_env.room.kernels-")
    assert package(sources | {"other": "x = 2"})() == before
    assert package(sources | {"room/constants": "MOST = 2"})() != before
    assert package(sources | {"room/kernels": statement + "  # edited"})() != before
    assert package(sources)("numba 0.0") != before
    assert package(sources)() == before


def test_old_states_go_and_the_last_used_stay(home):
    folder = home / "cache" / "kernels"
    for number in range(cache.STATES_KEPT):
        cache.save_kernel(f"module-{number}", "kernel.nbc", b"code")
        os.utime(folder / f"module-{number}", (number, number))
    cache.save_kernel("another-0", "kernel.nbc", b"code")
    os.utime(folder / "another-0", (0, 0))
    assert cache.load_kernel("module-0", "kernel.nbc") == b"code"  # used now
    cache.save_kernel("module-new", "kernel.nbc", b"code")
    assert len(list(folder.glob("module-*"))) == cache.STATES_KEPT
    assert (folder / "another-0").exists()
    assert cache.load_kernel("module-0", "kernel.nbc") == b"code"
    assert cache.load_kernel("module-1", "kernel.nbc") is None


def test_nothing_is_written_beside_the_sources():
    compilations()
    assert not list((ROOT / "gnnsched_env").rglob("*.nb?"))
