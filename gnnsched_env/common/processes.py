"""Processes that work for this one: they end with it, however it ends, and leave Ctrl-C to it."""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")

MOST_WORKERS = 61 if sys.platform == "win32" else None  # processes of a pool: Windows waits for no more at once
HELD = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM") if hasattr(signal, name)]


class WorkerPool(ProcessPoolExecutor):
    """A pool of processes; as a context, it waits for its tasks, or ends at once where the block raises.

    The processes are spawned: a forked one would share the threads of compiled libraries. Each begins with a call of
    `prepare`, which is sent to it once.
    """

    def __init__(self, workers: int, *, prepare: Callable[[], object] | None = None) -> None:
        spawn = multiprocessing.get_context("spawn")
        super().__init__(min(workers, MOST_WORKERS or workers), spawn, initializer=_begin, initargs=(prepare,))

    def submit(self, task: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs) -> Future[Result]:
        """Queue a call of a task, which may start a process."""
        with _signals_held():
            return super().submit(task, *args, **kwargs)

    def kill(self) -> None:
        """End the processes at once, whatever they are doing; no task is left."""
        for process in list((self._processes or {}).values()):
            process.kill()
        results: Any = self._result_queue
        if results is not None:
            results._writer.close()  # else the rest of a result that was being sent would be waited for
        self.shutdown(cancel_futures=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.shutdown()
        else:
            self.kill()


def run_script(script: Path, words: Sequence[str], **options: Any) -> int:
    """Run a Python script in a process of its own and return its exit status; `options` are those of `Popen`.

    The script finds nothing on its standard input.
    """
    code = f"from {__name__} import _follow_pipe; _follow_pipe()"
    with subprocess.Popen([sys.executable, "-c", code, str(script), *words], stdin=subprocess.PIPE, **options) as child:
        return child.wait()


def _begin(prepare: Callable[[], object] | None) -> None:
    _follow_parent()
    if prepare is not None:
        prepare()


def _follow_parent() -> None:
    """Let this worker process end as soon as its parent does, and not by Ctrl-C, which is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    _end_after(parent.join)


def _follow_pipe() -> None:
    """Run the script that the command line names; end as soon as the process that holds this one's stdin does."""
    pipe = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _end_after(lambda: os.read(pipe, 1))
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


def _end_after(wait: Callable[[], object]) -> None:
    """End this process, from a thread, once `wait` returns."""

    def end() -> None:
        wait()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Handle signals after the block, or a process that it starts may be known to nobody and never be ended.

    Ctrl-C is blocked too, which a process that is started there inherits. That alone would not do: Python's handlers
    run in the main thread for signals that any other thread receives.
    """
    came: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: handler for number in HELD if callable(handler := signal.getsignal(number))}
    for number in handlers:
        signal.signal(number, lambda number, frame: came.append(number))
    masks = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()  # noqa: TID251
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)  # noqa: TID251
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)
