"""Evaluation records: one per (fleet, env, load, policy), as JSON."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from gnnsched_env.common.checks import Integer, check_fields
from gnnsched_env.common.disk_cache import content_key
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.common.parallel.installed import installed
from gnnsched_env.common.parallel.kept_results import KeptResults
from gnnsched_env.common.parallel.task_runs import HERE, Where, run_tasks
from gnnsched_env.common.stats import paired_ratio
from gnnsched_env.evaluation.attempts import Attempts
from gnnsched_env.evaluation.episode_blocks import (
    Block,
    Condition,
    PlayedEpisodes,
    Players,
    Record,
    joined_blocks,
    play_block,
)
from gnnsched_env.evaluation.policies import source_of
from gnnsched_env.evaluation.runs import MAX_LANES, PolicyFactory, checked_seeds
from gnnsched_env.scenario import Scenario
from gnnsched_env.scenario.scenario import SECTIONS
from gnnsched_env.sim import summarise
from gnnsched_env.sim.state import MOST_LANES, SEED_LIMIT
from gnnsched_env.tables import LatencyTable
from gnnsched_env.version import __version__

REFERENCE = "clairvoyant sjf"  # the name under which the reference is played
LIBRARIES = ("gymnasium", "numba", "numpy", "scikit-learn", "scipy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Policies that play the same episodes, of seeds seed..seed+episodes-1, under every condition.

    All ratios refer to the policy that `shortest_job_first` makes, run clairvoyantly in Queue-v0 with an unbounded
    window: it meets the same arrivals and failures, but no prediction errors of the predictor or the scenario. The
    other reference is the best of `uninformed`, whose results are recorded only if they are among `policies` too. The
    scenario's decision cost is charged to the policies that use predictions, but not to the clairvoyant reference, so
    that ratios show it. `versus` names one of `policies` as a further reference.

    Episodes are played in blocks of `block`. Records do not depend on it, as long as policies treat each lane by
    itself; small blocks take more time, and spread over more workers.
    """

    policies: Mapping[str, PolicyFactory]
    shortest_job_first: PolicyFactory
    uninformed: Mapping[str, PolicyFactory]
    dispatch: bool
    seed: Annotated[int, Integer(0, SEED_LIMIT)]
    episodes: Annotated[int, Integer(1, MOST_LANES)]
    versus: str | None = None
    block: Annotated[int, Integer(1, MOST_LANES)] = MAX_LANES

    def __post_init__(self) -> None:
        if self.versus is not None and self.versus not in self.policies:
            known = ", ".join(self.policies)
            raise ConfigError(f"evaluation: versus must be one of the policies {known}, got {self.versus!r}")
        check_fields(self, "evaluation")
        checked_seeds("evaluation", self.seed, self.episodes)

    @property
    def played(self) -> dict[str, PolicyFactory]:
        """What makes each policy that is played, by name."""
        return {**self.uninformed, **self.policies}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What came of a contest under one condition: records, best first, and what failed; whether any policy `played`."""

    records: list[Record]
    attempts: Attempts
    played: bool

    def checked(self) -> list[Record]:
        """Return the records; raise PoliciesFailed, which holds them, where a policy failed (`Attempts.end`)."""
        self.attempts.end(self.records, played=self.played)
        return self.records


def evaluate(
    scenario: Scenario,
    table: LatencyTable,
    policies: Mapping[str, PolicyFactory],
    *,
    shortest_job_first: PolicyFactory,
    uninformed: Mapping[str, PolicyFactory],
    dispatch: bool,
    seed: int,
    episodes: int,
    graphs: Sequence[str],
    versus: str | None = None,
    progress: bool | None = False,
) -> list[Record]:
    """Run every policy on the same episodes of one scenario at its load; return one record for each, best first.

    What is compared with what: `Contest`. `progress` shows a bar; None shows it if stderr is a terminal.

    A policy that fails does not stop the others: at the end, PoliciesFailed is raised with all errors and the others'
    records, which hold None for ratios over a reference that failed.
    """
    contest = Contest(
        policies=policies,
        shortest_job_first=shortest_job_first,
        uninformed=uninformed,
        dispatch=dispatch,
        seed=seed,
        episodes=episodes,
        versus=versus,
    )
    condition = Condition(scenario=scenario, table=table, graphs=tuple(graphs))
    (compared,) = evaluate_each(contest, [condition], progress=progress)
    return compared.checked()


def evaluate_each(
    contest: Contest,
    conditions: Sequence[Condition],
    *,
    where: Where = HERE,
    keep: Path | None = None,
    progress: bool | None = False,
) -> Iterator[Compared]:
    """Play a contest under each condition, and yield what came of it.

    Each block of a policy's episodes under a condition is a task that runs `where` is said, on which records do not
    depend. Policies that are played elsewhere than here must be picklable, as classes and those of `policy_factory`
    are. `keep` is a folder in which finished blocks are kept, which a later run finds, with whatever other policies and
    conditions; policies must then come from `policy_factory`. `progress` is as for `evaluate`.
    """
    for together in [[condition] for condition in conditions] if where.here else [conditions]:
        blocks, players = _blocks(contest, together, keep)
        kept = None if keep is None else KeptResults(folder=keep, about=content_key(installed=installed()))
        options: Any = {"where": where, "keep": kept, "title": "evaluating", "progress": progress}
        with closing(run_tasks(play_block, blocks, shared=players, catch=(GnnSchedError,), **options)) as results:
            for condition in together:
                runs, attempts = _played(contest, condition, results)
                played = any(name in runs for name in contest.played)
                yield Compared(records=_records(contest, condition, runs), attempts=attempts, played=played)


def _blocks(contest: Contest, conditions: Sequence[Condition], keep: Path | None) -> tuple[list[Block], Players]:
    """Return the blocks of each condition, those of the reference before those of the policies, and what all share."""
    digests = [str(i) if keep is None else condition.digest() for i, condition in enumerate(conditions)]
    sources = {name: "" if keep is None else source_of(name, factory) for name, factory in contest.played.items()}
    seeds: list[dict[str, Any]] = [
        {"first": first, "episodes": min(contest.block, contest.seed + contest.episodes - first)}
        for first in range(contest.seed, contest.seed + contest.episodes, contest.block)
    ]
    blocks = []
    for digest in digests:
        own: Any = {"condition": digest, "dispatch": contest.dispatch}
        blocks += [Block(policy=REFERENCE, source="", clairvoyant=True, **own, **part) for part in seeds]
        for name, source in sources.items():
            blocks += [Block(policy=name, source=source, **own, **part) for part in seeds]
    players = Players(
        conditions=dict(zip(digests, conditions, strict=True)),
        policies=contest.played,
        reference=contest.shortest_job_first,
    )
    return blocks, players


def _played(
    contest: Contest, condition: Condition, results: Iterator[Any]
) -> tuple[dict[str, PlayedEpisodes], Attempts]:
    """Return the episodes of the reference and of each policy, the next among the results, and what failed."""
    runs: dict[str, PlayedEpisodes] = {}
    attempts = Attempts()
    parts = -(-contest.episodes // contest.block)
    for name in (REFERENCE, *contest.played):
        own = list(islice(results, parts))
        failed = next((part for part in own if isinstance(part, GnnSchedError)), None)
        if failed is not None and name == REFERENCE:
            raise failed
        with attempts.of(name):
            if failed is not None:
                raise failed
            runs[name] = joined_blocks(own, condition)
    return runs, attempts


def _records(contest: Contest, condition: Condition, runs: Mapping[str, PlayedEpisodes]) -> list[Record]:
    """Return the records of a condition, best first."""
    reference = runs[REFERENCE]
    best = min((runs[name] for name in contest.uninformed if name in runs), key=_mean_completion, default=None)
    other = None if contest.versus is None else runs.get(contest.versus)
    versus = contest.versus
    records = [
        {
            "policy": name,
            **runs[name].circumstances,
            "graphs": list(condition.graphs),
            **_summary(runs[name]),
            "ratio_to_best_uninformed": _ratios(runs[name], best),
            "ratio_to_sjf_clairvoyant": _ratios(runs[name], reference),
            **({} if versus is None else {"versus": versus, "ratio_to_versus": _ratios(runs[name], other)}),
        }
        for name in contest.policies
        if name in runs
    ]
    return sorted(records, key=lambda record: float(record["mean_completion"]))


def provenance(scenario: Scenario, tables: Sequence[LatencyTable], arguments: Mapping[str, Any]) -> Record:
    """Return the provenance of the records: versions, scenario, tables (one per mix of graphs), arguments."""
    return {
        "gnnsched_env": __version__,
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "scenario": scenario.name,
        "fleet": scenario.fleet.to_dict(),
        "predictor": scenario.predictor,
        "repeats": scenario.workload.repeats,
        **{name: asdict(getattr(scenario, name)) for name in SECTIONS},
        "tables": [dict(table.provenance) for table in tables],
        "arguments": dict(arguments),
    }


def _mean_completion(run: PlayedEpisodes) -> float:
    return float(run.per_episode("completion").mean())


def _summary(run: PlayedEpisodes) -> Record:
    p50, p95, p99 = np.percentile(run.completion, [50, 95, 99])
    return {
        **summarise(run.metrics),
        "p50_completion": float(p50),
        "p95_completion": float(p95),
        "p99_completion": float(p99),
        "throughput_per_mcycle": float((run.completion.shape[1] * 1e6 / run.metrics.makespan).mean()),
    }


def _ratios(run: PlayedEpisodes, other: PlayedEpisodes | None) -> Record | None:
    if other is None:
        return None
    return {
        name: paired_ratio(run.per_episode(name), other.per_episode(name)).as_list()
        for name in ("completion", "execution")
    }
