"""round_robin: the oldest job goes to the next accelerator in turn."""

import numpy as np

from gnnsched_baselines.actions import NOBODY, first_open, send_oldest, static_choices_of
from gnnsched_baselines.decoding import open_accelerators
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout


class RoundRobin:
    """Send the oldest job to the next accelerator in turn (in Queue-v0 the next idle one), static dataflow."""

    name = "round_robin"
    knowledge = Knowledge.NONE
    environments = frozenset({"dispatch", "queue"})

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.routing = Routing.UNIFORM if layout.dispatch else Routing.BLIND
        self.choices = static_choices_of(layout)
        self.reset()

    def reset(self) -> None:
        """Reset whose turn it is; a changed number of lanes resets it too."""
        self._next = np.zeros(0, np.int64)  # [L], the accelerator whose turn it is

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        if len(self._next) != len(mask):
            self._next = np.zeros(len(mask), np.int64)
        accelerators = self.layout.num_accelerators
        turns = (np.arange(accelerators) - self._next[:, np.newaxis]) % accelerators
        chosen = first_open(turns, open_accelerators(mask, self.layout))
        self._next = np.where(chosen == NOBODY, self._next, (chosen + 1) % accelerators)
        return send_oldest(self.layout, observation, mask, chosen, self.layout.static_columns)
