"""What the observation "pairs" must say of a naive fleet, worked out action by action and feature by feature."""

import math

import numpy as np

from gnnsched_env.envs.spaces import PAIR_FIELDS

BOUND = 4.0


def ratio(number):
    return max(-BOUND, min(BOUND, math.log2(number) / 4)) if number < math.inf else BOUND


def time(services):
    return min(BOUND, math.log2(1 + services) / 4)


def share(count):
    return count / (count + 8)


def unit(fleet):
    """Return the mean of the smallest predicted latencies, weighted as the classes are."""
    return sum(weight * min(row) for weight, row in zip(fleet.weights, fleet.predicted, strict=True))


def running_for(fleet, machine):
    return max(0, machine.believed_until - fleet.time) if machine.running else 0


def remaining(fleet, machine):
    """Return the believed cycles until a machine is free: its job, its own queue, and a mean repair while down."""
    return (
        running_for(fleet, machine) + fleet.backlog_work(machine) + (0 if machine.up else int(fleet.config.mean_down))
    )


def next_free(fleet):
    return min((running_for(fleet, machine) for machine in fleet.machines if machine.running), default=0)


def arrivals(fleet, cycles):
    return time(cycles / max(1.0, fleet.recent_gap)) if fleet.to_come else 0.0


def preferred_work(fleet, number):
    return sum(fleet.shortest(job) for job in fleet.waiting if fleet.preferred(job) == number)


def of_lane(fleet, rate):
    work = sum(fleet.shortest(job) for job in fleet.waiting)
    return {
        "waiting": share(len(fleet.waiting)),
        "behind": share(len(fleet.waiting[fleet.window :])),
        "waiting_work": time(work / unit(fleet) / len(fleet.machines)),
        "idle_share": sum(machine.idle for machine in fleet.machines) / len(fleet.machines),
        "next_free": time(next_free(fleet) / unit(fleet)),
        "load": min(2.0, 1 / (max(1.0, fleet.recent_gap) * rate)),
        "to_come": share(len(fleet.to_come)),
        "share_to_come": len(fleet.to_come) / len(fleet.jobs),
        "legal": 1.0,
    }


def of_machine(fleet, number, price):
    machine, work = fleet.machines[number], preferred_work(fleet, number)
    return {
        "idle": float(machine.idle),
        "up": float(machine.up),
        "remaining": time(remaining(fleet, machine) / unit(fleet)),
        "queued": share(len(machine.backlog)),
        "price": min(BOUND, price[number] * len(fleet.machines)),
        "preferred_share": work / max(1, sum(fleet.shortest(job) for job in fleet.waiting)),
        "preferred_work": time(work / unit(fleet)),
    }


def of_job(fleet, job):
    best = fleet.preferred(job)
    return {
        "age": time((fleet.time - job.arrival) / unit(fleet)),
        "weight": ratio(job.weight),
        "best_remaining": time(remaining(fleet, fleet.machines[best]) / unit(fleet)),
        "best_work": time(preferred_work(fleet, best) / unit(fleet)),
    }


def of_pair(fleet, job, column):
    choice = fleet.choice(job, column)
    number, row = fleet.owners[choice], fleet.predicted[job.believed]
    machine = fleet.machines[number]
    extra = fleet.reconfiguration[number] if machine.choice not in (-1, choice) else 0
    latency = row[choice]
    own = remaining(fleet, machine) + extra + latency
    others = [a for a in range(len(fleet.machines)) if a != number]
    completions = [
        remaining(fleet, fleet.machines[a]) + min(row[k] for k, owner in enumerate(fleet.owners) if owner == a)
        for a in others
    ]
    shown = [fleet.predicted[other.believed] for other in fleet.shown()]
    here = [fleet.predicted[other.believed][fleet.choice(other, column)] for other in fleet.shown()]
    regrets = [cycles / min(every) for cycles, every in zip(here, shown, strict=True)]
    slack = 1.0
    if job.due is not None:
        left = (job.due - fleet.time - own) / unit(fleet)
        slack = left / (1 + abs(left))
    energy = fleet.energy[job.believed]
    return {
        "latency": ratio(latency / unit(fleet)),
        "regret": ratio(latency / min(row)),
        "energy": ratio(energy[choice] / min(energy)) if fleet.config.energy else 0.0,
        "over_shortest": ratio(latency / min(here)),
        "shorter": sum(cycles < latency for cycles in here) / len(here),
        "suited": sum(regret < latency / min(row) for regret in regrets) / len(here),
        "switching": time(extra / unit(fleet)),
        "elsewhere": ratio(min(completions, default=math.inf) / own),
        "free_meanwhile": sum(remaining(fleet, fleet.machines[a]) < own for a in others) / max(1, len(others)),
        "arrivals_meanwhile": arrivals(fleet, own),
        "slack": slack,
    }


def observe(fleet, price, rate):
    """Return float64 [actions, PAIR_FIELDS]; `price` [A], `rate` the fleet's largest sustainable rate, jobs a cycle."""
    legal = fleet.legal()
    rows = np.zeros((len(legal), len(PAIR_FIELDS)))
    shown, lane, elsewhere = fleet.shown(), of_lane(fleet, rate), []
    for action in np.flatnonzero(legal).tolist():
        if not fleet.dispatch and action == fleet.window * fleet.columns:
            features = {
                "wait": 1.0,
                "remaining": time(next_free(fleet) / unit(fleet)),
                "arrivals_meanwhile": arrivals(fleet, next_free(fleet)),
                "elsewhere": max(elsewhere, default=0.0),
            }
        elif fleet.ended:
            features = {}
        else:
            slot, column = divmod(action, fleet.columns)
            owner = fleet.owners[column] if fleet.config.choose_dataflow else column
            job = shown[slot]
            features = of_machine(fleet, owner, price) | of_job(fleet, job) | of_pair(fleet, job, column)
            elsewhere.append(features["elsewhere"])
        rows[action] = [(features | lane).get(name, 0.0) for name in PAIR_FIELDS]
    return rows
