"""Play one episode of a policy and show its schedule: as text, a picture, a CSV of its jobs, a trace for Perfetto.

Examples:
    gnnsched schedule --policy assignment --load 0.8 --jobs 200 --png schedule.png --trace trace.json
    gnnsched schedule --arrivals bursty --failures 100 10
    gnnsched schedule --policy agent:queue --versus sjf --jobs 120 --episodes 20 --png versus.png
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gnnsched_cli.command import OutFile, print_table
from gnnsched_cli.conditions import changes, with_options
from gnnsched_cli.policy_names import Policy, register_policies
from gnnsched_env.common.errors import ConfigError

if TYPE_CHECKING:
    from gnnsched_env.scenario import Scenario

GIF_FPS = 12


@with_options()
@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Play one episode of a policy and show its schedule."""

    scenario: str = "hetero4"
    """A preset (hetero4, flexible4, big_little, fixed9, wide64) or the path of a scenario's TOML file."""
    env: Literal["queue", "dispatch"] = "queue"
    """Queue-v0 (a central queue) or Dispatch-v0 (a decision at each arrival)."""
    policy: Policy = "assignment"
    jobs: int = 200
    """Number of jobs of the episode."""
    seed: int = 0
    """Seed of the episode."""
    versus: str | None = None
    """Another policy to play the same jobs: both charts are shown, with a table of differences; --png draws both."""
    episodes: int = 1
    """Number of episodes in the table of --versus; their seeds are --seed, --seed + 1, ...; the first is drawn."""
    csv: OutFile | None = None
    """CSV file to write the jobs to, one row each."""
    trace: OutFile | None = None
    """JSON file to write a trace to, which ui.perfetto.dev opens."""
    png: OutFile | None = None
    """Picture of the whole episode to write (.png, .svg or .pdf)."""
    gif: OutFile | None = None
    """Animation to write (.gif) of what render_mode "rgb_array" shows."""
    gif_every: int = 5
    """Number of decisions between two frames of the animation."""


def run(arguments: Arguments) -> None:
    """Play, write and print."""
    from gnnsched_env.scenario import load_scenario

    register_policies()
    check(arguments)
    scenario = load_scenario(arguments.scenario).with_options(jobs=arguments.jobs, **changes(arguments))
    if arguments.versus is None:
        show_one(arguments, scenario)
    else:
        show_both(arguments, scenario, (arguments.policy, arguments.versus))
    for path in (arguments.csv, arguments.trace, arguments.png, arguments.gif):
        if path is not None:
            print(f"wrote {path}")


def show_one(arguments: Arguments, scenario: "Scenario") -> None:
    """Play one episode of one policy, write what was asked for and show it."""
    from gnnsched_env.envs.exports import write_csv, write_trace
    from gnnsched_env.envs.text_rendering import render_text
    from gnnsched_env.evaluation import policy_factory
    from gnnsched_env.evaluation.one_episode import Film, play_episode
    from gnnsched_env.report.schedule_pictures import plot_schedule, write_gif
    from gnnsched_env.sim.schedule import schedule_of

    film = None if arguments.gif is None else Film(every=arguments.gif_every)
    dispatch = arguments.env == "dispatch"
    factory = policy_factory(arguments.policy, dispatch=dispatch)
    env = play_episode(factory, scenario, dispatch=dispatch, seed=arguments.seed, watch=film)
    schedule = schedule_of(env.batch.simulation)
    title = title_of(arguments, scenario, arguments.policy)
    if arguments.csv is not None:
        write_csv(schedule, env.labels, arguments.csv)
    if arguments.trace is not None:
        write_trace(schedule, env.labels, arguments.trace, name=title)
    if arguments.png is not None:
        plot_schedule(schedule, env.labels, arguments.png, title=title)
    if arguments.gif is not None and film is not None:
        write_gif(film.frames, arguments.gif, fps=GIF_FPS)
    print("; ".join([f"{title}, seed {arguments.seed}", *told_changes(scenario)]))
    print(f"{render_text(schedule, env.labels, span=max(1, schedule.until))}")


def show_both(arguments: Arguments, scenario: "Scenario", names: tuple[str, str]) -> None:
    """Play the same episodes of two policies; show the first of each, and the table of what differs over all.

    Where one fails, show the other's, and then raise PoliciesFailed.
    """
    from gnnsched_env.envs import DispatchEnv, QueueEnv
    from gnnsched_env.envs.text_rendering import render_text
    from gnnsched_env.evaluation import Attempts, policy_factory
    from gnnsched_env.evaluation.behaviour import play_watched
    from gnnsched_env.report.difference_table import differences_table
    from gnnsched_env.report.schedule_pictures import plot_versus

    dispatch = arguments.env == "dispatch"
    factories = {name: policy_factory(name, dispatch=dispatch) for name in names}
    env = (DispatchEnv if dispatch else QueueEnv)(scenario)
    labels = env.labels
    first, second = names
    episodes, attempts = {}, Attempts()
    for name, factory in factories.items():
        with attempts.of(name):
            episodes[name] = [
                play_watched(factory, scenario, dispatch=dispatch, seed=seed)
                for seed in range(arguments.seed, arguments.seed + arguments.episodes)
            ]
    schedules = {name: played[0][0] for name, played in episodes.items()}
    if arguments.png is not None and not attempts.failed:
        title = "; ".join([f"{title_of(arguments, scenario)}, seed {arguments.seed}", *told_changes(scenario)])
        plot_versus((schedules[first], schedules[second]), labels, env.table, arguments.png, names=names, title=title)
    span = max((1, *(schedule.until for schedule in schedules.values())))
    for name, schedule in schedules.items():
        title = title_of(arguments, scenario, name)
        print("; ".join([f"{title}, seed {arguments.seed}", *told_changes(scenario)]))
        print(f"{render_text(schedule, labels, span=span)}\n")
    attempts.end(played=bool(episodes))
    behaviours = ([played[-1] for played in episodes[first]], [played[-1] for played in episodes[second]])
    print_table(differences_table(names, behaviours, labels))


def title_of(arguments: Arguments, scenario: "Scenario", *policy: str) -> str:
    """Return what is played, in words: the fleet, the environment, the policy if there is one to name, the load."""
    load = () if scenario.arrivals.trace else (f"load {scenario.environment.load:g}",)  # a trace has its own
    return ", ".join([scenario.name, arguments.env, *policy, *load])


def told_changes(scenario: "Scenario") -> tuple[str, ...]:
    """Return in words what a scenario changes, the number of jobs left out: the chart tells it."""
    from gnnsched_env.report.policy_table import changed_options

    return tuple(change for change in changed_options(scenario) if not change.startswith("environment.jobs"))


def check(arguments: Arguments) -> None:
    """Raise ConfigError for what contradicts itself or cannot be written, before an episode is played."""
    from gnnsched_env.report.schedule_pictures import check_animation, check_picture

    check_versus(arguments)
    if changes(arguments).get("window") is not None and arguments.env == "dispatch":
        raise ConfigError("--window: belongs to --env queue; Dispatch-v0 shows the arriving job only")
    if arguments.gif_every < 1:
        raise ConfigError(f"--gif-every: must be at least 1, got {arguments.gif_every}")
    if arguments.png is not None:
        check_picture(arguments.png)
    if arguments.gif is not None:
        check_animation(arguments.gif)


def check_versus(arguments: Arguments) -> None:
    """Raise ConfigError for options that do not go with --versus, or not without it."""
    if arguments.episodes < 1:
        raise ConfigError(f"--episodes: must be at least 1, got {arguments.episodes}")
    if arguments.versus is None:
        if arguments.episodes > 1:
            raise ConfigError(f"--episodes: one episode is shown without --versus, got {arguments.episodes}")
        return
    if arguments.versus == arguments.policy:
        raise ConfigError(f"--versus: must be another policy than --policy, got {arguments.versus!r} for both")
    for name in ("csv", "trace", "gif"):
        if getattr(arguments, name) is not None:
            raise ConfigError(f"--{name}: shows one policy, so it does not go with --versus {arguments.versus}")
