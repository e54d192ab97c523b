"""`BoostingRanker`: boosted trees on each configuration's own features, without the graph; needs no torch.

Trained on one program, a column is the layout of one of its operations, as a category: what is learned holds for that
program only. Trained on several (or on tile programs), columns mean the same in each: the encoded configuration,
averaged over the operations of each kind. The target is the place in the program's order, from 0 to 1.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from gnnsched_env.common import store
from gnnsched_env.common.checks import Integer, Number
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import reading
from gnnsched_env.common.store import FORECAST_TREES, Format, Stored
from gnnsched_env.forecast.data.schema import CONFIGURABLE_OPCODES, LAYOUT_WIDTH
from gnnsched_env.forecast.encoding.portions import Portion
from gnnsched_env.forecast.encoding.samples import LAYOUT_ENCODED, Sample
from gnnsched_env.forecast.models.ranker import (
    CHECKPOINT,
    ENCODING,
    Fitted,
    RankerSettings,
    Session,
    TrainedRanker,
    check_encoding,
    check_kind,
    places_of,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ROWS_AT_ONCE = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostingSettings(RankerSettings):
    """How trees are boosted."""

    FORMAT: ClassVar[Format] = FORECAST_TREES

    trees: Annotated[int, Integer(1)] = 600
    """Number of trees."""
    leaves: Annotated[int, Integer(2)] = 31
    """Largest number of leaves of a tree."""
    least: Annotated[int, Integer(1)] = 20
    """Fewest configurations in a leaf."""
    rate: Annotated[float, Number(above=0.0, most=1.0)] = 0.05
    """Learning rate."""
    columns: Annotated[float, Number(above=0.0, most=1.0)] = 0.5
    """Share of the columns that each tree is given."""
    most: Annotated[int, Integer(2)] = 50_000
    """Largest number of configurations taken from a program."""

    def fit(self, parts: Sequence[Portion], session: Session, held_share: float) -> Fitted:
        """Fit trees to all parts; nothing is held back, and there is nothing to go on with."""
        if session.folder is not None and (session.folder / CHECKPOINT).exists():
            raise ConfigError(f"{session.folder} holds a network's training; trees need another folder")
        return Fitted(ranker=BoostingRanker.fit(self, parts), finished=True)

    @classmethod
    def read(cls, stored: Stored, device: str) -> TrainedRanker:
        """Return the trees of a file."""
        return BoostingRanker.from_stored(stored)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoostingRanker:
    """Trained trees, `trees` as LightGBM's text.

    `layouts`: of a ranker of one program, int8 [nc, most, 18], the layouts that each of its operations has in training,
    padded with -2; None for a ranker of any program.
    """

    trees: str
    is_tile: bool
    layouts: NDArray[np.int8] | None
    provenance: Mapping[str, Any]
    booster: Any

    @property
    def hops(self) -> int | None:
        """It needs no more of a graph than its configurable operations."""
        return 0

    @classmethod
    def fit(cls, settings: BoostingSettings, parts: Sequence[Portion]) -> Self:
        """Learn from some configurations of each program; programs with nothing to rank are left out."""
        import lightgbm  # takes a second to import

        drawn = [(part.sample, _draw(settings, part.places, k)) for k, part in enumerate(parts)]
        pairs = [(sample, own) for sample, own in drawn if len(np.unique(sample.targets[own])) > 1]
        if not pairs or len({sample.is_tile for sample, _ in pairs}) != 1:
            raise ConfigError(
                "forecast boosting: samples must be layout programs or tile programs with runtimes to rank, got "
                f"{len(pairs)} of {len(parts)} with any, of {len({sample.is_tile for sample, _ in pairs})} kinds"
            )
        first, places = pairs[0]
        layouts = _layouts(first.raw[places]) if len(pairs) == 1 and not first.is_tile else None
        columns = np.concatenate([_columns(sample, own, layouts) for sample, own in pairs])
        targets = np.concatenate([(rankdata(s.targets[own]) - 0.5) / len(own) for s, own in pairs])
        data = lightgbm.Dataset(
            columns,
            targets,
            categorical_feature=list(range(columns.shape[1])) if layouts is not None else [],
            params={"num_threads": 1, "verbose": -1},
        )
        booster = lightgbm.train(_parameters(settings), data, num_boost_round=settings.trees)
        names = [sample.label for sample, _ in pairs]
        provenance = {"training": asdict(settings), "programs": names}
        return cls(
            trees=booster.model_to_string(),
            is_tile=first.is_tile,
            layouts=layouts,
            provenance=provenance,
            booster=booster,
        )

    def predict(self, sample: Sample, rows: IntArray | None = None) -> FloatArray:
        """Return scores float64 [u], smaller is faster, or those of places `rows` in the sample, [k]."""
        check_kind(sample, is_tile=self.is_tile)
        asked = places_of(sample, rows)
        parts = [
            self._scores(_columns(sample, asked[k : k + ROWS_AT_ONCE], self.layouts))
            for k in range(0, len(asked), ROWS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _scores(self, columns: FloatArray) -> FloatArray:
        """Return float64 [k]; in one thread, since OpenMP's threads do not survive a fork of the process."""
        return np.asarray(self.booster.predict(columns, num_threads=1), np.float64)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file without pickles, whole or not at all."""
        fields = {"encoding": ENCODING, "is_tile": self.is_tile, "provenance": dict(self.provenance)}
        arrays: dict[str, NDArray[Any]] = {"trees": np.frombuffer(self.trees.encode(), np.uint8)}
        if self.layouts is not None:
            arrays["layouts"] = self.layouts
        store.save(path, FORECAST_TREES, fields, arrays)

    @classmethod
    def from_stored(cls, stored: Stored) -> Self:
        """Return a ranker from a file's content; FileFormatError says what is wrong with it."""
        import lightgbm

        manifest, arrays, source = stored.manifest, stored.arrays, stored.source
        check_encoding(stored)
        layouts = arrays.get("layouts")
        with reading(source):
            if layouts is not None and (layouts.dtype != np.int8 or layouts.ndim != 3):
                raise FileFormatError(f"{source}: array 'layouts' must be int8 [nc, most, {LAYOUT_WIDTH}]")
            trees = arrays["trees"].tobytes().decode()
            with threadpool_limits(limits=1, user_api="openmp"):  # there is no other way to read them in one thread
                booster = lightgbm.Booster(model_str=trees)
            is_tile, provenance = bool(manifest["is_tile"]), manifest["provenance"]
        return cls(trees=trees, is_tile=is_tile, layouts=layouts, provenance=provenance, booster=booster)


def categories(sample: Sample, rows: IntArray, layouts: NDArray[np.int8]) -> FloatArray:
    """Return float64 [k, nc]: which of its layouts each operation has, nan for one that training did not have."""
    raw = sample.raw[rows]
    if raw.shape[1:] != (len(layouts), layouts.shape[2]):
        raise ConfigError(
            f"{sample.name}: this ranker knows one program, whose configurations are [{len(layouts)}, "
            f"{layouts.shape[2]}], got {list(raw.shape[1:])}"
        )
    columns = np.full(raw.shape[:2], np.nan)
    for choice in range(layouts.shape[1]):
        columns[(raw == layouts[:, choice]).all(axis=2)] = choice
    return columns


def _draw(settings: BoostingSettings, places: IntArray, k: int) -> IntArray:
    if len(places) > settings.most:
        places = np.random.default_rng((settings.seed, k)).choice(places, settings.most, replace=False)
    return places


def _parameters(settings: BoostingSettings) -> dict[str, Any]:
    return {
        "objective": "l2",
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.least,
        "learning_rate": settings.rate,
        "feature_fraction": settings.columns,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }


def _layouts(raw: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the different layouts of each operation, int8 [nc, most, 18], padded with -2."""
    found = [np.unique(raw[:, node], axis=0) for node in range(raw.shape[1])]
    layouts = np.full((len(found), max(len(own) for own in found), raw.shape[2]), -2, np.int8)
    for node, own in enumerate(found):
        layouts[node, : len(own)] = own
    return layouts


def _columns(sample: Sample, rows: IntArray, layouts: NDArray[np.int8] | None) -> FloatArray:
    """Return float64 [k, columns] of some configurations, for a ranker of one program or of any."""
    if layouts is not None:
        return categories(sample, rows, layouts)
    if sample.is_tile:
        return sample.configs(rows).astype(np.float64)
    opcodes = sample.opcodes[sample.configurable]
    kinds = [opcodes == code for code in CONFIGURABLE_OPCODES]
    kinds.append(~np.isin(opcodes, CONFIGURABLE_OPCODES))
    columns = np.full((len(rows), len(kinds), LAYOUT_ENCODED), np.nan)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        encoded = sample.configs(rows[start : start + ROWS_AT_ONCE])
        for kind, members in enumerate(kinds):
            if members.any():
                columns[start : start + ROWS_AT_ONCE, kind] = encoded[:, members].mean(axis=1)
    return columns.reshape(len(rows), -1)
