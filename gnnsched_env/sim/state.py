"""The state of a batch of simulated fleets, as a few record arrays, and the class that owns them.

Lanes are independent fleets; every array has the lane as its first axis. Times are int64 cycles. The dynamics live in
`kernels.py` alone; this module lays out memory and calls them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.compilation import announce_compilation
from gnnsched_env.errors import ConfigError
from gnnsched_env.sim import kernels
from gnnsched_env.sim.jobs import job_table, require_count
from gnnsched_env.tables import LatencyTable

IDLE = -1
SEED_LIMIT = 1 << 64
HORIZON = 1 << 62
LONGEST_GAP = 37  # mean gaps: -log(2^-53), the largest that a draw of 53 bits gives
MOST_WORKERS = 1024  # of the predictor

SETTINGS = np.dtype(
    [
        ("mean_gap", "f8"),  # cycles between arrivals, on average
        ("unit", "f8"),  # cycles; rewards are in this unit
        ("jobs", "i8"),  # arrivals an episode
        ("window", "i8"),  # slots that the agent sees
        ("dispatch", "i8"),  # 1: a decision at each arrival; 0: a central queue
        ("shortest_first", "i8"),  # 1: the window shows the jobs of smallest predicted latency; 0: the oldest
        ("choose_dataflow", "i8"),  # 1: an action names a choice; 0: an accelerator (predicted best dataflow there)
        ("shaped", "i8"),  # 1: the reward includes the change of the drain potential
        ("decision", "i8"),  # cycles to predict a job; 0: jobs come to the scheduler as they arrive
        ("workers", "i8"),  # predictions that may be under way at once
        ("cached", "i8"),  # 1: a class is predicted once an episode, then looked up
        ("lookup", "i8"),  # cycles of a lookup
    ],
    align=True,
)
CLASS = np.dtype(
    [
        ("cdf", "f8"),  # share of jobs that are of this class or of one before it
        ("shortest", "i8"),  # smallest predicted latency over the choices, cycles
        ("longest", "i8"),  # largest predicted latency over the choices, cycles
        ("preferred", "i8"),  # accelerator of the smallest predicted latency
    ],
    align=True,
)
LANE = np.dtype(
    [
        ("time", "i8"),
        ("decided", "i8"),  # time of the last decision
        ("next_ready", "i8"),  # when the next job comes to the scheduler; NEVER once all have come
        ("arrived", "i8"),  # jobs that have come to the scheduler
        ("done", "i8"),  # jobs that have finished
        ("head", "i8"),  # first waiting job's place in the queue array
        ("waiting", "i8"),  # jobs that wait
        ("most_waiting", "i8"),  # the most that ever waited in this episode
        ("waiting_work", "i8"),  # sum of their smallest predicted latencies
        ("integral", "f8"),  # jobs in the system x cycles since the last decision
        ("elapsed", "i8"),  # cycles between the last two decisions
        ("steps", "i8"),
        ("recent_gap", "f8"),  # moving average of the gaps between arrivals
        ("potential", "f8"),  # believed cost of draining the lane, cycles
        ("reward", "f8"),
        ("gap_key", "u8"),
        ("class_key", "u8"),
        ("legal", "u1"),  # was the last action legal
        ("ended", "u1"),  # are all jobs done
    ],
    align=True,
)
ACCELERATOR = np.dtype(
    [
        ("finish", "i8"),  # true finish of the running job, NEVER if idle
        ("believed_finish", "i8"),  # start + predicted latency of the running job
        ("queued_work", "i8"),  # predicted latencies of the jobs in its own queue (dispatch)
        ("preferred_work", "i8"),  # smallest predicted latencies of waiting jobs that prefer it
        ("busy_cycles", "i8"),
        ("job", "i8"),  # running job, IDLE if none
        ("choice", "i8"),  # choice it is configured for, IDLE before its first job
        ("head", "i8"),  # first and last job of its own queue (dispatch)
        ("tail", "i8"),
        ("queued", "i8"),
        ("free", "f8"),  # scratch of the drain plan
    ],
    align=True,
)
JOB = np.dtype(
    [
        ("arrival", "i8"),
        ("start", "i8"),
        ("finish", "i8"),
        ("job_class", "i4"),
        ("choice", "i4"),
        ("next", "i8"),  # the job behind it in an accelerator's queue (dispatch)
        ("ready", "i8"),  # when it comes to the scheduler: its arrival, or when it has been predicted
    ],
    align=True,
)

RecordArray = NDArray[np.void]


class WindowOrder(IntEnum):
    """Which waiting jobs the window shows."""

    ARRIVAL = 0
    SHORTEST = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """What a simulation needs beside the table (of one inference).

    `mean_gap` and `unit` are cycles. A job is `repeats` inferences of its class. It comes to the scheduler when it has
    been predicted, which takes `decision` cycles of one of `workers`, first come, first served; where predictions are
    `cached`, a class is predicted once an episode and then looked up in `lookup` cycles.
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

    def __post_init__(self) -> None:
        for field in ("jobs", "window", "repeats", "workers"):
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

    def record(self) -> RecordArray:
        """Return the settings as a record array of one element, for the kernels."""
        row = np.zeros(1, SETTINGS)
        for name in SETTINGS.names or ():
            row[name] = self.window_order if name == "shortest_first" else getattr(self, name)
        return row


class Simulation:
    """A batch of fleets that share a latency table; `kernels.py` moves them from decision to decision.

    The table given is of one inference; `table`, `true` and `predicted` are of a job, `repeats` inferences.

    Attributes: `settings` [1], `classes` [C], `lanes` [L], `accelerators` [L, A], `jobs` [L, J] (record arrays above),
    `queue` int32 [L, J] (waiting jobs from `lanes["head"]` on), `true`, `predicted` int64 [C, K] cycles,
    `best_choices` int64 [C, A] (choice of smallest predicted latency on each accelerator), `choice_accelerators` and
    `reconfiguration` int64 [K] and [A].
    """

    def __init__(
        self,
        table: LatencyTable,
        settings: SimulationSettings,
        *,
        lanes: int = 1,
        reconfiguration: Sequence[int] | None = None,
    ) -> None:
        if lanes < 1:
            raise ConfigError(f"simulation: lanes must be at least 1, got {lanes!r}")
        announce_compilation(kernels.step, "the simulator", 10)
        self.table = table = job_table(table, settings.repeats)
        self.settings = settings.record()
        _check_horizon(table, settings)
        # Copies of their own: a table's arrays are read-only, and a copied or unpickled table's are not, which would
        # make numba compile every kernel anew.
        self.true = np.array(table.true_cycles, order="C")
        self.predicted = np.array(table.predicted_cycles, order="C")
        self.choice_accelerators = np.array(table.choice_accelerators)
        count = table.num_accelerators
        self.reconfiguration = np.zeros(count, np.int64)
        if reconfiguration is not None:
            self.reconfiguration[:] = reconfiguration
        self.best_choices = best_choices(self.predicted, self.choice_accelerators, count)
        self.classes = _class_records(table, self.predicted, self.choice_accelerators)
        self.lanes: RecordArray = np.zeros(lanes, LANE)
        self.lanes["ended"] = 1
        self.accelerators: RecordArray = np.zeros((lanes, count), ACCELERATOR)
        self.jobs: RecordArray = np.zeros((lanes, settings.jobs), JOB)
        self.queue = np.zeros((lanes, settings.jobs), np.int32)
        self._tables = (self.settings, self.classes, self.true, self.predicted, self.best_choices)
        self._fleet = (self.choice_accelerators, self.reconfiguration)
        self._state = (self.lanes, self.accelerators, self.jobs, self.queue)
        self._predictor = (np.zeros(settings.workers, np.int64), np.zeros(len(self.classes), np.uint8))

    @property
    def num_lanes(self) -> int:
        """Return the number of lanes."""
        return len(self.lanes)

    def reset(self, seeds: NDArray[np.uint64], episodes: NDArray[np.uint64], which: NDArray[np.bool_]) -> None:
        """Empty the lanes where `which` [L] is True and run each to its first decision."""
        kernels.reset(*self._tables, *self._fleet, *self._state, *self._predictor, seeds, episodes, which)

    def step(self, actions: NDArray[np.int64]) -> None:
        """Take one action [L] a lane and run each to its next decision; ended lanes stay as they are."""
        kernels.step(*self._tables, *self._fleet, *self._state, actions)


def best_choices(cycles: NDArray[np.int64], owners: NDArray[np.int64], accelerators: int) -> NDArray[np.int64]:
    """Return int64 [C, A]: for each class, the choice of smallest latency on each accelerator (ties: the lowest)."""
    columns = []
    for accelerator in range(accelerators):
        own = np.flatnonzero(owners == accelerator)
        columns.append(own[cycles[:, own].argmin(axis=1)])
    return np.ascontiguousarray(np.stack(columns, axis=1))


def seed_arrays(seeds: Sequence[int], episodes: Sequence[int]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return seeds and episode numbers as uint64 arrays; seeds are taken modulo 2^64."""
    return (
        np.array([int(seed) % SEED_LIMIT for seed in seeds], np.uint64),
        np.array([int(episode) % SEED_LIMIT for episode in episodes], np.uint64),
    )


def _check_horizon(table: LatencyTable, settings: SimulationSettings) -> None:
    """Refuse what could run past int64: an episode is at most all its gaps, latencies and predictions in a row."""
    longest = max(int(table.true_cycles.max()), int(table.predicted_cycles.max()))
    if settings.jobs * (LONGEST_GAP * settings.mean_gap + longest + settings.decision) >= HORIZON:
        raise ConfigError(
            f"simulation: {settings.jobs} jobs, a mean gap of {settings.mean_gap:.3g} cycles, latencies of up to "
            f"{longest:.3g} cycles and predictions of {settings.decision:.3g} may take 2^62 cycles or more; "
            "take fewer jobs, a higher load or shorter latencies"
        )


def _class_records(table: LatencyTable, predicted: NDArray[np.int64], owners: NDArray[np.int64]) -> Any:
    records = np.zeros(len(predicted), CLASS)
    weights = np.cumsum(table.weights)
    records["cdf"] = weights / weights[-1]
    records["shortest"] = predicted.min(axis=1)
    records["longest"] = predicted.max(axis=1)
    records["preferred"] = owners[predicted.argmin(axis=1)]
    return records
