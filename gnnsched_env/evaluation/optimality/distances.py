"""The distance of policies from the optimum: bounds and offline schedules of the episodes that they played."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.bounds import Instance, Plan, improve, lower_bound, optimum
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.stats import paired_ratio
from gnnsched_env.envs.construction import scenario_batch
from gnnsched_env.evaluation.runs import Runs, checked_seeds
from gnnsched_env.scenario import DecisionCost, Scenario, simulation_settings
from gnnsched_env.tables import LatencyTable

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limits:
    """Limits of E episodes, as sums of completion times (finish - arrival), cycles, int64 [E].

    `bound`: a proved lower bound. `offline`: the best schedule found with knowledge of all jobs from the start.
    `plans`: those schedules. If the two sums are equal, the schedule is proved optimal.
    """

    instances: tuple[Instance, ...]
    plans: tuple[Plan, ...]
    bound: NDArray[np.int64]
    offline: NDArray[np.int64]

    @property
    def proved(self) -> NDArray[np.bool_]:
        """Return bool [E]: whether each episode's offline schedule is proved optimal."""
        return np.asarray(self.bound == self.offline)


def draw_instances(scenario: Scenario, table: LatencyTable, *, seed: int, episodes: int) -> tuple[Instance, ...]:
    """Return the jobs of the episodes of seeds seed..seed+episodes-1, as any evaluation of the scenario plays them.

    `table` holds the cycles of one inference. Decision costs are ignored: a job is released when it arrives. Raise
    ConfigError if accelerators fail or changing the dataflow takes time, because the bounds cover neither.
    """
    seed, episodes = checked_seeds("bounds", seed, episodes)
    if scenario.failures.up:
        raise ConfigError("bounds: accelerators must not fail, but the scenario has failures")
    cycles = max(accelerator.reconfiguration_cycles for accelerator in scenario.fleet.accelerators)
    if cycles:
        raise ConfigError(f"bounds: changing the dataflow must cost nothing, but takes up to {cycles} cycles")
    free = scenario.with_options(decision=DecisionCost(), split="test")
    settings = simulation_settings(free, table, dispatch=False)
    batch = scenario_batch(free, table, settings, lanes=episodes, capacity=settings.jobs)
    batch.reset(list(range(seed, seed + episodes)))
    simulation = batch.simulation
    return tuple(
        Instance.of(
            f"{scenario.name}, load {scenario.environment.load:g}, {settings.jobs} jobs, seed {seed + lane}",
            jobs["arrival"],
            jobs["job_class"],
            simulation.true,
            simulation.choice_accelerators,
        )
        for lane, jobs in enumerate(simulation.jobs)
    )


def played_plans(runs: Runs, table: LatencyTable) -> list[Plan]:
    """Return the schedules that a policy played, an episode each, to be improved: see `Plan.packed`."""
    jobs = runs.metrics.jobs
    owners = table.choice_accelerators[jobs["choice"]]
    return [
        Plan(accelerators=np.array(own), starts=np.array(starts))
        for own, starts in zip(owners, jobs["start"], strict=True)
    ]


def find_limits(
    instances: Sequence[Instance],
    starts: Sequence[Sequence[Plan]] = (),
    *,
    moves: int | None = None,
    tries: int = 1,
    rounds: int = 1500,
    seconds: float = 0.0,
    advance: Callable[[int], None] = lambda amount: None,
) -> Limits:
    """Bound every instance from below, and find a good schedule of it.

    `starts`: schedules of all instances by several policies; local search goes on from the best of each (`tries` times,
    `moves` each). If `seconds` is above 0, CP-SAT searches that long for a proof of each optimum. `advance(1)` is
    called after each instance.
    """
    plans, bounds = [], []
    for number, instance in enumerate(instances):
        played = [plans_of_policy[number].packed(instance) for plans_of_policy in starts]
        best = min(played, key=lambda plan: plan.total(instance), default=None)
        best = improve(instance, best, moves=moves, tries=tries)
        if seconds > 0:
            found = optimum(instance, best, seconds=seconds)
            best, bound = found.plan, found.bound
        else:
            bound = lower_bound(instance, best, rounds=rounds).total
        plans.append(best)
        bounds.append(bound)
        advance(1)
    totals = [plan.total(instance) for plan, instance in zip(plans, instances, strict=True)]
    return Limits(
        instances=tuple(instances),
        plans=tuple(plans),
        bound=np.array(bounds, np.int64),
        offline=np.array(totals, np.int64),
    )


def distance_records(runs: Mapping[str, Runs], limits: Limits) -> list[Record]:
    """Return for each policy how far it is from the limits of the episodes that it played, the nearest first.

    "mean_completion" (cycles); the ratios of mean completion times [value, low, high] "over_bound", "over_offline" and
    "over_optimum" (of the episodes whose optimum is proved; None without any), with the intervals of `paired_ratio`;
    "mean_ratio_to_offline" and "worst_over_offline": of the ratios of single episodes.
    """
    records = []
    for name, run in runs.items():
        totals = run.metrics.completion.sum(axis=1, dtype=np.float64)
        records.append({"policy": name, "knowledge": str(run.knowledge), **distance(totals, limits)})
        records[-1]["mean_completion"] = float(run.per_episode("completion").mean())
    return sorted(records, key=lambda record: float(record["mean_completion"]))


def distance(totals: NDArray[np.float64], limits: Limits) -> Record:
    """Return the ratios of `distance_records` for a policy's sums of completion times, float64 [E]."""
    proved = limits.proved
    return {
        "episodes": len(totals),
        "proved": int(proved.sum()),
        "over_bound": paired_ratio(totals, limits.bound.astype(np.float64)).as_list(),
        "over_offline": paired_ratio(totals, limits.offline.astype(np.float64)).as_list(),
        "over_optimum": paired_ratio(totals[proved], limits.offline[proved].astype(np.float64)).as_list()
        if proved.any()
        else None,
        "mean_ratio_to_offline": float((totals / limits.offline).mean()),
        "worst_over_offline": float((totals / limits.offline).max()),
    }
