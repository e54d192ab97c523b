"""Finished runs beside their replays: errors, the noise floor, and whether the simulator ranks policies as reality."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.stats import Interval, kendall_tau
from gnnsched_env.live.replay.finished_runs import FIGURES, FinishedRun, figures
from gnnsched_env.sim.records import RecordArray

Replay = Callable[[FinishedRun], Sequence[RecordArray]]
"""Function from a finished run to the jobs of its replays (LIVE_JOB records [n] each), equally many for all runs."""

RANKED = "mean_completion"
TAIL = 2.5  # percent of the replays on each side of an interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The runs of one policy at one load, of equally many jobs, beside their replays, by the names of FIGURES.

    `real`: means over the runs. `simulated`: means over runs and replays, with the range of 95 % of the replays.
    `noise`: mean difference of two repeats, over their mean; None without repeats. `fitted`: a run among them was
    used to fit the calibration.
    """

    policy: str
    load: float
    jobs: int
    runs: tuple[FinishedRun, ...]
    real: dict[str, float]
    simulated: dict[str, Interval]
    noise: dict[str, float | None]
    fitted: bool

    def error(self, name: str) -> float:
        """Return a simulated figure over the real one, less 1."""
        return self.simulated[name].value / self.real[name] - 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON has it; times in nanoseconds."""
        return {
            "policy": self.policy,
            "load": self.load,
            "jobs": self.jobs,
            "runs": [made.folder for made in self.runs],
            "seeds": [made.run.seed for made in self.runs],
            "fitted": self.fitted,
            "real": self.real,
            "simulated": {name: value.as_list() for name, value in self.simulated.items()},
            "error": {name: self.error(name) for name in FIGURES},
            "noise": self.noise,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How policies rank at one load by their mean completion time, in reality and in the simulator.

    `tau`: Kendall's, over all pairs of policies. Of the pairs that differ in reality by more than the larger noise of
    the two, `told_apart` are so many, of which the simulator orders `agreed` as reality does (None without repeats).
    """

    load: float
    jobs: int
    policies: tuple[str, ...]
    tau: float
    told_apart: int | None
    agreed: int | None

    @property
    def tau_told_apart(self) -> float | None:
        """Return (agreeing - disagreeing) / all of the pairs that differ by more than the noise; None without any."""
        if not self.told_apart or self.agreed is None:
            return None
        return (2 * self.agreed - self.told_apart) / self.told_apart

    def to_dict(self) -> dict[str, Any]:
        """Return the ranking as JSON has it."""
        told = {name: getattr(self, name) for name in ("load", "jobs", "policies", "tau", "told_apart", "agreed")}
        return {**told, "policies": list(self.policies), "tau_told_apart": self.tau_told_apart}


def compare_runs(
    runs: Sequence[FinishedRun], replay: Replay, fitted: Callable[[FinishedRun], bool] = lambda made: False
) -> list[Comparison]:
    """Return a comparison for each policy, load and number of jobs, by load, and within it by the real mean.

    Repeats of a run share its replays: their jobs are the same.
    """
    groups: dict[tuple[str, float, int], list[FinishedRun]] = {}
    played: dict[tuple[str, float, int, int], Sequence[RecordArray]] = {}
    for made in runs:
        groups.setdefault(made.key[:3], []).append(made)
        if made.key not in played:
            played[made.key] = replay(made)
    found = [
        _comparison(group, [played[made.key] for made in group], any(map(fitted, group))) for group in groups.values()
    ]
    return sorted(found, key=lambda one: (one.load, one.jobs, one.real[RANKED]))


def rankings(comparisons: Sequence[Comparison]) -> list[Ranking]:
    """Return how the policies rank at each load at which there are several, with runs of the same seeds."""
    groups: dict[tuple[float, int], list[Comparison]] = {}
    for one in comparisons:
        groups.setdefault((one.load, one.jobs), []).append(one)
    return [
        _ranking(group)
        for group in groups.values()
        if len(group) > 1 and len({tuple(sorted(made.run.seed for made in one.runs)) for one in group}) == 1
    ]


def _comparison(group: Sequence[FinishedRun], replays: Sequence[Sequence[RecordArray]], fitted: bool) -> Comparison:
    devices = len(group[0].run.fleet.devices)
    real = [figures(made.jobs, devices) for made in group]
    for made, played in zip(group, replays, strict=True):
        if not all((jobs["done"] == 1).any() for jobs in played):
            raise ConfigError(f"{made.folder}: a replay must do at least one job, but gave all up")
    simulated = [[figures(jobs, devices) for jobs in played] for played in replays]
    policy, load, jobs, _ = group[0].key
    return Comparison(
        policy=policy,
        load=load,
        jobs=jobs,
        runs=tuple(group),
        real={name: float(np.mean([one[name] for one in real])) for name in FIGURES},
        simulated={
            name: _range(np.array([[one[name] for one in played] for played in simulated]).mean(axis=0))
            for name in FIGURES
        },
        noise={name: _noise([(made.run.seed, one[name]) for made, one in zip(group, real, strict=True)])
               for name in FIGURES},
        fitted=fitted,
    )  # fmt: skip


def _range(values: Any) -> Interval:
    low, high = np.percentile(values, [TAIL, 100.0 - TAIL])
    return Interval(value=float(values.mean()), low=float(low), high=float(high))


def _noise(values: Sequence[tuple[int, float]]) -> float | None:
    """Return the mean of |a - b| over the pairs' mean, over all pairs of values of equal seeds; None without any."""
    pairs = [(one[1], other[1]) for one, other in combinations(values, 2) if one[0] == other[0]]
    apart = [2.0 * abs(one - other) / (one + other) for one, other in pairs]
    return float(np.mean(apart)) if apart else None


def _ranking(group: Sequence[Comparison]) -> Ranking:
    real = [one.real[RANKED] for one in group]
    simulated = [one.simulated[RANKED].value for one in group]
    told_apart = agreed = None
    noises = [one.noise[RANKED] for one in group]
    known = [noise for noise in noises if noise is not None]
    if len(known) == len(group):
        told_apart = agreed = 0
        for i, j in combinations(range(len(group)), 2):
            if abs(real[i] - real[j]) > max(known[i] * real[i], known[j] * real[j]):
                told_apart += 1
                agreed += (real[i] - real[j]) * (simulated[i] - simulated[j]) > 0
    return Ranking(
        load=group[0].load,
        jobs=group[0].jobs,
        policies=tuple(one.policy for one in group),
        tau=float(kendall_tau(real, simulated)),
        told_apart=told_apart,
        agreed=agreed,
    )
