"""One file of the data set: a compiled program's graph and, lazily, the configurations that were timed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.forecast.data import array_rules as rules
from gnnsched_env.forecast.data.config_rows import ConfigRows
from gnnsched_env.forecast.data.npz_streaming import Member, read_members
from gnnsched_env.forecast.data.schema import LAYOUT_WIDTH, TILE_WIDTH, Collection

Array = NDArray[Any]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProgramGraph:
    """Operations and what they read.

    node_features: float32 [n, 140], columns as in `schema`; opcodes: uint8 [n], 0..120; edges: int64 [m, 2], each
    (consumer, producer). ConfigError where an array breaks a rule; other integer types are converted.
    """

    node_features: NDArray[np.float32]
    opcodes: NDArray[np.uint8]
    edges: IntArray

    def __post_init__(self) -> None:
        features = rules.check_features(self.node_features)
        object.__setattr__(self, "opcodes", rules.check_opcodes(self.opcodes, len(features)))
        object.__setattr__(self, "edges", rules.check_edges(self.edges, len(features)))

    @property
    def num_nodes(self) -> int:
        """The number of operations."""
        return len(self.opcodes)

    @property
    def num_edges(self) -> int:
        """The number of edges."""
        return len(self.edges)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """One file; everything is held but the configurations, which are read when asked for.

    configurable: int64 [nc], the nodes that have a layout configuration, increasing; empty for a tile program.
    runtimes: int64 [c], ns, 0 in all where the file is unlabelled. normalizers: int64 [c], ns of the compiler's own
    choice on the same machine (tile programs; else None). splits: int64 [s], boundaries of computations.
    """

    name: str
    collection: Collection
    path: Path
    graph: ProgramGraph
    configurable: IntArray
    runtimes: IntArray
    normalizers: IntArray | None
    splits: IntArray
    rows: ConfigRows

    @property
    def num_configs(self) -> int:
        """The number of configurations c, duplicates counted."""
        return len(self.runtimes)

    @property
    def is_tile(self) -> bool:
        """Whether a configuration is one tile size, not a layout for each configurable node."""
        return self.collection.is_tile

    @property
    def labelled(self) -> bool:
        """Whether there are runtimes: the files to predict have zeros only."""
        return bool(self.runtimes.any())

    def targets(self) -> FloatArray:
        """Return what to rank by, float64 [c], smaller is faster.

        Layouts: nanoseconds (exact below 2^53). Tiles: the runtime over the compiler's own on the same machine.
        """
        times = self.runtimes.astype(np.float64)
        return times if self.normalizers is None else times / self.normalizers

    def configurations(self, rows: IntArray | None = None) -> Array:
        """Return int8 [k, nc, 18] layouts or float32 [k, 24] tiles, in the order asked for; None: all, not to write to.

        Of the file's float array only some megabytes are held at a time. FileFormatError where the data are damaged or
        break a rule, which shows only now; ConfigError for a row that is not there.
        """
        return self.rows.take(rows)

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield (first row, configurations) in order, some megabytes at a time; the arrays are not to write to."""
        return self.rows.blocks()


def open_program(path: str | Path, collection: Collection | str | None = None, *, cache: Path | None = None) -> Program:
    """Open a file; `collection` is told by the folders (layout/xla/default/train/NAME.npz) where it is None.

    `cache`: a folder that keeps an int8 copy of each layout file's configurations, made at the first look. Accepted
    beyond the official files: all integer types, splits of shape (s,) or none, int8 layouts, stored (not deflated)
    arrays. FileFormatError names file, array, rule and value; ConfigError says that the collection is not known.
    """
    path = Path(path)
    collection = Collection.of_path(path.absolute()) if collection is None else Collection.named(collection)
    members = read_members(path)
    try:
        return _opened(path, collection, members, cache)
    except ConfigError as error:
        raise FileFormatError(f"{path}: {error}") from None


def _opened(path: Path, collection: Collection, members: dict[str, Member], cache: Path | None) -> Program:
    def read(name: str) -> Array:
        return _member(members, name, collection).read()

    graph = ProgramGraph(
        node_features=read(rules.NODE_FEAT), opcodes=read(rules.NODE_OPCODE), edges=read(rules.EDGE_INDEX)
    )
    nodes = graph.num_nodes
    configurable = np.zeros(0, dtype=np.int64)
    row: tuple[int, ...] = (TILE_WIDTH,)
    name = rules.CONFIG_FEAT
    if not collection.is_tile:
        configurable = rules.check_configurable(read(rules.NODE_CONFIG_IDS), nodes)
        row = (len(configurable), LAYOUT_WIDTH)
        name = rules.NODE_CONFIG_FEAT
    features = _member(members, name, collection)
    configs = rules.check_config_shape(name, features.shape, features.dtype.newbyteorder("="), row)
    normalizers = None
    if collection.is_tile:
        normalizers = rules.check_times(rules.NORMALIZERS, read(rules.NORMALIZERS), configs, smallest=1)
    return Program(
        name=path.stem,
        collection=collection,
        path=path,
        graph=graph,
        configurable=configurable,
        runtimes=rules.check_runtimes(rules.CONFIG_RUNTIME, read(rules.CONFIG_RUNTIME), configs),
        normalizers=normalizers,
        splits=rules.check_splits(read(rules.NODE_SPLITS) if rules.NODE_SPLITS in members else None, nodes),
        rows=ConfigRows(member=features, cache=cache),
    )


def _member(members: dict[str, Member], name: str, collection: Collection) -> Member:
    if name not in members:
        found = ", ".join(sorted(members)) or "none"
        raise ConfigError(f"array {name!r} is missing, which {collection} needs; found: {found}")
    return members[name]
