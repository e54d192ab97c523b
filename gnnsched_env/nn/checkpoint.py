"""Checkpoints of trainings that use torch: a mapping of tensors and plain values in one file, which holds no code."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch
from torch import Tensor

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import file_path, open_zip, write_whole


def write_checkpoint(path: Path, kind: str, key: str, state: Mapping[str, Any]) -> None:
    """Write a state of tensors, arrays and plain values, whole or not at all.

    `kind`: the training method, and the version of its state. `key`: a hash of all that the state depends on, such as
    configuration and data, so that only the same training can resume from it.
    """
    buffer = io.BytesIO()  # torch would hide the system's message if a write failed
    torch.save({"kind": kind, "key": key, "state": _each(state, np.ndarray, torch.from_numpy)}, buffer)
    write_whole(path, lambda file: file.write(buffer.getbuffer()))


def read_checkpoint(path: Path, kind: str, key: str, device: torch.device) -> dict[str, Any]:
    """Return what `write_checkpoint` was given, tensors on a device, arrays as CPU tensors; nothing in it is executed.

    Raise FileFormatError where the file is no checkpoint of this kind, ConfigError where its key is another.
    """
    named = file_path(path, "a checkpoint")
    try:
        kept = torch.load(_checked(named), map_location=device, weights_only=True)
        found, of, state = kept["kind"], kept["key"], dict(kept["state"])
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such checkpoint") from None
    except FileFormatError:
        raise
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception:  # torch raises many kinds for damaged files, and advises to read them in a way that runs code
        raise FileFormatError(f"{path}: must be a checkpoint, but is damaged or another kind of file") from None
    if found != kind:
        raise FileFormatError(f"{path}: must be a checkpoint of {kind}, it is of {found!r}")
    if of != key:
        raise ConfigError(
            f"{path}: it is of another training (its configuration or data differ); remove it or name another"
        )
    return state


def _checked(path: Path) -> io.BytesIO:
    """Return a copy of an archive whose members' checksums were verified; raise what zipfile raises for damage.

    torch verifies none, and of a member that a damaged directory calls a folder it returns whatever memory holds.
    """
    copy = io.BytesIO()
    with open_zip(path) as file, ZipFile(copy, "w") as clean:
        for name in file.namelist():
            clean.writestr(name, file.read(name))
    copy.seek(0)
    return copy


def arrays_of(value: Any) -> Any:
    """Return the value with its tensors, however deep, as numpy arrays."""
    return _each(value, Tensor, lambda tensor: tensor.cpu().numpy())


def _each(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """Return the value with each part of a kind, however deep in mappings, lists and tuples, changed."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _each(part, kind, change) for name, part in value.items()}
    return type(value)(_each(part, kind, change) for part in value) if isinstance(value, list | tuple) else value
