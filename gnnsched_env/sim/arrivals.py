"""When jobs come: a class for each arrival process, which declares its parameters and says how its rate changes.

A process keeps, on average over a long time, the mean rate that it is given. It says how its rate changes as phases:
(length in cycles, rate over the mean rate) each, which follow one another.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from gnnsched_env.common.checks import Number, OneOf
from gnnsched_env.sim import random_jobs

DIURNAL_STEPS = 96  # a quarter of an hour each, of a day

Phases = tuple[tuple[float, float], ...]


class Modulation(IntEnum):
    """How the arrival rate changes: not at all, through phases of fixed length, or of exponentially distributed."""

    STEADY = random_jobs.STEADY
    PERIODIC = random_jobs.PERIODIC
    MARKOV = random_jobs.MARKOV


@dataclass(frozen=True, kw_only=True)
class Process:
    """What every process has."""

    def phases(self, mean_gap: float) -> tuple[Modulation, Phases]:
        """Return how the rate changes where jobs come `mean_gap` cycles apart on average."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Poisson(Process):
    """A constant rate."""

    def phases(self, mean_gap: float) -> tuple[Modulation, Phases]:
        """Return no phases."""
        return Modulation.STEADY, ()


@dataclass(frozen=True, kw_only=True)
class Bursty(Process):
    """A rate that switches between calm and burst (a Markov-modulated Poisson process: exponential lengths)."""

    burst_rate: Annotated[float, Number(above=1.0, most=1e6, help="Rate in a burst over the calm rate.")] = 5.0
    burst_share: Annotated[float, Number(above=0.0, most=0.99, help="Share of the time in bursts.")] = 0.2
    burst_jobs: Annotated[float, Number(least=1.0, most=1e9, help="Arrivals a burst, on average.")] = 100.0

    def phases(self, mean_gap: float) -> tuple[Modulation, Phases]:
        """Return calm and burst, whose rates c and r c average to 1 over the time: c = 1 / (1 + share x (r - 1))."""
        share = self.burst_share
        calm = 1.0 / (1.0 + share * (self.burst_rate - 1.0))
        burst = self.burst_rate * calm
        length = self.burst_jobs * mean_gap / burst
        return Modulation.MARKOV, ((length * (1.0 - share) / share, calm), (length, burst))


@dataclass(frozen=True, kw_only=True)
class Diurnal(Process):
    """A rate that follows a sine, from a random moment of it on."""

    period_jobs: Annotated[float, Number(least=1.0, most=1e9, help="Arrivals a period, on average.")] = 1_000.0
    amplitude: Annotated[float, Number(least=0.0, most=1.0, help="The sine's, as a share of the mean rate.")] = 0.8

    def phases(self, mean_gap: float) -> tuple[Modulation, Phases]:
        """Return the steps of a day."""
        length = self.period_jobs * mean_gap / DIURNAL_STEPS
        angles = [2.0 * math.pi * (step + 0.5) / DIURNAL_STEPS for step in range(DIURNAL_STEPS)]
        return Modulation.PERIODIC, tuple((length, 1.0 + self.amplitude * math.sin(angle)) for angle in angles)


PROCESSES: dict[str, type[Process]] = {"poisson": Poisson, "bursty": Bursty, "diurnal": Diurnal}


@dataclass(frozen=True, kw_only=True)
class ChosenProcess(Diurnal, Bursty, Poisson):
    """One of the processes, by name, with the parameters of all."""

    process: Annotated[str, OneOf(tuple(PROCESSES), help="The process by which jobs arrive.", option="arrivals")] = (
        "poisson"
    )

    def phases(self, mean_gap: float) -> tuple[Modulation, Phases]:
        """Return those of the process that is chosen."""
        return PROCESSES[self.process].phases(self, mean_gap)
