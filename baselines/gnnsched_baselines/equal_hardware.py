"""Accelerators of equal hardware: they take equally long, so where predictions differ, their mean errs less.

A prediction error is drawn for each choice (`PredictionError`), also for those of equal accelerators. Who takes the
differences for real waits for accelerators that are no faster than idle ones.
"""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.policy import IntArray
from gnnsched_env.sim.state import best_choices
from gnnsched_env.tables import LatencyTable
from gnnsched_env.tables.kinds import counted


def equal_hardware(table: LatencyTable) -> IntArray | None:
    """Return a number for each accelerator, int64 [A], equal where their choices have equal pair keys, in order.

    None where this changes nothing: no accelerators are equal, equal ones are predicted alike, or the table does not
    know its hardware.
    """
    if not table.pair_keys:
        return None
    groups = hardware_of(table)
    shortest = shortest_predicted(table)
    return None if np.array_equal(shortest, pooled(shortest, groups)) else groups


def hardware_of(table: LatencyTable) -> IntArray:
    """Return a number for each accelerator, int64 [A], counted from 0 and equal where their choices are, in order.

    Choices are equal if their pair keys are, or, in a table without these, their predicted cycles.
    """
    keys = table.pair_keys or [column.tobytes() for column in table.predicted_cycles.T]
    owned: list[list[str | bytes]] = [[] for _ in range(table.num_accelerators)]
    for owner, key in zip(table.choice_accelerators.tolist(), keys, strict=True):
        owned[owner].append(key)
    return np.array(counted(map(tuple, owned)), np.int64)


def equal_choices(table: LatencyTable, groups: IntArray) -> IntArray:
    """Return a number for each choice, int64 [K], equal for those of equal pair keys on accelerators of one group."""
    owners = groups[table.choice_accelerators].tolist()
    return np.array(counted(zip(owners, table.pair_keys, strict=True)), np.int64)


def shortest_predicted(table: LatencyTable) -> NDArray[np.float64]:
    """Return float64 [C, A]: each class's smallest predicted latency on each accelerator, cycles."""
    best = best_choices(table.predicted_cycles, table.choice_accelerators, table.num_accelerators)
    return np.take_along_axis(table.predicted_cycles, best, axis=1).astype(np.float64)


def pooled(latencies: NDArray[np.float64], groups: IntArray) -> NDArray[np.float64]:
    """Return latencies [..., A] with those of a group's accelerators (`groups` int64 [A]) replaced by their mean.

    Likewise for choices. The mean is geometric, as errors are factors; latencies that are equal in a group stay as they
    are, to the last bit.
    """
    result = latencies.copy()
    for group in range(int(groups.max()) + 1):
        members = np.flatnonzero(groups == group)
        own = latencies[..., members]
        with np.errstate(divide="ignore"):  # slots without a job show 0
            mean = np.exp(np.log(own).mean(axis=-1, keepdims=True))
        result[..., members] = np.where(own.min(axis=-1, keepdims=True) == own.max(axis=-1, keepdims=True), own, mean)
    return result
