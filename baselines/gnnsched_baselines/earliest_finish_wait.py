"""earliest_finish_wait: every job waits for the accelerator on which it would finish first."""

import numpy as np

from gnnsched_baselines.actions import best_pairs, send_pairs
from gnnsched_baselines.decoding import read_beliefs
from gnnsched_baselines.narrowing import soonest_of_kinds
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout


class EarliestFinishWait:
    """Each job picks the accelerator of earliest believed finish, even if it is busy.

    Among the jobs whose pick is idle, the one of shortest latency there starts; if there is none, wait. Ties take the
    lowest accelerator, then the oldest job.
    """

    name = "earliest_finish_wait"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"queue"})
    choices = None

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        beliefs = read_beliefs(observation, mask, self.layout)
        near = soonest_of_kinds(beliefs, 1)  # the pick is always one of them
        finish = near.remaining[:, np.newaxis] + near.latencies
        picks = finish.argmin(axis=2)[:, :, np.newaxis] == np.arange(finish.shape[2])
        startable = picks & near.open[:, np.newaxis]
        slots, places = best_pairs(np.where(startable, near.latencies, np.inf))
        return send_pairs(self.layout, observation, mask, beliefs, (slots, near.number_of(places)))
