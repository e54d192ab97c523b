"""Rankers fitted to files, of whatever kind: one training, and one for each file that leaves that file out.

Needs no torch until a network is trained.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gnnsched_env.common import store
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.folder_lock import writing_folder
from gnnsched_env.forecast.data.folder_tree import Opened
from gnnsched_env.forecast.encoding.portions import HELD_SHARE, Portion, whole
from gnnsched_env.forecast.encoding.samples import prepare_all
from gnnsched_env.forecast.models.model_list import ranker_formats
from gnnsched_env.forecast.models.ranker import WEIGHTS, Fitted, RankerSettings, Session
from gnnsched_env.forecast.models.simple_rankers import RandomRanker
from gnnsched_env.forecast.scoring.program_scores import Evaluation, score_sample


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeftOut:
    """Scores of programs that were left out, and the names of those whose trainings `minutes` cut short."""

    evaluation: Evaluation
    unfinished: tuple[str, ...]


def fit(
    settings: RankerSettings, parts: Sequence[Portion], session: Session, *, held_share: float = HELD_SHARE
) -> Fitted:
    """Train a ranker on parts prepared with the settings' hops; the same call goes on where one was stopped.

    A folder that holds a ranker of other settings or of other programs, or such a checkpoint, is refused, and one that
    another training writes.
    """
    with writing_folder(session.folder):
        if session.folder is not None:
            _check_folder(session.folder, settings, parts)
        done = settings.fit(parts, session, held_share)
        if session.folder is not None:
            done.ranker.save(session.folder / WEIGHTS)
    return done


def leave_one_out(
    settings: RankerSettings, opened: Opened, session: Session, *, held_share: float = HELD_SHARE
) -> LeftOut:
    """Score each program by a ranker that was trained on all the others; `session.folder` keeps a folder for each.

    A program with nothing to rank is in no training and has no ranker, but is counted. ConfigError where the others
    leave nothing to train on, or the folder is being written. The same program in another collection (of equal name) is
    left out with it. `session.minutes` are for each program; a training that they cut short counts as it is.
    """
    labels = {(program.collection, program.name) for program in opened.programs}
    if len(labels) < len(opened.programs):
        raise ConfigError("leave-one-out: files of a collection must have different names")
    with writing_folder(session.folder):
        return _leave_one_out(settings, opened, session, held_share)


def _leave_one_out(settings: RankerSettings, opened: Opened, session: Session, held_share: float) -> LeftOut:
    prepared = prepare_all(opened.programs, session.report, hops=settings.hops)
    several = len({program.collection for program in opened.programs}) > 1
    scores, unfinished = [], []
    for sample, program in zip(prepared.samples, prepared.programs, strict=True):
        score = score_sample(RandomRanker(), sample, program)
        if not score.reason:
            others = [whole(other) for other in prepared.samples if other.name != sample.name]
            folder = session.folder
            if folder is not None:
                folder = (folder / sample.collection.replace(":", "-") if several else folder) / sample.name
            own = replace(session, folder=folder, report=lambda line: None)
            fitted = fit(settings, others, own, held_share=held_share)
            score = score_sample(fitted.ranker, sample, program)
            figures = f"tau {score.tau:.3f}, slowdown of the top 5 {score.slowdowns[1]:.4f}"
            cut = "" if fitted.finished else ", its training cut short"
            session.report(f"{sample.label}: {figures}{cut}")
            if not fitted.finished:
                unfinished.append(sample.name)
        scores.append(score)
    evaluation = Evaluation(scores=scores, skipped=[*opened.skipped, *prepared.skipped])
    return LeftOut(evaluation=evaluation, unfinished=tuple(unfinished))


def _check_folder(folder: Path, settings: RankerSettings, parts: Sequence[Portion]) -> None:
    """Refuse to replace a ranker that other settings, or other programs, made."""
    path = folder / WEIGHTS
    if not path.exists():
        return
    stored = store.load(path, *ranker_formats())
    about = stored.manifest.get("provenance", {})
    same = stored.format == settings.FORMAT and about.get("training") == json.loads(json.dumps(asdict(settings)))
    differ = "" if same else "settings"
    if not differ and not set(about.get("programs", ())) <= {part.sample.label for part in parts}:
        differ = "programs"
    if differ:
        raise ConfigError(f"{path} is of another training (its {differ} differ): choose another folder, or remove it")
