"""What a reward charges: each term declared once, and the objective that the simulator and planners share.

The reward of a step is minus the objective of what came about since the step before, in units of
`SimulationSettings.unit` cycles.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Number
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.tables import LatencyTable

MOST_PRICE = 1e6

Totals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Term:
    """What a price charges for: `accrued`, the lane's sum since its last decision, and the same of whole episodes.

    `total(jobs, lanes)` states slowly what the sums of a finished episode come to: float64 [L] of its JOB records
    [L, J] and LANE records [L]. `unit(table)` is what the price of one is in a scenario, in units of the sum; None
    stands for the reward's unit, cycles.
    """

    accrued: str
    total: Callable[[NDArray[np.void], NDArray[np.void]], Totals]
    unit: Callable[[LatencyTable], float] | None = None


def _completion(jobs: NDArray[np.void], _: NDArray[np.void]) -> Totals:
    return np.asarray((jobs["finish"] - jobs["arrival"]).sum(axis=1), np.float64)


def _weighted(jobs: NDArray[np.void], _: NDArray[np.void]) -> Totals:
    return np.asarray((jobs["weight"] * (jobs["finish"] - jobs["arrival"])).sum(axis=1))


def _tardiness(jobs: NDArray[np.void], _: NDArray[np.void]) -> Totals:
    return np.asarray(np.maximum(0, jobs["finish"] - jobs["due"]).sum(axis=1), np.float64)


def _energy(_: NDArray[np.void], lanes: NDArray[np.void]) -> Totals:
    return np.asarray(lanes["total_energy"])


def mean_least_energy(table: LatencyTable) -> float:
    """Return the workload's mean least energy, picojoules: the unit of energy in rewards."""
    if table.energy_pj is None:
        raise ConfigError("reward: energy needs a latency table with energies, got one without")
    return float(table.weights @ table.energy_pj.min(axis=1))


def _price(text: str) -> Number:
    return Number(least=0.0, most=MOST_PRICE, help=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The price of each term: the objective is their weighted sum."""

    completion: Annotated[
        float,
        _price("Of jobs in the system, integrated over time."),
        Term("integral", _completion),
    ] = 1.0
    weighted: Annotated[
        float,
        _price("Of the weights of jobs in the system, integrated over time."),
        Term("weighted", _weighted),
    ] = 0.0
    tardiness: Annotated[
        float,
        _price("Of the time by which jobs finish after their deadline, charged when they finish."),
        Term("late", _tardiness),
    ] = 0.0
    energy: Annotated[
        float,
        _price("Of the energy of runs, charged when they start; a failure gives back what was not used."),
        Term("energy", _energy, unit=mean_least_energy),
    ] = 0.0


def _terms() -> dict[str, Term]:
    hints = get_type_hints(Prices, include_extras=True)
    extras = {entry.name: hints[entry.name].__metadata__ for entry in fields(Prices)}
    return {name: extra for name, found in extras.items() for extra in found if isinstance(extra, Term)}


TERMS = _terms()


def objective(prices: Any, sums: Any) -> Any:
    """Return what is charged for sums of the terms, both by name: records in kernels, numpy's and mappings in Python.

    `prices` has the fields of `Prices` and "mixed", which says whether more than completion is charged; `sums` has what
    the terms call `accrued`, cycles or picojoules, each a number or an array.
    """
    cost = prices["completion"] * sums["integral"]
    if prices["mixed"]:
        cost += prices["weighted"] * sums["weighted"] + prices["tardiness"] * sums["late"]
        cost += prices["energy"] * sums["energy"]
    return cost


def episode_charges(prices: NDArray[np.void], jobs: NDArray[np.void], lanes: NDArray[np.void]) -> Totals:
    """Return float64 [L]: what the objective charges for finished episodes, cycles.

    `prices` SETTINGS [1], `jobs` JOB [L, J] of which all have finished, `lanes` LANE [L].
    """
    row: Any = prices[0]
    sums = {term.accrued: term.total(jobs, lanes) if row[name] else 0.0 for name, term in TERMS.items()}
    return np.broadcast_to(np.asarray(objective(row, sums), np.float64), len(lanes))


def in_cycles(prices: Prices, *, unit: float, table: LatencyTable, repeats: int) -> Mapping[str, float]:
    """Return the prices of a scenario, which are in units of a mean job's best, as a simulation has them.

    `unit` is that best in cycles; `table` holds latencies and energies of one inference, of which a job is `repeats`.
    """
    found = {}
    for name, term in TERMS.items():
        price = getattr(prices, name)
        found[name] = price if term.unit is None or not price else price * unit / (repeats * term.unit(table))
    return found
