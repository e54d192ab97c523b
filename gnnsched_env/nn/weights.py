"""The weights of a network as they come from a file: their names, shapes and values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from gnnsched_env.common.errors import FileFormatError

Shapes = Mapping[str, tuple[int, ...]]


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
