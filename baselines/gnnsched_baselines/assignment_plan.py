"""The plan of `assignment`: jobs to places in the accelerators' lines at the smallest total cost, compiled.

It imports little, since what a kernel's module imports decides when it is compiled anew.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import inlined, inlined_with, kernel
from gnnsched_env.common.policy import BoolArray, IntArray

RecordArray = NDArray[np.void]
FloatArray = NDArray[np.float64]


class Places(NamedTuple):
    """Places in the accelerators' lines; a full line gets another place, so each accelerator always has a free one.

    An array for each property, because a search reads one property of all places at a time: its loops become vector
    instructions. For n jobs and A accelerators there are P = n + A places; the arrays are int64 or float64 [P].
    `start`: the accelerator's remaining time; infinity while no shorter path can be found. `price`: the place's dual
    variable, at most 0, and 0 if free. The others but `delay` are scratch of the search: `reach` is the length of the
    shortest known path to a place, infinity if it is final, `through` that of the path through the job whose turn it
    is, `distance` that of the shortest path, once it is final.
    """

    accelerator: IntArray
    job: IntArray  # in this place, -1 if free
    weight: FloatArray  # k + c
    start: FloatArray
    price: FloatArray
    reach: FloatArray
    through: FloatArray
    distance: FloatArray
    job_before: IntArray  # the last job of the shortest known path
    final_before: IntArray  # the place that became final before this one, -1 if none did
    delay: FloatArray  # float64 [n, P]: weight x latency of each job


JOB = np.dtype([("price", "f8"), ("place", "i8")], align=True)


@kernel
def first_in_line(
    latencies: NDArray[np.float64],
    remaining: NDArray[np.float64],
    idle: BoolArray,
    waiting: IntArray,
    c: float,
    slots: IntArray,
    accelerators: IntArray,
) -> None:
    """Write the job and the accelerator that each lane starts; a lane that waits keeps what stands there.

    `latencies` float64 [L, n, A], `remaining` float64 [L, A], `idle` bool [L, A], `waiting` int64 [L]; `slots` and
    `accelerators` int64 [L] are written.
    """
    fleet = latencies.shape[2]
    places = new_places(latencies.shape[1], fleet)
    jobs = np.empty(latencies.shape[1], JOB)
    line = np.empty(fleet, np.int64)
    for i in range(len(latencies)):
        if waiting[i] == 0 or not idle[i].any():
            continue
        plan(latencies[i], remaining[i], waiting[i], c, places, jobs)
        line[:] = -1
        for t in range(waiting[i] + fleet):  # an accelerator's places stand in the order of k
            if places.job[t] >= 0:
                line[places.accelerator[t]] = places.job[t]
        shortest = np.inf
        for a in range(fleet):
            if idle[i, a] and line[a] >= 0 and latencies[i, line[a], a] < shortest:
                shortest, slots[i], accelerators[i] = latencies[i, line[a], a], line[a], a


@kernel
def new_places(jobs: int, fleet: int) -> Places:
    """Return room for the places of so many jobs on so many accelerators."""
    most = jobs + fleet
    return Places(
        np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most), np.empty(most), np.empty(most),
        np.empty(most), np.empty(most), np.empty(most), np.empty(most, np.int64), np.empty(most, np.int64),
        np.empty((jobs, most)),
    )  # fmt: skip


@inlined
def plan(
    latencies: NDArray[np.float64],
    remaining: NDArray[np.float64],
    waiting: int,
    c: float,
    places: Places,
    jobs: RecordArray,
) -> None:
    """Give the first `waiting` jobs places of smallest total cost.

    Shortest augmenting paths, one for each job (Jonker and Volgenant 1987). Because a later k costs every job more,
    only the first free place of each accelerator can end a path: n + A places are enough, not n x A.
    """
    fleet = len(remaining)
    for a in range(fleet):
        _open_place(latencies, remaining, 0, places, a, a, 1.0 + c)
    for job in range(waiting):
        count = fleet + job
        for t in range(count):
            places.delay[job, t] = places.weight[t] * latencies[job, places.accelerator[t]]
        end, final = _search(places, jobs, count, job)
        accelerator, weight = places.accelerator[end], places.weight[end]
        _settle(remaining, places, jobs, job, end, final)
        _open_place(latencies, remaining, job + 1, places, count, accelerator, weight + 1.0)


@inlined
def _open_place(
    latencies: NDArray[np.float64],
    remaining: NDArray[np.float64],
    planned: int,
    places: Places,
    t: int,
    accelerator: int,
    weight: float,
) -> None:
    """Set a free place; the first `planned` jobs are those that have places."""
    places.accelerator[t] = accelerator
    places.job[t] = -1
    places.weight[t] = weight
    places.start[t] = remaining[accelerator]
    places.price[t] = 0.0
    for job in range(planned):
        places.delay[job, t] = weight * latencies[job, accelerator]


@inlined
def _search(places: Places, jobs: RecordArray, count: int, job: int) -> tuple[int, int]:
    """Find the shortest path, in reduced costs, from a job without a place to a free place.

    Return that place and the one that became final last (-1: none). The first pass meets every place for the first
    time; where its nearest one is free, that is all.
    """
    nearest = _reach_first(places, count, job)
    end, final = _first_of(places.reach, nearest), -1
    jobs[job]["price"] = 0.0
    while places.job[end] >= 0:
        places.final_before[end] = final
        places.distance[end] = nearest
        places.reach[end] = places.start[end] = np.inf
        final, current = end, places.job[end]
        nearest = _reach(places, count, current, nearest - jobs[current]["price"])
        end = _first_of(places.reach, nearest)
    places.distance[end] = nearest
    return end, final


# The loops over all places, each of which becomes vector instructions: numbers are never NaN, so that a minimum does
# not depend on the order of its comparisons, and a loop has few enough arrays to check that none overlap.
_vectorized = inlined_with(fastmath={"nnan", "nsz"})


@_vectorized
def _reach_first(places: Places, count: int, job: int) -> float:
    """Find the paths from a job straight to each place; return the length of the shortest."""
    reach, job_before, start, price, delay = places.reach, places.job_before, places.start, places.price, places.delay
    for t in range(count):
        job_before[t] = job
    nearest = np.inf
    for t in range(count):
        reach[t] = delay[job, t] + start[t] - price[t]
        nearest = min(nearest, reach[t])
    return nearest


@_vectorized
def _reach(places: Places, count: int, job: int, base: float) -> float:
    """Find shorter paths, through a job that is `base` away; return the length of the shortest that is not final."""
    reach, job_before, start, price, delay = places.reach, places.job_before, places.start, places.price, places.delay
    through, nearest = places.through, np.inf
    for t in range(count):
        through[t] = base + delay[job, t] + start[t] - price[t]
    for t in range(count):
        job_before[t] = job if through[t] < reach[t] else job_before[t]
    for t in range(count):
        length = min(through[t], reach[t])
        reach[t] = length
        nearest = min(nearest, length)
    return nearest


@inlined
def _first_of(values: NDArray[np.float64], value: float) -> int:
    t = 0
    while values[t] != value:
        t += 1
    return t


@inlined
def _settle(remaining: NDArray[np.float64], places: Places, jobs: RecordArray, job: int, end: int, final: int) -> None:
    """Update the prices and shift the jobs along the path, so that `job` has a place too."""
    reached = places.distance[end]
    jobs[job]["price"] += reached
    while final >= 0:
        jobs[places.job[final]]["price"] += reached - places.distance[final]
        places.price[final] -= reached - places.distance[final]
        places.start[final] = remaining[places.accelerator[final]]
        final = places.final_before[final]
    mover = -1
    while mover != job:
        mover = places.job_before[end]
        places.job[end] = mover
        left = jobs[mover]["place"]
        jobs[mover]["place"] = end
        end = left
