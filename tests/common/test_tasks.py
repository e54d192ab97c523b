"""Independent tasks: the same results wherever they run, in their order, kept on disk, in spite of dead workers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.common.parallel.kept_results import KeptResults
from gnnsched_env.common.parallel.task_runs import HERE, Where, run_tasks
from tests.common.shared_tasks import die_once, multiply, no_result, products, refuse, slow_multiply
from tests.common.test_processes import as_in_a_terminal, runs, wait_for  # noqa: F401

TWO = Where(workers=2)


def test_results_are_those_of_the_tasks_in_their_order_and_as_json_has_them():
    results = list(run_tasks(multiply, [3, 1, 2], shared={"factor": 5}))
    assert products(results) == [15, 5, 10]
    assert results[0]["pair"] == [3, float("inf")] and results[0]["row"].tolist() == [0, 1, 2]


def test_what_is_kept_is_not_run_again(tmp_path):
    keep = KeptResults(folder=tmp_path / "kept", about="a")
    (folder := tmp_path / "ran").mkdir()
    shared = {"factor": 3, "folder": folder, "seconds": 0.0}
    first = list(run_tasks(slow_multiply, [4, 2], shared=shared, keep=keep))
    (keep.folder / ".x.partial").write_bytes(b"of a run that was killed")
    assert list(run_tasks(slow_multiply, [2, 4, 6], shared=shared, keep=keep))[:2] == first[::-1]
    assert sorted(path.name[0] for path in folder.iterdir()) == ["2", "4", "6"]
    assert not list(keep.folder.glob(".*"))
    other = KeptResults(folder=keep.folder, about="b")
    assert other.read(4) is None and keep.read(4) == first[0]


def test_a_damaged_result_is_computed_anew(tmp_path, capsys):
    keep = KeptResults(folder=tmp_path, about="a")
    before = list(run_tasks(multiply, [3], shared={"factor": 5}, keep=keep))
    content = keep.path(3).read_bytes()
    keep.path(3).write_bytes(content[:-40])
    again = list(run_tasks(multiply, [3], shared={"factor": 5}, keep=keep))
    assert "a damaged result is computed anew" in capsys.readouterr().err
    assert keep.path(3).read_bytes() == content
    assert products(again) == products(before) and np.array_equal(again[0]["row"], before[0]["row"])


@pytest.mark.parametrize("catch", [(), (ConfigError,)])
def test_errors_come_in_the_place_of_results(tmp_path, catch):
    keep = KeptResults(folder=tmp_path, about="a")
    results = run_tasks(refuse, [0, 1, 2, 3], keep=keep, catch=catch)
    assert next(results) == {"product": 0}
    if catch:
        assert str(next(results)) == "no 1" and next(results) == {"product": 2}
        results.close()
        assert keep.read(1) is None and keep.read(2) == {"product": 2}
    else:
        with pytest.raises(ConfigError, match="no 1"):
            next(results)


@pytest.mark.parametrize("what", [object(), np.array([object()])])
def test_results_that_no_file_holds_are_refused(what):
    with pytest.raises(GnnSchedError, match="its result"):
        next(run_tasks(no_result, [1], shared=what))


@pytest.mark.parametrize("workers", [0, 2.5, True])
def test_bad_numbers_of_workers_are_refused(workers):
    with pytest.raises(ConfigError, match="tasks: workers must be an integer of at least 1"):
        Where(workers=workers)


@pytest.mark.slow
def test_processes_change_nothing_and_a_killed_ones_tasks_run_again(tmp_path):
    tasks = list(range(9))
    assert products(run_tasks(die_once, tasks, shared={"folder": tmp_path}, where=TWO)) == tasks
    assert (tmp_path / "died").exists()
    assert products(run_tasks(die_once, tasks, shared={"folder": tmp_path}, where=HERE)) == tasks


@pytest.mark.slow
def test_a_task_that_kills_every_worker_ends_the_run_and_nothing_kept_is_lost(tmp_path):
    keep = KeptResults(folder=tmp_path / "kept", about="a")
    run = run_tasks(die_once, [1, 5], shared={"folder": tmp_path, "deadly": True}, where=Where(workers=2), keep=keep)
    with pytest.raises(GnnSchedError, match="its worker died 4 times"):
        list(run)
    assert keep.read(1) == {"product": 1}


DRIVER = """
import sys
from pathlib import Path
from gnnsched_env.common.parallel.kept_results import KeptResults
from gnnsched_env.common.parallel.task_runs import Where, run_tasks
from tests.common.shared_tasks import slow_multiply

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    shared = {"factor": 3, "folder": folder / "ran", "seconds": 0.2}
    keep = KeptResults(folder=folder / "kept", about="a")
    for _ in run_tasks(slow_multiply, list(range(50)), shared=shared, where=Where(workers=2), keep=keep):
        pass
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_run_that_is_ended_leaves_no_process_and_goes_on(tmp_path, name):
    number = getattr(signal, name)
    (tmp_path / "ran").mkdir()
    (tmp_path / "driver.py").write_text(DRIVER)
    words = [sys.executable, str(tmp_path / "driver.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    driver = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(list((tmp_path / "kept").glob("*.npz"))) >= 3 or driver.poll() is not None)
        driver.send_signal(number)
        driver.wait(timeout=60)
        workers = {int(path.name.split("-")[1]) for path in (tmp_path / "ran").iterdir()}
        wait_for(lambda: not any(map(runs, workers)))
        assert driver.returncode == -number and len(workers) == 2
    finally:
        driver.kill()
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept").glob("*.npz")}
    assert 3 <= len(kept) < 50
    keep = KeptResults(folder=tmp_path / "kept", about="a")
    shared = {"factor": 3, "folder": tmp_path / "ran", "seconds": 0.0}
    assert products(run_tasks(slow_multiply, list(range(50)), shared=shared, keep=keep)) == [3 * i for i in range(50)]
    assert kept.items() <= {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept").glob("*.npz")}.items()
