"""Files of trained predictors: npz without pickles, a manifest in JSON with a SHA-256 of all of it among the arrays."""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.common.files import write_npz

Arrays = dict[str, NDArray[Any]]
Manifest = dict[str, Any]

TREE_FORMAT = "gnnsched-predictor"
GNN_FORMAT = "gnnsched-gnn"

_MANIFEST = "manifest"
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error)


def pack(format: str, version: int, fields: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the arrays with a manifest of format, version, fields and hash before them; `unpack` undoes it."""
    manifest = {"format": format, "version": version, **fields}
    manifest["sha256"] = digest(manifest, arrays)
    return {_MANIFEST: np.array(json.dumps(manifest, sort_keys=True)), **arrays}


def unpack(
    stored: Mapping[str, NDArray[Any]], format: str, version: int, source: str, *, kind: str = "predictor file"
) -> tuple[Manifest, Arrays]:
    """Return the manifest, without its hash, and the other arrays.

    A missing manifest, another format or version, or content whose hash does not agree raise FileFormatError;
    `source` and `kind` say in it what was read and what it should have been.
    """
    manifest, arrays = _parted(stored, source)
    if manifest.get("format") != format:
        raise FileFormatError(f"{source}: not a {kind} (its manifest does not say {format!r})")
    if manifest.get("version") != version:
        raise FileFormatError(f"{source}: version must be {version}, got {manifest.get('version')!r}")
    if manifest.pop("sha256", None) != digest(manifest, arrays):
        raise FileFormatError(f"{source}: content and SHA-256 do not agree; it was changed or damaged")
    return manifest, arrays


def format_of(stored: Mapping[str, NDArray[Any]], source: str, known: Collection[str]) -> str:
    """Return the format that the manifest says; FileFormatError if it is none of the known ones."""
    found = _parted(stored, source)[0].get("format")
    if not isinstance(found, str) or found not in known:
        raise FileFormatError(
            f"{source}: not a predictor file (its format must be one of {', '.join(known)}, got {found!r})"
        )
    return found


def manifest_of(stored: Mapping[str, NDArray[Any]], source: str) -> Manifest:
    """Return the manifest as it stands, of whatever format; FileFormatError if there is none."""
    return _parted(stored, source)[0]


def read(path: str | os.PathLike[str], source: str) -> Arrays:
    """Return all arrays of a file; FileFormatError if it is missing, damaged or no npz file."""
    if Path(path).is_file() and not zipfile.is_zipfile(path):
        raise FileFormatError(f"{source}: not a predictor file, or a damaged one (it is no npz archive)")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise FileFormatError(f"{source}: no such file") from None
    except _UNREADABLE as error:
        raise FileFormatError(f"{source}: not a predictor file, or a damaged one ({error})") from None


def write(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write what `pack` gave, whole or not at all; equal predictors give equal bytes."""
    write_npz(path, arrays)


def digest(manifest: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of a manifest (without one) and arrays, hexadecimal."""
    state = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        state.update(f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes())
    return state.hexdigest()


def _parted(stored: Mapping[str, NDArray[Any]], source: str) -> tuple[Manifest, Arrays]:
    arrays = dict(stored)
    try:
        manifest = json.loads(str(arrays.pop(_MANIFEST)))
    except (KeyError, ValueError) as error:
        raise FileFormatError(f"{source}: not a predictor file (no manifest: {error})") from None
    if not isinstance(manifest, dict):
        raise FileFormatError(f"{source}: not a predictor file (its manifest must be an object, got {manifest!r:.40})")
    return manifest, arrays
