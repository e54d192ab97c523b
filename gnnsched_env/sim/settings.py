"""What a simulation needs beside the latency table: rates, episode length, rules, prices."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim import transition as kernels
from gnnsched_env.sim.job_table import require_count
from gnnsched_env.sim.records import SETTINGS, RecordArray

MOST_WORKERS = 1024  # of the predictor


class WindowOrder(IntEnum):
    """Which waiting jobs the window shows."""

    ARRIVAL = 0
    SHORTEST = 1


class Modulation(IntEnum):
    """How the arrival rate changes: not at all, through phases of fixed length, or of exponentially distributed."""

    STEADY = kernels.STEADY
    PERIODIC = kernels.PERIODIC
    MARKOV = kernels.MARKOV


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """What a simulation needs beside the table (of one inference). Times are cycles.

    `mean_gap` between arrivals, `unit` of the rewards. A job is `repeats` inferences of its class. It comes to the
    scheduler when it has been predicted, which takes `decision` cycles of one of `workers`, first come, first served;
    where predictions are `cached`, a class is predicted once an episode and then looked up in `lookup` cycles.
    Arrivals: `phases` (length, rate over the mean rate) follow one another as `modulation` says; `drift` in [0, 1] is
    how far the shares of the table's groups swing, once round in `mix_jobs` jobs. `priorities` are (weight, share) of
    jobs; `slack` (least, most) until a job is due, evenly distributed, None for no deadlines.
    Accelerators fail after `mean_up` cycles on average (0: never) and come back after `mean_down`, both exponential.
    The reward charges `completion` for each job in the system and `weighted` for each unit of weight in it, cycle by
    cycle, `tardiness` for each cycle by which a finished job was late, and `energy` (cycles a picojoule).
    """

    mean_gap: float
    unit: float
    jobs: int
    window: int
    dispatch: bool = False
    window_order: WindowOrder = WindowOrder.ARRIVAL
    choose_dataflow: bool = True
    shaped: bool = False
    repeats: int = 1
    decision: int = 0
    workers: int = 1
    cached: bool = False
    lookup: int = 0
    modulation: Modulation = Modulation.STEADY
    phases: tuple[tuple[float, float], ...] = ()
    drift: float = 0.0
    mix_jobs: int = 1
    priorities: tuple[tuple[float, float], ...] = ()
    slack: tuple[float, float] | None = None
    mean_up: float = 0.0
    mean_down: float = 0.0
    completion: float = 1.0
    weighted: float = 0.0
    tardiness: float = 0.0
    energy: float = 0.0

    def __post_init__(self) -> None:
        for field in ("jobs", "window", "repeats", "workers", "mix_jobs"):
            require_count(field, getattr(self, field), minimum=1)
        for field in ("decision", "lookup"):
            require_count(field, getattr(self, field), minimum=0)
        if self.workers > MOST_WORKERS:
            raise ConfigError(f"simulation: workers must be at most {MOST_WORKERS:,}, got {self.workers!r}")
        if self.lookup > self.decision:
            raise ConfigError(
                f"simulation: lookup must be at most decision ({self.decision} cycles), got {self.lookup!r}"
            )
        for field in ("mean_gap", "unit"):
            value = getattr(self, field)
            if not (np.isfinite(value) and value > 0):
                raise ConfigError(f"simulation: {field} must be a positive number of cycles, got {value!r}")
        for field in ("mean_up", "mean_down", "drift", "completion", "weighted", "tardiness", "energy"):
            value = getattr(self, field)
            if not (np.isfinite(value) and value >= 0):
                raise ConfigError(f"simulation: {field} must be a number of at least 0, got {value!r}")
        if (self.mean_up > 0) != (self.mean_down > 0):
            raise ConfigError(f"simulation: mean_up and mean_down must both be 0 or both above, got {self.mean_up!r}")
        self._check_phases()

    def _check_phases(self) -> None:
        if (self.modulation is Modulation.STEADY) != (not self.phases):
            raise ConfigError(f"simulation: phases must be given where the rate changes, got {self.phases!r}")
        bad = [phase for phase in self.phases if not (phase[0] > 0 and phase[1] >= 0 and np.isfinite(phase).all())]
        if bad or (self.phases and sum(length * rate for length, rate in self.phases) <= 0):
            raise ConfigError(
                f"simulation: phases must have lengths above 0 and rates of at least 0, got {self.phases!r}"
            )

    @property
    def changing(self) -> bool:
        """Tell whether arrivals, mix or fleet change in the course of an episode."""
        return bool(self.phases or self.drift or self.mean_up)

    def record(self) -> RecordArray:
        """Return the settings as a record array of one element, for the kernels."""
        low, high = self.slack or (0.0, 0.0)
        special = {
            "shortest_first": self.window_order,
            "failing": self.mean_up > 0,
            "due": self.slack is not None,
            "unequal": bool(self.priorities),
            "slack_low": low,
            "slack_high": high,
            "mixed": bool(self.weighted or self.tardiness or self.energy),
        }
        row = np.zeros(1, SETTINGS)
        for name in SETTINGS.names or ():
            row[name] = special[name] if name in special else getattr(self, name)
        return row
