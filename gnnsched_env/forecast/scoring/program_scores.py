"""Scores of a ranker on many files: original configurations, each ranked by itself.

A file's configurations are merged before they are ranked, so that duplicates have equal scores, and spread out again
before they are scored against their own measured runtimes. Rankers are given the whole file and asked for some of it:
what they compare configurations with is the file's, not what happens to be asked for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.stats import CONFIDENCE
from gnnsched_env.forecast.data.duplicates import merge
from gnnsched_env.forecast.data.folder_tree import Opened
from gnnsched_env.forecast.data.program import Program
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.encoding.samples import Sample, prepare
from gnnsched_env.forecast.models.ranker import Ranker
from gnnsched_env.forecast.scoring.noise_ceiling import Ceiling, noise_ceiling
from gnnsched_env.forecast.scoring.rank_scores import (
    CollectionScore,
    GraphScore,
    collection_scores,
    competition_score,
    score_graph,
)
from gnnsched_env.forecast.scoring.submission import submission_id, top_configs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores of every file that could be read, and (path, reason) of the others."""

    scores: list[GraphScore]
    skipped: list[tuple[Path, str]]
    confidence: float = CONFIDENCE

    def collections(self) -> list[CollectionScore]:
        """Return means and intervals over files, collection by collection."""
        return collection_scores(self.scores, confidence=self.confidence)

    def competition(self) -> float | None:
        """Return the competition's score, or None unless each of the five collections has a score."""
        means = {one.collection: one.competition.value for one in self.collections() if one.graphs}
        return competition_score(means) if set(means) == set(Collection) else None

    def record(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {
            "graphs": [score.record() for score in self.scores],
            "collections": [one.record() for one in self.collections()],
            "competition": self.competition(),
            "skipped": [{"file": str(path), "reason": reason} for path, reason in self.skipped],
        }


def evaluate(
    ranker: Ranker | Mapping[Collection, Ranker],
    opened: Opened,
    *,
    rows: Mapping[str, IntArray] | None = None,
    merged: bool = False,
    report: Report = lambda line: None,
    advance: Callable[[int], None] = lambda amount: None,
) -> Evaluation:
    """Score a ranker (or one for each collection) on opened programs, one at a time.

    `rows`: by file name, the configurations to score; all where none are named. `merged`: equal configurations count
    once, with the mean of all their runtimes; without it each row counts, with its own runtime. A file whose damage
    shows only now is reported, and skipped with those that could not be opened. `advance` is told of each program.
    """
    owners = [_own(ranker, program) for program in opened.programs]  # one that is missing is known before the work
    scores = []
    left = list(opened.skipped)
    for own, program in zip(owners, opened.programs, strict=True):
        try:
            chosen = None if rows is None else rows.get(program.name)
            scores.append(score_program(own, program, chosen, merged=merged))
        except FileFormatError as error:
            left.append((program.path, str(error)))
            report(f"skipped: {error}")
        advance(1)
    return Evaluation(scores=scores, skipped=left)


def score_program(
    ranker: Ranker, program: Program, rows: IntArray | None = None, *, merged: bool = False
) -> GraphScore:
    """Return a ranker's scores on one file, or on some of its configurations (`rows`, int64 [k]); see `evaluate`."""
    return score_sample(ranker, prepare(program, hops=ranker.hops), program, rows, merged=merged)


def score_sample(
    ranker: Ranker, sample: Sample, program: Program, rows: IntArray | None = None, *, merged: bool = False
) -> GraphScore:
    """Return a ranker's scores on a file that is prepared already (whole, with the ranker's `hops`)."""
    chosen = np.arange(program.num_configs) if rows is None else _checked(program, rows)
    groups = sample.groups[chosen]
    if merged:
        groups, first = np.unique(groups, return_index=True)
        chosen = chosen[first]
    targets = sample.targets[groups] if merged else program.targets()[chosen]
    return score_graph(program.name, program.collection, predict_rows(ranker, sample, chosen), targets, groups)


def predict_rows(ranker: Ranker, sample: Sample, rows: IntArray | None = None) -> FloatArray:
    """Return scores of original configurations, float64 [c], or of some `rows`; duplicates have equal ones."""
    groups = sample.groups if rows is None else sample.groups[rows]
    places, spread = np.unique(groups, return_inverse=True)
    scores = np.asarray(ranker.predict(sample, places), np.float64)
    if scores.shape != places.shape:
        raise ConfigError(
            f"{sample.name}: a ranker must score each of {len(places)} configurations, got {scores.shape}"
        )
    every: FloatArray = scores[spread]
    return every


def submission_rows(
    ranker: Ranker | Mapping[Collection, Ranker],
    programs: Sequence[Program],
    *,
    advance: Callable[[int], None] = lambda amount: None,
) -> Iterator[tuple[str, IntArray]]:
    """Yield (ID, configurations, fastest first) of each program, labelled or not, for `write_submission`.

    A damaged file is not skipped: a submission must hold every one.
    """
    owners = [_own(ranker, program) for program in programs]  # one that is missing is known before the work
    for own, program in zip(owners, programs, strict=True):
        sample = prepare(program, hops=own.hops)
        top = top_configs(program.collection, predict_rows(own, sample), sample.groups)
        yield submission_id(program.collection, program.name), top
        advance(1)


def program_ceilings(
    programs: Iterable[Program], rows: Mapping[str, IntArray] | None = None, report: Report = lambda line: None
) -> list[tuple[str, Ceiling]]:
    """Return (collection:name, noise ceiling of tau) of layout programs; why some have none is reported.

    `rows`: by file name, what is scored; noise is taken from all duplicates of the file.
    """
    found = []
    for program in programs:
        if program.is_tile:
            continue
        try:
            chosen = None if rows is None else rows.get(program.name)
            name = f"{program.collection}:{program.name}"
            found.append((name, noise_ceiling(program.targets(), merge(program).groups, chosen)))
        except (ConfigError, FileFormatError) as error:
            report(f"{program.name}: {error}")
    return found


def _own(ranker: Ranker | Mapping[Collection, Ranker], program: Program) -> Ranker:
    """Return the ranker of a program's collection."""
    if not isinstance(ranker, Mapping):
        return ranker
    if program.collection not in ranker:
        known = ", ".join(ranker)
        raise ConfigError(
            f"rankers: {program.collection} needs one, too ({program.name} is of it), got some of {known} only"
        )
    return ranker[program.collection]


def _checked(program: Program, rows: IntArray) -> IntArray:
    chosen = np.asarray(rows)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
        raise ConfigError(f"{program.name}: rows must be integers [k], got {chosen.dtype} of shape {chosen.shape}")
    outside = chosen[(chosen < 0) | (chosen >= program.num_configs)]
    if len(outside):
        raise ConfigError(f"{program.name}: rows must be within 0..{program.num_configs - 1}, got {outside[0]}")
    return chosen.astype(np.int64)
