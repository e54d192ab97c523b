"""The models by name, and their files: a model is declared in a file of its own, and named here."""

import os
from collections.abc import Sequence
from typing import Final

from gnnsched_env.common import store
from gnnsched_env.common.checks import OneOf
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.store import Format
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.models.boosting import BoostingSettings
from gnnsched_env.forecast.models.network_settings import NETWORKS
from gnnsched_env.forecast.models.ranker import RankerSettings, TrainedRanker

MODELS: Final[dict[str, RankerSettings]] = {
    **NETWORKS,
    "boosting": BoostingSettings(),
}


def model_named(name: str) -> RankerSettings:
    """Return the settings of a model in MODELS; ConfigError for another name."""
    return MODELS[OneOf(tuple(MODELS)).check("forecast", "model", name)]


def open_ranker(path: str | os.PathLike[str], *, device: str = "cpu") -> TrainedRanker:
    """Return the ranker of a file, on a device if it is a network; trees need no torch."""
    kinds = ranker_formats()
    stored = store.load(path, *kinds)
    return kinds[stored.format].read(stored, device)


def ranker_formats() -> dict[Format, type[RankerSettings]]:
    """Return the formats of rankers' files, each with the settings whose `read` takes it."""
    return {settings.FORMAT: type(settings) for settings in MODELS.values()}


def open_rankers(entries: Sequence[str], *, device: str = "cpu") -> TrainedRanker | dict[Collection, TrainedRanker]:
    """Return the ranker of one path, or those of several COLLECTION=PATH, as layout:nlp:random=out/nlp/ranker.npz."""
    if len(entries) == 1 and "=" not in entries[0]:
        return open_ranker(entries[0], device=device)
    rankers: dict[Collection, TrainedRanker] = {}
    for entry in entries:
        name, sign, path = entry.partition("=")
        if not sign:
            raise ConfigError(f"rankers: several must be given as COLLECTION=PATH, got {entry!r}")
        collection = Collection.named(name)
        if collection in rankers:
            raise ConfigError(f"rankers: one of each collection is used, got two of {collection}")
        rankers[collection] = open_ranker(path, device=device)
        if rankers[collection].is_tile != collection.is_tile:
            kind = "layout" if collection.is_tile else "tile"
            raise ConfigError(f"rankers: {path} ranks {kind} configurations, which {collection} has none of")
    if not rankers:
        raise ConfigError("rankers: at least one is needed, got none")
    return rankers
