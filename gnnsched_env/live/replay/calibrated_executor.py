"""Devices on a virtual clock in the times of a calibration: they slow each other down, and jobs have overheads."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.live.executor import Kind, Report
from gnnsched_env.live.replay.calibration import Calibration, Values

FOR_EVER = 1 << 62
ROUNDING = 1e-6  # nanoseconds of work that count as done
PURPOSES = ("residual", "dispatch", "report", "coming", "deciding")


class Draws:
    """Draws from a calibration's distributions, numbered: a job's do not depend on which jobs were started before."""

    def __init__(self, seed: int, jobs: int) -> None:
        self._shares = {
            name: np.random.default_rng([seed, number]).random(jobs) for number, name in enumerate(PURPOSES)
        }

    def take(self, purpose: str, number: int, values: Values) -> float:
        """Return draw `number` for a purpose, one of equally likely values."""
        shares = self._shares[purpose]
        return values[int(shares[number % len(shares)] * len(values))]


@dataclass(slots=True, eq=False)
class _Run:
    job: int
    attempt: int
    sent: int
    started: int
    left: float  # nanoseconds of work, at the device's speed alone
    finished: int = -1
    reported: int = -1


class CalibratedExecutor:
    """Runs jobs without running anything, as `VirtualExecutor` does, in the times that a calibration says.

    `latencies` int64 [C, K]: profiled nanoseconds of jobs. A device's speed changes when another starts or ends a job,
    and what a run has done until then counts. The scheduler's own time is told by `spend`. With `exact_calibration` it
    is the VirtualExecutor.
    """

    def __init__(self, latencies: NDArray[np.int64], calibration: Calibration, draws: Draws) -> None:
        self._latencies, self._calibration, self._draws = latencies, calibration, draws
        self._now = self._time = 0  # of the scheduler; until which devices have been followed
        self._runs: dict[int, _Run] = {}  # by device
        self._told: list[Report] = []

    def start_clock(self) -> None:
        """Do nothing: the clock jumps, it does not go."""

    def now(self) -> int:
        """Return the clock."""
        return self._now

    def spend(self, nanoseconds: float) -> None:
        """Let time pass in which the scheduler is busy."""
        self._now += round(nanoseconds)

    def start(self, device: int, *, job: int, attempt: int, job_class: int, choice: int) -> None:
        """Hand over a job to an idle device."""
        if device in self._runs:
            raise ConfigError(f"calibrated executor: device {device} must be idle to start job {job}")
        known, number = self._calibration, job + attempt  # another try draws as the next job does
        profiled = int(self._latencies[job_class, choice])
        residual = self._draws.take("residual", number, known.residuals[device])
        work = float(round(profiled * known.corrections[job_class][choice] * residual))
        dispatch = round(self._draws.take("dispatch", number, known.dispatch_ns[device]))
        self._runs[device] = _Run(job, attempt, self._now, self._now + dispatch, max(work, 1.0))

    def wait(self, until: int) -> list[Report]:
        """Move the clock to the next report, at most to `until`; return the reports of that moment."""
        self._follow(self._now)
        while not self._told and (moment := self._next()[0]) <= until:
            self._follow(moment)
            self._now = max(self._now, moment)
        if not self._told:
            self._now = max(self._now, until)
        told, self._told = self._told, []
        return told

    def wake(self) -> None:
        """Do nothing: `wait` never waits."""

    def stop(self, device: int, why: str) -> None:
        """Lose a device whose job has run too long; it comes back at once."""
        if self._runs.pop(device, None) is not None:
            self._told += [Report(kind=Kind.LOST, device=device, why=why), Report(kind=Kind.UP, device=device)]

    def close(self) -> None:
        """Do nothing: there is nothing to end."""

    def _next(self) -> tuple[int, int]:
        """Return when the next run starts, ends or is reported, and on which device; (FOR_EVER, -1) where none does."""
        speeds = self._speeds()
        changes = [(self._change(run, speeds.get(device, 1.0)), device) for device, run in self._runs.items()]
        return min(changes, default=(FOR_EVER, -1))

    def _change(self, run: _Run, speed: float) -> int:
        if run.reported >= 0:
            return run.reported
        if self._time < run.started:
            return run.started
        return self._time + max(0, ceil((run.left - ROUNDING) / speed))

    def _speeds(self) -> dict[int, float]:
        """Return the speed of each device whose job runs at the time that has been followed to."""
        running = [d for d, run in self._runs.items() if run.started <= self._time and run.finished < 0]
        share = (len(running) - 1) / max(1, len(self._calibration.slowdowns) - 1)
        return {device: 1.0 - self._calibration.slowdowns[device] * share for device in running}

    def _follow(self, until: int) -> None:
        """Let the devices work until a moment; what is reported by then is kept for `wait`."""
        while (change := self._next())[0] <= until:
            self._work(change[0])
            self._tell(change[1])
        self._work(until)

    def _work(self, until: int) -> None:
        if until > self._time:
            for device, speed in self._speeds().items():
                self._runs[device].left -= (until - self._time) * speed
            self._time = until

    def _tell(self, device: int) -> None:
        """Act on what is due on a device at the time that has been followed to."""
        run = self._runs[device]
        if run.reported >= 0:
            self._told.append(
                Report(
                    kind=Kind.DONE,
                    device=device,
                    job=run.job,
                    attempt=run.attempt,
                    sent=run.sent,
                    started=run.started,
                    finished=run.finished,
                )
            )
            del self._runs[device]
        elif run.started <= self._time and run.left <= ROUNDING:
            run.finished = self._time
            report = self._draws.take("report", run.job + run.attempt, self._calibration.report_ns[device])
            run.reported = self._time + round(report)
