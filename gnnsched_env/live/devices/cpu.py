"""One core of a CPU: scipy's sparse product, torch's gather-scatter and sparse CSR, and dense products."""

from collections.abc import Sequence

from threadpoolctl import threadpool_limits

from gnnsched_env.common.errors import needs_extra
from gnnsched_env.live.devices.layer_ways import SUMS, Matrix
from gnnsched_env.live.devices.live_device import DeviceJobs
from gnnsched_env.live.devices.stack import Stack, check_dense, stacks


class CpuDevice:
    """Runs jobs on the thread that calls it, by numpy, scipy and torch, each with one thread."""

    def __init__(self) -> None:
        self._stacks: Sequence[Stack] = ()

    def choices(self) -> Sequence[str]:
        """Return the names of the ways."""
        return tuple(SUMS)

    def load(self, jobs: DeviceJobs) -> None:
        """Draw the operands, and limit the libraries of this process to one thread."""
        check_dense(jobs, jobs.choices, "cpu device")
        with needs_extra("cpu device", "live"):
            import torch

        torch.set_num_threads(1)
        threadpool_limits(limits=1)
        self._stacks = stacks(jobs)

    def run(self, job_class: int, choice: str) -> Matrix:
        """Return the job's output, float32 [V, G]."""
        return self._stacks[job_class].run(SUMS[choice])
