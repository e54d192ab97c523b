"""How far policies are from what was possible: a proved lower bound, a good offline schedule, proved optima.

Examples:
    gnnsched bound --jobs 200 --episodes 3 --policies sjf assignment agent:queue
    gnnsched bound --known --policies all
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnsched_cli.command import OutFile, counted, plain, print_table, print_text
from gnnsched_cli.conditions import changes, with_options
from gnnsched_cli.policy_names import Policies, register_policies
from gnnsched_env.common.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from gnnsched_env.evaluation import Attempts, PolicyFactory
    from gnnsched_env.scenario import Scenario
    from gnnsched_env.tables import LatencyTable


@with_options(only=("jobs", "window", "arrivals"))
@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Play policies in Queue-v0 and compare them with the bound, an offline schedule and proved optima."""

    known: bool = False
    """Play the shipped instances with proved optima (docs/results/known_optima.md) instead of a scenario."""
    scenario: str = "hetero4"
    """A preset (hetero4, flexible4, big_little, fixed9, wide64) or the path of a scenario's TOML file."""
    graphs: tuple[Path, ...] = ()
    """Graph files (.npz), one mix; none: the scenario's own workload."""
    load: tuple[float, ...] | None = None
    """Arrival rates, as shares of the fleet's largest sustainable rate (the scenario's by default)."""
    policies: Policies = ("all",)
    episodes: int = 5
    """Number of episodes; their seeds are --seed, --seed + 1, ..."""
    seed: int = 0
    """Seed of the first episode."""
    moves: int | None = None
    """Number of moves of the local search (10,000 per job by default)."""
    tries: int = 2
    """Number of local searches per episode."""
    rounds: int = 1500
    """Largest number of rounds of the lower bound for each width of its prices."""
    seconds: float = 0.0
    """Seconds for which CP-SAT may try to prove an episode's optimum; 0: it does not try. Needs the extra `bounds`."""
    json: OutFile | None = None
    """JSON file to write the records to."""


def run(arguments: Arguments) -> None:
    """Play, bound, write and print; raise PoliciesFailed at the end where a policy fails."""
    from gnnsched_env.evaluation import Attempts, policy_factories, provenance, with_graphs
    from gnnsched_env.report.distance_table import LEAVE_OUT, legend
    from gnnsched_env.scenario import load_scenario, scenario_table

    register_policies()
    check(arguments)
    factories = policy_factories(arguments.policies, dispatch=False)
    attempts = Attempts()
    if arguments.known:
        records = show_known(factories, arguments, attempts)
    else:
        scenario = with_graphs(load_scenario(arguments.scenario), arguments.graphs).with_options(**changes(arguments))
        table = scenario_table(scenario, progress=None)
        about = provenance(scenario, [table], plain(arguments))
        records = []
        for load in arguments.load or (scenario.environment.load,):
            own, shown = play_load(scenario.with_options(load=load), table, factories, arguments, attempts)
            if shown is None:
                continue
            records += own
            write(arguments, about, records, attempts)
            print_table(shown, LEAVE_OUT)
    if not records:
        attempts.end(played=False)
    print_text(legend(records))
    attempts.end()


def write(arguments: Arguments, about: dict[str, Any], records: list[dict[str, Any]], attempts: "Attempts") -> None:
    """Write the records so far: before anything is printed, and before the next load may fail."""
    from gnnsched_env.common.files import write_json

    if arguments.json is not None:
        failed = [{"policy": name, "error": str(error)} for name, error in attempts.failed.items()]
        write_json(arguments.json, {"provenance": about, "records": records, "failed": failed})


def check(arguments: Arguments) -> None:
    """Raise ConfigError for options that contradict each other or cannot be met, before any work is done."""
    from gnnsched_env.bounds.optimal import import_solver

    for name in ("load", "policies"):
        if getattr(arguments, name) == ():
            raise ConfigError(f"--{name}: needs at least one value")
    if not arguments.seconds >= 0:
        raise ConfigError(f"--seconds: must be at least 0, got {arguments.seconds!r}")
    if arguments.seconds:
        import_solver()
    for name in ("tries", "rounds"):
        if getattr(arguments, name) < 1:
            raise ConfigError(f"--{name}: must be at least 1, got {getattr(arguments, name)}")
    if arguments.moves is not None and arguments.moves < 1:
        raise ConfigError(f"--moves: must be at least 1, or there is no offline schedule, got {arguments.moves}")
    if arguments.known:
        plain = Arguments(known=True)
        for name in ("scenario", "graphs", "load", "jobs", "arrivals", "episodes", "seed", "seconds"):
            if getattr(arguments, name) != getattr(plain, name):
                raise ConfigError(f"--{name}: does not go with --known, whose instances bring their own")


def play_load(
    scenario: "Scenario",
    table: "LatencyTable",
    factories: "Mapping[str, PolicyFactory]",
    arguments: Arguments,
    attempts: "Attempts",
) -> tuple[list[dict[str, Any]], "Table | None"]:
    """Play one scenario under all policies; return the distances, but of those that fail, as records and as a table.

    There is no table where all fail.
    """
    from gnnsched_env.common.progress import progress_bar
    from gnnsched_env.evaluation import run_policy
    from gnnsched_env.evaluation.optimality.distances import distance_records, draw_instances, find_limits, played_plans
    from gnnsched_env.report.distance_table import distance_table

    seed, episodes = arguments.seed, arguments.episodes
    instances = draw_instances(scenario, table, seed=seed, episodes=episodes)  # refuses first what has no bound
    runs = {}
    for name, factory in factories.items():
        with attempts.of(name):
            runs[name] = run_policy(factory, scenario, table, dispatch=False, seed=seed, episodes=episodes)
    if not runs:
        return [], None
    with progress_bar("limits", episodes, shown=None, unit="episodes") as advance:
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
    return records, distance_table(records, title=title)


def show_known(
    factories: "Mapping[str, PolicyFactory]", arguments: Arguments, attempts: "Attempts"
) -> list[dict[str, Any]]:
    """Play every known instance under all policies; write, print and return the distances to the optima by fleet."""
    from gnnsched_env.bounds import known_optima
    from gnnsched_env.evaluation.optimality.known_distances import known_records
    from gnnsched_env.report.distance_table import LEAVE_OUT, distance_table

    known = known_optima()
    records = known_records(known, factories, window=changes(arguments).get("window"), attempts=attempts)
    every = [row for rows in records.values() for row in rows]
    write(arguments, {"arguments": plain(arguments)}, every, attempts)
    for fleet, rows in records.items():
        if not rows:
            continue
        jobs = [entry.instance.num_jobs for entry in known if entry.scenario == fleet]
        title = f"{fleet}, queue: {len(jobs)} instances of {min(jobs)} to {max(jobs)} jobs with proved optima"
        print_table(distance_table(rows, title=title), LEAVE_OUT)
    return every
