"""The decisions that a policy has played in the lanes of several worlds, batches of them, and their advantages.

What is played is written where learning reads it: the rows of a world's decisions one after the other. Worlds have
arrays of their own, so that threads can play them at once and nothing depends on who is first.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_agents.lane_insights import HORIZONS, NUM_INSIGHTS
from gnnsched_agents.lanes import Lanes
from gnnsched_agents.methods.pair_gradients import Decisions
from gnnsched_agents.methods.sampled_play import play_on
from gnnsched_baselines.learned.pair_features import NUM_FEATURES
from gnnsched_baselines.learned.pair_network import Network
from gnnsched_env.common.policy import FloatArray, IntArray

VIEW = NUM_FEATURES + NUM_INSIGHTS  # number of a critic's inputs
FIRST_ROOM = 16  # rows a decision that there is room for at first


class PlayedDecisions:
    """The decisions of one update: T `steps` in each of L lanes of W worlds, so N = T x L in each world.

    In each world decisions are ordered by step and then by lane, and so are their rows: decision i of world w has
    `rows[w][starts[w, i] : starts[w, i + 1]]`. The arrays are written anew in each update.
    """

    rows: list[FloatArray]  # float32 [n, F] a world, with room for more
    starts: IntArray  # int64 [W, N + 1]
    chosen: IntArray  # int64 [W, N]: which of its rows each decision took, from 0
    log_probabilities: FloatArray  # float32 [W, N]: log-probabilities of the chosen rows
    views: FloatArray  # float32 [W, N + L, VIEW]: inputs of the critic, also for the decisions after the last
    rewards: FloatArray  # float32 [W, N]
    elapsed: FloatArray  # float32 [W, N], mean services
    ended: NDArray[np.bool_]  # bool [W, N]: whether the episode ended
    advantages: FloatArray  # float32 [W, N], normalised
    returns: FloatArray  # float32 [W, N], in the unit of the rewards

    def __init__(self, worlds: int, lanes: int, steps: int) -> None:
        self.steps, self.lanes = steps, lanes
        shape = (worlds, steps * lanes)
        self.rows = [np.empty((FIRST_ROOM * steps * lanes, NUM_FEATURES), np.float32) for _ in range(worlds)]
        self.starts = np.zeros((worlds, steps * lanes + 1), np.int64)
        self.chosen, self.ended = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
        self.views = np.zeros((worlds, (steps + 1) * lanes, VIEW), np.float32)
        self.log_probabilities, self.rewards, self.elapsed, self.advantages, self.returns = np.zeros(
            (5, *shape), np.float32
        )

    def __len__(self) -> int:
        return self.chosen.size

    def play(self, lanes: Lanes, world: int, network: Network, uniforms: FloatArray, *, foresight: bool) -> None:
        """Play a world's lanes by drawing from the policy.

        `uniforms` float64 [T, L] from 0 to 1 decide what is drawn. Without `foresight` the critic sees nothing to come.
        """
        place, reader = lanes.worlds[world], lanes.readers[world]
        simulation, layout = place.simulation, place.layout
        room, width = self.lanes * reader.most_rows, len(network.b1)
        scratch = (
            np.empty((room, 2), np.int64), np.zeros(self.lanes + 1, np.int64),
            np.empty((self.lanes, NUM_INSIGHTS), np.float32), np.empty(self.lanes, np.int64),
            np.empty(room, np.int64), np.empty((reader.most_rows, width), np.float32),
            np.empty((2, width), np.float32), np.empty(reader.most_rows, np.float32),
        )  # fmt: skip
        known = (
            simulation.state, simulation.drawing, (simulation.seeds, simulation.episodes), reader.reading,
            (place.unit, place.load, HORIZONS, layout.num_accelerators, layout.wait_action), foresight, network.arrays,
            uniforms,
        )  # fmt: skip
        played = (
            self.starts[world], self.chosen[world], self.log_probabilities[world], self.views[world],
            self.rewards[world], self.elapsed[world], self.ended[world],
        )  # fmt: skip
        step = 0
        while step <= self.steps:
            rows = self._room(world, int(self.starts[world, step * self.lanes]), room)
            step = play_on(*known, step, rows, room, scratch, played)

    def decisions(self, world: int, part: IntArray) -> Decisions:
        """Return some of a world's decisions, by their numbers, as gradients are computed of them."""
        return Decisions(
            rows=self.rows[world],
            starts=self.starts[world],
            part=part,
            chosen=self.chosen[world],
            logs=self.log_probabilities[world],
            advantages=self.advantages[world],
        )

    def of_world(self, world: int) -> tuple[NDArray[Any], ...]:
        """Return what `play` has written of a world."""
        arrays = (self.starts, self.chosen, self.log_probabilities, self.views, self.rewards, self.elapsed, self.ended)
        return self.rows[world][: self.starts[world, -1]], *(array[world] for array in arrays)

    def _room(self, world: int, first: int, most: int) -> FloatArray:
        """Return the world's rows with room for `most` more from row `first` on."""
        rows = self.rows[world]
        if first + most > len(rows):
            self.rows[world] = np.empty((2 * len(rows) + most, NUM_FEATURES), np.float32)
            self.rows[world][:first] = rows[:first]
        return self.rows[world]

    def estimate(self, values: FloatArray, tau: float, decay: float, most: float) -> dict[str, float]:
        """Set advantages and returns by GAE from the `values` [W, N + L] of the views; return figures of the play."""
        worlds = len(self.rows)
        rewards, elapsed, ended = (self._by_step(part) for part in (self.rewards, self.elapsed, self.ended))
        values = self._by_step(values)
        discounts = np.where(ended, 0.0, np.exp(-elapsed / tau)).astype(np.float32)
        advantages = gae(rewards, discounts, values[:-1], values[-1], decay)
        returns = advantages + values[:-1]
        shape = (self.steps, worlds, self.lanes)
        for target, source in ((self.advantages, normalised(advantages, worlds, most)), (self.returns, returns)):
            target[...] = source.reshape(shape).transpose(1, 0, 2).reshape(worlds, -1)
        return {
            "jobs": -float(rewards.sum() / max(1e-9, float(elapsed.sum()))),  # jobs in the system, on average
            "explained": 1.0 - float(np.var(advantages) / max(1e-12, float(np.var(returns)))),
            "ended": float(ended.sum()),
            "rows": float(self.starts[:, -1].sum() / len(self)),
            "advantage": float(advantages.std()),
        }

    def _by_step(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values [W, T x L] as [T, W x L]."""
        worlds = len(values)
        return values.reshape(worlds, -1, self.lanes).transpose(1, 0, 2).reshape(-1, worlds * self.lanes)

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[list[IntArray]]:
        """Yield all decisions in random order, about `size` at a time: of each world, the numbers of its decisions.

        Batches have equal parts of all worlds, up to one decision.
        """
        each = self.chosen.shape[1]
        parts = max(1, round(len(self) / size))
        orders = [np.array_split(rng.permutation(each), min(parts, each)) for _ in self.rows]
        yield from map(list, zip(*orders, strict=True))


def gae(
    rewards: FloatArray, discounts: FloatArray, values: FloatArray, last_values: FloatArray, decay: float
) -> FloatArray:
    """Return advantages float32 [T, L] by generalised advantage estimation.

    `rewards` [T, L] of each decision, `discounts` [T, L] of what follows it (0 where the episode ended), `values`
    [T, L] of the states decided in, `last_values` [L] of those after the last decision; `decay` is lambda.
    """
    advantages = np.empty_like(rewards)
    following, behind = last_values, np.zeros_like(last_values)
    for t in reversed(range(len(rewards))):
        behind = rewards[t] + discounts[t] * (following + decay * behind) - values[t]
        advantages[t] = behind
        following = values[t]
    return advantages


def normalised(advantages: FloatArray, worlds: int, most: float) -> FloatArray:
    """Return advantages [T, L] of mean 0 and deviation 1 in each world (equal parts of L), clipped at `most`."""
    parts = advantages.reshape(len(advantages), worlds, -1)
    scaled = (parts - parts.mean(axis=(0, 2), keepdims=True)) / (parts.std(axis=(0, 2), keepdims=True) + 1e-8)
    result: FloatArray = scaled.clip(-most, most).reshape(advantages.shape)
    return result
