"""What runs in a device's own process: the device, pinned to its core, with its clock."""

import os
import time
from contextlib import suppress
from pathlib import Path

from gnnsched_env.common.errors import ConfigError, raised
from gnnsched_env.live.devices.live_device import DeviceJobs, make_device
from gnnsched_env.live.live_fleet import LiveDevice

Ran = tuple[int, int, str]
"""When a run started and ended, nanoseconds of the device's clock, and what it raised ("" where it went well)."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class DeviceActor:
    """A device in a process of its own, asked for one thing at a time."""

    def __init__(self, device: LiveDevice) -> None:
        for name in THREADS:
            os.environ[name] = "1"
        self._device = make_device(device.kind, device.options)
        self._pinned = device.pin

    def load(self, core: int, jobs: DeviceJobs) -> tuple[str, str]:
        """Pin the process to one of the cores that it may use, and prepare the jobs.

        Return what is wrong with them, "" for nothing, and what tells this start of this machine from others.
        """
        if self._pinned and hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))  # noqa: TID251
            with suppress(OSError):
                os.sched_setaffinity(0, {cores[core % len(cores)]})  # noqa: TID251
        try:
            self._device.load(jobs)
        except ConfigError as error:
            return str(error), boot_id()
        except Exception as error:
            return raised(error), boot_id()
        return "", boot_id()

    def clock(self) -> int:
        """Return the device's clock, nanoseconds."""
        return time.monotonic_ns()

    def run(self, job_class: int, choice: str, repeats: int) -> Ran:
        """Run a job of several inferences."""
        started, why = time.monotonic_ns(), ""
        try:
            for _ in range(repeats):
                self._device.run(job_class, choice)
        except Exception as error:
            why = raised(error)
        return started, time.monotonic_ns(), why

    def measure(self, runs: list[tuple[int, str]]) -> list[int]:
        """Return the nanoseconds of each of several runs; an error of a run passes on."""
        taken = []
        for job_class, choice in runs:
            began = time.perf_counter_ns()
            self._device.run(job_class, choice)
            taken.append(time.perf_counter_ns() - began)
        return taken


def boot_id() -> str:
    """Return what tells one start of a machine from another, "" where the system does not say it."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""
