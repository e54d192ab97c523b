"""Scores of a ranking of configurations: Kendall's tau, ordered pairs, slowdown of the best of the top K.

Predicted scores are float [c], smaller is faster; targets are runtimes (or normalised runtimes), float [c]. Whether a
file has anything to rank is decided by its targets alone, never by what was predicted, so that no predictor can have
a graph left out of its mean.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnsched_env.common import stats
from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.stats import CONFIDENCE, Interval, mean_interval
from gnnsched_env.forecast.data.schema import Collection

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TOPS = (1, 5, 10)
"""The K of which the slowdown of the best of the predicted top K is scored."""
TILE_TOP = 5
"""How many configurations of a tile file the competition looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphScore:
    """What a ranking of one file's configurations came to.

    `reason` says why there is nothing to rank, and is empty where there is; a file with a reason has nan for all
    scores and stays out of every mean. `slowdowns` are in the order of TOPS.
    """

    name: str
    collection: Collection
    configs: int
    tau: float = math.nan
    pairs: float = math.nan
    slowdowns: tuple[float, ...] = (math.nan,) * len(TOPS)
    reason: str = ""

    def __post_init__(self) -> None:
        if len(self.slowdowns) != len(TOPS):
            raise ConfigError(f"{self.name}: slowdowns must be {len(TOPS)} values, got {len(self.slowdowns)}")

    @property
    def competition(self) -> float:
        """What the competition gives the file: tau for layouts, 1 - slowdown of the best of the top 5 for tiles."""
        if not self.collection.is_tile:
            return self.tau
        return 1.0 - self.slowdowns[TOPS.index(TILE_TOP)]

    def record(self) -> dict[str, Any]:
        """Return the scores as JSON has them: None for what is not defined."""
        slowdowns = {f"slowdown_top{k}": _json(value) for k, value in zip(TOPS, self.slowdowns, strict=True)}
        scores = {"tau": _json(self.tau), "ordered_pairs": _json(self.pairs), **slowdowns}
        about = {"name": self.name, "collection": str(self.collection), "configurations": self.configs}
        return {**about, **scores, "competition": _json(self.competition), "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionScore:
    """Means over the files of one collection; `excluded` files had nothing to rank and are in no mean."""

    collection: Collection
    graphs: int
    excluded: int
    tau: Interval
    pairs: Interval
    slowdowns: tuple[Interval, ...]
    competition: Interval

    def record(self) -> dict[str, Any]:
        """Return the means with their intervals as JSON has them."""
        slowdowns = {f"slowdown_top{k}": mean.as_list() for k, mean in zip(TOPS, self.slowdowns, strict=True)}
        scores = {"tau": self.tau.as_list(), "ordered_pairs": self.pairs.as_list(), **slowdowns}
        about = {"collection": str(self.collection), "graphs": self.graphs, "excluded": self.excluded}
        return {**about, **scores, "competition": self.competition.as_list()}


def kendall_tau(scores: ArrayLike, targets: ArrayLike) -> float:
    """Return Kendall's tau-b between scores and targets, in -1..1.

    nan where the targets leave nothing to rank: fewer than two configurations, or all targets equal (which the zeros
    of an unlabelled file are). Where all scores are equal, but targets are not, tau-b is undefined; it counts as 0.
    """
    predicted, true = _checked(scores, targets)
    if not _rankable(true):
        return math.nan
    return float(np.nan_to_num(stats.kendall_tau(predicted, true)))


def ordered_pair_accuracy(scores: ArrayLike, targets: ArrayLike) -> float:
    """Return the share of the pairs of unequal targets that the scores order rightly; equal scores count half.

    nan where no two targets differ. Time is that of tau, n log n: agreeing less disagreeing pairs are tau-b times the
    geometric mean of the pairs that scores and targets tell apart.
    """
    tau = kendall_tau(scores, targets)
    if math.isnan(tau):
        return math.nan
    predicted, true = _checked(scores, targets)
    told, guessed = _unequal_pairs(true), _unequal_pairs(predicted)
    agreement = round(tau * math.sqrt(told) * math.sqrt(guessed))
    return 0.5 * (1.0 + agreement / told)


def slowdown(scores: ArrayLike, targets: ArrayLike, k: int) -> float:
    """Return by how much the best of the predicted top `k` is slower than the best: best of top k / best - 1, >= 0.

    Equal scores are taken in the order of the file. With fewer than `k` configurations it is 0; nan for no
    configuration, and for an unlabelled file.
    """
    Integer(1).check("slowdown", "k", k)
    predicted, true = _checked(scores, targets)
    if not len(true) or not true.any():
        return math.nan
    return float(true[ranking(predicted)[:k]].min() / true.min() - 1.0)


def ranking(scores: ArrayLike) -> IntArray:
    """Return the configurations from the fastest to the slowest predicted, int64 [c]; ties in the order of the file."""
    return np.argsort(np.asarray(scores, np.float64), kind="stable").astype(np.int64)


def score_graph(
    name: str, collection: Collection, scores: ArrayLike, targets: ArrayLike, groups: ArrayLike | None = None
) -> GraphScore:
    """Return all scores of one file.

    `groups` int [c] says which configurations are the same one. A file whose configurations are all the same has
    nothing to rank, even if jitter gave them different runtimes.
    """
    predicted, true = _checked(scores, targets, name)
    reason = _nothing_to_rank(true, groups)
    if reason:
        return GraphScore(name=name, collection=collection, configs=len(true), reason=reason)
    return GraphScore(
        name=name,
        collection=collection,
        configs=len(true),
        tau=kendall_tau(predicted, true),
        pairs=ordered_pair_accuracy(predicted, true),
        slowdowns=tuple(slowdown(predicted, true, k) for k in TOPS),
    )


def collection_score(scores: Iterable[GraphScore], *, confidence: float = CONFIDENCE) -> CollectionScore:
    """Return the means over the files of one collection that have something to rank."""
    given = list(scores)
    kinds = {score.collection for score in given}
    if len(kinds) != 1:
        raise ConfigError(f"collection score: needs files of one collection, got {sorted(map(str, kinds))}")
    ranked = [score for score in given if not score.reason]

    def mean(values: Iterable[float]) -> Interval:
        return mean_interval(list(values), confidence=confidence)

    return CollectionScore(
        collection=given[0].collection,
        graphs=len(ranked),
        excluded=len(given) - len(ranked),
        tau=mean(score.tau for score in ranked),
        pairs=mean(score.pairs for score in ranked),
        slowdowns=tuple(mean(score.slowdowns[k] for score in ranked) for k in range(len(TOPS))),
        competition=mean(score.competition for score in ranked),
    )


def collection_scores(scores: Iterable[GraphScore], *, confidence: float = CONFIDENCE) -> list[CollectionScore]:
    """Return the means of each collection that has a file, in the order of `Collection`."""
    given = list(scores)
    parts = [[score for score in given if score.collection is kind] for kind in Collection]
    return [collection_score(part, confidence=confidence) for part in parts if part]


def competition_score(means: Mapping[Collection, float]) -> float:
    """Return the competition's score: the plain mean over the five collections, each of which is needed.

    `means`: each collection's mean of `GraphScore.competition`.
    """
    for kind in Collection:
        if kind not in means or math.isnan(means[kind]):
            raise ConfigError(f"competition score: needs all five collections, got no score of {kind}")
    return float(np.mean([means[kind] for kind in Collection]))


def _checked(scores: ArrayLike, targets: ArrayLike, name: str = "scores") -> tuple[FloatArray, FloatArray]:
    predicted, true = np.asarray(scores, np.float64), np.asarray(targets, np.float64)
    if predicted.ndim != 1 or predicted.shape != true.shape:
        raise ConfigError(
            f"{name}: scores and targets must be [configurations], got {predicted.shape} and {true.shape}"
        )
    if not np.isfinite(predicted).all():
        raise ConfigError(f"{name}: predicted scores must be finite, got {predicted[~np.isfinite(predicted)][0]}")
    wrong = true[~(np.isfinite(true) & (true > 0.0))]
    if len(wrong) and true.any():
        raise ConfigError(f"{name}: targets must be above 0 (or all 0 where unlabelled), got {wrong[0]}")
    return predicted, true


def _rankable(values: FloatArray) -> bool:
    return len(values) > 1 and bool((values != values[0]).any())


def _nothing_to_rank(true: FloatArray, groups: ArrayLike | None) -> str:
    """Return why a file leaves nothing to rank, or nothing."""
    if len(true) < 2:
        return f"{len(true)} configurations" if len(true) != 1 else "one configuration"
    if not true.any():
        return "unlabelled"
    if groups is not None and len(np.unique(np.asarray(groups))) == 1:
        return "one distinct configuration"
    return "" if _rankable(true) else "all runtimes equal"


def _unequal_pairs(values: FloatArray) -> int:
    """Return how many pairs of values differ."""
    counts = np.unique(values, return_counts=True)[1].astype(object)  # no overflow, whatever the size
    total = len(values)
    return int((total * (total - 1) - (counts * (counts - 1)).sum()) // 2)


def _json(value: float) -> float | None:
    return None if math.isnan(value) else value
