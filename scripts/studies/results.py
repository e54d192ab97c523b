"""Print docs/results/policies.md: the paper's two ratios per graph set, every policy on the mix of all sets."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gnnsched_cli.command import run_command
from gnnsched_cli.policy_names import register_policies
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.evaluation import Record, compare, with_graphs
from gnnsched_env.graphs import GraphSet
from gnnsched_env.predictors import mape, regret, selection_accuracy
from gnnsched_env.scenario import Scenario, load_scenario, scenario_table

PAPER_LOAD = 0.8
LOADS = (0.5, 0.8, 0.95)
MIX = "tu-mix"


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Print the tables of docs/results/policies.md as Markdown."""

    graphs: Path
    """A folder of graph files (.npz)."""
    scenario: str = "hetero4"
    episodes: int = 100
    jobs: int = 1000
    seed: int = 0


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/results.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Evaluate and print."""
    register_policies()
    scenario = load_scenario(arguments.scenario).with_options(jobs=arguments.jobs)
    files = sorted(arguments.graphs.glob("*.npz"))
    if not files:
        raise ConfigError(f"--graphs: the folder {arguments.graphs} holds no .npz file")
    sets = [path for path in files if len(GraphSet.load(path)) > 1]
    workloads = {path.stem: (path,) for path in files} | ({MIX: tuple(sets)} if len(sets) > 1 else {})
    _print_paper(arguments, scenario, workloads)
    if MIX in workloads:
        for load in LOADS:
            _print_policies(arguments, with_graphs(scenario, workloads[MIX]), load)


def _print_paper(arguments: Arguments, scenario: Scenario, workloads: dict[str, tuple[Path, ...]]) -> None:
    """Print the predictor's scores and predictor_greedy's speed-ups over the best uninformed policy, Dispatch-v0."""
    print(f"## The paper's comparison: {scenario.fleet.name}, Dispatch-v0, load {PAPER_LOAD}\n")
    print("| graphs | right choice | MAPE | mean regret | completion speed-up | execution speed-up | best uninformed |")
    print("|---|---|---|---|---|---|---|")
    for name, files in workloads.items():
        chosen = with_graphs(scenario, files)
        table = scenario_table(chosen)
        records = {record["policy"]: record for record in _evaluate(arguments, chosen, PAPER_LOAD, dispatch=True)}
        greedy = records["predictor_greedy"]["ratio_to_best_uninformed"]
        best = next(entry for entry in records.values() if entry["knowledge"] == "none")  # best first
        true, predicted = table.true_cycles, table.predicted_cycles
        print(
            f"| {name} | {selection_accuracy(true, predicted):.1f} % | {mape(true, predicted):.2f} % "
            f"| {regret(true, predicted).mean():.4f} | {_speed_up(greedy['completion'])} "
            f"| {_speed_up(greedy['execution'])} | {best['policy']} (capacity {best['capacity']:.2f}) |"
        )


def _print_policies(arguments: Arguments, scenario: Scenario, load: float) -> None:
    """Print every policy on the mix, Queue-v0."""
    print(f"\n## {MIX}, {scenario.fleet.name}, Queue-v0, load {load}\n")
    print("| policy | knows | capacity | mean completion | mean execution | completion / clairvoyant SJF |")
    print("|---|---|---|---|---|---|")
    for record in _evaluate(arguments, scenario, load, dispatch=False):
        value, low, high = record["ratio_to_sjf_clairvoyant"]["completion"]
        capacity = f"{record['capacity']:.2f}" + ("" if record["stable"] else " (unstable)")
        print(
            f"| {record['policy']} | {record['knowledge']} | {capacity} | {record['mean_completion']:,.0f} "
            f"| {record['mean_execution']:,.0f} | {value:.3f} [{low:.3f}, {high:.3f}] |"
        )


def _evaluate(arguments: Arguments, scenario: Scenario, load: float, *, dispatch: bool) -> list[Record]:
    return compare(
        scenario.with_options(load=load),
        table=scenario_table(scenario),
        dispatch=dispatch,
        seed=arguments.seed,
        episodes=arguments.episodes,
        graphs=[Path(path).stem for path in scenario.workload.graphs],
    )


def _speed_up(ratio: list[float]) -> str:
    value, low, high = ratio
    return f"{1 / value:.2f}x [{1 / high:.2f}, {1 / low:.2f}]"


if __name__ == "__main__":
    sys.exit(main())
