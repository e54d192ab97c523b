"""`Instance`: the jobs of one episode as an offline problem; `Plan`: where and when each job runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import number_array
from gnnsched_env.common.errors import ConfigError, FileFormatError

HORIZON = 1 << 62  # bound on the sum of completion times when all jobs run one after another

CycleArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instance:
    """Jobs to run on unrelated accelerators, one at a time on each, none interrupted: R | r_j | sum of C_j.

    `release` int64 [n]: when each job arrives. `latency` int64 [n, A]: its cycles on each accelerator, under the best
    dataflow there; changing the dataflow costs nothing, so every job can use it.
    """

    name: str
    release: CycleArray
    latency: CycleArray

    def __post_init__(self) -> None:
        release, latency = _cycles(self.name, "release", self.release), _cycles(self.name, "latency", self.latency)
        if release.ndim != 1 or latency.ndim != 2 or len(release) != len(latency) or 0 in latency.shape:
            raise ConfigError(
                f"instance {self.name!r}: release must be [n] and latency [n, A], both of at least 1, "
                f"got {list(release.shape)} and {list(latency.shape)}"
            )
        if release.min() < 0 or latency.min() < 1:
            raise ConfigError(
                f"instance {self.name!r}: releases must be at least 0 and latencies at least 1 cycle, "
                f"got {release.min()} and {latency.min()}"
            )
        longest = int(release.max()) + sum(latency.max(axis=1).tolist())
        if len(release) * longest >= HORIZON:
            raise ConfigError(
                f"instance {self.name!r}: {len(release)} jobs that may take until cycle {longest:,} do not fit int64"
            )
        object.__setattr__(self, "release", release)
        object.__setattr__(self, "latency", latency)

    @property
    def num_jobs(self) -> int:
        """Return the number of jobs n."""
        return len(self.release)

    @property
    def num_accelerators(self) -> int:
        """Return A."""
        return int(self.latency.shape[1])

    @classmethod
    def of(
        cls, name: str, arrival: CycleArray, job_class: CycleArray, true: CycleArray, choice_accelerators: CycleArray
    ) -> Self:
        """Return the instance of n jobs, given each job's class; `true` int64 [C, K]: cycles by class and choice."""
        cycles = _cycles(name, "true", true, shape=(None, None))
        owners = _cycles(name, "choice_accelerators", choice_accelerators, shape=(cycles.shape[1],))
        classes = _cycles(name, "job_class", job_class, shape=(None,))
        fleet = np.unique(owners).tolist()
        if not fleet or fleet != list(range(len(fleet))):
            raise ConfigError(f"instance {name!r}: choice_accelerators must give each a choice, got {owners.tolist()}")
        if len(classes) and not 0 <= classes.min() <= classes.max() < len(cycles):
            raise ConfigError(
                f"instance {name!r}: job_class must lie in 0..{len(cycles) - 1}, got {classes.min()} to {classes.max()}"
            )
        columns = [cycles[:, owners == a].min(axis=1) for a in fleet]
        return cls(name=name, release=arrival, latency=np.stack(columns, axis=1)[classes])

    def to_dict(self) -> dict[str, Any]:
        """Return the instance as a JSON-compatible dict."""
        return {"name": self.name, "release": self.release.tolist(), "latency": self.latency.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the instance that `to_dict` wrote; raise FileFormatError if it is invalid."""
        try:
            name, release, latency = data["name"], data["release"], data["latency"]
            return cls(name=str(name), release=np.array(release), latency=np.array(latency))
        except (KeyError, TypeError, ValueError) as error:  # ConfigError too
            raise FileFormatError(f"not an instance: {type(error).__name__}: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """A schedule: the accelerator and the start (cycle) of each job, both int64 [n]."""

    accelerators: CycleArray
    starts: CycleArray

    def ends(self, instance: Instance) -> CycleArray:
        """Return int64 [n], cycles."""
        durations: CycleArray = instance.latency[np.arange(instance.num_jobs), self.accelerators]
        return self.starts + durations

    def total(self, instance: Instance) -> int:
        """Return the sum of the completion times (end - release), cycles."""
        return int((self.ends(instance) - instance.release).sum())

    def check(self, instance: Instance) -> None:
        """Raise ConfigError if a job is missing, starts before its release, or overlaps another."""
        self._check_shape(instance)
        early = np.flatnonzero(self.starts < instance.release)
        if len(early):
            job = early[0]
            raise ConfigError(
                f"plan: job {job} must not start before cycle {instance.release[job]}, got {self.starts[job]}"
            )
        ends = self.ends(instance)
        for accelerator in range(instance.num_accelerators):
            own = np.flatnonzero(self.accelerators == accelerator)
            own = own[np.argsort(self.starts[own], kind="stable")]
            late = np.flatnonzero(self.starts[own[1:]] < ends[own[:-1]])
            if len(late):
                job, other = own[late[0] + 1], own[late[0]]
                raise ConfigError(
                    f"plan: job {job} must not start before job {other} ends on accelerator {accelerator}, "
                    f"cycle {ends[other]}, got {self.starts[job]}"
                )

    def packed(self, instance: Instance) -> "Plan":
        """Return the plan with each job moved as early as possible, on the same accelerators in the same order."""
        self._check_shape(instance)
        starts = np.zeros(instance.num_jobs, np.int64)
        free = np.zeros(instance.num_accelerators, np.int64)
        for job in np.lexsort((instance.release, self.starts)).tolist():
            accelerator = self.accelerators[job]
            starts[job] = max(free[accelerator], instance.release[job])
            free[accelerator] = starts[job] + instance.latency[job, accelerator]
        return Plan(accelerators=self.accelerators, starts=starts)

    def _check_shape(self, instance: Instance) -> None:
        shape = (instance.num_jobs,)
        for name, values in (("accelerators", self.accelerators), ("starts", self.starts)):
            if values.shape != shape or values.dtype != np.int64:
                raise ConfigError(f"plan: {name} must be int64 {list(shape)}, got {values.dtype} {list(values.shape)}")
        if self.accelerators.min() < 0 or self.accelerators.max() >= instance.num_accelerators:
            raise ConfigError(
                f"plan: accelerators must be in [0, {instance.num_accelerators}), "
                f"got {self.accelerators.min()}..{self.accelerators.max()}"
            )


def earliest_finish(instance: Instance) -> Plan:
    """Return a greedy plan: each job, in order of release, goes where it would finish first."""
    free = np.zeros(instance.num_accelerators, np.int64)
    accelerators, starts = np.zeros((2, instance.num_jobs), np.int64)
    for job in np.argsort(instance.release, kind="stable").tolist():
        begin = np.maximum(free, instance.release[job])
        chosen = int((begin + instance.latency[job]).argmin())
        accelerators[job], starts[job] = chosen, begin[chosen]
        free[chosen] = begin[chosen] + instance.latency[job, chosen]
    return Plan(accelerators=accelerators, starts=starts)


def _cycles(name: str, field: str, values: Any, shape: tuple[int | None, ...] | None = None) -> CycleArray:
    array: CycleArray = number_array(f"instance {name!r}", field, values, np.int64, shape=shape)
    array.setflags(write=False)
    return array
