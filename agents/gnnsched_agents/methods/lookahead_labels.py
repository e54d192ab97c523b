"""States labelled by lookahead: the cost of each of several actions, on the same sampled futures.

The policy `rollout` computes the same before each of its decisions; here the costs are kept as training data. Only
differences within a state are meaningful. They are small compared with the cost of a single future, but all actions
meet the same futures, so most of that cost cancels: with many states, a few futures per state are enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_agents.worlds import EPISODE_SEEDS, World
from gnnsched_baselines.assignment_playing import play_out
from gnnsched_baselines.learned.pair_features import COLUMN
from gnnsched_baselines.learned.pair_network import Network
from gnnsched_baselines.learned.player import row_actions
from gnnsched_baselines.rollout import MOST_LANES
from gnnsched_env.common.policy import FloatArray, IntArray
from gnnsched_env.sim.belief import Belief, belief_of
from gnnsched_env.sim.rewards import episode_charges

FIRST_DECISIONS = 300  # most decisions of a lane before its first label; never more than its jobs
RESTART_AT = 0.6  # all lanes restart once this share of them has ended


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """S states, their rows one behind another's: `rows` float32 [n, F], `starts` int64 [S + 1].

    `costs` float32 [n], mean services: the cost of taking a row's action and then following `assignment`, averaged over
    the futures, minus the mean of the state's tried rows; nan for rows not tried. `errors` float32 [n]: their standard
    errors.
    """

    rows: FloatArray
    starts: IntArray
    costs: FloatArray
    errors: FloatArray

    def __len__(self) -> int:
        return len(self.starts) - 1


def joined(parts: Sequence[Labels]) -> Labels:
    """Return all states of several labels."""
    sizes = np.concatenate([np.diff(part.starts) for part in parts])
    return Labels(
        rows=np.concatenate([part.rows for part in parts]),
        starts=np.concatenate([[0], np.cumsum(sizes)]),
        costs=np.concatenate([part.costs for part in parts]),
        errors=np.concatenate([part.errors for part in parts]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookahead:
    """Settings of labelling: try at most `candidates` rows per state on `futures` with `arrivals` further jobs each."""

    futures: int
    arrivals: int
    candidates: int


def gather(
    world: World,
    lookahead: Lookahead,
    states: int,
    spacing: int,
    rng: np.random.Generator,
    visitor: Network | None = None,
) -> tuple[Labels, int]:
    """Return labels of at least `states` states visited by `visitor` (None: `assignment`), and the decisions played.

    There are about `spacing` decisions between two labelled states of a lane.
    """
    parts: list[Labels] = []
    decisions = 0
    world.reset(int(rng.integers(EPISODE_SEEDS)))
    jobs = world.simulation.config.jobs
    steps, spacing = int(rng.integers(min(jobs, FIRST_DECISIONS))), min(spacing, jobs)
    while sum(map(len, parts)) < states:
        act = world.actor(visitor)
        for _ in range(steps):
            world.simulation.step(act())
            decisions += world.simulation.num_lanes
            if world.simulation.lanes["ended"].mean() > RESTART_AT:
                world.reset(int(rng.integers(EPISODE_SEEDS)))
        part, played = label(world, lookahead, rng)
        parts.append(part)
        decisions += played
        steps = max(1, int(spacing * rng.uniform(0.5, 1.5)))
    return joined(parts), decisions


def label(world: World, lookahead: Lookahead, rng: np.random.Generator) -> tuple[Labels, int]:
    """Return labels of the present states of lanes that have a choice, and the number of decisions in the futures."""
    reader = world.reader()
    count = reader.describe()
    rows, pairs, starts = reader.rows[:count], reader.pairs[:count], reader.starts
    tried = [_candidates(rows, starts[i], starts[i + 1], lookahead.candidates) for i in range(len(starts) - 1)]
    seeds = rng.integers(0, 1 << 63, (len(tried), lookahead.futures)).astype(np.uint64)
    actions = row_actions(world.layout, pairs)
    lanes = np.repeat(np.arange(len(tried)), [len(own) for own in tried])
    chosen = np.concatenate(tried)
    costs, decisions = _try(world, belief_of(world.simulation), lanes, actions[chosen], seeds, lookahead.arrivals)
    mean, error = np.full((2, count), np.nan, np.float32)
    for lane, own in enumerate(tried):
        if len(own):
            difference = costs[lanes == lane] - costs[lanes == lane].mean(axis=0)
            mean[own] = difference.mean(axis=1) / world.unit
            error[own] = difference.std(axis=1, ddof=1) / np.sqrt(lookahead.futures) / world.unit
    open_lanes = [i for i, own in enumerate(tried) if len(own)]
    kept = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in open_lanes] or [np.empty(0, np.int64)])
    sizes = [starts[i + 1] - starts[i] for i in open_lanes]
    labels = Labels(
        rows=rows[kept],
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        costs=mean[kept],
        errors=error[kept],
    )
    return labels, decisions


def _candidates(rows: FloatArray, first: int, stop: int, most: int) -> IntArray:
    """Return the numbers of the rows to try: waiting, the plan's own, and those that change the plan least."""
    own = rows[first:stop]
    if len(own) < 2:
        return np.empty(0, np.int64)
    always = (own[:, COLUMN.wait] > 0) | (own[:, COLUMN.planned_action] > 0)
    order = np.argsort(np.where(always, -np.inf, own[:, COLUMN.plan_change]), kind="stable")
    return first + np.sort(order[:most])


def _try(
    world: World, belief: Belief, lanes: IntArray, actions: IntArray, seeds: NDArray[np.uint64], arrivals: int
) -> tuple[NDArray[np.float64], int]:
    """Return float64 [n, futures], the cost in cycles of each action in each future, and the number of decisions."""
    futures = seeds.shape[1]
    costs = np.empty((len(lanes), futures))
    decisions = 0
    together = max(1, MOST_LANES // futures)
    for first in range(0, len(lanes), together):
        part = slice(first, first + together)
        simulation = belief.futures(np.repeat(lanes[part], futures), seeds[lanes[part]].ravel(), arrivals)
        play_out(simulation, world.layout, np.repeat(actions[part], futures))
        costs[part] = episode_charges(simulation.settings, simulation.jobs, simulation.lanes).reshape(-1, futures)
        decisions += int(simulation.lanes["steps"].sum())
    return costs, decisions
