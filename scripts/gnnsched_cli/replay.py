"""Play finished live runs in the simulator, under the same policies, and compare: errors, noise floor, ranking.

Examples:
    gnnsched replay run1 run2
    gnnsched replay run3 run4 --calibration calibration --json replay.json
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from gnnsched_cli.command import OutFile, counted, plain, print_table, print_text
from gnnsched_cli.policy_names import register_policies
from gnnsched_env.common.errors import ConfigError

if TYPE_CHECKING:
    from gnnsched_env.live.replay.calibration import Calibration
    from gnnsched_env.live.replay.comparison import Comparison
    from gnnsched_env.live.replay.finished_runs import FinishedRun

DEFAULT_REPLAYS = 20


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Play finished live runs in the simulator, and compare."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders of finished runs, of one fleet and one latency table; those that share policy, load, jobs and seed are
    repeats, which tell the noise floor."""
    calibration: Path | None = None
    """Folder or file that `gnnsched calibrate` wrote; by default devices take exactly what was profiled."""
    replays: int | None = None
    """Replays of each run with a calibration, whose draws differ, by default 20; without one they are all alike."""
    seed: int = 0
    """Seed of the draws of the first replay; the next ones have --seed + 1, ..."""
    markdown: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print Markdown."""
    json: OutFile | None = None
    """JSON file to write the comparison to."""


def run(arguments: Arguments) -> None:
    """Replay, write and print."""
    from gnnsched_env.common.checks import Integer
    from gnnsched_env.common.files import write_json
    from gnnsched_env.live.replay.calibration import Calibration
    from gnnsched_env.live.replay.comparison import rankings
    from gnnsched_env.live.replay.finished_runs import read_finished
    from gnnsched_env.live.replay.replaying import MOST_REPLAYS
    from gnnsched_env.report import replay_table as tables

    register_policies()
    replays = DEFAULT_REPLAYS if arguments.replays is None else arguments.replays
    Integer(1, MOST_REPLAYS).check("replay", "replays", replays)
    if arguments.replays is not None and arguments.calibration is None:
        raise ConfigError("--replays: goes with --calibration; without one all replays of a run are alike")
    Integer(0, (1 << 63) - MOST_REPLAYS).check("replay", "seed", arguments.seed)
    calibration = None if arguments.calibration is None else Calibration.load(arguments.calibration)
    runs = read_finished(arguments.runs)
    comparisons = compared(runs, calibration, replays=replays, seed=arguments.seed)
    ranked = rankings(comparisons)
    if arguments.json is not None:
        told = {"comparisons": [one.to_dict() for one in comparisons], "rankings": [one.to_dict() for one in ranked]}
        write_json(arguments.json, {"arguments": plain(arguments), **told})
    title = f"{runs[0].run.fleet.name}, {counted(len(runs), 'run')}, " + (
        "as profiled" if calibration is None else "calibrated"
    )
    if arguments.markdown:
        print(f"{tables.replay_markdown(comparisons)}\n")
    else:
        print_table(tables.replay_table(comparisons, title=title))
    print_text(tables.LEGEND)
    if ranked:
        if arguments.markdown:
            print(f"\n{tables.ranking_markdown(ranked)}\n")
        else:
            print_table(tables.ranking_table(ranked, title="Ranking of the policies"))
        print_text(tables.RANKING_LEGEND)
    for line in disturbed(runs):
        print_text(line)


def compared(
    runs: "tuple[FinishedRun, ...]", calibration: "Calibration | None", *, replays: int, seed: int
) -> "list[Comparison]":
    """Return the runs beside their replays: with a calibration several, else one."""
    from gnnsched_env.common.progress import progress_bar
    from gnnsched_env.live.replay.comparison import compare_runs
    from gnnsched_env.live.replay.replaying import replay_calibrated, replay_run

    if calibration is None:
        return compare_runs(runs, lambda made: [replay_run(made)])
    for made in runs:
        calibration.check_fits(made)
    total = replays * len({made.key for made in runs})
    with progress_bar("replaying", total, shown=None, unit="replays") as advance:
        return compare_runs(
            runs,
            lambda made: replay_calibrated(made, calibration, replays=replays, seed=seed, advance=advance),
            calibration.fitted_on,
        )


def disturbed(runs: "tuple[FinishedRun, ...]") -> list[str]:
    """Return a line for each run in which devices or jobs were lost, which no replay has."""
    told = []
    for made in runs:
        found = made.disturbances
        if any(found.values()):
            lost = counted(found["down"], "loss").replace("losss", "losses")
            told.append(
                f"{made.folder}: {lost} of devices, {counted(found['abort'], 'stopped run')} and "
                f"{counted(found['give_up'], 'job')} given up are not replayed"
            )
    return told
