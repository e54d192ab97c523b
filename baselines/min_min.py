"""min_min: plan the waiting jobs by smallest believed completion, and start what the plan starts now."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from baselines.actions import NOBODY, send_pairs
from baselines.decoding import read_beliefs
from gnnsched_env.envs import Layout
from gnnsched_env.policy import BoolArray, IntArray, Knowledge, Observation, Routing


class MinMin:
    """Plan again and again the (job, accelerator) of smallest believed completion, busy accelerators too.

    The first planned job whose accelerator is idle, with nothing planned there before it, starts; if there is none,
    wait. Ties take the oldest job, then the lowest accelerator.
    """

    name = "min_min"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"queue"})
    choices = None

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        beliefs = read_beliefs(observation, mask, self.layout)
        slots = np.full(len(mask), NOBODY, np.int64)
        accelerators = np.zeros(len(mask), np.int64)
        first_starts(beliefs.latencies, beliefs.remaining, beliefs.open, beliefs.waiting, slots, accelerators)
        return send_pairs(self.layout, observation, mask, beliefs, (slots, accelerators))


@njit(cache=True)
def first_starts(
    latencies: NDArray[np.float64],
    remaining: NDArray[np.float64],
    idle: BoolArray,
    waiting: IntArray,
    slots: IntArray,
    accelerators: IntArray,
) -> None:
    """Write the job and the accelerator that each lane starts; a lane that waits keeps what stands there.

    `latencies` float64 [L, n, A], `remaining` float64 [L, A], `idle` bool [L, A], `waiting` int64 [L]; `slots` and
    `accelerators` int64 [L] are written.
    """
    free = np.empty(remaining.shape[1])
    planned = np.empty(latencies.shape[1], np.bool_)
    for i in range(len(latencies)):
        if not idle[i].any():
            continue
        free[:] = remaining[i]
        planned[:] = False
        for _ in range(waiting[i]):
            slot, accelerator = _earliest(latencies[i], free, planned, waiting[i])
            if idle[i, accelerator]:  # had a job been planned on it before, that one would have started
                slots[i], accelerators[i] = slot, accelerator
                break
            free[accelerator] += latencies[i, slot, accelerator]
            planned[slot] = True


@njit(cache=True)
def _earliest(
    latencies: NDArray[np.float64], free: NDArray[np.float64], planned: BoolArray, waiting: int
) -> tuple[int, int]:
    """Return the unplanned job and the accelerator of smallest completion."""
    best, slot, accelerator = np.inf, 0, 0
    for w in range(waiting):
        if planned[w]:
            continue
        for a in range(len(free)):
            completion = free[a] + latencies[w, a]
            if completion < best:
                best, slot, accelerator = completion, w, a
    return slot, accelerator
