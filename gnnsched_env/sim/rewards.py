"""What a reward charges: each term declared once, what it accrues, and the objective that weighs the terms.

The reward of a step is minus the objective of what has accrued since the step before, in units of
`SimulationSettings.unit` cycles. Each term accrues in a sum of each lane, the field of LANE that its `Term` names; the
functions `accrue_...` add to the sums when a job arrives, while time passes, and when a run starts, finishes or fails.
They are compiled into the transition. So this module imports only `common`, because a change of anything that it
imports makes the transition compile anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Number
from gnnsched_env.common.compiled import inlined
from gnnsched_env.common.errors import ConfigError

MOST_PRICE = 1e6

Totals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Term:
    """What a price charges for: a sum that each lane keeps, and a slow way to compute it for whole episodes.

    `accrued` names the field of LANE that holds the sum since the lane's last decision. `total(jobs, lanes)` returns,
    for finished episodes, the sum over the whole of each: float64 [L], from JOB records [L, J] and LANE records [L].
    At a price of 1 in a scenario, `unit(table, repeats)` of the sum costs as much as a mean job's best latency; `table`
    is the LatencyTable of one inference, and a job is `repeats` of them. Without a `unit` the sum is in cycles, and a
    cycle of it costs a cycle.
    """

    accrued: str
    total: Callable[[NDArray[np.void], NDArray[np.void]], Totals]
    unit: Callable[[Any, int], float] | None = None


def _completion(jobs: NDArray[np.void], _: NDArray[np.void]) -> Totals:
    return np.asarray((jobs["finish"] - jobs["arrival"]).sum(axis=1, dtype=np.float64))


def _weighted(jobs: NDArray[np.void], _: NDArray[np.void]) -> Totals:
    return np.asarray((jobs["weight"] * (jobs["finish"] - jobs["arrival"])).sum(axis=1))


def _tardiness(jobs: NDArray[np.void], _: NDArray[np.void]) -> Totals:
    return np.asarray(np.maximum(0, jobs["finish"] - jobs["due"]).sum(axis=1, dtype=np.float64))


def _energy(_: NDArray[np.void], lanes: NDArray[np.void]) -> Totals:
    return np.asarray(lanes["total_energy"])


def mean_least_energy(table: Any, repeats: int) -> float:
    """Return the workload's mean least energy of a job, picojoules: the unit of energy in rewards."""
    if table.energy_pj is None:
        raise ConfigError("reward: energy needs a latency table with energies, got one without")
    return repeats * float(table.weights @ table.energy_pj.min(axis=1))


def _price(text: str) -> Number:
    return Number(least=0.0, most=MOST_PRICE, help=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The price of each term: the objective is the sum of the terms, each times its price."""

    completion: Annotated[
        float,
        _price("Price of the time that a job spends in the system."),
        Term("integral", _completion),
    ] = 1.0
    weighted: Annotated[
        float,
        _price("Price of the time that a job spends in the system, times the job's weight."),
        Term("weighted", _weighted),
    ] = 0.0
    tardiness: Annotated[
        float,
        _price("Price of the time by which a job misses its deadline, charged when it finishes."),
        Term("late", _tardiness),
    ] = 0.0
    energy: Annotated[
        float,
        _price("Price of a run's energy, charged when it starts; a failure gives back what was not used."),
        Term("energy", _energy, unit=mean_least_energy),
    ] = 0.0


def _terms() -> dict[str, Term]:
    hints = get_type_hints(Prices, include_extras=True)
    extras = {entry.name: hints[entry.name].__metadata__ for entry in fields(Prices)}
    return {name: extra for name, found in extras.items() for extra in found if isinstance(extra, Term)}


TERMS = _terms()


@inlined
def accrue_arrival(settings: Any, lane: Any, job: Any, waited: float) -> None:
    """Charge for a job that comes to the scheduler `waited` cycles after its arrival."""
    lane["integral"] += waited
    if settings[0]["mixed"]:  # what is not charged is not read: the record may be far away
        lane["weighted"] += job["weight"] * waited


@inlined
def accrue_time(settings: Any, lane: Any, passed: float) -> None:
    """Charge for `passed` cycles in which nothing happens; `lane["weight"]` is that of the jobs in the system."""
    lane["integral"] += float(lane["arrived"] - lane["done"]) * passed
    if settings[0]["mixed"]:
        lane["weighted"] += lane["weight"] * passed


@inlined
def accrue_start(lane: Any, job: Any, pair: Any) -> None:
    """Charge for a run that starts; `pair` is the PAIR record of the job's class under its choice."""
    lane["energy"] += pair["energy"]


@inlined
def accrue_finish(settings: Any, lane: Any, job: Any) -> None:
    """Charge for a job that finishes."""
    if settings[0]["mixed"] and lane["time"] > job["due"]:
        lane["late"] += float(lane["time"] - job["due"])


@inlined
def accrue_failure(lane: Any, job: Any, pair: Any, unused: float) -> None:
    """Charge for a run that a failure stops when the share `unused` of it is still to do."""
    lane["energy"] -= pair["energy"] * unused


@inlined
def clear_sums(lane: Any) -> None:
    """Set the sums to zero: at the start of an episode and after each decision."""
    lane["integral"] = 0.0
    lane["weighted"] = 0.0
    lane["late"] = 0.0
    lane["energy"] = 0.0


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


charge: Any = inlined(objective)
"""Return what `objective` does, in kernels."""


def episode_charges(prices: NDArray[np.void], jobs: NDArray[np.void], lanes: NDArray[np.void]) -> Totals:
    """Return what the objective charges for finished episodes: float64 [L] cycles.

    `prices` SETTINGS [1], `jobs` JOB [L, J] of which all have finished, `lanes` LANE [L].
    """
    row: Any = prices[0]
    sums = {term.accrued: term.total(jobs, lanes) if row[name] else 0.0 for name, term in TERMS.items()}
    return np.broadcast_to(np.asarray(objective(row, sums), np.float64), len(lanes))


def in_cycles(prices: Prices, *, unit: float, table: Any, repeats: int) -> Mapping[str, float]:
    """Return the prices of a scenario, which are in units of a mean job's best, as a simulation has them.

    `unit` is that best in cycles; `table`, a LatencyTable, is of one inference, of which a job is `repeats`.
    """
    found = {}
    for name, term in TERMS.items():
        price = getattr(prices, name)
        found[name] = price if term.unit is None or not price else price * unit / term.unit(table, repeats)
    return found
