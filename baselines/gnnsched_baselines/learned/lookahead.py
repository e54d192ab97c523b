"""A trained policy that looks ahead: `rollout` with the trained policy in place of `assignment`."""

from itertools import pairwise

import numpy as np

from gnnsched_baselines.actions import send_pairs
from gnnsched_baselines.decoding import given_table
from gnnsched_baselines.learned.pair_network import QUEUE, Network
from gnnsched_baselines.learned.player import Player
from gnnsched_baselines.learned.trained_policy import ObservationReader
from gnnsched_baselines.rollout import Rollout
from gnnsched_env.common.checks import Integer
from gnnsched_env.common.policy import BoolArray, IntArray, Observation
from gnnsched_env.envs import Layout
from gnnsched_env.sim import Simulation
from gnnsched_env.tables import LatencyTable

MOST_CANDIDATES = 1_000_000


class Lookahead(Rollout):
    """Follow a trained policy, except where another action is clearly better on sampled futures.

    Candidates are the `candidates` actions of the highest scores. Each is tried on the same `futures` continuations of
    the belief, in which at most `arrivals` further jobs arrive and the trained policy makes all later decisions. As in
    `rollout`, one is taken if it costs less by more than `margin` standard errors. Call `observe_belief` before `act`.
    """

    name = "lookahead"

    def __init__(
        self,
        layout: Layout,
        *,
        table: LatencyTable | None,
        network: Network,
        candidates: int = 4,
        futures: int = 32,
        arrivals: int = 50,
        margin: float = 1.5,
        seed: int = 0,
    ) -> None:
        """Make the policy for environments of a layout; `table` (of a job) holds the workload's predicted latencies.

        Raise ConfigError if the table is missing or an option is invalid.
        """
        table = given_table(self.name, table)
        super().__init__(layout, futures=futures, arrivals=arrivals, margin=margin, seed=seed)
        self.candidates = Integer(2, MOST_CANDIDATES).check(self.name, "candidates", candidates)
        QUEUE.check(network)
        self._network = network
        self._reader = ObservationReader(layout, table, pools=network.pools)

    def _candidates(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return int64 [L, n]: legal actions, the best-scored first; a lane with fewer repeats its first."""
        beliefs, rows, pairs, starts = self._reader.describe(observation, mask)
        scores = self._network.scores(rows, starts)
        ranked = np.repeat(starts[:-1, np.newaxis], self.candidates, axis=1)
        for lane, (first, stop) in enumerate(pairwise(starts)):
            best = first + np.argsort(-scores[first:stop], kind="stable")[: self.candidates]
            ranked[lane] = best[0]
            ranked[lane, : len(best)] = best
        chosen = [(pairs[ranked[:, k], 0], pairs[ranked[:, k], 1]) for k in range(self.candidates)]
        return np.stack(
            [send_pairs(self.layout, observation, mask, beliefs, pair, self._reader.equal_choices) for pair in chosen],
            axis=1,
        )

    def _play_out(self, future: Simulation, first_actions: IntArray) -> None:
        future.step(first_actions)
        known = (self._reader.machines, self._reader.unit, self._network.read)
        player = Player(future, self.layout, *known, groups=self._reader.groups, pools=self._network.pools)
        future.play(player.act)
