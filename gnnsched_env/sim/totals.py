"""Sums over finished jobs, those whose records are not kept among them."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.sim.records import NEVER, RecordArray


def exact_sum(values: NDArray[np.int64]) -> int:
    """Return the sum of integers of at least 0, int64, at most 2^31 of them, which itself may be beyond int64."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


@dataclass(slots=True, kw_only=True)
class JobTotals:
    """How many jobs there were, and sums over them: times in cycles, `slowdown` over the smallest true latency.

    `due` counts the jobs with a deadline, `missed` those that finished after it, by `tardiness` cycles in all;
    `weighted` is the sum of weight x completion time, `weight` that of the weights.
    """

    jobs: int = 0
    completion: float = 0.0
    execution: float = 0.0
    slowdown: float = 0.0
    predicting: float = 0.0
    due: int = 0
    missed: int = 0
    tardiness: float = 0.0
    weight: float = 0.0
    weighted: float = 0.0

    def plus(self, other: "JobTotals") -> "JobTotals":
        """Return the totals of both."""
        names = (entry.name for entry in fields(self))
        return JobTotals(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def add(self, records: RecordArray, true: NDArray[np.int64]) -> None:
        """Count finished jobs (JOB records); `true` int64 [C, K] cycles."""
        if not len(records):
            return
        completion = records["finish"] - records["arrival"]
        late = np.where(records["due"] < NEVER, np.maximum(0, records["finish"] - records["due"]), 0)
        self.jobs += len(records)
        self.completion += float(exact_sum(completion))
        self.execution += float(exact_sum(records["finish"] - records["start"]))
        self.slowdown += float((completion / true.min(axis=1)[records["job_class"]]).sum())
        self.predicting += float(exact_sum(records["ready"] - records["arrival"]))
        self.due += int((records["due"] < NEVER).sum())
        self.missed += int((late > 0).sum())
        self.tardiness += float(exact_sum(late))
        self.weight += float(records["weight"].sum(dtype=np.float64))
        self.weighted += float((records["weight"] * completion).sum(dtype=np.float64))
