"""Print the table of returns in docs/reference/environments.md, with which an agent's returns can be compared.

Example:
    python scripts/studies/returns.py
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from gnnsched_cli.command import run_command
from gnnsched_cli.policy_names import register_policies
from gnnsched_env.evaluation import add_bound, compare, policy_factories
from gnnsched_env.scenario import list_scenarios, load_scenario, scenario_table

POLICIES = ("random", "sjf", "min_min", "assignment")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Print the mean returns of policies in Queue-v0 as Markdown, for each preset scenario and load."""

    loads: tuple[float, ...] = (0.5, 0.8, 0.95)
    """Loads to play at."""
    jobs: int = 200
    """Number of jobs per episode."""
    episodes: int = 20
    """Number of episodes per policy; their seeds are --seed, --seed + 1, ... of the split "test"."""
    seed: int = 0
    """Seed of the first episode."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/returns.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Play and print a row for each scenario and load."""
    register_policies()
    columns = [*(f"`{name}`" for name in POLICIES), "shipped agent", "a bound that no policy passes"]
    print(f"| scenario | load | {' | '.join(columns)} |")
    print(f"|---|---|{'---|' * len(columns)}")
    seed, episodes = arguments.seed, arguments.episodes
    for name in list_scenarios():
        agent = f"agent:queue_{name}"
        policies = policy_factories((*POLICIES, agent), dispatch=False)
        scenario = load_scenario(name).with_options(jobs=arguments.jobs)
        table = scenario_table(scenario)
        for load in arguments.loads:
            at_load = scenario.with_options(load=load)
            records = compare(at_load, policies, table=table, dispatch=False, seed=seed, episodes=episodes)
            add_bound(records, at_load, table, seed=seed, episodes=episodes)
            means = {record["policy"]: record["mean_completion"] for record in records}
            least = records[0]["mean_completion"] / records[0]["ratio_to_bound"]
            figures = [*(means[policy] for policy in (*POLICIES, agent)), least]
            cells = (f"{-figure / table.mean_shortest_predicted:.2f}" for figure in figures)
            print(f"| {name} | {load:g} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
