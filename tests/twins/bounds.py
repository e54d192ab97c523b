"""Slow twins of the bounds' kernels: every start tried, every schedule worked out anew, every order enumerated."""

import itertools
import math

MASK = (1 << 64) - 1


def price(prices, width, accelerator, time):
    """Return what a cycle that begins at `time` costs on an accelerator."""
    row = prices[accelerator]
    return row[time // width] if time // width < len(row) else 0


def cost(latency, prices, width, unit, job, accelerator, start):
    """Return a job's end and all that it pays, in 1 / unit cycles."""
    end = start + latency[job][accelerator]
    return unit * end + sum(price(prices, width, accelerator, time) for time in range(start, end))


def cheapest(release, latency, prices, width, unit):
    """Return (accelerators, starts, costs): the least over all whole starts until the prices end."""
    found = []
    for job in range(len(release)):
        last = max(release[job], width * len(prices[0]))
        options = [
            (cost(latency, prices, width, unit, job, a, start), a, start)
            for a in range(len(latency[0]))
            for start in range(release[job], last + 1)
        ]
        found.append(min(options, key=lambda option: option[0]))
    return found


def least_total(release, latency):
    """Return the least sum of completion times: every assignment of jobs to accelerators, in every order."""
    jobs, fleet = range(len(release)), len(latency[0])
    best = None
    for order in itertools.permutations(jobs):
        for owners in itertools.product(range(fleet), repeat=len(release)):
            free, total = [0] * fleet, 0
            for job in order:
                accelerator = owners[job]
                free[accelerator] = max(free[accelerator], release[job]) + latency[job][accelerator]
                total += free[accelerator] - release[job]
            best = total if best is None else min(best, total)
    return best


class Stream:
    """Uniform numbers in [0, 1) by splitmix64."""

    def __init__(self, seed):
        self.state = seed

    def draw(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        word = self.state
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
        return ((word ^ (word >> 31)) >> 11) * 1.1102230246251565e-16


class Annealing:
    """The annealing of `kernels.anneal` on lists of jobs, each schedule worked out from nothing."""

    def __init__(self, release, latency, lists, span, seed):
        self.release, self.latency, self.lists = release, latency, [list(own) for own in lists]
        self.jobs, self.fleet = len(release), len(latency[0])
        self.stream = Stream(seed)
        self.places = max(1, self.jobs // self.fleet)
        self.scale = self.places / span
        self.table = [[-1] * self.places for _ in range(self.fleet)]

    def schedule(self, lists):
        """Return {job: (accelerator, start, end)}."""
        times = {}
        for accelerator, own in enumerate(lists):
            end = 0
            for job in own:
                start = max(end, self.release[job])
                end = start + self.latency[job][accelerator]
                times[job] = (accelerator, start, end)
        return times

    def total(self, lists):
        return sum(end for _, _, end in self.schedule(lists).values())

    def proposed(self, job, reach, share, table_reach):
        draw = self.stream.draw
        if draw() < share:
            start = self.schedule(self.lists)[job][1]
            place = int(start * self.scale + table_reach * (draw() - draw()))
            other = self.table[int(draw() * self.fleet)][min(max(place, 0), self.places - 1)]
        else:
            far = int(reach ** draw())
            other = job + far if draw() < 0.5 else job - far
        if other < 0 or other >= self.jobs or other == job:
            other = self.jobs + int(draw() * self.fleet)
        return other

    def moved(self, job, other, kind):
        """Return the lists after a move, None where nothing would change; a node above the jobs is a list's head."""
        lists = [list(own) for own in self.lists]
        home = next(own for own in lists if job in own)
        at = home.index(job)
        if other < self.jobs:
            away = next(own for own in lists if other in own)
            to = away.index(other)
            if kind == 2:
                if home is away and abs(at - to) == 1:
                    return None
                home[at], away[to] = other, job
                return lists
            behind = to if kind == 1 else to + 1  # the place before which it goes
        else:
            away, behind = lists[other - self.jobs], 0
        if home is away and behind in (at, at + 1):
            return None
        home.remove(job)
        away.insert(behind - (home is away and at < behind), job)
        return lists

    def run(self, moves, hottest, coldest, reach, share, table_reach, same):
        """Return the best schedule met."""
        now = least = self.total(self.lists)
        best = self.schedule(self.lists)
        temperature = hottest
        for move in range(moves):
            if move % same == 0:
                temperature = hottest * (coldest / hottest) ** (move / moves)
            job = int(self.stream.draw() * self.jobs)
            other = self.proposed(job, reach, share, table_reach)
            kind = int(self.stream.draw() * 3)
            most = -temperature * math.log(1.0 - self.stream.draw())
            lists = self.moved(job, other, kind)
            if lists is None or self.total(lists) - now > most:
                continue
            self.lists, now = lists, self.total(lists)
            times = self.schedule(lists)
            for moved in (job, other) if kind == 2 and other < self.jobs else (job,):
                accelerator, start, _ = times[moved]
                self.table[accelerator][min(int(start * self.scale), self.places - 1)] = moved
            if now < least:
                least, best = now, times
        return best
