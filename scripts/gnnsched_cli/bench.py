"""Score policies on gnnsched-bench, check results, print the leaderboard.

Examples:
    gnnsched bench --list
    gnnsched bench sjf assignment agent:queue --json result.json
    gnnsched bench validate result.json
    gnnsched bench table result.json other.json --html leaderboard.html
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import tyro

from gnnsched_cli.command import OutFile, counted, print_table, print_text
from gnnsched_cli.policy_names import FORMS, register_policies
from gnnsched_cli.task_options import KeepFolder, Ray, Workers
from gnnsched_env.common.errors import ConfigError, GnnSchedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnsched_env.bench import Result
    from gnnsched_env.common.parallel.task_runs import Where

VALIDATE, TABLE = "validate", "table"
PLAYED = "small"  # the suite, where none is named
WORDS = (
    f'Policies to be scored: "all" baselines but planners and skip_predict, or each {FORMS}. Or '
    f"`{VALIDATE}` and result files, to play them again; or `{TABLE}` and result files, for the leaderboard."
)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Play policies on frozen tasks and score them between a proved bound and clairvoyant shortest-job-first."""

    words: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(help=WORDS)] = ()
    suite: str = ""
    """small (the default; a minute or less for a heuristic), full (the leaderboard's) or real (needs --graphs)."""
    fleet: tuple[str, ...] = ()
    """Play only the suite's tasks on these fleets; such a result stands behind those of the whole suite."""
    graphs: Path | None = None
    """Folder of the real graph sets that the suite `real` plays."""
    training: str = ""
    """What the policies were trained with, in words; shown in the leaderboard."""
    workers: Workers = 1
    ray: Ray = None
    keep: KeepFolder = None
    json: OutFile | None = None
    """JSON file to write the results to."""
    markdown: OutFile | None = None
    """File to write the leaderboard to, as Markdown."""
    html: OutFile | None = None
    """File to write the leaderboard to, as a page."""
    list: tyro.conf.FlagCreatePairsOff[bool] = False
    """List the tasks of the suite, or of all suites where none is named, and stop."""


def run(arguments: Arguments) -> int:
    """Score, validate or tabulate; return 1 where a result differs when it is played again, 2 where a policy failed."""
    check(arguments)
    if arguments.list:
        list_tasks(arguments.suite)
        return 0
    arguments = replace(arguments, suite=arguments.suite or PLAYED)
    from gnnsched_env.common.parallel.task_runs import Where

    register_policies()
    first, *rest = arguments.words
    if first == TABLE:
        tabulate(rest, arguments)
        return 0
    where = Where(workers=arguments.workers, ray=arguments.ray)
    with where.joined():
        return validate(rest, arguments, where) if first == VALIDATE else score(arguments, where)


def check(arguments: Arguments) -> None:
    """Raise ConfigError for options that contradict each other or cannot be met, before any work is done."""
    if arguments.list:
        return
    if not arguments.words:
        raise ConfigError(f"bench: needs a policy, `{VALIDATE}` or `{TABLE}`, or --list")
    first, *rest = arguments.words
    if first in (VALIDATE, TABLE) and not rest:
        raise ConfigError(f"bench {first}: needs a result file")
    for option, refused in (("json", (VALIDATE, TABLE)), ("markdown", (VALIDATE,)), ("html", (VALIDATE,))):
        if first in refused and getattr(arguments, option) is not None:
            raise ConfigError(f"--{option}: does not go with `{first}`")
    if arguments.graphs is not None and first not in (VALIDATE, TABLE) and arguments.suite != "real":
        raise ConfigError(f"--graphs: goes with --suite real, got the suite {arguments.suite or PLAYED!r}")
    if arguments.graphs is not None and not arguments.graphs.is_dir():
        raise ConfigError(f"--graphs: must be a folder, got {arguments.graphs}")


def list_tasks(asked: str) -> None:
    """Print the tasks of a suite, of every suite for ""; raise ConfigError for an unknown one."""
    from rich import box
    from rich.table import Table

    from gnnsched_env.bench.tasks import SUITES, bench_tasks

    chosen = {suite: bench_tasks(suite) for suite in ((asked,) if asked else SUITES)}
    for suite, tasks in chosen.items():
        title = f"{suite}: {SUITES[suite]}"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in ("task", "fleet", "condition", "load", "jobs", "episodes", "hash"):
            table.add_column(name, justify="right" if name in ("load", "jobs", "episodes") else "left", no_wrap=True)
        for task in tasks:
            figures = (f"{task.load:g}", f"{task.jobs:,}", str(task.episodes), task.digest[:12])
            table.add_row(task.name, task.fleet, task.condition, *figures)
        print_table(table)


def score(arguments: Arguments, where: "Where") -> int:
    """Play each policy on the suite; one that fails is told, and the others go on."""
    import sys

    from gnnsched_env.bench.results import run_suites, tasks_of, write_results
    from gnnsched_env.evaluation import policy_factories
    from gnnsched_env.report.leaderboard import LEAVE_OUT, LEGEND, leaderboard_table

    names = list(dict.fromkeys(name for word in arguments.words for name in policy_factories((word,), dispatch=False)))
    tasks = tasks_of(arguments.suite, arguments.fleet)
    results, failed = [], 0
    for result in run_suites(
        names,
        arguments.suite,
        training=arguments.training,
        fleets=arguments.fleet,
        folder=arguments.graphs,
        where=where,
        keep=arguments.keep,
        progress=None,
    ):
        if isinstance(result, GnnSchedError):
            failed += 1
            print(f"error: {' '.join(str(result).split())}", file=sys.stderr)
            continue
        results.append(result)
        if arguments.json is not None:  # each part as it is done
            write_results(arguments.json, results)
    if results:
        write_leaderboard(arguments, results)
        amount = f"{counted(len(tasks), 'task')}, {counted(sum(task.episodes for task in tasks), 'episode')}"
        print_table(leaderboard_table(results, title=f"gnnsched-bench v1, {arguments.suite}: {amount}"), LEAVE_OUT)
        print_text(LEGEND)
    return 2 if failed else 0


def validate(files: list[str], arguments: Arguments, where: "Where") -> int:
    """Play results again and say whether they are the same to the last digit."""
    from gnnsched_env.bench.results import play_again, read_results

    found = 0
    read = [(file, result) for file in files for result in read_results(file)]
    for file, result in read:
        differences = play_again(result, folder=arguments.graphs, where=where, keep=arguments.keep, progress=None)
        found += len(differences)
        episodes = sum(one.task.episodes for one in result.played)
        told = f"{file}: {result.policy}, suite {result.suite}:"
        if not differences:
            print_text(f"{told} all {episodes} episodes are the same")
            continue
        one = differences[0]
        print_text(
            f"{told} {len(differences)} of {episodes} episodes differ, the first in {one.task}, episode "
            f"{one.episode}: {one.told:,} cycles told, {one.found:,} found"
        )
    return 1 if found else 0


def tabulate(files: list[str], arguments: Arguments) -> None:
    """Print the leaderboard of result files, and write it where asked."""
    from gnnsched_env.bench.results import read_results
    from gnnsched_env.report.leaderboard import LEAVE_OUT, LEGEND, leaderboard_table

    results = [result for file in files for result in read_results(file)]
    write_leaderboard(arguments, results)
    for suite in dict.fromkeys(result.suite for result in results):
        own = [result for result in results if result.suite == suite]
        print_table(leaderboard_table(own, title=f"gnnsched-bench v1, {suite}"), LEAVE_OUT)
    print_text(LEGEND)


def write_leaderboard(arguments: Arguments, results: "Sequence[Result]") -> None:
    """Write the leaderboard as Markdown and as a page, where asked."""
    from gnnsched_env.common.files import write_whole
    from gnnsched_env.report.leaderboard import markdown, page

    for path, text in ((arguments.markdown, markdown), (arguments.html, page)):
        if path is not None:
            write_whole(path, partial(_write, text(results)))


def _write(text: str, file: BinaryIO) -> None:
    file.write(text.encode())
