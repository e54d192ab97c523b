"""A set of graphs in one set of flat arrays; single graphs and batches are cut from it on demand."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnsched_env.common.checks import require, shown
from gnnsched_env.common.errors import GraphError, NoSuchGraph
from gnnsched_env.graphs.csr_kernels import batch_csr, batch_degrees, batch_size, loop_flags
from gnnsched_env.graphs.graph import Graph
from gnnsched_env.graphs.npz_format import GraphArrays, read_arrays, write_arrays
from gnnsched_env.graphs.structure import (
    LARGEST_ID,
    check_structure,
    graph_errors,
    index_array,
    whole_number,
    whole_numbers,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphSet:
    """Undirected graphs one after another, with the widths F and G of the learning task they belong to.

    `indptr` int64 [V+1] holds offsets into `indices`, `indices` int32 [E] neighbour ids local to their graph,
    `graph_ptr` int64 [graphs+1] vertex offsets, `labels` int16 [graphs] or None; all read-only and checked once, here.
    Derived: `loops` bool [V] marks self loops, `row_degrees` int64 [2, V] holds the row degrees of A and of A+I.
    """

    name: str
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    graph_ptr: NDArray[np.int64]
    num_features: int
    num_classes: int
    num_features_alt: tuple[int, ...] = ()
    labels: NDArray[np.int16] | None = None
    loops: NDArray[np.bool_] = field(init=False, repr=False)
    row_degrees: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        label = f"graph set {self.name!r}"
        object.__setattr__(self, "indptr", index_array(label, "indptr", self.indptr, np.int64))
        object.__setattr__(self, "indices", index_array(label, "indices", self.indices, np.int32))
        object.__setattr__(self, "graph_ptr", index_array(label, "graph_ptr", self.graph_ptr, np.int64))
        check_structure(label, self.indptr, self.indices, self.graph_ptr, undirected=True)
        for width in ("num_features", "num_classes"):
            object.__setattr__(self, width, whole_number(label, width, getattr(self, width)))
        alternatives = whole_numbers(label, "num_features_alt", self.num_features_alt)
        object.__setattr__(self, "num_features_alt", alternatives)
        if self.labels is not None:
            object.__setattr__(self, "labels", index_array(label, "labels", self.labels, np.int16))
            if len(self.labels) != len(self):
                raise GraphError(f"{label}: labels must have one entry per graph, {len(self)}, got {len(self.labels)}")
        loops = loop_flags(self.indptr, self.indices, self.graph_ptr)
        degrees = np.diff(self.indptr)
        for name, array in (("loops", loops), ("row_degrees", np.stack([degrees, degrees + ~loops]))):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def load(cls, path: str | Path) -> "GraphSet":
        """Read an npz file (format: docs/reference/graphs.md); the set is named after the file."""
        path = Path(path)
        arrays = read_arrays(path)
        try:
            graphs = cls(
                name=path.stem,
                indptr=arrays.indptr,
                indices=arrays.indices,
                graph_ptr=arrays.graph_ptr,
                num_features=arrays.num_features,
                num_classes=arrays.num_classes,
                num_features_alt=arrays.num_features_alt,
                labels=arrays.labels,
            )
        except GraphError as error:
            raise GraphError(f"{path}: {error}") from None
        if arrays.self_loops is not None and arrays.self_loops != graphs.loops.sum():
            raise GraphError(
                f"{path}: self_loops must be the number of loops, {graphs.loops.sum()}, got {arrays.self_loops}"
            )
        return graphs

    @classmethod
    def from_graphs(
        cls,
        graphs: Sequence[Graph],
        *,
        name: str,
        num_features: int,
        num_classes: int,
        labels: ArrayLike | None = None,
    ) -> "GraphSet":
        """Join undirected graphs into a set."""
        for i, graph in enumerate(graphs):
            if not graph.undirected:
                raise GraphError(f"graph set {name!r}: graphs must be undirected, graph {i} ({graph.name!r}) is not")
        if len(graphs) == 0:
            raise GraphError(f"graph set {name!r}: graphs must not be empty")
        sizes = [graph.num_vertices for graph in graphs]
        indptr = np.concatenate([[0], np.cumsum(np.concatenate([graph.degrees for graph in graphs]))])
        return cls(
            name=name,
            indptr=indptr,
            indices=np.concatenate([graph.indices for graph in graphs]),
            graph_ptr=np.concatenate([[0], np.cumsum(sizes)]),
            num_features=num_features,
            num_classes=num_classes,
            labels=cast(Any, labels),  # checked and converted there
        )

    def save(self, path: str | Path) -> None:
        """Write an npz file, whole or not at all."""
        arrays = GraphArrays(
            indptr=self.indptr,
            indices=self.indices,
            graph_ptr=self.graph_ptr,
            num_features=self.num_features,
            num_classes=self.num_classes,
            num_features_alt=self.num_features_alt,
            self_loops=int(self.loops.sum()),
            labels=self.labels,
        )
        write_arrays(Path(path), arrays)

    def with_widths(self, num_features: int | None = None, num_classes: int | None = None) -> "GraphSet":
        """Return the same graphs with other widths F and G; None keeps the current width."""
        return replace(
            self,
            num_features=self.num_features if num_features is None else num_features,
            num_classes=self.num_classes if num_classes is None else num_classes,
        )

    def __len__(self) -> int:
        return len(self.graph_ptr) - 1

    def __getitem__(self, i: int) -> Graph:
        count = len(self)
        if type(i) is not int or not -count <= i < count:
            rule = "" if isinstance(i, Integral) and not isinstance(i, bool) else "an integer"
            with graph_errors():
                require(f"graph set {self.name!r}", "the number of a graph", i, rule)
            if not -count <= int(i) < count:
                raise NoSuchGraph(f"graph set {self.name!r}: graph must lie in 0..{count - 1}, got {shown(i)}")
        i = int(i) % count
        rows = self.indptr[self.graph_ptr[i] : self.graph_ptr[i + 1] + 1]
        return Graph.from_valid(rows - rows[0], self.indices[rows[0] : rows[-1]], name=f"{self.name}[{i}]")

    def __iter__(self) -> Iterator[Graph]:
        return (self[i] for i in range(len(self)))

    def batch(self, ids: ArrayLike) -> Graph:
        """Return the block-diagonal union of the graphs, in the order given; a graph may occur repeatedly."""
        wanted = _ids(ids)
        vertices = batch_size(self.graph_ptr, wanted)
        self._check_batch(wanted, vertices)
        arrays = batch_csr(self.indptr, self.indices, self.graph_ptr, wanted, vertices)
        return Graph.from_valid(*arrays, name=f"{self.name}[batch of {len(wanted)}]")

    def degrees(self, ids: ArrayLike, *, self_loops: bool) -> NDArray[np.int64]:
        """Return int64 [V]: row degrees of the batch's A or A+I, without building the batch."""
        wanted = _ids(ids)
        vertices, degrees = batch_degrees(self.row_degrees[int(self_loops)], self.graph_ptr, wanted)
        self._check_batch(wanted, vertices)
        return degrees

    def digest(self) -> str:
        """Return a hash (SHA-256, hexadecimal) of structure and widths; names and labels do not count."""
        widths = f"{self.num_features},{self.num_classes},{len(self)},{len(self.loops)};"
        state = hashlib.sha256(widths.encode())
        for array, dtype in ((self.graph_ptr, "<i8"), (self.indptr, "<i8"), (self.indices, "<i4")):
            state.update(array.astype(dtype).tobytes())
        return state.hexdigest()

    def _check_batch(self, ids: NDArray[np.int64], vertices: int) -> None:
        if len(ids) == 0:
            raise GraphError(f"graph set {self.name!r}: a batch must hold at least one graph")
        if vertices < 0:
            raise GraphError(
                f"graph set {self.name!r}: batch ids must lie in 0..{len(self) - 1}, got {ids[-1 - vertices]}"
            )
        if vertices > LARGEST_ID:
            raise GraphError(
                f"graph set {self.name!r}: a batch must have at most {LARGEST_ID} vertices, got {vertices}"
            )


def _ids(ids: ArrayLike) -> NDArray[np.int64]:
    return np.array(index_array("batch", "ids", ids, np.int64))  # writeable: of the one kind that kernels know
