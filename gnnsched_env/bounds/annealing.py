"""A good offline schedule by local search: `improve`."""

import numpy as np

from gnnsched_env.bounds import bound_kernels as kernels
from gnnsched_env.bounds.instance import CycleArray, Instance, Plan, earliest_finish
from gnnsched_env.common.checks import Integer

MOVES_A_JOB = 10_000
MOST_MOVES, MOST_TRIES = 10**12, 10**6
HOTTEST, COLDEST = 10.0, 0.01  # temperatures, in units of the mean shortest latency
REACH = 30.0  # largest difference between the numbers of two exchanged jobs


def improve(
    instance: Instance, plan: Plan | None = None, *, moves: int | None = None, tries: int = 1, seed: int = 0
) -> Plan:
    """Return a schedule that is no worse than the given one, and usually much better.

    Simulated annealing of the order of jobs on each accelerator (`bound_kernels.anneal`), run `tries` times from the
    given plan (by default, each job in order of release goes where it would finish first), each with `moves` moves (by
    default 10,000 per job). The same seed gives the same schedule.
    """
    moves = MOVES_A_JOB * instance.num_jobs if moves is None else moves
    moves = Integer(0, MOST_MOVES).check("improve", "moves", moves)
    tries = Integer(1, MOST_TRIES).check("improve", "tries", tries)
    seed = Integer(0).check("improve", "seed", seed)
    best = (earliest_finish(instance) if plan is None else plan).packed(instance)
    best.check(instance)
    start, least = best, best.total(instance)
    for attempt in range(tries):
        found = _annealed(instance, start, moves, seed + attempt)
        if (total := found.total(instance)) < least:
            best, least = found, total
    return best


def _annealed(instance: Instance, plan: Plan, moves: int, seed: int) -> Plan:
    """Return the best plan found in one annealing run."""
    ring = rings(instance, plan)
    best = np.zeros((2, instance.num_jobs), np.int64)
    mean = float(instance.latency.min(axis=1).mean())
    span = float(ring[3].max())
    state = np.array([seed % (1 << 64)], np.uint64)
    heat = (HOTTEST * mean, COLDEST * mean)
    kernels.anneal(instance.release, instance.latency, *ring, best, moves, *heat, REACH, span, state)
    durations = instance.latency[np.arange(instance.num_jobs), best[0]]
    return Plan(accelerators=best[0], starts=best[1] - durations)


def rings(instance: Instance, plan: Plan) -> tuple[CycleArray, CycleArray, CycleArray, CycleArray]:
    """Return a packed plan as linked rings (`bound_kernels.anneal`): following, before, owner, ends, int64 [n + A]."""
    jobs, fleet = instance.num_jobs, instance.num_accelerators
    following, before, owner, ends = np.zeros((4, jobs + fleet), np.int64)
    ends[:jobs] = plan.ends(instance)
    owner[:jobs] = plan.accelerators
    owner[jobs:] = np.arange(fleet)
    for accelerator in range(fleet):
        own = np.flatnonzero(plan.accelerators == accelerator)
        ring = [jobs + accelerator, *own[np.argsort(plan.starts[own], kind="stable")].tolist()]
        following[ring] = [*ring[1:], ring[0]]
        before[ring] = [ring[-1], *ring[:-1]]
    return following, before, owner, ends
