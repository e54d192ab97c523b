"""Tune the constant c of the assignment policy on validation workloads: classes that are drawn for nothing else."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from gnnsched_baselines import make_policy
from gnnsched_cli.command import run_command
from gnnsched_env.evaluation import PolicyFactory, run_policy
from gnnsched_env.predictors import build_table
from gnnsched_env.scenario import Scenario, load_scenario
from gnnsched_env.tables import LatencyTable
from gnnsched_env.workload import classes_from_files, synthetic_classes

VALIDATION_SEED = 101  # workloads are those of seed 0 unless a scenario says otherwise


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Tune the constant c of the assignment policy."""

    scenario: str = "hetero4"
    graphs: tuple[Path, ...] = ()
    """Graph files (.npz), one mix; none: the embedded synthetic families."""
    c: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
    load: tuple[float, ...] = (0.5, 0.65, 0.8, 0.95)
    jobs: int = 1000
    episodes: int = 32


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/tune_assignment.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Print, for each load, the mean completion of each c over that of shortest job first."""
    scenario = load_scenario(arguments.scenario).with_options(jobs=arguments.jobs)
    table = validation_table(scenario, arguments.graphs)
    console = Console(width=200)
    console.print("load  " + "".join(f"  c={c:<5g}" for c in arguments.c))
    logs = dict.fromkeys(arguments.c, 0.0)
    for load in arguments.load:
        ratios = ratios_to_sjf(scenario.with_options(load=load), table, arguments)
        logs = {c: logs[c] + math.log(ratio) for c, ratio in ratios.items()}
        console.print(f"{load:<6g}" + "".join(f"  {ratio:<7.4f}" for ratio in ratios.values()))
    console.print("mean  " + "".join(f"  {math.exp(log / len(arguments.load)):<7.4f}" for log in logs.values()))


def validation_table(scenario: Scenario, graphs: tuple[Path, ...]) -> LatencyTable:
    """Return the latencies of the validation classes."""
    seed = VALIDATION_SEED
    classes = classes_from_files(graphs, seed=seed) if graphs else synthetic_classes(seed=seed)
    return build_table(classes, scenario.fleet)


def ratios_to_sjf(scenario: Scenario, table: LatencyTable, arguments: Arguments) -> dict[float, float]:
    """Return the ratio of mean completions of each c, all over the same validation episodes."""
    seeds: Any = {"seed": 0, "episodes": arguments.episodes, "split": "validation"}

    def mean(factory: PolicyFactory) -> float:
        runs = run_policy(factory, scenario, table, dispatch=False, **seeds)
        return float(runs.pooled("completion").mean())

    reference = mean(lambda layout, _: make_policy("sjf", layout))
    return {c: mean(assignment(c)) / reference for c in arguments.c}


def assignment(c: float) -> PolicyFactory:
    """Return the function that makes the policy with one c."""
    return lambda layout, _: make_policy("assignment", layout, c=c)


if __name__ == "__main__":
    sys.exit(main())
