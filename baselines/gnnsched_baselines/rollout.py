"""rollout: try possible actions on sampled futures, and deviate from the base policy only if clearly better.

One step of policy improvement by simulation (Tesauro and Galperin 1997; Bertsekas, Tsitsiklis and Wu 1997). Candidates
meet the same futures, so that their difference is known much better than either cost. A difference that may be luck is
ignored: always taking the best of the noisy means is worse than the base policy.
"""

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.actions import send_pairs
from gnnsched_baselines.assignment import Assignment
from gnnsched_baselines.assignment_playing import play_out
from gnnsched_baselines.decoding import read_beliefs
from gnnsched_env.common.checks import Integer, Number
from gnnsched_env.common.errors import GnnSchedError
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.common.random_streams import GOLDEN, MIX_1, MIX_2
from gnnsched_env.envs import Layout
from gnnsched_env.sim import Simulation
from gnnsched_env.sim.belief import Belief
from gnnsched_env.sim.rewards import episode_charges
from gnnsched_env.sim.state import SEED_LIMIT

MOST_LANES = 512  # futures played at once: more do not fit in the CPU caches
MOST_FUTURES, MOST_ARRIVALS = 1_000_000, 10_000_000
SPREAD = np.array([GOLDEN, MIX_1, MIX_2])  # large odd multipliers


class Rollout:
    """Follow `assignment`, except where a candidate is clearly better on sampled futures.

    The other candidates are, on each idle accelerator, the shortest job and the one that it suits best (smallest
    latency there over smallest anywhere, then shortest), and waiting. Each is tried on the same `futures` continuations
    of the belief, in which at most `arrivals` further jobs arrive and `assignment` makes all later decisions. The
    candidate of smallest mean cost, as the scenario's objective charges it, is taken if that is below the base policy's
    by more than `margin` standard errors of the difference.

    Call `observe_belief` before each decision. The futures are drawn with `seed`, the lane's time and the number of its
    jobs to come, so that an episode does not depend on those in other lanes. Jobs beyond the window are played too. The
    time that predictions may take is ignored in the futures.
    """

    name = "rollout"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"queue"})
    choices = None

    def __init__(
        self, layout: Layout, *, futures: int = 32, arrivals: int = 50, margin: float = 1.5, seed: int = 0
    ) -> None:
        self.layout = layout
        self.futures: int = Integer(2, MOST_FUTURES).check(self.name, "futures", futures)
        self.arrivals: int = Integer(0, MOST_ARRIVALS).check(self.name, "arrivals", arrivals)
        self.margin: float = Number(least=0).check(self.name, "margin", margin)
        self.seed: int = Integer(0, SEED_LIMIT - 1).check(self.name, "seed", seed)
        self._base = Assignment(layout)
        self._belief: Belief | None = None

    def observe_belief(self, belief: Belief) -> None:
        """Store the belief about the lanes of the next decision."""
        self._belief = belief

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane; the belief observed serves one call."""
        belief, self._belief = self._belief, None
        if belief is None:
            raise GnnSchedError(f"{self.name}: needs observe_belief(belief) before each act")
        if len(belief.lanes) != len(mask):
            raise GnnSchedError(f"{self.name}: the belief must be of {len(mask)} lanes, got {len(belief.lanes)}")
        candidates = self._candidates(observation, mask)
        actions = candidates[:, 0].copy()
        options = [np.array(list(dict.fromkeys(row))) for row in candidates.tolist()]
        open_lanes = [i for i, own in enumerate(options) if len(own) > 1]
        lanes_at_once = max(1, MOST_LANES // (self.futures * max((len(own) for own in options), default=1)))
        for first in range(0, len(open_lanes), lanes_at_once):
            lanes = open_lanes[first : first + lanes_at_once]
            tried = self._try(belief, lanes, [options[i] for i in lanes])
            for i, costs in zip(lanes, tried, strict=True):
                actions[i] = options[i][clearly_best(costs, self.margin)]
        return actions

    def _candidates(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return int64 [L, n]: legal actions, the base policy's first; many are equal."""
        beliefs = read_beliefs(observation, mask, self.layout)
        latencies = beliefs.latencies
        best = latencies.min(axis=2, keepdims=True)
        misfit = np.divide(latencies, best, out=np.full_like(latencies, np.inf), where=np.isfinite(latencies))
        base = self._base.act(observation, mask)
        proposed = [base]
        for accelerator in range(self.layout.num_accelerators):
            own, unfit = latencies[:, :, accelerator], misfit[:, :, accelerator]
            for slots in (own.argmin(axis=1), np.lexsort((own, unfit), axis=1)[:, 0]):
                pairs = slots, np.full(len(mask), accelerator)
                proposed.append(send_pairs(self.layout, observation, mask, beliefs, pairs))
        wait = self.layout.wait_action
        proposed.append(np.where(mask[:, wait], wait, base))
        return np.stack(proposed, axis=1)

    def _try(self, belief: Belief, lanes: list[int], options: list[IntArray]) -> list[NDArray[np.float64]]:
        """Return, for each lane, float64 [candidates, futures]: the objective's charge in each future, cycles."""
        counts = [len(own) for own in options]
        origins = np.repeat(lanes, np.multiply(counts, self.futures))
        seeds = future_seeds(belief, self.seed, self.futures)
        future = belief.futures(
            origins,
            np.concatenate([np.tile(seeds[i], count) for i, count in zip(lanes, counts, strict=True)]),
            self.arrivals,
        )
        self._play_out(future, np.repeat(np.concatenate(options), self.futures))
        charged = episode_charges(future.settings, future.jobs, future.lanes)
        return np.split(charged.reshape(-1, self.futures), np.cumsum(counts)[:-1])

    def _play_out(self, future: Simulation, first_actions: IntArray) -> None:
        """Take the first actions [L], then decide as the base policy does until every lane has ended."""
        play_out(future, self.layout, first_actions)


def clearly_best(costs: NDArray[np.float64], margin: float) -> int:
    """Return the candidate of smallest mean cost among those clearly better than the first, or 0 where none is.

    `costs` float64 [candidates, futures]; better is clear beyond `margin` standard errors of the paired difference.
    """
    difference = costs - costs[0]
    mean = difference.mean(axis=1)
    error = difference.std(axis=1, ddof=1) / np.sqrt(difference.shape[1])
    return int(np.where(mean < -margin * error, mean, 0.0).argmin())


def future_seeds(belief: Belief, seed: int, futures: int) -> NDArray[np.uint64]:
    """Return uint64 [L, futures]: seeds that depend only on the lane's time and number of jobs to come."""
    time, to_come = (belief.lanes[name].astype(np.uint64)[:, np.newaxis] for name in ("time", "to_come"))
    with np.errstate(over="ignore"):  # the streams' keys are hashes of the seeds, so sums modulo 2^64 are enough
        offset = np.array([seed], np.uint64) * SPREAD[0] + time * SPREAD[1] + to_come * SPREAD[2]
        seeds: NDArray[np.uint64] = offset + np.arange(futures, dtype=np.uint64)
    return seeds
