"""random: the oldest job goes to any open accelerator, each equally likely."""

import numpy as np

from gnnsched_baselines.actions import first_open, send_oldest, static_choices_of
from gnnsched_baselines.decoding import open_accelerators
from gnnsched_env.common.checks import Integer
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.common.random_streams import GOLDEN, mix_words
from gnnsched_env.envs import Layout, unflatten


class Random:
    """Send the oldest job to a uniformly random accelerator (in Queue-v0 an idle one), static dataflow.

    The draw is a hash (splitmix64's output function) of the seed, of the number of calls so far, and of counts and
    times in the observation, so that an episode does not depend on those in other lanes.
    """

    name = "random"
    knowledge = Knowledge.NONE
    environments = frozenset({"dispatch", "queue"})

    def __init__(self, layout: Layout, *, seed: int = 0) -> None:
        self.layout = layout
        self.routing = Routing.UNIFORM if layout.dispatch else Routing.BLIND
        self.choices = static_choices_of(layout)
        self.seed = Integer(0, (1 << 64) - 1).check(self.name, "seed", seed)
        self._asked = 0

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        order = self._draw(observation)
        return send_oldest(
            self.layout,
            observation,
            mask,
            first_open(order, open_accelerators(mask, self.layout)),
            self.layout.static_columns,
        )

    def _draw(self, observation: Observation) -> IntArray:
        """Return int64 [L, A]: random numbers that give a random order."""
        system = unflatten(observation, self.layout).system
        self._asked += 1
        state = mix_words(
            np.full(len(system["to_come"]), self.seed, np.uint64) + np.uint64(self._asked * int(GOLDEN) % (1 << 64))
        )
        for name in ("to_come", "in_system", "waiting", "recent_gap", "elapsed"):
            state = mix_words(state ^ (np.ascontiguousarray(system[name]).view(np.uint32) + GOLDEN))
        accelerators = np.arange(1, self.layout.num_accelerators + 1, dtype=np.uint64)
        return (mix_words(state[:, np.newaxis] + accelerators * GOLDEN) >> np.uint64(2)).astype(np.int64)
