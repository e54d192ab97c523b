"""What a live scheduler asks of whatever runs its jobs: a clock, starts, and reports of what has happened."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """What is reported of a device: of its job, that it is done or has raised; of itself, that it was lost or is up.

    GONE is a device that will not come back.
    """

    DONE = "done"
    RAISED = "raised"
    LOST = "lost"
    UP = "up"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One thing that has happened on a device; times are nanoseconds of the run's clock.

    `job` and `attempt` are those of the job's start (-1 where the report is of the device alone); `sent`, `started`
    and `finished`: when the job was handed over, and its time on the device's own clock, mapped to the run's; `why`
    tells what went wrong.
    """

    kind: Kind
    device: int
    job: int = -1
    attempt: int = -1
    sent: int = -1
    started: int = -1
    finished: int = -1
    why: str = ""


class Executor(Protocol):
    """Runs jobs on devices, one at a time each, and keeps the run's clock."""

    def start_clock(self) -> None:
        """Let the run's clock go, which has stood still so far."""
        ...

    def now(self) -> int:
        """Return the run's clock, nanoseconds."""
        ...

    def start(self, device: int, *, job: int, attempt: int, job_class: int, choice: int) -> None:
        """Start a job on an idle device under a choice of the fleet; its report says how it ended."""
        ...

    def wait(self, until: int) -> list[Report]:
        """Return what has happened, in order, or nothing once the clock shows `until`, or after `wake`."""
        ...

    def wake(self) -> None:
        """Let `wait` return at once, in whichever thread it waits."""
        ...

    def stop(self, device: int, why: str) -> None:
        """End a device whose job has run too long; it is reported as LOST, and as UP once it is back."""
        ...

    def close(self) -> None:
        """End all devices."""
        ...
