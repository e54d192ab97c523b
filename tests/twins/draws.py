"""The slow, obvious twin of what the simulator draws: arrivals, classes, predictions, failures."""

import math
import struct
from itertools import accumulate

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
GAPS, CLASSES, PHASES, SLACKS, WEIGHTS, FAILURES = 1, 2, 3, 4, 5, 64  # streams of random numbers
MIX_TURNS = 64


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


def exponential(key, index):
    return -math.log(1 - uniform(key, index))


def nearest(value):
    return math.floor(value + 0.5)


def pick(cdf, draw):
    return next(place for place, share in enumerate(cdf) if share > draw or place == len(cdf) - 1)


def draw_jobs(seed, episode, count, mean_gap, cdf):
    """Return [(arrival, class)] of an episode with a steady rate and mix."""
    arrivals = draw_arrivals(seed, episode, count, mean_gap)
    key = stream_key(seed, episode, CLASSES)
    return [(time, pick(cdf, uniform(key, number))) for number, time in enumerate(arrivals)]


def stretches(seed, episode, phases, markov):
    """Yield (length, rate) of the stretches of time that follow one another, from a random moment of the process."""
    key = stream_key(seed, episode, PHASES)
    moment = uniform(key, 0) * sum(length for length, _ in phases)
    place = 0
    while place < len(phases) - 1 and moment >= phases[place][0]:
        moment -= phases[place][0]
        place += 1
    length, rate = phases[place]
    yield (exponential(key, 1) * length if markov else length - moment), rate
    number = 1
    while True:
        number += 1
        place = (place + 1) % len(phases)
        length, rate = phases[place]
        yield (exponential(key, number) * length if markov else length), rate


def draw_arrivals(seed, episode, count, mean_gap, phases=(), markov=False):
    """Return when the jobs of an episode arrive: an exponential draw a job, used up at the rate of each stretch."""
    key = stream_key(seed, episode, GAPS)
    if not phases:
        return list(accumulate(nearest(exponential(key, number) * mean_gap) for number in range(count)))
    following = stretches(seed, episode, phases, markov)
    left, rate = next(following)
    gaps = []
    for number in range(count):
        due, gap = exponential(key, number) * mean_gap, 0.0
        while rate * left <= due:
            due -= rate * left
            gap += left
            left, rate = next(following)
        left -= due / rate
        gaps.append(nearest(gap + due / rate))
    return list(accumulate(gaps))


def swings(weights, groups, turn):
    """Return how far each class swings in a turn: a cosine, a group after the other, less its mean over the jobs."""
    count = max(groups) + 1
    cosines = [math.cos(2 * math.pi * (turn / MIX_TURNS - group / count)) for group in groups]
    mean = sum(weight * cosine for weight, cosine in zip(weights, cosines, strict=True))
    return [cosine - mean for cosine in cosines]


def mix(weights, groups, drift, turn):
    """Return the cumulative shares of the classes in a turn of a drifting mix."""
    turned = weights
    if drift:
        furthest = max(1.0, -min(min(swings(weights, groups, other)) for other in range(MIX_TURNS)))
        swung = swings(weights, groups, turn)
        turned = [weight * (1 + drift * swing / furthest) for weight, swing in zip(weights, swung, strict=True)]
    total = list(accumulate(turned))
    return [share / total[-1] for share in total]


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


def changes(seed, episode, machine, mean_up, mean_down):
    """Yield the moments at which an accelerator fails, comes back, fails ..., at least a cycle apart."""
    key, moment, number = stream_key(seed, episode, FAILURES + machine), 0, 0
    while True:
        moment += max(1, nearest(exponential(key, number) * (mean_down if number % 2 else mean_up)))
        yield moment
        number += 1


def draw_all(table, config, seed, episode):
    """Return [(number, arrival, class, ready, due or None, weight)] of an episode (config: SimulationSettings)."""
    count, markov = config.jobs, config.modulation.name == "MARKOV"
    arrivals = draw_arrivals(seed, episode, count, config.mean_gap, config.phases, markov)
    classes, slack, weight = (stream_key(seed, episode, purpose) for purpose in (CLASSES, SLACKS, WEIGHTS))
    turns = [number % config.mix_jobs * MIX_TURNS // config.mix_jobs for number in range(count)]
    mixes = {turn: mix(table.weights.tolist(), table.class_groups.tolist(), config.drift, turn) for turn in set(turns)}
    kinds = [pick(mixes[turn], uniform(classes, number)) for number, turn in enumerate(turns)]
    pairs = list(zip(arrivals, kinds, strict=True))
    ready = (
        arrivals
        if config.skip_below
        else ready_times(pairs, config.decision, config.workers, config.cached, config.lookup)
    )
    dues, weights = [None] * count, [1.0] * count
    if config.slack:
        low, high = config.slack
        dues = [arrivals[n] + nearest(low + (high - low) * uniform(slack, n)) for n in range(count)]
    if config.priorities:
        shares = [share for _, share in config.priorities]
        cdf = [part / sum(shares) for part in accumulate(shares)]
        weights = [single(config.priorities[pick(cdf, uniform(weight, n))][0]) for n in range(count)]
    return list(zip(range(count), arrivals, kinds, ready, dues, weights, strict=True))


def single(value):
    """Return the nearest number of single precision, in which weights are kept."""
    return struct.unpack("f", struct.pack("f", value))[0]
