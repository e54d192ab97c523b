"""Tasks on a Ray cluster: shared data once on each machine, tasks of dead workers and machines again."""

import pickle
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.common.parallel.backend import TRIES, Function, Numbered, Outcomes, died
from gnnsched_env.common.parallel.installed import installed
from gnnsched_env.common.parallel.ray_session import (
    check_installed,
    check_same,
    import_ray,
    joined_cluster,
    working_nodes,
)
from gnnsched_env.common.progress import Advance, no_progress

AHEAD = 2  # tasks that are handed out for each core, so that none waits for the next
LOOK_S = 1.0  # between two looks at which machines there are


class RayWorkers:
    """Runs tasks on the cores of a Ray cluster, which is joined here and left by `close`."""

    def __init__(self, function: Function, shared: Any, address: str) -> None:
        with ExitStack() as stack:
            stack.enter_context(joined_cluster(address))
            self._ray = import_ray()
            self._look()
            if not self._cores:
                raise ConfigError("--ray: the cluster must have at least one core for tasks, got none")
            check_installed(installed())
            self._shared = self._put((function, shared, installed()))
            self._call = self._ray.remote(num_cpus=1, max_retries=TRIES - 1)(_run)
            self._stack = stack.pop_all()

    def workers(self) -> int:
        """Return how many cores there are."""
        if time.monotonic() - self._looked > LOOK_S:
            self._look()
        return self._cores

    def told(self) -> str:
        """Return how many cores there are, and on how many machines."""
        return f"{self.workers()} workers on {self._machines} machine{'' if self._machines == 1 else 's'}"

    def outcomes(self, tasks: Sequence[Numbered], advance: Advance) -> Outcomes:
        """Yield each task's number and outcome as they end."""
        ray, waiting, running = self._ray, deque(tasks), dict[Any, int]()
        try:
            while waiting or running:
                while waiting and len(running) < AHEAD * max(1, self._cores):
                    number, task = waiting.popleft()
                    running[self._call.remote([self._shared], task)] = number
                ended, _ = ray.wait(list(running), num_returns=1, timeout=LOOK_S)
                if ended:
                    ended, _ = ray.wait(list(running), num_returns=len(running), timeout=0)
                for reference in ended:
                    number = running.pop(reference)
                    outcome = self._outcome(reference, number)
                    advance(1.0)
                    yield number, outcome
                advance(0, self.told())
        finally:
            for reference in running:
                with suppress(Exception):
                    ray.cancel(reference, force=True)

    def close(self) -> None:
        """Leave the cluster, which ends this command's processes there."""
        self._stack.close()

    def _look(self) -> None:
        nodes = working_nodes()
        self._cores, self._machines = sum(int(node["Resources"]["CPU"]) for node in nodes), len(nodes)
        self._looked = time.monotonic()

    def _put(self, shared: Any) -> Any:
        """Return a reference to data in the object store; raise ConfigError where a machine's is too small for it."""
        size = len(pickle.dumps(shared, protocol=5))
        for node in working_nodes():
            store = int(node["Resources"].get("object_store_memory", 0))
            if size > store:
                raise ConfigError(
                    f"--ray: the object store of machine {node['NodeManagerAddress']} must hold the {size:,} bytes "
                    f"that all tasks share, but has {store:,} (ray start --object-store-memory)"
                )
        return self._ray.put(shared)

    def _outcome(self, reference: Any, number: int) -> Any:
        """Return a task's result, or the exception that it raised; raise GnnSchedError where it did not end."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            return error.cause if isinstance(error.cause, Exception) else GnnSchedError(f"task {number + 1}: {error}")
        except (errors.ObjectStoreFullError, errors.OutOfDiskError):
            raise GnnSchedError(
                f"task {number + 1}: its result does not fit into the cluster's object store "
                "(ray start --object-store-memory)"
            ) from None
        except errors.RayError as error:
            raise died(number, type(error).__name__) from None


_held: dict[Any, Any] = {}  # of a worker process: the function and the shared data, by reference


def _run(shared: list[Any], task: Any) -> Any:
    """Run a task in a worker; `shared` holds the reference of what is fetched once."""
    reference = shared[0]
    if reference not in _held:
        ray = import_ray()
        function, data, expected = ray.get(reference)
        check_same(ray.util.get_node_ip_address(), installed(), expected)
        _held.clear()
        _held[reference] = function, data
    function, data = _held[reference]
    return function(data, task, no_progress)
