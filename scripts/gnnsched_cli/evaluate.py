"""Compare policies on the same jobs: a table on the terminal, records in a JSON file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from gnnsched_agents.sb3.saved_policy import agent_factory
from gnnsched_baselines import POLICIES, make_policy
from gnnsched_cli.command import check_file, plain, wide_console
from gnnsched_cli.conditions import changes, with_options
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import Knowledge
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.evaluation import PolicyFactory, Record, evaluate, provenance, write_json
from gnnsched_env.evaluation.distances import draw_instances, find_limits
from gnnsched_env.report.policy_table import changed_options, legend, policy_table
from gnnsched_env.scenario import Scenario, load_scenario, scenario_table
from gnnsched_env.tables import LatencyTable

WIDTH = 160
WIDEST = 10_000
# What names a policy, in the help of all commands that take one.
NAMES = (
    "a baseline; agent:NAME or agent:FILE.npz, a trained one (lookahead:NAME or lookahead:FILE.npz: looking ahead); "
    "sb3:FILE.zip, a model of Stable-Baselines3 that `gnnsched train` wrote; or module:Class, one of your own"
)
Policies = Annotated[
    tuple[str, ...], tyro.conf.arg(help=f'Policies, or "all" baselines that do not plan. One is {NAMES}.')
]


@with_options()
@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Compare policies on the same jobs."""

    scenario: str = "hetero4"
    """A preset (hetero4, flexible4, big_little) or the path of a scenario's TOML file."""
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
    """Episodes a policy, of seeds seed, seed + 1, ..."""
    seed: int = 0
    versus: str | None = None
    """A policy, named as above, that all are compared with besides, in pairs of episodes."""
    bound: bool = False
    """Also show how far each policy is above a proved lower bound: some 6 to 10 seconds an episode of 1,000 jobs, which
    makes 10 to 17 minutes a load for the 100 episodes that are the default."""
    json: Path | None = None
    """Where to write the records."""


def run(arguments: Arguments) -> None:
    """Evaluate, print and write."""
    console = wide_console(WIDTH)
    check(arguments)
    scenario = changed_scenario(arguments)
    dispatch = arguments.env == "dispatch"
    policies = policy_factories(arguments.policies, dispatch=dispatch)
    if arguments.versus is not None:
        policies.setdefault(arguments.versus, factory(arguments.versus))
    records, tables = [], []
    for mix in mixes(arguments.graphs, per_file=arguments.per_file):
        chosen = with_graphs(scenario, mix)
        table = scenario_table(chosen, progress=console.is_terminal)
        tables.append(table)
        names = [path.stem for path in mix] or list(table.group_names)
        for load in arguments.load or (scenario.environment.load,):
            batch = compare(
                chosen.with_options(load=load),
                table,
                policies,
                dispatch=dispatch,
                seed=arguments.seed,
                episodes=arguments.episodes,
                graphs=names,
                versus=arguments.versus,
            )
            if arguments.bound:
                add_bound(
                    batch, chosen.with_options(load=load), table, seed=arguments.seed, episodes=arguments.episodes
                )
            records += batch
            share = batch[0]["load"]
            about = f"{chosen.fleet.name}, {arguments.env}" + ("" if share is None else f", load {share:.3g}")
            title = "; ".join([f"{about}: {', '.join(names)}", *changed_options(chosen)])
            print_whole(console, policy_table(batch, title=title))
    console.print(legend(records), markup=False, soft_wrap=True)
    if arguments.json is not None:
        made_by = provenance(scenario, tables, plain(arguments))
        write_json(arguments.json, {"provenance": made_by, "records": records})


def add_bound(records: list[Record], scenario: Scenario, table: LatencyTable, *, seed: int, episodes: int) -> None:
    """Add to each record the ratio of its mean completion time to the lower bound's on the same episodes."""
    instances = draw_instances(scenario, table, seed=seed, episodes=episodes)
    with progress_bar("bounds of episodes", episodes, shown=None) as advance:
        bound = int(find_limits(instances, advance=advance).bound.sum())
    jobs = sum(instance.num_jobs for instance in instances)
    for record in records:
        record["ratio_to_bound"] = record["mean_completion"] * jobs / bound


def print_whole(console: Console, table: Table) -> None:
    """Print a table, on a wider console where it would be cut."""
    needed = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    console.width = max(console.width, needed)
    console.print(table)


def changed_scenario(arguments: Arguments) -> Scenario:
    """Return the scenario that the arguments name, with what they change of it."""
    return load_scenario(arguments.scenario).with_options(
        predictor=arguments.predictor, reconfiguration=arguments.reconfiguration, **changes(arguments)
    )


def check(arguments: Arguments) -> None:
    """Refuse what cannot be meant."""
    check_file("--json", arguments.json)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)  # better known now than after an hour
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


def policy_factories(names: tuple[str, ...], *, dispatch: bool) -> dict[str, PolicyFactory]:
    """Return a factory per policy; "all" stands for every baseline made for the environment."""
    env = "dispatch" if dispatch else "queue"
    chosen: dict[str, PolicyFactory] = {}
    for name in names:
        own = [key for key, kind in POLICIES.items() if env in kind.environments] if name == "all" else [name]
        chosen |= {key: factory(key) for key in own}
    return chosen


def uninformed_factories(*, dispatch: bool) -> dict[str, PolicyFactory]:
    """Return a factory per baseline that knows no latencies: the best of them is what ratios refer to."""
    every = policy_factories(("all",), dispatch=dispatch)
    return {name: every[name] for name in every if POLICIES[name].knowledge is Knowledge.NONE}


def compare(
    scenario: Scenario,
    table: LatencyTable,
    policies: dict[str, PolicyFactory] | None = None,
    *,
    dispatch: bool,
    seed: int,
    episodes: int,
    graphs: Sequence[str],
    versus: str | None = None,
) -> list[Record]:
    """Evaluate policies (every baseline made for the environment by default) against the baselines that ratios need."""
    return evaluate(
        scenario,
        table,
        policy_factories(("all",), dispatch=dispatch) if policies is None else policies,
        shortest_job_first=factory("sjf"),
        uninformed=uninformed_factories(dispatch=dispatch),
        dispatch=dispatch,
        seed=seed,
        episodes=episodes,
        graphs=graphs,
        versus=versus,
    )


def factory(name: str) -> PolicyFactory:
    """Return the function that makes a named policy for a layout and a table."""
    if name.startswith("sb3:"):
        return agent_factory(name)
    return lambda layout, table: make_policy(name, layout, table=table)


def mixes(graphs: tuple[Path, ...], *, per_file: bool) -> list[tuple[Path, ...]]:
    """Return the mixes to evaluate: all files together, and each alone where asked."""
    alone = [(path,) for path in graphs] if per_file and len(graphs) > 1 else []
    return [graphs, *alone]


def with_graphs(scenario: Scenario, graphs: Sequence[str | Path]) -> Scenario:
    """Return the scenario with its workload's files replaced, or as it is where none are given."""
    if not graphs:
        return scenario
    return replace(scenario, workload=replace(scenario.workload, graphs=tuple(str(path) for path in graphs)))
