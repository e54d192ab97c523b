"""Compiled parts of the bounds: the Lagrangian relaxation of capacity, and annealing of offline schedules.

Times are int64 cycles. Prices are int64 [A, B], in units of 1 / `unit` cycles of delay for a cycle of an
accelerator: `prices[a, b]` holds from cycle b x `width` until (b + 1) x `width`, and the price is 0 from
B x `width` on. `paid` int64 [A, B + 1] is the integral of an accelerator's prices from 0 until each b x `width`. All
arithmetic on prices is exact.
"""

import math

import numpy as np

from gnnsched_env.common.compiled import announced, helper, long_kernel
from gnnsched_env.common.random_streams import next_uniform

TABLE_SHARE = 0.5  # share of the places that are proposed by time, not by number
TABLE_REACH = 2.0  # largest distance of such a place, in parts of the time
SAME_TEMPERATURE = 256  # moves between changes of the temperature


@announced("the lower bound", 5)
@long_kernel
def cheapest(release, latency, prices, paid, width, unit, accelerators, starts, costs):
    """Find for each job alone where and when to run, to minimise its end plus the prices that it pays.

    Writes `accelerators`, `starts` and `costs` (in 1 / unit cycles), all int64 [n]. The first of equals is taken: the
    lowest accelerator, then the earliest start. As prices change at multiples of `width` only, the cost is linear in
    the start between those at which the job starts or ends at such a multiple, and least at one of them or at its
    release. Prices are at least 0, so no start can be better from where the end alone costs as much.
    """
    buckets = prices.shape[1]
    for j in range(latency.shape[0]):
        best = np.int64(1) << 62
        for a in range(latency.shape[1]):
            start, end = release[j], release[j] + latency[j, a]
            first, last = min(start // width, buckets), min(end // width, buckets)
            price_first = prices[a, first] if first < buckets else 0
            price_last = prices[a, last] if last < buckets else 0
            cost = unit * end + paid[a, last] + price_last * (end - last * width)
            cost -= paid[a, first] + price_first * (start - first * width)
            while True:
                if cost < best:
                    best = cost
                    accelerators[j] = a
                    starts[j] = start
                if first >= buckets or unit * end >= best:
                    break
                ahead = (first + 1) * width - start
                if last < buckets:
                    ahead = min(ahead, (last + 1) * width - end)
                start += ahead
                end += ahead
                cost += (unit + price_last - price_first) * ahead
                if start == (first + 1) * width:
                    first += 1
                    price_first = prices[a, first] if first < buckets else 0
                if last < buckets and end == (last + 1) * width:
                    last += 1
                    price_last = prices[a, last] if last < buckets else 0
        costs[j] = best


@long_kernel
def windows(release, latency, prices, paid, width, unit, limits, earliest, latest):
    """Find when a job could start at a cost of at most `limits` int64 [n] (as `cheapest` counts it).

    Writes `earliest` and `latest`, both int64 [n, A]; 1 and 0 where it is never so cheap. No such start lies outside;
    some inside may cost more.
    """
    buckets = prices.shape[1]
    for j in range(latency.shape[0]):
        for a in range(latency.shape[1]):
            earliest[j, a], latest[j, a] = 1, 0
            start, end = release[j], release[j] + latency[j, a]
            first, last = min(start // width, buckets), min(end // width, buckets)
            found = False
            while True:
                price_first = prices[a, first] if first < buckets else 0
                price_last = prices[a, last] if last < buckets else 0
                cost = unit * end + paid[a, last] + price_last * (end - last * width)
                cost -= paid[a, first] + price_first * (start - first * width)
                if unit * end > limits[j]:
                    break
                if first >= buckets:  # no prices remain: starting a cycle later costs a cycle more
                    if cost <= limits[j]:
                        if not found:
                            earliest[j, a] = start
                        latest[j, a] = start + (limits[j] - cost) // unit
                    break
                ahead = (first + 1) * width - start
                if last < buckets:
                    ahead = min(ahead, (last + 1) * width - end)
                if min(cost, cost + (unit + price_last - price_first) * ahead) <= limits[j]:
                    if not found:
                        earliest[j, a] = start
                    found = True
                    latest[j, a] = start + ahead
                start += ahead
                end += ahead
                first, last = min(start // width, buckets), min(end // width, buckets)


@long_kernel
def occupied(latency, accelerators, starts, width, cycles):
    """Count in `cycles` int64 [A, B] the cycles that jobs take in each bucket; overlapping jobs both count."""
    cycles[:] = 0
    for j in range(len(starts)):
        a = accelerators[j]
        end = starts[j] + latency[j, a]
        bucket = starts[j] // width
        while bucket < cycles.shape[1] and bucket * width < end:
            cycles[a, bucket] += min(end, (bucket + 1) * width) - max(starts[j], bucket * width)
            bucket += 1


@announced("the local search", 10)
@long_kernel
def anneal(
    release, latency, following, before, owner, ends, best, moves, hottest, coldest, reach, span, state
):  # fmt: skip
    """Improve the order of jobs on accelerators by simulated annealing; return the least sum of ends found.

    Each accelerator a has a ring: node n + a, its jobs in their order, and node n + a again; `following`, `before`
    int64 [n + A] link them, `owner` is a node's accelerator, `ends` when its job ends (0 for node n + a). Jobs start
    as early as their order allows. All four are modified in place; `best` int64 [2, n] gets the accelerators and ends
    of the best schedule found. A move puts a job behind another (or first on an accelerator), or exchanges two (see
    `_proposed`). A move that makes the sum of ends grow by d is taken with probability exp(-d / temperature), which
    falls geometrically from `hottest` to `coldest`. `state` uint64 [1]: the random stream.
    """
    jobs, fleet = latency.shape
    now = np.int64(0)
    for j in range(jobs):
        now += ends[j]
        best[0, j], best[1, j] = owner[j], ends[j]
    least = now
    fresh, stamps = np.zeros(jobs + fleet, np.int64), np.full(jobs + fleet, -1, np.int64)
    touched = np.zeros(jobs, np.int64)
    table = np.full((fleet, max(1, jobs // fleet)), -1, np.int64)  # a job recently moved to each part of the time
    scale = table.shape[1] / span
    temperature = hottest
    for move in range(moves):
        if move % SAME_TEMPERATURE == 0:
            temperature = hottest * (coldest / hottest) ** (move / moves)
        j = int(next_uniform(state) * jobs)
        k = _proposed(latency, owner, ends, table, scale, reach, state, j)
        kind = int(next_uniform(state) * 3)
        most = -temperature * math.log(1.0 - next_uniform(state))
        exchange = kind == 2 and k < jobs
        if kind == 1 and k < jobs:
            k = before[k]
        back, home = before[j], owner[j]
        if k in (j, back) or (exchange and before[k] == j):
            continue
        one = k if exchange else following[j]
        if exchange:
            _exchange(following, before, owner, j, k)
        else:
            _put_behind(following, before, owner, j, k)
        hopeless = most if owner[j] != home and not exchange else np.int64(1) << 62
        count, change = _delayed(
            release, latency, following, before, owner, ends, fresh, stamps, touched, move, one, j, hopeless
        )
        if change <= most:
            now += change
            for t in range(count):
                ends[touched[t]] = fresh[touched[t]]
            _note(latency, owner, ends, table, scale, j)
            if exchange:
                _note(latency, owner, ends, table, scale, k)
            if now < least:
                least = now
                for x in range(jobs):
                    best[0, x], best[1, x] = owner[x], ends[x]
        elif exchange:
            _exchange(following, before, owner, j, k)
        else:
            _put_behind(following, before, owner, j, back)
    return least


@helper
def _note(latency, owner, ends, table, scale, j):
    """Record in the table the part of the time in which job j now starts."""
    table[owner[j], min(int((ends[j] - latency[j, owner[j]]) * scale), table.shape[1] - 1)] = j


@helper
def _proposed(latency, owner, ends, table, scale, reach, state, j):
    """Return the node beside which job j could go, or with which it could change places.

    It is a job that was recently moved to about the same time on some accelerator, or a job of about the same number
    (at most `reach` to either side, nearer ones more often); if there is none, the head of an accelerator's ring.
    """
    jobs, fleet = latency.shape
    if next_uniform(state) < TABLE_SHARE:
        off = TABLE_REACH * (next_uniform(state) - next_uniform(state))
        place = int((ends[j] - latency[j, owner[j]]) * scale + off)
        k = table[int(next_uniform(state) * fleet), min(max(place, 0), table.shape[1] - 1)]
    else:
        far = int(reach ** next_uniform(state))
        k = j + far if next_uniform(state) < 0.5 else j - far
    if k < 0 or k >= jobs or k == j:
        k = jobs + int(next_uniform(state) * fleet)
    return k


@helper
def _delayed(
    release, latency, following, before, owner, ends, fresh, stamps, touched, move, one, two, hopeless
):  # fmt: skip
    """Compute in `fresh` the ends that change after the links behind nodes `one` and `two` have changed.

    Follows both rings from there until an end is unchanged; a ring's head has no end. Returns how many jobs are
    `touched` (their `stamps` are `move`), and by how much the sum of ends grows. Stops early if that exceeds `hopeless`
    on the way from `two`, which is correct if that job came from another ring: the jobs behind it can only end later.
    """
    jobs = latency.shape[0]
    if one < jobs and owner[one] == owner[two] and ends[before[two]] < ends[before[one]]:
        one, two = two, one
    count, change = 0, np.int64(0)
    for node in (one, two):
        x = node
        while x < jobs:
            ahead = before[x]
            end = fresh[ahead] if stamps[ahead] == move else ends[ahead]
            end = max(end, release[x]) + latency[x, owner[x]]
            known = fresh[x] if stamps[x] == move else ends[x]
            if end == known and x != one and x != two:
                break
            if stamps[x] != move:
                stamps[x] = move
                touched[count] = x
                count += 1
            change += end - known
            fresh[x] = end
            if node == two and change > hopeless:
                break
            x = following[x]
    return count, change


@helper
def _put_behind(following, before, owner, j, k):
    """Take job j out of its ring and put it behind node k, which is not j."""
    following[before[j]], before[following[j]] = following[j], before[j]
    behind = following[k]
    following[k], before[j], following[j], before[behind] = j, k, behind, j
    owner[j] = owner[k]


@helper
def _exchange(following, before, owner, j, k):
    """Exchange the places of two jobs that are not neighbours."""
    before_j, after_j, before_k, after_k = before[j], following[j], before[k], following[k]
    following[before_j], before[k], following[k], before[after_j] = k, before_j, after_j, k
    following[before_k], before[j], following[j], before[after_k] = j, before_k, after_k, j
    owner[j], owner[k] = owner[k], owner[j]
