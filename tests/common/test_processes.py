"""Processes that work for another one end with it, whatever ends it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gnnsched_env.common.processes import WorkerPool, run_script

PROC = Path("/proc/self/stat")
DRIVER = """
import os, sys, time
from pathlib import Path
from gnnsched_env.common.processes import WorkerPool, run_script

def compute(folder):
    (folder / f"{os.getpid()}.pid").touch()
    while True:
        pass

def script(folder):
    (folder / f"{os.getpid()}.pid").touch()
    return run_script(folder / "script.py", [str(folder)])

if __name__ == "__main__":
    with WorkerPool(2) as pool:
        for task in [pool.submit(work, Path(sys.argv[1])) for work in (compute, script, compute)]:
            task.result()
"""
SCRIPT = """
import os, sys, time
from pathlib import Path

(Path(sys.argv[1]) / f"{os.getpid()}.pid").touch()
time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def as_in_a_terminal():
    """Let Ctrl-C act, which tests that a shell started in the background would ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def runs(process):
    """Return whether a process runs; one that ended may wait for its parent to ask."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not PROC.exists(), reason="no /proc here")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_no_process_is_left_behind_by_one_that_is_ended(tmp_path, name):
    number = getattr(signal, name)
    (tmp_path / "driver.py").write_text(DRIVER)
    (tmp_path / "script.py").write_text(SCRIPT)
    driver = subprocess.Popen([sys.executable, tmp_path / "driver.py", tmp_path], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 3 or driver.poll() is not None)
        driver.send_signal(number)
        assert driver.wait(timeout=20) == -number
        workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
        assert len(workers) == 3
        wait_for(lambda: not any(map(runs, workers)), seconds=20)
    finally:
        driver.kill()


WHILE_STARTING = """
import os, signal, threading
from gnnsched_env.common.processes import WorkerPool

class Interrupted(WorkerPool):
    def _spawn_process(self):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.2)
        super()._spawn_process()
        print("started", flush=True)

if __name__ == "__main__":
    threading.Thread(target=threading.Event().wait, daemon=True).start()  # receives what the main thread blocks
    try:
        with Interrupted(1) as pool:
            pool.submit(print)
            print("not interrupted")
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.slow
def test_an_interrupt_while_a_process_starts_comes_afterwards(tmp_path):
    (tmp_path / "driver.py").write_text(WHILE_STARTING)
    words = [sys.executable, tmp_path / "driver.py"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "started\ninterrupted\n", "")


def large(size):
    return bytes(size)


@pytest.mark.slow
def test_a_result_that_is_being_sent_is_not_waited_for():
    with pytest.raises(KeyboardInterrupt), WorkerPool(1) as pool:
        results = [pool.submit(large, 1 << 28) for _ in range(2)]
        sent = pool._result_queue._reader
        wait_for(lambda: sent.poll() or results[0].done())
        raise KeyboardInterrupt


def double(number):
    return 2 * number


def refuse(number):
    raise ValueError(f"no {number}")


@pytest.mark.slow
def test_a_pool_gives_results_and_errors_and_ends():
    with WorkerPool(1) as pool:
        assert list(pool.map(double, [3, 4])) == [6, 8]
        with pytest.raises(ValueError, match="no 5"):
            pool.submit(refuse, 5).result()
        processes = list(pool._processes.values())
    assert [process.exitcode for process in processes] == [0]


def test_a_script_runs_as_by_itself(tmp_path):
    (tmp_path / "beside.py").write_text("STATUS = 7\n")
    lines = "import sys\nfrom beside import STATUS\nprint(__name__, sys.argv[1:], sys.stdin.read())\nsys.exit(STATUS)\n"
    (tmp_path / "script.py").write_text(lines)
    with (tmp_path / "told").open("w") as told:
        assert run_script(tmp_path / "script.py", ["a", "b c"], stdout=told) == 7
    assert (tmp_path / "told").read_text() == "__main__ ['a', 'b c'] \n"
