"""Validation of CSR arrays: shapes, offsets, ranges, order and symmetry."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnsched_env.common.checks import Integer, ListOf, plain_array
from gnnsched_env.common.errors import ConfigError, GraphError
from gnnsched_env.graphs.csr_kernels import NOT_INCREASING, OUT_OF_RANGE, VALID, check_rows, check_symmetry

LARGEST_ID = int(np.iinfo(np.int32).max)
_POSITIVE = Integer(1, LARGEST_ID)
_POSITIVES = ListOf(_POSITIVE)


def whole_number(label: str, name: str, value: object) -> int:
    """Return `value` as a plain int; raise GraphError unless it is an integer in 1..LARGEST_ID (no bool, no float)."""
    with graph_errors():
        return int(_POSITIVE.check(label, name, value))


def whole_numbers(label: str, name: str, values: object) -> tuple[int, ...]:
    """Return a list's entries as plain ints; raise GraphError unless it is one of integers in 1..LARGEST_ID."""
    with graph_errors():
        return _POSITIVES.check(label, name, values)


@contextmanager
def graph_errors() -> Iterator[None]:
    """Raise the ConfigError of a check as a GraphError."""
    try:
        yield
    except ConfigError as error:
        raise GraphError(str(error)) from None


def index_array(label: str, name: str, values: ArrayLike, dtype: type[np.signedinteger[Any]]) -> NDArray[Any]:
    """Return `values` as a read-only, contiguous, one-dimensional array that nobody else can write to."""
    with graph_errors():
        array = plain_array(label, name, values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise GraphError(
            f"{label}: {name} must be a one-dimensional array of integers, got {array.dtype} of shape {array.shape}"
        )
    limits = np.iinfo(dtype)
    if array.size and not np.can_cast(array.dtype, dtype):
        for extreme in (array.min(), array.max()):
            if not limits.min <= int(extreme) <= limits.max:
                raise GraphError(f"{label}: {name} must fit {np.dtype(dtype).name}, got {int(extreme)}")
    exact = array.flags.c_contiguous and array.dtype == dtype and not _writable(array)
    owned = array if exact else array.astype(dtype, order="C", copy=True)
    owned.flags.writeable = False
    return owned


def _writable(array: NDArray[Any]) -> bool:
    """Return whether an array can be written to, itself or by one that it is a view of."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return True
        base = base.base
    return not (base is None or isinstance(base, bytes))  # a memory map or a foreign buffer may change


def check_structure(
    label: str,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    graph_ptr: NDArray[np.int64],
    *,
    undirected: bool,
) -> None:
    """Raise GraphError unless the arrays form a valid set of graphs; it names the array, vertex, rule and value."""
    _check_pointers(label, "graph_ptr", graph_ptr, last=("the number of vertices", max(len(indptr) - 1, 0)))
    sizes = np.diff(graph_ptr)
    if len(sizes) == 0 or sizes.min() < 1:
        empty = int(sizes.argmin()) if len(sizes) else 0
        raise GraphError(f"{label}: a graph must have at least one vertex, graph {empty} has none")
    if sizes.max() > LARGEST_ID:
        raise GraphError(f"{label}: a graph must have at most {LARGEST_ID} vertices, got {int(sizes.max())}")
    _check_pointers(label, "indptr", indptr, last=("the length of indices", len(indices)))
    code, vertex, neighbour = check_rows(indptr, indices, graph_ptr)
    if code == VALID and undirected:
        code, vertex, neighbour = check_symmetry(indptr, indices, graph_ptr)
    if code != VALID:
        raise GraphError(f"{label}: {_describe(code, vertex, neighbour, graph_ptr)}")


def _check_pointers(label: str, name: str, pointers: NDArray[np.int64], *, last: tuple[str, int]) -> None:
    if len(pointers) < 1 or pointers[0] != 0:
        first = int(pointers[0]) if len(pointers) else "an empty array"
        raise GraphError(f"{label}: {name} must begin with 0, got {first}")
    steps = np.diff(pointers)
    if len(steps) and steps.min() < 0:
        at = int(steps.argmin())
        raise GraphError(
            f"{label}: {name} must not decrease, got {int(pointers[at])} then {int(pointers[at + 1])} at position {at}"
        )
    if pointers[-1] != last[1]:
        raise GraphError(f"{label}: {name} must end with {last[0]}, {last[1]}, got {int(pointers[-1])}")


def _describe(code: int, vertex: int, neighbour: int, graph_ptr: NDArray[np.int64]) -> str:
    graph = int(np.searchsorted(graph_ptr, vertex, side="right")) - 1
    size = int(graph_ptr[graph + 1] - graph_ptr[graph])
    where = f"indices of graph {graph}, vertex {int(vertex - graph_ptr[graph])}"
    if code == OUT_OF_RANGE:
        return f"{where}: neighbour ids must lie in 0..{size - 1}, got {neighbour}"
    if code == NOT_INCREASING:
        return f"{where}: neighbour ids must increase strictly, but {neighbour} follows an id not below it"
    return f"{where}: an undirected graph stores both directions, but neighbour {neighbour} lacks the reverse entry"
