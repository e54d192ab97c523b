"""Play one episode of a policy and show its schedule: as text, a picture, a CSV of its jobs, a trace for Perfetto.

python -m scripts.schedule --policy assignment --load 0.8 --jobs 200 --png schedule.png --trace trace.json
python -m scripts.schedule --arrivals bursty --failures 100 10
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from baselines import make_policy
from gnnsched_env.envs.exports import write_csv, write_trace
from gnnsched_env.envs.labels import ScheduleLabels
from gnnsched_env.envs.text_rendering import render_text
from gnnsched_env.errors import ConfigError
from gnnsched_env.evaluation.episode import Film, play_episode
from gnnsched_env.report.schedule import check_animation, check_picture, plot_schedule, write_gif
from gnnsched_env.report.terminal import changed_options
from gnnsched_env.scenario import Scenario, load_scenario
from gnnsched_env.sim.schedule import schedule_of
from scripts.command import run_command
from scripts.conditions import Conditions

GIF_FPS = 12


@dataclass(frozen=True, kw_only=True)
class Arguments(Conditions):
    """Play one episode of a policy and show its schedule."""

    scenario: str = "hetero4"
    """A preset (hetero4, flexible4, big_little) or the path of a scenario's TOML file."""
    env: Literal["queue", "dispatch"] = "queue"
    """Queue-v0 (a central queue) or Dispatch-v0 (a decision at each arrival)."""
    policy: str = "assignment"
    """A baseline, or module:Class for one of your own."""
    load: float | None = None
    """Arrival rate, as a share of the fleet's largest sustainable rate (the scenario's by default)."""
    jobs: int = 200
    """Jobs of the episode."""
    seed: int = 0
    csv: Path | None = None
    """Where to write one row a job."""
    trace: Path | None = None
    """Where to write a trace (JSON) that ui.perfetto.dev opens."""
    png: Path | None = None
    """Where to draw the whole episode (.png, .svg, .pdf)."""
    gif: Path | None = None
    """Where to write an animation (.gif) of what render_mode "rgb_array" shows."""
    gif_every: int = 5
    """Decisions between two frames of the animation."""


def main() -> int:
    """Run the command line; return the exit status."""
    return run_command("scripts.schedule", Arguments, run, __doc__)


def run(arguments: Arguments) -> None:
    """Play, print and write."""
    check(arguments)
    scenario = load_scenario(arguments.scenario).with_options(
        load=arguments.load, jobs=arguments.jobs, **arguments.changes()
    )
    film = None if arguments.gif is None else Film(every=arguments.gif_every)
    env = play_episode(
        lambda layout, table: make_policy(arguments.policy, layout, table=table),
        scenario,
        dispatch=arguments.env == "dispatch",
        seed=arguments.seed,
        watch=film,
    )
    schedule = schedule_of(env.batch.simulation)
    labels = ScheduleLabels.of(env.table, scenario.fleet.clock_hz)
    load = "" if scenario.arrivals.trace else f", load {scenario.environment.load:g}"  # a trace has its own
    title = f"{scenario.name}, {arguments.env}, {arguments.policy}{load}"
    print("; ".join([f"{title}, seed {arguments.seed}", *changes(scenario)]))
    print(f"{render_text(schedule, labels, span=max(1, schedule.until))}")
    if arguments.csv is not None:
        write_csv(schedule, labels, arguments.csv)
    if arguments.trace is not None:
        write_trace(schedule, labels, arguments.trace, name=title)
    if arguments.png is not None:
        plot_schedule(schedule, labels, arguments.png, title=title)
    if arguments.gif is not None and film is not None:
        write_gif(film.frames, arguments.gif, fps=GIF_FPS)
    for path in (arguments.csv, arguments.trace, arguments.png, arguments.gif):
        if path is not None:
            print(f"wrote {path}")


def changes(scenario: Scenario) -> tuple[str, ...]:
    """Return in words what a scenario changes, the number of jobs left out: the chart tells it."""
    return tuple(change for change in changed_options(scenario) if not change.startswith("environment.jobs"))


def check(arguments: Arguments) -> None:
    """Refuse what could not be meant or written, before an episode is played."""
    arguments.check_conditions()
    for path in (arguments.csv, arguments.trace, arguments.png, arguments.gif):
        if path is not None and path.is_dir():
            raise ConfigError(f"{path}: must be a file to write, but it is a folder")
    if arguments.png is not None:
        check_picture(arguments.png)
    if arguments.gif is not None:
        check_animation(arguments.gif)


if __name__ == "__main__":
    sys.exit(main())
