"""Compiled: the rows of features of many lanes, their scores, and the action that follows.

`describe` writes what `features.FEATURES` names; `score` is the network of `network.py`. They stand in one file because
numba's cache does not see an edited callee in another one; `assignment.plan` is the exception.
"""

import math

import numpy as np
from numba import njit

from baselines.assignment import plan
from baselines.trained.features import NUM_FEATURES
from gnnsched_env.sim.records import NEVER

LEAST_LOG, MOST_LOG = -3.0, 3.0  # features are kept in this range
MOST_LOAD = 2.0
MACHINE_FIELDS = 5  # of `features.machine_features`, before the typical latencies
PLAN_C = 0.5  # as `assignment`
LINE = np.dtype([("first", "i8"), ("count", "i8"), ("work", "f8")], align=True)  # of an accelerator, in the plan
PLANNED = np.dtype([("after", "f8"), ("behind", "i8"), ("smallest", "f8"), ("best", "i8")], align=True)  # of a job
CONTEXT = np.dtype([("waiting", "i8"), ("may_wait", "i8"), ("to_come", "i8"), ("gap", "f8")], align=True)


@njit(cache=True)
def describe(latencies, remaining, idle, context, machines, unit, places, jobs, lines, planned, rows, pairs):
    """Write the rows of one lane and return their number; the row that waits, where that is legal, is the last.

    Read: `latencies` float64 [n, A], `remaining` float64 [A], `idle` bool [A], `context` CONTEXT (a record), `machines`
    float64 [A, 5], `unit` cycles. Scratch: `places` PLACE [n + A], `jobs` JOB [n], `lines` LINE [A], `planned` PLANNED
    [n]. Written: `rows` float32 [n x A + 1, F], `pairs` int64 [n x A + 1, 2] (slot, accelerator; slot -1 waits).
    """
    waiting, fleet = context["waiting"], len(remaining)
    gap = max(context["gap"], 1.0)
    plan(latencies, remaining, waiting, PLAN_C, places, jobs)
    _read_plan(latencies, waiting, places, lines, planned)
    chosen_job, chosen_machine = _first_in_line(latencies, idle, lines)
    count = 0
    for a in range(fleet):
        if not idle[a]:
            continue
        shortest, first_free, others, weight = np.inf, np.inf, 0.0, 1e-3
        for j in range(waiting):
            shortest = min(shortest, latencies[j, a])
        for b in range(fleet):
            if b != a:
                first_free = min(first_free, remaining[b])
                others += (machines[b, 2] + 1e-3) * _signed(remaining[b], unit)
                weight += machines[b, 2] + 1e-3
        others /= weight
        for j in range(waiting):
            row, latency = rows[count], latencies[j, a]
            here = places[jobs[j]["place"]]["accelerator"] == a
            elsewhere, free, shorter, lighter = np.inf, 0, 0, 0
            for b in range(fleet):
                if b != a:
                    elsewhere = min(elsewhere, remaining[b] + latencies[j, b])
                    free += remaining[b] < latency
            own_regret = latency / planned[j]["smallest"]
            for other in range(waiting):
                shorter += latencies[other, a] < latency
                lighter += latencies[other, a] / planned[other]["smallest"] < own_regret
            change = _change(latencies, remaining, waiting, j, a, places, jobs, lines, planned)
            behind = lines[a]["count"] - here
            row[0] = 0.0
            row[1] = j == chosen_job and a == chosen_machine
            row[2] = here
            row[3] = lines[a]["first"] == j
            row[4] = _log(latency, unit)
            row[5] = _log(latency, planned[j]["smallest"])
            row[6] = _log(elsewhere, latency) if elsewhere < np.inf else MOST_LOG
            row[7] = _signed(change, unit)
            row[8] = change / (abs(change) + latency)
            row[9] = shorter / waiting
            row[10] = _log(latency, shortest)
            row[11] = behind / (behind + 4.0)
            row[12] = _signed(lines[a]["work"] - here * latency, unit)
            row[13] = min(MOST_LOG, 0.25 * math.log2(1.0 + latency / gap))
            row[14] = free / max(1, fleet - 1)
            row[15] = _signed(first_free, unit) if first_free < np.inf else MOST_LOG
            row[16], row[17], row[18] = machines[a, 0], machines[a, 1], machines[a, 2]
            row[19] = lighter / (lighter + 4.0)
            best = planned[j]["best"]
            row[26] = _log(planned[j]["smallest"], unit)
            row[27] = _signed(remaining[best], unit)
            row[28] = _signed(remaining[best] + lines[best]["work"], unit)
            row[29] = _log(max(1.0, _planned_start(latencies, remaining, j, places, jobs, lines, planned)), latency)
            row[30] = others
            row[33] = _arrival_delay(remaining, a, latency, gap, machines, unit)
            row[34] = _arrival_delay(remaining, a, latency, 3.0 * gap, machines, unit)
            row[35] = _arrival_delay(remaining, a, latency, 9.0 * gap, machines, unit)
            pairs[count, 0], pairs[count, 1] = j, a
            count += 1
    if context["may_wait"] or count == 0:
        _describe_waiting(latencies, remaining, idle, gap, machines, unit, lines, chosen_job, rows[count])
        pairs[count, 0], pairs[count, 1] = -1, 0
        count += 1
    _add_situation(remaining, idle, context, gap, machines, unit, lines, planned, rows, count)
    return count


@njit(cache=True)
def _add_situation(remaining, idle, context, gap, machines, unit, lines, planned, rows, count):
    """Write the features that all rows of a lane share."""
    idle_share, backlog = 0.0, 0.0
    for a in range(len(remaining)):
        idle_share += idle[a] / len(remaining)
        backlog += (remaining[a] + lines[a]["work"]) / len(remaining)
    waiting = context["waiting"]
    load = min(MOST_LOAD, 1.0 / (gap * machines[0, 3]))
    work, longest = 0.0, 0.0
    for j in range(waiting):
        work += planned[j]["smallest"]
        longest = max(longest, planned[j]["smallest"])
    work, longest = _signed(work, unit), _signed(longest, unit)
    shared = (waiting / (waiting + 8.0), load, idle_share, _signed(backlog, unit))
    for r in range(count):
        row = rows[r]
        row[20], row[21], row[22], row[23] = shared
        row[24] = context["to_come"]
        row[25] = machines[0, 4]
        row[31], row[32] = work, longest


@njit(cache=True)
def _log(cycles, unit):
    """Return log2(cycles / unit) / 4, kept in the range of the features."""
    return min(MOST_LOG, max(LEAST_LOG, 0.25 * math.log2(max(cycles, 1e-3) / unit)))


@njit(cache=True)
def _signed(cycles, unit):
    """Return sign x log2(1 + |cycles| / unit) / 4, at most the range of the features."""
    size = min(MOST_LOG, 0.25 * math.log2(1.0 + abs(cycles) / unit))
    return size if cycles >= 0.0 else -size


@njit(cache=True)
def _read_plan(latencies, waiting, places, lines, planned):
    """Collect each accelerator's line, and what follows each job in it; an accelerator's places are in order of k."""
    fleet = latencies.shape[1]
    for a in range(fleet):
        lines[a]["first"] = -1
        lines[a]["count"] = 0
        lines[a]["work"] = 0.0
    for t in range(waiting + fleet):
        j = places[t]["job"]
        if j < 0:
            continue
        line = lines[places[t]["accelerator"]]
        planned[j]["after"] = line["work"]
        planned[j]["behind"] = line["count"]
        line["first"] = j
        line["count"] += 1
        line["work"] += latencies[j, places[t]["accelerator"]]
    for j in range(waiting):
        best = 0
        for a in range(1, fleet):
            if latencies[j, a] < latencies[j, best]:
                best = a
        planned[j]["best"] = best
        planned[j]["smallest"] = max(latencies[j, best], 1.0)


@njit(cache=True)
def _first_in_line(latencies, idle, lines):
    """Return the (job, accelerator) that `assignment` starts, (-1, -1) if it waits."""
    job, machine, shortest = -1, -1, np.inf
    for a in range(len(lines)):
        first = lines[a]["first"]
        if idle[a] and first >= 0 and latencies[first, a] < shortest:
            job, machine, shortest = first, a, latencies[first, a]
    return job, machine


@njit(cache=True)
def _change(latencies, remaining, waiting, j, a, places, jobs, lines, planned):
    """Return by how much the plan's cost grows if job j starts on accelerator a now, all else in the planned order."""
    owner = places[jobs[j]["place"]]["accelerator"]
    latency = latencies[j, a]
    line, own = lines[owner], planned[j]
    before = line["work"] - own["after"] - latencies[j, owner]
    if owner == a:
        return latency * (line["count"] - own["behind"] - 1) - before
    gained = remaining[owner] + before + latencies[j, owner] * (1.0 + own["behind"] + PLAN_C)
    return latency * (1.0 + lines[a]["count"] + PLAN_C) - gained


@njit(cache=True)
def _planned_start(latencies, remaining, j, places, jobs, lines, planned):
    """Return when job j starts in the plan, cycles from now."""
    owner = places[jobs[j]["place"]]["accelerator"]
    return remaining[owner] + lines[owner]["work"] - planned[j]["after"] - latencies[j, owner]


@njit(cache=True)
def _arrival_delay(remaining, a, latency, after, machines, unit):
    """Return by how much later typical jobs that come `after` some cycles would be done if accelerator a is taken now.

    Each goes where it would be done first, nothing else having started. As `_signed`.
    """
    fleet, typical = len(remaining), machines.shape[1] - MACHINE_FIELDS
    delay = 0.0
    for k in range(MACHINE_FIELDS, MACHINE_FIELDS + typical):
        elsewhere = np.inf
        for b in range(fleet):
            if b != a:
                elsewhere = min(elsewhere, max(0.0, remaining[b] - after) + machines[b, k])
        now, then = machines[a, k], max(0.0, latency - after) + machines[a, k]
        delay += min(elsewhere, then) - min(elsewhere, now)
    return _signed(delay / typical, unit)


@njit(cache=True)
def _describe_waiting(latencies, remaining, idle, gap, machines, unit, lines, chosen_job, row):
    """Write the row that waits; it is described by the job planned first on the busy accelerator that is free first."""
    for f in range(NUM_FEATURES):
        row[f] = 0.0
    row[0] = 1.0
    row[1] = chosen_job < 0
    until, soonest, machine, starting = gap, np.inf, -1, 0
    for a in range(len(remaining)):
        if idle[a]:
            starting += lines[a]["count"]
        else:
            until = min(until, remaining[a])
            if lines[a]["first"] >= 0 and remaining[a] < soonest:
                soonest, machine = remaining[a], a
    change = until * starting
    row[7] = _signed(change, unit)
    row[8] = change / (change + until + 1.0)
    row[15] = _signed(until, unit)
    if machine >= 0:
        job = lines[machine]["first"]
        latency, alternative = latencies[job, machine], np.inf
        for a in range(len(remaining)):
            if idle[a]:
                alternative = min(alternative, latencies[job, a])
        row[4] = _log(latency, unit)
        row[5] = _log(alternative, latency) if alternative < np.inf else MOST_LOG
        row[6] = _log(alternative, latency + soonest) if alternative < np.inf else MOST_LOG
        row[11] = lines[machine]["count"] / (lines[machine]["count"] + 4.0)
        row[12] = _signed(soonest, unit)
        row[16], row[17], row[18] = machines[machine, 0], machines[machine, 1], machines[machine, 2]


@njit(cache=True)
def describe_state(
    lanes, accelerators, queue, shortest, repair, machines, unit,
    situation, rows, pairs, starts,
):  # fmt: skip
    """Write the rows of all lanes of a simulation's state, one lane's behind another's; return their number."""
    latencies, remaining, idle, context, places, jobs, lines, planned = situation
    count = 0
    for i in range(len(lanes)):
        starts[i] = count
        if lanes[i]["ended"]:
            continue
        _read_state(i, lanes, accelerators, queue, shortest, repair, latencies, remaining, idle, context)
        count += describe(
            latencies, remaining, idle, context[0], machines, unit, places, jobs, lines, planned,
            rows[count:], pairs[count:],
        )  # fmt: skip
    starts[len(lanes)] = count
    return count


@njit(cache=True)
def _read_state(i, lanes, accelerators, queue, shortest, repair, latencies, remaining, idle, context):
    """Write what may be known of a lane of a simulation: what its observation shows."""
    lane = lanes[i]
    waiting = min(lane["waiting"], len(latencies))
    for w in range(waiting):
        job_class = queue[i, lane["head"] + w]["job_class"]
        for a in range(shortest.shape[1]):
            latencies[w, a] = shortest[job_class, a]
    for a in range(shortest.shape[1]):
        accelerator = accelerators[i, a]
        idle[a] = accelerator["up"] and accelerator["job"] < 0
        remaining[a] = 0.0 if accelerator["up"] else repair
        if accelerator["job"] >= 0:
            remaining[a] = max(0, accelerator["believed_finish"] - lane["time"])
    context[0]["waiting"] = waiting
    context[0]["to_come"] = lane["next_ready"] < NEVER
    context[0]["may_wait"] = context[0]["to_come"] or lane["running"] > 0
    context[0]["gap"] = math.floor(lane["recent_gap"])


@njit(cache=True)
def describe_beliefs(
    latencies, remaining, idle, waiting, may_wait, to_come, gap, machines, unit, scratch, rows, pairs, starts
):  # fmt: skip
    """Write the rows of all lanes, read in their observations, one lane's behind another's; return their number.

    `latencies` float64 [L, n, A], `remaining` float64 [L, A], `idle` bool [L, A], `waiting` int64 [L], `may_wait` and
    `to_come` bool [L], `gap` float64 [L] cycles.
    """
    context, places, jobs, lines, planned = scratch
    count = 0
    for i in range(len(latencies)):
        starts[i] = count
        context[0]["waiting"] = waiting[i]
        context[0]["may_wait"] = may_wait[i]
        context[0]["to_come"] = to_come[i]
        context[0]["gap"] = gap[i]
        count += describe(
            latencies[i], remaining[i], idle[i], context[0], machines, unit, places, jobs, lines, planned,
            rows[count:], pairs[count:],
        )  # fmt: skip
    starts[len(latencies)] = count
    return count


@njit(cache=True)
def best_pairs(rows, pairs, starts, weights, hidden, pooled, scores, slots, machines):
    """Write the (slot, accelerator) of each lane's best score; slot -1 where it waits."""
    w1, b1, w2, u2, b2, w3, skip = weights
    for i in range(len(starts) - 1):
        own, count = rows[starts[i] : starts[i + 1]], starts[i + 1] - starts[i]
        best = 0
        if count > 1:
            score(own, count, w1, b1, w2, u2, b2, w3, skip, hidden, pooled, scores)
            for r in range(1, count):
                if scores[r] > scores[best]:
                    best = r
        slots[i], machines[i] = pairs[starts[i] + best]


@njit(cache=True, fastmath=True)
def score(rows, count, w1, b1, w2, u2, b2, w3, skip, hidden, pooled, scores):
    """Write the scores of one lane's `count` rows: the network of `network.Network`.

    `rows` float32 [n, F]; `w1` [F, H], `b1` [H], `w2`, `u2` [H, H], `b2`, `w3` [H], `skip` [F] float32. Scratch:
    `hidden` float32 [n, H], `pooled` float32 [2, H]. Written: `scores` float32 [n].
    """
    width, zero = len(b1), np.float32(0.0)
    mean, second = pooled[0], pooled[1]
    for k in range(width):
        mean[k] = zero
    for r in range(count):
        own = hidden[r]
        for k in range(width):
            own[k] = b1[k]
        _add_product(rows[r], w1, own)
        for k in range(width):
            own[k] = max(own[k], zero)
            mean[k] += own[k]
    for k in range(width):
        mean[k] /= np.float32(count)
        second[k] = b2[k]
    _add_product(mean, u2, second)
    shared = mean  # its scratch is free now
    for k in range(width):
        shared[k] = second[k]
    for r in range(count):
        for k in range(width):
            second[k] = shared[k]
        _add_product(hidden[r], w2, second)
        total = zero
        for f in range(len(skip)):
            total += rows[r, f] * skip[f]
        for k in range(width):
            total += max(second[k], zero) * w3[k]
        scores[r] = total


@njit(cache=True, fastmath=True)
def _add_product(values, matrix, sums):
    """Add values [n] times matrix [n, H] to sums [H], four rows of the matrix at a time."""
    whole = len(values) // 4 * 4
    for f in range(0, whole, 4):
        v0, v1, v2, v3 = values[f], values[f + 1], values[f + 2], values[f + 3]
        m0, m1, m2, m3 = matrix[f], matrix[f + 1], matrix[f + 2], matrix[f + 3]
        for k in range(len(sums)):
            sums[k] += (v0 * m0[k] + v1 * m1[k]) + (v2 * m2[k] + v3 * m3[k])
    for f in range(whole, len(values)):
        value, row = values[f], matrix[f]
        for k in range(len(sums)):
            sums[k] += value * row[k]


@njit(cache=True)
def decide_state(
    lanes, accelerators, queue, shortest, repair, machines, unit, situation, rows, pairs,
    weights, hidden, pooled, scores, best_choices, columns, wait, actions,
):  # fmt: skip
    """Write the best-scored action of each lane of a simulation's state."""
    latencies, remaining, idle, context, places, jobs, lines, planned = situation
    w1, b1, w2, u2, b2, w3, skip = weights
    for i in range(len(lanes)):
        actions[i] = wait
        if lanes[i]["ended"]:
            continue
        _read_state(i, lanes, accelerators, queue, shortest, repair, latencies, remaining, idle, context)
        count = describe(
            latencies, remaining, idle, context[0], machines, unit, places, jobs, lines, planned, rows, pairs
        )
        best = 0
        if count > 1:
            score(rows, count, w1, b1, w2, u2, b2, w3, skip, hidden, pooled, scores)
            for r in range(1, count):
                if scores[r] > scores[best]:
                    best = r
        slot, machine = pairs[best]
        if slot >= 0:
            if columns > 0:
                job_class = queue[i, lanes[i]["head"] + slot]["job_class"]
                actions[i] = slot * columns + best_choices[job_class, machine]
            else:
                actions[i] = slot * best_choices.shape[1] + machine
