"""Fit a calibration to finished runs: overheads of jobs, interference of devices, measured over profiled latencies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.live.replay.calibration import MOST_SLOWDOWN, Calibration, Values, distribution
from gnnsched_env.live.replay.finished_runs import FinishedRun, check_drawn, table_digest
from gnnsched_env.sim.records import RecordArray

FEWEST = 30  # runs of a device from which its slowdown is fitted
LEAST_SPREAD = 0.05  # standard deviation that their overlaps must have
LEAST_SLOWDOWN = -0.5
FEWEST_ALIKE = 10  # runs of a class under a choice that have a correction of their own
SURE = 3.0  # standard errors by which a slowdown must differ from 0, or it is 0

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """The runs of n jobs that were done: job_class, choice and device int64 [n]; the others float64 [n].

    `took` and `profiled`: nanoseconds; `overlap`: mean share of the other devices that ran jobs during the run;
    `dispatch`, `report`: nanoseconds from the decision to the start on the device, and from the end there until the
    scheduler knew.
    """

    job_class: IntArray
    choice: IntArray
    device: IntArray
    took: FloatArray
    profiled: FloatArray
    overlap: FloatArray
    dispatch: FloatArray
    report: FloatArray

    @classmethod
    def of(cls, runs: Sequence[FinishedRun]) -> Self:
        """Return the runs of all jobs that were done."""
        parts = [_sample(made) for made in runs]
        return cls(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def fit_calibration(runs: Sequence[FinishedRun]) -> Calibration:
    """Return the calibration that finished runs of one fleet and table show (`read_finished` gives such).

    Of a device's runs, profiled over measured latency is taken to fall linearly with the overlap: least squares among
    jobs of one class under one choice give the slowdown (0 where there are few runs, where all overlap alike, and where
    noise may explain it). The correction of a class and choice is then the median of measured over profiled latency,
    freed of the slowdown, and what is left of each run is a residual. Where a class has few runs under a choice, the
    correction is that of all runs under the choice; of a choice never taken, that of its device. A device without a run
    has what all runs show.
    """
    for made in runs:
        check_drawn(made)
    sample, fleet = Sample.of(runs), runs[0].run.fleet
    devices, owners = range(len(fleet.devices)), fleet.choice_devices
    slowdowns = tuple(_slowdown(sample, device) for device in devices)
    alone = sample.took * (1.0 - np.array(slowdowns)[sample.device] * sample.overlap) / sample.profiled
    corrections = _corrections(sample, alone, owners, runs[0].run.table.num_classes)
    residual = alone / corrections[sample.job_class, sample.choice]

    def by_device(values: FloatArray) -> tuple[Values, ...]:
        return tuple(distribution(values[_first_some(sample.device == device)]) for device in devices)

    return Calibration(
        fleet=fleet,
        table=table_digest(runs[0].run.table),
        runs=tuple(_described(made) for made in runs),
        corrections=tuple(map(tuple, corrections.tolist())),
        slowdowns=slowdowns,
        overlap=tuple(float(sample.overlap[_first_some(sample.device == device)].mean()) for device in devices),
        residuals=by_device(residual),
        dispatch_ns=by_device(sample.dispatch),
        report_ns=by_device(sample.report),
        coming_ns=distribution(np.concatenate([np.array(list(coming_times(made))) for made in runs])),
        deciding_ns=_deciding(runs),
    )


def overlaps(jobs: RecordArray, owners: IntArray, devices: int) -> FloatArray:
    """Return float64 [n]: the mean share of the other devices that ran jobs during each of n LIVE_JOB records' runs.

    All must be done; `owners` int64 [n] is the device of each.
    """
    started, finished = jobs["started"].astype(np.float64), jobs["finished"].astype(np.float64)
    total = np.zeros(len(jobs))
    for device in range(devices):
        own = np.flatnonzero(owners == device)
        if not len(own):
            continue
        own = own[np.argsort(started[own], kind="stable")]
        moments = np.stack([started[own], finished[own]], axis=1).ravel()
        lengths = finished[own] - started[own]
        before = np.cumsum(lengths) - lengths
        busy = np.stack([before, before + lengths], axis=1).ravel()  # until each of the moments
        others = owners != device
        total[others] += np.interp(finished[others], moments, busy) - np.interp(started[others], moments, busy)
    share: FloatArray = total / np.maximum(finished - started, 1.0) / max(1, devices - 1)
    return share


def coming_times(made: FinishedRun) -> Iterator[int]:
    """Yield the nanoseconds that the scheduler spent on each job that came: from when it could, until it had it."""
    free = 0
    for entry in made.run.entries:
        if entry["event"] == "arrive":
            yield entry["at"] - max(free, entry["arrival"])
        free = entry["at"]


def _sample(made: FinishedRun) -> dict[str, Any]:
    run, jobs = made.run, made.jobs[made.jobs["done"] == 1]
    device = run.fleet.choice_devices[jobs["choice"]]
    repeats = run.scenario.workload.repeats
    return {
        "job_class": jobs["job_class"].copy(),
        "choice": jobs["choice"].copy(),
        "device": device,
        "took": np.maximum(jobs["finished"] - jobs["started"], 1).astype(np.float64),
        "profiled": run.table.true_cycles[jobs["job_class"], jobs["choice"]] * float(repeats),
        "overlap": overlaps(jobs, device, len(run.fleet.devices)),
        "dispatch": np.maximum(jobs["started"] - jobs["decided"], 0).astype(np.float64),
        "report": np.maximum(jobs["reported"] - jobs["finished"], 0).astype(np.float64),
    }


def _slowdown(sample: Sample, device: int) -> float:
    """Return by which share a device slows down while all others run jobs: least squares among alike jobs."""
    own = sample.device == device
    overlap, speed = sample.overlap[own], (sample.profiled / sample.took)[own]
    alike = sample.job_class[own] * (1 + sample.choice.max()) + sample.choice[own]
    if len(overlap) < FEWEST:
        return 0.0
    relative, centred_speed, centred = np.ones(len(speed)), np.zeros(len(speed)), np.zeros(len(speed))
    for one in np.unique(alike):
        among = alike == one
        relative[among] = speed[among] / np.median(speed[among])
        centred[among] = overlap[among] - overlap[among].mean()
        centred_speed[among] = relative[among] - relative[among].mean()
    if centred.std() < LEAST_SPREAD:
        return 0.0
    slope = float(centred @ centred_speed / (centred @ centred))
    left = centred_speed - slope * centred
    if abs(slope) < SURE * float(np.sqrt((left @ left) / len(left) / (centred @ centred))):
        return 0.0
    alone = float(relative.mean() - slope * overlap.mean())
    return float(np.clip(-slope / alone, LEAST_SLOWDOWN, MOST_SLOWDOWN)) if alone > 0 else 0.0


def _corrections(sample: Sample, alone: FloatArray, owners: IntArray, classes: int) -> FloatArray:
    """Return float64 [C, K]: medians of what runs take alone over the profile (`alone` float64 [n])."""
    found = np.empty((classes, len(owners)))
    for choice, owner in enumerate(owners):
        taken = sample.choice == choice
        found[:, choice] = np.median(alone[_first_some(taken, sample.device == owner)])
        for job_class in range(classes):
            own = taken & (sample.job_class == job_class)
            if np.count_nonzero(own) >= FEWEST_ALIKE:
                found[job_class, choice] = np.median(alone[own])
    return found


def _first_some(*choices: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the first selection that selects anything, and everything where none does."""
    return next((chosen for chosen in choices if chosen.any()), np.ones_like(choices[0]))


def _deciding(runs: Sequence[FinishedRun]) -> Mapping[str, Values]:
    """Return the nanoseconds of decisions by policy, and of all ("")."""
    times: dict[str, list[FloatArray]] = {"": []}
    for made in runs:
        decisions = made.run.decisions
        spent = (decisions["decided"] - decisions["seen"]).astype(np.float64)
        for name in ("", made.run.policy):
            times.setdefault(name, []).append(spent)
    return {name: distribution(np.concatenate(parts)) for name, parts in times.items()}


def _described(made: FinishedRun) -> dict[str, Any]:
    policy, load, jobs, seed = made.key
    return {
        "folder": made.folder,
        "identity": made.identity,
        "policy": policy,
        "load": load,
        "jobs": jobs,
        "seed": seed,
        "done": int((made.jobs["done"] == 1).sum()),
    }
