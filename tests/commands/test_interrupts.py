"""Ctrl-C ends with one line and status 130, whatever it meets."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from gnnsched_cli import interrupts
from gnnsched_cli.command import finish
from gnnsched_env.common.errors import ConfigError


@pytest.fixture(autouse=True)
def as_in_a_terminal():
    """Let Ctrl-C act, which tests that a shell started in the background would ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def kernel():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        raise SystemError("<built-in> returned a result with an exception set") from error


def library():
    try:
        kernel()
    except SystemError:
        raise ImportError("numpy's extensions failed") from None


def policy():
    try:
        kernel()
    except SystemError as error:
        raise ConfigError("act raised SystemError") from error


@pytest.mark.parametrize("interrupted", [kernel, library, policy])
def test_what_is_made_of_an_interrupt_is_one(interrupted, capsys):
    assert finish(interrupted) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("error", [SystemError("x"), ImportError("y")])
def test_other_errors_are_none(error):
    def fail():
        raise error

    with pytest.raises(type(error)):
        finish(fail)


def test_an_interrupt_that_is_swallowed_comes_again(monkeypatch, capsys):
    monkeypatch.setattr(interrupts, "LATER_S", 0.02)
    swallowed = []

    def run():
        for _ in range(2):
            try:
                os.kill(os.getpid(), signal.SIGINT) if not swallowed else time.sleep(30)
            except BaseException as error:
                swallowed.append(type(error))
        time.sleep(30)

    assert finish(run, stopped="stopped") == 130
    assert swallowed == [KeyboardInterrupt, KeyboardInterrupt]
    assert capsys.readouterr().err == "stopped\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_error_after_an_interrupt_is_caused_by_it(capsys):
    def run():
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        raise RuntimeError("no compiled object yet")  # as numba, whose destructor swallows the interrupt

    assert finish(run) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_handler_that_is_there_is_left_there():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert finish(lambda: os.kill(os.getpid(), signal.SIGINT)) == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


DROPPED = "class Dropped:\n    def __del__(self):\n        raise KeyboardInterrupt\nDropped()\ntime.sleep(60)"


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("raise KeyboardInterrupt", 130, "interrupted\n"),
        (DROPPED, 130, "interrupted\n"),
        ("raise SystemExit(3)", 3, ""),
        ("raise ValueError", 1, "ValueError\n"),
    ],
)
def test_imports_and_destructors_are_interrupted_in_one_line(code, status, told):
    words = [sys.executable, "-c", f"import gnnsched_cli, time\n{code}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == status
    assert done.stderr == told if status != 1 else done.stderr.endswith(told)


def test_an_interrupt_after_the_end_changes_nothing():
    code = (
        "import atexit, os, signal\natexit.register(os.kill, os.getpid(), signal.SIGINT)\n"  # called after those below
        "import gnnsched_cli"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
