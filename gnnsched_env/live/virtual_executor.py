"""Devices on a virtual clock: jobs take exactly the time that a table says, and no time passes otherwise."""

from collections.abc import Callable
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.live.executor import Kind, Report

Fault = Callable[[int, int], str]
"""Function from (job, attempt) to what the run raises, "" for a run that goes well."""


def _no_fault(job: int, attempt: int) -> str:
    return ""


class VirtualExecutor:
    """Runs jobs without running anything: the clock jumps from event to event.

    `latencies` int64 [C, K] nanoseconds; `owners` int64 [K], the device of each choice. A live run on it takes the
    decisions of the simulated episode, which makes it the twin of one. `losses`: moments, each with the device that is
    lost then and comes back `repair` nanoseconds later (never where that is None).
    """

    def __init__(
        self,
        latencies: NDArray[np.int64],
        owners: NDArray[np.int64],
        *,
        begin: int = 0,
        fault: Fault = _no_fault,
        losses: tuple[tuple[int, int], ...] = (),
        repair: int | None = 1,
    ) -> None:
        self._latencies, self._owners = latencies, owners
        self._now = begin
        self._fault = fault
        self._repair = repair
        self._runs: dict[int, Report] = {}  # by device
        self._ends: list[tuple[int, int, int, int]] = []  # finish, device, job, attempt
        self._changes = [(moment, device, 0) for moment, device in sorted(losses)]  # 1 where it comes back

    def start_clock(self) -> None:
        """Do nothing: the clock jumps, it does not go."""

    def now(self) -> int:
        """Return the clock."""
        return self._now

    def start(self, device: int, *, job: int, attempt: int, job_class: int, choice: int) -> None:
        """Start a job; it ends when the table says."""
        finish = self._now + int(self._latencies[job_class, choice])
        why = self._fault(job, attempt)
        times = {"sent": self._now, "started": self._now, "finished": finish}
        kind = Kind.RAISED if why else Kind.DONE
        self._runs[device] = Report(kind=kind, device=device, job=job, attempt=attempt, why=why, **times)
        heappush(self._ends, (finish, device, job, attempt))

    def wait(self, until: int) -> list[Report]:
        """Move the clock to the next event, at most to `until`; return the events of that moment."""
        self._forget()
        moment = min([until, *(end[0] for end in self._ends[:1]), *(change[0] for change in self._changes[:1])])
        self._now = max(self._now, moment)
        reports = []
        while self._ends and self._ends[0][0] <= self._now:
            reports.append(self._runs.pop(heappop(self._ends)[1]))
            self._forget()
        while self._changes and self._changes[0][0] <= self._now:
            reports.append(self._change(*heappop(self._changes)))
        return reports

    def _forget(self) -> None:
        """Forget the ends of runs that were lost."""
        while self._ends and not self._runs_still(*self._ends[0][1:]):
            heappop(self._ends)

    def _runs_still(self, device: int, job: int, attempt: int) -> bool:
        run = self._runs.get(device)
        return run is not None and (run.job, run.attempt) == (job, attempt)

    def _change(self, moment: int, device: int, back: int) -> Report:
        if back:
            return Report(kind=Kind.UP, device=device)
        self._runs.pop(device, None)
        if self._repair is None:
            return Report(kind=Kind.GONE, device=device, why="lost for good")
        heappush(self._changes, (moment + self._repair, device, 1))
        return Report(kind=Kind.LOST, device=device, why="lost")

    def wake(self) -> None:
        """Do nothing: `wait` never waits."""

    def stop(self, device: int, why: str) -> None:
        """Lose a device now."""
        heappush(self._changes, (self._now, device, 0))

    def close(self) -> None:
        """Do nothing: there is nothing to end."""
