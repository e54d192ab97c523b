"""The inputs of a trained dispatcher: one row of features for each accelerator that the arriving job may join.

A row says when the job would be done there, and what that costs others: the jobs to come that would queue behind it.
Times are divided by the workload's mean best predicted latency, the reward's unit, so that the same weights suit fast
and slow fleets; counts are shares or saturate, so that the weights suit other numbers of accelerators.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.learned.pair_features import LEAST_PRICE, MACHINE, TYPICAL, machine_features
from gnnsched_env.tables import LatencyTable


class DispatchColumns(NamedTuple):
    """The columns of a row of features, by name: the only declaration of a trained dispatcher's inputs.

    Times are log2(cycles / unit) / 4, those that may be 0 log2(1 + cycles / unit) / 4. The wait at an accelerator is
    the believed time until it has done all that is queued there. Files of weights name the features that they were
    trained on, as those of Queue-v0 do (`pair_features.Columns`).
    """

    greedy_action: int  # 1 if `predictor_greedy` would do this: the soonest completion
    over_soonest: int  # completion here over the soonest completion, as a logarithm
    late_share: int  # d / (d + the job's smallest latency), d its completion here minus the soonest one
    elsewhere: int  # the soonest completion on another accelerator over that here, as a logarithm
    latency: int  # latency of the job here
    regret: int  # its latency here over its smallest one, as a logarithm
    wait: int  # wait here
    completion: int  # wait and latency here
    jobs_here: int  # jobs that run or wait here, n / (n + 4)
    mean_here: int  # the wait here over their number
    free_here: int  # 1 if it could start at once
    arrivals_meanwhile: int  # jobs expected to come until it would be done, log2(1 + n) / 4
    paid: int  # latency here times the accelerator's price
    paid_regret: int  # ... over the smallest such product, as a logarithm
    blocking: int  # delay of those who would come here while the job waits or runs, by the accelerator's share of jobs
    over_cheapest: int  # completion and blocking here over the smallest such sum, as a logarithm
    next_arrival: int  # delay of a typical job that arrives after one gap and goes where it is done first
    later_arrival: int  # ... after 4 gaps
    distant_arrival: int  # ... after 16 gaps
    last_arrival: int  # ... after 64 gaps
    price: int  # the accelerator's share of the capacity program's dual prices, times the number of accelerators
    slowness: int  # mean of log2(latency / smallest latency) on the accelerator over the workload's classes
    preferred: int  # share of the classes whose smallest latency is on the accelerator, times their number
    share: int  # share of the jobs for which the accelerator is cheapest (`share_of_jobs`), times their number
    shorter_waits: int  # share of the other accelerators where the wait is shorter
    shorter_latencies: int  # share of the other accelerators where the job is shorter
    best_latency: int  # the job's smallest latency; this and all that follow are the same in every row
    smaller_jobs: int  # share of typical jobs whose smallest latency is smaller
    smaller_work: int  # ... their share of the sum of these latencies
    soonest: int  # the soonest completion
    backlog: int  # mean wait
    free: int  # share of the accelerators where it could start at once
    load: int  # recent arrival rate over the fleet's largest sustainable rate, at most 2
    to_come: int  # 1 if more jobs are to come
    spread: int  # spread of the workload's best latencies, as in `pair_features`


DISPATCH_FEATURES = DispatchColumns._fields
NUM_DISPATCH_FEATURES = len(DISPATCH_FEATURES)
DISPATCH_COLUMN = DispatchColumns(*range(NUM_DISPATCH_FEATURES))
GAPS = (1.0, 4.0, 16.0, 64.0)  # when typical jobs arrive, in gaps between arrivals


class DispatchFleet(NamedTuple):
    """A trained dispatcher's knowledge of a workload, from predictions alone.

    `machines` float64 [A, 5 + T] as of `machine_features`; `prices` float64 [A], at least LEAST_PRICE, and `shares`
    float64 [A], both times the number of accelerators; `typical` float64 [T]: the smallest latencies of the typical
    classes, ascending; `unit`: mean best predicted latency, cycles.
    """

    machines: NDArray[np.float64]
    prices: NDArray[np.float64]
    shares: NDArray[np.float64]
    typical: NDArray[np.float64]
    unit: float


def dispatch_fleet(table: LatencyTable, machines: NDArray[np.float64] | None = None) -> DispatchFleet:
    """Return the knowledge of a workload (`table` of a job), whose `machine_features` may be given."""
    machines = machine_features(table) if machines is None else machines
    fleet = len(machines)
    prices = np.maximum(machines[:, MACHINE.price], LEAST_PRICE)
    return DispatchFleet(
        machines=machines,
        prices=prices,
        shares=fleet * share_of_jobs(table, prices),
        typical=np.sort(machines[:, MACHINE.typical : MACHINE.typical + TYPICAL].min(axis=0)),
        unit=float(table.mean_shortest_predicted),
    )


def share_of_jobs(table: LatencyTable, prices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64 [A]: the share of the jobs for which latency times price is smallest on each accelerator.

    So the capacity program sends them at the highest load, but for classes that several accelerators suit as well. Of
    accelerators that are equally cheap the lowest takes all, on purpose: under an even split of equal ones, what a job
    delays is the same everywhere, and the best rule is to look for the shortest line. The uneven one keeps long jobs
    together and other lines free.
    """
    fleet = np.arange(table.num_accelerators)
    own = [table.predicted_cycles[:, table.choice_accelerators == a].min(axis=1) for a in fleet]
    cheapest = (np.stack(own, axis=1) * prices).argmin(axis=1)
    shares: NDArray[np.float64] = table.weights @ (cheapest[:, np.newaxis] == fleet)
    return shares
