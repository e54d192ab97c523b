"""A device that does nothing for exactly as long as the table says: tests of a live engine without noise."""

import time
from collections.abc import Sequence

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.live.devices.live_device import DeviceJobs

SPIN_NS = 200_000  # of the end of a sleep, which is waited out in a loop: sleeping is not that exact
ANY = "any"


class SleepDevice:
    """Sleeps the latency of a job's class under a choice; it has whichever choices the fleet's file names."""

    def __init__(self) -> None:
        self._jobs: DeviceJobs | None = None

    def choices(self) -> Sequence[str]:
        """Return that it can be asked for any choice."""
        return (ANY,)

    def load(self, jobs: DeviceJobs) -> None:
        """Keep the latencies; raise ConfigError where there are none yet."""
        if jobs.latencies is None:
            raise ConfigError("sleep device: needs a latency table, whose times it takes: it cannot be profiled")
        self._jobs = jobs

    def run(self, job_class: int, choice: str) -> None:
        """Return after the job's latency."""
        assert self._jobs is not None and self._jobs.latencies is not None
        latency = int(self._jobs.latencies[job_class, self._jobs.choices.index(choice)])
        end = time.monotonic_ns() + latency
        if latency > SPIN_NS:
            time.sleep((latency - SPIN_NS) / 1e9)
        while time.monotonic_ns() < end:
            pass
