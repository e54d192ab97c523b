"""What `gnnsched forecast train`, `score` and `predict` do."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from gnnsched_cli.command import counted, plain, print_table, print_text
from gnnsched_cli.forecast_options import Files, Predict, Score, Train
from gnnsched_cli.forecast_tables import CEILING, LEAVE_OUT, LEGEND, ceiling_table, collection_table, graph_table
from gnnsched_cli.interrupts import INTERRUPTED
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import write_json
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.forecast.data.file_selection import Selection
from gnnsched_env.forecast.data.folder_tree import Opened
from gnnsched_env.forecast.data.program import Program
from gnnsched_env.forecast.data.row_splits import check_apart, part_of, read_split
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.encoding.portions import HELD_SHARE, part_of_rows, whole
from gnnsched_env.forecast.encoding.samples import prepare, prepare_all
from gnnsched_env.forecast.models.model_list import open_rankers
from gnnsched_env.forecast.models.network_settings import NetworkSettings
from gnnsched_env.forecast.models.ranker import WEIGHTS, Ranker, Session
from gnnsched_env.forecast.models.simple_rankers import RandomRanker, RidgeRanker
from gnnsched_env.forecast.scoring.noise_ceiling import Ceiling
from gnnsched_env.forecast.scoring.program_scores import Evaluation, evaluate, program_ceilings, submission_rows
from gnnsched_env.forecast.scoring.submission import read_submission, submission_id, write_submission
from gnnsched_env.forecast.training.fitting import fit, leave_one_out

IntArray = NDArray[np.int64]
Rankers = Ranker | Mapping[Collection, Ranker]

SCORES = "scores.json"


def train(given: Train) -> int:
    """Train, save, and score what was asked for."""
    check_options(given)
    opened = select(given, "train")
    session = Session(
        folder=given.out,
        device=given.device,
        minutes=given.minutes,
        tensorboard=given.tensorboard,
        progress=given.progress,
        report=report,
    )
    if given.leave_one_out:
        result = leave_one_out(given.training, opened, session, held_share=given.held_share)
        finish(given, result.evaluation, given.out / SCORES)
        return stopped(len(result.unfinished))
    hops = given.training.hops
    if given.split is None:
        if len({program.is_tile for program in opened.programs}) > 1:
            raise ConfigError(
                "--collection: one ranker ranks layouts or tiles, but files of both are there; choose some"
            )
        prepared = prepare_all(opened.programs, report, hops=hops)
        parts = [whole(sample) for sample in prepared.samples]
        tell_skipped(len(opened.skipped) + len(prepared.skipped), len(parts))
        rows = None
    else:
        program, chosen, rows = split_rows(given, opened)
        parts = [part_of_rows(prepare(program, hops=hops), chosen)]
    fitted = fit(given.training, parts, session, held_share=given.held_share)
    if fitted.finished and rows is not None:
        finish(given, evaluate(fitted.ranker, opened, rows=rows, report=report), given.out / SCORES)
    print(given.out / WEIGHTS)
    if not fitted.finished:
        return stopped(1)
    return 0


def stopped(trainings: int) -> int:
    """Tell of trainings that --minutes cut short, if any, and return the exit status."""
    if trainings:
        which = counted(trainings, "training")
        print(f"stopped: {which} before the end, as --minutes says; the same command goes on", file=sys.stderr)
    return INTERRUPTED if trainings else 0


def score(given: Score) -> int:
    """Score, write and print."""
    opened = select(given, given.files or ("valid" if given.split is None else "train"))
    rows, fitted_to = None, None
    if given.split is not None:
        _, fitted_to, rows = split_rows(given, opened)
    if given.ranker == ("ridge",):
        if fitted_to is None:
            raise ConfigError("--ranker ridge: needs --split, whose --train-part it is fitted to")
        sample = prepare(opened.programs[0], hops=RidgeRanker.hops)
        ranker: Rankers = RidgeRanker(sample, part_of_rows(sample, fitted_to).places)
    else:
        ranker = rankers(given)
    with progress_bar("scoring", len(opened.programs), shown=given.progress) as advance:
        result = evaluate(ranker, opened, rows=rows, merged=given.merged, report=report, advance=advance)
    bad = {path for path, _ in result.skipped}
    read = [program for program in opened.programs if program.path not in bad]
    ceilings = program_ceilings(read, rows, report) if given.ceiling else []
    finish(given, result, given.json, ceilings)
    return 0


def predict(given: Predict) -> int:
    """Rank, write, read back."""
    opened = select(given, given.files)
    if opened.skipped:
        raise ConfigError(f"a submission needs every file, but {len(opened.skipped)} cannot be read")
    ranker = rankers(given)
    try:
        with progress_bar("predicting", len(opened.programs), shown=given.progress) as advance:
            count = write_submission(given.out, submission_rows(ranker, opened.programs, advance=advance))
    except FileFormatError as error:
        raise ConfigError(f"a submission needs every file, but one is damaged: {error}") from None
    read_submission(given.out, {submission_id(p.collection, p.name): p.num_configs for p in opened.programs})
    print(f"{given.out}: {counted(count, 'file')} ranked")
    return 0


def select(given: Files, split: str) -> Opened:
    """Open the files that a command means."""
    return Selection(
        data=given.data,
        collections=given.collection,
        names=given.name,
        split=split,
        limit=given.limit,
        cache=given.cache,
    ).open(report)


def split_rows(given: Train | Score, opened: Opened) -> tuple[Program, IntArray, dict[str, IntArray] | None]:
    """Return the one program that is there, its rows to train on, and those to score, by its name (None: none)."""
    if len(opened.programs) != 1:
        found = ", ".join(f"{program.collection}:{program.name}" for program in opened.programs[:3])
        more = ", ..." if len(opened.programs) > 3 else ""
        raise ConfigError(
            f"--split: is of one program, got {len(opened.programs)} ({found}{more}); "
            "choose with --name and --collection"
        )
    assert given.split is not None
    program, parts = opened.programs[0], read_split(given.split)
    untrained = given.train_part not in parts or given.train_part == given.score_part
    if isinstance(given, Score) and given.ranker != ("ridge",) and untrained:
        none = np.zeros(0, np.int64)
        return program, none, {program.name: part_of(given.split, parts, given.score_part, program)}
    train_rows = part_of(given.split, parts, given.train_part, program)
    if given.score_part is None:
        return program, train_rows, None
    score_rows = part_of(given.split, parts, given.score_part, program)
    check_apart(program, train_rows, score_rows)
    return program, train_rows, {program.name: score_rows}


def rankers(given: Score | Predict) -> Rankers:
    """Return the rankers that were named."""
    return RandomRanker(given.seed) if given.ranker == ("random",) else open_rankers(given.ranker, device=given.device)


def finish(given: Files, result: Evaluation, path: Path | None, ceilings: Sequence[tuple[str, Ceiling]] = ()) -> None:
    """Write the scores, then print them and what was skipped."""
    if path is not None:
        own = {name: ceiling.record() for name, ceiling in ceilings}
        write_json(path, {"arguments": arguments_of(given), **result.record(), "ceilings": own})
    print_table(graph_table(result.scores), LEAVE_OUT)
    print_table(collection_table(result.collections()), LEAVE_OUT)
    print_text(LEGEND)
    if ceilings:
        print_table(ceiling_table(ceilings))
        print_text(CEILING)
    if (total := result.competition()) is not None:
        print(f"competition: {total:.4f}, the mean over the five collections")
    if all(one.reason for one in result.scores):
        report("nothing was scored: no file has runtimes to rank")
    tell_skipped(len(result.skipped), len(result.scores))


def tell_skipped(skipped: int, read: int) -> None:
    """Tell how many files could not be read, if any."""
    if skipped:
        report(f"{skipped} of {counted(skipped + read, 'file')} could not be read")


def arguments_of(given: Files) -> dict[str, Any]:
    """Return the arguments as JSON has them."""
    found = plain(given)
    if isinstance(given, Train):
        found["training"] = asdict(given.training)
    return found


def check_options(given: Train) -> None:
    """Raise ConfigError for options that exclude each other."""
    if given.split is None and given.score_part is not None:
        raise ConfigError("--score-part: names a part of --split, which is missing")
    if given.split is not None and given.leave_one_out:
        raise ConfigError("--leave-one-out: leaves out whole files, and so excludes --split")
    if not isinstance(given.training, NetworkSettings):
        own = {"minutes": None, "held_share": HELD_SHARE, "device": "auto", "tensorboard": None}
        for name, unused in own.items():
            if getattr(given, name) != unused:
                raise ConfigError(f"--{name.replace('_', '-')}: is of networks; {given.model} has no use for it")


def report(line: str) -> None:
    """Print a line of progress."""
    Console(stderr=True, soft_wrap=True).print(line, highlight=False, markup=False)
