"""Rankers fitted to files: what is held back for validation, networks and trees by one call, one file left out.

Needs no torch until a network is trained or read.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common import store
from gnnsched_env.common.checks import Number, check_fields
from gnnsched_env.common.errors import ConfigError, needs_extra
from gnnsched_env.common.store import FORECAST_NETWORK, FORECAST_TREES
from gnnsched_env.forecast.data.folder_tree import Opened
from gnnsched_env.forecast.encoding.samples import Sample, prepare_all
from gnnsched_env.forecast.models.boosting import BoostingRanker
from gnnsched_env.forecast.models.model_config import BoostingConfig, TrainConfig
from gnnsched_env.forecast.models.simple_rankers import RandomRanker, Ranker
from gnnsched_env.forecast.scoring.program_scores import Evaluation, score_sample
from gnnsched_env.forecast.training.portions import Portion

IntArray = NDArray[np.int64]
Report = Callable[[str], None]
Config = TrainConfig | BoostingConfig

HELD_SHARE = 0.1
FEW_PROGRAMS = 5
"""With fewer, some configurations of each are held back instead of whole programs."""

WEIGHTS = "ranker.npz"
CHECKPOINT = "checkpoint.pt"
EVENTS = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How a training runs, which decides nothing of its result.

    `folder` keeps weights, checkpoint and events (None: nothing is kept). `minutes`: how long at most; what was reached
    is kept, and the same call goes on. `tensorboard`: write events (None: if it is installed). `progress`: a bar on
    stderr (None: if that is a terminal).
    """

    folder: Path | None = None
    device: str = "auto"
    minutes: Annotated[float | None, Number(above=0, finite=False)] = None
    tensorboard: bool | None = None
    progress: bool | None = False
    report: Report = lambda line: None

    def __post_init__(self) -> None:
        check_fields(self, "forecast training")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeftOut:
    """Scores of programs that were left out, and the names of those whose trainings `minutes` cut short."""

    evaluation: Evaluation
    unfinished: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A ranker, and whether its training came to its end or `minutes` ran out first."""

    ranker: Ranker
    finished: bool


def whole(sample: Sample) -> Portion:
    """Return all configurations of a sample."""
    return Portion(sample=sample)


def part_of_rows(sample: Sample, rows: IntArray) -> Portion:
    """Return the configurations of some of the file's rows; duplicates count once."""
    return Portion(sample=sample, rows=np.unique(sample.groups[rows]))


def hold_back(
    parts: Sequence[Portion], *, share: float = HELD_SHARE, seed: int = 0
) -> tuple[list[Portion], list[Portion]]:
    """Return (to train on, to validate with) of what has something to rank, drawn with the seed.

    Of at least FEW_PROGRAMS programs a `share` is held back whole, else that share of each one's different
    configurations (at least two, and at most half).
    """
    Number(above=0, below=1).check("forecast training", "share", share)
    rankable = [part for part in parts if part.rankable]
    rng = np.random.default_rng((seed, 3))
    if len(rankable) >= FEW_PROGRAMS:
        order = rng.permutation(len(rankable))
        held = set(order[: max(1, round(share * len(rankable)))].tolist())
        return [p for k, p in enumerate(rankable) if k not in held], [rankable[k] for k in sorted(held)]
    train, kept = [], []
    for part in rankable:
        order = rng.permutation(part.places)
        count = min(max(2, round(share * len(order))), len(order) // 2)
        train.append(Portion(sample=part.sample, rows=np.sort(order[count:])))
        kept.append(Portion(sample=part.sample, rows=np.sort(order[:count])))
    return train, kept


def fit(config: Config, parts: Sequence[Portion], session: Session, *, held_share: float = HELD_SHARE) -> Fitted:
    """Train a ranker on parts prepared with the configuration's hops; the same call goes on where one was stopped.

    Networks keep the weights that validate best on what is held back (`hold_back`, with the configuration's seed);
    trees are fitted to all. A folder that holds a ranker of another configuration or of other programs, or such a
    checkpoint, is refused.
    """
    if session.folder is not None:
        _check_folder(session.folder, config, parts)
    if isinstance(config, BoostingConfig):
        ranker: Ranker = BoostingRanker.fit(config, [p.sample for p in parts], [p.places for p in parts])
        done = Fitted(ranker=ranker, finished=True)
    else:
        done = _fit_network(config, *hold_back(parts, share=held_share, seed=config.seed), session)
    if session.folder is not None:
        done.ranker.save(session.folder / WEIGHTS)  # type: ignore[attr-defined]
    return done


def leave_one_out(config: Config, opened: Opened, session: Session, *, held_share: float = HELD_SHARE) -> LeftOut:
    """Score each program by a ranker that was trained on all the others; `session.folder` keeps a folder for each.

    A program with nothing to rank is in no training and has no ranker, but is counted. ConfigError where the others
    leave nothing to train on. The same program in another collection (of equal name) is left out with it.
    `session.minutes` are for each program; a training that they cut short counts as it is.
    """
    prepared = prepare_all(opened.programs, session.report, hops=hops_of(config))
    labels = {(program.collection, program.name) for program in opened.programs}
    if len(labels) < len(opened.programs):
        raise ConfigError("leave-one-out: files of a collection must have different names")
    several = len({collection for collection, _ in labels}) > 1
    scores, unfinished = [], []
    for sample, program in zip(prepared.samples, prepared.programs, strict=True):
        score = score_sample(RandomRanker(), sample, program)
        if not score.reason:
            others = [whole(other) for other in prepared.samples if other.name != sample.name]
            folder = session.folder
            if folder is not None:
                folder = (folder / sample.collection.replace(":", "-") if several else folder) / sample.name
            own = replace(session, folder=folder, report=lambda line: None)
            fitted = fit(config, others, own, held_share=held_share)
            score = score_sample(fitted.ranker, sample, program)
            figures = f"tau {score.tau:.3f}, slowdown of the top 5 {score.slowdowns[1]:.4f}"
            cut = "" if fitted.finished else ", its training cut short"
            session.report(f"{sample.label}: {figures}{cut}")
            if not fitted.finished:
                unfinished.append(sample.name)
        scores.append(score)
    evaluation = Evaluation(scores=scores, skipped=[*opened.skipped, *prepared.skipped])
    return LeftOut(evaluation=evaluation, unfinished=tuple(unfinished))


def hops_of(config: Config) -> int | None:
    """Return the hops that samples must be prepared with to train a model."""
    return config.hops if isinstance(config, TrainConfig) else 0


def open_ranker(path: str | os.PathLike[str], *, device: str = "cpu") -> Ranker:
    """Return the ranker of a file, on a device if it is a network; trees need no torch."""
    stored = store.load(path, FORECAST_NETWORK, FORECAST_TREES)
    if stored.format is FORECAST_TREES:
        return BoostingRanker.from_stored(stored)
    with needs_extra(stored.source, "gnn"):
        from gnnsched_env.forecast.models.network_ranker import NetworkRanker
        from gnnsched_env.nn.device import pick_device
    return NetworkRanker.from_stored(stored).to(pick_device(device))


def _check_folder(folder: Path, config: Config, parts: Sequence[Portion]) -> None:
    """Refuse to replace a ranker that another configuration, or other programs, made."""
    path = folder / WEIGHTS
    if (folder / CHECKPOINT).exists() and isinstance(config, BoostingConfig):
        raise ConfigError(f"{folder} holds a network's training; trees need another folder")
    if not path.exists():
        return
    about = store.load(path, FORECAST_NETWORK, FORECAST_TREES).manifest.get("provenance", {})
    differ = "settings" if about.get("training") != json.loads(json.dumps(asdict(config))) else ""
    if not differ and not set(about.get("programs", ())) <= {part.sample.label for part in parts}:
        differ = "programs"
    if differ:
        raise ConfigError(f"{path} is of another training (its {differ} differ): choose another folder, or remove it")


def _fit_network(config: TrainConfig, train: Sequence[Portion], held: Sequence[Portion], session: Session) -> Fitted:
    with needs_extra("forecast networks", "gnn"):
        from gnnsched_env.forecast.training.network_training import train_network
    logs = None
    if session.folder is not None and (
        session.tensorboard or (session.tensorboard is None and find_spec("tensorboard"))
    ):
        logs = session.folder / EVENTS
    run = train_network(
        config,
        train,
        held,
        checkpoint=None if session.folder is None else session.folder / CHECKPOINT,
        device=session.device,
        minutes=session.minutes,
        logs=logs,
        progress=session.progress,
        report=session.report,
    )
    return Fitted(ranker=run.ranker(), finished=run.finished)
