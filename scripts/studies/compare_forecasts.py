"""Compare the models of runtime forecasts: each trained with several seeds, scored on files that none has seen.

Example:
    python scripts/studies/compare_forecasts.py --data tpugraphs --collection layout:xla:random --out out/compared
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.table import Table

from gnnsched_cli.command import check_folder, counted, plain, print_table, print_text, run_command
from gnnsched_cli.forecast_runs import report
from gnnsched_cli.forecast_tables import mean_text, plain_table
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.evaluation import write_json
from gnnsched_env.forecast.data.file_selection import Selection
from gnnsched_env.forecast.models.ranker import Session
from gnnsched_env.forecast.seed_comparison import Comparison, compare

PROGRAM = "python scripts/studies/compare_forecasts.py"
RESULT = "comparison.json"
LEGEND = """\
score: mean over files and seeds of Kendall's tau, or of 1 - slowdown of the top 5 for tiles; in brackets 95 % bootstrap
intervals, over files and seeds; above: by how much it is above the model of the row before, file by file."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What to compare, and on what."""

    data: tuple[Path, ...]
    """The data set's root (it holds npz/, npz_all/npz/, or layout/ and tile/)."""
    collection: str
    """Such as layout:xla:random or tile:xla."""
    out: Path
    """Where a folder for each model and seed goes, and comparison.json; the same command goes on where it stopped."""
    models: tuple[str, ...] = ("nn", "gnn32", "gnn64", "sage", "attention")
    """Of nn, gnn32, gnn64, sage, attention, boosting; each is compared with the one before."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each model is trained with each."""
    files: Literal["valid", "test"] = "test"
    """Which files to score; test files of the real data set have no runtimes."""
    steps: int | None = None
    """Of all networks; none: each model's own."""
    graphs_a_step: int | None = None
    """Programs a step, of all networks; none: each model's own."""
    configs_a_step: int | None = None
    """Configurations a program and step, of all networks; none: each model's own."""
    hops: int | None = None
    """How far from configurable operations graphs are kept, of all networks; none: each model's own."""
    limit: int | None = None
    """How many files to train on, and to score, at most."""
    cache: Path | None = None
    """A folder that keeps layouts in a form that is read faster."""
    device: str = "auto"
    """A torch device; auto is a GPU when there is one."""
    progress: bool | None = None
    """Show a bar; none: if stderr is a terminal."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command(PROGRAM, Arguments, run, __doc__, words, stopped="stopped; the same command goes on")


def run(given: Arguments) -> None:
    """Open, compare, print and write."""
    check_folder("--out", given.out)
    about = plain(given)
    check_same(given.out / RESULT, about)
    chosen = {"data": given.data, "collections": (given.collection,), "limit": given.limit, "cache": given.cache}
    train, test = (Selection(**chosen, split=split).open(report) for split in ("train", given.files))  # type: ignore[arg-type]
    session = Session(folder=given.out, device=given.device, progress=given.progress, report=report)
    result = compare(
        given.models,
        given.seeds,
        train,
        test,
        session,
        told=report,
        steps=given.steps,
        graphs_a_step=given.graphs_a_step,
        configs_a_step=given.configs_a_step,
        hops=given.hops,
    )
    print_table(table(result))
    print_text(f"{LEGEND}\n{counted(len(result.files), 'file')}, {counted(len(given.seeds), 'seed')}.")
    write_json(given.out / RESULT, {"arguments": about, **result.record()})


def check_same(path: Path, about: Mapping[str, object]) -> None:
    """Refuse to replace a comparison of other files or settings; models and seeds may be others."""
    if not path.exists():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["arguments"]
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"--out: {path} is there, but is no comparison; choose another folder, or remove it"
        ) from None
    for name in ("data", "collection", "files", "steps", "graphs_a_step", "configs_a_step", "hops", "limit"):
        if before.get(name) != about[name]:
            raise ConfigError(
                f"--out: {path} is of another comparison, with {name} {before.get(name)} instead of {about[name]}; "
                "choose another folder, or remove it"
            )


def table(result: Comparison) -> Table:
    """Return one row per model."""
    made = plain_table("model")
    for name in ("score", "above", "each seed"):
        made.add_column(name, justify="right", no_wrap=True)
    last = None
    for own in result.models:
        above = "" if last is None else mean_text(own.above(last), signed=True)
        made.add_row(own.model, mean_text(own.mean), above, "  ".join(f"{row.mean():.4f}" for row in own.scores))
        last = own
    return made


if __name__ == "__main__":
    sys.exit(main())
