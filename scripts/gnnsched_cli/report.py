"""Write a result file or a training as one page of HTML: tables, charts, schedules that zoom.

Examples:
    gnnsched report records.json --html report.html
    gnnsched report records.json --policies assignment sjf --load 0.8 --seed 3 --html report.html
    gnnsched report out/train/queue_hetero4-0 --html report.html
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from gnnsched_cli.command import OutFile
from gnnsched_cli.policy_names import FORMS, register_policies
from gnnsched_env.common.errors import ConfigError, FileFormatError

if TYPE_CHECKING:
    from gnnsched_env.report.page.html_page import Section

SOURCE = (
    "A file of `gnnsched evaluate --json`, of `gnnsched bench --json` or of a learning curve; or the folder of a "
    "training."
)
POLICIES = (
    f"One or two policies to play again, for distributions and schedules, each {FORMS}. By default the best two of the "
    f"file; of a training, its best weights and the heuristic that it is compared with."
)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Write a page that opens in a browser without a network."""

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(help=SOURCE)]
    html: OutFile
    """HTML file to write."""
    policies: Annotated[tuple[str, ...], tyro.conf.arg(help=POLICIES)] = ()
    load: float | None = None
    """Load at which they are played: one of the file's (the largest by default). Not for results of the benchmark."""
    task: str | None = None
    """Task of the benchmark that they play (the file's first by default)."""
    graphs: Path | None = None
    """Folder of the graph files that a task of the benchmark needs."""
    seed: int | None = None
    """Seed of the episode whose schedules are shown (the file's first by default)."""
    episodes: int = 10
    """Most episodes played for the distributions; no more than the file has."""


def run(arguments: Arguments) -> None:
    """Read, play and write."""
    from gnnsched_env.report.page.html_page import check_page, write_page

    check(arguments)
    check_page(arguments.html)
    register_policies()
    title, facts, sections = contents(arguments)
    write_page(arguments.html, title, facts, sections)
    print(f"wrote {arguments.html}")


def check(arguments: Arguments) -> None:
    """Raise ConfigError for a source that is missing, or a bad number, before an episode is played."""
    from gnnsched_env.common.checks import Integer
    from gnnsched_env.sim.state import SEED_LIMIT

    Integer(1).check("report", "episodes", arguments.episodes)
    if arguments.seed is not None:
        Integer(0, SEED_LIMIT - 1).check("report", "seed", arguments.seed)
    if not arguments.source.exists():
        raise ConfigError(f"report: must be given a file or a folder, but there is no {arguments.source}")


def contents(arguments: Arguments) -> tuple[str, dict[str, str], "list[Section]"]:
    """Return the page's title, its facts and its sections, by what the source is."""
    from gnnsched_env.bench.results import FORMAT, read_results
    from gnnsched_env.common.files import read_json
    from gnnsched_env.evaluation.records_file import read_records
    from gnnsched_env.report.page.benchmarked import bench_facts, bench_sections
    from gnnsched_env.report.page.evaluated import evaluation_facts, evaluation_sections
    from gnnsched_env.report.page.trained import points_sections

    source = arguments.source
    if source.is_dir():
        refuse(arguments, "of a training", "task", "graphs")
        return training(arguments)
    data = read_json(source)
    played: dict[str, Any] = {"policies": arguments.policies, "seed": arguments.seed, "episodes": arguments.episodes}
    if data.get("format") == FORMAT:
        refuse(arguments, "of the benchmark", "load")
        results = read_results(source)
        sections = bench_sections(results, task=arguments.task, folder=arguments.graphs, **played)
        return "gnnsched-bench: results", {"file": str(source), **bench_facts(results)}, sections
    if "points" in data:
        refuse(arguments, "of a learning curve", "policies", "load", "task", "graphs", "seed")
        return "Learning curve", {"file": str(source)}, points_sections(str(source), data)
    if "records" not in data:
        raise FileFormatError(f"{source}: must be a file of `gnnsched evaluate --json` or `gnnsched bench --json`")
    refuse(arguments, "of an evaluation", "task", "graphs")
    recorded = read_records(source)
    return (
        "Policies compared",
        evaluation_facts(recorded),
        evaluation_sections(recorded, load=arguments.load, **played),
    )


def training(arguments: Arguments) -> tuple[str, dict[str, str], "list[Section]"]:
    """Return the contents of a training's page."""
    from gnnsched_agents.run_folder import RunFolder
    from gnnsched_agents.worlds import Workloads, shown_scenario
    from gnnsched_baselines.learned.pair_network import DISPATCH
    from gnnsched_env.common.checks import check_keys
    from gnnsched_env.report.page.trained import best_sections, reference_of, training_facts, training_sections

    folder = RunFolder(arguments.source)
    kept = folder.read()
    if kept is None:
        raise ConfigError(f"{arguments.source}: must be the folder of a training, but has no {folder.checkpoint.name}")
    told = kept["config"].get("workloads")
    if not isinstance(told, dict):
        raise FileFormatError(f"{folder.checkpoint}: the config's workloads must be an object, got {told!r:.80}")
    check_keys(f"{folder.checkpoint}: workloads", told, Workloads)
    workloads = Workloads(**told)
    heuristic = workloads.inputs.heuristic
    over = reference_of(kept["config"], heuristic)
    sections = training_sections(str(arguments.source), kept["curve"], over)
    load = 0.8 if arguments.load is None else arguments.load
    scenario = shown_scenario(workloads).with_options(load=load, window=workloads.window)
    sections += best_sections(
        arguments.policies or (f"agent:{folder.best}", heuristic),
        scenario,
        dispatch=workloads.environment == DISPATCH.environment,
        seed=0 if arguments.seed is None else arguments.seed,
        episodes=arguments.episodes,
        asked=bool(arguments.policies),
    )
    return (
        f"Training {kept['config'].get('name', '')}".strip(),
        training_facts(str(arguments.source), kept["config"], kept["curve"], over),
        sections,
    )


def refuse(arguments: Arguments, what: str, *options: str) -> None:
    """Raise ConfigError for an option that does not go with the source."""
    for name in options:
        if getattr(arguments, name) not in (None, ()):
            raise ConfigError(f"--{name}: does not go with the page {what}")
