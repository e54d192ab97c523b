"""A Ray cluster for as long as a block lasts: one of this machine's own, or an existing one that is joined."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gnnsched_env.common.errors import ConfigError, needs_extra
from gnnsched_env.live.live_fleet import LiveFleet

ANSWER_S = 30.0  # within which a cluster must answer
START_S = 120.0  # within which one of this machine's own must have started


def import_ray() -> Any:
    """Return the module ray; raise ConfigError, naming the extra, where it is not installed."""
    with needs_extra("live fleet", "live"):
        import ray
    return ray


@contextmanager
def ray_session(fleet: LiveFleet, address: str | None = None) -> Iterator[None]:
    """Start Ray on this machine, or join the cluster at `address` (HOST:PORT), and leave it at the end.

    Raise ConfigError where Ray is not installed, the cluster does not answer within ANSWER_S seconds, or it has fewer
    cores than the fleet needs.
    """
    ray = import_ray()
    quiet: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    if address is None:
        check_cores(fleet, usable_cores(), "this machine")
        quiet |= {"num_cpus": max(len(fleet.devices), 1)}
    else:
        _check_answer(address)
    with started(
        lambda: ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **quiet),
        f"--address {address}" if address else "Ray",
        within=ANSWER_S if address else START_S,
    ):
        found, where = ray.cluster_resources(), "this machine" if address is None else f"the cluster at {address}"
        if address is not None:
            check_cores(fleet, int(found.get("CPU", 0)), where, every=True)
        check_gpus(fleet, int(found.get("GPU", 0)), where)
        yield


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_cores(fleet: LiveFleet, cores: int, where: str, *, every: bool = False) -> None:
    """Raise ConfigError for a fleet that needs more cores than there are; `every` device needs one on a cluster."""
    needed = len(fleet.devices) if every else fleet.cores
    if needed > cores:
        raise ConfigError(
            f"live fleet {fleet.name!r}: needs a core for each of {needed} devices, but {where} has {cores}"
        )


def _check_answer(address: str) -> None:
    """Raise ConfigError unless something listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ConfigError(f"--address: must be HOST:PORT of a Ray cluster, got {address!r}")
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWER_S):
            pass
    except OSError as error:
        raise ConfigError(f"--address {address}: no Ray cluster answers there ({error})") from None


def check_gpus(fleet: LiveFleet, gpus: int, where: str) -> None:
    """Raise ConfigError for a fleet that needs more GPUs than there are."""
    if fleet.gpus > gpus:
        raise ConfigError(
            f"live fleet {fleet.name!r}: needs a GPU for each of {fleet.gpus} devices, but {where} has {gpus}"
        )


@contextmanager
def started(start: Callable[[], object], what: str, *, within: float) -> Iterator[None]:
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
        if not answered.wait(within):
            raise ConfigError(f"{what}: must answer within {within:.0f} s, but has not")
        if failed:
            told = " ".join(str(failed[0]).split())[:300]
            raise ConfigError(f"{what}: cannot be reached ({type(failed[0]).__name__}: {told})")
        yield
    finally:
        with suppress(Exception):
            import_ray().shutdown()
        ended.set()
