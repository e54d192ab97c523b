"""random: the oldest job goes to any open accelerator, each equally likely."""

import numpy as np

from baselines.actions import first_open, send_oldest, static_choices_of
from baselines.decoding import open_accelerators
from gnnsched_env.envs import Layout
from gnnsched_env.policy import BoolArray, IntArray, Knowledge, Observation, Routing


class Random:
    """Send the oldest job to a uniformly random accelerator (in Queue-v0 an idle one), static dataflow."""

    name = "random"
    knowledge = Knowledge.NONE
    environments = frozenset({"dispatch", "queue"})

    def __init__(self, layout: Layout, *, seed: int = 0) -> None:
        self.layout = layout
        self.routing = Routing.UNIFORM if layout.dispatch else Routing.BLIND
        self.choices = static_choices_of(layout)
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        order = self._rng.integers(0, 1 << 62, (len(mask), self.layout.num_accelerators))
        return send_oldest(
            self.layout, mask, first_open(order, open_accelerators(mask, self.layout)), self.layout.static_columns
        )
