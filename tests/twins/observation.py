"""What an observation must say of a naive fleet, worked out field by field."""

import math

import numpy as np

from gnnsched_env.envs.spaces import ACCELERATOR_FIELDS, SLOT_FIELDS, SYSTEM_FIELDS


def time(cycles):
    return min(1.0, math.log2(1 + cycles) / 40)


def share(count, window):
    return count / (count + window)


def slot(fleet, job):
    due = 1.0
    if job.due is not None:
        away = time(abs(job.due - fleet.time)) / 2
        due = 0.5 + away if job.due >= fleet.time else 0.5 - away
    return {
        "present": 1.0,
        "waited": time(fleet.time - job.arrival),
        "shortest": time(min(fleet.predicted[job.believed])),
        "longest": time(max(fleet.predicted[job.believed])),
        "weight": share(job.weight, 1.0),
        "due": due,
    }


def accelerator(fleet, number):
    machine = fleet.machines[number]
    remaining = fleet.backlog_work(machine)
    if machine.running:
        remaining += max(0, machine.believed_until - fleet.time)
    if not machine.up:
        remaining += int(fleet.config.mean_down)
    own = [choice for choice, owner in enumerate(fleet.owners) if owner == number]
    work = sum(fleet.shortest(job) for job in fleet.waiting)
    mine = sum(fleet.shortest(job) for job in fleet.waiting if fleet.preferred(job) == number)
    return {
        "busy": float(machine.running is not None),
        "remaining": time(remaining),
        "queued": share(len(machine.backlog), fleet.window),
        "configured": 0.0 if machine.choice < 0 else (own.index(machine.choice) + 1) / len(own),
        "up": float(machine.up),
        "preferred_share": mine / max(1, work),
        "down_for": 0.0 if machine.up else time(fleet.time - machine.changed),
        "switching": time(fleet.reconfiguration[number]),
    }


def system(fleet):
    behind = fleet.waiting[fleet.window :]
    return {
        "in_system": share(len(fleet.came) - len(fleet.done), fleet.window),
        "waiting": share(len(fleet.waiting), fleet.window),
        "behind": share(len(behind), fleet.window),
        "behind_work": time(sum(fleet.shortest(job) for job in behind)),
        "waiting_work": time(sum(fleet.shortest(job) for job in fleet.waiting)),
        "recent_gap": time(int(fleet.recent_gap)),
        "to_come": len(fleet.to_come) / len(fleet.jobs),
        "count_to_come": share(len(fleet.to_come), fleet.window),
        "elapsed": time(fleet.elapsed),
    }


def observe(fleet, price):
    """Return the arrays of an observation, by name; `price` [A] is what accelerators are worth."""
    slots = [slot(fleet, job) for job in fleet.shown()]
    slots += [dict.fromkeys(SLOT_FIELDS, 0.0)] * (fleet.window - len(slots))
    latencies = [[time(cycles) for cycles in fleet.predicted[job.believed]] for job in fleet.shown()]
    latencies += [[0.0] * len(fleet.owners)] * (fleet.window - len(latencies))
    machines = [accelerator(fleet, a) | {"price": price[a]} for a in range(len(fleet.machines))]
    return {
        "slots": np.array([[row[name] for name in SLOT_FIELDS] for row in slots]).ravel(),
        "latencies": np.array(latencies).ravel(),
        "accelerators": np.array([[row[name] for name in ACCELERATOR_FIELDS] for row in machines]).ravel(),
        "system": np.array([system(fleet)[name] for name in SYSTEM_FIELDS]),
    }
