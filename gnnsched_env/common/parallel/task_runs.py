"""One way to run independent tasks: here, in processes of this machine, or on a Ray cluster, with equal results.

    for result in run_tasks(function, tasks, shared=table, where=Where(workers=2)):
        ...

`function(shared, task, advance)` is a module's function, which returns a mapping of JSON values and arrays. Results
come in the order of the tasks, whatever order they end in.
"""

import multiprocessing
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated, Any, Self

from gnnsched_env.common.checks import Integer, check_fields
from gnnsched_env.common.files import PARTIALS
from gnnsched_env.common.folder_lock import writing_folder
from gnnsched_env.common.parallel.backend import Backend, Function, Numbered, Outcomes
from gnnsched_env.common.parallel.kept_results import Keep, plain_result
from gnnsched_env.common.parallel.local_workers import LocalWorkers, ThisProcess
from gnnsched_env.common.progress import Advance, progress_bar

Errors = tuple[type[Exception], ...]


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where tasks run: in `workers` processes of this machine, or on the Ray cluster at an address (HOST:PORT).

    `ray=""` is the cluster that this machine is part of; None is no cluster. One worker is this process itself.
    """

    workers: Annotated[int, Integer(1)] = 1
    ray: str | None = None

    def __post_init__(self) -> None:
        check_fields(self, "tasks")

    @property
    def here(self) -> bool:
        """Whether tasks run in this process."""
        return self.ray is None and self.workers == 1

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Belong to the cluster, if there is one, for as long as a block lasts; runs within it use it.

        A command that first builds what tasks share learns thereby at once that a cluster cannot be used: raise
        ConfigError then (`ray_session.joined_cluster`).
        """
        if self.ray is None:
            yield
            return
        from gnnsched_env.common.parallel.ray_session import joined_cluster

        with joined_cluster(self.ray):
            yield


HERE = Where()


class TaskRunner:
    """Workers that run tasks of one function on the same shared data; as a context, it ends them.

    Processes are started, or a cluster is joined, when the first tasks are run. Raise ConfigError then for a cluster
    that cannot be used (`ray_session`).
    """

    def __init__(self, function: Function, shared: Any = None, where: Where = HERE) -> None:
        self.where = where
        self._function, self._shared = function, shared
        self._backend: Backend | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers at once; later tasks start new ones."""
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.close()

    def results(self, tasks: Sequence[Any]) -> list[Any]:
        """Return all results of `run`; an error or an interruption ends the workers, who do not finish the rest."""
        try:
            return list(self.run(tasks))
        except BaseException:
            self.close()
            raise

    def workers(self) -> int:
        """Return how many workers there are now; they are started, or the cluster is joined, if they are not."""
        return self._started().workers()

    def run(
        self,
        tasks: Sequence[Any],
        *,
        keep: Keep | None = None,
        catch: Errors = (),
        title: str = "tasks",
        progress: bool | None = False,
    ) -> Iterator[Any]:
        """Yield each task's result, in the order of the tasks.

        `keep`: a folder in which results are kept as tasks end, and found by a later run. A task that raises an error
        of the kinds in `catch` yields it, and nothing is kept of it; any other error is raised in its place. `progress`
        shows a bar of the tasks and the workers on stderr; None shows it if that is a terminal.

        Tasks whose workers die are run again, a few times. Raise GnnSchedError where that is in vain, and ConfigError
        for a cluster that cannot be used, or a folder that another process writes; what is done is kept.
        """
        with writing_folder(None if keep is None else keep.folder):
            kept = set() if keep is None else _kept(keep, tasks)
            new = [(number, task) for number, task in enumerate(tasks) if number not in kept]
            with progress_bar(title, len(tasks), shown=progress, unit="tasks") as advance:
                advance(len(kept))
                with closing(self._finished(new, keep, advance)) as finished:
                    ended: dict[int, Any] = {}
                    for number, task in enumerate(tasks):
                        if keep is not None and number in kept:
                            yield keep.read(task)
                            continue
                        while number not in ended:
                            other, outcome = next(finished)
                            ended[other] = outcome
                        outcome = ended.pop(number)
                        if isinstance(outcome, Exception) and not isinstance(outcome, catch):
                            raise outcome
                        yield outcome

    def _started(self) -> Backend:
        if self._backend is None:
            self._backend = _backend(self._function, self._shared, self.where)
        return self._backend

    def _finished(self, tasks: Sequence[Numbered], keep: Keep | None, advance: Advance) -> Outcomes:
        """Yield each task's number and outcome as they end, after its result is kept."""
        if not tasks:
            return
        backend, named = self._started(), dict(tasks)
        advance(0, backend.told())
        with closing(backend.outcomes(tasks, advance)) as outcomes:
            for number, outcome in outcomes:
                if not isinstance(outcome, Exception):
                    outcome = plain_result(outcome)
                    if keep is not None:
                        keep.write(named[number], outcome)
                advance(0, backend.told())
                yield number, outcome


def run_tasks(
    function: Function,
    tasks: Sequence[Any],
    *,
    shared: Any = None,
    where: Where = HERE,
    keep: Keep | None = None,
    catch: Errors = (),
    title: str = "tasks",
    progress: bool | None = False,
) -> Generator[Any, None, None]:
    """Yield the result of function(shared, task, advance) for each task, in the order of the tasks.

    `shared` goes to each worker once (on a cluster, to each machine once). See `TaskRunner.run`, which raises the same
    errors. Closing the iterator, or an error, ends the workers.
    """
    with TaskRunner(function, shared, where) as runner:
        yield from runner.run(tasks, keep=keep, catch=catch, title=title, progress=progress)


def _kept(keep: Keep, tasks: Sequence[Any]) -> set[int]:
    """Return the numbers of the tasks whose results are kept and whole."""
    for partial in keep.folder.glob(PARTIALS):  # left behind by a run that was killed
        partial.unlink(missing_ok=True)
    return {number for number, task in enumerate(tasks) if keep.read(task) is not None}


def _backend(function: Function, shared: Any, where: Where) -> Backend:
    if where.ray is not None:
        from gnnsched_env.common.parallel.ray_workers import RayWorkers

        return RayWorkers(function, shared, where.ray)
    if where.here or multiprocessing.parent_process() is not None:  # worker processes have none of their own
        return ThisProcess(function, shared)
    return LocalWorkers(function, shared, where.workers)
