"""One graph: frozen CSR arrays, validated once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnsched_env.common.errors import GraphError
from gnnsched_env.graphs.csr_kernels import add_loops, csr_from_edges, loop_flags
from gnnsched_env.graphs.structure import LARGEST_ID, check_structure, index_array, whole_number

if TYPE_CHECKING:
    import networkx
    import scipy.sparse


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """The structure of a graph, as CSR: row v holds `indices[indptr[v]:indptr[v+1]]`, strictly increasing.

    `indptr` int64 [V+1], `indices` int32 [E]; both read-only (writable arrays are copied). An undirected graph stores
    both directions. Two graphs are equal only if they are one object; compare `digest()` for equal structure.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    name: str = ""
    undirected: bool = True

    def __post_init__(self) -> None:
        label = f"graph {self.name!r}"
        object.__setattr__(self, "indptr", index_array(label, "indptr", self.indptr, np.int64))
        object.__setattr__(self, "indices", index_array(label, "indices", self.indices, np.int32))
        check_structure(label, self.indptr, self.indices, self._graph_ptr(), undirected=self.undirected)

    @classmethod
    def from_edges(
        cls,
        num_vertices: int,
        sources: ArrayLike,
        targets: ArrayLike,
        *,
        undirected: bool = True,
        name: str = "",
    ) -> "Graph":
        """Build from edges in any order; repeats merge, self loops stay, and `undirected` adds every reverse."""
        label = f"graph {name!r}"
        num_vertices = whole_number(label, "num_vertices", num_vertices)
        heads = index_array(label, "sources", sources, np.int64)
        tails = index_array(label, "targets", targets, np.int64)
        if len(heads) != len(tails):
            raise GraphError(f"{label}: sources and targets must have one length, got {len(heads)} and {len(tails)}")
        for field, end in (("sources", heads), ("targets", tails)):
            if len(end) and (end.min() < 0 or end.max() >= num_vertices):
                wrong = int(end.min() if end.min() < 0 else end.max())
                raise GraphError(f"{label}: {field} must lie in 0..{num_vertices - 1}, got {wrong}")
        indptr, indices = csr_from_edges(num_vertices, heads, tails, bool(undirected))
        return cls.from_valid(indptr, indices, name=name, undirected=bool(undirected))

    @classmethod
    def from_networkx(cls, graph: "networkx.Graph", *, undirected: bool | None = None) -> "Graph":
        """Build from a networkx graph; vertices are numbered in its iteration order.

        Parallel edges merge. `undirected` adds every reverse; by default a directed graph stays directed.
        """
        number = {node: i for i, node in enumerate(graph)}
        ends = np.array([(number[u], number[v]) for u, v in graph.edges()], dtype=np.int64).reshape(-1, 2)
        name = str(graph.graph.get("name", ""))
        both_ways = not graph.is_directed() if undirected is None else undirected
        return cls.from_edges(len(number), ends[:, 0], ends[:, 1], undirected=both_ways, name=name)

    @classmethod
    def from_scipy(cls, matrix: "scipy.sparse.sparray", *, undirected: bool = True, name: str = "") -> "Graph":
        """Build from the pattern of a square scipy.sparse matrix or array of any format: row = source, column = target.

        Every stored entry is an edge, whatever its value, a stored zero too. As with `from_edges`, repeats merge, self
        loops stay, and `undirected` adds every reverse.
        """
        import scipy.sparse

        label = f"graph {name!r}"
        if not scipy.sparse.issparse(matrix):
            raise GraphError(f"{label}: matrix must be a scipy.sparse matrix or array, got {type(matrix).__name__}")
        if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
            raise GraphError(f"{label}: matrix must be square, a row and a column for each vertex, got {matrix.shape}")
        if matrix.format in ("csr", "csc", "bsr"):
            try:
                matrix.check_format(full_check=True)  # conversion would follow bad pointers
            except ValueError as error:
                raise GraphError(f"{label}: matrix is malformed: {error}") from None
        entries = matrix.tocoo()
        return cls.from_edges(matrix.shape[0], entries.row, entries.col, undirected=undirected, name=name)

    @classmethod
    def from_pyg(cls, data: Any, *, undirected: bool = True, name: str = "") -> "Graph":
        """Build from a PyTorch Geometric `Data`: from its `edge_index` [2, E] and `num_nodes`.

        As with `from_edges`, repeats merge, self loops stay, and `undirected` adds every reverse: a directed graph
        needs `undirected=False` to stay so.
        """
        label = f"graph {name!r}"
        edge_index = getattr(data, "edge_index", None)
        if edge_index is None:
            raise GraphError(
                f"{label}: data must be homogeneous and have edge_index, got {type(data).__name__} without it"
            )
        ends = _plain_array(edge_index)
        if ends.ndim != 2 or len(ends) != 2:
            raise GraphError(f"{label}: edge_index must have shape [2, E], got {ends.shape}")
        return cls.from_edges(data.num_nodes, ends[0], ends[1], undirected=undirected, name=name)

    @classmethod
    def from_dgl(cls, graph: Any, *, undirected: bool = True, name: str = "") -> "Graph":
        """Build from a homogeneous DGL graph: from its `edges()` and `num_nodes()`.

        DGL graphs are directed; an undirected graph is stored with both directions. As with `from_edges`, repeats
        merge, self loops stay, and `undirected` adds every reverse: pass `undirected=False` to keep a graph directed.
        """
        if not graph.is_homogeneous:
            raise GraphError(f"graph {name!r}: graph must have one type of node and of edge (dgl.to_homogeneous)")
        sources, targets = graph.edges()
        ends = _plain_array(sources), _plain_array(targets)
        return cls.from_edges(graph.num_nodes(), *ends, undirected=undirected, name=name)

    @classmethod
    def from_valid(
        cls, indptr: NDArray[np.int64], indices: NDArray[np.int32], *, name: str = "", undirected: bool = True
    ) -> "Graph":
        """Wrap arrays of the right types that are known to be valid, without the checks; they become read-only."""
        indptr.flags.writeable = False
        indices.flags.writeable = False
        graph = object.__new__(cls)
        for field, value in (("indptr", indptr), ("indices", indices), ("name", name), ("undirected", undirected)):
            object.__setattr__(graph, field, value)
        return graph

    @property
    def num_vertices(self) -> int:
        """The number of vertices V."""
        return len(self.indptr) - 1

    @property
    def num_edges(self) -> int:
        """The number of stored entries E: an undirected edge counts twice, a self loop once."""
        return len(self.indices)

    @property
    def degrees(self) -> NDArray[np.int64]:
        """int64 [V]: stored entries of each row."""
        return np.diff(self.indptr)

    @property
    def loops(self) -> NDArray[np.bool_]:
        """bool [V]: does the vertex have a self loop?"""
        flags: NDArray[np.bool_] = loop_flags(self.indptr, self.indices, self._graph_ptr())
        return flags

    def row_degrees(self, *, self_loops: bool) -> NDArray[np.int64]:
        """Return int64 [V]: row degrees of A, or of A+I (a loop already there is not doubled)."""
        return self.degrees + ~self.loops if self_loops else self.degrees

    def with_self_loops(self) -> "Graph":
        """Return A+I, the pattern union: a loop already there is not doubled."""
        arrays = add_loops(self.indptr, self.indices, self.loops)
        return Graph.from_valid(*arrays, name=self.name, undirected=self.undirected)

    def to_networkx(self) -> "networkx.Graph":
        """Return a networkx Graph (DiGraph if directed) with vertices 0..V-1."""
        import networkx

        graph = networkx.Graph() if self.undirected else networkx.DiGraph()
        graph.graph["name"] = self.name
        graph.add_nodes_from(range(self.num_vertices))
        rows = np.repeat(np.arange(self.num_vertices), self.degrees)
        graph.add_edges_from(zip(rows.tolist(), self.indices.tolist(), strict=True))
        return graph

    def to_scipy(self) -> "scipy.sparse.csr_array":
        """Return the adjacency matrix as a scipy.sparse csr_array, int8 [V, V], every entry 1 (copies)."""
        import scipy.sparse

        ones = np.ones(self.num_edges, dtype=np.int8)
        return scipy.sparse.csr_array((ones, self.indices.copy(), self.indptr.copy()), shape=(self.num_vertices,) * 2)

    def digest(self) -> str:
        """Return a hash (SHA-256, hexadecimal) of the structure; the name does not count."""
        state = hashlib.sha256(b"undirected" if self.undirected else b"directed")
        state.update(self.num_vertices.to_bytes(8, "little"))
        state.update(self.indptr.astype("<i8").tobytes())
        state.update(self.indices.astype("<i4").tobytes())
        return state.hexdigest()

    def _graph_ptr(self) -> NDArray[np.int64]:
        pointers = np.array([0, max(len(self.indptr) - 1, 0)], dtype=np.int64)
        pointers.flags.writeable = False
        return pointers


def block_diagonal(graphs: Sequence[Graph], *, name: str = "") -> Graph:
    """Return the disjoint union, vertices numbered graph by graph; undirected if all the graphs are."""
    if len(graphs) == 0:
        raise GraphError("block_diagonal: graphs must not be empty")
    sizes = np.array([graph.num_vertices for graph in graphs], dtype=np.int64)
    if sizes.sum() > LARGEST_ID:
        raise GraphError(f"block_diagonal: a batch must have at most {LARGEST_ID} vertices, got {int(sizes.sum())}")
    offsets = np.cumsum(sizes) - sizes
    indptr = np.zeros(sizes.sum() + 1, dtype=np.int64)
    np.cumsum(np.concatenate([graph.degrees for graph in graphs]), out=indptr[1:])
    pieces = [graph.indices + np.int32(offset) for graph, offset in zip(graphs, offsets, strict=True)]
    return Graph.from_valid(
        indptr, np.concatenate(pieces), name=name, undirected=all(graph.undirected for graph in graphs)
    )


def component_labels(graph: Graph) -> NDArray[np.int64]:
    """Return int64 [V]: the component of each vertex, numbered in the order of their lowest vertex."""
    from scipy.sparse.csgraph import connected_components

    if not graph.undirected:
        raise GraphError(f"graph {graph.name!r}: components are defined here for undirected graphs only")
    labels: NDArray[np.int64] = connected_components(graph.to_scipy(), directed=False)[1].astype(np.int64)
    return labels


def largest_component(graph: Graph) -> Graph:
    """Return the largest component, vertices renumbered in order; among equals the one with the lowest vertex."""
    labels = component_labels(graph)
    kept = labels == np.bincount(labels).argmax()
    if kept.all():
        return graph
    number = np.cumsum(kept, dtype=np.int32) - np.int32(1)
    indptr = np.concatenate([[0], np.cumsum(graph.degrees[kept])])
    indices = number[graph.indices[np.repeat(kept, graph.degrees)]]  # all neighbours are in the component too
    return Graph.from_valid(indptr, indices, name=graph.name)


def _plain_array(values: Any) -> NDArray[Any]:
    """Return a torch tensor or an array-like as a numpy array."""
    tensor = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(tensor)
