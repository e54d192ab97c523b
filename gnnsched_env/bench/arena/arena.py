"""Scores a policy on hidden episodes: other jobs, other latencies each time, unless a seed is given."""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.bench.arena.file_policy import PREFIX, checked_limits
from gnnsched_env.bench.arena.regret import Decision, decisions_with_regret
from gnnsched_env.common.checks import Integer
from gnnsched_env.common.policy import Policy
from gnnsched_env.common.progress import Advance, no_progress
from gnnsched_env.common.stats import Interval, geometric_ratio
from gnnsched_env.envs import Layout
from gnnsched_env.evaluation.compare import REFERENCE
from gnnsched_env.evaluation.optimality.distances import draw_instances, find_limits
from gnnsched_env.evaluation.policies import find_policy, policy_factory
from gnnsched_env.evaluation.runs import PolicyFactory, run_policy, run_unbounded
from gnnsched_env.scenario import Scenario, scenario_table, simulation_settings, varied_scenarios
from gnnsched_env.tables import LatencyTable

JOBS = 200  # of an episode
EPISODES = 4  # of each world
WORLDS = 5  # workloads, each with its own job classes and load
CLASSES = 64
LOADS = (0.5, 0.95)
MOVES, ROUNDS = 200_000, 200  # of the search for a schedule and for a lower bound
SEEDS = 1 << 32

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaResult:
    """A policy's result on hidden episodes, which `seed` draws again.

    `score`: the geometric mean over worlds of (policy - bound) / (reference - bound), with a 95 % interval; the smaller
    the better, 1 is clairvoyant shortest-job-first. `others`: the scores of registered policies on the same episodes.
    `losses`: decisions of the episode in which it lost most against `better`, the costliest first; `lost` is their sum,
    over all decisions of that episode, cycles of completion time.
    """

    seed: int
    score: Interval
    others: dict[str, Interval]
    better: str
    lost: int
    losses: tuple[Decision, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """One hidden workload and its episodes, of seeds from `first` on.

    Of each episode, float64 [EPISODES], cycles summed over its jobs: a lower bound, and what the reference takes.
    """

    scenario: Scenario
    table: LatencyTable
    first: int
    bound: FloatArray
    reference: FloatArray

    @classmethod
    def of(cls, scenario: Scenario, first: int) -> Self:
        """Return the world of a scenario that brings its table: EPISODES episodes of seeds from `first` on."""
        table = scenario_table(scenario)
        seeds: Any = {"seed": first, "episodes": EPISODES}
        limits = find_limits(draw_instances(scenario, table, **seeds), moves=MOVES, rounds=ROUNDS)
        played = run_unbounded(policy_factory(REFERENCE, dispatch=False), scenario, table.clairvoyant(), **seeds)
        return cls(
            scenario=scenario,
            table=table,
            first=first,
            bound=limits.bound.astype(np.float64),
            reference=np.array(played.total_completions(), np.float64),
        )

    def completions(self, policy: PolicyFactory) -> FloatArray:
        """Return float64 [EPISODES]: the sum of completion times in each, cycles."""
        seeds: Any = {"seed": self.first, "episodes": EPISODES}
        played = run_policy(policy, self.scenario, self.table, dispatch=False, **seeds)
        return np.array(played.total_completions(), np.float64)

    def decisions(self, policy: PolicyFactory, better: PolicyFactory, lane: int) -> list[Decision]:
        """Return a policy's decisions in the episode of a lane, each with what it cost against a better policy."""
        settings = simulation_settings(self.scenario, self.table, dispatch=False)
        return decisions_with_regret(self.scenario, self.table, settings, policy, better, self.first + lane)


def score_file(path: str | os.PathLike[str], **options: Any) -> dict[str, float]:
    """Return {"score": ..., "combined_score": ...} of a policy's file, for programs that search for policies.

    `score` is that of `enter_arena` (the smaller the better); `combined_score` is minus it, as evaluators of OpenEvolve
    and GEPA want it: the larger the better. `options` are those of `enter_arena`. Raise GnnSchedError where the policy
    fails.
    """
    result = enter_arena(path, **{"others": (), "losses": 0, **options})
    return {"score": result.score.value, "combined_score": -result.score.value}


def enter_arena(
    path: str | os.PathLike[str],
    *,
    fleet: str = "hetero4",
    seed: int | None = None,
    others: Sequence[str] = (REFERENCE, "assignment"),
    better: str = "assignment",
    losses: int = 10,
    decision_s: float = 1.0,
    memory: int = 2048,
    advance: Advance = no_progress,
) -> ArenaResult:
    """Play a policy's file (`FilePolicy`) on hidden episodes of a fleet, and say where it lost most against another.

    `seed` draws the workloads and episodes; None draws it from the system, so that nobody can know them. `others` are
    registered policies to be scored on the same episodes; `losses` decisions are named, of the episode in which the
    policy lost most against the policy `better`. `decision_s` and `memory` (mebibytes) limit each process. `advance` is
    told of worlds: WORLDS as they are drawn, and WORLDS as they are played. Raise ConfigError for a bad argument, and
    GnnSchedError where the policy fails.
    """
    Integer(0).check("arena", "losses", losses)
    drawn = secrets.randbelow(SEEDS) if seed is None else Integer(0, SEEDS - 1).check("arena", "seed", seed)
    decision_s, memory = checked_limits("arena", decision_s, memory)
    kind, found = find_policy(f"{PREFIX}{os.fspath(path)}", dispatch=False)
    limits = {"decision_s": decision_s, "memory": memory}
    named = {name: policy_factory(name, dispatch=False) for name in (*others, *((better,) if losses else ()))}

    def own(layout: Layout, table: LatencyTable) -> Policy:
        policy: Policy = kind(layout, **found, **limits)
        return policy

    worlds = hidden_worlds(fleet, drawn, advance)
    taken = []
    for world in worlds:
        taken.append(world.completions(own))
        advance(1, "playing")
    known = {name: [world.completions(factory) for world in worlds] for name, factory in named.items()}
    decisions = []
    if losses:
        lost = np.array(taken) - np.array(known[better])
        number, lane = (int(place) for place in np.unravel_index(lost.argmax(), lost.shape))
        decisions = worlds[number].decisions(own, named[better], lane)
    costliest = sorted(decisions, key=lambda decision: -decision.regret)
    return ArenaResult(
        seed=drawn,
        score=_score(worlds, taken),
        others={name: _score(worlds, known[name]) for name in others},
        better=better,
        lost=sum(decision.regret for decision in decisions),
        losses=tuple(decision for decision in costliest[:losses] if decision.regret > 0),
    )


def hidden_worlds(fleet: str, seed: int, advance: Advance = no_progress) -> list[World]:
    """Return the worlds that a seed draws; `advance` is told of each."""
    rng = np.random.default_rng(seed)
    worlds = []
    for scenario in varied_scenarios(fleet, WORLDS, seed=seed, loads=LOADS, classes=CLASSES):
        hidden = scenario.with_options(jobs=JOBS, split="test")
        worlds.append(World.of(hidden, int(rng.integers(SEEDS))))
        advance(1, "drawing episodes")
    return worlds


def _score(worlds: Sequence[World], taken: Sequence[FloatArray]) -> Interval:
    pairs = [(sums - world.bound, world.reference - world.bound) for world, sums in zip(worlds, taken, strict=True)]
    return geometric_ratio(pairs)
