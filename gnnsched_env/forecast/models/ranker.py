"""What every kind of ranker offers: the ranker, the settings that decide its training, and how a training runs."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, Number, check_fields
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.store import Format, Stored
from gnnsched_env.forecast.encoding.portions import Portion
from gnnsched_env.forecast.encoding.samples import LAYOUT_COLUMNS, NODE_COLUMNS, TILE_ENCODED, Sample

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Report = Callable[[str], None]

WEIGHTS = "ranker.npz"
CHECKPOINT = "checkpoint.pt"
EVENTS = "events"

ENCODING: Final[dict[str, Any]] = {
    "nodes": [[name, own.start, own.stop] for name, own in NODE_COLUMNS.items()],
    "layouts": [[name, own.start, own.stop] for name, own in LAYOUT_COLUMNS.items()],
    "tiles": TILE_ENCODED,
    "version": 1,
}
"""What a ranker's features mean; a file that was made with another encoding is refused."""


class Ranker(Protocol):
    """What ranks a program's configurations; samples are prepared with its `hops` (None: the whole graph)."""

    @property
    def hops(self) -> int | None:
        """How far from configurable operations it wants the graph kept."""
        ...

    def predict(self, sample: Sample, rows: IntArray | None = None) -> FloatArray:
        """Return scores float64 [u], smaller is faster, or those of places `rows` in the sample, [k].

        A configuration's score must not depend on which others are asked for.
        """
        ...


class TrainedRanker(Ranker, Protocol):
    """One that was trained, and has a file."""

    @property
    def is_tile(self) -> bool:
        """Whether it ranks tile sizes, not layouts."""
        ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file without pickles, whole or not at all; its settings' `read` takes it."""
        ...


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
class Fitted:
    """A ranker, and whether its training came to its end or `minutes` ran out first."""

    ranker: TrainedRanker
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerSettings:
    """Everything that decides what a training makes of some samples; each kind of ranker has a subclass.

    `FORMAT`: of the files that its rankers are saved in. Options are fields of the subclass, with their defaults; they
    are options of the command line by the same names.
    """

    FORMAT: ClassVar[Format]

    seed: Annotated[int, Integer(0)] = 0
    """Seed of all random draws."""

    def __post_init__(self) -> None:
        check_fields(self, "forecast training")

    @property
    def hops(self) -> int | None:
        """How far from configurable operations samples keep the graph; None: all of it."""
        return 0

    def fit(self, parts: Sequence[Portion], session: Session, held_share: float) -> Fitted:
        """Train on parts prepared with `hops`; `held_share` of them may be held back to choose what is kept."""
        raise NotImplementedError

    @classmethod
    def read(cls, stored: Stored, device: str) -> TrainedRanker:
        """Return the ranker of a file in FORMAT, on a device if that matters; FileFormatError says what is wrong."""
        raise NotImplementedError


def check_encoding(stored: Stored) -> None:
    """Raise FileFormatError for a ranker that was trained on other features than today's."""
    found = stored.manifest.get("encoding")
    if found != ENCODING:
        raise FileFormatError(f"{stored.source}: its features must be those of encoding {ENCODING}, got {found}")


def check_kind(sample: Sample, *, is_tile: bool) -> None:
    """Raise ConfigError where a ranker of layouts is given tile sizes, or the reverse."""
    if sample.is_tile != is_tile:
        kinds = [("layout", "tile")[kind] for kind in (is_tile, sample.is_tile)]
        raise ConfigError(f"{sample.name}: this ranker ranks {kinds[0]} configurations, got {kinds[1]} ones")


def places_of(sample: Sample, rows: IntArray | None) -> IntArray:
    """Return the places in a sample that are asked for, int64 [k]: all of them for None."""
    return np.arange(sample.num_configs) if rows is None else np.asarray(rows, np.int64)
