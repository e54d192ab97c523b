"""The inputs of a trained policy: one row of features for each legal (job, accelerator) pair, and one for waiting.

The rows of a lane are based on the plan that `assignment` makes of its waiting jobs: where the plan puts the pair, and
the cost to the plan of starting the pair now, or of letting the idle accelerators wait. Times are divided by the
workload's mean best predicted latency, the reward's unit, so that the same weights suit fast and slow fleets. Counts
are shares or saturate, so that the weights suit other windows and other numbers of accelerators.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.equal_hardware import equal_hardware, pooled, shortest_predicted
from gnnsched_env.common.policy import IntArray
from gnnsched_env.sim import fleet_capacity
from gnnsched_env.tables import LatencyTable


class Columns(NamedTuple):
    """The columns of a row of features, by name: the only declaration of a trained policy's inputs.

    Times are log2(cycles / unit) / 4; "plan" is the one that `assignment` makes. Files of weights name the features
    that they were trained on, so columns may be added and moved (`pair_network.network_of`); a column whose meaning
    changes needs a new name.
    """

    wait: int  # 1 in the row that waits
    planned_action: int  # 1 if `assignment` would do this
    planned_here: int  # the plan has the job on this accelerator
    planned_first: int  # ... and first in line
    latency: int  # latency of the job here
    regret: int  # its latency here over its smallest one
    elsewhere: int  # the soonest completion on another accelerator over the latency here
    plan_change: int  # loss of the plan if the pair starts now (or if idle accelerators wait for the next event)
    plan_change_share: int  # ... over the latency here (over the time until the next event), squashed
    rank_here: int  # share of the waiting jobs that are shorter here
    over_shortest: int  # its latency here over that of the shortest waiting job here
    behind_here: int  # jobs planned on this accelerator besides, n / (n + 4)
    work_here: int  # cycles planned on this accelerator besides
    arrivals_meanwhile: int  # jobs expected to come while it runs, log2(1 + n) / 4
    free_meanwhile: int  # share of the other accelerators that are free before it would be done
    next_free: int  # until the first other accelerator is free
    price: int  # the accelerator's share of the capacity program's dual prices, times the number of accelerators
    slowness: int  # mean of log2(latency / smallest latency) on the accelerator over the workload's classes
    preferred: int  # share of the classes whose smallest latency is on the accelerator, times their number
    lighter_waiting: int  # waiting jobs that this accelerator suits better than this one, n / (n + 4)
    waiting: int  # jobs that wait, n / (n + 8)
    load: int  # recent arrival rate over the fleet's largest sustainable rate, at most 2
    idle: int  # share of the accelerators that are idle
    backlog: int  # planned work of all accelerators, over their number
    to_come: int  # 1 if jobs are still to come
    spread: int  # spread of the workload's best latencies: log2(1 + squared coefficient of variation) / 4
    best_latency: int  # the job's smallest latency
    best_remaining: int  # until the accelerator that suits the job best is free
    best_work: int  # ... and all planned on it is done
    planned_start: int  # when the job starts in the plan, over the latency here
    others_remaining: int  # mean of the other accelerators' remaining times, weighted by classes that prefer them
    waiting_work: int  # sum of the waiting jobs' smallest latencies
    waiting_longest: int  # largest of them
    next_arrival: int  # delay of a typical job that arrives after one gap, if this job starts here
    later_arrival: int  # ... after 3 gaps
    last_arrival: int  # ... after 9 gaps
    fleet_size: int  # log2(number of accelerators) / 4
    unlike: int  # how much the fleet's accelerators differ: mean of `slowness` over them, over 4
    alike: int  # share of the fleet's accelerators that are like this one (`machine_features`); 1 if all are
    tail: int  # log2(mean / geometric mean) / 4 of the workload's smallest latencies: 0 if all jobs are equal
    error: int  # deviation of log(true / predicted), as measured on other jobs; 0 where nobody measured it
    over_shortest_pair: int  # its latency here over that of the shortest legal pair
    over_soonest: int  # ... over the soonest completion of any waiting job anywhere (waiting: of the shortest pair)
    behind_window: int  # jobs that wait behind the window, n / (n + 32)
    paid_regret: int  # latency here times the accelerator's price over the smallest such product, the job's cost
    cheaper_jobs: int  # share of the workload's jobs that cost less, by typical ones t: mean of c^2 / (c^2 + t^2)
    cheaper_work: int  # ... their share of the sum of these costs
    cheaper_waiting: int  # share of the waiting jobs that cost less
    ending: int  # max(0, 1 - n / 4), n the jobs still to come over the number of accelerators
    almost_over: int  # max(0, 1 - n)


class MachineColumns(NamedTuple):
    """The columns of `machine_features`, by name."""

    price: int
    slowness: int
    preferred: int
    rate: int  # the fleet's largest sustainable rate, jobs per cycle; the same for all
    spread: int  # the same for all
    fleet_size: int  # the same for all
    unlike: int  # the same for all
    alike: int
    tail: int  # the same for all
    error: int  # the same for all
    typical: int  # the first of TYPICAL columns: latencies of typical classes


FEATURES = Columns._fields
NUM_FEATURES = len(FEATURES)
COLUMN = Columns(*range(NUM_FEATURES))
MACHINE = MachineColumns(*range(len(MachineColumns._fields)))
TYPICAL = 12  # number of classes that represent future jobs
LEAST_PRICE = 0.02  # prices count as this at least, over the number of accelerators: one may be 0
LIKENESS = 2.0  # each factor of two between latencies, halved so often, is what two accelerators' likeness loses


def known_machines(table: LatencyTable, *, pools: bool) -> tuple[IntArray | None, NDArray[np.float64]]:
    """Return the accelerators' `equal_hardware` and their features, for weights that pool latencies (or do not).

    The former is None where nothing is pooled.
    """
    groups = equal_hardware(table) if pools else None
    return groups, machine_features(table, groups)


def machine_features(table: LatencyTable, groups: IntArray | None = None) -> NDArray[np.float64]:
    """Return float64 [A, M + T]: a trained policy's knowledge of a workload (`table` of a job), from predictions.

    The first M columns are those of MACHINE; the rate is `sim.fleet_capacity`'s. T = TYPICAL latencies (cycles) on each
    accelerator are those of the classes in the middles of as many equal shares of the jobs, in order of their smallest
    latencies. Two accelerators whose typical latencies are, on average, a factor of 2^d apart are alike by 2^(-2 d):
    equal ones wholly, and equal ones whose predictions have errors of their own almost. `groups`: the accelerators'
    `equal_hardware`, if latencies are to be pooled.
    """
    fleet = np.arange(table.num_accelerators)
    latencies = shortest_predicted(table)
    if groups is None:
        capacity = fleet_capacity(table.predicted_cycles, table.weights, table.choice_accelerators)
        prices = capacity.prices
    else:
        latencies = pooled(latencies, groups)
        capacity = fleet_capacity(np.maximum(1, np.rint(latencies)).astype(np.int64), table.weights, fleet)
        prices = (np.bincount(groups, capacity.prices) / np.bincount(groups))[groups]
    best = latencies.min(axis=1)
    slowness = table.weights @ np.log2(latencies / best[:, np.newaxis])
    preferred = table.weights @ (latencies.argmin(axis=1)[:, np.newaxis] == fleet)
    spread = 0.25 * np.log2((table.weights @ best**2) / (table.weights @ best) ** 2)  # 1 + variance / mean^2
    tail = 0.25 * (np.log2(table.weights @ best) - table.weights @ np.log2(best))
    errors = 0.0 if table.log_errors is None else float(table.log_errors.std(axis=0).mean())
    order = best.argsort(kind="stable")
    middles = (np.arange(TYPICAL) + 0.5) / TYPICAL
    typical = order[np.searchsorted(np.cumsum(table.weights[order]), middles).clip(max=len(order) - 1)]

    shared = (capacity.rate, spread, 0.25 * np.log2(len(fleet)), 0.25 * slowness.mean())
    features = [
        *(len(fleet) * prices, slowness, len(fleet) * preferred),
        *(np.full(len(fleet), value) for value in shared),
        _alike(latencies[typical]),
        *(np.full(len(fleet), value) for value in (tail, errors)),
    ]
    return np.stack([*features, *latencies[typical]], axis=1)


def _alike(typical: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64 [A]: the mean likeness of each accelerator to all, from typical latencies [T, A]."""
    columns, kinds, counts = np.unique(np.log2(typical), axis=1, return_inverse=True, return_counts=True)
    likeness = [
        np.exp2(-LIKENESS * np.abs(columns - column[:, np.newaxis]).mean(axis=0)) @ counts for column in columns.T
    ]
    shares: NDArray[np.float64] = np.array(likeness) / counts.sum()
    return shares[kinds.ravel()]
