"""index: a priority for each job, from its cost and from how well its accelerator suits it."""

import numpy as np

from gnnsched_baselines.actions import best_pairs, send_pairs
from gnnsched_baselines.decoding import read_beliefs
from gnnsched_baselines.narrowing import soonest_of_kinds
from gnnsched_env.common.checks import Number
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout

MISFIT_POWER = 0.5


class Index:
    """Each job picks the accelerator of smallest remaining + (1 + c) x latency; the job of smallest priority starts.

    A job's priority is that value times the square root of (its latency there / its smallest latency anywhere). Of the
    jobs whose pick is idle the smallest priority starts; if there is none, wait. Ties take the lowest accelerator, then
    the oldest job. `c` weighs the accelerator's time against the job's own.
    """

    name = "index"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"queue"})
    choices = None

    def __init__(self, layout: Layout, *, c: float = 0.75) -> None:
        self.layout = layout
        self.c = Number(least=0).check(self.name, "c", c)

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        beliefs = read_beliefs(observation, mask, self.layout)
        near = soonest_of_kinds(beliefs, 1)  # the pick is always one of them
        cost = near.remaining[:, np.newaxis] + (1.0 + self.c) * near.latencies
        picks = cost.argmin(axis=2)[:, :, np.newaxis] == np.arange(cost.shape[2])
        startable = picks & near.open[:, np.newaxis] & np.isfinite(cost)
        best = near.latencies.min(axis=2, keepdims=True)
        misfit = np.divide(near.latencies, best, out=np.ones_like(cost), where=startable)
        slots, places = best_pairs(np.where(startable, cost * misfit**MISFIT_POWER, np.inf))
        return send_pairs(self.layout, observation, mask, beliefs, (slots, near.number_of(places)))
