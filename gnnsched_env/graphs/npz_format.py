"""The npz format of a graph set: plain arrays, no pickles; read with every check, written whole or not at all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.common.files import read_npz, write_npz

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphArrays:
    """The contents of a file; `self_loops` and `labels` are None if the file lacks them."""

    indptr: Array
    indices: Array
    graph_ptr: Array
    num_features: int
    num_classes: int
    num_features_alt: tuple[int, ...]
    self_loops: int | None
    labels: Array | None


def read_arrays(path: Path) -> GraphArrays:
    """Read the file; raise FileFormatError, naming the array at fault, if it is damaged, pickled or not a graph set."""
    members = read_npz(path)
    for name in ("indptr", "indices", "graph_ptr", "num_features", "num_classes"):
        if name not in members:
            raise FileFormatError(f"{path}: array {name!r} is missing; found: {', '.join(sorted(members)) or 'none'}")
    for name, array in members.items():
        if name in _DIMENSIONS and (array.ndim != _DIMENSIONS[name] or (array.size and array.dtype.kind not in "iu")):
            raise FileFormatError(
                f"{path}: array {name!r} must hold integers in {_DIMENSIONS[name]} dimensions, "
                f"got {array.dtype} of shape {array.shape}"
            )
    return GraphArrays(
        indptr=members["indptr"],
        indices=members["indices"],
        graph_ptr=members["graph_ptr"],
        num_features=int(members["num_features"]),
        num_classes=int(members["num_classes"]),
        num_features_alt=tuple(int(width) for width in members.get("num_features_alt", ())),
        self_loops=int(members["self_loops"]) if "self_loops" in members else None,
        labels=members.get("graph_labels"),
    )


def write_arrays(path: Path, arrays: GraphArrays) -> None:
    """Write the file into an existing folder; raise FileFormatError if it cannot be written."""
    members: dict[str, Any] = {
        "indptr": _narrow(arrays.indptr),
        "indices": arrays.indices.astype(np.int32),
        "graph_ptr": _narrow(arrays.graph_ptr),
        "num_features": np.int32(arrays.num_features),
        "num_features_alt": np.array(arrays.num_features_alt, dtype=np.int32),
        "num_classes": np.int32(arrays.num_classes),
        "self_loops": np.int32(arrays.self_loops or 0),
    }
    if arrays.labels is not None:
        members["graph_labels"] = arrays.labels.astype(np.int16)
    try:
        write_npz(path, members, parents=False)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be written: {error.strerror or error}") from None


_DIMENSIONS = {
    "indptr": 1,
    "indices": 1,
    "graph_ptr": 1,
    "num_features": 0,
    "num_features_alt": 1,
    "num_classes": 0,
    "self_loops": 0,
    "graph_labels": 1,
}


def _narrow(pointers: Array) -> Array:
    """Return the pointers as int32, the format's usual type, or as int64 if they do not fit."""
    return pointers.astype(np.int32 if pointers[-1] <= np.iinfo(np.int32).max else np.int64)
