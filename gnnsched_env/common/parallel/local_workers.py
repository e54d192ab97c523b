"""Tasks in this process, or in processes of this machine."""

from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any

from gnnsched_env.common.parallel.backend import TRIES, Function, Numbered, Outcomes, attempt, died
from gnnsched_env.common.processes import WorkerPool
from gnnsched_env.common.progress import Advance, no_progress

AHEAD = 2  # tasks that are handed out for each process, so that none waits for the next
HOW = "out of memory, killed, or a script without `if __name__ == '__main__':`"


class ThisProcess:
    """Runs one task after another in this process."""

    def __init__(self, function: Function, shared: Any) -> None:
        self._call = partial(attempt, function, shared)

    def workers(self) -> int:
        """Return 1."""
        return 1

    def told(self) -> str:
        """Return that there is one worker."""
        return "1 worker"

    def outcomes(self, tasks: Sequence[Numbered], advance: Advance) -> Outcomes:
        """Yield each task's number and outcome; `advance` is also moved within a task."""
        for number, task in tasks:
            part = _Part(advance)
            outcome = self._call(task, part)
            advance(1.0 - part.done)
            yield number, outcome

    def close(self) -> None:
        """Do nothing."""


class LocalWorkers:
    """Runs tasks in processes of this machine; each is given the function and the shared data once."""

    def __init__(self, function: Function, shared: Any, workers: int) -> None:
        self._workers = workers
        self._prepare = partial(_hold, function, shared)
        self._pool: WorkerPool | None = None

    def workers(self) -> int:
        """Return how many processes there are."""
        return self._workers

    def told(self) -> str:
        """Return how many processes there are."""
        return f"{self._workers} workers"

    def outcomes(self, tasks: Sequence[Numbered], advance: Advance) -> Outcomes:
        """Yield each task's number and outcome as they end; the tasks of a process that dies are run again."""
        waiting, running = deque(tasks), dict[Future[Any], Numbered]()
        deaths: Counter[int] = Counter()
        try:
            while waiting or running:
                try:
                    self._hand_out(waiting, running)
                except BrokenProcessPool:  # a process died between two calls
                    if not running:  # else their outcomes tell of it
                        self.close()
                broken = []
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    number, task = running.pop(future)
                    if isinstance(future.exception(), BrokenProcessPool):
                        broken.append((number, task))
                        continue
                    advance(1.0)
                    yield number, future.exception() or future.result()
                if broken:
                    self.close()
                    broken += running.values()
                    running.clear()
                    deaths.update(number for number, _ in broken)
                    for number, task in sorted(broken, key=lambda one: one[0], reverse=True):
                        if deaths[number] == TRIES:
                            raise died(number, HOW)
                        waiting.appendleft((number, task))
        finally:
            if running:
                self.close()

    def close(self) -> None:
        """End the processes at once; later tasks start new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.kill()

    def _hand_out(self, waiting: deque[Numbered], running: dict[Future[Any], Numbered]) -> None:
        if self._pool is None:
            self._pool = WorkerPool(self._workers, prepare=self._prepare)
        while waiting and len(running) < AHEAD * self._workers:
            future = self._pool.submit(_run, waiting[0][1])
            running[future] = waiting.popleft()


class _Part:
    """Moves a bar on within one task, and knows how far it came."""

    def __init__(self, advance: Advance) -> None:
        self.done = 0.0
        self._advance = advance

    def __call__(self, amount: float, doing: str | None = None) -> None:
        self.done += amount
        self._advance(amount, doing)


_held: list[Any] = []  # of a worker process: the function and the shared data


def _hold(function: Function, shared: Any) -> None:
    _held[:] = function, shared


def _run(task: Any) -> Any:
    function, shared = _held
    return function(shared, task, no_progress)
