"""Compiled code for Dispatch-v0: the rows of features of an arriving job, and the accelerator of the best score.

`describe` writes the columns named in `dispatch_features.DispatchColumns`, a row for each open accelerator: one that an
action may name.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from gnnsched_baselines.learned.dispatch_features import DISPATCH_COLUMN as AT
from gnnsched_baselines.learned.dispatch_features import GAPS, NUM_DISPATCH_FEATURES
from gnnsched_baselines.learned.pair_features import MACHINE, TYPICAL
from gnnsched_baselines.learned.row_kernels import LOG_BLOCK, MOST_LOAD, MOST_LOG, kept, score, summing, take_logs
from gnnsched_env.common.compiled import bare_kernel, inlined
from gnnsched_env.sim.records import NEVER

# As in `pair_kernels`, the numbers whose logarithms become features are collected first, those of each accelerator and
# of the lane in turn. Their places, by name:


class HereLogs(NamedTuple):
    """Places of an accelerator's logarithms."""

    latency: int
    wait: int
    completion: int
    completion_after: int  # 1 + completion
    elsewhere: int
    mean: int
    arrivals: int
    paid: int
    blocking: int
    cost: int  # completion and blocking
    delays: int  # the first of len(GAPS)


class LaneLogs(NamedTuple):
    """Places of a lane's logarithms."""

    smallest: int
    soonest: int
    backlog: int


HERE, LANE = HereLogs(*range(11)), LaneLogs(*range(3))
HERE_LOGS, LANE_LOGS = HERE.delays + len(GAPS), len(LANE)


class DispatchScratch(NamedTuple):
    """Arrays in which one lane is described and scored; H is the width of the network, T that of typical classes."""

    latencies: Any  # float64 [A]
    waits: Any  # float64 [A]
    jobs: Any  # int64 [A]
    open: Any  # bool [A]
    logs: Any  # float64 [log_room]
    routes: Any  # float64 [len(GAPS), 3, T]: see `_find_routes`
    rows: Any  # float32 [A, F]
    owners: Any  # int64 [A]: the accelerator of each row
    order: Any  # int64 [A]: 0, 1, ...
    hidden: Any  # float32 [A, H]
    pooled: Any  # float32 [2, H]
    scores: Any  # float32 [A]


def dispatch_scratch(fleet: int, width: int) -> DispatchScratch:
    """Return the scratch arrays for a number of accelerators and a network's width."""
    return DispatchScratch(
        latencies=np.empty(fleet),
        waits=np.empty(fleet),
        jobs=np.empty(fleet, np.int64),
        open=np.empty(fleet, np.bool_),
        logs=np.empty(HERE_LOGS * fleet + LANE_LOGS + LOG_BLOCK),
        routes=np.empty((len(GAPS), 3, TYPICAL)),
        rows=np.empty((fleet, NUM_DISPATCH_FEATURES), np.float32),
        owners=np.empty(fleet, np.int64),
        order=np.arange(fleet),
        hidden=np.empty((fleet, width), np.float32),
        pooled=np.empty((2, width), np.float32),
        scores=np.empty(fleet, np.float32),
    )


@inlined
def describe(latencies, waits, jobs, open_ones, to_come, gap, fleet, logs, routes, rows, owners):
    """Write the rows of one lane; return their number.

    Read: `latencies` float64 [A] of the arriving job, `waits` float64 [A] cycles, `jobs` int64 [A] at each accelerator,
    `open_ones` bool [A], `to_come` (bool), `gap` cycles, `fleet` DispatchFleet. Written: `rows` float32 [n, F] and
    `owners` int64 [n], by accelerator. `logs` and `routes` are scratch.
    """
    count, gap = 0, max(gap, 1.0)
    for a in range(len(latencies)):
        if open_ones[a]:
            owners[count] = a
            count += 1
    greedy, smallest, soonest, runner_up = _compare(latencies, waits, owners, count)
    _find_routes(waits, owners, count, gap, fleet.machines, routes)
    for r in range(count):
        a = owners[r]
        others = runner_up if r == greedy else soonest
        _read_row(a, latencies[a], waits[a], jobs[a], others, gap, fleet, routes, logs, HERE_LOGS * r)
    of_lane = HERE_LOGS * count
    logs[of_lane + LANE.smallest] = smallest / fleet.unit
    logs[of_lane + LANE.soonest] = soonest / fleet.unit
    backlog = 0.0
    for a in range(len(waits)):
        backlog += waits[a]
    logs[of_lane + LANE.backlog] = 1.0 + backlog / (len(waits) * fleet.unit)
    take_logs(logs, of_lane + LANE_LOGS)
    cheapest, least_paid = np.inf, np.inf
    for r in range(count):
        cheapest = min(cheapest, logs[HERE_LOGS * r + HERE.cost])
        least_paid = min(least_paid, logs[HERE_LOGS * r + HERE.paid])
    for r in range(count):
        rows[r, AT.greedy_action] = r == greedy
        _write_row(owners[r], HERE_LOGS * r, of_lane, cheapest, least_paid, fleet, logs, rows, r)
        _write_counts(r, latencies, waits, jobs, owners, count, smallest, soonest, rows)
    _write_lane(smallest, waits, to_come, gap, of_lane, fleet, logs, rows, count)
    return count


@inlined
def _compare(latencies, waits, owners, count):
    """Return the row of the soonest completion, the smallest latency, and the two soonest completions."""
    greedy, smallest, soonest, runner_up = 0, np.inf, np.inf, np.inf
    for r in range(count):
        a = owners[r]
        completion = waits[a] + latencies[a]
        smallest = min(smallest, latencies[a])
        if completion < soonest:
            greedy, runner_up, soonest = r, soonest, completion
        else:
            runner_up = min(runner_up, completion)
    return greedy, max(smallest, 1.0), max(soonest, 1.0), max(runner_up, 1.0)


@summing
def _find_routes(waits, owners, count, gap, machines, routes):
    """Write, for typical jobs that arrive after some gaps, the two soonest completions and the first one's owner.

    Completions count from each job's arrival, if nothing else were sent anywhere.
    """
    for h in range(len(GAPS)):
        after = GAPS[h] * gap
        for k in range(TYPICAL):
            routes[h, 0, k] = routes[h, 1, k] = np.inf
            routes[h, 2, k] = -1.0
        for r in range(count):
            a = owners[r]
            wait = max(0.0, waits[a] - after)
            for k in range(TYPICAL):
                own, first = wait + machines[a, MACHINE.typical + k], routes[h, 0, k]
                sooner = own < first
                routes[h, 1, k] = first if sooner else min(routes[h, 1, k], own)
                routes[h, 2, k] = np.float64(a) if sooner else routes[h, 2, k]
                routes[h, 0, k] = min(first, own)


@summing
def _delay(a, h, wait, gap, machines, routes):
    """Return the mean delay, in cycles, of typical jobs after GAPS[h] gaps if the wait at accelerator a is `wait`."""
    left, total = max(0.0, wait - GAPS[h] * gap), 0.0
    for k in range(TYPICAL):
        others = routes[h, 1, k] if routes[h, 2, k] == a else routes[h, 0, k]
        total += min(others, left + machines[a, MACHINE.typical + k]) - routes[h, 0, k]
    return max(0.0, total) / TYPICAL


@inlined
def _read_row(a, latency, wait, jobs, elsewhere, gap, fleet, routes, logs, at):
    """Collect the numbers of an open accelerator's row whose logarithms are its features."""
    scale, completion = 1.0 / fleet.unit, wait + latency
    arrivals = fleet.shares[a] / len(fleet.shares) / gap  # jobs a cycle
    blocking = arrivals * latency * (wait + 0.5 * latency)
    logs[at + HERE.latency] = max(latency, 1.0) * scale
    logs[at + HERE.wait] = 1.0 + wait * scale
    logs[at + HERE.completion] = max(completion, 1.0) * scale
    logs[at + HERE.completion_after] = 1.0 + completion * scale
    logs[at + HERE.elsewhere] = elsewhere * scale
    logs[at + HERE.mean] = 1.0 + wait / max(1, jobs) * scale
    logs[at + HERE.arrivals] = 1.0 + completion / gap
    logs[at + HERE.paid] = max(latency, 1.0) * fleet.prices[a] * scale
    logs[at + HERE.blocking] = 1.0 + blocking * scale
    logs[at + HERE.cost] = max(completion + blocking, 1.0) * scale
    for h in range(len(GAPS)):
        logs[at + HERE.delays + h] = 1.0 + _delay(a, h, completion, gap, fleet.machines, routes) * scale


@inlined
def _write_row(a, at, of_lane, cheapest, least_paid, fleet, logs, rows, r):
    """Write the features of an accelerator that are logarithms, and those that stay the same."""
    latency, completion = logs[at + HERE.latency], logs[at + HERE.completion]
    rows[r, AT.over_soonest] = kept(completion - logs[of_lane + LANE.soonest])
    rows[r, AT.elsewhere] = kept(logs[at + HERE.elsewhere] - completion)
    rows[r, AT.latency] = kept(latency)
    rows[r, AT.regret] = kept(latency - logs[of_lane + LANE.smallest])
    rows[r, AT.wait] = min(MOST_LOG, logs[at + HERE.wait])
    rows[r, AT.completion] = min(MOST_LOG, logs[at + HERE.completion_after])
    rows[r, AT.mean_here] = min(MOST_LOG, logs[at + HERE.mean])
    rows[r, AT.arrivals_meanwhile] = min(MOST_LOG, logs[at + HERE.arrivals])
    rows[r, AT.paid] = kept(logs[at + HERE.paid])
    rows[r, AT.paid_regret] = kept(logs[at + HERE.paid] - least_paid)
    rows[r, AT.blocking] = min(MOST_LOG, logs[at + HERE.blocking])
    rows[r, AT.over_cheapest] = kept(logs[at + HERE.cost] - cheapest)
    for h in range(len(GAPS)):
        rows[r, AT.next_arrival + h] = min(MOST_LOG, logs[at + HERE.delays + h])
    rows[r, AT.price] = fleet.machines[a, MACHINE.price]
    rows[r, AT.slowness] = fleet.machines[a, MACHINE.slowness]
    rows[r, AT.preferred] = fleet.machines[a, MACHINE.preferred]
    rows[r, AT.share] = fleet.shares[a]


@inlined
def _write_counts(r, latencies, waits, jobs, owners, count, smallest, soonest, rows):
    """Write the features of an accelerator that are counts and shares."""
    a = owners[r]
    late, shorter_waits, shorter_latencies = waits[a] + latencies[a] - soonest, 0, 0
    for other in range(count):
        shorter_waits += waits[owners[other]] < waits[a]
        shorter_latencies += latencies[owners[other]] < latencies[a]
    share = 1.0 / max(1, count - 1)
    rows[r, AT.late_share] = max(0.0, late) / (max(0.0, late) + smallest)
    rows[r, AT.jobs_here] = jobs[a] / (jobs[a] + 4.0)
    rows[r, AT.free_here] = waits[a] <= 0.0
    rows[r, AT.shorter_waits] = shorter_waits * share
    rows[r, AT.shorter_latencies] = shorter_latencies * share


@inlined
def _write_lane(smallest, waits, to_come, gap, of_lane, fleet, logs, rows, count):
    """Write the features that all rows of a lane share."""
    number, free, smaller, work, all_work = len(waits), 0, 0, 0.0, 0.0
    for a in range(number):
        free += waits[a] <= 0.0
    for k in range(TYPICAL):
        smaller += fleet.typical[k] < smallest
        work += fleet.typical[k] if fleet.typical[k] < smallest else 0.0
        all_work += fleet.typical[k]
    load = min(MOST_LOAD, 1.0 / (gap * fleet.machines[0, MACHINE.rate]))
    for r in range(count):
        rows[r, AT.best_latency] = kept(logs[of_lane + LANE.smallest])
        rows[r, AT.smaller_jobs] = smaller / TYPICAL
        rows[r, AT.smaller_work] = work / all_work
        rows[r, AT.soonest] = kept(logs[of_lane + LANE.soonest])
        rows[r, AT.backlog] = min(MOST_LOG, logs[of_lane + LANE.backlog])
        rows[r, AT.free] = free / number
        rows[r, AT.load] = load
        rows[r, AT.to_come] = to_come
        rows[r, AT.spread] = fleet.machines[0, MACHINE.spread]


@inlined
def _best_row(count, weights, scratch):
    """Return the row of the best score, of equal ones the first."""
    w1, b1, w2, u2, b2, w3, skip = weights
    best = 0
    if count > 1:
        score(
            scratch.rows, count, scratch.order, count, w1, b1, w2, u2, b2, w3, skip,
            scratch.hidden, scratch.pooled, scratch.scores,
        )  # fmt: skip
        for r in range(1, count):
            if scratch.scores[r] > scratch.scores[best]:
                best = r
    return best


@inlined
def _read_state(i, lanes, accelerators, queue, shortest, repair, scratch):
    """Read what a simulation lane's observation shows; return whether jobs are to come, and the recent gap."""
    lane = lanes[i]
    job_class = queue[i, lane["head"]]["job_class"]
    any_up = False
    for a in range(accelerators.shape[1]):
        accelerator = accelerators[i, a]
        wait = float(accelerator["queued_work"])
        if accelerator["job"] >= 0:
            wait += max(0, accelerator["believed_finish"] - lane["time"])
        if not accelerator["up"]:
            wait += repair
        scratch.waits[a] = wait
        scratch.jobs[a] = accelerator["queued"] + (accelerator["job"] >= 0)
        scratch.latencies[a] = shortest[job_class, a]
        scratch.open[a] = accelerator["up"] == 1
        any_up = any_up or accelerator["up"] == 1
    if not any_up:
        for a in range(accelerators.shape[1]):
            scratch.open[a] = True
    return lane["next_ready"] < NEVER, math.floor(lane["recent_gap"])


@bare_kernel
def dispatch_state(
    lanes, accelerators, queue, shortest, repair, fleet, greedy, weights, best_choices, names_choices, scratch, actions
):  # fmt: skip
    """Write the best-scored action of each lane of a simulation of Dispatch-v0, or `predictor_greedy`'s if `greedy`.

    `shortest` float64 [C, A] predicted cycles; `best_choices` int64 [C, A]: what an action names if `names_choices`,
    else it names the accelerator.
    """
    for i in range(len(lanes)):
        actions[i] = 0
        if lanes[i]["ended"]:
            continue
        to_come, gap = _read_state(i, lanes, accelerators, queue, shortest, repair, scratch)
        if greedy:
            chosen = _soonest(scratch.latencies, scratch.waits, scratch.open)
        else:
            count = describe(
                scratch.latencies, scratch.waits, scratch.jobs, scratch.open, to_come, gap, fleet,
                scratch.logs, scratch.routes, scratch.rows, scratch.owners,
            )  # fmt: skip
            chosen = scratch.owners[_best_row(count, weights, scratch)]
        actions[i] = best_choices[queue[i, lanes[i]["head"]]["job_class"], chosen] if names_choices else chosen


@inlined
def _soonest(latencies, waits, open_ones):
    """Return the open accelerator of the soonest completion, of equal ones the first."""
    best = -1
    for a in range(len(waits)):
        if open_ones[a] and (best < 0 or waits[a] + latencies[a] < waits[best] + latencies[best]):
            best = a
    return best


@bare_kernel
def dispatch_beliefs(latencies, waits, jobs, open_ones, to_come, gap, fleet, weights, scratch, chosen):
    """Write the accelerator of each lane's best score, from observations.

    `latencies` and `waits` float64 [L, A] cycles, `jobs` int64 [L, A], `open_ones` bool [L, A], `to_come` bool [L],
    `gap` float64 [L] cycles, `chosen` int64 [L]. A lane without open accelerators gets -1.
    """
    for i in range(len(latencies)):
        chosen[i] = -1
        count = describe(
            latencies[i], waits[i], jobs[i], open_ones[i], to_come[i], gap[i], fleet,
            scratch.logs, scratch.routes, scratch.rows, scratch.owners,
        )  # fmt: skip
        if count > 0:
            chosen[i] = scratch.owners[_best_row(count, weights, scratch)]


@bare_kernel
def describe_arrivals(latencies, waits, jobs, open_ones, to_come, gap, fleet, scratch, rows, owners, starts):
    """Write the rows of all lanes from their observations, lane by lane, as `dispatch_beliefs`; return their number.

    `rows` float32 [n, F], `owners` int64 [n], `starts` int64 [L + 1]: lane i's rows begin at starts[i].
    """
    count = 0
    for i in range(len(latencies)):
        starts[i] = count
        count += describe(
            latencies[i], waits[i], jobs[i], open_ones[i], to_come[i], gap[i], fleet,
            scratch.logs, scratch.routes, rows[count:], owners[count:],
        )  # fmt: skip
    starts[len(latencies)] = count
    return count
