"""predictor_greedy: the paper's rule (arXiv 2411.16342): each job goes where it is predicted to complete first."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.actions import best_pairs, planned_pairs, send_pairs
from gnnsched_baselines.decoding import read_beliefs
from gnnsched_env.common.compiled import kernel
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout


class PredictorGreedy:
    """Send the job to the accelerator of smallest backlog + predicted latency.

    In Queue-v0 the waiting jobs are planned by that rule in the order in which they arrived (list scheduling), and the
    first one planned on an idle accelerator, with nothing planned there before it, starts; if there is none, wait. Ties
    take the lowest accelerator.
    """

    name = "predictor_greedy"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"dispatch", "queue"})
    choices = None

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        beliefs = read_beliefs(observation, mask, self.layout)
        if self.layout.dispatch:
            completion = beliefs.remaining[:, np.newaxis] + beliefs.latencies
            pairs = best_pairs(np.where(beliefs.open[:, np.newaxis], completion, np.inf))
        else:
            pairs = planned_pairs(beliefs, list_schedules, np.argsort(-beliefs.age, axis=1, kind="stable"))
        return send_pairs(self.layout, observation, mask, beliefs, pairs)


@kernel
def list_schedules(
    latencies: NDArray[np.float64],
    remaining: NDArray[np.float64],
    idle: BoolArray,
    waiting: IntArray,
    order: IntArray,
    slots: IntArray,
    accelerators: IntArray,
) -> None:
    """Write the job and the accelerator that each lane starts; a lane that waits keeps what stands there.

    `latencies` float64 [L, n, A], `remaining` float64 [L, A], `idle` bool [L, A], `waiting` int64 [L], `order` int64
    [L, n] (slots, oldest job first); `slots` and `accelerators` int64 [L] are written.
    """
    free = np.empty(remaining.shape[1])
    for i in range(len(latencies)):
        if not idle[i].any():
            continue
        free[:] = remaining[i]
        for k in range(waiting[i]):
            slot = order[i, k]
            best = 0
            for a in range(1, len(free)):
                if free[a] + latencies[i, slot, a] < free[best] + latencies[i, slot, best]:
                    best = a
            if idle[i, best]:  # it has no earlier job, which would have started instead
                slots[i], accelerators[i] = slot, best
                break
            free[best] += latencies[i, slot, best]
