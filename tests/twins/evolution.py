"""Slow, obvious twins of evolution strategies and of what validation computes."""

import math


def centred_rank(value, values):
    """Return the mean place of a value among the sorted values, scaled to -0.5..0.5."""
    below = sum(other < value for other in values)
    equal = sum(other == value for other in values)
    place = sum(range(below, below + equal)) / equal
    return place / max(1, len(values) - 1) - 0.5


def gradient(steps, costs, sigma):
    """Return the direction in which ranks rise: the sum of all members' steps by their ranks, over members and sigma.

    `costs`: of the member of each step, then of its opposite, step after step.
    """
    total = [0.0] * len(steps[0])
    gains = [-cost for cost in costs]
    for number, step in enumerate(steps):
        for sign, gain in ((1, gains[2 * number]), (-1, gains[2 * number + 1])):
            for entry, length in enumerate(step):
                total[entry] += sign * length * centred_rank(gain, gains)
    return [entry / (2 * len(steps) * sigma) for entry in total]


def geometric_mean(values):
    """Return the root of the product."""
    return math.prod(values) ** (1 / len(values))


def mean_completion(simulation):
    """Return each lane's mean of finish - arrival, job by job."""
    return [sum(int(job["finish"]) - int(job["arrival"]) for job in lane) / len(lane) for lane in simulation.jobs]
