"""A batch of simulated fleets: what a simulation needs, and the class that owns its record arrays.

Lanes are independent fleets; every array has the lane as its first axis. Times are int64 cycles. The dynamics live in
`transition.py` alone; `records.py` lays out memory, this module fills the tables and calls the transition.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, ListOf, require, shown
from gnnsched_env.common.compiled import compiled_for
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim import random_jobs, transition
from gnnsched_env.sim.feed import CAPACITY, LATEST_READ, Feed, JobSource
from gnnsched_env.sim.job_table import job_table, with_unpredicted
from gnnsched_env.sim.latency_ratios import latency_ratios
from gnnsched_env.sim.records import (
    ABORTED,
    ACCELERATOR,
    CLASS,
    DEVICE,
    DOWN,
    JOB,
    LANE,
    NEVER,
    PAIR,
    PHASE,
    QUEUED,
    RecordArray,
)
from gnnsched_env.sim.settings import SimulationSettings
from gnnsched_env.sim.totals import JobTotals
from gnnsched_env.tables import LatencyTable

SEED_LIMIT = 1 << 64
HORIZON = 1 << 62
MOST_LANES = 10_000_000
LONGEST_GAP = 37  # mean gaps: -log(2^-53), the largest that a draw of 53 bits gives
MIX_TURNS = 64  # steps in which a drifting mix goes round
GUIDE_PARTS = 1024  # of the search for a class
MOST_ABORTED, FEWEST_ABORTED = 1 << 16, 1 << 8  # aborted runs that all lanes, and that each lane remembers
MOST_CHANGES = 10_000_000  # failures and repairs of an episode
_SEEDS = ListOf(Integer(least=-SEED_LIMIT))
LONGEST_RISK = 4.0  # the longest job's latency over the mean time between failures, at most


class Simulation:
    """A batch of fleets that share a latency table; `transition.py` moves them from decision to decision.

    The table given is of one inference; `table`, `true` and `predicted` are of a job, `repeats` inferences, with one
    class more where jobs may come unpredicted.

    Attributes: `settings` [1], `classes` [C], `pairs` [C, K], `devices` [A], `ratios` [R, K, N], `lanes` [L],
    `accelerators` [L, A], `jobs` [L, J], `queue` [L, J] (waiting jobs from `lanes["head"]` on), `aborted` [L, M]
    (record arrays of `records.py`), `true`, `predicted` int64 [C, K] cycles, `best_choices` int64 [C, A] (choice of
    smallest predicted latency on each accelerator), `choice_accelerators` int64 [K].
    With a `source` jobs are not drawn but read, at most `capacity` of them held at once.
    """

    def __init__(
        self,
        table: LatencyTable,
        settings: SimulationSettings,
        *,
        lanes: int = 1,
        reconfiguration: Sequence[int] | None = None,
        source: JobSource | None = None,
        capacity: int = CAPACITY,
    ) -> None:
        lanes = Integer(1, MOST_LANES).check("simulation", "lanes", lanes)
        capacity = Integer(1, NEVER).check("simulation", "capacity", capacity)
        if reconfiguration is not None:
            change = ListOf(Integer(0, NEVER))
            reconfiguration = change.check("simulation", "reconfiguration", reconfiguration)
            rule = "" if len(reconfiguration) == table.num_accelerators else f"{table.num_accelerators} numbers"
            require("simulation", "reconfiguration", reconfiguration, rule)
        table = job_table(table, settings.repeats)
        self.table = table = with_unpredicted(table) if settings.skip_below else table
        self.config = settings
        self.settings = settings.record()
        changes = [] if reconfiguration is None else reconfiguration
        _check_horizon(table, settings, max([0, *changes]), read=source is not None)
        # Copies of their own: a table's arrays are read-only, and a copied or unpickled table's are not, which would
        # make numba compile every kernel anew.
        self.true = np.array(table.true_cycles, order="C")
        self.predicted = np.array(table.predicted_cycles, order="C")
        self.choice_accelerators = np.array(table.choice_accelerators)
        count = table.num_accelerators
        self.devices: RecordArray = np.zeros(count, DEVICE)
        if reconfiguration is not None:
            self.devices["reconfiguration"] = reconfiguration
        self.best_choices = best_choices(self.predicted, self.choice_accelerators, count)
        self.classes = _class_records(self.predicted, self.choice_accelerators)
        self.ratios = latency_ratios(table, unpredicted=settings.skip_below > 0)
        self.pairs = _pair_records(table, settings)
        self.lanes: RecordArray = np.zeros(lanes, LANE)
        self.lanes["ended"] = 1
        held = settings.jobs if source is None else min(settings.jobs, capacity)
        self.lanes["loaded"] = held
        self.accelerators: RecordArray = np.zeros((lanes, count), ACCELERATOR)
        self.jobs: RecordArray = np.zeros((lanes, held), JOB)
        self.queue: RecordArray = np.zeros((lanes, held + count), QUEUED)
        remembered = max(FEWEST_ABORTED, MOST_ABORTED // lanes) if settings.mean_up else 1
        self.aborted: RecordArray = np.zeros((lanes, remembered), ABORTED)
        self.seeds = np.zeros(lanes, np.uint64)
        self.episodes = np.zeros(lanes, np.uint64)
        mixes = _mixes(table, settings)
        phases = np.array(list(settings.phases) or [(1.0, 1.0)], PHASE)
        known = (self.best_choices, self.choice_accelerators, self.devices, self.ratios)
        self._tables = (self.classes, self.pairs, *known)
        self._streams = (mixes, _guide(mixes), phases, _priorities(settings))
        self.predictor = (np.zeros(settings.workers, np.int64), np.zeros(len(self.classes), np.uint8))
        self.feed = None if source is None else Feed(source, self, capacity=capacity)
        self.streaming = self.feed is not None and settings.jobs > held  # an episode has more jobs than are held
        self.forgotten = [JobTotals() for _ in range(lanes)] if self.streaming else []

    @property
    def num_lanes(self) -> int:
        """Return the number of lanes."""
        return len(self.lanes)

    def reset(self, seeds: NDArray[np.uint64], episodes: NDArray[np.uint64], which: NDArray[np.bool_]) -> None:
        """Empty the lanes where `which` [L] is True, draw their jobs and run each to its first decision."""
        seeds, episodes, which = self._lanes_of(seeds), self._lanes_of(episodes), self._lanes_of(which, np.bool_)
        np.copyto(self.seeds, seeds, where=which)
        np.copyto(self.episodes, episodes, where=which)
        if self.feed is None:
            random_jobs.draw(*self.drawing, seeds, episodes, which)
        else:
            self.feed.load(which)
        for lane in np.flatnonzero(which).tolist() if self.streaming else ():
            self.forgotten[lane] = JobTotals()
        transition.reset(*self.state, seeds, episodes, which)
        self.refill()

    def step(self, actions: NDArray[np.int64], first: int = 0, stop: int | None = None) -> None:
        """Take one action [L] a lane and run each to its next decision; ended lanes stay as they are.

        Only the lanes from `first` to before `stop` move (all by default).
        """
        first = Integer(0, len(self.lanes)).check("simulation", "first", first)
        stop = Integer(0, len(self.lanes)).check("simulation", "stop", len(self.lanes) if stop is None else stop)
        transition.step(*self.state, self._lanes_of(actions, np.int64), first, stop)
        self.refill()

    def play(self, act: Callable[[], NDArray[np.int64]]) -> None:
        """Take the actions [L] that `act` returns at each decision until every lane has ended.

        As `step` in a loop, without its checks of every action array: the first one stands for all.
        """
        ended = self.lanes["ended"]
        if self.feed is not None:
            while not ended.all():
                self.step(act())
        elif not ended.all():
            state, lanes, actions = self.state, len(self.lanes), self._lanes_of(act(), np.int64)
            move = compiled_for(transition.step, *state, actions, 0, lanes)
            move(*state, actions, 0, lanes)
            while not ended.all():
                move(*state, act(), 0, lanes)

    def _lanes_of(self, values: NDArray[Any], dtype: type[np.generic] = np.uint64) -> NDArray[Any]:
        """Return an array [L] of the kind that the kernels know; raise ConfigError for another."""
        good = type(values) is np.ndarray and values.shape == self.seeds.shape and values.dtype == dtype
        if not good:
            raise ConfigError(
                f"simulation: an array of {np.dtype(dtype).name} [{len(self.lanes)}] is needed, got {shown(values)}"
            )
        return np.require(values, dtype, ["C", "W"])

    def _lane(self, lane: int) -> int:
        return int(Integer(0, len(self.lanes) - 1).check("simulation", "lane", lane))

    @property
    def state(self) -> tuple[NDArray[Any], ...]:
        """Return the arrays that the kernels take, tables and state, in their order."""
        return (self.settings, *self._tables, self.lanes, self.accelerators, self.jobs, self.queue, self.aborted)

    @property
    def drawing(self) -> tuple[NDArray[Any], ...]:
        """Return the arrays that `random_jobs.draw` takes before seeds, episodes and lanes, in their order."""
        return (self.settings, *self._streams, self.lanes, self.jobs, *self.predictor)

    def refill(self) -> None:
        """Load more jobs for the lanes that have run out of them, where the kernels stop, and run those lanes on."""
        while self.feed is not None and self.streaming and self.lanes["starved"].any():
            for lane in np.flatnonzero(self.lanes["starved"]).tolist():
                self.forgotten[lane].add(self.feed.refill(lane), self.true)
            transition.resume(*self.state)

    def grow(self, held: int) -> None:
        """Make room for `held` jobs in each lane."""
        lanes, before = self.jobs.shape
        jobs, queue = np.zeros((lanes, held), JOB), np.zeros((lanes, held + self.accelerators.shape[1]), QUEUED)
        jobs[:, :before] = self.jobs
        queue[:, : self.queue.shape[1]] = self.queue
        self.jobs, self.queue = jobs, queue

    def aborted_runs(self, lane: int = 0) -> RecordArray:
        """Return the runs that failures have stopped (ABORTED records, oldest first).

        A lane remembers its last 65,536 // L of them, and at least 256.
        """
        lane = self._lane(lane)
        count, kept = int(self.lanes["aborted"][lane]), self.aborted.shape[1]
        order = np.arange(max(0, count - kept), count) % kept
        runs: RecordArray = self.aborted[lane, order]
        return runs

    def down_intervals(self, lane: int = 0) -> RecordArray:
        """Return when each accelerator was down (DOWN records, by accelerator), until now where it still is."""
        lane = self._lane(lane)
        now = int(self.lanes["time"][lane])
        intervals = []
        for number, accelerator in enumerate(self.accelerators[lane]):
            moments = np.zeros(int(accelerator["changes"]), np.int64)
            if len(moments):
                transition.changes_until(self.settings, accelerator["key"], now, moments)
            ends = [*moments[1::2].tolist(), now]
            intervals += [(number, start, end) for start, end in zip(moments[::2].tolist(), ends, strict=False)]
        return np.array(intervals, DOWN)


def best_choices(cycles: NDArray[np.int64], owners: NDArray[np.int64], accelerators: int) -> NDArray[np.int64]:
    """Return int64 [C, A]: for each class, the choice of smallest latency on each accelerator (ties: the lowest)."""
    columns = []
    for accelerator in range(accelerators):
        own = np.flatnonzero(owners == accelerator)
        columns.append(own[cycles[:, own].argmin(axis=1)])
    return np.ascontiguousarray(np.stack(columns, axis=1))


def seed_arrays(
    seeds: Sequence[int] | NDArray[np.uint64], episodes: Sequence[int] | NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return seeds and episode numbers as uint64 arrays; seeds are taken modulo 2^64."""
    return _as_keys(seeds), _as_keys(episodes)


def _as_keys(values: Sequence[int] | NDArray[np.uint64]) -> NDArray[np.uint64]:
    if isinstance(values, np.ndarray) and values.dtype == np.uint64:
        return np.ascontiguousarray(values)
    numbers = _SEEDS.check("reset", "seeds", values)
    return np.array([value % SEED_LIMIT for value in numbers], np.uint64)


def _check_horizon(table: LatencyTable, settings: SimulationSettings, reconfiguration: int, *, read: bool) -> None:
    """Raise ConfigError if times could exceed int64.

    An episode is at most all its gaps, latencies, changes of a dataflow (of `reconfiguration` cycles) and predictions;
    jobs that are `read` instead of drawn have all come before LATEST_READ.

    A changing rate stretches gaps by at most a few phases; failures could repeat a job without end, so a job must
    usually finish between two of them. Repairs, a last failure and a last deadline come on top.
    """
    longest = max(int(table.true_cycles.max()), int(table.predicted_cycles.max()))
    phases = sum(length for length, _ in settings.phases)
    beyond = LONGEST_GAP * settings.mean_up + (settings.slack or (0.0, 0.0))[1]
    arrivals = LATEST_READ if read else settings.jobs * LONGEST_GAP * (settings.mean_gap + phases)
    each = LONGEST_GAP * settings.mean_down + longest + reconfiguration
    predicting = max(settings.decision, settings.lookup)
    if arrivals + settings.jobs * (each + predicting) + beyond >= HORIZON:
        come = "arrivals before 2^61 cycles" if read else f"a mean gap of {settings.mean_gap:.3g} cycles"
        more = f", repairs of {settings.mean_down:.3g} after {settings.mean_up:.3g}" if settings.mean_up else ""
        more += f", deadlines of up to {settings.slack[1]:.3g}" if settings.slack and settings.slack[1] else ""
        more += f", a longest change of a dataflow of {reconfiguration:.3g}" if reconfiguration else ""
        raise ConfigError(
            f"simulation: {settings.jobs} jobs, {come}, latencies of up to "
            f"{longest:.3g} cycles{more} and predictions of {predicting:.3g} may take 2^62 cycles or more; "
            "take fewer jobs, a higher load or shorter times"
        )
    if settings.mean_up:
        _check_failures(table, settings)


def _check_failures(table: LatencyTable, settings: SimulationSettings) -> None:
    """Raise ConfigError for failures so frequent that jobs may never finish, or that little else is simulated."""
    least = float(table.true_cycles.max()) / LONGEST_RISK
    if settings.mean_up < least:
        raise ConfigError(
            f"simulation: the mean time between failures must be at least {least:,.0f} cycles, a quarter of the "
            f"longest latency, or jobs may never finish; that is {least / settings.mean_up:.4g} times what was given, "
            f"{settings.mean_up:,.0f} cycles"
        )
    changes = 2 * table.num_accelerators * settings.jobs * settings.mean_gap / (settings.mean_up + settings.mean_down)
    if changes > MOST_CHANGES:
        raise ConfigError(
            f"simulation: an episode must have at most {MOST_CHANGES:,} failures and repairs, got some {changes:,.0f}: "
            f"{settings.jobs:,} jobs, {settings.mean_gap:,.0f} cycles apart, meet failures every "
            f"{settings.mean_up:,.0f} cycles on {table.num_accelerators} accelerators; the least mean time is "
            f"{changes / MOST_CHANGES * (settings.mean_up + settings.mean_down) - settings.mean_down:,.0f} cycles"
        )


def _class_records(predicted: NDArray[np.int64], owners: NDArray[np.int64]) -> Any:
    records = np.zeros(len(predicted), CLASS)
    records["shortest"] = predicted.min(axis=1)
    records["longest"] = predicted.max(axis=1)
    records["preferred"] = owners[predicted.argmin(axis=1)]
    return records


def _pair_records(table: LatencyTable, settings: SimulationSettings) -> Any:
    records = np.zeros(table.true_cycles.shape, PAIR)
    records["true"] = table.true_cycles
    records["predicted"] = table.predicted_cycles
    energy = getattr(table, "energy_pj", None)
    if energy is not None:
        records["energy"] = energy
    elif settings.energy:
        raise ConfigError("simulation: energy can only be charged with a table that has energies, got one without")
    return records


def _mixes(table: LatencyTable, settings: SimulationSettings) -> NDArray[np.float64]:
    """Return cumulative shares of the classes, float64 [M, C]: one row, or those of a mix that drifts over the groups.

    In turn m, group g of G weighs 1 + drift x s as much as on average: s is cos(2 pi (m / M - g / G)) less its mean
    over the jobs of the turn, and scaled where it would fall below -1. So each class keeps its share on average.
    """
    shares = np.asarray(table.weights)[np.newaxis]
    if settings.drift:
        groups = len(table.group_names)
        if groups < 2:
            raise ConfigError("simulation: a mix can only drift between two or more groups of classes, got 1")
        angle = np.arange(MIX_TURNS)[:, np.newaxis] / MIX_TURNS - np.asarray(table.class_groups) / groups
        swing = np.cos(2.0 * np.pi * angle)
        swing -= (swing @ shares[0])[:, np.newaxis]
        shares = shares * (1.0 + settings.drift * swing / max(1.0, -float(swing.min())))
    totals = np.cumsum(shares, axis=1)
    return np.ascontiguousarray(totals / totals[:, -1:])


def _guide(mixes: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return int32 [M, n]: for each of n equal parts of [0, 1), the first class whose cumulative share is above it."""
    parts = np.arange(GUIDE_PARTS) / GUIDE_PARTS
    places = np.stack([np.searchsorted(row, parts, side="right") for row in mixes])
    guide: NDArray[np.int32] = np.minimum(places, mixes.shape[1] - 1).astype(np.int32)
    return guide


def _priorities(settings: SimulationSettings) -> NDArray[np.float64]:
    """Return float64 [N, 2]: cumulative share and weight."""
    if not settings.priorities:
        return np.ones((1, 2))
    weights, shares = np.array(settings.priorities, np.float64).T
    return np.ascontiguousarray(np.stack([np.cumsum(shares) / shares.sum(), weights], axis=1))
