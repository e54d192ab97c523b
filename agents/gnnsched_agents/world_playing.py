"""Plays the lanes of a world to their ends."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gnnsched_agents.worlds import World
from gnnsched_env.common.policy import IntArray
from gnnsched_env.sim import episode_metrics


def play(world: World, act: Callable[[], IntArray], seed: int) -> NDArray[np.float64]:
    """Play an episode in each lane, of seeds seed, seed + 1, ...; return its mean completion, cycles, float64 [L].

    `act` gives the actions int64 [L] of the lanes as they stand.
    """
    world.reset(seed)
    while not world.simulation.lanes["ended"].all():
        world.simulation.step(act())
    return np.asarray(episode_metrics(world.simulation).completion.mean(axis=1), np.float64)
