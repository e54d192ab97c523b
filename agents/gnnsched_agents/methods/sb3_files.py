"""Models of Stable-Baselines3 in zip files that are read without executing anything.

The library's own entries in such a zip are pickles. They are never read here: beside them stand a description in JSON
and arrays in npz format, which holds no pickle, and those alone are.

    gnnsched.json          what the model is, and the plain values of its state
    gnnsched_network.npz   the weights of the scorer, as `baselines.trained.network.Network` names them
    gnnsched_state.npz     all other arrays that a training goes on from
"""

import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.learned.pair_features import FEATURES
from gnnsched_baselines.learned.pair_network import Network, read_arrays
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import write_whole
from gnnsched_env.envs.spaces import OBSERVATION_VERSION

FORMAT = 1
ABOUT, WEIGHTS, STATE = "gnnsched.json", "gnnsched_network.npz", "gnnsched_state.npz"
MOST_BYTES = {ABOUT: 1 << 26, WEIGHTS: 1 << 28, STATE: 1 << 33}  # of an entry, unpacked
ARRAY = "array"  # key of an object that stands for an array in the description
DAMAGED = (BadZipFile, OSError, EOFError, ValueError, KeyError, RuntimeError, NotImplementedError, zlib.error)

Arrays = Mapping[str, NDArray[Any]]


def write_model(path: Path, about: Mapping[str, Any], network: Network, state: Any, own: bytes | None = None) -> None:
    """Write a zip, whole or not at all: `own`, what the library wrote, if anything, and our three entries.

    `about` are JSON values; `state` is nested of dicts, lists, arrays and JSON values.
    """
    arrays: dict[str, NDArray[Any]] = {}
    plain = split(state, arrays)
    described = {
        "format": FORMAT,
        "environment": "queue",
        "observation_version": OBSERVATION_VERSION,
        "features": list(FEATURES),
        **about,
        "state": plain,
    }
    buffer = io.BytesIO(own or b"")
    with ZipFile(buffer, "a") as file:
        file.writestr(ABOUT, json.dumps(described), ZIP_DEFLATED)
        file.writestr(
            WEIGHTS, _npz({field.name: getattr(network, field.name) for field in fields(network)}), ZIP_STORED
        )
        file.writestr(STATE, _npz(arrays), ZIP_STORED)
    write_whole(path, lambda target: target.write(buffer.getbuffer()))


def read_network(path: Path) -> tuple[Network, dict[str, Any]]:
    """Return the scorer's weights and the description of a model.

    Raise FileFormatError where the file is none of `write_model`'s, damaged, or made for other observations.
    """
    if path.suffix == ".npz":
        raise FileFormatError(f"{path}: must be a .zip file of a model; use agent:{path} for this file of weights")
    about = read_about(path)
    arrays = _read_arrays(path, WEIGHTS)
    names = {field.name for field in fields(Network)}
    if missing := sorted(names - set(arrays)):
        raise FileFormatError(f"{path}: {WEIGHTS} must hold {', '.join(sorted(names))}; {', '.join(missing)} not found")
    try:
        return Network(**{name: arrays[name] for name in names}), about
    except (ConfigError, ValueError) as error:
        raise FileFormatError(f"{path}: {error}") from None


def read_state(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return the state that `write_model` was given, and the description; FileFormatError as `read_network`."""
    about = read_about(path)
    try:
        return join(about.pop("state"), _read_arrays(path, STATE)), about
    except KeyError as error:
        raise FileFormatError(f"{path}: the state lacks {error}") from None


def read_about(path: Path) -> dict[str, Any]:
    """Return the description of a model after a check that it is for this version."""
    try:
        about = json.loads(_entry(path, ABOUT))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: {ABOUT} must be JSON ({error})") from None
    if not isinstance(about, dict):
        raise FileFormatError(f"{path}: {ABOUT} must be a JSON object, got {type(about).__name__}")
    expected = {
        "format": FORMAT,
        "environment": "queue",
        "observation_version": OBSERVATION_VERSION,
        "features": list(FEATURES),
    }
    for name, value in expected.items():
        if about.get(name) != value:
            raise FileFormatError(f"{path}: model is for {name} {about.get(name)!r}, this version reads {value!r}")
    return about


def split(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return a nested value with its arrays taken out, which are added to `arrays`."""
    if isinstance(value, np.ndarray):
        name = str(len(arrays))
        arrays[name] = value
        return {ARRAY: name}
    if isinstance(value, Mapping):
        return {name: split(entry, arrays) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [split(entry, arrays) for entry in value]
    return value


def join(value: Any, arrays: Arrays) -> Any:
    """Return what `split` took apart (tuples as lists); KeyError where an array is missing."""
    if isinstance(value, dict):
        if set(value) == {ARRAY}:
            return arrays[value[ARRAY]]
        return {name: join(entry, arrays) for name, entry in value.items()}
    return [join(entry, arrays) for entry in value] if isinstance(value, list) else value


def _npz(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _read_arrays(path: Path, name: str) -> dict[str, NDArray[Any]]:
    content = _entry(path, name)
    try:
        return read_arrays(io.BytesIO(content))
    except DAMAGED as error:
        raise FileFormatError(f"{path}: {name} is damaged ({error})") from None


def _entry(path: Path, name: str) -> bytes:
    """Return an entry of the zip."""
    try:
        with ZipFile(path) as file:
            if name not in file.namelist():
                raise FileFormatError(
                    f"{path}: has no {name}, so it is no model that agents.sb3 saved; what else such a zip holds are "
                    "pickles, which would be executed"
                )
            size = file.getinfo(name).file_size
            if size > MOST_BYTES[name]:
                raise FileFormatError(f"{path}: {name} may have {MOST_BYTES[name]:,} bytes, has {size:,}")
            return file.read(name)
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file") from None
    except FileFormatError:
        raise
    except DAMAGED as error:
        raise FileFormatError(f"{path}: must be a zip file of a model, cannot be read ({error})") from None
