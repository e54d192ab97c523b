"""The interface that heuristics and trained agents share: one decision for each row of a batch."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
Observation = Mapping[str, FloatArray]


class Knowledge(StrEnum):
    """A policy's knowledge of latencies; shown in every table."""

    NONE = "none"
    PREDICTED = "predicted"
    TRUE = "true"


class Routing(StrEnum):
    """A policy's way of spreading classes over accelerators, which bounds the load that it can sustain.

    FREE: any split, class by class. SHORTEST: each class goes where it is predicted shortest. BLIND: any split, the
    same for every class. UNIFORM: the same share everywhere.
    """

    FREE = "free"
    SHORTEST = "shortest"
    BLIND = "blind"
    UNIFORM = "uniform"


class Policy(Protocol):
    """Choose an action for each lane.

    `observation` holds float32 arrays [lanes, n]; `mask` [lanes, actions] is True where the action is legal, at least
    once a row; the result is int64 [lanes]. A policy with an attribute `observation` ("flat", "pairs", "pairs_flat") is
    given the array of that observation in place of the dict.
    """

    knowledge: Knowledge

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        ...
