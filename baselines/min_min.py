"""min_min: plan the waiting jobs by smallest believed completion, and start what the plan starts now."""

import numpy as np

from baselines.actions import NOBODY, send_pairs
from baselines.decoding import read_beliefs
from baselines.list_planning import first_starts
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
        first_starts(beliefs.latencies, beliefs.remaining, beliefs.open, beliefs.waiting, False, slots, accelerators)
        return send_pairs(self.layout, observation, mask, beliefs, (slots, accelerators))
