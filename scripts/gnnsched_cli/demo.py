"""The main job on real input: graphs in, a table out that says how each policy schedules them on a fleet.

Set GNNSCHED_GRAPHS to graph files (.npz) or a folder of them (several are separated as in PATH); without it the
embedded synthetic workload is used.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from gnnsched_cli.command import print_table, print_text
from gnnsched_cli.policy_names import register_policies
from gnnsched_env.common.errors import FileFormatError

if TYPE_CHECKING:
    from gnnsched_env.tables import LatencyTable

VARIABLE = "GNNSCHED_GRAPHS"
SCENARIO = "hetero4"
LOADS = (0.5, 0.8)
EPISODES = 20
AGENTS = {"queue": "agent:queue", "dispatch": "agent:dispatch"}


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Show the main job on real input; there are no options."""


def run(arguments: Arguments) -> None:
    """Print the predictor's scores and the policies' tables."""
    from gnnsched_env.evaluation import compare, with_graphs
    from gnnsched_env.report.policy_table import LEAVE_OUT, LEGEND, policy_table
    from gnnsched_env.scenario import load_scenario, scenario_table

    register_policies()
    graphs = graph_files(os.environ.get(VARIABLE, ""))
    scenario = with_graphs(load_scenario(SCENARIO), graphs)
    what = ", ".join(Path(path).stem for path in graphs) or f"the embedded synthetic classes (set {VARIABLE} for yours)"
    print(f"Jobs: two-layer GCN inference on {what}\nFleet: {scenario.fleet.name}")
    table = scenario_table(scenario, progress=None)
    print_table(_predictor_table(table))
    for env, loads in (("queue", LOADS), ("dispatch", LOADS[-1:])):
        for load in loads:
            records = compare(
                scenario.with_options(load=load),
                ("all", AGENTS[env]),
                table=table,
                dispatch=env == "dispatch",
                episodes=EPISODES,
                progress=None,
            )
            title = f"gnnsched/{env.title()}-v0, load {load:g}, {records[0]['jobs']} jobs, {EPISODES} episodes"
            print_table(policy_table(records, title=title), LEAVE_OUT)
    print_text(LEGEND)


def graph_files(setting: str) -> tuple[str, ...]:
    """Return the graph files that the environment variable names, folders unfolded."""
    files: list[Path] = []
    for entry in filter(None, setting.split(os.pathsep)):
        path = Path(entry).expanduser()
        found = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        if not found:
            raise FileFormatError(f"{VARIABLE}: the folder {path} holds no .npz file")
        files += found
    return tuple(str(path) for path in files)


def _predictor_table(table: "LatencyTable") -> Table:
    """Return how well the predicted latencies choose, file by file."""
    from gnnsched_env.predictors import mape, regret, selection_accuracy

    shown = Table(title="Latency predictor against the exact simulator", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("graphs", "classes", "right choice", "MAPE", "mean regret", "worst/best latency"):
        shown.add_column(name, justify="left" if name == "graphs" else "right")
    for name in table.group_names:
        own = table.only_group(name)
        true, predicted = own.true_cycles, own.predicted_cycles
        spread = (true.max(axis=1) / true.min(axis=1)).mean()
        shown.add_row(
            name,
            str(own.num_classes),
            f"{selection_accuracy(true, predicted):.1f}%",
            f"{mape(true, predicted):.2f}%",
            f"{regret(true, predicted).mean():.3f}",
            f"{spread:.1f}x",
        )
    return shown
