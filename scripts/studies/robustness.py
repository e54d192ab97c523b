"""Show what arrivals that change, failures and wrong predictions do to every policy: a table a fleet, Queue-v0.

python scripts/studies/robustness.py --episodes 20 --jobs 1000
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table

from gnnsched_baselines import PLANNERS
from gnnsched_cli.command import OutFile, counted, plain, print_table, print_text, run_command
from gnnsched_cli.policy_names import Policies, register_policies
from gnnsched_cli.task_options import KeepFolder, Ray, Workers
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.parallel.task_runs import Where
from gnnsched_env.evaluation import Attempts, Record, policy_factories, policy_factory, write_json
from gnnsched_env.evaluation.episode_blocks import Condition
from gnnsched_env.evaluation.records import Contest, evaluate_each
from gnnsched_env.report.policy_table import ratio_text
from gnnsched_env.scenario import load_scenario, scenario_table

LEGEND = """Mean completion time over that of clairvoyant shortest-job-first in Queue-v0 with an unbounded window, which
meets the same arrivals and failures and no prediction error. ±: half of a paired 95 % interval. !: the load is not
below the bound on what the policy can sustain: its mean grows with the number of jobs."""


def condition_table(records: Mapping[str, Sequence[Record]], *, title: str) -> Table:
    """Return a table for the terminal; `records` by condition, best first under the first one."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("policy", no_wrap=True)
    for name in records:
        table.add_column(name, justify="right", no_wrap=True)
    for row in _rows(records):
        table.add_row(*row)
    return table


def condition_markdown(records: Mapping[str, Sequence[Record]]) -> str:
    """Return the same table as Markdown."""
    lines = ["| policy | " + " | ".join(records) + " |", "|---|" + "---:|" * len(records)]
    lines += [f"| {' | '.join(row)} |" for row in _rows(records)]
    return "\n".join(lines)


def _rows(records: Mapping[str, Sequence[Record]]) -> list[list[str]]:
    """Return each policy's name and its figure under each condition, in the order of the first condition's figures."""
    cells = {name: {record["policy"]: record for record in group} for name, group in records.items()}
    first = next(iter(records.values()))
    most = max((record["episodes"] for record in first), default=0)
    return [
        [_name(record, most), *(_cell(group[record["policy"]]) for group in cells.values())]
        for record in sorted(first, key=_ratio)
        if all(record["policy"] in group for group in cells.values())  # else it failed, which is told at the end
    ]


def _ratio(record: Record) -> float:
    value: float = record["ratio_to_sjf_clairvoyant"]["completion"][0]
    return value


def _name(record: Record, most: int) -> str:
    """Return a policy's name, with its number of episodes if others have more."""
    name, episodes = str(record["policy"]), record["episodes"]
    return name + ("" if episodes == most else f" ({episodes} episode{'s' if episodes > 1 else ''})")


def _cell(record: Record) -> str:
    interval = ratio_text(record["ratio_to_sjf_clairvoyant"]["completion"], record["episodes"])
    return interval + ("" if record["stable"] is not False else "!")


CONDITIONS: dict[str, dict[str, Any]] = {
    "Poisson": {},
    "bursty": {"arrivals": "bursty"},
    "diurnal": {"arrivals": "diurnal"},
    "drift": {"arrivals": {"drift": 1.0}},
    "bursty, drift": {"arrivals": {"process": "bursty", "drift": 1.0}},
    "failures": {"failures": {"up": 100.0, "down": 10.0}},
    "decision cost": {"decision": {"latency_us": 5.0}},
    "5 % error": {"prediction_error": 0.05},
    "20 % error": {"prediction_error": 0.2},
}


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Compare policies on the same jobs under conditions that are not as planned."""

    fleets: tuple[str, ...] = ("hetero4", "flexible4", "big_little")
    """Scenarios: presets or TOML files."""
    load: float = 0.8
    jobs: int = 1000
    """Number of jobs per episode."""
    episodes: int = 20
    """Number of episodes per policy; their seeds are --seed, --seed + 1, ..."""
    policies: Policies = ("all", "agent:queue")
    rollout_episodes: int = 0
    """Number of episodes of planning policies (rollout), which are a thousand times as slow; 0 leaves them out."""
    seed: int = 0
    workers: Workers = 1
    ray: Ray = None
    keep: KeepFolder = None
    markdown: bool = False
    """Print Markdown."""
    json: OutFile | None = None
    """JSON file to write the records to."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/robustness.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Evaluate, write and print; raise PoliciesFailed at the end where a policy fails."""
    check(arguments)
    register_policies()
    where = Where(workers=arguments.workers, ray=arguments.ray)
    with where.joined():
        play(arguments, where)


def play(arguments: Arguments, where: Where) -> None:
    """Play everything, write as each part is done, and print."""
    met = [(fleet, name) for fleet in arguments.fleets for name in CONDITIONS]
    conditions = [condition(arguments, fleet, name) for fleet, name in met]
    records: dict[str, dict[str, list[Record]]] = {
        fleet: {name: [] for name in CONDITIONS} for fleet in arguments.fleets
    }
    attempts = Attempts()
    for contest in contests(arguments):
        played = evaluate_each(contest, conditions, where=where, keep=arguments.keep, progress=None)
        for (fleet, name), compared in zip(met, played, strict=True):
            records[fleet][name] += [{"condition": name, **record} for record in compared.records]
            attempts.failed.update(compared.attempts.failed)
            write(arguments, records)
    for fleet, groups in records.items():
        show(arguments, fleet, groups)
    print_text(LEGEND)
    attempts.end()


def write(arguments: Arguments, records: Mapping[str, Mapping[str, list[Record]]]) -> None:
    """Write the records so far, before anything is printed."""
    if arguments.json is not None:
        every = [record for groups in records.values() for group in groups.values() for record in group]
        write_json(arguments.json, {"arguments": plain(arguments), "conditions": CONDITIONS, "records": every})


def check(arguments: Arguments) -> None:
    """Raise ConfigError for options that contradict each other, before any work is done."""
    for name, least in (("episodes", 1), ("rollout_episodes", 0), ("workers", 1)):
        if getattr(arguments, name) < least:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option}: must be an integer of at least {least}, got {getattr(arguments, name)}")
    for name in ("fleets", "policies"):
        if not getattr(arguments, name):
            raise ConfigError(f"--{name}: needs at least one value")
    if len(set(arguments.fleets)) < len(arguments.fleets):
        raise ConfigError(f"--fleets: must be distinct, got {' '.join(arguments.fleets)}")
    for fleet in arguments.fleets:
        load_scenario(fleet).with_options(load=arguments.load, jobs=arguments.jobs)


def condition(arguments: Arguments, fleet: str, name: str) -> Condition:
    """Return a fleet under one of the conditions."""
    options = {"load": arguments.load, "jobs": arguments.jobs, **CONDITIONS[name]}
    scenario = load_scenario(fleet).with_options(**options)
    table = scenario_table(scenario)
    return Condition(scenario=scenario, table=table, graphs=table.group_names)


def contests(arguments: Arguments) -> list[Contest]:
    """Return what is played under each condition: the policies, and the planners where they are asked for."""
    groups = [(arguments.policies, arguments.episodes)]
    if arguments.rollout_episodes:
        groups.append((tuple(PLANNERS), arguments.rollout_episodes))
    return [
        Contest(
            policies=policy_factories(names, dispatch=False),
            shortest_job_first=policy_factory("sjf", dispatch=False),
            uninformed={},
            dispatch=False,
            seed=arguments.seed,
            episodes=episodes,
        )
        for names, episodes in groups
    ]


def show(arguments: Arguments, fleet: str, groups: Mapping[str, list[Record]]) -> None:
    """Print a fleet's table."""
    title = (
        f"{load_scenario(fleet).name}, Queue-v0, load {arguments.load:g}, "
        f"{counted(arguments.jobs, 'job')}, {counted(arguments.episodes, 'episode')}"
    )
    if arguments.markdown:
        print(f"## {title}\n\n{condition_markdown(groups)}\n", flush=True)
    else:
        print_table(condition_table(groups, title=title))


if __name__ == "__main__":
    sys.exit(main())
