"""fifo: the oldest job goes to the first idle accelerator."""

import numpy as np

from gnnsched_baselines.actions import first_open, send_oldest, static_choices_of
from gnnsched_baselines.decoding import open_accelerators
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout


class FirstInFirstOut:
    """Start the oldest job on the idle accelerator of lowest index, static dataflow."""

    name = "fifo"
    knowledge = Knowledge.NONE
    routing = Routing.BLIND
    environments = frozenset({"queue"})

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.choices = static_choices_of(layout)

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        order = np.zeros((len(mask), self.layout.num_accelerators), np.int64)
        return send_oldest(
            self.layout,
            observation,
            mask,
            first_open(order, open_accelerators(mask, self.layout)),
            self.layout.static_columns,
        )
