"""Compare real runs with simulated ones: policies x loads x repeats on this machine's devices, in a drawn order.

Example:
    python scripts/studies/compare_live.py --graphs MUTAG.npz PROTEINS.npz --out live --picture docs/results/live.png

The jobs of the first repeat are those of seed 0, and the calibration is fitted on its runs; the others, of seed 1, are
replayed. A run that ended before is not run again: it is in the folder. Prints the tables of docs/results/live.md.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gnnsched_cli.command import OutFile, OutFolder, counted, plain, run_command
from gnnsched_cli.policy_names import register_policies
from gnnsched_cli.replay import compared
from gnnsched_env.common.checks import Integer, Number
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.common.files import write_json
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.evaluation.policies import find_policy
from gnnsched_env.live.actors.fleet_session import import_ray, ray_session
from gnnsched_env.live.actors.ray_executor import RayExecutor
from gnnsched_env.live.executor import Executor
from gnnsched_env.live.live_fleet import LiveFleet, load_live_fleet
from gnnsched_env.live.live_run import LiveRun, quantiles
from gnnsched_env.live.profiling.fleet_profile import TABLE_FILE, check_choices, load_profile, profile_fleet
from gnnsched_env.live.replay.calibrated_scenario import write_calibrated
from gnnsched_env.live.replay.calibration import FILE
from gnnsched_env.live.replay.comparison import Comparison, rankings
from gnnsched_env.live.replay.finished_runs import FinishedRun, read_finished
from gnnsched_env.live.replay.fitting import fit_calibration
from gnnsched_env.live.running import play
from gnnsched_env.live.scheduler import TRIES
from gnnsched_env.live.served_classes import ServedClasses
from gnnsched_env.live.simulated import simulated_scenario
from gnnsched_env.report.pyplot import import_pyplot, save_figure
from gnnsched_env.report.replay_table import percent, ranking_markdown, replay_markdown
from gnnsched_env.scenario import Workload

FITTED, TESTED = 0, 1  # seeds of the jobs
FIGURES = (("mean_completion", "Mean completion"), ("p95_completion", "95th percentile of completion"))
AIMS = {"mean_completion": 0.05, "p95_completion": 0.1}  # errors after calibration, unless the noise is larger,
AIMED_LOAD = 0.8  # for loads up to this one


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Compare real runs with simulated ones, over policies, loads and repeats."""

    graphs: tuple[str, ...] = ("karate", "southern_women")
    """Graph files (.npz) that jobs run on, one mix."""
    table: Path | None = None
    """Latency table (.npz) that `gnnsched profile` wrote, in place of --graphs; it says which graphs it is of."""
    fleet: str = "cpu2"
    """A preset (cpu2, sleep2) or the path of a live fleet's TOML file; devices that sleep need --table."""
    policies: tuple[str, ...] = ("fifo", "sjf", "predictor_greedy", "agent:queue_hetero4")
    """Policies to run; the first is what the others are compared with."""
    loads: tuple[float, ...] = (0.3, 0.5, 0.8, 1.1)
    repeats: int = 3
    """Runs of each policy at each load: one to fit, the others to compare, at least two of which tell the noise."""
    jobs: int = 400
    """Number of jobs of each run."""
    job_ms: float = 10.0
    """Milliseconds that the mean job takes under its best choice; the number of inferences a job follows."""
    classes: int = 12
    """Batches drawn from each graph set."""
    replays: int = 20
    """Replays of each run with the calibration."""
    own_replays: int = 5
    """Replays of each run with a calibration on that run itself: what is left where the machine is the same."""
    seed: int = 0
    """Seed of the order of the runs."""
    out: OutFolder = Path("out/live")
    """Folder for the profile, the runs and the calibration."""
    json: OutFile | None = None
    """JSON file to write the comparisons to."""
    picture: OutFile | None = None
    """PNG file for the picture: simulated over real, before and after calibration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One run of the study."""

    policy: str
    load: float
    repeat: int

    @property
    def seed(self) -> int:
        """Return the seed of its jobs."""
        return TESTED if self.repeat else FITTED

    @property
    def folder(self) -> str:
        """Return the name of its folder."""
        return f"{self.repeat}-{self.load:g}-{self.policy.replace(':', '_').replace('/', '_')}"


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/compare_live.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Run what has not been run, replay, write, print and draw."""
    check(arguments)
    register_policies()
    for policy in arguments.policies:
        find_policy(policy, dispatch=False)
    import_ray()
    fleet = load_live_fleet(arguments.fleet)
    plan = planned(arguments)
    place = arguments.out / "runs"
    print(f"load average before: {load_average()}", flush=True)
    if missing := [one for one in plan if ended(place / one.folder) is None]:
        run_missing(arguments, fleet, missing, place)
    print(f"load average after: {load_average()}", flush=True)
    runs = read_finished([place / one.folder for one in plan])
    fit = tuple(made for made in runs if made.run.seed == FITTED)
    test = tuple(made for made in runs if made.run.seed == TESTED)
    calibration = fit_calibration(fit)
    table, inferences = runs[0].run.table, runs[0].run.scenario.workload.repeats
    write_calibrated(calibration, table, arguments.out / "calibration", repeats=inferences)
    calibration.save(arguments.out / "calibration" / FILE)
    before = compared(test, None, replays=1, seed=0)
    after = compared(test, calibration, replays=arguments.replays, seed=0)
    itself = [compared((made,), fit_calibration([made]), replays=arguments.own_replays, seed=0)[0] for made in test]
    if arguments.json is not None:
        told: dict[str, Any] = {"arguments": plain(arguments), "machine": dict(runs[0].run.machine)}
        told |= {"itself": [one.to_dict() for one in itself]}
        told |= {"before": [one.to_dict() for one in before], "after": [one.to_dict() for one in after]}
        write_json(arguments.json, {**told, "rankings": [one.to_dict() for one in rankings(after)]})
    show(arguments, runs, before, after, itself)
    if arguments.picture is not None:
        draw(before, after, arguments.picture)


def check(arguments: Arguments) -> None:
    """Raise ConfigError for options that cannot be met, before any work is done."""
    for name in ("graphs", "policies", "loads"):
        values = getattr(arguments, name)
        if not values or len(set(values)) < len(values):
            raise ConfigError(f"--{name}: must be distinct values, at least one, got {' '.join(map(str, values))}")
    for name, least in (("repeats", 2), ("jobs", 1), ("classes", 1), ("replays", 1), ("own_replays", 1), ("seed", 0)):
        Integer(least).check("live study", name, getattr(arguments, name))
    Number(above=0.0).check("live study", "job_ms", arguments.job_ms)
    if arguments.picture is not None:
        import_pyplot(arguments.picture)


def planned(arguments: Arguments) -> list[Planned]:
    """Return the runs in an order that is drawn, so that no group of them alone meets a busy phase of the machine."""
    plan = [
        Planned(policy=policy, load=load, repeat=repeat)
        for repeat in range(arguments.repeats)
        for load in arguments.loads
        for policy in arguments.policies
    ]
    return [plan[number] for number in np.random.default_rng(arguments.seed).permutation(len(plan))]


def load_average() -> str:
    """Return the machine's load average over 1, 5 and 15 minutes, and its number of cores."""
    return f"{' '.join(f'{value:.1f}' for value in os.getloadavg())} on {counted(os.cpu_count() or 1, 'core')}"


def ended(folder: Path) -> FinishedRun | None:
    """Return the run of a folder if it has ended."""
    try:
        return read_finished([folder])[0]
    except GnnSchedError:
        return None


def run_missing(arguments: Arguments, fleet: LiveFleet, missing: Sequence[Planned], place: Path) -> None:
    """Profile the fleet unless that is done, then run what is missing, all on the same devices."""
    source = arguments.out / "profile" / TABLE_FILE if arguments.table is None else arguments.table
    with ray_session(fleet):
        if arguments.table is None and not source.exists():
            served = ServedClasses.of(Workload(graphs=arguments.graphs, classes_per_file=arguments.classes))
            profile_fleet(fleet, served, source.parent)
        table, served, predictor = load_profile(source)
        check_choices(table, fleet, str(source))
        inferences = max(1, round(1e6 * arguments.job_ms / float(table.weights @ table.true_cycles.min(axis=1))))
        if fleet.cores == 0:  # devices that sleep would spin through inferences, which are too short to sleep
            scaled = {name: getattr(table, name) * inferences for name in ("true_cycles", "predicted_cycles")}
            table, predictor, inferences = replace(table, **scaled), None, 1
        base = simulated_scenario(fleet, table).with_options(jobs=arguments.jobs, repeats=inferences)
        jobs = [served.device_jobs(fleet, device, table.true_cycles) for device in range(len(fleet.devices))]
        with (
            closing(
                RayExecutor(fleet, jobs, kinds=[(kind, inferences) for kind in range(len(jobs[0].names))])
            ) as executor,
            progress_bar("running", len(missing), shown=None, unit="runs") as advance,
        ):
            for one in missing:
                made = LiveRun.new(
                    fleet=fleet,
                    scenario=base.with_options(load=one.load),
                    policy=one.policy,
                    seed=one.seed,
                    tries=TRIES,
                    classes=served.to_dict(),
                    measured=None if predictor is None else str(predictor.path.resolve()),
                    arguments={"study": plain(arguments), "load_average": list(os.getloadavg())},
                )
                folder = place / one.folder
                shutil.rmtree(folder, ignore_errors=True)  # of a run of the study that was stopped
                play(made, folder, on_devices(executor), predict=None if predictor is None else predictor.predict)
                advance(1)


def on_devices(executor: RayExecutor) -> Callable[[LiveRun, int], Any]:
    """Return what opens devices that are up already, for another run."""

    @contextmanager
    def opened(run: LiveRun, begin: int) -> Iterator[Executor]:
        executor.set_clock(begin)
        yield executor

    return opened


def show(
    arguments: Arguments,
    runs: Sequence[FinishedRun],
    before: Sequence[Comparison],
    after: Sequence[Comparison],
    itself: Sequence[Comparison],
) -> None:
    """Print the tables as Markdown."""
    busy = [made.run.arguments["load_average"][0] for made in runs]
    machine = runs[0].run.machine
    print(f"\n{machine['processor']}, {counted(machine['cores'], 'core')}; {counted(len(runs), 'run')} of", end=" ")
    inferences = counted(runs[0].run.scenario.workload.repeats, "inference")
    print(f"{counted(arguments.jobs, 'job')}, each of {inferences}.", end=" ")
    print(f"Load average when a run began: {min(busy):.1f} to {max(busy):.1f}, median {np.median(busy):.1f}.")
    print("\n### In short\n")
    print(summary_markdown(before, after, itself))
    for name, meaning in FIGURES:
        print(f"\n### {meaning}: error before calibration, after it, and noise\n")
        print(error_markdown(arguments.loads, before, after, name))
    print("\n### Error after calibration on the run itself: mean completion, 95th percentile, of each run\n")
    print(own_markdown(arguments, itself))
    print("\n### Ranking, before calibration\n")
    print(ranking_markdown(rankings(before)))
    print("\n### Ranking, after calibration\n")
    print(ranking_markdown(rankings(after)))
    print(f"\n### Mean completion over that of {arguments.policies[0]}: real, simulated before and after calibration\n")
    print(gain_markdown(arguments, before, after))
    print("\n### What scheduling costs, microseconds: median, 95th percentile\n")
    print(cost_markdown(arguments.policies, runs))
    print("\n### All figures after calibration\n")
    print(replay_markdown(after), flush=True)


def summary_markdown(before: Sequence[Comparison], after: Sequence[Comparison], itself: Sequence[Comparison]) -> str:
    """Return medians over policies and loads up to AIMED_LOAD, and how often the aim is met, a row for each figure."""
    heads = (
        "figure",
        "noise",
        "error before",
        "error after",
        "after, on the run itself",
        "within the aim or the noise",
    )
    lines = [f"| {' | '.join(heads)} |", "|---|---:|---:|---:|---:|---:|"]
    for name, meaning in FIGURES:
        aimed = [[one for one in group if one.load <= AIMED_LOAD] for group in (before, after, itself)]
        noises = [one.noise[name] or 0.0 for one in aimed[1]]
        errors = [float(np.median([abs(one.error(name)) for one in group])) if group else None for group in aimed]
        met = sum(abs(one.error(name)) <= max(AIMS[name], noise) for one, noise in zip(aimed[1], noises, strict=True))
        told = [percent(value, sign=False) for value in (float(np.median(noises)) if noises else None, *errors)]
        lines.append(f"| {meaning} | {' | '.join(told)} | {met} of {len(noises)} |")
    return "\n".join(lines)


def cell(comparisons: Sequence[Comparison], policy: str, load: float) -> Comparison:
    """Return the comparison of a policy at a load."""
    return next(one for one in comparisons if (one.policy, one.load) == (policy, load))


def error_markdown(loads: Sequence[float], before: Sequence[Comparison], after: Sequence[Comparison], name: str) -> str:
    """Return a row for each policy: the errors of a figure before and after calibration, and the noise, by load."""
    lines = ["| policy | " + " | ".join(f"load {load:g}" for load in loads) + " |", "|---|" + "---:|" * len(loads)]
    for policy in dict.fromkeys(one.policy for one in before):
        cells = [
            f"{percent(cell(before, policy, load).error(name))}, {percent(cell(after, policy, load).error(name))}, "
            f"{percent(cell(after, policy, load).noise[name], sign=False)}"
            for load in loads
        ]
        lines.append(f"| {policy} | {' | '.join(cells)} |")
    return "\n".join(lines)


def own_markdown(arguments: Arguments, itself: Sequence[Comparison]) -> str:
    """Return a row for each policy: the errors of each of its runs, calibrated on that run alone, by load."""
    loads = arguments.loads
    lines = ["| policy | " + " | ".join(f"load {load:g}" for load in loads) + " |", "|---|" + "---:|" * len(loads)]
    for policy in arguments.policies:
        cells = [
            "; ".join(
                ", ".join(percent(one.error(name)) for name, _ in FIGURES)
                for one in itself
                if (one.policy, one.load) == (policy, load)
            )
            for load in loads
        ]
        lines.append(f"| {policy} | {' | '.join(cells)} |")
    return "\n".join(lines)


def gain_markdown(arguments: Arguments, before: Sequence[Comparison], after: Sequence[Comparison]) -> str:
    """Return a row for each policy but the first: its mean completion over the first's, by load."""
    loads, (first, *others) = arguments.loads, arguments.policies
    lines = ["| policy | " + " | ".join(f"load {load:g}" for load in loads) + " |", "|---|" + "---:|" * len(loads)]
    for policy in others:
        cells = []
        for load in loads:
            one, other = (cell(after, name, load) for name in (policy, first))
            ratios = [one.real["mean_completion"] / other.real["mean_completion"]]
            for group in (before, after):
                pair = (cell(group, name, load).simulated["mean_completion"].value for name in (policy, first))
                ratios.append(next(pair) / next(pair))
            cells.append(", ".join(f"{ratio:.2f}" for ratio in ratios))
        lines.append(f"| {policy} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cost_markdown(policies: Sequence[str], runs: Sequence[FinishedRun]) -> str:
    """Return a row for each policy: what deciding, predicting, starting and reporting a job take in reality."""
    lines = [
        "| policy | deciding | predicting a job | until it starts | until its end is known |",
        "|---|---:|---:|---:|---:|",
    ]
    for policy in policies:
        own = [made for made in runs if made.run.policy == policy]
        done = np.concatenate([made.jobs[made.jobs["done"] == 1] for made in own])
        deciding = np.concatenate([made.run.decisions["deciding_us"] for made in own])
        times = (
            deciding,
            done["predicting_us"],
            (done["started"] - done["decided"]) / 1e3,
            (done["reported"] - done["finished"]) / 1e3,
        )
        found = [quantiles(values) for values in times]
        lines.append(f"| {policy} | " + " | ".join(f"{one['p50']:.0f}, {one['p95']:.0f}" for one in found) + " |")
    return "\n".join(lines)


def draw(before: Sequence[Comparison], after: Sequence[Comparison], out: Path) -> None:
    """Draw simulated over real mean completion times, before and after calibration, with the noise."""
    pyplot = import_pyplot(out)
    from matplotlib.ticker import LogLocator

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.5), sharey=True, sharex=True, layout="constrained")
    policies = list(dict.fromkeys(one.policy for one in before))
    for axis, group, title in zip(axes, (before, after), ("as profiled", "calibrated"), strict=True):
        ends = [
            value for one in group for value in (one.real["mean_completion"], one.simulated["mean_completion"].value)
        ]
        for number, policy in enumerate(policies):
            own = [one for one in group if one.policy == policy]
            real = np.array([one.real["mean_completion"] for one in own]) / 1e6
            simulated = np.array([one.simulated["mean_completion"].value for one in own]) / 1e6
            noise = np.array([one.noise["mean_completion"] or 0.0 for one in own])
            axis.errorbar(
                real, simulated, xerr=real * noise / 2, fmt="osD^v<>P"[number % 8], capsize=3, label=policy, alpha=0.8
            )
        line = [0.8 * min(ends) / 1e6, 1.25 * max(ends) / 1e6]
        axis.plot(line, line, color="0.6", linewidth=1, zorder=0)
        axis.set(xscale="log", yscale="log", title=title, xlabel="real mean completion, ms")
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            side.set_major_formatter("{x:g}")
            side.set_minor_formatter("")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("simulated mean completion, ms")
    axes[1].legend(title="one mark a load; bars: noise")
    save_figure(figure, out, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
