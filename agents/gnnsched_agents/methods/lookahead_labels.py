"""States labelled by lookahead: the cost of each of several actions, on the same sampled futures.

The policy `rollout` computes the same before each of its decisions; here the costs are kept as training data. Only
differences within a state are meaningful. They are small compared with the cost of a single future, but all actions
meet the same futures, so most of that cost cancels: with many states, a few futures per state are enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gnnsched_agents.worlds import EPISODE_SEEDS, World
from gnnsched_baselines.assignment_playing import play_out
from gnnsched_baselines.learned.pair_features import COLUMN
from gnnsched_baselines.learned.pair_network import Network
from gnnsched_baselines.learned.player import row_actions
from gnnsched_baselines.rollout import MOST_LANES
from gnnsched_env.common.policy import BoolArray, FloatArray, IntArray
from gnnsched_env.sim import Simulation
from gnnsched_env.sim.belief import Belief, belief_of
from gnnsched_env.sim.rewards import episode_charges

States = TypeVar("States", bound=Any)
FIRST_DECISIONS = 300  # most decisions of a lane before its first label; never more than its jobs
RESTART_AT = 0.6  # all lanes restart once this share of them has ended
MOST_VISITS = 200  # of a world, also where few of its states can be labelled


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """S states, their rows one behind another's: `rows` float32 [n, F], `starts` int64 [S + 1].

    `costs` float32 [n], mean services: the cost of taking a row's action and then following the policy that plays the
    futures, averaged over them, minus the mean of the state's tried rows; nan for rows not tried. `errors` float32 [n]:
    their standard errors. `charges` float32 [S], mean services: what a job in the state's futures costs on average.
    """

    rows: FloatArray
    starts: IntArray
    costs: FloatArray
    errors: FloatArray
    charges: FloatArray

    def __len__(self) -> int:
        return len(self.starts) - 1


def joined(parts: Sequence[States]) -> States:
    """Return all states of several labels, or of other records of arrays with `starts`."""
    sizes = np.concatenate([np.diff(part.starts) for part in parts])
    names = [entry.name for entry in fields(parts[0]) if entry.name != "starts"]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], starts=np.concatenate([[0], np.cumsum(sizes)]), **arrays)


def rows_of(starts: IntArray, states: IntArray) -> IntArray:
    """Return the numbers of all rows of some states, one state's after another's."""
    sizes = np.diff(starts)[states]
    ends = np.cumsum(sizes)
    rows: IntArray = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts[states] - (ends - sizes), sizes)
    return rows


@dataclass(frozen=True, kw_only=True)
class Lookahead:
    """How states are labelled: at most `candidates` rows each, on `futures` with `arrivals` further jobs each.

    Rows to try are waiting, that of `assignment`, and those that change its plan least; `assignment` plays the futures.
    """

    futures: int
    arrivals: int
    candidates: int

    def tried(self, rows: FloatArray) -> IntArray:
        """Return the numbers of those of a lane's rows [n, F] that are tried: none, or two at least."""
        if len(rows) < 2:
            return np.empty(0, np.int64)
        always = (rows[:, COLUMN.wait] > 0) | (rows[:, COLUMN.planned_action] > 0)
        order = np.argsort(np.where(always, -np.inf, rows[:, COLUMN.plan_change]), kind="stable")
        return np.sort(order[: self.candidates])

    def play(self, future: Simulation, world: World, actions: IntArray) -> None:
        """Take the first actions [L], then play the futures to their end."""
        play_out(future, world.layout, actions)

    def charges(self, future: Simulation, *, cut: BoolArray) -> NDArray[np.float64]:
        """Return what played futures cost, cycles, float64 [L]; where `cut` [L], more jobs would have come."""
        return np.array(episode_charges(future.settings, future.jobs, future.lanes), np.float64)

    def counted(self, in_system: IntArray, arrivals: IntArray, *, cut: BoolArray) -> NDArray[np.float64]:
        """Return of how many jobs the charges are in futures with `in_system` jobs [L] at first, and `arrivals` [L]."""
        return np.asarray(in_system + arrivals, np.float64)


def gather(
    world: World,
    lookahead: Lookahead,
    states: int,
    spacing: int,
    rng: np.random.Generator,
    visitor: Network | None = None,
) -> tuple[Labels, int]:
    """Return labels of at least `states` states visited by `visitor` (None: `assignment`), and the decisions played.

    There are about `spacing` decisions between two labelled states of a lane. Where few states can be labelled, there
    are fewer.
    """
    parts: list[Labels] = []
    decisions = 0
    world.reset(int(rng.integers(EPISODE_SEEDS)))
    jobs = world.simulation.config.jobs
    steps, spacing = int(rng.integers(min(jobs, FIRST_DECISIONS))), min(spacing, jobs)
    while sum(map(len, parts)) < states and len(parts) < MOST_VISITS:
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
    tried = [first + lookahead.tried(rows[first:stop]) for first, stop in pairwise(starts)]
    seeds = rng.integers(0, 1 << 63, (len(tried), lookahead.futures)).astype(np.uint64)
    actions = row_actions(world.layout, pairs)
    lanes = np.repeat(np.arange(len(tried)), [len(own) for own in tried])
    chosen = np.concatenate(tried)
    belief = belief_of(world.simulation)
    known = belief.lanes
    cut, arrivals = known["to_come"] > lookahead.arrivals, np.minimum(known["to_come"], lookahead.arrivals)
    costs, decisions = _try(world, belief, lanes, actions[chosen], seeds, lookahead, cut)
    jobs = np.maximum(1.0, lookahead.counted(known["in_system"], arrivals, cut=cut)) * world.unit
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
        charges=np.array([costs[lanes == i].mean() / jobs[i] for i in open_lanes], np.float32),
    )
    return labels, decisions


def _try(
    world: World,
    belief: Belief,
    lanes: IntArray,
    actions: IntArray,
    seeds: NDArray[np.uint64],
    lookahead: Lookahead,
    cut: BoolArray,
) -> tuple[NDArray[np.float64], int]:
    """Return float64 [n, futures], the cost in cycles of each action in each future, and the number of decisions."""
    futures = lookahead.futures
    costs = np.empty((len(lanes), futures))
    decisions = 0
    together = max(1, MOST_LANES // futures)
    for first in range(0, len(lanes), together):
        part = slice(first, first + together)
        origins = np.repeat(lanes[part], futures)
        simulation = belief.futures(origins, seeds[lanes[part]].ravel(), lookahead.arrivals)
        lookahead.play(simulation, world, np.repeat(actions[part], futures))
        costs[part] = lookahead.charges(simulation, cut=cut[origins]).reshape(-1, futures)
        decisions += int(simulation.lanes["steps"].sum())
    return costs, decisions
