"""When jobs arrive: a class for each arrival process, which declares its parameters and says how its rate changes.

A process keeps, on average over a long time, the mean rate that it is given. Its phases say how the rate changes: they
follow one another, each with a length in cycles and a rate as a multiple of the mean rate. Its name and its parameters
in scenarios, on command lines and in records follow from its class and its entry in `PROCESSES`.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from gnnsched_env.common.checks import Number, OneOf
from gnnsched_env.sim import random_jobs

DIURNAL_STEPS = 96  # in a period: quarters of an hour of a day

Phases = tuple[tuple[float, float], ...]


class Modulation(IntEnum):
    """How the rate changes: not at all, or from phase to phase, of fixed or of exponentially distributed length."""

    STEADY = random_jobs.STEADY
    PERIODIC = random_jobs.PERIODIC
    MARKOV = random_jobs.MARKOV


@dataclass(frozen=True, kw_only=True)
class Process:
    """An arrival process; its fields are its parameters."""

    def phases(self, mean_gap: float) -> tuple[Modulation, Phases]:
        """Return how the rate changes if jobs arrive `mean_gap` cycles apart on average."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Poisson(Process):
    """Jobs arrive at a constant rate: a Poisson process."""

    def phases(self, mean_gap: float) -> tuple[Modulation, Phases]:
        """Return no phases: the rate never changes."""
        return Modulation.STEADY, ()


@dataclass(frozen=True, kw_only=True)
class Bursty(Process):
    """Calm and bursts, of exponentially distributed lengths, alternate: a Markov-modulated Poisson process."""

    burst_rate: Annotated[
        float, Number(above=1.0, most=1e6, help="Arrival rate in a burst, as a multiple of the calm rate.")
    ] = 5.0
    burst_share: Annotated[float, Number(above=0.0, most=0.99, help="Share of the time that bursts take.")] = 0.2
    burst_jobs: Annotated[float, Number(least=1.0, most=1e9, help="Mean number of arrivals in a burst.")] = 100.0

    def phases(self, mean_gap: float) -> tuple[Modulation, Phases]:
        """Return calm and burst, whose rates c and r c average to 1 over the time: c = 1 / (1 + share x (r - 1))."""
        share = self.burst_share
        calm = 1.0 / (1.0 + share * (self.burst_rate - 1.0))
        burst = self.burst_rate * calm
        length = self.burst_jobs * mean_gap / burst
        return Modulation.MARKOV, ((length * (1.0 - share) / share, calm), (length, burst))


@dataclass(frozen=True, kw_only=True)
class Diurnal(Process):
    """The rate follows a sine; an episode starts at a random moment of it."""

    period_jobs: Annotated[
        float, Number(least=1.0, most=1e9, help="Mean number of arrivals in a period of the sine.")
    ] = 1_000.0
    amplitude: Annotated[
        float, Number(least=0.0, most=1.0, help="Amplitude of the rate's sine, as a share of the mean rate.")
    ] = 0.8

    def phases(self, mean_gap: float) -> tuple[Modulation, Phases]:
        """Return the steps of a period, each at the rate of its middle."""
        length = self.period_jobs * mean_gap / DIURNAL_STEPS
        angles = [2.0 * math.pi * (step + 0.5) / DIURNAL_STEPS for step in range(DIURNAL_STEPS)]
        return Modulation.PERIODIC, tuple((length, 1.0 + self.amplitude * math.sin(angle)) for angle in angles)


PROCESSES: dict[str, type[Process]] = {"poisson": Poisson, "bursty": Bursty, "diurnal": Diurnal}


@dataclass(frozen=True, kw_only=True)
class ChosenProcess(Diurnal, Bursty, Poisson):
    """One of the processes, by name, with the parameters of all; it follows those of the one that is chosen."""

    process: Annotated[str, OneOf(tuple(PROCESSES), help="Process by which jobs arrive.", option="arrivals")] = (
        "poisson"
    )

    def phases(self, mean_gap: float) -> tuple[Modulation, Phases]:
        """Return how the rate of the chosen process changes."""
        return PROCESSES[self.process].phases(self, mean_gap)
