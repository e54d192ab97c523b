"""A batch of environments over one simulation: observations, masks and rewards; the single env is a batch of one."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, Number, shown
from gnnsched_env.common.compiled import compiled_for
from gnnsched_env.common.errors import ConfigError, InvalidAction
from gnnsched_env.common.policy import BoolArray, FloatArray
from gnnsched_env.envs import encoder as kernels
from gnnsched_env.envs.observation_units import encode_cycles, encode_energy
from gnnsched_env.envs.pair_encoder import PairEncoder
from gnnsched_env.envs.spaces import ACCELERATOR_FIELDS, INTERVALS, Layout
from gnnsched_env.sim import (
    Capacity,
    EpisodeMetrics,
    Simulation,
    SimulationSettings,
    episode_metrics,
    fleet_capacity,
    seed_arrays,
)
from gnnsched_env.sim.feed import CAPACITY, JobSource
from gnnsched_env.tables import LatencyTable
from gnnsched_env.tables.kinds import accelerator_kinds
from gnnsched_env.tables.shrinkage import shrinkage_of

Observed = dict[str, FloatArray] | FloatArray
Seeds = Sequence[int] | NDArray[np.uint64]
MOST_PATTERN_BITS = 10  # accelerators up to which masks are copied from a table
FEW = 16  # lanes up to which those that were reset are encoded one by one


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outputs:
    """The arrays that a batch of L lanes writes; `EnvBatch` says what they hold."""

    observation: dict[str, FloatArray]
    observed: Observed
    mask: BoolArray
    rewards: NDArray[np.float64]
    ended: BoolArray
    legal: BoolArray
    elapsed: NDArray[np.int64]
    times: NDArray[np.int64]

    @classmethod
    def of(cls, layout: Layout, lanes: int) -> Self:
        """Return arrays for lanes that have not been reset."""
        observation = {name: np.zeros((lanes, size), np.float32) for name, size in layout.sizes.items()}
        is_dict = layout.observation == "dict"
        mask = np.zeros((lanes, layout.num_actions), np.bool_)
        mask[:, 0 if layout.dispatch else -1] = True  # an action is legal even before the first reset
        return cls(
            observation=observation,
            observed=observation if is_dict else np.zeros((lanes, *layout.shape), np.float32),
            mask=mask,
            rewards=np.zeros(lanes),
            ended=np.ones(lanes, np.bool_),
            legal=np.zeros(lanes, np.bool_),
            elapsed=np.zeros(lanes, np.int64),
            times=np.zeros(lanes, np.int64),
        )

    def part(self, first: int, stop: int) -> Self:
        """Return views of the lanes from `first` to before `stop`."""
        observation = {name: array[first:stop] for name, array in self.observation.items()}
        observed = observation if isinstance(self.observed, dict) else self.observed[first:stop]
        names = [entry.name for entry in fields(self)][2:]
        views = {name: getattr(self, name)[first:stop] for name in names}
        return type(self)(observation=observation, observed=observed, **views)


class EnvBatch:
    """L environments that move from decision to decision together.

    `observation` (float32 [L, n] by name) and `mask` (bool [L, actions]) are written in place by `reset` and `step`:
    copy what must outlive the next call, and do not write to them. `observed` is what agents are shown, as
    `layout.observation` says: that dict, or a float32 array [L, ...] that is written with it. `rewards` float64 [L]:
    minus the cost of the last step, in the reward's unit; `ended` bool [L]: the lanes whose jobs are all done, which no
    longer change; `elapsed` int64 [L]: cycles since the decision before; `legal` bool [L]: whether the last action was
    legal; `times` int64 [L]: the clock.
    The next call overwrites these five too.
    The table given is of one inference; `table` is of a job, `settings.repeats` inferences. With `threads` above 1 the
    lanes are divided among them, with the same results. With a `source`, jobs are read from it (`sim.feed`). With
    `intervals` above 0 the observation has the ends of intervals of latencies of that coverage, for which the table
    must have `log_errors`.
    """

    def __init__(
        self,
        table: LatencyTable,
        settings: SimulationSettings,
        *,
        lanes: int = 1,
        reconfiguration: Sequence[int] | None = None,
        threads: int = 1,
        source: JobSource | None = None,
        capacity: int = CAPACITY,
        observation: str = "dict",
        intervals: float = 0.0,
    ) -> None:
        simulation = Simulation(
            table, settings, lanes=lanes, reconfiguration=reconfiguration, source=source, capacity=capacity
        )
        self._watch(simulation, threads, observation, intervals)

    @classmethod
    def around(
        cls, simulation: Simulation, threads: int = 1, observation: str = "dict", intervals: float = 0.0
    ) -> Self:
        """Return a batch of environments over an existing simulation, and observe its present state."""
        batch = cls.__new__(cls)
        batch._watch(simulation, threads, observation, intervals)
        batch.observe_anew()
        return batch

    def __reduce__(self) -> Any:
        arguments = (self.simulation, self.threads, self.layout.observation, self.intervals)
        return type(self).around, arguments  # views and scratch are made anew

    def _watch(self, simulation: Simulation, threads: int, observation: str, intervals: float) -> None:
        threads = Integer(1).check("environment", "threads", threads)
        self.simulation = simulation
        self.intervals = Number(least=0.0, below=1.0).check("environment", "intervals", intervals)
        self.table = table = simulation.table
        settings = simulation.config
        lanes = simulation.num_lanes
        self.threads = min(int(threads), lanes)
        self.layout = Layout(
            window=settings.window,
            choice_accelerators=tuple(table.choice_accelerators.tolist()),
            mean_log_cycles=tuple(table.mean_log_cycles.tolist()),
            choice_names=table.choice_names,
            dispatch=settings.dispatch,
            choose_dataflow=settings.choose_dataflow,
            shows_energy=settings.energy > 0,
            shows_intervals=intervals > 0,
            waiting="free" if settings.dispatch else settings.waiting.name.lower(),
            observation=observation,
            kinds=accelerator_kinds(table, simulation.devices["reconfiguration"]),
            shrinkage=shrinkage_of(table),
        )
        self._all = np.ones(lanes, np.bool_)
        self._zeros = np.zeros(lanes, np.uint64)
        self._actions = np.zeros(lanes, np.int64)
        self._ranges = [(w, lanes * w // self.threads, lanes * (w + 1) // self.threads) for w in range(self.threads)]
        self._pool: tuple[int, ThreadPoolExecutor] | None = None
        self.write_into(Outputs.of(self.layout, lanes))

    def write_into(self, outputs: Outputs) -> None:
        """Write into these arrays from the next reset on."""
        self.observation = outputs.observation
        self.observed = outputs.observed
        self.mask = outputs.mask
        self.rewards = outputs.rewards
        self.ended = outputs.ended
        self.legal = outputs.legal
        self.elapsed = outputs.elapsed
        self.times = outputs.times
        self._prepare_encoder()

    def observe_anew(self) -> None:
        """Write all of the present state, as if nothing had been shown before."""
        self.simulation.lanes["rewrite"] = 0
        self.simulation.lanes["removed"] = -1
        self.encode()

    def episode(self, lane: int) -> EpisodeMetrics:
        """Return the metrics of a lane's finished episode."""
        lane = Integer(0, self.simulation.num_lanes - 1).check("environment", "lane", lane)
        return episode_metrics(self.simulation, slice(lane, lane + 1))

    def _prepare_encoder(self) -> None:
        """Collect the arrays that the encoder reads and writes, and write the constant fields."""
        simulation, table, layout = self.simulation, self.table, self.layout
        predicted = simulation.predicted
        width = layout.window + 2 * layout.num_accelerators + kernels.SYSTEM_TIMES + 8
        fleet = self.observation["accelerators"]
        capacity = fleet_capacity(predicted, table.weights, table.choice_accelerators)
        constant: dict[str, FloatArray] = {
            "price": capacity.prices.astype(np.float32),
            "switching": encode_cycles(simulation.devices["reconfiguration"]),
        }
        for name, values in constant.items():
            fleet[:, ACCELERATOR_FIELDS.index(name) :: len(ACCELERATOR_FIELDS)] = values
        lows, highs = self._interval_codes()
        self._codes = kernels.Codes(
            of_classes=encode_cycles(np.stack([predicted.min(axis=1), predicted.max(axis=1)], axis=1)),
            of_pairs=encode_cycles(predicted),
            of_energies=encode_energy(simulation.pairs["energy"]),
            of_lows=lows,
            of_highs=highs,
            column_owners=layout.column_accelerators,
            patterns=_mask_patterns(layout),
            configured=_configuration_codes(table.choice_accelerators),
        )
        lanes = simulation.num_lanes
        hidden = np.zeros((lanes, 0), np.float32)
        self._written = kernels.Written(
            shown=np.zeros(lanes, np.int64),
            arrivals=np.zeros((lanes, -(-layout.window // 8) * 8), np.int64),
            cycles=np.zeros((self.threads, width), np.int64),
            times=np.zeros((self.threads, width), np.float32),
            slots=self.observation["slots"],
            latencies=self.observation["latencies"],
            energies=self.observation.get("energies", hidden),
            lows=self.observation.get(INTERVALS[0], hidden),
            highs=self.observation.get(INTERVALS[1], hidden),
            fleet=self.observation["accelerators"],
            system=self.observation["system"],
            mask=self.mask,
            rewards=self.rewards,
            elapsed=self.elapsed,
            moments=self.times,
            legal=self.legal,
            ended=self.ended,
        )
        self._prepare_observed(capacity)
        self._bind_encoder()

    def _interval_codes(self) -> tuple[FloatArray, FloatArray]:
        """Return the encoded ends of the intervals of latencies, each float32 [C, K]; of no use where none are shown.

        A job that came unpredicted is one of the workload's jobs: its interval is that of their predictions.
        """
        table = self.table
        if not self.intervals:
            return np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32)
        low, high = table.interval(self.intervals)
        if self.simulation.config.skip_below:
            known = table.predicted_cycles[:-1]
            for choice, own in enumerate(known.T):
                shares = np.cumsum(table.weights[:-1][order := own.argsort()])
                tails = np.searchsorted(shares, [(1.0 - self.intervals) / 2.0, (1.0 + self.intervals) / 2.0])
                low[-1, choice], high[-1, choice] = own[order][np.minimum(tails, len(own) - 1)]
        return encode_cycles(low), encode_cycles(high)

    def _prepare_observed(self, capacity: Capacity) -> None:
        """Make what writes the array that agents are shown instead of the dict."""
        layout, lanes = self.layout, self.simulation.num_lanes
        self._joined: list[FloatArray] = []  # arrays that "flat" joins
        self._pairs: PairEncoder | None = None
        if isinstance(self.observed, dict):
            return
        if layout.observation == "flat":
            self._joined = [self.observation[name] for name in sorted(self.observation)]  # the order of the Dict space
        else:
            rows = self.observed.reshape(lanes, layout.num_actions, -1)
            self._pairs = PairEncoder(
                self.simulation, layout, capacity, mask=self.mask, rows=rows, workers=self.threads
            )

    def _bind_encoder(self) -> None:
        """Put together what the kernels are called with, and find their forms for it: both cost more than a step."""
        self._arrays = (kernels.State(*self.simulation.state), self._codes, self._written)
        self._encode_lanes = compiled_for(kernels.encode, *self._arrays, 0, 0, 0)
        self._move_lanes = compiled_for(kernels.move, *self._arrays, self._actions, 0, 0, 0)
        if self._pairs is not None:
            self._pairs.bind(self._arrays[0])

    def reset(self, seeds: Seeds, episodes: Seeds | None = None, which: BoolArray | None = None) -> None:
        """Start an episode in each lane (or where `which` is True), keyed by its seed and episode number."""
        lanes = self.simulation.num_lanes
        keys = seed_arrays(seeds, self._zeros if episodes is None else episodes)
        if keys[0].shape != (lanes,) or keys[1].shape != (lanes,):
            raise ConfigError(f"reset: needs a seed for each of {lanes} lanes, got {len(keys[0])}")
        self.simulation.reset(*keys, self._all if which is None else which)
        chosen = () if which is None else np.flatnonzero(which).tolist()
        if which is None or len(chosen) > FEW:
            self.encode(0, 0, lanes)
        else:
            for lane in chosen:
                self.encode(0, lane, lane + 1)

    def step(self, actions: NDArray[np.int64]) -> None:
        """Take one action per lane and run each lane to its next decision."""
        if type(actions) is not np.ndarray or actions.shape != self._all.shape or actions.dtype != np.int64:
            raise InvalidAction(f"actions must be an array of int64 of shape {self._all.shape}, got {shown(actions)}")
        np.copyto(self._actions, actions)  # of the one layout that the kernel knows
        moves = [self._workers().submit(self._move, *own) for own in self._ranges[1:]]
        self._move(*self._ranges[0])
        for move in moves:
            move.result()
        if self.simulation.streaming:
            self._keep_up()

    def _keep_up(self) -> None:
        """Load more jobs for the lanes that ran out of them, let these go on, and observe them again."""
        starved = np.flatnonzero(self.simulation.lanes["starved"]).tolist()
        held = self.simulation.jobs
        self.simulation.refill()
        if self.simulation.jobs is not held:
            self._bind_encoder()
        for lane in starved:
            self.encode(0, lane, lane + 1)

    def _move(self, worker: int, first: int, stop: int) -> None:
        self._move_lanes(*self._arrays, self._actions, worker, first, stop)
        if self.observed is not self.observation:
            self._write_observed(worker, first, stop)

    def encode(self, worker: int = 0, first: int = 0, stop: int | None = None) -> None:
        """Write observations and masks of the lanes from `first` to before `stop` (all by default) from the state."""
        lanes = self.simulation.num_lanes
        stop = lanes if stop is None else Integer(0, lanes).check("encode", "stop", stop)
        worker = Integer(0, self.threads - 1).check("encode", "worker", worker)
        first = Integer(0, lanes).check("encode", "first", first)
        self._encode_lanes(*self._arrays, worker, first, stop)
        if self.observed is not self.observation:
            self._write_observed(worker, first, stop)

    def _write_observed(self, worker: int, first: int, stop: int) -> None:
        """Write what agents are shown of some lanes, whose dict and mask are written."""
        if self._pairs is not None:
            self._pairs.encode(worker, first, stop)
        elif not isinstance(self.observed, dict):
            np.concatenate([array[first:stop] for array in self._joined], axis=1, out=self.observed[first:stop])

    def _workers(self) -> ThreadPoolExecutor:
        """Return the pool of additional threads; a forked process starts its own."""
        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = (os.getpid(), ThreadPoolExecutor(self.threads - 1, "gnnsched"))
        return self._pool[1]


def _configuration_codes(owners: NDArray[np.int64]) -> FloatArray:
    """Return float32 [K]: each choice's place among its accelerator's, (place + 1) / (choices there); 0 means none."""
    codes = np.zeros(len(owners), np.float32)
    for accelerator in np.unique(owners):
        own = np.flatnonzero(owners == accelerator)
        codes[own] = (np.arange(len(own)) + 1) / len(own)
    return codes


def _mask_patterns(layout: Layout) -> BoolArray:
    """Return bool [2^A, W x columns]: for each set of idle accelerators (bit a: number a), the actions they allow.

    If that table would be too large, return one row of zeros.
    """
    if layout.num_accelerators > MOST_PATTERN_BITS:
        return np.zeros((1, 1), np.bool_)
    idle = np.arange(1 << layout.num_accelerators)[:, np.newaxis] >> layout.column_accelerators & 1
    return np.ascontiguousarray(np.tile(idle.astype(np.bool_), (1, layout.window)))
