"""Measure the latencies of a live fleet into a CSV file, train a predictor on them, and write a latency table.

Example:
    gnnsched profile --fleet cpu2 --graphs MUTAG.npz PROTEINS.npz --out profile
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gnnsched_cli.command import OutFolder, print_text
from gnnsched_env.common.errors import ConfigError

if TYPE_CHECKING:
    from gnnsched_env.live.live_fleet import LiveFleet
    from gnnsched_env.live.profiling.fleet_profile import Profile
    from gnnsched_env.live.served_classes import ServedClasses


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Measure the latencies of a live fleet, train a predictor on them, and write a latency table."""

    out: OutFolder
    """Folder for measured.csv (docs/how-to/measure_your_device.md describes the format) and table.npz."""
    fleet: str = "cpu2"
    """A preset (cpu2) or the path of a live fleet's TOML file."""
    graphs: tuple[str, ...] = ()
    """Graph files (.npz) that jobs run on, one mix."""
    classes: int = 24
    """Batches drawn from each graph set; a file of one graph is one class of jobs."""
    hidden: tuple[int, ...] = (16,)
    """Widths of the GCN's hidden layers."""
    rounds: int = 5
    """Rounds of the first measurements, and of the second ones, which tell the noise floor."""
    seed: int = 0
    """Seed of the order of measuring."""
    address: str | None = None
    """HOST:PORT of a Ray cluster to join; by default Ray runs on this machine alone."""


def run(arguments: Arguments) -> None:
    """Measure, write and print."""
    from gnnsched_env.live.live_fleet import load_live_fleet

    profile, _ = profiled(
        load_live_fleet(arguments.fleet),
        arguments.graphs,
        arguments.out,
        classes=arguments.classes,
        hidden=arguments.hidden,
        rounds=arguments.rounds,
        seed=arguments.seed,
        address=arguments.address,
    )
    print_text(told(profile))
    print(f"wrote {arguments.out}")


def profiled(
    fleet: "LiveFleet",
    graphs: Sequence[str],
    folder: Path,
    *,
    classes: int,
    hidden: Sequence[int],
    rounds: int,
    seed: int,
    address: str | None,
) -> "tuple[Profile, ServedClasses]":
    """Return the profile of a fleet on graph files, whose files are written to a folder, and the classes."""
    from gnnsched_env.common.progress import progress_bar
    from gnnsched_env.live.actors.fleet_session import ray_session
    from gnnsched_env.live.profiling.fleet_profile import profile_fleet
    from gnnsched_env.live.served_classes import ServedClasses
    from gnnsched_env.scenario import Workload

    if not graphs:
        raise ConfigError("--graphs: needs at least one graph file")
    if rounds < 1:
        raise ConfigError(f"--rounds: must be at least 1, got {rounds}")
    for device in fleet.devices:
        if device.kind == "sleep":
            raise ConfigError(
                f"device {device.name!r}: cannot be profiled, since it sleeps as long as a table says "
                "(gnnsched live takes a --table)"
            )
    served = ServedClasses.of(Workload(graphs=tuple(graphs), classes_per_file=classes, hidden=tuple(hidden), seed=seed))
    with (
        ray_session(fleet, address),
        progress_bar("profiling", 2 * rounds + 1, shown=None, unit="rounds") as advance,
    ):
        return profile_fleet(fleet, served, folder, rounds=rounds, seed=seed, advance=advance), served


def told(profile: "Profile") -> str:
    """Return in lines of text what was measured, and how well it is predicted."""
    from gnnsched_env.predictors.scores import score_predictions

    table = profile.table
    scores = score_predictions(table.true_cycles, table.predicted_cycles)
    best = table.true_cycles.argmin(axis=1).tolist()
    shares = ", ".join(f"{name} {best.count(k)}" for k, name in enumerate(table.choice_names))
    return "\n".join(
        [
            f"{table.num_classes:,} classes of jobs, {len(profile.predictor.measured.jobs):,} layers; noise floor "
            f"{100 * profile.noise:.1f} %; best choice: {shares}",
            f"predicted by graphs that were held out ({profile.predictor.form}): MAPE {scores.mape:.1f} %, right "
            f"{scores.accuracy:.0f} %, mean regret {scores.mean_regret:.3f}",
        ]
    )
