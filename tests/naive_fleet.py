"""The slow, obvious twin of the fleet simulator: plain Python objects, one lane, events in a sorted list."""

import math
from dataclasses import dataclass, field

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def splitmix_output(state):
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def stream_key(seed, episode, purpose):
    key = splitmix_output((seed + GOLDEN) & MASK)
    key = splitmix_output(key ^ ((episode + GOLDEN) & MASK))
    return splitmix_output(key ^ ((purpose * GOLDEN) & MASK))


def uniform(key, index):
    return (splitmix_output((key + (index + 1) * GOLDEN) & MASK) >> 11) / 2**53


def draw_jobs(seed, episode, count, mean_gap, cdf):
    """Return [(arrival, class)] of an episode."""
    gap_key, class_key = stream_key(seed, episode, 1), stream_key(seed, episode, 2)
    time, jobs = 0, []
    for index in range(count):
        time += math.floor(-math.log(1 - uniform(gap_key, index)) * mean_gap + 0.5)
        draw = uniform(class_key, index)
        jobs.append((time, next(c for c, share in enumerate(cdf) if share > draw or c == len(cdf) - 1)))
    return jobs


def ready_times(jobs, decision, workers, cached, lookup):
    """Return when each of [(arrival, class)] comes to the scheduler: a line of jobs before some workers.

    A job takes the worker that is free first; what is predicted is handed over in the order of arrival.
    """
    free, known, handed_over = [0] * workers, set(), []
    for arrival, job_class in jobs:
        if cached and job_class in known:
            done = arrival + lookup
        else:
            worker = free.index(min(free))
            done = free[worker] = max(arrival, free[worker]) + decision
            known.add(job_class)
        handed_over.append(max([done, *handed_over]))
    return handed_over


@dataclass
class Job:
    number: int
    arrival: int
    job_class: int
    ready: int
    choice: int = -1
    start: int = -1
    finish: int = -1


@dataclass
class Machine:
    running: Job | None = None
    until: int = 0
    believed_until: int = 0
    choice: int = -1
    backlog: list = field(default_factory=list)


class NaiveFleet:
    """One lane; `true`, `predicted` lists of lists; `owners` the accelerator of each choice."""

    def __init__(
        self,
        true,
        predicted,
        owners,
        jobs,
        *,
        window,
        dispatch=False,
        shortest=False,
        reconfiguration=None,
        choose_dataflow=True,
        repeats=1,
        ready=None,
    ):
        self.true, self.predicted = (
            [[repeats * cycles for cycles in row] for row in table] for table in (true, predicted)
        )
        self.owners = owners
        self.machines = [Machine() for _ in range(max(owners) + 1)]
        self.reconfiguration = reconfiguration or [0] * len(self.machines)
        ready = ready or [arrival for arrival, _ in jobs]
        self.jobs = [Job(number, *job, ready[number]) for number, job in enumerate(jobs)]
        self.to_come = list(self.jobs)
        self.window, self.dispatch, self.shortest = window, dispatch, shortest
        self.choose_dataflow = choose_dataflow
        self.waiting, self.done, self.time, self.cost = [], [], 0, 0
        self.run()

    @property
    def columns(self):
        return len(self.owners) if self.choose_dataflow else len(self.machines)

    def choice(self, job, column):
        """Return the choice that a column means for a job."""
        if self.choose_dataflow:
            return column
        own = [choice for choice, owner in enumerate(self.owners) if owner == column]
        return min(own, key=lambda choice: self.predicted[job.job_class][choice])

    @property
    def ended(self):
        return len(self.done) == len(self.jobs)

    def shown(self):
        return self.waiting[: self.window]

    def may_wait(self):
        return bool(self.to_come) or any(machine.running for machine in self.machines)

    def legal(self):
        if self.dispatch:
            return [True] * self.columns
        owners = self.owners if self.choose_dataflow else range(len(self.machines))
        idle = [self.machines[owner].running is None for owner in owners]
        slots = [flag for _ in self.shown() for flag in idle]
        return slots + [False] * (self.columns * self.window - len(slots)) + [self.may_wait() or self.ended]

    def start(self, machine_number, job, choice):
        machine = self.machines[machine_number]
        extra = self.reconfiguration[machine_number] if machine.choice not in (-1, choice) else 0
        machine.running, machine.choice = job, choice
        machine.until = self.time + self.true[job.job_class][choice] + extra
        machine.believed_until = self.time + self.predicted[job.job_class][choice] + extra
        job.choice, job.start = choice, self.time

    def step(self, action):
        """Take an action; return the job-time that passed until the next decision (and before the first)."""
        if self.dispatch:
            job = self.waiting.pop(0)
            self.send(job, self.choice(job, action))
        else:
            legal = self.legal()
            if not legal[action]:
                action = len(legal) - 1 if self.may_wait() else legal.index(True)
            if action == len(legal) - 1:
                self.event()
            else:
                slot, column = divmod(action, self.columns)
                job = self.waiting.pop(slot)
                choice = self.choice(job, column)
                self.start(self.owners[choice], job, choice)
        self.run()
        cost, self.cost = self.cost, 0
        return cost

    def send(self, job, choice):
        machine = self.machines[self.owners[choice]]
        if machine.running is None:
            self.start(self.owners[choice], job, choice)
        else:
            machine.backlog.append((job, choice))

    def beliefs(self):
        """Return, for each machine, when its job is believed to end (None if idle) and the work in its own queue."""
        return [
            (
                machine.believed_until if machine.running else None,
                sum(self.predicted[job.job_class][choice] for job, choice in machine.backlog),
            )
            for machine in self.machines
        ]

    def events(self):
        """Return what can happen next, first to last: (time, completion before a job that comes, number)."""
        ends = [(machine.until, 0, number) for number, machine in enumerate(self.machines) if machine.running]
        arrivals = [(job.ready, 1, job.number) for job in self.to_come]
        return sorted(ends + arrivals)

    def event(self):
        time, kind, number = self.events()[0]
        arrived = len(self.jobs) - len(self.to_come)
        self.cost += (arrived - len(self.done)) * (time - self.time)
        self.time = time
        if kind == 0:
            machine = self.machines[number]
            machine.running.finish = time
            self.done.append(machine.running)
            machine.running = None
            if machine.backlog:
                self.start(number, *machine.backlog.pop(0))
        else:
            job = self.to_come.pop(0)
            self.cost += job.ready - job.arrival  # the time under prediction, charged now
            self.waiting.append(job)
            if self.shortest:
                self.waiting.sort(key=lambda job: (min(self.predicted[job.job_class]), job.number))

    def run(self):
        while not self.ended:
            idle = any(machine.running is None for machine in self.machines)
            if self.waiting and self.dispatch:
                return
            upcoming = self.events()
            if self.waiting and idle and (not upcoming or upcoming[0][0] > self.time):
                return
            self.event()
