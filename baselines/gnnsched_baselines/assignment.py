"""assignment: at each decision, the optimal plan of the waiting jobs, as an assignment problem.

Sum of completion times on unrelated machines without arrivals: a job that is k-th from last on accelerator a delays k
jobs, itself included, by its latency, so the best plan is an assignment of jobs to places (a, k) of smallest total cost
(Horn 1973; Bruno, Coffman and Sethi 1974). Future jobs are delayed too: `c` stands for their number.
"""

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.actions import send_planned
from gnnsched_env.common.checks import Number
from gnnsched_env.common.compiled import inlined, kernel
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout

DEFAULT_C = 0.5  # tuned: within 1 % of the best value on each validation workload, over four loads

RecordArray = NDArray[np.void]

# One place in an accelerator's line; a full line gets another place, so each accelerator always has a free one.
PLACE = np.dtype(
    [
        ("accelerator", "i8"),
        ("job", "i8"),  # the job in this place, -1 if free
        ("weight", "f8"),  # k + c
        ("price", "f8"),  # its dual variable: at most 0, and 0 if free
        ("distance", "f8"),  # scratch of the search: length of the shortest known path to it
        ("job_before", "i8"),  # scratch: the last job of that path
        ("closed", "f8"),  # scratch: infinity once no shorter path can be found, else 0
        ("final_before", "i8"),  # scratch: the place that became final before this one, -1 if none did
    ],
    align=True,
)
JOB = np.dtype([("price", "f8"), ("place", "i8")], align=True)


class Assignment:
    """Plan all waiting jobs at once: job j as k-th from last on accelerator a costs (k + c) x latency + remaining.

    Of the jobs that the cheapest plan puts first in line on idle accelerators, the shortest starts; if there is none,
    wait. `c` is the number of future jobs that each job is assumed to delay.
    """

    name = "assignment"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"queue"})
    choices = None

    def __init__(self, layout: Layout, *, c: float = DEFAULT_C) -> None:
        self.layout = layout
        self.c = Number(least=0).check(self.name, "c", c)

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        return send_planned(self.layout, observation, mask, first_in_line, float(self.c))


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
    places = np.empty(latencies.shape[1] + fleet, PLACE)
    jobs = np.empty(latencies.shape[1], JOB)
    line = np.empty(fleet, np.int64)
    for i in range(len(latencies)):
        if waiting[i] == 0 or not idle[i].any():
            continue
        plan(latencies[i], remaining[i], waiting[i], c, places, jobs)
        line[:] = -1
        for t in range(waiting[i] + fleet):  # an accelerator's places stand in the order of k
            if places[t]["job"] >= 0:
                line[places[t]["accelerator"]] = places[t]["job"]
        shortest = np.inf
        for a in range(fleet):
            if idle[i, a] and line[a] >= 0 and latencies[i, line[a], a] < shortest:
                shortest, slots[i], accelerators[i] = latencies[i, line[a], a], line[a], a


@inlined
def plan(
    latencies: NDArray[np.float64],
    remaining: NDArray[np.float64],
    waiting: int,
    c: float,
    places: RecordArray,
    jobs: RecordArray,
) -> None:
    """Give the first `waiting` jobs places of smallest total cost.

    Shortest augmenting paths, one for each job (Jonker and Volgenant 1987). Because a later k costs every job more,
    only the first free place of each accelerator can end a path: n + A places are enough, not n x A.
    """
    fleet = len(remaining)
    for a in range(fleet):
        _open_place(places, a, a, 1.0 + c)
    for job in range(waiting):
        count = fleet + job
        end, final = _search(latencies, remaining, places, jobs, count, job)
        accelerator, weight = places[end]["accelerator"], places[end]["weight"]
        _settle(places, jobs, job, end, final)
        _open_place(places, count, accelerator, weight + 1.0)


@inlined
def _open_place(places: RecordArray, t: int, accelerator: int, weight: float) -> None:
    place = places[t]
    place["accelerator"] = accelerator
    place["job"] = -1
    place["weight"] = weight
    place["price"] = 0.0


@inlined
def _search(
    latencies: NDArray[np.float64],
    remaining: NDArray[np.float64],
    places: RecordArray,
    jobs: RecordArray,
    count: int,
    job: int,
) -> tuple[int, int]:
    """Find the shortest path, in reduced costs, from a job without a place to a free place.

    Return that place and the one that became final last (-1: none). The first pass meets every place for the first
    time; where its nearest one is free, that is all. Choices are arithmetic: processors guess branches badly here.
    """
    nearest, end, final = np.inf, 0, -1
    for t in range(count):
        place = places[t]
        a = place["accelerator"]
        distance = place["weight"] * latencies[job, a] + remaining[a] - place["price"]
        place["distance"] = distance
        place["job_before"] = job
        place["closed"] = 0.0
        end += (distance < nearest) * (t - end)
        nearest = min(nearest, distance)
    jobs[job]["price"] = 0.0
    while places[end]["job"] >= 0:
        places[end]["final_before"] = final
        places[end]["closed"] = np.inf
        final, current = end, places[end]["job"]
        base = nearest - jobs[current]["price"]
        nearest, end = np.inf, 0
        for t in range(count):
            place = places[t]
            a = place["accelerator"]
            distance = base + place["weight"] * latencies[current, a] + remaining[a] - place["price"]
            distance += place["closed"]
            place["job_before"] += (distance < place["distance"]) * (current - place["job_before"])
            distance = min(distance, place["distance"])
            place["distance"] = distance
            distance += place["closed"]
            end += (distance < nearest) * (t - end)
            nearest = min(nearest, distance)
    return end, final


@inlined
def _settle(places: RecordArray, jobs: RecordArray, job: int, end: int, final: int) -> None:
    """Update the prices and shift the jobs along the path, so that `job` has a place too."""
    reached = places[end]["distance"]
    jobs[job]["price"] += reached
    while final >= 0:
        place = places[final]
        jobs[place["job"]]["price"] += reached - place["distance"]
        place["price"] -= reached - place["distance"]
        final = place["final_before"]
    mover = -1
    while mover != job:
        mover = places[end]["job_before"]
        places[end]["job"] = mover
        left = jobs[mover]["place"]
        jobs[mover]["place"] = end
        end = left
