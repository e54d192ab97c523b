"""A Ray cluster for as long as a block lasts: one of this machine's own, or an existing one that is joined."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.parallel import ray_session as parallel
from gnnsched_env.live.live_fleet import LiveFleet

START_S = 120.0  # within which one of this machine's own must have started


def import_ray() -> Any:
    """Return the module ray; raise ConfigError, naming the extra, where it is not installed."""
    return parallel.import_ray("live fleet", "live")


@contextmanager
def ray_session(fleet: LiveFleet, address: str | None = None) -> Iterator[None]:
    """Start Ray on this machine, or join the cluster at `address` (HOST:PORT), and leave it at the end.

    Raise ConfigError where Ray is not installed, the cluster does not answer in time, or it has fewer cores than the
    fleet needs.
    """
    ray = import_ray()
    quiet: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    if address is None:
        check_cores(fleet, usable_cores(), "this machine")
        quiet |= {"num_cpus": max(len(fleet.devices), 1)}
    else:
        parallel.check_answer(address, parallel.ANSWER_S, option="--address")
    what, limit = (f"--address {address}", parallel.ANSWER_S) if address else ("Ray", START_S)
    start = partial(ray.init, address=address or "local", log_to_driver=False, logging_level="ERROR", **quiet)
    session = parallel.ray_thread(start, what, within=limit, told=f"{limit:.0f} s")
    with parallel.quiet_ray(), session, termination_as_interrupt():
        found, where = ray.cluster_resources(), "this machine" if address is None else f"the cluster at {address}"
        if address is not None:
            check_cores(fleet, int(found.get("CPU", 0)), where, every=True)
        check_gpus(fleet, int(found.get("GPU", 0)), where)
        yield


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt in the main thread: Ray would end the process with a dump of its stack."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # noqa: TID251


def check_cores(fleet: LiveFleet, cores: int, where: str, *, every: bool = False) -> None:
    """Raise ConfigError for a fleet that needs more cores than there are; `every` device needs one on a cluster."""
    needed = len(fleet.devices) if every else fleet.cores
    if needed > cores:
        raise ConfigError(
            f"live fleet {fleet.name!r}: needs a core for each of {needed} devices, but {where} has {cores}"
        )


def check_gpus(fleet: LiveFleet, gpus: int, where: str) -> None:
    """Raise ConfigError for a fleet that needs more GPUs than there are."""
    if fleet.gpus > gpus:
        raise ConfigError(
            f"live fleet {fleet.name!r}: needs a GPU for each of {fleet.gpus} devices, but {where} has {gpus}"
        )
