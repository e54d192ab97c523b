"""Show when predicting is worth its time: always, never, or only while enough jobs wait, over loads and costs.

Example:
    python scripts/studies/predicting_worth.py --picture out/predicting.png --json out/predicting.json
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnnsched_baselines.skip_predict import DEFAULT_SKIP_BELOW, SkipPredict
from gnnsched_cli.command import OutFile, plain, run_command
from gnnsched_env.common.files import write_json
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.evaluation import Runs, paired_ratio, run_policy, with_graphs
from gnnsched_env.report.pyplot import import_pyplot, save_figure
from gnnsched_env.scenario import Scenario, load_scenario, scenario_table, simulation_settings
from gnnsched_env.scenario.options import MOST_JOBS
from gnnsched_env.tables import LatencyTable

ALWAYS, NEVER = "always", "never"
COLOURS = {ALWAYS: "tab:blue", NEVER: "tab:gray"}


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Play assignment with every job predicted, with none, and with those that come while enough jobs wait."""

    graphs: tuple[Path, ...] = ()
    """Graph files, which make one mix of jobs; by default, the scenario's own workload."""
    scenario: str = "hetero4"
    load: tuple[float, ...] = (0.5, 0.8, 0.95)
    cost: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 0.6, 0.8, 0.9, 1.1, 1.5, 3.0)
    """Times of predicting a job, in mean gaps between arrivals: from 1 on the predictor cannot keep up."""
    skip_below: tuple[int, ...] = (1, 4, DEFAULT_SKIP_BELOW, 16, 64)
    """Numbers of waiting jobs below which the next job is not predicted."""
    jobs: int = 1_000
    episodes: int = 20
    seed: int = 0
    split: str = "validation"
    """Which episodes: "validation", on which the default of the policy was chosen, or "test"."""
    json: OutFile | None = None
    """JSON file to write the figures to."""
    picture: OutFile | None = None
    """File to draw to (.png, .svg, .pdf)."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/predicting_worth.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Play, write, draw and print."""
    if arguments.picture is not None:
        import_pyplot(arguments.picture)
    found: list[dict[str, Any]] = []
    total = len(arguments.load) * len(arguments.cost)
    with progress_bar("playing", total, shown=None, unit="settings") as advance:
        for row in rows(arguments):
            found.append(row)
            advance(1)
            if arguments.json is not None:
                write_json(arguments.json, {"arguments": plain(arguments), "rows": found})
    if arguments.picture is not None:
        draw(found, arguments.picture)
    print(worth_table(found))


def rows(arguments: Arguments) -> Iterator[dict[str, Any]]:
    """Yield, for each load and cost, completion over that with free predictions, [value, low, high] by way."""
    scenario = with_graphs(load_scenario(arguments.scenario), arguments.graphs).with_options(jobs=arguments.jobs)
    table = scenario_table(scenario)
    ways = {ALWAYS: 0, NEVER: MOST_JOBS, **{f"from {count} waiting": count for count in arguments.skip_below}}
    for load in arguments.load:
        loaded = scenario.with_options(load=load)
        free = _played(arguments, loaded, table, 0)
        gap_us = simulation_settings(loaded, table, dispatch=False).mean_gap * 1e6 / scenario.fleet.clock_hz
        for cost in arguments.cost:
            charged = loaded.with_options(decision={"latency_us": cost * gap_us})
            runs = {way: _played(arguments, charged, table, count) for way, count in ways.items()}
            ratios = {
                way: paired_ratio(own.per_episode("completion"), free.per_episode("completion")).as_list()
                for way, own in runs.items()
            }
            yield {"load": load, "cost": cost, "cost_us": cost * gap_us, **ratios}


def _played(arguments: Arguments, scenario: Scenario, table: LatencyTable, skip_below: int) -> Runs:
    return run_policy(
        lambda layout, _: SkipPredict(layout, skip_below=skip_below),
        scenario,
        table,
        dispatch=False,
        seed=arguments.seed,
        episodes=arguments.episodes,
        split=arguments.split,
    )


def worth_table(found: Sequence[dict[str, Any]]) -> str:
    """Return the table of ratios, a line for each load and cost; the best ways of a line are bold."""
    ways = [name for name in found[0] if name not in ("load", "cost", "cost_us")]
    lines = [f"| load | cost, gaps | us | {' | '.join(ways)} |", "|---:|---:|---:|" + "---:|" * len(ways)]
    for row in found:
        least = min(row[way][0] for way in ways)
        cells = [f"**{row[way][0]:.3f}**" if row[way][0] <= 1.01 * least else f"{row[way][0]:.3f}" for way in ways]
        lines.append(f"| {row['load']:g} | {row['cost']:g} | {row['cost_us']:.2f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(found: Sequence[dict[str, Any]], out: Path) -> None:
    """Draw completion over the cost of predicting, a panel for each load, a line for each way."""
    pyplot = import_pyplot(out)
    loads = sorted({row["load"] for row in found})
    ways = [name for name in found[0] if name not in ("load", "cost", "cost_us")]
    figure, axes = pyplot.subplots(1, len(loads), figsize=(4.2 * len(loads), 4), sharey=True, squeeze=False)
    for panel, load in zip(axes[0], loads, strict=True):
        own = [row for row in found if row["load"] == load]
        costs = [row["cost"] for row in own]
        for number, way in enumerate(ways):
            values = np.array([row[way] for row in own])
            colour = COLOURS.get(way, pyplot.get_cmap("plasma")(number / len(ways)))
            panel.plot(costs, values[:, 0], marker="o", markersize=3, color=colour, label=way)
            panel.fill_between(costs, values[:, 1], values[:, 2], color=colour, alpha=0.15, linewidth=0)
        panel.set(xscale="log", yscale="log", title=f"load {load:g}", xlabel="time of predicting a job, mean gaps")
        panel.axvline(1.0, color="black", linewidth=0.5, linestyle=":")
        panel.grid(alpha=0.3)
    axes[0, 0].set_ylabel("mean completion over that with free predictions")
    axes[0, 0].legend(title="predicted", fontsize=8)
    figure.tight_layout()
    save_figure(figure, out)


if __name__ == "__main__":
    raise SystemExit(main())
