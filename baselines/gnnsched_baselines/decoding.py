"""Decoding of observations for policies: the believed cycles of the waiting jobs and of the accelerators."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import BoolArray, FloatArray, IntArray, Observation
from gnnsched_env.envs import Layout, decode_counts, decode_cycles, unflatten
from gnnsched_env.envs.encoder import TIME_BITS
from gnnsched_env.sim import Simulation
from gnnsched_env.sim.state import best_choices
from gnnsched_env.tables import LatencyTable
from gnnsched_env.tables.kinds import Kinds
from gnnsched_env.tables.shrinkage import expected_cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """The believed state of L lanes with A accelerators of G kinds; n is the most jobs that any lane shows, at least 1.

    `waiting` int64 [L]: jobs shown, those of slots 0, 1, ...; `of_kinds` float64 [L, n, G]: each one's smallest
    expected latency on an accelerator of each kind, cycles, inf where there is no job; `kinds`: those of the
    accelerators; `remaining` float64 [L, A]: cycles until the accelerator is free (in Dispatch-v0 its own queue
    included); `open` bool [L, A]: a job may be sent there now; `age` float32 [L, n]: grows with the time that the job
    has waited (its encoding).
    """

    waiting: IntArray
    of_kinds: NDArray[np.float64]
    kinds: Kinds
    remaining: NDArray[np.float64]
    open: BoolArray
    age: FloatArray

    @property
    def latencies(self) -> NDArray[np.float64]:
        """Return float64 [L, n, A]: each job's smallest expected latency on each accelerator, as `of_kinds`."""
        return self.of_kinds if len(self.kinds.of) == self.kinds.number else self.of_kinds[:, :, self.kinds.of]


def read_beliefs(observation: Observation, mask: BoolArray, layout: Layout) -> Beliefs:
    """Decode an observation (arrays [L, n]) and its mask into beliefs, in cycles."""
    view = unflatten(observation, layout)
    waiting = waiting_jobs(observation, layout)
    shown = max(1, int(waiting.max(initial=0)))
    of_kinds = decode_cycles(shortest_codes(expected_latencies(view.latencies[:, :shown], layout), layout))
    of_kinds[np.arange(shown) >= waiting[:, np.newaxis]] = np.inf
    return Beliefs(
        waiting=waiting,
        of_kinds=of_kinds,
        kinds=layout.kinds_of,
        remaining=decode_cycles(view.accelerators["remaining"]),
        open=open_accelerators(mask, layout),
        age=view.slots["waited"][:, :shown],
    )


def given_table(name: str, table: LatencyTable | None) -> LatencyTable:
    """Return the workload's table of a policy of that name; raise ConfigError where it was given none."""
    if table is None:
        raise ConfigError(f"{name}: needs the workload's table of latencies")
    return table


def waiting_jobs(observation: Observation, layout: Layout) -> IntArray:
    """Return int64 [L]: the jobs shown in each lane; they fill the slots from 0 on."""
    present: BoolArray = unflatten(observation, layout).slots["present"] > 0
    waiting: IntArray = present.sum(axis=1, dtype=np.int64)
    return waiting


def expected_latencies(latencies: FloatArray, layout: Layout) -> FloatArray:
    """Return float32 [..., choices]: the expected latencies of jobs from their predicted ones, both encoded.

    They are the same where predictions have no noise of their own (`tables.shrinkage`).
    """
    if layout.shrinkage is None:
        return latencies
    expected: FloatArray = np.minimum(layout.shrinkage.expected(latencies, TIME_BITS), 1.0).astype(np.float32)
    return expected


def expected_choices(simulation: Simulation) -> tuple[IntArray, IntArray]:
    """Return what a simulation's observations let expect: cycles int64 [C, K], and the best choices int64 [C, A].

    As `expected_latencies`, for policies that read the simulation itself.
    """
    table = simulation.table
    if table.noise == 0.0:
        return simulation.predicted, simulation.best_choices
    cycles = expected_cycles(table)
    return cycles, best_choices(cycles, table.choice_accelerators, table.num_accelerators)


def shortest_codes(latencies: FloatArray, layout: Layout) -> FloatArray:
    """Return [L, n, G]: the smallest encoded latency (`latencies` [L, n, choices]) on an accelerator of each kind."""
    codes = np.full((*latencies.shape[:2], layout.kinds_of.number), np.inf, np.float32)
    for choice, kind in layout.kind_choices:
        np.minimum(codes[:, :, kind], latencies[:, :, choice], out=codes[:, :, kind])
    return codes


def open_accelerators(mask: BoolArray, layout: Layout) -> BoolArray:
    """Return bool [L, A]: the accelerators that the oldest job may be sent to now.

    In Queue-v0 those are the idle ones, the same for every job; if no job waits in a lane, none are open.
    """
    available: BoolArray = mask[:, layout.static_columns]
    return available


def jobs_present(observation: Observation, layout: Layout) -> IntArray:
    """Return int64 [L, A]: the jobs at each accelerator, running or in its own queue."""
    accelerators = unflatten(observation, layout).accelerators
    return decode_counts(accelerators["queued"], layout.window) + (accelerators["busy"] > 0)
