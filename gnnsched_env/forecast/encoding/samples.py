"""Programs as a network takes them: encoded nodes near the configurable ones, merged configurations, targets.

The encoders are in `node_encoding` and `config_encoding`; what other modules use of them is named here too.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.forecast.data import duplicates, schema
from gnnsched_env.forecast.data.program import Program
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.encoding.config_codes import (
    LAYOUT_COLUMNS,
    LAYOUT_ENCODED,
    TILE_ENCODED,
    encode_layouts,
    encode_tiles,
)
from gnnsched_env.forecast.encoding.neighbourhood import neighbourhood
from gnnsched_env.forecast.encoding.node_codes import NODE_COLUMNS, NODE_WIDTH, encode_nodes, layouts_of, ranks

__all__ = [
    "LAYOUT_COLUMNS",
    "LAYOUT_ENCODED",
    "NODE_COLUMNS",
    "NODE_WIDTH",
    "TILE_ENCODED",
    "Prepared",
    "Sample",
    "encode_layouts",
    "encode_nodes",
    "encode_tiles",
    "layouts_of",
    "prepare",
    "prepare_all",
    "ranks",
]

Array = NDArray[Any]
Floats = NDArray[np.float32]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HOPS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """A program to learn from or to rank: n kept operations, u different configurations.

    nodes: float32 [n, NODE_WIDTH]; opcodes: int64 [n]; edge_index: int64 [2, m], producers over consumers;
    configurable: int64 [nc], ascending, empty for a tile program; shapes: float32 [nc, 6], the sizes of the
    configurable nodes' outputs; raw: int8 [u, nc, 18] or float32 [u, 24], not to write to; targets: float64 [u],
    smaller is faster, zeros where the file is unlabelled; rows: int64 [u], which row of the file each configuration is;
    groups: int64 [k], for each row asked about the place of its configuration in `raw`.
    """

    name: str
    collection: Collection
    nodes: Floats
    opcodes: IntArray
    edge_index: IntArray
    configurable: IntArray
    shapes: Floats
    raw: Array
    targets: FloatArray
    rows: IntArray
    groups: IntArray

    @property
    def label(self) -> str:
        """The collection and the name, which together are of one file."""
        return f"{self.collection}:{self.name}"

    @property
    def num_nodes(self) -> int:
        """The number of kept operations n."""
        return len(self.opcodes)

    @property
    def num_configs(self) -> int:
        """The number of different configurations u."""
        return len(self.targets)

    @property
    def is_tile(self) -> bool:
        """Whether a configuration is one tile size, not a layout for each configurable node."""
        return self.collection.is_tile

    @property
    def labelled(self) -> bool:
        """Whether the targets are known."""
        return bool(self.targets.any())

    def configs(self, rows: IntArray | None = None) -> Floats:
        """Return encoded configurations float32 [k, nc, LAYOUT_ENCODED] or [k, TILE_ENCODED], in the order asked for.

        `rows`: int64 [k], places in `raw` (None: all). They are encoded anew at each call: hold few at a time.
        """
        raw = self.raw if rows is None else self.raw[_places(rows, len(self.raw), self.name)]
        return encode_tiles(raw) if self.is_tile else encode_layouts(raw, self.shapes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Samples and their programs, and (path, reason) of the programs whose configurations are damaged."""

    samples: list[Sample]
    programs: list[Program]
    skipped: list[tuple[Path, str]]


def prepare(program: Program, *, hops: int | None = HOPS, rows: IntArray | None = None, merge: bool = True) -> Sample:
    """Return the sample of a program, or of some `rows` of it.

    hops: how many edges from a configurable node operations are kept (None: all). merge: equal configurations become
    one, with their mean target; without it each row stands for itself, in the order asked for, and with a cache `raw`
    is a map of the file, which takes no memory. FileFormatError where the configurations are damaged.
    """
    near = neighbourhood(program.graph, program.configurable, hops)
    if merge:
        merged = duplicates.merge(program, rows)
        raw, targets, kept, groups = merged.configurations, merged.targets, merged.rows, merged.groups
    else:
        raw = program.configurations(rows)
        kept = np.arange(program.num_configs) if rows is None else np.asarray(rows, dtype=np.int64)
        targets, groups = program.targets()[kept], np.arange(len(kept))
    return Sample(
        name=program.name,
        collection=program.collection,
        nodes=encode_nodes(near.graph),
        opcodes=near.graph.opcodes.astype(np.int64),
        edge_index=np.ascontiguousarray(near.graph.edges[:, ::-1].T),
        configurable=near.configurable,
        shapes=near.graph.node_features[near.configurable][:, schema.SHAPE],
        raw=raw,
        targets=targets,
        rows=kept,
        groups=groups,
    )


def prepare_all(
    programs: Iterable[Program],
    report: Callable[[str], None] = lambda line: None,
    *,
    hops: int | None = HOPS,
    merge: bool = True,
) -> Prepared:
    """Prepare many programs; one with damaged configurations is reported and skipped, counted in a last line."""
    samples: list[Sample] = []
    kept: list[Program] = []
    skipped: list[tuple[Path, str]] = []
    for program in programs:
        try:
            samples.append(prepare(program, hops=hops, merge=merge))
            kept.append(program)
        except FileFormatError as error:
            skipped.append((program.path, str(error)))
            report(f"skipped: {error}")
    if skipped:
        report(f"{len(skipped)} of {len(samples) + len(skipped)} programs skipped")
    return Prepared(samples=samples, programs=kept, skipped=skipped)


def _places(rows: IntArray, count: int, name: str) -> IntArray:
    rows = np.asarray(rows)
    if rows.size and (rows.min() < 0 or rows.max() >= count):
        raise ConfigError(f"{name}: rows must be within 0..{count - 1}, got {rows[(rows < 0) | (rows >= count)][0]}")
    return rows
