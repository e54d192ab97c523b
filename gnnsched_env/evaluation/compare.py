"""Compare policies by name: the same episodes for all, and the references that their ratios are over."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.parallel.task_runs import HERE, Where
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.evaluation.episode_blocks import Condition, Record
from gnnsched_env.evaluation.optimality.distances import draw_instances, find_limits
from gnnsched_env.evaluation.policies import ALL, policy_factories, policy_factory, uninformed_factories
from gnnsched_env.evaluation.records import Contest, evaluate_each
from gnnsched_env.evaluation.runs import PolicyFactory
from gnnsched_env.scenario import Scenario, scenario_table
from gnnsched_env.tables import LatencyTable

REFERENCE = "sjf"


def compare(
    scenario: Scenario,
    policies: Iterable[str] | Mapping[str, PolicyFactory] = (ALL,),
    *,
    table: LatencyTable | None = None,
    dispatch: bool = False,
    seed: int = 0,
    episodes: int = 100,
    graphs: Sequence[str] | None = None,
    versus: str | None = None,
    where: Where = HERE,
    progress: bool | None = False,
) -> list[Record]:
    """Play the same episodes of a scenario under every policy; return one record (JSON) for each, best first.

    `policies`: names as `make_policy` takes them ("all": every registered policy made for the environment but planners;
    import `gnnsched_baselines` to register its own), or what makes each. `table` is the scenario's by default, `graphs`
    what the records call its graphs, `versus` a policy that all are compared with besides. Ratios are over clairvoyant
    shortest-job-first with an unbounded window, and over the best registered policy that knows no latencies, as
    `Contest` tells. `where` says what processes play, on which records do not depend. `progress` shows a bar; None: if
    stderr is a terminal.

    Raise ConfigError before anything is played where a name is unknown, a policy is not made for the environment, or
    the scenario's sections contradict each other; PoliciesFailed, which holds the records of the others, at the end
    where a policy fails.
    """
    contest = contest_of(policies, dispatch=dispatch, versus=versus, seed=seed, episodes=episodes)
    if table is None:
        table = scenario_table(scenario, progress=progress)
    names = table.group_names if graphs is None else tuple(graphs)
    condition = Condition(scenario=scenario, table=table, graphs=names)
    (compared,) = evaluate_each(contest, [condition], where=where, progress=progress)
    return compared.checked()


def contest_of(
    policies: Iterable[str] | Mapping[str, PolicyFactory], *, dispatch: bool, versus: str | None, **options: Any
) -> Contest:
    """Return the contest of policies, by name or by what makes each, with the references that `compare` has.

    `options` are the other fields of `Contest`. Raise ConfigError for an unknown policy, and as `Contest`.
    """
    factories = policies if isinstance(policies, Mapping) else policy_factories(policies, dispatch=dispatch)
    if versus is not None and versus not in factories:
        factories = {**factories, versus: policy_factory(versus, dispatch=dispatch)}
    return Contest(
        policies=factories,
        shortest_job_first=policy_factory(REFERENCE, dispatch=False),
        uninformed=uninformed_factories(dispatch=dispatch),
        dispatch=dispatch,
        versus=versus,
        **options,
    )


def add_bound(
    records: Sequence[Record],
    scenario: Scenario,
    table: LatencyTable,
    *,
    seed: int,
    episodes: int,
    progress: bool | None = False,
) -> None:
    """Add "ratio_to_bound" to records of the same episodes: mean completion time over a proved lower bound's.

    Some 6 to 10 seconds an episode of 1,000 jobs. Raise ConfigError as `draw_instances`.
    """
    instances = draw_instances(scenario, table, seed=seed, episodes=episodes)
    with progress_bar("bounds", episodes, shown=progress, unit="episodes") as advance:
        bound = int(find_limits(instances, advance=advance).bound.sum())
    jobs = sum(instance.num_jobs for instance in instances)
    for record in records:
        record["ratio_to_bound"] = record["mean_completion"] * jobs / bound


def mixes(graphs: Sequence[Path], *, per_file: bool) -> list[tuple[Path, ...]]:
    """Return the mixes of graph files to evaluate: all files together, and each alone where asked."""
    alone = [(path,) for path in graphs] if per_file and len(graphs) > 1 else []
    return [tuple(graphs), *alone]


def with_graphs(scenario: Scenario, graphs: Sequence[str | Path]) -> Scenario:
    """Return the scenario with its workload's files replaced, or as it is where none are given.

    Raise ConfigError where the scenario brings a latency table, which replaces graphs.
    """
    if not graphs:
        return scenario
    if scenario.table is not None:
        raise ConfigError(f"scenario {scenario.name!r}: has a latency table of its own, so graphs must not be given")
    return replace(scenario, workload=replace(scenario.workload, graphs=tuple(str(path) for path in graphs)))
