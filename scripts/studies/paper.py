"""Set each claim of the paper behind this project (arXiv 2411.16342) beside what is measured here.

Example:
    python scripts/studies/paper.py --graphs ../shared/graphs/*.npz --json out/paper.json
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from gnnsched_cli.command import OutFile, plain, run_command
from gnnsched_cli.policy_names import register_policies
from gnnsched_env.common.files import write_json
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.evaluation import compare, with_graphs
from gnnsched_env.scenario import load_scenario, scenario_table
from gnnsched_env.tables import LatencyTable

GREEDY, PREDICTED_SJF = "predictor_greedy", "sjf"
PAPER = {"optimal": 0.9128, "mape": 0.0378, "completion": 3.17, "execution": 6.26}  # "up to", "best"
SHOWN_LOAD = 0.8  # beyond it the window of 32 hides jobs from a rule that the clairvoyant one sees
LOADS = (0.3, 0.5, 0.8, 0.9, 0.95)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Play predictor-greedy, shortest-job-first and all that know no latencies, on each graph set alone."""

    graphs: tuple[Path, ...]
    """Graph files (.npz); each is a workload of its own."""
    fleets: tuple[str, ...] = ("fixed9", "hetero4")
    """Preset fleets."""
    predictors: tuple[str, ...] = ("gradient_boosting", "gradient_boosting_metadata")
    """Latency predictors: one that reads degrees, and one that reads sizes only, as the paper's does."""
    load: tuple[float, ...] = LOADS
    """Arrival rates, as shares of the fleet's largest sustainable rate."""
    jobs: int = 1_000
    """Jobs of an episode."""
    episodes: int = 20
    """Number of episodes; their seeds are 0, 1, ..."""
    json: OutFile | None = None
    """JSON file to write the figures to."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/paper.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Play, write and print."""
    register_policies()
    found: list[dict[str, Any]] = []
    total = len(arguments.predictors) * len(arguments.fleets) * len(arguments.graphs) * 2 * len(arguments.load)
    with progress_bar("playing", total, shown=None, unit="settings") as advance:
        for row in rows(arguments):
            found.append(row)
            advance(1)
            if arguments.json is not None:
                write_json(arguments.json, {"arguments": plain(arguments), "rows": found})
    print(claims_table(found))
    print()
    print(predictions_table(found))
    print()
    print(sets_table(found))
    print()
    print(gains_table(found))


def rows(arguments: Arguments) -> Iterator[dict[str, Any]]:
    """Yield the figures of each predictor, fleet, graph set, environment and load."""
    for predictor, fleet, file in product(arguments.predictors, arguments.fleets, arguments.graphs):
        base = with_graphs(load_scenario(fleet), (file,)).with_options(jobs=arguments.jobs, predictor=predictor)
        table = scenario_table(base)
        for dispatch, load in product((False, True), arguments.load):
            names = (GREEDY,) if dispatch else (GREEDY, PREDICTED_SJF)
            scenario = base.with_options(load=load)
            records = compare(scenario, names, table=table, dispatch=dispatch, episodes=arguments.episodes)
            own = {record["policy"]: record for record in records}
            greedy = own[GREEDY]["ratio_to_best_uninformed"]
            sjf = own[PREDICTED_SJF]["ratio_to_sjf_clairvoyant"]["completion"][0] if PREDICTED_SJF in own else None
            yield {
                "predictor": predictor,
                "fleet": fleet,
                "set": file.stem,
                "env": "dispatch" if dispatch else "queue",
                "load": load,
                **predictions(table),
                "completion": 1 / greedy["completion"][0],
                "execution": 1 / greedy["execution"][0],
                "sjf": sjf,
            }


def predictions(table: LatencyTable) -> dict[str, float]:
    """Return how often the choice of smallest predicted latency is a best one, and the mean error of predictions."""
    jobs = np.arange(len(table.true_cycles))
    chosen = table.true_cycles[jobs, table.predicted_cycles.argmin(axis=1)]
    best = chosen == table.true_cycles.min(axis=1)
    error = np.abs(table.predicted_cycles - table.true_cycles) / table.true_cycles
    return {"optimal": float(table.weights @ best), "mape": float(table.weights @ error.mean(axis=1))}


def claims_table(found: Sequence[dict[str, Any]]) -> str:
    """Return each claim of the paper beside the figures here: a line for each claim, a column for each predictor."""
    predictors = list(dict.fromkeys(row["predictor"] for row in found))
    own = [[row for row in found if row["predictor"] == name] for name in predictors]
    lines = [f"| claim | paper | {' | '.join(f'`{name}`' for name in predictors)} |", "|---|---:|" + "---|" * len(own)]
    for name, told in (("optimal", "optimal dataflow chosen"), ("mape", "MAPE")):
        cells = [f"{min(row[name] for row in rows):.2%} to {max(row[name] for row in rows):.2%}" for rows in own]
        lines.append(f"| {told} | {PAPER[name]:.2%} | {' | '.join(cells)} |")
    for name in ("completion", "execution"):
        cells = [_most(rows, name) for rows in own]
        lines.append(f"| {name}, times faster | {PAPER[name]:.2f}x | {' | '.join(cells)} |")
    shown = [[row for row in rows if row["sjf"] is not None and row["load"] <= SHOWN_LOAD] for rows in own]
    cells = [f"{min(row['sjf'] for row in rows):.3f} to {max(row['sjf'] for row in rows):.3f}" for rows in shown]
    lines.append(f"| sjf over clairvoyant sjf, loads to {SHOWN_LOAD:g} | 1.000 | {' | '.join(cells)} |")
    return "\n".join(lines)


def _most(rows: Sequence[dict[str, Any]], name: str) -> str:
    """Return the largest gain, where it is reached, and how many settings reach the paper's."""
    best = max(rows, key=lambda row: row[name])
    reach = sum(row[name] >= PAPER[name] for row in rows)
    where = f"`{best['fleet']}`, {best['env']}, {best['set']}, load {best['load']:g}"
    return f"{best[name]:.2f}x ({where}); reached in {reach} of {len(rows)} settings"


def sets_table(found: Sequence[dict[str, Any]]) -> str:
    """Return the least and the largest gain over the loads, a line for each predictor, fleet, environment and set."""
    heads = ("predictor", "fleet", "environment", "graph set", "completion, times faster", "execution, times faster")
    lines = [f"| {' | '.join(heads)} |", "|---|---|---|---|---|---|"]
    for key, own in _grouped(found, "predictor", "fleet", "env", "set"):
        cells = []
        for name in ("completion", "execution"):
            low, high = (pick(own, key=lambda row: row[name]) for pick in (min, max))
            cells.append(f"{low[name]:.2f} (load {low['load']:g}) to {high[name]:.2f} (load {high['load']:g})")
        lines.append(f"| `{key[0]}` | `{key[1]}` | {key[2]} | {key[3]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def predictions_table(found: Sequence[dict[str, Any]]) -> str:
    """Return the table of predictions, a line for each predictor, fleet and set."""
    lines = ["| predictor | fleet | graph set | optimal choice | MAPE |", "|---|---|---|---:|---:|"]
    for key, own in _grouped(found, "predictor", "fleet", "set"):
        lines.append(f"| `{key[0]}` | `{key[1]}` | {key[2]} | {own[0]['optimal']:.2%} | {own[0]['mape']:.2%} |")
    return "\n".join(lines)


def gains_table(found: Sequence[dict[str, Any]]) -> str:
    """Return the table of gains, a line for each predictor, fleet, environment and load: mean and range over sets."""
    heads = ("predictor", "fleet", "environment", "load", "completion, times faster", "execution, times faster")
    lines = [f"| {' | '.join(heads)} | sjf / clairvoyant sjf |", "|---|---|---|---:|---|---|---|"]
    for key, own in _grouped(found, "predictor", "fleet", "env", "load"):
        cells = [_range([row[name] for row in own]) for name in ("completion", "execution", "sjf")]
        lines.append(f"| `{key[0]}` | `{key[1]}` | {key[2]} | {key[3]:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _grouped(found: Sequence[dict[str, Any]], *names: str) -> list[tuple[tuple[Any, ...], list[dict[str, Any]]]]:
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in found:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return list(groups.items())


def _range(values: Sequence[float | None]) -> str:
    numbers = [value for value in values if value is not None]
    if not numbers:
        return "-"
    mean = float(np.exp(np.mean(np.log(numbers))))
    digits = 3 if max(numbers) < 1.5 else 2
    return f"{mean:.{digits}f} ({min(numbers):.{digits}f} to {max(numbers):.{digits}f})"


if __name__ == "__main__":
    raise SystemExit(main())
