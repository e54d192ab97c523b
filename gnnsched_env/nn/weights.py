"""Weights of networks and the state of their trainings, kept in files that hold no code."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import write_whole

Shapes = Mapping[str, tuple[int, ...]]


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values, "key" among them; a killed write leaves the file before."""
    buffer = io.BytesIO()  # torch would hide what the system says of a write
    torch.save(dict(state), buffer)
    write_whole(path, lambda file: file.write(buffer.getbuffer()))


def read_state(path: Path, key: str, device: torch.device) -> dict[str, Any]:
    """Return what `write_state` was given; nothing in it is executed.

    FileFormatError where the file is damaged or another's; ConfigError where its key is another.
    """
    try:
        with ZipFile(path) as file:  # torch does not look at the sums that tell damage
            damaged = file.testzip()
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True) if damaged is None else {}
        found = state["key"]
    except Exception:  # torch raises many kinds for damaged files, and advises to read them in a way that runs code
        raise FileFormatError(f"checkpoint {path}: not readable; damaged, or another kind of file") from None
    if found != key:
        raise ConfigError(
            f"checkpoint {path}: it belongs to another training configuration or other data; "
            "remove it, or choose another place"
        )
    return state


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight."""
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def check_weights(what: str, expected: Shapes, weights: Mapping[str, NDArray[Any]]) -> None:
    """Raise FileFormatError where a weight is missing, extra or misshapen, or holds other than finite floats."""
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise FileFormatError(
                f"{what}: weight {name!r} must have shape {expected.get(name)}, got {found.get(name)}"
            )
        if weights[name].dtype.kind != "f" or not np.isfinite(weights[name]).all():
            raise FileFormatError(f"{what}: weight {name!r} must hold finite floats")
