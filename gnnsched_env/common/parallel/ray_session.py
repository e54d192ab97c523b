"""A Ray cluster that is joined for as long as a block lasts, with a limit on every wait."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from gnnsched_env.common.errors import ConfigError, needs_extra

ANSWER_S = 30.0  # within which a cluster must answer
PROBE_S = 120.0  # within which each machine must have told what it has installed: a process of it starts first
RUNNING = "auto"  # Ray's name of the cluster that this machine is part of
Node = Mapping[str, Any]


def import_ray(what: str = "--ray", extra: str = "ray") -> Any:
    """Return the module ray; raise ConfigError, naming what needs it and the extra, where it is not installed."""
    with needs_extra(what, extra):
        import ray
    return ray


@contextmanager
def joined_cluster(address: str = "", *, answer_s: float = ANSWER_S) -> Iterator[None]:
    """Join the Ray cluster at HOST:PORT, or the one that this machine is part of (""), and leave it at the end.

    A cluster that this process has joined before is used, and not left. Raise ConfigError where Ray is not installed,
    or where the cluster does not answer within `answer_s` seconds or has another version of Ray or of Python.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or RUNNING
    end = time.monotonic() + answer_s
    if address != RUNNING:
        check_answer(address, answer_s)
    where = "this machine" if address == RUNNING else address
    start = partial(ray.init, address=address, log_to_driver=False, logging_level="ERROR")
    what, left = f"--ray: the Ray cluster of {where}", end - time.monotonic()
    with quiet_ray(), ray_thread(start, what, within=left, told=f"{answer_s:.0f} s"):
        yield


def check_answer(address: str, answer_s: float = ANSWER_S, *, option: str = "--ray") -> None:
    """Raise ConfigError unless something listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ConfigError(f"{option}: must be HOST:PORT of a Ray cluster, got {address!r}")
    try:
        with socket.create_connection((host, int(port)), timeout=answer_s):
            pass
    except OSError as error:
        raise ConfigError(f"{option} {address}: no Ray cluster answers there ({error})") from None


def working_nodes() -> list[Node]:
    """Return the cluster's machines that have cores for tasks, as `ray.nodes` describes them."""
    return [node for node in import_ray().nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]


def check_installed(expected: Mapping[str, str]) -> None:
    """Raise ConfigError unless each machine of the cluster has installed what is `expected` (`installed.installed`)."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray = import_ray()

    def probe() -> Any:  # is sent as code, since the package may lack there
        try:
            from gnnsched_env.common.parallel.installed import installed
        except ImportError as error:
            return str(error)
        return installed()

    remote, found = ray.remote(num_cpus=0, max_retries=0)(probe), {}
    for node in working_nodes():
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        found[node["NodeManagerAddress"]] = remote.options(scheduling_strategy=place).remote()
    for name, asked in found.items():
        try:
            told = ray.get(asked, timeout=PROBE_S)
        except ray.exceptions.RayError as error:
            raise ConfigError(f"--ray: machine {name} runs no tasks ({_first_line(error)})") from None
        check_same(name, told, expected)


def check_same(machine: str, told: Mapping[str, str] | str, expected: Mapping[str, str]) -> None:
    """Raise ConfigError unless a machine told what is expected; a text is the error of an import."""
    if isinstance(told, str):
        raise ConfigError(f"--ray: machine {machine} must have gnnsched-env installed ({told})")
    for name, version in expected.items():
        if told.get(name) != version:
            raise ConfigError(f"--ray: {name} of machine {machine} must be {version}, as here, got {told.get(name)}")


@contextmanager
def quiet_ray() -> Iterator[None]:
    """Let Ray print nothing: whatever its settings, it prints reports of workers that died on stdout, among tables."""
    from ray._private import worker

    before = getattr(worker, "print_worker_logs", None)
    if before is None:
        yield
        return
    worker.print_worker_logs = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_worker_logs = before


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


@contextmanager
def ray_thread(start: Callable[[], object], what: str, *, within: float, told: str) -> Iterator[None]:
    """Call a function in a thread that lives as long as the block, and leave Ray at the end.

    Raise ConfigError where the function fails or takes longer than `within` seconds. The thread lives on because Linux
    ends Ray's own processes together with the thread that started them.
    """
    failed: list[Exception] = []
    answered, ended = threading.Event(), threading.Event()

    def call() -> None:
        try:
            start()
        except Exception as error:
            failed.append(error)
        answered.set()
        ended.wait()

    threading.Thread(target=call, daemon=True, name="gnnsched-ray").start()
    try:
        if not answered.wait(max(0.0, within)):
            raise ConfigError(f"{what} must answer within {told}, but has not")
        if failed:
            raise ConfigError(f"{what} cannot be joined ({' '.join(str(failed[0]).split())[:300]})")
        yield
    finally:
        with suppress(Exception):
            import_ray().shutdown()
        ended.set()
