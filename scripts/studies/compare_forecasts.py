"""Compare the models of runtime forecasts: each trained with several seeds, scored on files that none has seen.

Example:
    python scripts/studies/compare_forecasts.py --data tpugraphs --collection layout:xla:random --out out/compared
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from gnnsched_cli.command import OutFolder, counted, plain, print_table, print_text, run_command
from gnnsched_cli.forecast_runs import report
from gnnsched_cli.forecast_tables import mean_text, plain_table
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import read_json
from gnnsched_env.common.folder_lock import writing_folder
from gnnsched_env.common.stats import Interval, crossed_interval
from gnnsched_env.evaluation import write_json
from gnnsched_env.forecast.data.file_selection import Selection
from gnnsched_env.forecast.data.folder_tree import Opened
from gnnsched_env.forecast.encoding.portions import Portion, whole
from gnnsched_env.forecast.encoding.samples import Prepared, prepare_all
from gnnsched_env.forecast.models.model_list import model_named
from gnnsched_env.forecast.models.network_settings import NetworkSettings
from gnnsched_env.forecast.models.ranker import RankerSettings, Session
from gnnsched_env.forecast.scoring.program_scores import score_sample
from gnnsched_env.forecast.training.fitting import fit

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelScores:
    """A model's scores (`GraphScore.competition`), float64 [seeds, files]; `seeds` are in the order of the rows."""

    model: str
    seeds: tuple[int, ...]
    scores: FloatArray

    @property
    def mean(self) -> Interval:
        """Return the mean over seeds and files with its interval."""
        return crossed_interval(self.scores)

    def above(self, other: "ModelScores") -> Interval:
        """Return by how much it is above another model on the same files and seeds, with the interval."""
        if self.seeds != other.seeds:
            raise ConfigError(f"comparison: {self.model} and {other.model} must have the same seeds")
        return crossed_interval(self.scores - other.scores)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Models in the order asked for, on `files` that have something to rank."""

    files: tuple[str, ...]
    models: tuple[ModelScores, ...]

    def record(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        before = [None, *self.models[:-1]]
        return {
            "files": list(self.files),
            "models": [
                {
                    "model": own.model,
                    "mean": own.mean.as_list(),
                    "above_the_one_before": None if last is None else own.above(last).as_list(),
                    "seeds": {str(seed): row.tolist() for seed, row in zip(own.seeds, own.scores, strict=True)},
                }
                for own, last in zip(self.models, before, strict=True)
            ],
        }


def configured(models: Sequence[str], seed: int, **changes: Any) -> list[tuple[str, RankerSettings]]:
    """Return (name, configuration) of models in MODELS with a seed; `changes` that are not None are of networks."""
    given = {name: value for name, value in changes.items() if value is not None}
    replace(NetworkSettings(), **given)  # refuses bad ones, whatever the models
    named = [(name, model_named(name)) for name in models]
    return [
        (name, replace(config, seed=seed, **(given if isinstance(config, NetworkSettings) else {})))
        for name, config in named
    ]


def compare(
    models: Sequence[str],
    seeds: Sequence[int],
    train: Opened,
    test: Opened,
    session: Session,
    *,
    told: Callable[[str], None] = lambda line: None,
    **changes: Any,
) -> Comparison:
    """Train each model with each seed on `train` and score it on `test`; the same call goes on where one was stopped.

    `session.folder` keeps a folder MODEL-SEED for each. `changes`: fields of NetworkSettings, for all networks.
    ConfigError where nothing, or one model or seed twice, is asked for, or no file of `test` has anything to rank.
    """
    for what, given in (("models", models), ("seeds", seeds)):
        if not given or len(set(given)) < len(given):
            raise ConfigError(f"comparison: {what} must be different ones, got {', '.join(map(str, given)) or 'none'}")
    every = {seed: dict(configured(models, seed, **changes)) for seed in seeds}
    if not any(len(np.unique(program.targets())) > 1 for program in test.programs):
        raise ConfigError(
            "comparison: no file to score has anything to rank; are they unlabelled, as real test files are?"
        )
    portions: dict[int | None, list[Portion]] = {}
    tests: dict[int | None, Prepared] = {}
    found: dict[tuple[str, int], FloatArray] = {}
    files: tuple[str, ...] = ()
    for seed in seeds:  # all models of a seed first: a stopped comparison has whole ones
        for model, config in every[seed].items():
            hops = config.hops
            if hops not in portions:
                known = prepare_all(train.programs, session.report, hops=hops)
                portions[hops] = [whole(sample) for sample in known.samples]
                tests[hops] = prepare_all(test.programs, session.report, hops=hops)
            folder = None if session.folder is None else session.folder / f"{model}-{seed}"
            fitted = fit(config, portions[hops], replace(session, folder=folder))
            pairs = zip(tests[hops].samples, tests[hops].programs, strict=True)
            scores = [score_sample(fitted.ranker, sample, program) for sample, program in pairs]
            scored = [one for one in scores if not one.reason]
            if not scored:
                raise ConfigError("comparison: no file to score has anything to rank")
            files = tuple(f"{one.collection}:{one.name}" for one in scored)
            found[model, seed] = np.array([one.competition for one in scored])
            told(f"{model}, seed {seed}: {found[model, seed].mean():.4f} over {len(scored)} files")
    return Comparison(
        files=files,
        models=tuple(
            ModelScores(model=model, seeds=tuple(seeds), scores=np.stack([found[model, seed] for seed in seeds]))
            for model in models
        ),
    )


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
    out: OutFolder
    """Where a folder for each model and seed goes, and comparison.json; the same command goes on where it stopped."""
    models: tuple[str, ...] = ("nn", "gnn32", "gnn64", "sage", "attention")
    """Models to train, in order: each is compared with the one before it."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; each model is trained with each of them."""
    files: Literal["valid", "test"] = "test"
    """Which files to score; test files of the real data set have no runtimes."""
    steps: int | None = None
    """Number of steps of all networks; none: each model's own."""
    graphs_a_step: int | None = None
    """Number of programs in each step of all networks; none: each model's own."""
    configs_a_step: int | None = None
    """Number of configurations of each program in each step of all networks; none: each model's own."""
    hops: int | None = None
    """Distance in edges from configurable operations up to which graphs are kept; none: each model's own."""
    limit: int | None = None
    """Largest number of files to train on, and to score."""
    cache: OutFolder | None = None
    """A folder that keeps layouts in a form that is read faster."""
    device: str = "auto"
    """Device of torch; "auto": a GPU if there is one, else the CPU."""
    progress: bool | None = None
    """Show a progress bar; none: only if stderr is a terminal."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command(PROGRAM, Arguments, run, __doc__, words, stopped="stopped; the same command goes on")


def run(given: Arguments) -> None:
    """Open, compare, write and print."""
    with writing_folder(given.out):
        compare_files(given)


def compare_files(given: Arguments) -> None:
    """Do what `run` does, in a folder that is held."""
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
    write_json(given.out / RESULT, {"arguments": about, **result.record()})
    print_table(table(result))
    print_text(f"{LEGEND}\n{counted(len(result.files), 'file')}, {counted(len(given.seeds), 'seed')}.")


def check_same(path: Path, about: Mapping[str, object]) -> None:
    """Refuse to replace a comparison of other files or settings; models and seeds may be others."""
    if not path.exists():
        return
    try:
        before = read_json(path).get("arguments")
    except FileFormatError:
        before = None
    if not isinstance(before, dict):
        raise ConfigError(f"--out: {path} is there, but is no comparison; choose another folder, or remove it")
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
