"""sufferage: the job that would lose most without its best accelerator gets it (Maheswaran et al. 1999)."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.actions import NOBODY, send_planned
from gnnsched_env.common.compiled import helper, kernel
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout


class Sufferage:
    """Plan in rounds: among the jobs that would complete first on an accelerator, it takes the one that suffers most.

    A job's sufferage is its second smallest believed completion minus its smallest (0 on a single accelerator). Free
    times move on between rounds. The first planned job whose accelerator is idle, with nothing planned there before it,
    starts, within a round the one of largest sufferage; if there is none, wait. Ties take the lowest slot, then the
    lowest accelerator.
    """

    name = "sufferage"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"queue"})
    choices = None

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        return send_planned(self.layout, observation, mask, most_suffering)


@kernel
def most_suffering(
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
    fleet = remaining.shape[1]
    free = np.empty(fleet)
    planned = np.empty(latencies.shape[1], np.bool_)
    takes = np.empty(fleet, np.int64)
    suffers = np.empty(fleet)
    for i in range(len(latencies)):
        if not idle[i].any():
            continue
        free[:] = remaining[i]
        planned[:] = False
        left, starts = waiting[i], -1
        while left > 0 and starts < 0:
            _hold_round(latencies[i], free, planned, waiting[i], takes, suffers)
            for a in range(fleet):
                if takes[a] < 0:
                    continue
                if idle[i, a] and (starts < 0 or _goes_before(suffers, takes, a, starts)):
                    starts = a  # it has no earlier job, which would have started instead
                free[a] += latencies[i, takes[a], a]
                planned[takes[a]] = True
                left -= 1
        if starts >= 0:
            slots[i], accelerators[i] = takes[starts], starts


@helper
def _hold_round(
    latencies: NDArray[np.float64],
    free: NDArray[np.float64],
    planned: BoolArray,
    waiting: int,
    takes: IntArray,
    suffers: NDArray[np.float64],
) -> None:
    """Write the job that each accelerator takes (NOBODY if none) and its sufferage."""
    takes[:] = NOBODY
    for w in range(waiting):
        if planned[w]:
            continue
        best, first, second = 0, np.inf, np.inf
        for a in range(len(free)):
            completion = free[a] + latencies[w, a]
            if completion < first:
                best, first, second = a, completion, first
            else:
                second = min(second, completion)
        sufferage = second - first if len(free) > 1 else 0.0
        if takes[best] < 0 or sufferage > suffers[best]:
            takes[best], suffers[best] = w, sufferage


@helper
def _goes_before(suffers: NDArray[np.float64], takes: IntArray, a: int, b: int) -> bool:
    """Return whether the job of accelerator `a` in a round precedes the job of `b`."""
    if suffers[a] == suffers[b]:
        return bool(takes[a] < takes[b])
    return bool(suffers[a] > suffers[b])
