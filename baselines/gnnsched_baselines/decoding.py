"""Decoding of observations for policies: the believed cycles of the waiting jobs and of the accelerators."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.policy import BoolArray, FloatArray, IntArray, Observation
from gnnsched_env.envs import Layout, decode_counts, decode_cycles, unflatten


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """The believed state of L lanes with A accelerators; n is the most jobs that any lane shows, at least 1.

    `waiting` int64 [L]: jobs shown, those of slots 0, 1, ...; `latencies` float64 [L, n, A]: each one's smallest
    predicted latency on each accelerator, cycles, inf where there is no job; `remaining` float64 [L, A]: cycles until
    the accelerator is free (in Dispatch-v0 its own queue included); `open` bool [L, A]: a job may be sent there now;
    `age` float32 [L, n]: grows with the time that the job has waited (its encoding).
    """

    waiting: IntArray
    latencies: NDArray[np.float64]
    remaining: NDArray[np.float64]
    open: BoolArray
    age: FloatArray


def read_beliefs(observation: Observation, mask: BoolArray, layout: Layout) -> Beliefs:
    """Decode an observation (arrays [L, n]) and its mask into beliefs, in cycles."""
    view = unflatten(observation, layout)
    waiting = waiting_jobs(observation, layout)
    shown = max(1, int(waiting.max(initial=0)))
    latencies = decode_cycles(shortest_codes(view.latencies[:, :shown], layout))
    latencies[np.arange(shown) >= waiting[:, np.newaxis]] = np.inf
    return Beliefs(
        waiting=waiting,
        latencies=latencies,
        remaining=decode_cycles(view.accelerators["remaining"]),
        open=open_accelerators(mask, layout),
        age=view.slots["waited"][:, :shown],
    )


def waiting_jobs(observation: Observation, layout: Layout) -> IntArray:
    """Return int64 [L]: the jobs shown in each lane; they fill the slots from 0 on."""
    present: BoolArray = unflatten(observation, layout).slots["present"] > 0
    waiting: IntArray = present.sum(axis=1, dtype=np.int64)
    return waiting


def shortest_codes(latencies: FloatArray, layout: Layout) -> FloatArray:
    """Return [L, n, A]: the smallest encoded latency (`latencies` [L, n, choices]) on each accelerator."""
    codes = np.full((*latencies.shape[:2], layout.num_accelerators), np.inf, np.float32)
    for choice, owner in enumerate(layout.choice_accelerators):
        np.minimum(codes[:, :, owner], latencies[:, :, choice], out=codes[:, :, owner])
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
