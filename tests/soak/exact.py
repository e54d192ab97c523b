"""Checks a finished episode with Python's integers and fractions: every run, every metric, the return.

It reads what a scenario says (not what the simulator made of it) and the records of jobs, and works everything else out
anew, one lane at a time.
"""

import heapq
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from gnnsched_env.scenario import scenario_table
from gnnsched_env.sim.records import NEVER
from tests.soak.rules import Violation

METRIC = Fraction(1, 10**12)  # relative errors: of a mean
ENERGY = Fraction(1, 10**9)  # of energy, of which failures give back
RETURN = Fraction(1, 10**9)  # of a return, a sum over steps
SHAPED = Fraction(1, 10**7)  # of a shaped return, a sum of differences


@dataclass(frozen=True)
class Facts:
    """What follows from a scenario, as Python's numbers; times in cycles, of jobs."""

    true: list
    energy: list
    owners: list
    accelerators: int
    reconfiguration: list
    decision: int
    lookup: int
    workers: int
    cached: bool
    slack: tuple | None
    rewards: dict  # a term's price over the unit of what it charges
    unit: Fraction  # cycles of a mean job's best, as predicted
    mean: bool  # whether the return is a mean over the jobs
    shaped: bool

    @classmethod
    def of(cls, scenario):
        """Return the facts of a scenario."""
        table = scenario_table(scenario)
        repeats = 1 if scenario.arrivals.trace else scenario.workload.repeats
        true = [[int(cycles) * repeats for cycles in row] for row in table.true_cycles.tolist()]
        predicted = [[int(cycles) * repeats for cycles in row] for row in table.predicted_cycles.tolist()]
        energy = [[Fraction(pj) * repeats for pj in row] for row in table.energy_pj.tolist()]
        weights = [Fraction(weight) for weight in table.weights.tolist()]
        unit = mean_of(predicted, weights)
        units = {"completion": unit, "weighted": unit, "tardiness": unit, "energy": mean_of(energy, weights)}
        deadlines, service = scenario.arrivals.deadlines, mean_of(true, weights)
        drawn = deadlines is not None and scenario.arrivals.trace is None
        per_us = Fraction(scenario.fleet.clock_hz, 10**6)
        decision, lookup = (
            max(int(us > 0), round(Fraction(us) * per_us))
            for us in (scenario.decision.latency_us, scenario.decision.lookup_us)
        )
        return cls(
            true=true,
            energy=energy,
            owners=table.choice_accelerators.tolist(),
            accelerators=len(scenario.fleet.accelerators),
            reconfiguration=[entry.reconfiguration_cycles for entry in scenario.fleet.accelerators],
            decision=decision,
            lookup=lookup,
            workers=scenario.decision.workers,
            cached=scenario.decision.cached,
            slack=tuple(Fraction(bound) * service for bound in deadlines) if drawn else None,
            rewards={name: Fraction(getattr(scenario.reward, name)) / units[name] for name in units},
            unit=unit,
            mean=scenario.environment.returns == "mean",
            shaped=scenario.environment.shaping == "drain",
        )


def mean_of(rows, weights):
    """Return the weighted mean of the rows' smallest entries."""
    return sum(min(row) * weight for row, weight in zip(rows, weights, strict=True)) / sum(weights)


@dataclass(frozen=True)
class Played:
    """The records of a lane's finished episode, as Python's numbers."""

    jobs: list  # of dicts
    aborted: list  # of (job, accelerator, choice, start, finish)
    downs: list  # of (accelerator, start, end)
    failures: int
    time: int

    @classmethod
    def of(cls, simulation, lane, aborted):
        """Return the records of a lane; `aborted` are its aborted runs, all of them."""
        names = ("arrival", "ready", "start", "finish", "due", "job_class", "choice", "weight")
        columns = [simulation.jobs[name][lane].tolist() for name in names]
        downs = simulation.down_intervals(lane).tolist() if simulation.settings["failing"][0] else []
        return cls(
            jobs=[dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)],
            aborted=[tuple(run) for run in aborted],
            downs=downs,
            failures=sum((count + 1) // 2 for count in simulation.accelerators["changes"][lane].tolist()),
            time=int(simulation.lanes["time"][lane]),
        )


class _Checks:
    def __init__(self):
        self.done = 0

    def that(self, rule, good, *shown):
        """Raise Violation unless a rule holds."""
        self.done += 1
        if not good:
            raise Violation(f"exactly: {rule}: {', '.join(map(str, shown))}")

    def near(self, rule, told, exact, relative, size=None):
        """Raise Violation unless a float is near an exact number."""
        allowed = relative * abs(exact if size is None else size)
        self.that(rule, abs(Fraction(told) - exact) <= allowed, told, float(exact))


def check_exactly(facts, played, told, *, returned, first_potential):
    """Check a finished episode, the metrics `told` of it and its return; return how many checks that were."""
    checks = _Checks()
    _check_coming(checks, facts, played)
    busy, energy, gross = _check_runs(checks, facts, played)
    _check_metrics(checks, facts, played, told, busy, energy, gross)
    _check_return(checks, facts, played, float(returned), float(first_potential), energy, gross)
    return checks.done


def _check_coming(checks, facts, played):
    """Check when jobs come to the scheduler and when they are due."""
    free = [0] * facts.workers
    known, last, arrived = set(), 0, 0
    for number, job in enumerate(played.jobs):
        arrival = job["arrival"]
        checks.that("jobs arrive in order", arrival >= arrived, number)
        arrived = arrival
        if facts.decision == 0:
            ready = arrival
        elif facts.cached and job["job_class"] in known:
            ready = arrival + facts.lookup
        else:
            known.add(job["job_class"])
            ready = max(arrival, heapq.heappop(free)) + facts.decision
            heapq.heappush(free, ready)
        last = max(last, ready)
        checks.that("a job comes when it and those before it are predicted", job["ready"] == last, number, job, last)
        if facts.slack is not None:
            low, high = facts.slack
            slack = job["due"] - arrival
            rounding = Fraction(1, 2) + high / 10**12
            checks.that("a job is due in time", low - rounding <= slack <= high + rounding, number, job)


def _check_runs(checks, facts, played):
    """Check what each accelerator did and each job went through; return busy cycles, energy, energy ever charged."""
    spans = [[] for _ in range(facts.accelerators)]
    for number, job in enumerate(played.jobs):
        checks.that("a job is done", 0 <= job["choice"] < len(facts.owners) and job["finish"] >= 0, number, job)
        checks.that("a job starts once it has come", job["start"] >= job["ready"] >= job["arrival"], number, job)
        spans[facts.owners[job["choice"]]].append((job["start"], job["finish"], False, number, job["choice"], False))
    over = {}
    for number, owner, choice, start, finish in played.aborted:
        checks.that("an aborted run is its choice's", owner == facts.owners[choice], number, owner, choice)
        checks.that("a job runs once at a time", start >= over.get(number, played.jobs[number]["ready"]), number)
        over[number] = finish
        spans[owner].append((start, finish, False, number, choice, True))
    for number, finish in over.items():
        checks.that("a job runs once at a time", played.jobs[number]["start"] >= finish, number)
    fails = set()
    for owner, start, end in played.downs:
        fails.add((owner, start))
        spans[owner].append((start, end, True, -1, -1, False))
    busy, whole, lost, gross = 0, Counter(), Fraction(0), Fraction(0)
    for owner, own in enumerate(spans):
        free, configured = 0, None
        for start, end, down, number, choice, cut in sorted(own):
            checks.that("an accelerator does one thing at a time", start >= free, owner, start, free)
            free = end
            if down:
                configured = None
                continue
            kind = played.jobs[number]["job_class"]
            changes = configured is not None and configured != choice
            planned = facts.true[kind][choice] + (facts.reconfiguration[owner] if changes else 0)
            configured = choice
            busy += end - start
            if cut:
                checks.that("a run that fails was not done", 0 <= end - start < planned, number, start, end)
                checks.that("a run fails with its accelerator", (owner, end) in fails, number, owner, end)
                lost += facts.energy[kind][choice] * Fraction(end - start, planned)
                gross += facts.energy[kind][choice]
            else:
                checks.that("a run takes its true latency", end - start == planned, number, end - start, planned)
                whole[kind, choice] += 1
    runs = sum(facts.energy[kind][choice] * count for (kind, choice), count in whole.items())
    return busy, runs + lost, runs + gross


def _check_metrics(checks, facts, played, told, busy, energy, gross):
    jobs, count = played.jobs, len(played.jobs)
    spent = [job["finish"] - job["arrival"] for job in jobs]
    best = [min(row) for row in facts.true]
    slow, weighed, weights = Counter(), Counter(), Counter()
    for job, time in zip(jobs, spent, strict=True):
        slow[job["job_class"]] += time
        weighed[job["weight"]] += time
        weights[job["weight"]] += 1
    late = [max(0, job["finish"] - job["due"]) for job in jobs if job["due"] < NEVER]
    end = max(job["finish"] for job in jobs)
    checks.that("an episode ends with its last job", end == played.time, end, played.time)
    fleet = facts.accelerators * end
    exact = {
        "mean_completion": Fraction(sum(spent), count),
        "mean_execution": Fraction(sum(job["finish"] - job["start"] for job in jobs), count),
        "mean_slowdown": sum(Fraction(time, best[kind]) for kind, time in slow.items()) / count,
        "mean_predicting": Fraction(sum(job["ready"] - job["arrival"] for job in jobs), count),
        "mean_weighted_completion": _sum_of(weighed) / _sum_of(weights),
        "missed_deadlines": Fraction(sum(time > 0 for time in late), max(1, len(late))),
        "mean_tardiness": Fraction(sum(late), max(1, len(late))),
        "utilisation": Fraction(busy, fleet),
        "makespan": Fraction(end),
        "mean_failures": Fraction(played.failures),
        "mean_aborted": Fraction(len(played.aborted)),
    }
    for name, value in exact.items():
        checks.near(name, told[name], value, METRIC)
    down = sum(stop - start for _, start, stop in played.downs)
    checks.near("availability", told["availability"], 1 - Fraction(down, fleet), METRIC, 1)
    checks.near("energy_pj", told["energy_pj"], energy, ENERGY, gross)
    checks.near("mean_energy_pj", told["mean_energy_pj"], energy / count, ENERGY, gross / count)
    checks.that("every metric is checked", len(told) == len(exact) + 3, sorted(told))


def _sum_of(times):
    """Return the sum of the keys, floats, each times its value."""
    return sum(Fraction(weight) * value for weight, value in times.items())


def _check_return(checks, facts, played, returned, first_potential, energy, gross):
    jobs, price = played.jobs, facts.rewards
    weighed = Counter()
    for job in jobs:
        weighed[job["weight"]] += job["finish"] - job["arrival"]
    late = sum(max(0, job["finish"] - job["due"]) for job in jobs)
    cost = price["completion"] * sum(weighed.values()) + price["weighted"] * _sum_of(weighed)
    cost += price["tardiness"] * late
    size = cost + price["energy"] * gross
    cost += price["energy"] * energy
    relative = RETURN
    if facts.shaped:  # the potential of an empty system is 0
        first = Fraction(first_potential) / facts.unit
        cost, size, relative = cost - first, size + first, SHAPED
    share = Fraction(1, len(jobs) if facts.mean else 1)
    checks.near("the return is minus the objective", -returned, cost * share, relative, size * share)
