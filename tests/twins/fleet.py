"""The slow, obvious twin of the fleet simulator: plain Python objects, one lane, events in a sorted list.

What is charged is not summed up from event to event: it is worked out anew from the jobs and the runs.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from gnnsched_env.sim import Waiting
from gnnsched_env.tables import ERROR_LEVELS
from tests.twins import draws as naive_draws
from tests.twins.draws import draw_jobs, stream_key, uniform  # noqa: F401 (parts of the twin)

COMPLETION, CHANGE, ARRIVAL = 0, 1, 2  # the order of events of one moment


@dataclass
class Job:
    number: int
    arrival: int
    job_class: int
    ready: int
    due: int | None
    weight: float
    choice: int = -1
    start: int = -1
    finish: int = -1
    is_predicted: bool = False  # where jobs may come unpredicted
    believed: int = -1  # its class as the scheduler knows it

    def __post_init__(self):
        self.believed = self.job_class


@dataclass
class Machine:
    running: Job | None = None
    until: int = 0
    believed_until: int = 0
    began: int = 0  # when its job began after the change of dataflow
    choice: int = -1
    backlog: list = field(default_factory=list)
    up: bool = True
    changed: int = 0

    @property
    def idle(self):
        return self.up and self.running is None


@dataclass
class Run:
    machine: int
    job: int
    choice: int
    start: int
    planned: int  # when it would finish
    finish: int  # when it did, by failure or as planned
    energy: float  # of the whole run

    @property
    def share(self):
        return (self.finish - self.start) / (self.planned - self.start)


class NaiveFleet:
    """One lane, played from `table` (of one inference), `config` (SimulationSettings) and `reconfiguration` [A]."""

    def __init__(self, table, config, seed, episode, reconfiguration):
        repeats = config.repeats
        self.config = config
        self.weights = table.weights.tolist()
        self.true, self.predicted = (
            [[repeats * cycles for cycles in row] for row in cycles.tolist()]
            for cycles in (table.true_cycles, table.predicted_cycles)
        )
        energy = table.energy_pj
        self.energy = [[0.0] * len(row) for row in self.true] if energy is None else (energy * repeats).tolist()
        if config.skip_below:  # a class for jobs that come unpredicted: averages over the predictor's training set
            average = [max(1, round(repeats * math.exp(mean))) for mean in table.mean_log_cycles.tolist()]
            self.true, self.predicted = [*self.true, average], [*self.predicted, average]
            self.weights.append(0.0)
            of_choices = list(zip(*self.energy, strict=True))
            self.energy += [
                [
                    math.exp(math.fsum(map(math.log, own)) / len(own)) if energy is not None else 0.0
                    for own in of_choices
                ]
            ]
        self.errors = None if table.log_errors is None or not table.log_errors.any() else table.log_errors
        self.known = table.predicted_cycles * repeats, table.weights
        self.told = {}  # ratios that were worked out before
        self.owners = table.choice_accelerators.tolist()
        self.machines = [Machine() for _ in range(max(self.owners) + 1)]
        self.reconfiguration = reconfiguration
        self.jobs = [Job(*of) for of in naive_draws.draw_all(table, config, seed, episode)]
        self.to_come = list(self.jobs)
        self.dispatch, self.window = config.dispatch, config.window
        self.waiting, self.done, self.runs, self.aborted, self.downs = [], [], [], [], []
        self.time = self.decided = self.elapsed = self.steps = self.most_waiting = 0
        self.recent_gap, self.last_arrival, self.was_legal = 0.0, 0, True
        self.free = 0  # where jobs may come unpredicted: when the predictor is free
        self.upcoming_changes = []
        if config.mean_up:
            numbers = range(len(self.machines))
            self.upcoming_changes = [
                naive_draws.changes(seed, episode, a, config.mean_up, config.mean_down) for a in numbers
            ]
        self.next_change = [next(moments) for moments in self.upcoming_changes]
        self.charged = 0.0
        self.run()
        self.revise()
        self.decided, self.potential = self.time, self.drain_cost()

    @property
    def columns(self):
        return len(self.owners) if self.config.choose_dataflow else len(self.machines)

    @property
    def came(self):
        return self.jobs[: len(self.jobs) - len(self.to_come)]

    @property
    def ended(self):
        return len(self.done) == len(self.jobs)

    def choice(self, job, column):
        """Return the choice that a column means for a job."""
        if self.config.choose_dataflow:
            return column
        own = [choice for choice, owner in enumerate(self.owners) if owner == column]
        return min(own, key=lambda choice: self.predicted[job.believed][choice])

    def shown(self):
        return self.waiting[: self.window]

    def may_wait(self):
        if self.config.waiting is Waiting.NEEDED:
            return False
        running = any(machine.running for machine in self.machines)
        return running or (self.config.waiting is Waiting.FREE and bool(self.to_come))

    def legal(self):
        owners = self.owners if self.config.choose_dataflow else range(len(self.machines))
        if self.dispatch:
            all_down = not any(machine.up for machine in self.machines)
            return [all_down or self.machines[owner].up for owner in owners]
        by_choice = self.config.waiting is Waiting.BY_CHOICE
        named = [machine.idle or (machine.up and by_choice) for machine in map(self.machines.__getitem__, owners)]
        slots = [flag for _ in self.shown() for flag in named]
        slots += [False] * (self.columns * self.window - len(slots))
        return [*slots[:-1], slots[-1] or self.ended] if by_choice else [*slots, self.may_wait() or self.ended]

    def step(self, action):
        """Take an action; return what it cost until the next decision (and before the first), in cycles."""
        legal = self.legal()
        self.was_legal = 0 <= action < len(legal) and legal[action]
        wait = self.window * self.columns
        if not self.was_legal:
            waits = not self.dispatch and self.may_wait()
            action = wait if waits else legal.index(True)
        if self.dispatch:
            job = self.waiting.pop(0)
            self.send(job, self.choice(job, action))
        elif action == wait:
            self.event()
        else:
            slot, column = divmod(action, self.columns)
            choice = self.choice(self.waiting[slot], column)
            if self.machines[self.owners[choice]].idle:
                self.start(self.owners[choice], self.waiting.pop(slot), choice)
            else:
                self.event()
        self.run()
        return self.settle()

    def settle(self):
        self.revise()
        self.elapsed, self.decided = self.time - self.decided, self.time
        self.steps += 1
        before, self.charged = self.charged, self.objective()
        cost = self.charged - before
        if self.config.shaped:
            before, self.potential = self.potential, self.drain_cost()
            cost += self.potential - before
        return cost

    def objective(self):
        """Return all that has been charged so far."""
        config, cost = self.config, 0.0
        for job in self.came:
            spent = (job.finish if job.finish >= 0 else self.time) - job.arrival
            cost += (config.completion + config.weighted * job.weight) * spent
            if job.finish >= 0 and job.due is not None:
                cost += config.tardiness * max(0, job.finish - job.due)
        return cost + (config.energy * self.total_energy() if config.energy else 0.0)

    def total_energy(self):
        """Return the energy of all runs; a failed one used the share that it ran, one under way is charged whole."""
        running = [machine for machine in self.machines if machine.running]
        under_way = sum(self.energy[machine.running.job_class][machine.choice] for machine in running)
        return sum(run.energy * run.share for run in self.runs) + under_way

    def busy_cycles(self, number):
        """Return how long a machine was busy, up to the end of the run under way."""
        machine = self.machines[number]
        under_way = machine.until - machine.running.start if machine.running else 0
        return sum(run.finish - run.start for run in self.runs if run.machine == number) + under_way

    def shortest(self, job):
        return min(self.predicted[job.believed])

    def preferred(self, job):
        row = self.predicted[job.believed]
        return self.owners[row.index(min(row))]

    def backlog_work(self, machine):
        return sum(self.predicted[job.believed][choice] for job, choice in machine.backlog)

    def drain_cost(self):
        cost, free = 0.0, []
        for machine in self.machines:
            ahead = 0 if machine.up else self.config.mean_down
            if machine.running:
                ahead = max(0, machine.believed_until - self.time)
                cost += ahead
            work, count = self.backlog_work(machine), len(machine.backlog)
            cost += sum(ahead + work / count * place for place in range(1, count + 1))
            free.append(ahead + work)
        for job in self.waiting:
            free[self.preferred(job)] += self.shortest(job)
            cost += free[self.preferred(job)]
        return cost

    def start(self, number, job, choice):
        machine = self.machines[number]
        extra = self.reconfiguration[number] if machine.choice not in (-1, choice) else 0
        machine.running, machine.choice = job, choice
        machine.until = self.time + self.true[job.job_class][choice] + extra
        machine.began = self.time + extra
        machine.believed_until = machine.began + round_half_up(self.expected(job, choice, 0))
        job.choice, job.start = choice, self.time

    def expected(self, job, choice, ran):
        """Return the latency that a job is expected to have, given that it has run for so many cycles."""
        predicted = self.predicted[job.believed][choice]
        if self.errors is None:
            return predicted
        possible = [predicted * ratio for ratio in self.ratios(job, choice)]
        tail = possible[len(possible) * 19 // 20 :]
        left = [cycles for cycles in possible if cycles > ran]
        if ran < tail[0] or ran == 0:
            return math.fsum(left) / len(left)
        return ran * math.fsum(tail) / len(tail) / tail[0]

    def ratios(self, job, choice):
        """Return the equally likely ratios of a job's true to its predicted latency, smallest first."""
        errors = self.errors[:, choice]
        unpredicted = bool(self.config.skip_below) and job.believed == len(self.predicted) - 1
        if (unpredicted, choice) not in self.told:
            self.told[unpredicted, choice] = (
                unpredicted_ratios(*self.known, errors, self.predicted[-1][choice], choice)
                if unpredicted
                else np.exp(errors).tolist()
            )
        return self.told[unpredicted, choice]

    def revise(self):
        """Look again at when the running jobs are expected to finish."""
        for machine in self.machines:
            if machine.running and self.errors is not None:
                ran = max(0, self.time - machine.began)
                expected = self.expected(machine.running, machine.choice, ran)
                machine.believed_until = machine.began + round_half_up(expected)

    def stop(self, number):
        """Take the running job from a machine and note its run."""
        machine = self.machines[number]
        job, machine.running = machine.running, None
        energy = self.energy[job.job_class][job.choice]
        self.runs.append(Run(number, job.number, job.choice, job.start, machine.until, self.time, energy))
        return job

    def start_next(self, number):
        if self.machines[number].backlog:
            self.start(number, *self.machines[number].backlog.pop(0))

    def send(self, job, choice):
        machine = self.machines[self.owners[choice]]
        job.choice = choice
        if machine.idle:
            self.start(self.owners[choice], job, choice)
        else:
            machine.backlog.append((job, choice))

    def beliefs(self):
        """Return, for each machine, when its job is believed to end (None if idle) and the work in its own queue."""
        ends = [machine.believed_until if machine.running else None for machine in self.machines]
        return list(zip(ends, map(self.backlog_work, self.machines), strict=True))

    def down_intervals(self):
        """Return [(machine, from, until)], by machine, until now where one is still down."""
        still = [(a, machine.changed, self.time) for a, machine in enumerate(self.machines) if not machine.up]
        return sorted(self.downs + still)

    def events(self):
        """Return what can happen next, first to last: (time, kind, number)."""
        ends = [(machine.until, COMPLETION, a) for a, machine in enumerate(self.machines) if machine.running]
        failing = [(time, CHANGE, a) for a, time in enumerate(self.next_change)]
        arrivals = [(max(self.free, job.ready), ARRIVAL, job.number) for job in self.to_come[:1]]
        return sorted(ends + failing + arrivals)

    def event(self):
        self.time, kind, number = self.events()[0]
        if kind == COMPLETION:
            job = self.stop(number)
            job.finish = self.time
            self.done.append(job)
            self.start_next(number)
        elif kind == CHANGE:
            self.change(number)
        else:
            self.come(self.to_come.pop(0))

    def come(self, job):
        """Let a job join the waiting ones; the recent gap is an average that forgets: a sixteenth of each new gap."""
        if self.config.skip_below:
            in_queues = len(self.waiting) + sum(len(machine.backlog) for machine in self.machines)
            if not job.is_predicted and in_queues >= self.config.skip_below:
                job.is_predicted, self.free = True, self.time + self.config.decision
                self.to_come.insert(0, job)
                return
            job.believed = job.job_class if job.is_predicted else len(self.true) - 1
            job.ready = self.free = self.time
        gap = job.arrival - self.last_arrival
        self.recent_gap = float(gap) if job.number == 0 else self.recent_gap + (gap - self.recent_gap) / 16
        self.last_arrival = job.arrival
        self.wait(job)

    def wait(self, job):
        self.waiting.append(job)
        if self.config.window_order.name == "SHORTEST":
            self.waiting.sort(key=lambda other: (self.shortest(other), other.number))
        else:
            self.waiting.sort(key=lambda other: other.number)
        self.most_waiting = max(self.most_waiting, len(self.waiting))

    def change(self, number):
        """Let a machine fail, its job going back to where it came from, or come back."""
        machine = self.machines[number]
        self.next_change[number] = next(self.upcoming_changes[number])
        if machine.up:
            if machine.running:
                job = self.stop(number)
                self.aborted.append(self.runs[-1])
                job.start = -1
                if self.dispatch:
                    machine.backlog.insert(0, (job, job.choice))
                else:
                    job.choice = -1
                    self.wait(job)
            machine.choice = -1
        else:
            self.downs.append((number, machine.changed, self.time))
            self.start_next(number)
        machine.up, machine.changed = not machine.up, self.time

    def run(self):
        while not self.ended:
            if self.waiting and self.dispatch:
                return
            idle = any(machine.idle for machine in self.machines)
            upcoming = self.events()
            if self.waiting and idle and (not upcoming or upcoming[0][0] > self.time):
                return
            self.event()


def round_half_up(number):
    return math.floor(number + 0.5)


def unpredicted_ratios(predicted, weights, errors, average, choice):
    """Return quantiles of the latency of a job of the workload over an average one's, under a choice.

    At each of the 200 levels, the workload's predictions have a quantile; each of them errs in 200 equally likely ways.
    """
    own, shares = zip(*sorted(zip(predicted[:, choice].tolist(), weights.tolist(), strict=True)), strict=True)
    reached = np.cumsum(shares) / sum(shares)
    drawn = [own[min(sum(reached < level), len(own) - 1)] for level in ERROR_LEVELS]
    possible = [math.log(cycles / average) + error for cycles in drawn for error in errors]
    return np.exp(np.quantile(possible, ERROR_LEVELS)).tolist()
