"""Slow, obvious twins of what trained policies read and of their network: one lane, plain lists."""

from math import inf, log2

import numpy as np
from scipy.optimize import linear_sum_assignment

from gnnsched_baselines.learned.pair_features import FEATURES, LEAST_PRICE, MACHINE
from tests.twins.policies import assignment_costs

C = 0.5


def rows(latencies, remaining, idle, *, may_wait, to_come, gap, machines, unit, behind=0):
    """Return [(features by name, slot, accelerator)]: a row for each legal pair and one, of slot -1, for waiting."""
    jobs, fleet = range(len(latencies)), range(len(remaining))
    gap = max(gap, 1.0)
    lines = planned_lines(latencies, remaining)
    starts = [(latencies[lines[a][0]][a], lines[a][0], a) for a in fleet if idle[a] and lines[a]]
    action = min(starts)[1:] if starts else None
    work = [sum(latencies[j][a] for j in lines[a]) for a in fleet]
    shared = {
        "waiting": len(latencies) / (len(latencies) + 8),
        "load": min(2.0, 1 / gap / machines[0][MACHINE.rate]),
        "idle": sum(map(bool, idle)) / len(idle),
        "backlog": signed(sum(remaining[a] + work[a] for a in fleet) / len(remaining), unit),
        "to_come": float(to_come > 0),
        "ending": max(0.0, 1.0 - to_come / (4 * len(idle))),
        "almost_over": max(0.0, 1.0 - to_come / len(idle)),
        "behind_window": behind / (behind + 32),
        **{name: machines[0][getattr(MACHINE, name)] for name in ("spread", "fleet_size", "unlike", "tail", "error")},
        "waiting_work": signed(sum(min(own) for own in latencies), unit),
        "waiting_longest": signed(max(min(own) for own in latencies), unit),
    }
    best = [min(own) for own in latencies]
    shortest = min((own[a] for own in latencies for a in fleet if idle[a]), default=inf)
    soonest = min(own[a] + remaining[a] for own in latencies for a in fleet)
    costs = [least_paid(own, machines) for own in latencies]
    typical = [least_paid(own, machines) for own in list(zip(*machines, strict=True))[MACHINE.typical :]]
    found = []
    for a in (a for a in fleet if idle[a]):
        others = [b for b in fleet if b != a]
        for j in jobs:
            own = latencies[j][a]
            behind = [other for other in lines[a] if other != j]
            fastest = latencies[j].index(best[j])
            change = cost(started(lines, j, a), latencies, remaining) - cost(lines, latencies, remaining)
            row = {
                "wait": 0.0,
                "planned_action": float(action == (j, a)),
                "planned_here": float(j in lines[a]),
                "planned_first": float(lines[a][:1] == [j]),
                "latency": logarithm(own / unit),
                "regret": logarithm(own / best[j]),
                "elsewhere": logarithm(min(remaining[b] + latencies[j][b] for b in others) / own) if others else 3.0,
                "plan_change": signed(change, unit),
                "plan_change_share": change / (abs(change) + own),
                "rank_here": sum(latencies[other][a] < own for other in jobs) / len(latencies),
                "over_shortest": logarithm(own / min(latencies[other][a] for other in jobs)),
                "behind_here": len(behind) / (len(behind) + 4),
                "work_here": signed(sum(latencies[other][a] for other in behind), unit),
                "arrivals_meanwhile": min(3.0, log2(1 + own / gap) / 4),
                "free_meanwhile": sum(remaining[b] < own for b in others) / max(1, len(others)),
                "next_free": signed(min(remaining[b] for b in others), unit) if others else 3.0,
                "price": machines[a][0],
                "slowness": machines[a][1],
                "preferred": machines[a][2],
                "lighter_waiting": lighter(latencies, best, j, a),
                "best_latency": logarithm(best[j] / unit),
                "best_remaining": signed(remaining[fastest], unit),
                "best_work": signed(remaining[fastest] + work[fastest], unit),
                "planned_start": logarithm(max(1.0, planned_start(lines, latencies, remaining, j)) / own),
                "others_remaining": mean_remaining(remaining, machines, others, unit),
                "next_arrival": arrival_delay(remaining, a, own, gap, machines, unit),
                "later_arrival": arrival_delay(remaining, a, own, 3 * gap, machines, unit),
                "last_arrival": arrival_delay(remaining, a, own, 9 * gap, machines, unit),
                "alike": machines[a][MACHINE.alike],
                "over_shortest_pair": logarithm(own / shortest),
                "over_soonest": logarithm(own / soonest),
                "paid_regret": logarithm(own * max(LEAST_PRICE, machines[a][0]) / costs[j]),
                "cheaper_jobs": sum(shares := [costs[j] ** 2 / (costs[j] ** 2 + t**2) for t in typical]) / len(typical),
                "cheaper_work": sum(share * t for share, t in zip(shares, typical, strict=True)) / sum(typical),
                "cheaper_waiting": sum(other < (1 - 1e-9) * costs[j] for other in costs) / len(costs),
            }
            found.append(({**row, **shared}, j, a))
    if may_wait or not found:
        row = waiting_row(latencies, remaining, idle, lines, action, gap, machines, unit)
        row["over_soonest"] = logarithm(shortest / soonest) if found else 0.0
        found.append(({**row, **shared}, -1, 0))
    return found


def least_paid(latencies, machines):
    """Return the smallest product of latency and price."""
    return min(max(LEAST_PRICE, own[0]) * cycles for own, cycles in zip(machines, latencies, strict=True))


def planned_start(lines, latencies, remaining, j):
    """Return when job j starts in the plan."""
    (a,) = (a for a, line in enumerate(lines) if j in line)
    return remaining[a] + sum(latencies[other][a] for other in lines[a][: lines[a].index(j)])


def mean_remaining(remaining, machines, others, unit):
    """Return the mean of the others' remaining times, logarithms, by the share of classes that prefer each."""
    weights = [machines[b][2] + 1e-3 for b in others]
    return sum(w * signed(remaining[b], unit) for w, b in zip(weights, others, strict=True)) / (sum(weights) + 1e-3)


def arrival_delay(remaining, a, latency, after, machines, unit):
    """Return by how much later typical jobs that come after some cycles are done if accelerator a is taken now."""
    taken = [latency if b == a else cycles for b, cycles in enumerate(remaining)]
    delays = []
    for k in range(MACHINE.typical, len(machines[0])):
        before, then = (
            min(max(0.0, busy[b] - after) + machines[b][k] for b in range(len(busy)))
            for busy in ([0.0 if b == a else cycles for b, cycles in enumerate(remaining)], taken)
        )
        delays.append(then - before)
    return signed(sum(delays) / len(delays), unit)


def lighter(latencies, best, j, a):
    """Return n / (n + 4) of the waiting jobs that accelerator a suits better than job j."""
    count = sum(own[a] / least < latencies[j][a] / best[j] for own, least in zip(latencies, best, strict=True))
    return count / (count + 4)


def waiting_row(latencies, remaining, idle, lines, action, gap, machines, unit):
    """Return the row of waiting, which tells of the job planned first on the busy accelerator that is free first."""
    fleet = range(len(remaining))
    busy = [a for a in fleet if not idle[a]]
    until = min([gap, *(remaining[a] for a in busy)])
    change = until * sum(len(lines[a]) for a in fleet if idle[a])
    row = dict.fromkeys(FEATURES, 0.0)
    row |= {
        "wait": 1.0,
        "planned_action": float(action is None),
        "plan_change": signed(change, unit),
        "plan_change_share": change / (change + until + 1.0),
        "next_free": signed(until, unit),
    }
    owners = [(remaining[a], a) for a in busy if lines[a]]
    if owners:
        soonest, a = min(owners)
        job = lines[a][0]
        alternative = min((latencies[job][b] for b in fleet if idle[b]), default=inf)
        row |= {
            "latency": logarithm(latencies[job][a] / unit),
            "regret": logarithm(alternative / latencies[job][a]) if alternative < inf else 3.0,
            "elsewhere": logarithm(alternative / (latencies[job][a] + soonest)) if alternative < inf else 3.0,
            "behind_here": len(lines[a]) / (len(lines[a]) + 4),
            "work_here": signed(soonest, unit),
            "price": machines[a][0],
            "slowness": machines[a][1],
            "preferred": machines[a][2],
            "alike": machines[a][MACHINE.alike],
        }
    return row


def planned_lines(latencies, remaining):
    """Return each accelerator's jobs in the order in which scipy's optimal plan runs them."""
    jobs = len(latencies)
    lines = [[] for _ in remaining]
    chosen, columns = linear_sum_assignment(assignment_costs(latencies, remaining, C))
    for job, column in sorted(zip(chosen, columns, strict=True), key=lambda pair: -(pair[1] % jobs)):
        lines[column // jobs].append(int(job))
    return lines


def started(lines, job, accelerator):
    """Return the lines with a job taken out of its own and put first on an accelerator."""
    without = [[other for other in line if other != job] for line in lines]
    without[accelerator].insert(0, job)
    return without


def cost(lines, latencies, remaining):
    """Return the sum of completions, and C latencies more of each job for those still to come."""
    total = 0.0
    for a, line in enumerate(lines):
        time = remaining[a]
        for job in line:
            time += latencies[job][a]
            total += time + C * latencies[job][a]
    return total


def logarithm(ratio):
    return min(3.0, max(-3.0, log2(ratio) / 4))


def signed(cycles, unit):
    size = min(3.0, log2(1 + abs(cycles) / unit) / 4)
    return size if cycles >= 0 else -size


def scores(network, features):
    """Return the score of each row of one lane, loop by loop."""
    width = len(network.b1)
    first = [
        [max(0.0, network.b1[k] + sum(x * network.w1[f][k] for f, x in enumerate(row))) for k in range(width)]
        for row in features
    ]
    mean = [float(np.mean([hidden[k] for hidden in first])) for k in range(width)]
    result = []
    for row, hidden in zip(features, first, strict=True):
        total = sum(x * network.skip[f] for f, x in enumerate(row))
        for k in range(width):
            unit = network.b2[k] + sum(hidden[i] * network.w2[i][k] + mean[i] * network.u2[i][k] for i in range(width))
            total += max(0.0, unit) * network.w3[k]
        result.append(float(total))
    return result
