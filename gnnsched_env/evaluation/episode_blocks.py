"""Blocks of episodes: tasks that any process may play, and what records need to know of the episodes played."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.disk_cache import content_key
from gnnsched_env.common.parallel.kept_results import Result
from gnnsched_env.common.progress import Advance
from gnnsched_env.evaluation.declarations import declarations_of
from gnnsched_env.evaluation.runs import PolicyFactory, Runs, run_policy, run_unbounded
from gnnsched_env.scenario import Scenario, table_rate
from gnnsched_env.scenario.resolve import scenario_trace
from gnnsched_env.scenario.scenario import SECTIONS
from gnnsched_env.sim import EpisodeMetrics, policy_capacity
from gnnsched_env.sim.metrics import joined
from gnnsched_env.sim.records import JOB
from gnnsched_env.sim.totals import JobTotals
from gnnsched_env.tables import LatencyTable

Record = dict[str, Any]
BY_EPISODE = ("makespan", "utilisation", "energy_pj", "failures", "aborted", "availability")  # arrays of the metrics
# The sections of a scenario that a record holds; what it says of the others stands in fields of its own.
CONDITIONS = tuple(name for name in SECTIONS if name not in ("workload", "environment", "decision"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A scenario at its load, its latency table, and what its records call its graphs."""

    scenario: Scenario
    table: LatencyTable
    graphs: tuple[str, ...]

    def digest(self) -> str:
        """Return a hash (SHA-256, hexadecimal) of all that is played under a policy's name; a trace's file is read."""
        trace = self.scenario.arrivals.trace
        return content_key(
            fleet=self.scenario.fleet.digest(),
            sections=json.dumps({name: asdict(getattr(self.scenario, name)) for name in SECTIONS}, default=str),
            trace="" if trace is None else hashlib.sha256(Path(trace).read_bytes()).hexdigest(),
            table=self.table.digest(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A task: `episodes` episodes of a policy, of seeds from `first` on, under the condition of a digest.

    `source`: a hash of the policy's file; `clairvoyant`: play the reference instead.
    """

    condition: str
    policy: str
    source: str
    dispatch: bool
    first: int
    episodes: int
    clairvoyant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Players:
    """What all blocks share: conditions by digest, what makes each policy, and what makes the reference."""

    conditions: Mapping[str, Condition]
    policies: Mapping[str, PolicyFactory]
    reference: PolicyFactory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlayedEpisodes:
    """What records need to know of a policy's episodes: L of them, of J jobs each.

    `circumstances`: a record's fields for the policy's knowledge, fleet, load and conditions. `metrics` are without the
    jobs' records; `completion` int64 [L, J] cycles, `execution` float64 [L], its mean over an episode's jobs.
    """

    circumstances: Record
    metrics: EpisodeMetrics
    completion: NDArray[np.int64]
    execution: NDArray[np.float64]

    def per_episode(self, name: str) -> NDArray[np.float64]:
        """Return float64 [L]: the mean over an episode's jobs of "completion" or "execution"."""
        return self.execution if name == "execution" else np.asarray(self.completion.mean(axis=1), np.float64)


def play_block(players: Players, block: Block, advance: Advance) -> Result:
    """Play a block's episodes; `joined_blocks` reads what is returned."""
    condition = players.conditions[block.condition]
    seeds: Any = {"seed": block.first, "episodes": block.episodes}
    advance(0, block.policy)

    def part(amount: float, doing: str | None = None) -> None:
        advance(amount / block.episodes)

    if block.clairvoyant:
        table = condition.table.clairvoyant()
        runs = run_unbounded(players.reference, condition.scenario, table, **seeds, advance=part)
    else:
        factory, table = players.policies[block.policy], condition.table
        runs = run_policy(factory, condition.scenario, table, dispatch=block.dispatch, **seeds, advance=part)
    metrics = runs.metrics
    return {
        "circumstances": _circumstances(runs, condition.scenario, table),
        "totals": [asdict(totals) for totals in metrics.totals],
        "completion": metrics.completion,
        "execution": runs.per_episode("execution"),
        **{name: getattr(metrics, name) for name in BY_EPISODE},
    }


def joined_blocks(parts: Sequence[Result], condition: Condition) -> PlayedEpisodes:
    """Return the episodes of a policy's blocks, in their order."""
    metrics = [
        EpisodeMetrics(
            jobs=np.empty((len(part["makespan"]), 0), JOB),
            true=condition.table.true_cycles,
            totals=tuple(JobTotals(**totals) for totals in part["totals"]),
            **{name: part[name] for name in BY_EPISODE},
        )
        for part in parts
    ]
    return PlayedEpisodes(
        circumstances={**parts[0]["circumstances"], "episodes": sum(len(part["makespan"]) for part in parts)},
        metrics=joined(metrics),
        completion=np.concatenate([part["completion"] for part in parts]),
        execution=np.concatenate([part["execution"] for part in parts]),
    )


def _circumstances(run: Runs, scenario: Scenario, table: LatencyTable) -> Record:
    """Return a record's fields for policy, fleet, load and conditions; those of all blocks of a policy are equal."""
    load = _load(scenario, table, run)
    cost = asdict(scenario.decision) | {"skip_below": run.settings.skip_below}
    return {
        "knowledge": str(run.knowledge),
        "fleet": scenario.fleet.name,
        "env": "dispatch" if run.settings.dispatch else "queue",
        "load": load,
        **_stability(run, table, load),
        "episodes": None,  # has its place here; `joined_blocks` counts them
        "jobs": run.settings.jobs,
        "repeats": run.settings.repeats,
        "decision": cost if run.settings.decision else None,
        **{name: _unless_default(getattr(scenario, name)) for name in CONDITIONS},
    }


def _unless_default(section: Any) -> Record | None:
    """Return a scenario's section as JSON values, or None if all its values are defaults."""
    if section == type(section)():
        return None
    section_json: Record = json.loads(json.dumps(asdict(section)))
    return section_json


def _load(scenario: Scenario, table: LatencyTable, run: Runs) -> float | None:
    """Return the arrival rate over the fleet's largest sustainable rate: the scenario's, or that of its trace.

    None for a trace whose jobs come together: it has no rate.
    """
    trace = scenario_trace(scenario)
    if trace is None:
        return scenario.environment.load
    if trace.rate_hz is None:
        return None
    return run.settings.repeats / (run.settings.mean_gap * table_rate(table))


def _stability(run: Runs, table: LatencyTable, load: float | None) -> Record:
    """Return the largest load that the policy and its predictor can sustain, and whether this load is below it.

    For an unknown load the second value is None.

    A fleet with failures serves only the share of the time in which it is up. A predictor whose time is charged, not
    cached, and that cannot be skipped predicts at most `workers` jobs in the cycles of one prediction. Both are average
    rates over time and mix.
    """
    says = declarations_of(run.policy, table.num_choices)
    rate = policy_capacity(table, routing=says.routing, choices=says.choices)
    up, down = run.settings.mean_up, run.settings.mean_down
    if up:
        rate *= up / (up + down)
    if run.settings.decision and not run.settings.cached and not run.settings.skip_below:
        rate = min(rate, run.settings.repeats * run.settings.workers / run.settings.decision)
    capacity = rate / table_rate(table)
    return {"capacity": capacity, "stable": None if load is None else load < capacity}
