"""Slow, obvious versions of what the trainings in `agents` compute."""

import math


def gae(rewards, discounts, values, last_values, decay):
    """Advantages of one lane, lists of T: the sum over what follows of discounted one-step errors, term by term."""
    following = [*values[1:], last_values]
    errors = [r + d * v_next - v for r, d, v, v_next in zip(rewards, discounts, values, following, strict=True)]
    advantages = []
    for start in range(len(rewards)):
        total, weight = 0.0, 1.0
        for t in range(start, len(rewards)):
            total += weight * errors[t]
            weight *= discounts[t] * decay
        advantages.append(total)
    return advantages


def softmax(scores):
    """Probabilities of a list of scores."""
    largest = max(scores)
    weights = [math.exp(score - largest) for score in scores]
    return [weight / sum(weights) for weight in weights]


def insights(simulation, lane, unit, load, horizons):
    """What the critic sees of a lane, read off its jobs one by one."""
    state = simulation.lanes[lane]
    smallest = simulation.predicted.min(axis=1)
    jobs = simulation.jobs[lane]
    fleet, now = simulation.accelerators.shape[1], int(state["time"])
    come = [job for job in jobs if job["ready"] <= now]
    waiting = [simulation.queue[lane, state["head"] + w] for w in range(state["waiting"])]
    running = [accelerator for accelerator in simulation.accelerators[lane] if accelerator["job"] >= 0]
    work = sum(int(smallest[job["job_class"]]) for job in waiting) / unit
    remaining = sum(max(0, int(accelerator["believed_finish"]) - now) for accelerator in running) / fleet / unit
    system, left = len(waiting) + len(running), len(jobs) - len(come)
    row = [
        system / 32,
        math.log2(1 + system) / 4,
        work / 64,
        math.log2(1 + work) / 4,
        math.log2(1 + remaining) / 4,
        load,
        left / len(jobs),
        left / (left + 64),
    ]
    for horizon in horizons:
        soon = [job for job in jobs if job["ready"] > now and job["arrival"] <= now + horizon * unit]
        row.append(len(soon) / horizon / fleet)
        row.append(sum(int(smallest[job["job_class"]]) for job in soon) / unit / horizon / fleet)
    return row
