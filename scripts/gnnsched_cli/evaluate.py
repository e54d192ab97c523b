"""Compare policies on the same jobs: a table on the terminal, records in a JSON file.

Examples:
    gnnsched evaluate --list
    gnnsched evaluate --load 0.5 0.8 --policies all agent:queue --json records.json
    gnnsched evaluate --policies all rollout --workers 8 --keep out/kept --json records.json
    gnnsched evaluate --env dispatch --graphs karate --policies sjf least_loaded my_module:MyPolicy
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from gnnsched_cli.command import OutFile, plain, print_table, print_text
from gnnsched_cli.conditions import changes, with_options
from gnnsched_cli.policy_names import Policies, list_policies, register_policies
from gnnsched_cli.task_options import KeepFolder, Ray, Workers
from gnnsched_env.common.errors import ConfigError, PoliciesFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnsched_env.common.parallel.task_runs import Where
    from gnnsched_env.evaluation import Record
    from gnnsched_env.evaluation.records import Contest
    from gnnsched_env.scenario import Scenario


@with_options()
@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Compare policies on the same jobs."""

    scenario: str = "hetero4"
    """A preset (hetero4, flexible4, big_little, fixed9, wide64) or the path of a scenario's TOML file."""
    graphs: tuple[Path, ...] = ()
    """Graph files (.npz), one mix; none: the scenario's own workload."""
    per_file: bool = False
    """Also evaluate each file alone."""
    env: Literal["queue", "dispatch"] = "queue"
    """Queue-v0 (a central queue) or Dispatch-v0 (a decision at each arrival)."""
    load: tuple[float, ...] | None = None
    """Arrival rates, as shares of the fleet's largest sustainable rate (the scenario's by default)."""
    predictor: str | None = None
    """A latency predictor's name, or its file (the scenario's by default)."""
    reconfiguration: int | None = None
    """Cycles that an accelerator takes to change its dataflow (the fleet's by default)."""
    policies: Policies = ("all",)
    episodes: int = 100
    """Number of episodes per policy; their seeds are --seed, --seed + 1, ..."""
    seed: int = 0
    """Seed of the first episode."""
    versus: str | None = None
    """A policy that all others are also compared with, in pairs of episodes."""
    bound: bool = False
    """Also show how far each policy is above a proved lower bound: 6 to 10 seconds per episode of 1,000
    jobs, so 10 to 17 minutes per load for the default of 100 episodes."""
    workers: Workers = 1
    ray: Ray = None
    block: int | None = None
    """Number of episodes of one policy that a worker plays at a time (128 by default); with fewer, more workers share a
    policy's episodes, and take more time in all. Records do not depend on it."""
    keep: KeepFolder = None
    json: OutFile | None = None
    """JSON file to write the records to."""
    wide: tyro.conf.FlagCreatePairsOff[bool] = False
    """Show all columns, however narrow the terminal is."""
    list: tyro.conf.FlagCreatePairsOff[bool] = False
    """List the available policies and stop."""


def run(arguments: Arguments) -> None:
    """Evaluate, write and print; raise PoliciesFailed at the end where a policy fails."""
    from gnnsched_env.common.parallel.task_runs import Where
    from gnnsched_env.evaluation.compare import contest_of

    register_policies()
    if arguments.list:
        list_policies()
        return
    check(arguments)
    scenario = changed_scenario(arguments)
    versus = () if arguments.versus is None else (arguments.versus,)
    block = {} if arguments.block is None else {"block": arguments.block}
    contest = contest_of(
        (*arguments.policies, *versus),
        dispatch=arguments.env == "dispatch",
        versus=arguments.versus,
        seed=arguments.seed,
        episodes=arguments.episodes,
        **block,
    )
    where = Where(workers=arguments.workers, ray=arguments.ray)
    with where.joined():
        play(arguments, scenario, contest, where)


def play(arguments: Arguments, scenario: "Scenario", contest: "Contest", where: "Where") -> None:
    """Play everything, and write and print what each load gives as it is done."""
    from gnnsched_env.common.files import write_json
    from gnnsched_env.evaluation import Attempts, add_bound, provenance, with_graphs
    from gnnsched_env.evaluation.compare import mixes
    from gnnsched_env.evaluation.episode_blocks import Condition
    from gnnsched_env.evaluation.records import evaluate_each
    from gnnsched_env.report.policy_table import changed_options, legend
    from gnnsched_env.scenario import scenario_table

    conditions, tables = [], []
    for mix in mixes(arguments.graphs, per_file=arguments.per_file):
        chosen = with_graphs(scenario, mix)
        table = scenario_table(chosen, progress=None)
        tables.append(table)
        names = tuple(path.stem for path in mix) or table.group_names
        for load in arguments.load or (scenario.environment.load,):
            conditions.append(Condition(scenario=chosen.with_options(load=load), table=table, graphs=names))
    records, failures, titled = [], [], []
    attempts = Attempts()
    left_out: set[str] = set()
    played = evaluate_each(contest, conditions, where=where, keep=arguments.keep, progress=None)
    for condition, compared in zip(conditions, played, strict=True):
        told, at_load = list(condition.graphs), condition.scenario
        load = at_load.environment.load
        try:
            batch = compared.checked()
        except PoliciesFailed as error:
            batch = error.records
            for name, own in error.failed.items():
                attempts.failed.setdefault(name, own)
                failures.append({"policy": name, "graphs": told, "load": load, "error": str(own)})
        if arguments.bound and batch:
            add_bound(batch, at_load, condition.table, seed=arguments.seed, episodes=arguments.episodes, progress=None)
        records += batch
        if arguments.json is not None and records:  # before anything is printed, and before the next load may fail
            made_by = provenance(scenario, tables, plain(arguments))
            write_json(arguments.json, {"provenance": made_by, "records": records, "failed": failures})
        if not batch:
            continue
        share = batch[0]["load"]
        about = f"{at_load.fleet.name}, {arguments.env}" + ("" if share is None else f", load {share:.3g}")
        titled.append(("; ".join([f"{about}: {', '.join(told)}", *changed_options(at_load)]), batch))
        if where.here:  # else others are still being played, and a bar stands on the terminal
            left_out |= print_tables(arguments, titled)
            titled.clear()
    left_out |= print_tables(arguments, titled)
    if records:
        print_text(legend(records))
        print_training_ranges(arguments.policies, [condition.scenario for condition in conditions])
    if left_out:
        print_text(f"Left out to fit the terminal (--wide shows all): {', '.join(sorted(left_out))}.")
    attempts.end()


def print_training_ranges(policies: "Sequence[str]", scenarios: "Sequence[Scenario]") -> None:
    """Print which trained policies play scenarios outside the range that they were trained for."""
    from gnnsched_baselines.learned.training_range import notes

    for note in dict.fromkeys(note for scenario in scenarios for note in notes(policies, scenario)):
        print_text(note)


def print_tables(arguments: Arguments, titled: "Sequence[tuple[str, list[Record]]]") -> set[str]:
    """Print a table of records under each title; return the columns that were left out."""
    from gnnsched_env.report.policy_table import LEAVE_OUT, policy_table

    tables = [policy_table(batch, title=title) for title, batch in titled]
    return {column for table in tables for column in print_table(table, LEAVE_OUT, wide=arguments.wide)}


def changed_scenario(arguments: Arguments) -> "Scenario":
    """Return the scenario that the arguments name, with what they change of it."""
    from gnnsched_env.scenario import load_scenario

    scenario = load_scenario(arguments.scenario)
    if scenario.table is not None and arguments.predictor is not None:
        raise ConfigError("--predictor: must not be given for a scenario that has a latency table of its own")
    return scenario.with_options(
        predictor=arguments.predictor, reconfiguration=arguments.reconfiguration, **changes(arguments)
    )


def check(arguments: Arguments) -> None:
    """Raise ConfigError for options that contradict each other or cannot be met, before any work is done."""
    for name in ("load", "policies"):
        if getattr(arguments, name) == ():
            raise ConfigError(f"--{name}: needs at least one value")
    if arguments.per_file and not arguments.graphs:
        raise ConfigError("--per-file: needs --graphs")
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    if "window" in given and arguments.env == "dispatch":
        raise ConfigError("--window: belongs to --env queue; Dispatch-v0 shows the arriving job only")
    for name in ("load", "arrivals", "drift", "repeats"):
        if "trace" in given and name in given:
            raise ConfigError(f"--{name}: does not go with --trace, which brings its own times and jobs")
