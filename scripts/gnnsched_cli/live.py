"""Run jobs on real devices under a policy: a fleet of Ray actors, each pinned to its core or GPU (extra `live`).

Examples:
    gnnsched live --graphs karate southern_women --policy assignment --load 0.8 --jobs 500 --out run
    gnnsched live --fleet mine.toml --table profile/table.npz --policy sjf --out run
    gnnsched live --resume --out run
"""

import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnsched_cli.command import OutFolder, plain, print_text
from gnnsched_cli.conditions import changes, with_options
from gnnsched_cli.interrupts import is_interrupt
from gnnsched_cli.policy_names import Policy, register_policies
from gnnsched_env.common.errors import ConfigError

if TYPE_CHECKING:
    from gnnsched_env.live.live_run import LiveRun
    from gnnsched_env.live.profiling.profiled_predictor import ProfiledPredictor
    from gnnsched_env.live.running import Played
    from gnnsched_env.live.served_classes import ServedClasses


DEFAULT_JOBS = 500
DEFAULTS = {"fleet": "cpu2", "classes": 24, "hidden": (16,), "rounds": 5, "policy": "assignment", "seed": 0, "tries": 3}
"""What a run is begun with where an option is left out; with --resume, what is left out is the run's."""


@with_options(only=("load", "window", "arrivals", "drift", "trace", "repeats"))
@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Run jobs on real devices under a policy."""

    out: OutFolder
    """Folder of the run; it must be empty or new, or with --resume hold the run to go on with."""
    fleet: str | None = None
    """A preset (cpu2, sleep2) or the path of a live fleet's TOML file; by default cpu2."""
    graphs: tuple[str, ...] = ()
    """Graph files (.npz) that jobs run on, one mix; the fleet is profiled on them first, into OUT/profile."""
    table: Path | None = None
    """Latency table (.npz) that `gnnsched profile` wrote, in place of --graphs; it says which graphs it is of."""
    classes: int | None = None
    """Batches drawn from each graph set, by default 24; a file of one graph is one class of jobs."""
    hidden: tuple[int, ...] | None = None
    """Widths of the GCN's hidden layers, by default 16."""
    rounds: int | None = None
    """Rounds of measuring, of the first measurements and of the second ones, where the fleet is profiled first; by
    default 5."""
    policy: Policy | None = None
    jobs: int | None = None
    """Number of jobs of the run; by default 500, or all jobs of a trace."""
    seed: int | None = None
    """Seed of the jobs, by default 0: those of the simulated episode of that seed."""
    tries: int | None = None
    """How often a job that raises an error is tried before it is given up, by default 3."""
    address: str | None = None
    """HOST:PORT of a Ray cluster to join; by default Ray runs on this machine alone."""
    resume: bool = False
    """Go on with the run of the folder, after its scheduler was stopped."""


def run(arguments: Arguments) -> None:
    """Begin or go on, play to the end, and print."""
    from gnnsched_env.common.progress import progress_bar
    from gnnsched_env.live.actors.fleet_session import import_ray
    from gnnsched_env.live.live_run import RUN_FILE
    from gnnsched_env.live.running import on_ray, play

    register_policies()
    import_ray()
    given, served, predictor = resumed(arguments) if arguments.resume else begun(completed(arguments))
    predict = None if predictor is None else predictor.predict
    try:
        with progress_bar("running", jobs_of(given), shown=None, unit="jobs") as advance:
            played = play(
                given,
                arguments.out,
                on_ray(served, arguments.address),
                resume=arguments.resume,
                predict=predict,
                advance=advance,
            )
    except BaseException as error:
        if is_interrupt(error) and (arguments.out / RUN_FILE).exists():
            print(f"go on by: gnnsched live --resume --out {arguments.out}", file=sys.stderr)
        raise
    show(played, arguments.out)


def jobs_of(given: "LiveRun") -> int:
    """Return how many jobs a run has."""
    return len(given.planned.planned)


def completed(arguments: Arguments) -> Any:
    """Return the Arguments of a new run, of which none of DEFAULTS is None."""
    missing: dict[str, Any] = {name: value for name, value in DEFAULTS.items() if getattr(arguments, name) is None}
    return replace(arguments, **missing)


def begun(arguments: Any) -> "tuple[LiveRun, ServedClasses, ProfiledPredictor | None]":
    """Return a new run of `completed` arguments, of a table that is there or of one that is measured now."""
    from gnnsched_env.evaluation.policies import find_policy
    from gnnsched_env.live.live_fleet import load_live_fleet
    from gnnsched_env.live.live_run import LiveRun, check_new
    from gnnsched_env.live.profiling.fleet_profile import check_choices, load_profile
    from gnnsched_env.live.simulated import simulated_scenario

    predictor: ProfiledPredictor | None
    find_policy(arguments.policy, dispatch=False)
    check(arguments)
    check_new(arguments.out)
    fleet = load_live_fleet(arguments.fleet)
    if (arguments.table is None) == (not arguments.graphs):
        both = "both" if arguments.graphs else "neither"
        raise ConfigError(f"--graphs: must be given, or else --table, got {both}")
    if arguments.table is None:
        from gnnsched_cli.profile import profiled

        folder = arguments.out / "profile"
        profile, served = profiled(
            fleet, arguments.graphs, folder, classes=arguments.classes, hidden=arguments.hidden,
            rounds=arguments.rounds, seed=arguments.seed, address=arguments.address,
        )  # fmt: skip
        table, predictor = profile.table, profile.predictor
    else:
        table, served, predictor = load_profile(arguments.table)
        check_choices(table, fleet, str(arguments.table))
    trace = getattr(arguments, "trace", None)
    jobs = DEFAULT_JOBS if arguments.jobs is None and trace is None else arguments.jobs
    scenario = simulated_scenario(fleet, table).with_options(jobs=jobs, **changes(arguments))
    made = LiveRun.new(
        fleet=fleet,
        scenario=scenario,
        policy=arguments.policy,
        seed=arguments.seed,
        tries=arguments.tries,
        classes=served.to_dict(),
        measured=None if predictor is None else str(predictor.path.resolve()),
        arguments=plain(arguments),
    )
    return made, served, predictor


def check(arguments: Any) -> None:
    """Raise ConfigError for options that are bad, before anything is measured."""
    from gnnsched_env.common.checks import Integer
    from gnnsched_env.live.scheduler import MOST_TRIES
    from gnnsched_env.scenario import load_scenario

    load_scenario("hetero4").with_options(jobs=arguments.jobs, **changes(arguments))
    Integer(0).check("live", "seed", arguments.seed)
    Integer(1, MOST_TRIES).check("live", "tries", arguments.tries)
    if arguments.rounds < 1:
        raise ConfigError(f"--rounds: must be at least 1, got {arguments.rounds}")


def resumed(arguments: Arguments) -> "tuple[LiveRun, ServedClasses, ProfiledPredictor | None]":
    """Return the run of a folder that is to go on."""
    from gnnsched_env.live.live_run import read_run
    from gnnsched_env.live.profiling.profiled_predictor import ProfiledPredictor
    from gnnsched_env.live.running import check_resumable
    from gnnsched_env.live.served_classes import ServedClasses

    given = read_run(arguments.out)
    check_same(arguments, given)
    check_resumable(given)
    served = ServedClasses.from_dict(given.classes)
    if given.measured is None:
        return given, served, None
    measured = Path(given.measured)
    return given, served, ProfiledPredictor.fit(measured, served.layer_jobs(measured.parent)[1])


def check_same(arguments: Arguments, given: "LiveRun") -> None:
    """Raise ConfigError for an option that the run was not begun with; options that are left out are the run's."""
    told = plain(arguments)
    for entry in fields(arguments):
        name, value = entry.name, told[entry.name]
        if name in ("out", "resume", "address") or getattr(arguments, name) == entry.default:
            continue
        if value != given.arguments.get(name):
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option}: the run was begun with {given.arguments.get(name)!r}, got {value!r}")


def show(played: "Played", folder: Path) -> None:
    """Print the chart of the run and its figures."""
    from gnnsched_env.envs.text_rendering import render_text

    run = played.run
    load = f"load {run.scenario.environment.load:g}"
    print("; ".join([f"{run.fleet.name}, live, {run.policy}, {load}", f"seed {run.seed}"]))
    print(f"{render_text(played.schedule, played.labels, span=max(1, played.schedule.until))}\n")
    print_text(summary(played))
    print(f"wrote {folder}")


def summary(played: "Played") -> str:
    """Return the figures of a run in lines of text."""
    figures = played.figures
    metrics, jobs, runs = figures["metrics"], figures["jobs"], figures["runs"]
    lines = [f"{figures['done']:,} of {jobs:,} jobs done in {runs:,} runs, {figures['given_up']:,} given up"]
    if metrics:
        mean, worst = (played.labels.time(metrics[name]) for name in ("mean_completion", "p99_completion"))
        lines.append(
            f"completion: mean {mean}, 99th percentile {worst}; mean slowdown {metrics['mean_slowdown']:.3g}; "
            f"utilisation {metrics['utilisation']:.0%}"
        )
    for name, told in (
        ("predicting_us", "predicting a job"),
        ("deciding_us", "deciding"),
        ("dispatch_us", "from a decision to its start on the device"),
        ("report_us", "from the end on the device to the scheduler"),
    ):
        if figures[name]:
            lines.append(f"{told}: median {figures[name]['p50']:.0f} us, 95th percentile {figures[name]['p95']:.0f} us")
    if figures["took_over_profiled"]:
        lines.append(
            f"runs took {figures['took_over_profiled']['p50']:.2f} times what was profiled, "
            f"{figures['took_over_predicted']['p50']:.2f} times what was predicted (medians)"
        )
    return "\n".join(lines)
