"""Stored arrays: an npz file without pickles, with a JSON manifest of its format and a SHA-256 of all its content.

    save(path, TREE_PREDICTOR, {"name": "mine"}, {"values": values})
    stored = load(path, TREE_PREDICTOR)  # stored.manifest["name"], stored.arrays["values"]

Every format of the project's own files is listed below; a graph set's npz has no manifest, since other tools write it.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.common.files import Arrays, read_npz, write_npz

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: the name and version in its manifest, and its name in messages."""

    name: str
    version: int
    kind: str


TREE_PREDICTOR = Format("gnnsched-predictor", 1, "predictor")
GNN_PREDICTOR = Format("gnnsched-gnn", 1, "GNN predictor")
FORECAST_NETWORK = Format("gnnsched-forecast", 1, "forecast ranker")
FORECAST_TREES = Format("gnnsched-forecast-boosting", 1, "forecast ranker of trees")
LATENCY_TABLE = Format("gnnsched-latency-table", 2, "latency table")
WEIGHTS = Format("gnnsched-weights", 1, "weights")
EVOLUTION = Format("gnnsched-evolution", 1, "evolution checkpoint")
DATASET_CHUNK = Format("gnnsched-dataset-chunk", 1, "chunk of a data set")
TASK_RESULT = Format("gnnsched-task-result", 1, "kept result")


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """The checked content of a file: its format, the other fields of its manifest, its arrays, and its source."""

    format: Format
    manifest: Manifest
    arrays: Arrays
    source: str


def pack(format: Format, fields: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the arrays preceded by a manifest of format, version, fields and hash; `unpack` is the inverse."""
    manifest = {"format": format.name, "version": format.version, **fields}
    manifest["sha256"] = digest(manifest, arrays)
    return {_MANIFEST: np.array(json.dumps(manifest, sort_keys=True)), **arrays}


def unpack(arrays: Mapping[str, NDArray[Any]], *formats: Format, source: str) -> Stored:
    """Return the content that was given to `pack`, if it has one of the given formats.

    Raise FileFormatError, naming the `source`, for a missing manifest, another format or version, or a wrong hash.
    """
    content = dict(arrays)
    kinds = " or ".join(format.kind for format in formats)
    try:
        manifest = json.loads(str(content.pop(_MANIFEST)))
    except (KeyError, ValueError, RecursionError) as error:
        why = "" if isinstance(error, KeyError) else f": {error}"
        raise FileFormatError(f"{source}: not a {kinds} file (no manifest{why})") from None
    if not isinstance(manifest, dict):
        raise FileFormatError(f"{source}: not a {kinds} file (its manifest must be an object, got {manifest!r:.40})")
    found = next((format for format in formats if format.name == manifest.get("format")), None)
    if found is None:
        names = " or ".join(repr(format.name) for format in formats)
        raise FileFormatError(
            f"{source}: not a {kinds} file (its format must be {names}, got {manifest.get('format')!r})"
        )
    if manifest.get("version") != found.version:
        raise FileFormatError(f"{source}: version must be {found.version}, got {manifest.get('version')!r}")
    if manifest.pop("sha256", None) != digest(manifest, content):
        raise FileFormatError(f"{source}: content and SHA-256 do not agree; it was changed or damaged")
    fields = {name: value for name, value in manifest.items() if name not in ("format", "version")}
    return Stored(found, fields, content, source)


def save(
    path: str | os.PathLike[str],
    format: Format,
    fields: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    *,
    parents: bool = True,
) -> None:
    """Write a file atomically; equal content gives equal bytes. `parents`: make any missing folders."""
    write_npz(path, pack(format, fields, arrays), parents=parents)


def to_bytes(format: Format, fields: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the bytes of the file that `save` would write."""
    file = io.BytesIO()
    np.savez_compressed(file, **pack(format, fields, arrays))  # type: ignore[arg-type]
    return file.getvalue()


def load(path: str | os.PathLike[str], *formats: Format) -> Stored:
    """Read a file of one of the given formats; no code in it is executed. Raise FileFormatError if it is invalid."""
    source = f"{formats[0].kind} {os.fspath(path)}"
    return unpack(read_npz(path, source), *formats, source=source)


def digest(manifest: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the hexadecimal SHA-256 of the arrays and of a manifest that holds no hash yet."""
    state = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        state.update(f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes())
    return state.hexdigest()


_MANIFEST = "manifest"
