"""States in which a policy all but takes another action, labelled by what its nearest actions cost if it plays on.

Where a policy is sure of its action, a small step of its weights changes nothing; what such a step gains or loses is
decided in the states labelled here. The policy itself plays the futures, so that their costs are those of the decision
alone, which the policy can improve without end (policy iteration; `lookahead_labels` plays them by a heuristic).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gnnsched_agents.methods.lookahead_labels import Lookahead
from gnnsched_agents.worlds import World
from gnnsched_baselines.learned.pair_network import Network
from gnnsched_env.common.checks import require
from gnnsched_env.common.policy import BoolArray, FloatArray, IntArray
from gnnsched_env.sim import Simulation

NEAR = 1.3  # an action is tried if its score is this close to the best one's, in gaps
MOST_TAIL = 4.0  # more is true at high loads, and noisier than it is worth
ARRIVALS = (15, 35)  # least and most arrivals of a future, times the number of accelerators


@dataclass(frozen=True, kw_only=True)
class OwnLookahead(Lookahead):
    """Labels near ties of a network's scores only: states whose two best scores are at most `gap` apart.

    The network plays the futures. Their ends are charged for what they leave to those who would have come: see
    `charges`.
    """

    network: Network
    gap: float

    def tried(self, rows: FloatArray) -> IntArray:
        """Return the best rows whose scores are near the best one's; none if the state is no near tie."""
        order, behind = ranked(self.network, rows, NEAR * self.gap)
        if len(order) < 2 or behind[1] > self.gap:
            return np.empty(0, np.int64)
        return order[: self.candidates]

    def play(self, future: Simulation, world: World, actions: IntArray) -> None:
        """Take the first actions, then those of the network."""
        future.step(actions)
        future.play(world.player(future, self.network).act)

    def charges(self, future: Simulation, world: World, *, cut: BoolArray) -> NDArray[np.float64]:
        """Return what the objective charges; where the future is cut, what comes after its last arrival counts more.

        Without arrivals what was postponed costs little. With them, each cycle of it also delays jobs to come: in
        M/G/1, what a backlog costs all jobs is 1 / (1 - load) of what it costs those present (the mean busy period).
        """
        total = super().charges(future, world, cut=cut)
        last = future.jobs["arrival"].max(axis=1, keepdims=True)
        after = np.maximum(0, future.jobs["finish"] - last).sum(axis=1)
        more = (min(MOST_TAIL, 1.0 / max(1e-9, 1.0 - world.load)) - 1.0) * future.settings[0]["completion"]
        return total + np.where(cut, more * after, 0.0)


def arrivals_of(world: World, horizon: float) -> int:
    """Return how many jobs come in a future: `horizon` / (1 - load) for each accelerator, within ARRIVALS."""
    fleet = world.simulation.accelerators.shape[1]
    return int(fleet * np.clip(horizon / max(1e-9, 1.0 - world.load), *ARRIVALS))


def ranked(network: Network, rows: FloatArray, most: float = np.inf) -> tuple[IntArray, FloatArray]:
    """Return which of a lane's rows [n, F] are at most so far behind the best-scored one, best first, and how far.

    Of equal rows, which idle accelerators of equal hardware have, there is the first one only.
    """
    scores = network.scores(rows, np.array([0, len(rows)]))
    behind = scores.max(initial=-np.inf) - scores
    near = np.flatnonzero(behind <= most)
    if len(near) > 1:
        near = near[np.sort(np.unique(rows[near], axis=0, return_index=True)[1])]
    order = near[np.argsort(behind[near], kind="stable")]
    return order, behind[order]


def typical_gap(worlds: list[World], network: Network, steps: int, share: float) -> float:
    """Return the gap between the two best scores that a `share` of the states visited in some steps is below.

    Raise ConfigError if it is 0: then the network does not tell the actions of so many states apart.
    """
    gaps = []
    for world in worlds:
        reader, act = world.reader(), world.actor(network)
        for _ in range(steps):
            world.simulation.step(act())
            count, starts = reader.describe(), reader.starts
            rows = reader.rows[:count]
            behind = [ranked(network, rows[first:stop])[1] for first, stop in pairwise(starts) if stop - first > 1]
            gaps += [own[1] for own in behind if len(own) > 1]
    gap = float(np.quantile(gaps, share)) if gaps else 0.0
    rule = f"weights that score the best two actions differently in {1.0 - share:.0%} of the states"
    require("policy_iteration", "weights", gap, "" if gap > 0.0 else rule)
    return gap
