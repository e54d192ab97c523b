"""Type checks of the public functions' arguments; each error names the expected type and the value passed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import plain_array
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import Accelerator, Choice, Dataflow, GnnModel

Pair = tuple[Accelerator, Dataflow]


def as_pair(pair: Pair | Choice) -> Pair:
    """Return an (accelerator, dataflow) pair; a fleet's choice is converted to its pair."""
    if isinstance(pair, Choice):
        return pair.accelerator, pair.dataflow
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ConfigError(f"a pair must be (accelerator, dataflow) or a fleet's choice, got {_brief(pair)}")
    check_accelerator(pair[0])
    check_dataflow(pair[1])
    return pair[0], pair[1]


def check_accelerator(accelerator: object) -> None:
    """Raise ConfigError unless the value is an Accelerator."""
    if not isinstance(accelerator, Accelerator):
        raise ConfigError(f"accelerator must be an Accelerator (load_accelerator(name)), got {_brief(accelerator)}")


def check_dataflow(dataflow: object) -> None:
    """Raise ConfigError unless the value is a Dataflow."""
    if not isinstance(dataflow, Dataflow):
        raise ConfigError(f"dataflow must be a Dataflow (of accelerator.dataflows), got {_brief(dataflow)}")


def check_model(model: object) -> None:
    """Raise ConfigError unless the value is a GnnModel."""
    if not isinstance(model, GnnModel):
        raise ConfigError(f"model must be a GnnModel (make_model(kind, F, G)), got {_brief(model)}")


def check_graph(graph: object) -> None:
    """Raise ConfigError unless the value is a Graph."""
    if not isinstance(graph, Graph):
        raise ConfigError(f"graph must be a Graph, got {_brief(graph)}")


def check_lists(degrees: Sequence[NDArray[Any]]) -> None:
    """Raise ConfigError unless the degrees are a sequence of arrays, one for each graph."""
    rule = "degrees must be a sequence of arrays of row degrees, int64 [V], one for each graph"
    if not isinstance(degrees, Sequence | np.ndarray) or isinstance(degrees, str):
        raise ConfigError(f"{rule}; got {_brief(degrees)}")
    if isinstance(degrees, np.ndarray) and degrees.ndim < 2:
        raise ConfigError(f"{rule}; got a flat array (of one graph: [degrees])")
    for i, one in enumerate(degrees):
        if not isinstance(one, np.ndarray | list | tuple):
            raise ConfigError(f"{rule}; entry {i} is {_brief(one)}")
        if isinstance(one, np.ma.MaskedArray):
            plain_array("cycles", f"degrees of graph {i}", one)


def _brief(value: object) -> str:
    return repr(value) if isinstance(value, str | int | float | None) else f"one of type {type(value).__name__}"
