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


@dataclass(frozen=True, kw_only=True)
class OwnLookahead(Lookahead):
    """Labels near ties of a network's scores only: states whose two best scores are at most `gap` apart.

    The network plays the futures, and what they cost their later jobs counts less: see `charges`.
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

    def charges(self, future: Simulation, *, cut: BoolArray) -> NDArray[np.float64]:
        """Return what the objective charges; where the future is cut, later arrivals' time in the system counts less.

        Those present count fully, the last arrival all but nothing, as costs are discounted to estimate the gradient of
        an average cost (Baxter and Bartlett 2001): what an action costs later jobs is mostly noise. Jobs that would
        come after the last arrival would not count either, so that the future's end needs no charge.
        """
        total = super().charges(future, cut=cut)
        arrivals = future.jobs[cut, -self.arrivals :]  # all that came after the beginning
        shares = (np.arange(arrivals.shape[1]) + 0.5) / self.arrivals
        ignored = ((arrivals["finish"] - arrivals["arrival"]) * shares).sum(axis=1)
        total[cut] -= future.settings[0]["completion"] * ignored
        return total

    def counted(self, in_system: IntArray, arrivals: IntArray, *, cut: BoolArray) -> NDArray[np.float64]:
        """Return how many jobs count: where the future is cut, each arrival counts half on average."""
        return in_system + np.where(cut, 0.5, 1.0) * arrivals


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
