"""Score a policy's file on hidden episodes, and say where it lost most.

Examples:
    gnnsched arena my_policy.py
    gnnsched arena my_policy.py --fleet fixed9 --seed 7 --at-most 0.9
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from gnnsched_cli.command import OutFile, print_table, print_text
from gnnsched_cli.policy_names import register_policies
from gnnsched_env.common.errors import ConfigError

LEGEND = """score: geometric mean over hidden workloads of (C - bound) / (C of clairvoyant shortest-job-first - bound),
C being the mean completion time and bound a proved lower bound on it; the smaller the better, 1 is clairvoyant
shortest-job-first. 95 %: interval over episodes."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Play the function choose(observation, mask) of a file, in processes of its own."""

    file: tyro.conf.Positional[Path]
    """The policy's file."""
    fleet: str = "hetero4"
    """A preset fleet, or the path of one's TOML file."""
    seed: Annotated[int | None, tyro.conf.arg(help="Seed that draws the episodes anew; none: nobody knows them.")] = (
        None
    )
    versus: str = "assignment"
    """The policy that decisions are compared with."""
    losses: int = 10
    """How many of the costliest decisions are shown."""
    decision_s: float = 1.0
    """Longest time of a decision, seconds."""
    memory: int = 2048
    """Most memory of the policy's process, mebibytes."""
    at_most: float | None = None
    """Exit with status 1 where the score is above this."""
    json: OutFile | None = None
    """JSON file to write the result to."""


def run(arguments: Arguments) -> int:
    """Play, print and write; return 1 where the score is above --at-most."""
    from dataclasses import asdict

    from gnnsched_env.bench.arena.arena import WORLDS, enter_arena
    from gnnsched_env.common.files import write_json
    from gnnsched_env.common.progress import progress_bar

    if arguments.at_most is not None and not arguments.at_most > 0:
        raise ConfigError(f"--at-most: must be above 0, as scores are, got {arguments.at_most:g}")
    register_policies()
    with progress_bar("arena", 2 * WORLDS, shown=None, unit="workloads") as advance:
        result = enter_arena(
            arguments.file,
            fleet=arguments.fleet,
            seed=arguments.seed,
            better=arguments.versus,
            losses=arguments.losses,
            decision_s=arguments.decision_s,
            memory=arguments.memory,
            advance=advance,
        )
    if arguments.json is not None:
        write_json(arguments.json, asdict(result))
    show(arguments, result)
    return int(arguments.at_most is not None and not result.score.value <= arguments.at_most)


def show(arguments: Arguments, result: Any) -> None:
    """Print the scores and the costliest decisions."""
    from rich import box
    from rich.table import Table

    rows = {str(arguments.file): result.score, **result.others}
    scores = Table(title=f"{arguments.fleet}, hidden episodes of seed {result.seed}", title_justify="left")
    losses = Table(title="", title_justify="left")
    for table in (scores, losses):
        table.box, table.padding = box.SIMPLE_HEAD, (0, 1, 0, 0)
    for name in ("policy", "score", "95 %"):
        scores.add_column(name, justify="left" if name == "policy" else "right", no_wrap=True)
    for name, score in sorted(rows.items(), key=lambda row: float(row[1].value)):
        scores.add_row(name, f"{score.value:.3f}", f"{score.low:.3f} to {score.high:.3f}")
    print_table(scores)
    if result.losses:
        losses.title = (
            f"Its worst episode against {result.better}: {result.lost:,} cycles of completion time lost; "
            f"decisions that cost most"
        )
        for name in ("decision", "at cycle", "waiting", "it did", f"{result.better} does", "cost, cycles"):
            losses.add_column(name, justify="left" if "d" in name.split()[-1] else "right", no_wrap=True)
        for one in result.losses:
            losses.add_row(str(one.number), f"{one.time:,}", str(one.waiting), one.done, one.better, f"{one.regret:,}")
        print_table(losses)
    print_text(LEGEND)
