"""Runs policies over the same episodes: same jobs, same times, seed by seed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError, GnnSchedError, own_code
from gnnsched_env.common.policy import IntArray, Knowledge, Policy
from gnnsched_env.common.progress import Advance, no_progress
from gnnsched_env.envs.construction import scenario_batch
from gnnsched_env.envs.env_batch import EnvBatch
from gnnsched_env.envs.spaces import Layout
from gnnsched_env.evaluation.declarations import Declarations, checked_policy, declarations_of
from gnnsched_env.scenario import Scenario, simulation_settings
from gnnsched_env.sim import EpisodeMetrics, SimulationSettings, Waiting, WindowOrder, episode_metrics
from gnnsched_env.sim.belief import belief_of
from gnnsched_env.sim.metrics import joined
from gnnsched_env.sim.state import MOST_LANES, SEED_LIMIT
from gnnsched_env.sim.totals import exact_sum
from gnnsched_env.tables import LatencyTable

PolicyFactory = Callable[[Layout, LatencyTable], Policy]
FIRST_UNBOUNDED_WINDOW = 64
MAX_LANES = 128
STEPS_A_TELLING = 64  # steps of a batch between two reports of how far it is
MOST_HELD = 1 << 22  # most jobs in episodes that are played together, at about 80 bytes each


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """Finished episodes of one policy: the policy, and the metrics of its episodes.

    `knowledge` is what the policy knew about latencies, `settings` are the simulation's. It made `decisions` in all,
    in `decision_s` seconds of real time.
    """

    policy: Policy
    knowledge: Knowledge
    settings: SimulationSettings
    metrics: EpisodeMetrics
    most_waiting: int
    decisions: int
    decision_s: float

    def per_episode(self, name: str) -> NDArray[np.float64]:
        """Return float64 [episodes]: the mean over an episode's jobs of "completion", "execution" or "slowdown"."""
        means: NDArray[np.float64] = getattr(self.metrics, name).mean(axis=1)
        return means

    def total_completions(self) -> list[int]:
        """Return the sum of completion times over an episode's jobs, cycles, exactly, for each episode."""
        return [exact_sum(row) for row in self.metrics.completion]

    def pooled(self, name: str) -> NDArray[np.float64]:
        """Return a metric of every job of every episode, or of every episode, by its name in `EpisodeMetrics`."""
        pooled: NDArray[np.float64] = getattr(self.metrics, name).ravel()
        return pooled


def checked_seeds(where: str, seed: int, episodes: int) -> tuple[int, int]:
    """Return the first seed and the number of episodes as ints; raise ConfigError for a bad one."""
    episodes = int(Integer(1, MOST_LANES).check(where, "episodes", episodes))
    return int(Integer(0, SEED_LIMIT - episodes).check(where, "seed", seed)), episodes


def run_policy(
    factory: PolicyFactory,
    scenario: Scenario,
    table: LatencyTable,
    *,
    dispatch: bool,
    seed: int,
    episodes: int,
    split: str = "test",
    advance: Advance = no_progress,
) -> Runs:
    """Play episodes of seeds seed..seed+episodes-1, one each, and return their metrics.

    They are those of a `split` ("train", "validation" or "test"), whatever the scenario says. `table` holds the cycles
    of one inference; the factory gets the table of a job. The scenario's decision cost is charged if predictions are
    used (`uses_predictions`). `advance` is told of episodes as they are played.

    Policies are given the observation "dict", whatever the scenario says, or that which they name in an attribute
    `observation`; they wait by an action of its own, or as they say by an attribute `waiting`. Such a policy is made
    for a layout of that kind. Its attribute `skip_below` replaces the scenario's (`skip_below_of`).
    """
    settings = simulation_settings(scenario.with_options(split=split, waiting="free"), table, dispatch=dispatch)
    return _run(factory, settings, scenario, table, seed, episodes, advance)


def run_unbounded(
    factory: PolicyFactory,
    scenario: Scenario,
    table: LatencyTable,
    *,
    seed: int,
    episodes: int,
    advance: Advance = no_progress,
) -> Runs:
    """Play Queue-v0 with a window that never hides a job: it is doubled until every queue fits.

    The episodes are those of the split "test". No decision cost is charged: other policies are compared with this run.
    """
    free = scenario.with_options(split="test", waiting="free")
    settings = simulation_settings(free, table, dispatch=False).without_cost()
    window = min(FIRST_UNBOUNDED_WINDOW, settings.jobs)
    while True:
        runs = _run(factory, replace(settings, window=window), scenario, table, seed, episodes, advance)
        if runs.most_waiting <= window:
            return runs
        advance = no_progress  # the same episodes once more
        window = min(2 * max(window, runs.most_waiting // 2), settings.jobs)


def _run(
    factory: PolicyFactory,
    settings: SimulationSettings,
    scenario: Scenario,
    table: LatencyTable,
    seed: int,
    episodes: int,
    advance: Advance,
) -> Runs:
    seed, episodes = checked_seeds("evaluation", seed, episodes)
    metrics = []
    most_waiting, decisions, decision_s = 0, 0, 0.0
    # All jobs of a trace are kept in memory too: percentiles need them.
    together = max(1, min(MAX_LANES, MOST_HELD // settings.jobs))
    for first in range(seed, seed + episodes, together):
        seeds = range(first, min(first + together, seed + episodes))
        batch = scenario_batch(scenario, table, settings, lanes=len(seeds), capacity=settings.jobs)
        policy, says = make_checked(factory, batch.layout, batch.table)
        free = bool(settings.decision) and not uses_predictions(policy, settings)
        settings = settings.without_cost() if free else settings
        skipping = (skip_below := skip_below_of(says, settings)) != settings.skip_below
        settings = replace(settings, skip_below=skip_below)
        knowledge = knowledge_of(policy, settings, table)
        other = says.observation != "dict" or says.waiting != "free" or skipping
        if free or other:
            own = replace(settings, waiting=Waiting[says.waiting.upper()])
            batch = scenario_batch(
                scenario, table, own, lanes=len(seeds), capacity=settings.jobs, observation=says.observation
            )
        if other:
            policy, _ = make_checked(factory, batch.layout, batch.table)
        made, taken = _play(batch, policy, seeds, settings.jobs, advance)
        decisions, decision_s = decisions + made, decision_s + taken
        metrics.append(episode_metrics(batch.simulation))
        most_waiting = max(most_waiting, int(batch.simulation.lanes["most_waiting"].max()))
    return Runs(
        policy=policy,
        knowledge=knowledge,
        settings=settings,
        metrics=joined(metrics),
        most_waiting=most_waiting,
        decisions=decisions,
        decision_s=decision_s,
    )


def uses_predictions(policy: Policy, settings: SimulationSettings) -> bool:
    """Return whether predictions (even an exact predictor's) are used by a policy, or by the environment on its behalf.

    The environment uses them if it chooses the dataflow or orders the window by predicted latency. A policy that knows
    the true latencies (knowledge TRUE) uses none itself.
    """
    shortest = settings.window_order is WindowOrder.SHORTEST and not settings.dispatch
    return policy.knowledge is Knowledge.PREDICTED or shortest or not settings.choose_dataflow


def make_checked(factory: PolicyFactory, layout: Layout, table: LatencyTable) -> tuple[Policy, Declarations]:
    """Return the policy that a factory makes, and what it declares; raise ConfigError for what `checked_policy` does.

    What else the factory raises becomes a ConfigError with its line.
    """
    with own_code("policy: making it"):
        made = factory(layout, table)
    policy = checked_policy(made, layout.num_choices)
    return policy, declarations_of(policy, layout.num_choices)


def knowledge_of(policy: Policy, settings: SimulationSettings, table: LatencyTable) -> Knowledge:
    """Return what a policy knows about latencies in a given environment.

    With an exact predictor that is never skipped, it knows the truth. A policy without knowledge of its own counts as
    knowing predictions if the environment uses them on its behalf.
    """
    if policy.knowledge is Knowledge.NONE and uses_predictions(policy, settings):
        return Knowledge.PREDICTED
    exact = not settings.skip_below and np.array_equal(table.predicted_cycles, table.true_cycles)
    if policy.knowledge is Knowledge.PREDICTED and exact:
        return Knowledge.TRUE
    return policy.knowledge


def skip_below_of(says: Declarations, settings: SimulationSettings) -> int:
    """Return the waiting jobs below which a job comes unpredicted: as the policy says, else as the scenario does.

    Where predicting is free, cached or done by several workers, all jobs are predicted.
    """
    if says.skip_below is None or not settings.decision or settings.cached or settings.workers > 1:
        return settings.skip_below
    return says.skip_below


def _play(batch: EnvBatch, policy: Policy, seeds: range, jobs: int, advance: Advance) -> tuple[int, float]:
    """Play one episode of `jobs` jobs a lane; return how many decisions were made, and the seconds that they took."""
    batch.reset(list(seeds))
    steps, told = 0, 0.0
    decisions, seconds = 0, 0.0
    while deciding := int(np.count_nonzero(~batch.ended)):
        started = time.perf_counter()
        actions = decide(batch, policy)
        seconds += time.perf_counter() - started
        decisions += deciding
        batch.step(actions)
        steps += 1
        if steps % STEPS_A_TELLING == 0 and advance is not no_progress:
            done = int(batch.simulation.lanes["done"].sum()) / jobs
            advance(done - told)
            told = done
    advance(len(seeds) - told)
    return decisions, seconds


def decide(batch: EnvBatch, policy: Policy) -> IntArray:
    """Return a policy's actions int64 [L], checked; first pass the belief to its `observe_belief`, if it has one.

    A policy without an attribute `observation` is given the dict. Raise ConfigError if it names another observation
    than the batch's, and GnnSchedError if its actions are invalid.
    """
    wanted, given = getattr(policy, "observation", "dict"), batch.layout.observation
    if wanted not in ("dict", given):
        raise ConfigError(
            f"policy {type(policy).__name__}: it is made for the observation {wanted!r}, got {given!r}: make the "
            f"environment with observation={wanted!r}"
        )
    name = getattr(policy, "shown_name", type(policy).__name__)
    observe = getattr(policy, "observe_belief", None)
    if observe is not None:
        with own_code(f"policy {name}: observe_belief", GnnSchedError):
            observe(belief_of(batch.simulation))
    observation: Any = batch.observation if wanted == "dict" else batch.observed
    with own_code(f"policy {name}: act", GnnSchedError):
        actions = np.asarray(policy.act(observation, batch.mask))
    lanes, count = batch.mask.shape
    if actions.shape != (lanes,) or actions.dtype.kind not in "iu":
        raise GnnSchedError(
            f"policy {name}: act must return integers of shape [{lanes}], got {actions.dtype} {list(actions.shape)}"
        )
    if (actions < 0).any() or (actions >= count).any():
        raise GnnSchedError(f"policy {name}: actions must be in [0, {count}), got {actions.min()}..{actions.max()}")
    return actions.astype(np.int64, copy=False)
