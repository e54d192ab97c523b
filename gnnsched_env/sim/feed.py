"""Jobs that are read from a source, a trace for example, instead of being drawn: loaded in parts, in bounded memory.

A lane holds the jobs that are in the system and some that are still to come. When those have come, what has finished is
counted and forgotten, what has not moves to the front, and the next part is read.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim.random_jobs import set_ready
from gnnsched_env.sim.records import IDLE, JOB, RecordArray
from gnnsched_env.sim.settings import SimulationSettings

CAPACITY = 1 << 16  # jobs that a lane holds at most, unless more are in the system
LATEST_READ = 1 << 61  # cycles; jobs that are read come and are due before


class JobSource(Protocol):
    """Jobs in the order of their arrival, the same each time they are asked for.

    `chunks(size)` yields record arrays of at most `size` jobs with the fields "arrival" and "due" (int64 cycles below
    LATEST_READ, due NEVER where there is no deadline), "weight" (float) and "job_class" (int).
    """

    @property
    def num_jobs(self) -> int:
        """Return the number of jobs."""
        ...

    def chunks(self, size: int) -> Iterator[NDArray[np.void]]:
        """Yield all jobs, at most `size` at a time."""
        ...


class Fed(Protocol):
    """The simulation whose lanes a feed loads; `state.Simulation` describes its arrays."""

    config: SimulationSettings
    settings: RecordArray
    lanes: RecordArray
    accelerators: RecordArray
    jobs: RecordArray
    queue: RecordArray
    aborted: RecordArray
    predictor: tuple[NDArray[Any], NDArray[Any]]

    def grow(self, held: int) -> None:
        """Make room for `held` jobs in each lane."""


class Feed:
    """Loads the jobs of a source into the lanes of a simulation."""

    def __init__(self, source: JobSource, simulation: Fed, *, capacity: int) -> None:
        config = simulation.config
        if config.jobs > source.num_jobs:
            raise ConfigError(
                f"simulation: jobs must be at most the {source.num_jobs:,} that the trace has, got {config.jobs:,}"
            )
        if config.jobs > capacity and config.decision:
            raise ConfigError(
                f"simulation: a decision cost needs all jobs in memory, at most {capacity:,}, got {config.jobs:,}"
            )
        self.source = source
        self.simulation = simulation
        self.streams: dict[int, _Stream] = {}

    def load(self, which: NDArray[np.bool_]) -> None:
        """Load the first jobs of the lanes where `which` [L] is True."""
        simulation = self.simulation
        for lane in np.flatnonzero(which).tolist():
            stream = self.streams[lane] = _Stream(self.source, simulation.config.jobs)
            self._append(lane, 0, stream)

    def refill(self, lane: int) -> RecordArray:
        """Make room in a lane whose loaded jobs have all come, and load more; return the records of finished jobs."""
        simulation = self.simulation
        state = simulation.lanes[lane]
        jobs = simulation.jobs[lane]
        loaded = int(state["loaded"])
        finished = jobs["finish"][:loaded] >= 0
        live = np.flatnonzero(~finished)
        gone: RecordArray = jobs[:loaded][finished]
        if 2 * len(live) > len(jobs):
            simulation.grow(2 * len(jobs))
            jobs = simulation.jobs[lane]
        place = np.full(loaded + 1, IDLE, np.int32)  # of each job; the last for none, -1
        place[live] = np.arange(len(live))
        jobs[: len(live)] = jobs[live]
        jobs["next"][: len(live)] = place[jobs["next"][: len(live)]]
        for name in ("job", "head", "tail"):
            simulation.accelerators[name][lane] = place[simulation.accelerators[name][lane]]
        simulation.aborted["job"][lane] = place[simulation.aborted["job"][lane]]
        queue, head, waiting = simulation.queue[lane], int(state["head"]), int(state["waiting"])
        front = simulation.accelerators.shape[1]  # room for jobs that come back from failing accelerators
        entries = queue[head : head + waiting].copy()
        entries["job"] = place[entries["job"]]
        queue[front : front + waiting] = entries
        state["head"] = front
        state["cursor"] = len(live)
        self._append(lane, len(live), self.streams[lane])
        return gone

    def _append(self, lane: int, first: int, stream: "_Stream") -> None:
        """Write the next jobs of a stream to a lane, from place `first` on, as many as fit."""
        jobs = self.simulation.jobs[lane]
        given = stream.take(len(jobs) - first)
        fresh = np.zeros(len(given), JOB)
        for name in ("arrival", "due", "weight", "job_class"):
            fresh[name] = given[name]
        fresh["believed_class"] = fresh["job_class"]
        fresh["ready"] = fresh["arrival"]
        for name in ("start", "finish", "choice", "next"):
            fresh[name] = IDLE
        jobs[first : first + len(fresh)] = fresh
        self.simulation.lanes["loaded"][lane] = first + len(fresh)
        if self.simulation.config.decision:
            set_ready(self.simulation.settings, lane, self.simulation.jobs, *self.simulation.predictor)


class _Stream:
    """Reads a source in parts of any size, up to so many jobs."""

    def __init__(self, source: JobSource, jobs: int) -> None:
        self.chunks = source.chunks(CAPACITY)
        self.rest: NDArray[np.void] | None = None
        self.left = jobs

    def take(self, count: int) -> NDArray[np.void]:
        """Return the next `count` jobs, or what is left."""
        count = min(count, self.left)
        self.left -= count
        parts = []
        while count > 0:
            chunk = self.rest if self.rest is not None and len(self.rest) else next(self.chunks)
            parts.append(chunk[:count])
            self.rest = chunk[count:]
            count -= len(parts[-1])
        return np.concatenate(parts)
