"""Slow, obvious twins of the compiled policies: one situation at a time, plain lists, no early exit.

A situation is `latencies` (jobs x accelerators), `remaining` and `idle` (accelerators); an answer is the (job,
accelerator) that starts, or None for waiting.
"""

from itertools import permutations, product
from math import sqrt
from statistics import mean, stdev

import numpy as np
from scipy.optimize import linear_sum_assignment


def min_min(latencies, remaining, idle):
    """Plan every job, then start the first one planned that is first on its accelerator, which is idle."""
    free, left, plan = list(remaining), list(range(len(latencies))), []
    while left:
        _, job, accelerator = min((free[a] + latencies[j][a], j, a) for j in left for a in range(len(free)))
        free[accelerator] += latencies[job][accelerator]
        left.remove(job)
        plan.append((job, accelerator))
    return first_to_start(plan, idle)


def max_min(latencies, remaining, idle):
    """Plan the job whose best completion is the latest, where that is; start the first one planned that can."""
    free, left, plan = list(remaining), list(range(len(latencies))), []
    while left:
        best = {job: min((free[a] + latencies[job][a], a) for a in range(len(free))) for job in left}
        job = max(left, key=lambda job: (best[job][0], -job))
        accelerator = best[job][1]
        free[accelerator] += latencies[job][accelerator]
        left.remove(job)
        plan.append((job, accelerator))
    return first_to_start(plan, idle)


def sufferage(latencies, remaining, idle):
    """Plan in rounds; in each every accelerator takes the job that suffers most of those that are best off there."""
    free, left, plan = list(remaining), list(range(len(latencies))), []
    while left:
        takers = {}
        for job in left:
            completions = sorted((free[a] + latencies[job][a], a) for a in range(len(free)))
            loss = completions[1][0] - completions[0][0] if len(free) > 1 else 0
            takers.setdefault(completions[0][1], []).append((-loss, job))
        for _, job, accelerator in sorted((*min(jobs), accelerator) for accelerator, jobs in takers.items()):
            free[accelerator] += latencies[job][accelerator]
            left.remove(job)
            plan.append((job, accelerator))
    return first_to_start(plan, idle)


def list_scheduling(latencies, remaining, idle, ages):
    """Plan every job, the longest waiting first, then start the first one that can."""
    free, plan = list(remaining), []
    for job in sorted(range(len(latencies)), key=lambda job: -ages[job]):
        _, accelerator = min((free[a] + latencies[job][a], a) for a in range(len(free)))
        free[accelerator] += latencies[job][accelerator]
        plan.append((job, accelerator))
    return first_to_start(plan, idle)


def first_to_start(plan, idle):
    """Return the first of the planned (job, accelerator) that is the first on an idle accelerator."""
    for place, (job, accelerator) in enumerate(plan):
        if idle[accelerator] and all(other != accelerator for _, other in plan[:place]):
            return job, accelerator
    return None


def assignment(latencies, remaining, idle, c):
    """Start the shortest of the jobs that scipy's optimal plan puts first in line on idle accelerators."""
    costs = assignment_costs(latencies, remaining, c)
    rows, columns = linear_sum_assignment(costs)
    jobs = len(latencies)
    lines = {}
    for job, column in sorted(zip(rows, columns, strict=True), key=lambda pair: pair[1] % jobs):
        lines[int(column // jobs)] = int(job)
    starts = [(latencies[job][a], job, a) for a, job in lines.items() if idle[a]]
    return min(starts)[1:] if starts else None


def assignment_cost(latencies, remaining, c):
    """Return the cost of scipy's optimal plan."""
    costs = assignment_costs(latencies, remaining, c)
    return costs[linear_sum_assignment(costs)].sum()


def assignment_costs(latencies, remaining, c):
    """Return costs [jobs, accelerators x jobs]: column a * jobs + k - 1 is the k-th from last on accelerator a."""
    latencies = np.asarray(latencies, float)
    places = np.arange(1, len(latencies) + 1) + c
    costs = latencies[:, :, np.newaxis] * places + np.asarray(remaining, float)[:, np.newaxis]
    return costs.reshape(len(latencies), -1)


def clearly_best(costs, base, margin):
    """Return the candidate of smallest mean cost among those better than `base` by `margin` standard errors, or `base`.

    `costs`: for each candidate, its cost in each future.
    """
    better = []
    for candidate, own in costs.items():
        differences = [cost - reference for cost, reference in zip(own, costs[base], strict=True)]
        if mean(differences) < -margin * stdev(differences) / sqrt(len(differences)):
            better.append((mean(differences), candidate))
    return min(better)[1] if better else base


def least_total_completion(latencies, remaining):
    """Return the smallest sum of completion times over all schedules, by trying every one."""
    jobs, fleet = len(latencies), len(remaining)
    best = np.inf
    for order in permutations(range(jobs)):
        for owners in product(range(fleet), repeat=jobs):
            free, total = list(remaining), 0
            for job in order:
                free[owners[job]] += latencies[job][owners[job]]
                total += free[owners[job]]
            best = min(best, total)
    return best
