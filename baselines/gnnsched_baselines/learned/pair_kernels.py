"""Compiled code: the rows of features of many lanes, their scores, and the chosen actions.

`describe` writes the columns named in `pair_features.Columns`; `score` is the network of `pair_network.py` on them.
Latencies are those of kinds of accelerators. Idle accelerators that are alike in all that rows show, and on which
nothing is planned, have equal rows: they are written once, and count as often as they occur.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from gnnsched_baselines.assignment_plan import Places, plan
from gnnsched_baselines.learned.pair_features import COLUMN as AT
from gnnsched_baselines.learned.pair_features import LEAST_PRICE, MACHINE, NUM_FEATURES
from gnnsched_baselines.learned.row_kernels import LOG_BLOCK, MOST_LOAD, MOST_LOG, kept, score, summing, take_logs
from gnnsched_baselines.soonest import keep_soonest
from gnnsched_env.common.compiled import bare_kernel, inlined
from gnnsched_env.common.policy import IntArray

PLAN_C = 0.5  # as `assignment`
ENDING = 4.0  # an episode ends where fewer jobs than this are to come for each accelerator
LEAST_REGRET = 1e-6  # logarithms below this are 0 but for rounding
LESS = 1.0 - 1e-9  # times a cost: what is less than that is not equal to it but for rounding
LINE = np.dtype([("first", "i8"), ("count", "i8"), ("work", "f8")], align=True)  # an accelerator's line in the plan
PLANNED = np.dtype(
    [
        ("owner", "i8"),  # the accelerator on which the plan has the job
        ("after", "f8"),  # cycles of those planned after it there
        ("behind", "i8"),  # their number
        ("ahead", "f8"),  # cycles of those planned before it there
        ("start", "f8"),  # when it starts in the plan
        ("cost", "f8"),  # its cost to the plan
        ("smallest", "f8"),  # its smallest latency
        ("best", "i8"),  # the accelerator of that
        ("paid", "f8"),  # its smallest product of latency and price
        ("cheaper_jobs", "f8"),  # shares of the typical jobs that cost less, of their costs, and of the waiting jobs
        ("cheaper_work", "f8"),
        ("cheaper_waiting", "f8"),
    ],
    align=True,
)
CONTEXT = np.dtype(
    [
        ("waiting", "i8"),
        ("behind", "i8"),
        ("may_wait", "i8"),
        ("to_come", "i8"),  # number of jobs
        ("total", "i8"),  # number of jobs of an episode, if a simulation is read; observations say how many are to come
        ("gap", "f8"),
        ("alone", "i8"),  # the one accelerator of the fleet never idles while jobs wait, and takes the shortest
        ("shortest_first", "i8"),  # of plans that cost the same, the one that starts short jobs sooner
    ],
    align=True,
)

# The numbers whose logarithms become features are collected first, those of each pair, of each job, of each
# accelerator and of the lane in turn; one vectorized loop takes all logarithms. Their places, by name:


class PairLogs(NamedTuple):
    """Places of a pair's logarithms."""

    latency: int
    elsewhere: int
    change: int
    work: int
    arrivals: int
    next_arrival: int  # delays of three typical arrivals
    later_arrival: int
    last_arrival: int


class JobLogs(NamedTuple):
    """Places of a job's logarithms."""

    smallest: int
    start: int
    paid: int


class FleetLogs(NamedTuple):
    """Places of an accelerator's logarithms."""

    remaining: int
    line_end: int
    price: int


class LaneLogs(NamedTuple):
    """Places of a lane's logarithms; from `change` on, those of the row that waits."""

    unit: int
    backlog: int
    work: int
    longest: int
    change: int
    until: int
    latency: int
    alternative: int
    ends: int
    soonest: int


PAIR, JOB_LOG = PairLogs(*range(8)), JobLogs(*range(3))
FLEET, LANE = FleetLogs(*range(3)), LaneLogs(*range(10))
PAIR_LOGS, JOB_LOGS, FLEET_LOGS, LANE_LOGS = len(PAIR), len(JOB_LOG), len(FLEET), len(LANE)


class FleetKinds(NamedTuple):
    """The kinds of a fleet's A accelerators as kernels read them, the first four as in `tables.Kinds`."""

    of: IntArray  # [A]
    firsts: IntArray  # [G]
    members: IntArray  # [A]
    starts: IntArray  # [G + 1]
    alike: IntArray  # [A]: a number below A, equal for accelerators whose rows may be written once


class Scratch(NamedTuple):
    """Arrays in which one lane is planned and described; M is the most accelerators that a plan may use."""

    places: Places  # of n jobs on M accelerators
    jobs: Any  # JOB [n]
    lines: Any  # LINE [A]
    planned: Any  # PLANNED [n]
    logs: Any  # float64 [log_room]
    sides: Any  # float64 [2, n]
    typical: Any  # float64 [3, T or more]
    turns: Any  # int64 [n]: the jobs in the order in which they are planned
    near: Any  # int64 [M or n]: the accelerators that a plan may use
    kept: Any  # bool [A]: whether they are
    near_latencies: Any  # float64 [n, M]
    near_remaining: Any  # float64 [M]
    soonest: Any  # float64 [G, 2]: the two smallest remaining times of each kind, infinity where there is none
    seen: Any  # int64 [A]: the first row of accelerators that are alike, -1 before there is one


def log_room(rows: int, window: int, fleet: int) -> int:
    """Return the largest number of logarithms that a lane of so many rows may need."""
    return PAIR_LOGS * rows + JOB_LOGS * window + FLEET_LOGS * fleet + LANE_LOGS + LOG_BLOCK


@inlined
def describe(latencies, remaining, idle, context, machines, unit, kinds, scratch, rows, pairs, order):
    """Write the rows of one lane; return how many are written and how many are meant, equal ones counted each.

    If waiting is legal, its row is the last. Read: `latencies` float64 [n, G], `remaining` float64 [A], `idle` bool
    [A], `context` CONTEXT (a record), `machines` float64 [A, M + T], `unit` cycles, `kinds` FleetKinds. Written: `rows`
    float32 [n x A + 1, F] and `pairs` int64 [n x A + 1, 2] (slot, accelerator; slot -1 waits; of equal rows, the lowest
    accelerator), `order` int64 [n x A + 1]: the row that is meant for each accelerator and job in turn.
    """
    waiting, fleet = context["waiting"], len(remaining)
    lines, planned, logs = scratch.lines, scratch.planned, scratch.logs
    gap, scale = max(context["gap"], 1.0), 1.0 / unit
    near = _plan_near(latencies, remaining, waiting, context["shortest_first"], kinds, scratch)
    _read_plan(latencies, remaining, waiting, near, kinds, scratch.places, lines, planned)
    _read_costs(latencies, waiting, machines, kinds, scratch.typical, planned)
    _find_soonest(remaining, kinds, scratch.soonest)
    chosen_job, chosen_machine = _first_in_line(latencies, idle, kinds, lines)
    count, total, seen = 0, 0, scratch.seen
    for a in range(fleet):
        seen[a] = -1
    for a in range(fleet):
        if not idle[a]:
            continue
        first, empty = seen[kinds.alike[a]], lines[a]["count"] == 0
        if first < 0 or not empty:
            first = count
            _read_pairs(
                a, latencies, remaining, waiting, gap, scale, machines, kinds, lines, planned,
                logs, scratch.sides, scratch.typical, scratch.soonest, rows, count,
            )  # fmt: skip
            for j in range(waiting):
                rows[count + j, AT.planned_action] = j == chosen_job and a == chosen_machine
                pairs[count + j, 0], pairs[count + j, 1] = j, a
            count += waiting
            if empty:
                seen[kinds.alike[a]] = first
        for j in range(waiting):
            order[total + j] = first + j
        total += waiting
    of_jobs = PAIR_LOGS * count
    of_fleet = of_jobs + JOB_LOGS * waiting
    of_lane = of_fleet + FLEET_LOGS * fleet
    change, until, machine = _read_lane(
        latencies, remaining, idle, waiting, gap, machines, unit, kinds, lines, planned,
        logs, of_jobs, of_fleet, of_lane,
    )  # fmt: skip
    take_logs(logs, of_lane + LANE_LOGS)
    shortest, completion = np.inf, np.inf  # of all pairs, and the soonest of any job on any accelerator
    for r in range(count):
        shortest = min(shortest, logs[PAIR_LOGS * r + PAIR.latency])
        completion = min(completion, logs[PAIR_LOGS * r + PAIR.elsewhere])
    completion = min(completion, shortest)
    for first in range(0, count, max(1, waiting)):
        a = pairs[first, 1]
        _write_pairs(
            a, waiting, fleet, machines, planned, logs, of_jobs, of_fleet, of_lane, shortest, completion, rows, first
        )
    if (context["may_wait"] and not context["alone"]) or count == 0:
        _write_waiting(change, until, machine, chosen_job, machines, lines, logs, of_lane, rows, count)
        rows[count, AT.over_soonest] = kept(shortest - completion) if count > 0 else 0.0
        pairs[count, 0], pairs[count, 1] = -1, 0
        order[total] = count
        count += 1
        total += 1
    _write_situation(idle, context, gap, machines, logs, of_lane, rows, count)
    return count, total


@inlined
def _plan_near(latencies, remaining, waiting, shortest_first, kinds, scratch):
    """Plan the waiting jobs on the accelerators that a plan may use; return the number of these.

    A plan takes the soonest free ones of each kind, at most as many as there are jobs. Jobs that are first in line on
    equal accelerators may change places at no cost: those that are planned before others have the sooner places. They
    are planned in the order of their slots, or of their smallest latencies if `shortest_first`. Then times are whole
    cycles, whose sums are exact: plans that cost the same do so to the last bit, also where times were observed.
    """
    most = max(1, waiting)
    for j in range(waiting):
        scratch.turns[j] = j
        smallest = latencies[j, 0]
        for g in range(1, len(kinds.firsts)):
            smallest = min(smallest, latencies[j, g])
        scratch.sides[0, j] = smallest
        place = j
        while shortest_first and place > 0 and scratch.sides[0, scratch.turns[place - 1]] > smallest:
            scratch.turns[place] = scratch.turns[place - 1]
            place -= 1
        scratch.turns[place] = j
    near = keep_soonest(remaining, kinds.members, kinds.starts, most, scratch.kept, scratch.near)
    for m in range(near):
        a = scratch.near[m]
        scratch.near_remaining[m] = math.floor(remaining[a] + 0.5) if shortest_first else remaining[a]
        for j in range(waiting):
            latency = latencies[scratch.turns[j], kinds.of[a]]
            scratch.near_latencies[j, m] = math.floor(latency + 0.5) if shortest_first else latency
    plan(scratch.near_latencies, scratch.near_remaining[:near], waiting, PLAN_C, scratch.places, scratch.jobs)
    for t in range(waiting + near):
        scratch.places.accelerator[t] = scratch.near[scratch.places.accelerator[t]]
        if scratch.places.job[t] >= 0:
            scratch.places.job[t] = scratch.turns[scratch.places.job[t]]
    return near


@inlined
def _read_plan(latencies, remaining, waiting, near, kinds, places, lines, planned):
    """Collect each accelerator's line, and each job's place in the plan; an accelerator's places are in order of k."""
    fleet = len(remaining)
    for a in range(fleet):
        lines[a]["first"] = -1
        lines[a]["count"] = 0
        lines[a]["work"] = 0.0
    for t in range(waiting + near):
        j, a = places.job[t], places.accelerator[t]
        if j < 0:
            continue
        line, own = lines[a], planned[j]
        own["owner"] = a
        own["after"] = line["work"]
        own["behind"] = line["count"]
        line["first"] = j
        line["count"] += 1
        line["work"] += latencies[j, kinds.of[a]]
    for j in range(waiting):
        own = planned[j]
        a = own["owner"]
        latency = latencies[j, kinds.of[a]]
        own["ahead"] = lines[a]["work"] - own["after"] - latency
        own["start"] = remaining[a] + own["ahead"]
        own["cost"] = own["start"] + latency * (1.0 + own["behind"] + PLAN_C)
        best, smallest = 0, latencies[j, 0]
        for g in range(1, len(kinds.firsts)):
            if latencies[j, g] < smallest:
                best, smallest = g, latencies[j, g]
        own["best"] = kinds.firsts[best]
        own["smallest"] = max(smallest, 1.0)


@summing
def _read_costs(latencies, waiting, machines, kinds, typical, planned):
    """Write what each job costs by the accelerators' prices, and how it compares with typical and waiting ones."""
    few = min(machines.shape[1] - MACHINE.typical, typical.shape[1])
    for k in range(few):
        typical[0, k] = np.inf
    for j in range(waiting):
        planned[j]["paid"] = np.inf
    for g in range(len(kinds.firsts)):
        a = kinds.firsts[g]
        price = max(LEAST_PRICE, machines[a, MACHINE.price])
        for k in range(few):
            typical[0, k] = min(typical[0, k], price * machines[a, MACHINE.typical + k])
        for j in range(waiting):
            planned[j]["paid"] = min(planned[j]["paid"], price * latencies[j, g])
    total = 0.0
    for k in range(few):
        total += typical[0, k]
    for j in range(waiting):
        own, jobs, work, cheaper = planned[j], 0.0, 0.0, 0
        paid = own["paid"]
        for k in range(few):
            share = paid * paid / (paid * paid + typical[0, k] * typical[0, k])
            jobs += share
            work += share * typical[0, k]
        for other in range(waiting):
            cheaper += planned[other]["paid"] < LESS * paid
        own["cheaper_jobs"], own["cheaper_work"], own["cheaper_waiting"] = jobs / few, work / total, cheaper / waiting


@inlined
def _find_soonest(remaining, kinds, soonest):
    """Write the two smallest remaining times of each kind."""
    for g in range(len(kinds.firsts)):
        soonest[g, 0] = soonest[g, 1] = np.inf
    for a in range(len(remaining)):
        g = kinds.of[a]
        if remaining[a] < soonest[g, 0]:
            soonest[g, 1] = soonest[g, 0]
            soonest[g, 0] = remaining[a]
        else:
            soonest[g, 1] = min(soonest[g, 1], remaining[a])


@inlined
def _soonest_other(a, g, remaining, kinds, soonest):
    """Return the smallest remaining time of a kind's accelerators but accelerator a."""
    own = kinds.of[a] == g and remaining[a] == soonest[g, 0]
    return soonest[g, 1] if own else soonest[g, 0]


@inlined
def _first_in_line(latencies, idle, kinds, lines):
    """Return the (job, accelerator) that `assignment` starts, (-1, -1) if it waits."""
    job, machine, shortest = -1, -1, np.inf
    for a in range(len(lines)):
        first = lines[a]["first"]
        if idle[a] and first >= 0 and latencies[first, kinds.of[a]] < shortest:
            job, machine, shortest = first, a, latencies[first, kinds.of[a]]
    return job, machine


@inlined
def _read_pairs(
    a, latencies, remaining, waiting, gap, scale, machines, kinds, lines, planned,
    logs, sides, typical, soonest, rows, first,
):  # fmt: skip
    """Collect the logarithms of an idle accelerator's rows, from row `first` on, and write the other features."""
    fleet, line_count, line_work = len(remaining), lines[a]["count"], lines[a]["work"]
    for j in range(waiting):
        sides[0, j] = latencies[j, kinds.of[a]]
        sides[1, j] = latencies[j, kinds.of[a]] / planned[j]["smallest"]
    soon, later, last = _read_arrivals(a, remaining, gap, machines, kinds, soonest, typical)
    gap_scale, free_share = 1.0 / gap, 1.0 / max(1, fleet - 1)
    for j in range(waiting):
        r, own, latency, regret = first + j, planned[j], sides[0, j], sides[1, j]
        at, here = PAIR_LOGS * r, own["owner"] == a
        elsewhere, free, shorter, lighter = np.inf, -np.int64(remaining[a] < latency), 0, 0
        for g in range(len(kinds.firsts)):
            elsewhere = min(elsewhere, _soonest_other(a, g, remaining, kinds, soonest) + latencies[j, g])
        for b in range(fleet):
            free += remaining[b] < latency
        for other in range(waiting):
            shorter += sides[0, other] < latency
            lighter += sides[1, other] < regret
        if here:
            change = latency * (line_count - own["behind"] - 1) - own["ahead"]
        else:
            change = latency * (1.0 + line_count + PLAN_C) - own["cost"]
        behind = line_count - here
        logs[at + PAIR.latency] = max(latency, 1e-3)
        logs[at + PAIR.elsewhere] = elsewhere
        logs[at + PAIR.change] = 1.0 + abs(change) * scale
        logs[at + PAIR.work] = 1.0 + abs(line_work - here * latency) * scale
        logs[at + PAIR.arrivals] = 1.0 + latency * gap_scale
        _read_delays(a, latency, gap, scale, machines, typical, soon, later, last, logs, at)
        rows[r, AT.wait] = 0.0
        rows[r, AT.planned_here] = here
        rows[r, AT.planned_first] = lines[a]["first"] == j
        rows[r, AT.plan_change_share] = change / (abs(change) + latency)
        rows[r, AT.rank_here] = shorter / waiting
        rows[r, AT.behind_here] = behind / (behind + 4.0)
        rows[r, AT.free_meanwhile] = free * free_share
        rows[r, AT.price] = machines[a, MACHINE.price]
        rows[r, AT.slowness] = machines[a, MACHINE.slowness]
        rows[r, AT.preferred] = machines[a, MACHINE.preferred]
        rows[r, AT.lighter_waiting] = lighter / (lighter + 4.0)
        rows[r, AT.cheaper_jobs] = own["cheaper_jobs"]
        rows[r, AT.cheaper_work] = own["cheaper_work"]
        rows[r, AT.cheaper_waiting] = own["cheaper_waiting"]


@summing
def _read_arrivals(a, remaining, gap, machines, kinds, soonest, typical):
    """Write when typical jobs that arrive after 1, 3 and 9 gaps would be done on accelerators other than a.

    Return the sums of their completion times if accelerator a stayed free (in cycles since each job's arrival).
    """
    few = min(machines.shape[1] - MACHINE.typical, typical.shape[1])
    for k in range(few):
        typical[0, k] = typical[1, k] = typical[2, k] = np.inf
    for g in range(len(kinds.firsts)):
        other = _soonest_other(a, g, remaining, kinds, soonest)
        soon, later, last = max(0.0, other - gap), max(0.0, other - 3.0 * gap), max(0.0, other - 9.0 * gap)
        for k in range(few):
            own = machines[kinds.firsts[g], MACHINE.typical + k]
            typical[0, k] = min(typical[0, k], soon + own)
            typical[1, k] = min(typical[1, k], later + own)
            typical[2, k] = min(typical[2, k], last + own)
    soon, later, last = 0.0, 0.0, 0.0
    for k in range(few):
        now = machines[a, MACHINE.typical + k]
        soon += min(typical[0, k], now)
        later += min(typical[1, k], now)
        last += min(typical[2, k], now)
    return soon, later, last


@summing
def _read_delays(a, latency, gap, scale, machines, typical, soon, later, last, logs, at):
    """Collect the delay of typical jobs if accelerator a is occupied from now for some cycles.

    Each typical job goes where it would be done first, assuming that nothing else has started.
    """
    few = min(machines.shape[1] - MACHINE.typical, typical.shape[1])
    wait_soon, wait_later = max(0.0, latency - gap), max(0.0, latency - 3.0 * gap)
    wait_last = max(0.0, latency - 9.0 * gap)
    sum_soon, sum_later, sum_last = 0.0, 0.0, 0.0
    for k in range(few):
        own = machines[a, MACHINE.typical + k]
        sum_soon += min(typical[0, k], wait_soon + own)
        sum_later += min(typical[1, k], wait_later + own)
        sum_last += min(typical[2, k], wait_last + own)
    share = scale / max(1, few)
    logs[at + PAIR.next_arrival] = 1.0 + max(0.0, sum_soon - soon) * share
    logs[at + PAIR.later_arrival] = 1.0 + max(0.0, sum_later - later) * share
    logs[at + PAIR.last_arrival] = 1.0 + max(0.0, sum_last - last) * share


@inlined
def _read_lane(
    latencies, remaining, idle, waiting, gap, machines, unit, kinds, lines, planned, logs, of_jobs, of_fleet, of_lane
):  # fmt: skip
    """Collect the logarithms of jobs, accelerators and the lane.

    Return, for the row that waits, its cost to the plan, the end of the wait, and among the busy accelerators with jobs
    in line the one that is free first (-1 if there is none).
    """
    fleet, scale, backlog, work, longest = len(remaining), 1.0 / unit, 0.0, 0.0, 0.0
    for j in range(waiting):
        smallest = planned[j]["smallest"]
        logs[of_jobs + JOB_LOGS * j + JOB_LOG.smallest] = smallest
        logs[of_jobs + JOB_LOGS * j + JOB_LOG.start] = max(1.0, planned[j]["start"])
        logs[of_jobs + JOB_LOGS * j + JOB_LOG.paid] = max(planned[j]["paid"], 1e-3)
        work += smallest
        longest = max(longest, smallest)
    until, soonest, machine, starting = gap, np.inf, -1, 0
    for a in range(fleet):
        line_end = remaining[a] + lines[a]["work"]
        logs[of_fleet + FLEET_LOGS * a + FLEET.remaining] = 1.0 + remaining[a] * scale
        logs[of_fleet + FLEET_LOGS * a + FLEET.line_end] = 1.0 + line_end * scale
        logs[of_fleet + FLEET_LOGS * a + FLEET.price] = max(LEAST_PRICE, machines[a, MACHINE.price])
        backlog += line_end
        if idle[a]:
            starting += lines[a]["count"]
        else:
            until = min(until, remaining[a])
            if lines[a]["first"] >= 0 and remaining[a] < soonest:
                soonest, machine = remaining[a], a
    change = until * starting
    logs[of_lane + LANE.unit] = unit
    logs[of_lane + LANE.backlog] = 1.0 + backlog / fleet * scale
    logs[of_lane + LANE.work] = 1.0 + work * scale
    logs[of_lane + LANE.longest] = 1.0 + longest * scale
    logs[of_lane + LANE.change] = 1.0 + change * scale
    logs[of_lane + LANE.until] = 1.0 + until * scale
    latency, alternative = 1.0, np.inf
    if machine >= 0:
        job = lines[machine]["first"]
        latency = max(latencies[job, kinds.of[machine]], 1e-3)
        for a in range(fleet):
            if idle[a]:
                alternative = min(alternative, latencies[job, kinds.of[a]])
    logs[of_lane + LANE.latency] = latency
    logs[of_lane + LANE.alternative] = alternative
    logs[of_lane + LANE.ends] = latency + soonest
    logs[of_lane + LANE.soonest] = 1.0 + soonest * scale
    return change, until, machine


@inlined
def _write_pairs(
    a, waiting, fleet, machines, planned, logs, of_jobs, of_fleet, of_lane, shortest_pair, completion, rows, first
):  # fmt: skip
    """Write the features that need logarithms to an idle accelerator's rows."""
    unit, shortest, first_free, others, weight = logs[of_lane + LANE.unit], np.inf, np.inf, 0.0, 1e-3
    price = logs[of_fleet + FLEET_LOGS * a + FLEET.price]
    for j in range(waiting):
        shortest = min(shortest, logs[PAIR_LOGS * (first + j) + PAIR.latency])
    for b in range(fleet):
        if b != a:
            log = min(MOST_LOG, logs[of_fleet + FLEET_LOGS * b + FLEET.remaining])
            first_free = min(first_free, log)
            others += (machines[b, MACHINE.preferred] + 1e-3) * log
            weight += machines[b, MACHINE.preferred] + 1e-3
    others /= weight
    first_free = min(MOST_LOG, first_free)
    for j in range(waiting):
        r, best = first + j, of_fleet + FLEET_LOGS * planned[j]["best"]
        at, of_job = PAIR_LOGS * r, of_jobs + JOB_LOGS * j
        latency, smallest = logs[at + PAIR.latency], logs[of_job + JOB_LOG.smallest]
        change = min(MOST_LOG, logs[at + PAIR.change])
        rows[r, AT.latency] = kept(latency - unit)
        rows[r, AT.regret] = kept(latency - smallest)
        rows[r, AT.elsewhere] = kept(logs[at + PAIR.elsewhere] - latency)
        rows[r, AT.plan_change] = change if rows[r, AT.plan_change_share] >= 0.0 else -change
        rows[r, AT.over_shortest] = kept(latency - shortest)
        rows[r, AT.work_here] = min(MOST_LOG, logs[at + PAIR.work])
        rows[r, AT.arrivals_meanwhile] = min(MOST_LOG, logs[at + PAIR.arrivals])
        rows[r, AT.next_free] = first_free
        rows[r, AT.best_latency] = kept(smallest - unit)
        rows[r, AT.best_remaining] = min(MOST_LOG, logs[best + FLEET.remaining])
        rows[r, AT.best_work] = min(MOST_LOG, logs[best + FLEET.line_end])
        rows[r, AT.planned_start] = kept(logs[of_job + JOB_LOG.start] - latency)
        rows[r, AT.others_remaining] = others
        rows[r, AT.next_arrival] = min(MOST_LOG, logs[at + PAIR.next_arrival])
        rows[r, AT.later_arrival] = min(MOST_LOG, logs[at + PAIR.later_arrival])
        rows[r, AT.last_arrival] = min(MOST_LOG, logs[at + PAIR.last_arrival])
        rows[r, AT.alike] = machines[a, MACHINE.alike]
        rows[r, AT.over_shortest_pair] = kept(latency - shortest_pair)
        rows[r, AT.over_soonest] = kept(latency - completion)
        regret = latency + price - logs[of_job + JOB_LOG.paid]
        rows[r, AT.paid_regret] = kept(regret) if regret > LEAST_REGRET else 0.0


@inlined
def _write_waiting(change, until, machine, chosen_job, machines, lines, logs, of_lane, rows, r):
    """Write the row that waits; its job is the one planned first on the busy accelerator that is free first."""
    for f in range(NUM_FEATURES):
        rows[r, f] = 0.0
    rows[r, AT.wait] = 1.0
    rows[r, AT.planned_action] = chosen_job < 0
    rows[r, AT.plan_change] = min(MOST_LOG, logs[of_lane + LANE.change])
    rows[r, AT.plan_change_share] = change / (change + until + 1.0)
    rows[r, AT.next_free] = min(MOST_LOG, logs[of_lane + LANE.until])
    if machine >= 0:
        latency, alternative = logs[of_lane + LANE.latency], logs[of_lane + LANE.alternative]
        rows[r, AT.latency] = kept(latency - logs[of_lane + LANE.unit])
        rows[r, AT.regret] = kept(alternative - latency)
        rows[r, AT.elsewhere] = kept(alternative - logs[of_lane + LANE.ends])
        rows[r, AT.behind_here] = lines[machine]["count"] / (lines[machine]["count"] + 4.0)
        rows[r, AT.work_here] = min(MOST_LOG, logs[of_lane + LANE.soonest])
        rows[r, AT.price] = machines[machine, MACHINE.price]
        rows[r, AT.slowness] = machines[machine, MACHINE.slowness]
        rows[r, AT.preferred] = machines[machine, MACHINE.preferred]
        rows[r, AT.alike] = machines[machine, MACHINE.alike]


@inlined
def _write_situation(idle, context, gap, machines, logs, of_lane, rows, count):
    """Write the features that all rows of a lane share."""
    free = 0
    for a in range(len(idle)):
        free += idle[a]
    waiting = context["waiting"]
    crowd, idle_share = waiting / (waiting + 8.0), free / len(idle)
    load = min(MOST_LOAD, 1.0 / (gap * machines[0, MACHINE.rate]))
    backlog, work = min(MOST_LOG, logs[of_lane + LANE.backlog]), min(MOST_LOG, logs[of_lane + LANE.work])
    longest = min(MOST_LOG, logs[of_lane + LANE.longest])
    left = context["to_come"] / len(idle)
    ending, almost_over = max(0.0, 1.0 - left / ENDING), max(0.0, 1.0 - left)
    behind = context["behind"] / (context["behind"] + 32.0)
    for r in range(count):
        rows[r, AT.waiting] = crowd
        rows[r, AT.load] = load
        rows[r, AT.idle] = idle_share
        rows[r, AT.backlog] = backlog
        rows[r, AT.to_come] = context["to_come"] > 0
        rows[r, AT.spread] = machines[0, MACHINE.spread]
        rows[r, AT.waiting_work] = work
        rows[r, AT.waiting_longest] = longest
        rows[r, AT.fleet_size] = machines[0, MACHINE.fleet_size]
        rows[r, AT.unlike] = machines[0, MACHINE.unlike]
        rows[r, AT.tail] = machines[0, MACHINE.tail]
        rows[r, AT.error] = machines[0, MACHINE.error]
        rows[r, AT.behind_window] = behind
        rows[r, AT.ending] = ending
        rows[r, AT.almost_over] = almost_over


@bare_kernel
def describe_state(
    lanes, accelerators, queue, shortest, repair, machines, unit, kinds, situation, scratch, rows, pairs, order, starts
):  # fmt: skip
    """Write the rows of all lanes of a simulation's state, lane by lane; return their number.

    No accelerators may be `alike`: each has its rows. `shortest` float64 [C, G] predicted cycles on the kinds.
    """
    latencies, remaining, idle, context = situation
    count = 0
    for i in range(len(lanes)):
        starts[i] = count
        if lanes[i]["ended"]:
            continue
        _read_state(i, lanes, accelerators, queue, shortest, repair, latencies, remaining, idle, context)
        own, _ = describe(
            latencies, remaining, idle, context[0], machines, unit, kinds, scratch, rows[count:], pairs[count:], order
        )
        count += own
    starts[len(lanes)] = count
    return count


@inlined
def _read_state(i, lanes, accelerators, queue, shortest, repair, latencies, remaining, idle, context):
    """Write a simulation lane's observable state, as its observation shows it."""
    lane = lanes[i]
    waiting = min(lane["waiting"], len(latencies))
    for w in range(waiting):
        job_class = queue[i, lane["head"] + w]["job_class"]
        for g in range(shortest.shape[1]):
            latencies[w, g] = shortest[job_class, g]
    for a in range(len(remaining)):
        accelerator = accelerators[i, a]
        idle[a] = accelerator["up"] and accelerator["job"] < 0
        remaining[a] = 0.0 if accelerator["up"] else repair
        if accelerator["job"] >= 0:
            remaining[a] = max(0, accelerator["believed_finish"] - lane["time"])
    context[0]["waiting"] = waiting
    context[0]["behind"] = lane["waiting"] - waiting
    context[0]["to_come"] = context[0]["total"] - lane["arrived"]
    context[0]["may_wait"] = context[0]["to_come"] > 0 or lane["running"] > 0
    context[0]["gap"] = math.floor(lane["recent_gap"])


@inlined
def _read_beliefs(i, waiting, behind, may_wait, to_come, gap, context):
    """Write what a lane's observation says of the lane."""
    context[0]["waiting"] = waiting[i]
    context[0]["behind"] = behind[i]
    context[0]["may_wait"] = may_wait[i]
    context[0]["to_come"] = to_come[i]
    context[0]["gap"] = gap[i]


@bare_kernel
def describe_beliefs(
    latencies, remaining, idle, waiting, behind, may_wait, to_come, gap, context, machines, unit, kinds, scratch,
    rows, pairs, order, starts,
):  # fmt: skip
    """Write the rows of all lanes from their observations, lane by lane; return their number.

    `latencies` float64 [L, n, G], `remaining` float64 [L, A], `idle` bool [L, A], `waiting`, `behind` (the window) and
    `to_come` int64 [L], `may_wait` bool [L], `gap` float64 [L] cycles; `context` CONTEXT [1] is scratch. No
    accelerators may be `alike`.
    """
    count = 0
    for i in range(len(latencies)):
        starts[i] = count
        _read_beliefs(i, waiting, behind, may_wait, to_come, gap, context)
        own, _ = describe(
            latencies[i], remaining[i], idle[i], context[0], machines, unit, kinds, scratch, rows[count:],
            pairs[count:], order,
        )  # fmt: skip
        count += own
    starts[len(latencies)] = count
    return count


@bare_kernel
def decide_beliefs(
    latencies, remaining, idle, waiting, behind, may_wait, to_come, gap, context, machines, unit, kinds, scratch,
    rows, pairs, order, weights, hidden, pooled, scores, slots, owners,
):  # fmt: skip
    """Write the (slot, accelerator) of each lane's best score, from observations; slot -1 where it waits."""
    for i in range(len(latencies)):
        _read_beliefs(i, waiting, behind, may_wait, to_come, gap, context)
        count, total = describe(
            latencies[i], remaining[i], idle[i], context[0], machines, unit, kinds, scratch, rows, pairs, order
        )
        best = _best_row(context[0], rows, count, order, total, weights, hidden, pooled, scores)
        slots[i], owners[i] = pairs[best]


@inlined
def _best_row(context, rows, count, order, total, weights, hidden, pooled, scores):
    """Return the row of the best score, of equal ones the first; the shortest job's for an accelerator `alone`."""
    w1, b1, w2, u2, b2, w3, skip = weights
    best = 0
    if context["alone"]:
        for r in range(1, count):
            if rows[r, AT.over_shortest_pair] < rows[best, AT.over_shortest_pair]:
                best = r
    elif count > 1:
        score(rows, count, order, total, w1, b1, w2, u2, b2, w3, skip, hidden, pooled, scores)
        for r in range(1, count):
            if scores[r] > scores[best]:
                best = r
    return best


@bare_kernel
def decide_state(
    lanes, accelerators, queue, shortest, repair, machines, unit, kinds, situation, scratch, rows, pairs, order,
    weights, hidden, pooled, scores, best_choices, columns, wait, actions,
):  # fmt: skip
    """Write the best-scored action of each lane of a simulation's state."""
    latencies, remaining, idle, context = situation
    for i in range(len(lanes)):
        actions[i] = wait
        if lanes[i]["ended"]:
            continue
        _read_state(i, lanes, accelerators, queue, shortest, repair, latencies, remaining, idle, context)
        count, total = describe(
            latencies, remaining, idle, context[0], machines, unit, kinds, scratch, rows, pairs, order
        )
        slot, machine = pairs[_best_row(context[0], rows, count, order, total, weights, hidden, pooled, scores)]
        if slot >= 0:
            if columns > 0:
                job_class = queue[i, lanes[i]["head"] + slot]["job_class"]
                actions[i] = slot * columns + best_choices[job_class, machine]
            else:
                actions[i] = slot * best_choices.shape[1] + machine
