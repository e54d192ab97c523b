"""Load and capacity: the largest arrival rate that a fleet, or a policy on it, can sustain.

The capacity program splits each class of jobs over the choices so that no accelerator is busy more than all the time,
and maximises the arrival rate: a linear program (see Andradottir, Ayhan and Down, 2003, on dynamic server allocation;
solved by scipy's HiGHS). Its dual prices say how scarce each accelerator is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, ListOf, number_array
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import Routing
from gnnsched_env.tables import LatencyTable
from gnnsched_env.tables.kinds import equal_columns

# Accelerators up to which equal ones stay apart in the program: the frozen tasks of the benchmark depend on the rates
# of such fleets to the last bit, which the smaller program changes.
MOST_SEPARATE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """`rate`: jobs a cycle; `prices` float64 [A]: each accelerator's share of the dual prices (they sum to 1)."""

    rate: float
    prices: NDArray[np.float64]


def fleet_capacity(cycles: NDArray[np.int64], weights: NDArray[np.float64], owners: NDArray[np.int64]) -> Capacity:
    """Return the largest sustainable rate of a mix and the price of each accelerator.

    `cycles` int64 [C, K], `weights` float64 [C] (shares of the classes, sum 1), `owners` int64 [K]. On an accelerator
    only a class's best choice can matter, so the program has C x A variables and one more, the rate. Equal accelerators
    have equal prices in each optimum, so in fleets of more than MOST_SEPARATE each kind shares one variable a class.
    """
    from scipy.optimize import linprog  # here, because it takes longer to import than all the rest
    from scipy.sparse import coo_array

    cycles = number_array("capacity", "cycles", cycles, np.int64, shape=(None, None))
    weights = number_array("capacity", "weights", weights, np.float64, shape=(len(cycles),))
    owners = number_array("capacity", "owners", owners, np.int64, shape=(cycles.shape[1],))
    if cycles.size == 0 or cycles.min() < 1 or not (np.isfinite(weights).all() and weights.min() >= 0 < weights.sum()):
        raise ConfigError("capacity: cycles must be at least 1, weights finite, not negative and not all 0")
    fleet = np.unique(owners).tolist()
    if fleet != list(range(len(fleet))):
        raise ConfigError(f"capacity: owners must give each accelerator a choice, got {owners.tolist()}")
    best = _best_per_accelerator(cycles, owners)
    kinds = np.array(fleet if len(fleet) <= MOST_SEPARATE else equal_columns(best), np.int64)
    best, numbers = best[:, np.unique(kinds, return_index=True)[1]], np.bincount(kinds).astype(np.float64)
    unit = float(weights @ best.min(axis=1))
    classes, columns = best.shape
    cells = np.arange(classes * columns)
    rate_column = len(cells)
    flow = coo_array(
        (
            np.concatenate([np.ones(len(cells)), -weights]),
            (
                np.concatenate([cells // columns, np.arange(classes)]),
                np.concatenate([cells, np.full(classes, rate_column)]),
            ),
        ),
        shape=(classes, rate_column + 1),
    )
    time = coo_array(((best / unit).ravel(), (cells % columns, cells)), shape=(columns, rate_column + 1))
    objective = np.zeros(rate_column + 1)
    objective[-1] = -1.0
    result = linprog(objective, A_ub=time, b_ub=numbers, A_eq=flow, b_eq=np.zeros(classes))
    if result.status != 0:
        raise ConfigError(f"capacity program: not solved ({result.message})")
    prices = np.maximum(-np.asarray(result.ineqlin.marginals), 0.0)[kinds]
    return Capacity(rate=float(result.x[-1]) / unit, prices=prices / prices.sum())


def policy_capacity(
    table: LatencyTable, *, routing: Routing = Routing.FREE, choices: Sequence[int] | None = None
) -> float:
    """Return the largest rate, jobs a cycle, that a policy limited to `choices` can sustain under its routing.

    FREE: the capacity program. SHORTEST: every class goes where it is predicted shortest, so the accelerator that this
    loads most bounds all. BLIND: every class is split alike, so accelerator a serves at most 1 / (its mean latency) and
    the rates add up. UNIFORM: every accelerator gets the same share, so the slowest bounds all.
    """
    chosen_of = ListOf(Integer(0, table.num_choices - 1), fewest=1)
    keep = np.arange(table.num_choices)
    if choices is not None:
        keep = np.array(chosen_of.check("capacity", "choices", choices), np.int64)
    cycles, weights = table.true_cycles[:, keep], table.weights
    used, owners = np.unique(table.choice_accelerators[keep], return_inverse=True)
    if routing is Routing.FREE:
        return fleet_capacity(cycles, weights, owners).rate
    if routing is Routing.SHORTEST:
        chosen = table.predicted_cycles[:, keep].argmin(axis=1)
        work = weights * cycles[np.arange(len(cycles)), chosen]
        return float(1.0 / np.bincount(owners[chosen], work).max())
    means = weights @ _best_per_accelerator(cycles, owners)
    if routing is Routing.BLIND:
        return float((1.0 / means).sum())
    return float(len(used) / means.max())


def _best_per_accelerator(cycles: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    count = int(owners.max()) + 1
    return np.stack([cycles[:, owners == a].min(axis=1) for a in range(count)], axis=1).astype(np.float64)
