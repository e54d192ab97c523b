"""Play one agent and the heuristics on fleets that no training saw: a table, a line for each random scenario.

Examples:
    python scripts/studies/any_fleet.py --agent agent:queue --keep out/any_fleet
    python scripts/studies/any_fleet.py --graphs Cora.npz Citeseer.npz ENZYMES.npz MUTAG.npz --fleets 10
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gnnsched_cli.command import OutFile, plain, run_command
from gnnsched_cli.policy_names import register_policies
from gnnsched_cli.task_options import KeepFolder, Ray, Workers
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.files import write_json
from gnnsched_env.common.parallel.task_runs import Where
from gnnsched_env.evaluation import policy_factories, policy_factory
from gnnsched_env.evaluation.episode_blocks import Condition, Record
from gnnsched_env.evaluation.records import Contest, evaluate_each
from gnnsched_env.scenario import Scenario, random_scenarios, scenario_table
from gnnsched_env.scenario.random_scenarios import closed_form_table
from gnnsched_env.workload import classes_from_files

HEURISTICS = ("assignment", "sjf", "min_min", "sufferage", "earliest_finish_wait", "index", "fifo")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Compare an agent with the best heuristic of each of the first random scenarios of the split "test"."""

    agent: str = "agent:queue"
    heuristics: tuple[str, ...] = HEURISTICS
    """Policies to compare with; the best one of a scenario is the one with the smallest mean completion there."""
    fleets: int = 30
    """Number of scenarios."""
    draw: int = 0
    """Seed that draws the scenarios."""
    graphs: tuple[Path, ...] = ()
    """Graph files (.npz), one mix, in place of the scenarios' synthetic workloads."""
    jobs: int = 1_000
    episodes: int = 10
    """Number of episodes of each policy in each scenario; their seeds are --seed, --seed + 1, ..."""
    seed: int = 0
    workers: Workers = 1
    ray: Ray = None
    keep: KeepFolder = None
    json: OutFile | None = None
    """JSON file to write the figures to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What came of one scenario: mean completion of the best heuristic over the agent's, [value, low, high]."""

    scenario: Scenario
    best: str
    over_agent: list[float]
    ratios: dict[str, float]  # each heuristic's mean completion over the agent's


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/any_fleet.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Play, write and print."""
    if "assignment" not in arguments.heuristics:
        raise ConfigError(f"any_fleet: heuristics must include assignment, got {', '.join(arguments.heuristics)}")
    register_policies()
    lines = []
    for line in played(arguments):
        lines.append(line)
        if arguments.json is not None:
            found = [{**told(own), "ratios": own.ratios, "over_agent": own.over_agent} for own in lines]
            write_json(arguments.json, {"arguments": plain(arguments), "lines": found})
    print(table_of(lines))
    print(f"\n{summary(lines)}")


def scenarios(arguments: Arguments) -> tuple[Scenario, ...]:
    """Return the scenarios, under the graphs where some are given."""
    drawn = random_scenarios(arguments.fleets, seed=arguments.draw)
    if arguments.graphs:
        classes = classes_from_files(arguments.graphs)
        drawn = tuple(replace(own, table=closed_form_table(classes, own.fleet)) for own in drawn)
    return tuple(own.with_options(jobs=arguments.jobs) for own in drawn)


def played(arguments: Arguments) -> Iterator[Line]:
    """Yield a line for each scenario."""
    drawn = scenarios(arguments)
    conditions = []
    for scenario in drawn:
        table = scenario_table(scenario)
        conditions.append(Condition(scenario=scenario, table=table, graphs=table.group_names))
    contest = Contest(
        policies=policy_factories((arguments.agent, *arguments.heuristics), dispatch=False),
        shortest_job_first=policy_factory("sjf", dispatch=False),
        uninformed={},
        dispatch=False,
        seed=arguments.seed,
        episodes=arguments.episodes,
        versus=arguments.agent,
    )
    where = Where(workers=arguments.workers, ray=arguments.ray)
    compared = evaluate_each(contest, conditions, where=where, keep=arguments.keep, progress=None)
    for scenario, own in zip(drawn, compared, strict=True):
        yield line_of(scenario, arguments.agent, own.checked())


def line_of(scenario: Scenario, agent: str, records: Sequence[Record]) -> Line:
    """Return what came of a scenario, from its records, best first."""
    heuristics = [record for record in records if record["policy"] != agent]
    ratios = {record["policy"]: record["ratio_to_versus"]["completion"] for record in heuristics}
    best = heuristics[0]["policy"]
    return Line(
        scenario=scenario,
        best=best,
        over_agent=ratios[best],
        ratios={name: value for name, (value, _, _) in ratios.items()},
    )


def told(line: Line) -> dict[str, Any]:
    """Return what a scenario is, by column."""
    scenario = line.scenario
    hardware = [(entry.pes, entry.dataflows) for entry in scenario.fleet.accelerators]
    arrivals = scenario.arrivals
    return {
        "scenario": scenario.name,
        "accelerators": len(hardware),
        "kinds": len(set(hardware)),
        "load": round(scenario.environment.load, 2),
        "arrivals": arrivals.process + (f", drift {arrivals.drift:.1f}" if arrivals.drift else ""),
        "failures": f"{scenario.failures.up:.0f} {scenario.failures.down:.0f}" if scenario.failures.up else "",
        "error": f"{100 * scenario.prediction_error.noise:.0f} %" if scenario.prediction_error.noise else "",
        "best heuristic": line.best,
    }


def table_of(lines: Sequence[Line]) -> str:
    """Return the table in Markdown."""
    rows = [
        [*(str(value) for value in told(line).values()), _cell(line.over_agent), f"{line.ratios['assignment']:.3f}"]
        for line in lines
    ]
    names = [*told(lines[0]), "... over the agent", "`assignment` over the agent"]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, ["---"] * len(names), *rows])


def summary(lines: Sequence[Line]) -> str:
    """Return the geometric mean of the ratios, and how many are significantly above and below 1, in words."""
    logs = [math.log(line.over_agent[0]) for line in lines]
    halves = [math.log(line.over_agent[2] / line.over_agent[1]) / 2 for line in lines]
    mean, half = math.exp(sum(logs) / len(logs)), math.hypot(*halves) / len(logs)
    better = sum(line.over_agent[1] > 1.0 for line in lines)
    worse = [line.scenario.name for line in lines if line.over_agent[2] < 1.0]
    fixed = {
        name: math.exp(sum(math.log(line.ratios[name]) for line in lines) / len(lines)) for name in lines[0].ratios
    }
    return (
        f"Best heuristic of each scenario over the agent: {mean:.3f} ±{mean * half:.3f} (geometric mean of "
        f"{len(lines)}); the agent is significantly better on {better}, significantly worse on {len(worse)}"
        + (f" ({', '.join(worse)})" if worse else "")
        + ". One heuristic for all: "
        + ", ".join(f"{name} {ratio:.3f}" for name, ratio in sorted(fixed.items(), key=lambda pair: pair[1]))
    )


def _cell(interval: Sequence[float]) -> str:
    value, low, high = interval
    mark = " +" if low > 1.0 else " -" if high < 1.0 else ""
    return f"{value:.3f} ±{(high - low) / 2:.3f}{mark}"


if __name__ == "__main__":
    sys.exit(main())
