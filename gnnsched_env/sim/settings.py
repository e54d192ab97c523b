"""The settings of a simulation (rates, episode length, rules, prices) and the record that kernels read of them."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Annotated, Any, Self, get_type_hints

import numpy as np

from gnnsched_env.common.checks import Integer, ListOf, Number, check_fields, declared, require
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim.arrivals import Modulation, Phases
from gnnsched_env.sim.records import NEVER, RecordArray
from gnnsched_env.sim.rewards import Prices

MOST_WORKERS = 1024  # of the predictor


class WindowOrder(IntEnum):
    """Which waiting jobs the window shows."""

    ARRIVAL = 0
    SHORTEST = 1


class Waiting(IntEnum):
    """How an action of the central queue may wait: by one of its own, not at all, or by naming a busy accelerator."""

    FREE = 0
    NEEDED = 1
    BY_CHOICE = 2


class Split(IntEnum):
    """Which episodes are drawn: those of two splits differ, whatever their seeds."""

    TEST = 0
    TRAIN = 1
    VALIDATION = 2


SPLIT_BITS = 32  # of a stream's purpose, above those that tell streams of one episode apart


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings(Prices):
    """What a simulation needs beside the table (of one inference). Times are cycles.

    A job comes to the scheduler when it has been predicted, which takes `decision` cycles of one of `workers`, first
    come, first served; or at once and unpredicted, while fewer than `skip_below` jobs wait. Arrivals: `phases` (length,
    rate over the mean rate) follow one another as `modulation` says. `priorities` are (weight, share) of jobs; `slack`
    (least, most) until a job is due, evenly distributed, None for no deadlines. The times between failures and of
    repairs are exponentially distributed. The reward charges the prices (`rewards.Prices`), in cycles a unit of what
    they charge.
    """

    mean_gap: Annotated[float, Number(above=0.0, help="Mean cycles between arrivals.")]
    unit: Annotated[float, Number(above=0.0, help="Cycles that a reward of -1 stands for.")]
    jobs: Annotated[int, Integer(1, NEVER, help="Jobs in an episode.")]
    window: Annotated[int, Integer(1, NEVER, help="Waiting jobs that the agent sees.")]
    split: Split = Split.TEST
    waiting: Waiting = Waiting.FREE
    dispatch: bool = False
    """A decision is due at each arrival; otherwise jobs wait in a central queue."""
    window_order: WindowOrder = WindowOrder.ARRIVAL
    choose_dataflow: bool = True
    """An action names a choice; otherwise an accelerator, which takes the dataflow predicted best there."""
    shaped: bool = False
    """The reward includes the change of the drain potential."""
    repeats: Annotated[int, Integer(1, help="Inferences in a job, all of one class.")] = 1
    decision: Annotated[
        int, Integer(0, NEVER, help="Cycles to predict a job; with 0 jobs come to the scheduler at once.")
    ] = 0
    workers: Annotated[int, Integer(1, MOST_WORKERS, help="Predictions that may run at once.")] = 1
    cached: bool = False
    """Each class is predicted once in an episode, and then looked up."""
    lookup: Annotated[int, Integer(0, NEVER, help="Cycles that a lookup of a cached prediction takes.")] = 0
    skip_below: Annotated[
        int, Integer(0, NEVER, help="Waiting jobs below which the next one comes unpredicted; with 0 none does.")
    ] = 0
    modulation: Modulation = Modulation.STEADY
    phases: Phases = ()
    drift: Annotated[
        float, Number(least=0.0, most=1.0, help="How far the shares of the table's groups of classes swing.")
    ] = 0.0
    mix_jobs: Annotated[int, Integer(1, NEVER, help="Jobs in which a drifting mix goes through all its turns.")] = 1
    priorities: tuple[tuple[float, float], ...] = ()
    slack: tuple[float, float] | None = None
    mean_up: Annotated[float, Number(least=0.0, help="Mean cycles until an accelerator fails; with 0 none does.")] = 0.0
    mean_down: Annotated[
        float, Number(least=0.0, help="Mean cycles until a failed accelerator is repaired; 0 if none fails.")
    ] = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "simulation", but=declared(Prices))
        for name in declared(Prices):
            object.__setattr__(self, name, Number(least=0.0).check("simulation", name, getattr(self, name)))
        self._check_pairs()
        if (self.mean_up > 0) != (self.mean_down > 0):
            raise ConfigError(
                f"simulation: mean_up and mean_down must both be 0 or both be above 0, got {self.mean_up!r} and "
                f"{self.mean_down!r}"
            )
        self._check_phases()
        if self.skip_below and (self.workers > 1 or self.cached):
            raise ConfigError(
                f"simulation: skip_below must be 0 with several workers or cached predictions, got {self.skip_below!r}"
            )

    def _check_pairs(self) -> None:
        """Store pairs of numbers as tuples of floats."""
        pair = ListOf(Number())
        for name in ("phases", "priorities"):
            entries = ListOf(pair).check("simulation", name, getattr(self, name))
            rule = "" if all(len(entry) == 2 for entry in entries) else "pairs of numbers"
            require("simulation", name, entries, rule)
            object.__setattr__(self, name, entries)
        if self.slack is not None:
            slack = pair.check("simulation", "slack", self.slack)
            rule = "" if len(slack) == 2 and 0 <= slack[0] <= slack[1] else "two numbers, 0 <= least <= most"
            require("simulation", "slack", slack, rule)
            object.__setattr__(self, "slack", slack)
        rule = "" if all(weight > 0 and share > 0 for weight, share in self.priorities) else "above 0"
        require("simulation", "priorities", self.priorities, rule)

    def _check_phases(self) -> None:
        if (self.modulation is Modulation.STEADY) != (not self.phases):
            raise ConfigError(
                f"simulation: phases must be given if the rate changes and only then, got {self.phases!r} with "
                f"{self.modulation.name}"
            )
        bad = [phase for phase in self.phases if not (phase[0] > 0 and phase[1] >= 0 and np.isfinite(phase).all())]
        if bad or (self.phases and sum(length * rate for length, rate in self.phases) <= 0):
            raise ConfigError(
                f"simulation: phases must have lengths above 0 and rates of at least 0, got {self.phases!r}"
            )

    def without_cost(self) -> Self:
        """Return the settings with predictions that take no time."""
        return replace(self, decision=0, workers=1, cached=False, lookup=0, skip_below=0)

    @property
    def changing(self) -> bool:
        """Tell whether arrivals, mix or fleet change in the course of an episode."""
        return bool(self.phases or self.drift or self.mean_up)

    def record(self) -> RecordArray:
        """Return the settings as a record array of one element, for the kernels."""
        row = np.zeros(1, SETTINGS)
        for name in SETTINGS.names or ():
            row[name] = _DERIVED[name](self) if name in _DERIVED else getattr(self, name)
        return row


# What the kernels read besides the fields that are numbers.
_DERIVED: dict[str, Callable[[SimulationSettings], float]] = {
    "purpose": lambda settings: settings.split << SPLIT_BITS,
    "never_waits": lambda settings: settings.waiting is Waiting.NEEDED,
    "by_choice": lambda settings: settings.waiting is Waiting.BY_CHOICE,
    "shortest_first": lambda settings: settings.window_order,
    "modulation": lambda settings: settings.modulation,
    "failing": lambda settings: settings.mean_up > 0,
    "due": lambda settings: settings.slack is not None,
    "unequal": lambda settings: bool(settings.priorities),
    "mixed": lambda settings: any(getattr(settings, name) for name in declared(Prices) if name != "completion"),
    "slack_low": lambda settings: (settings.slack or (0.0, 0.0))[0],
    "slack_high": lambda settings: (settings.slack or (0.0, 0.0))[1],
}


def _layout() -> np.dtype[np.void]:
    """Return the record of all fields that are numbers or flags, and of what is derived."""
    hints = get_type_hints(SimulationSettings)
    numbers: list[Any] = [
        (entry.name, "f8" if hints[entry.name] is float else "i8")
        for entry in fields(SimulationSettings)
        if hints[entry.name] in (int, float, bool)
    ]
    derived = [(name, "f8" if name.startswith("slack") else "i8") for name in _DERIVED]
    return np.dtype([*numbers, *derived], align=True)


SETTINGS = _layout()
