"""A policy as a user would write it: the example of docs/reference/environments.md."""

import numpy as np

from gnnsched_env import Knowledge
from gnnsched_env.envs import unflatten


class OldestFirst:
    """Start the oldest job where it is predicted shortest among the idle accelerators."""

    knowledge = Knowledge.PREDICTED

    def __init__(self, layout):
        self.layout = layout

    def act(self, observation, mask):
        view = unflatten(observation, self.layout)
        first = np.where(mask[:, : self.layout.columns], view.latencies[:, 0], 2.0)
        return np.where(mask[:, : self.layout.columns].any(axis=1), first.argmin(axis=1), self.layout.wait_action)
