"""How far policies are from what was possible: a proved lower bound, a good offline schedule, proved optima."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from gnnsched_cli.command import check_file, counted, plain, wide_console
from gnnsched_cli.conditions import changes, with_options
from gnnsched_cli.evaluate import Policies, policy_factories, with_graphs
from gnnsched_env.bounds import KnownOptimum, known_optima
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.evaluation import PolicyFactory, provenance, run_policy, write_json
from gnnsched_env.evaluation.distances import (
    Limits,
    Record,
    distance,
    distance_records,
    draw_instances,
    find_limits,
    played_plans,
)
from gnnsched_env.evaluation.runs import Runs
from gnnsched_env.report.distance_table import distance_table, legend
from gnnsched_env.scenario import Scenario, load_scenario, scenario_table
from gnnsched_env.tables import LatencyTable

WIDTH = 125


@with_options(only=("jobs", "window", "arrivals"))
@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Play policies in Queue-v0 and compare them with the bound, an offline schedule and proved optima."""

    known: bool = False
    """Play the shipped instances with proved optima (docs/results/known_optima.md) instead of a scenario."""
    scenario: str = "hetero4"
    """A preset (hetero4, flexible4, big_little) or the path of a scenario's TOML file."""
    graphs: tuple[Path, ...] = ()
    """Graph files (.npz), one mix; none: the scenario's own workload."""
    load: tuple[float, ...] | None = None
    """Arrival rates, as shares of the fleet's largest sustainable rate (the scenario's by default)."""
    policies: Policies = ("all",)
    episodes: int = 5
    """Episodes, of seeds seed, seed + 1, ..."""
    seed: int = 0
    moves: int | None = None
    """Moves of the local search (10,000 a job by default)."""
    tries: int = 2
    """Local searches an episode."""
    rounds: int = 1500
    """Rounds of the lower bound, at most, for each width of its prices."""
    seconds: float = 0.0
    """How long CP-SAT may try to prove an episode's optimum (0: not at all; needs the extra `bounds`)."""
    json: Path | None = None
    """Where to write the records."""


def run(arguments: Arguments) -> None:
    """Play, bound, print and write."""
    console = wide_console(WIDTH)
    check(arguments)
    factories = policy_factories(arguments.policies, dispatch=False)
    if arguments.known:
        records = known_records(known_optima(), factories, arguments, console)
        about: Record = {"arguments": plain(arguments)}
    else:
        scenario = with_graphs(load_scenario(arguments.scenario), arguments.graphs).with_options(**changes(arguments))
        table = scenario_table(scenario, progress=console.is_terminal)
        records = []
        for load in arguments.load or (scenario.environment.load,):
            records += load_records(scenario.with_options(load=load), table, factories, arguments, console)
        about = provenance(scenario, [table], plain(arguments))
    console.print(legend(records))
    if arguments.json is not None:
        write_json(arguments.json, {"provenance": about, "records": records})


def check(arguments: Arguments) -> None:
    """Refuse what cannot be meant."""
    for name in ("load", "policies"):
        if getattr(arguments, name) == ():
            raise ConfigError(f"--{name}: needs at least one value")
    check_file("--json", arguments.json)
    if not arguments.seconds >= 0:
        raise ConfigError(f"--seconds: must be at least 0, got {arguments.seconds!r}")
    if arguments.moves is not None and arguments.moves < 1:
        raise ConfigError(f"--moves: must be at least 1, or there is no offline schedule, got {arguments.moves}")
    if arguments.known:
        for name in ("graphs", "load", "jobs", "arrivals"):
            if getattr(arguments, name):
                raise ConfigError(f"--{name}: does not go with --known, whose instances bring their own")


def load_records(
    scenario: Scenario,
    table: LatencyTable,
    factories: Mapping[str, PolicyFactory],
    arguments: Arguments,
    console: Console,
) -> list[Record]:
    """Play one scenario under all policies, print the distances and return them."""
    seed, episodes = arguments.seed, arguments.episodes
    instances = draw_instances(scenario, table, seed=seed, episodes=episodes)  # refuses first what has no bound
    runs = {
        name: run_policy(factory, scenario, table, dispatch=False, seed=seed, episodes=episodes)
        for name, factory in factories.items()
    }
    with progress_bar("limits of episodes", episodes, shown=None) as advance:
        limits = find_limits(
            instances,
            [played_plans(run, table) for run in runs.values()],
            moves=arguments.moves,
            tries=arguments.tries,
            rounds=arguments.rounds,
            seconds=arguments.seconds,
            advance=advance,
        )
    load, jobs = scenario.environment.load, instances[0].num_jobs
    common = {"fleet": scenario.fleet.name, "env": "queue", "load": load, "jobs": jobs, "seed": seed}
    records = [{**common, **record} for record in distance_records(runs, limits)]
    gap = limits.offline.sum() / limits.bound.sum()
    amount = f"{counted(jobs, 'job')}, {counted(episodes, 'episode')}"
    title = f"{scenario.fleet.name}, queue, load {load:g}, {amount}; offline / bound {gap:.4f}"
    console.print(distance_table(records, title=title))
    return records


def known_records(
    known: tuple[KnownOptimum, ...],
    factories: Mapping[str, PolicyFactory],
    arguments: Arguments,
    console: Console,
) -> list[Record]:
    """Play every known instance under all policies, print the distances to the optima by fleet and return them."""
    played = {name: [play_known(entry, factory, arguments) for entry in known] for name, factory in factories.items()}
    records = []
    for fleet in sorted({entry.scenario for entry in known}):
        chosen = [number for number, entry in enumerate(known) if entry.scenario == fleet]
        limits = known_limits([known[number] for number in chosen])
        jobs = [known[number].instance.num_jobs for number in chosen]
        rows = []
        for name, runs in played.items():
            totals = np.array([float(runs[number].metrics.completion.sum()) for number in chosen])
            row = {"policy": name, "knowledge": str(runs[0].knowledge), **distance(totals, limits)}
            rows.append({**row, "fleet": fleet, "env": "queue", "mean_completion": float(totals.sum() / sum(jobs))})
        rows.sort(key=lambda row: float(row["mean_completion"]))
        title = f"{fleet}, queue: {len(chosen)} instances of {min(jobs)} to {max(jobs)} jobs with proved optima"
        console.print(distance_table(rows, title=title))
        records += rows
    return records


def play_known(entry: KnownOptimum, factory: PolicyFactory, arguments: Arguments) -> Runs:
    """Play one known instance; raise ConfigError where the scenario's jobs are not the instance's any more."""
    scenario = load_scenario(entry.scenario).with_options(
        load=entry.load, jobs=entry.instance.num_jobs, window=changes(arguments).get("window")
    )
    table = scenario_table(scenario)
    (drawn,) = draw_instances(scenario, table, seed=entry.seed, episodes=1)
    entry.check_jobs(drawn)
    return run_policy(factory, scenario, table, dispatch=False, seed=entry.seed, episodes=1)


def known_limits(known: list[KnownOptimum]) -> Limits:
    """Return proved optima as limits."""
    totals = np.array([entry.total for entry in known], np.int64)
    return Limits(
        instances=tuple(entry.instance for entry in known),
        plans=tuple(entry.plan for entry in known),
        bound=totals,
        offline=totals,
    )
