"""Ctrl-C ends a command with one line and status 130, also while it imports, exits, or runs compiled code.

Nothing heavy is imported here: this is to come before everything else.
"""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

INTERRUPTED = 130
TOLD = "interrupted"
SOON_S, LATER_S = 0.01, 1.0
_raised: list[int] = []  # signals that came in the block of `repeated`


def is_interrupt(error: BaseException | None) -> bool:
    """Return whether an error is Ctrl-C's KeyboardInterrupt, or what something else made of it.

    A compiled kernel that is interrupted raises SystemError, a library that fails to load ImportError, and so on.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def install() -> None:
    """Tell of Ctrl-C in one line where no command is there to do so: in imports, and while the process exits."""
    before, ignored = sys.excepthook, sys.unraisablehook

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if is_interrupt(error) and not hasattr(sys, "ps1"):
            print(TOLD, file=sys.stderr, flush=True)
            os._exit(INTERRUPTED)
        before(kind, error, trace)

    def swallowed(unraisable: "sys.UnraisableHookArgs") -> None:
        if is_interrupt(unraisable.exc_value):
            _raise_again(SOON_S)
        else:
            ignored(unraisable)

    sys.excepthook, sys.unraisablehook = uncaught, swallowed
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


@contextmanager
def repeated() -> Iterator[None]:
    """Let Ctrl-C be raised every second until the block ends: there are libraries, and moments, that swallow it.

    Any error that the block raises after it counts as caused by it.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler or not _in_main_thread():
        yield  # another handler has its reasons, and a shell lets what it starts in the background ignore Ctrl-C
        return
    _raised.clear()
    signal.signal(signal.SIGINT, _raise)
    try:
        yield
    except Exception as error:
        if _raised:
            raise KeyboardInterrupt from error
        raise
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0.0)  # noqa: TID251
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _raise(number: int, frame: FrameType | None) -> None:
    _raised.append(number)
    _raise_again(LATER_S)
    raise KeyboardInterrupt


def _raise_again(seconds: float) -> None:
    """Raise KeyboardInterrupt in this process after a time, which needs no lock and no thread."""
    if hasattr(signal, "setitimer") and _in_main_thread():
        signal.signal(signal.SIGALRM, _raise)  # noqa: TID251
        signal.setitimer(signal.ITIMER_REAL, seconds)  # noqa: TID251


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
