"""The jobs of an episode, drawn when it starts: arrivals, classes, due times, weights, and when each is predicted.

Random numbers are counter-based (splitmix64, Steele, Lea and Flood 2014, keyed by seed, episode and purpose, counted by
job or by phase), so they depend neither on actions nor on other lanes.
"""

import math

import numpy as np

from gnnsched_env.common.compiled import announced, bare_kernel, inlined
from gnnsched_env.common.random_streams import stream_key, uniform
from gnnsched_env.sim.records import NEVER

GAP_PURPOSE = 1
CLASS_PURPOSE = 2
PHASE_PURPOSE = 3
SLACK_PURPOSE = 4
WEIGHT_PURPOSE = 5
STEADY, PERIODIC, MARKOV = 0, 1, 2  # how the arrival rate changes


@announced("the simulator", 20)
@bare_kernel
def draw(settings, mixes, guide, phases, priorities, lanes, jobs, free, known, seeds, episodes, which):
    """Draw the jobs of the lanes named by `which`: arrivals, classes, due times, weights, and when each is predicted.

    `settings` SETTINGS [1], `lanes` LANE [L], `jobs` JOB [L, J]. `mixes` float64 [M, C]: cumulative shares of the
    classes, in turn; `guide` int32 [M, n]: where to begin to search them; `phases` PHASE [N]: lengths and rates of the
    arrival process; `priorities` float64 [N, 2]: cumulative share and weight. `free` int64 [workers] and `known` uint8
    [C] are scratch of the predictor.
    """
    for i in range(len(lanes)):
        if which[i]:
            _draw_arrivals(settings, phases, i, jobs, seeds[i], episodes[i])
            _draw_jobs(settings, mixes, guide, priorities, i, jobs, seeds[i], episodes[i])
            set_ready(settings, i, jobs, free, known)


@inlined
def _draw_arrivals(settings, phases, i, jobs, seed, episode):
    """Draw arrival times: a Poisson process, its rate constant or changing from phase to phase.

    A gap is an exponential draw of mean 1, spent at the rate of each phase that it passes.
    """
    key = stream_key(seed, episode, settings[0]["purpose"] + GAP_PURPOSE)
    mean_gap, kind = settings[0]["mean_gap"], settings[0]["modulation"]
    arrival = np.int64(0)
    if kind == STEADY:
        for number in range(jobs.shape[1]):
            arrival += np.int64(math.floor(-math.log(1.0 - uniform(key, number)) * mean_gap + 0.5))
            jobs[i, number]["arrival"] = arrival
        return
    phase_key = stream_key(seed, episode, settings[0]["purpose"] + PHASE_PURPOSE)
    phase, left = _first_phase(kind, phases, phase_key)
    passed = 1
    for number in range(jobs.shape[1]):
        due = -math.log(1.0 - uniform(key, number)) * mean_gap
        gap = 0.0
        while phases[phase]["rate"] * left <= due:
            due -= phases[phase]["rate"] * left
            gap += left
            phase = (phase + 1) % len(phases)
            left = phases[phase]["length"]
            if kind == MARKOV:
                passed += 1
                left *= -math.log(1.0 - uniform(phase_key, passed))
        spent = due / phases[phase]["rate"]
        left -= spent
        arrival += np.int64(math.floor(gap + spent + 0.5))
        jobs[i, number]["arrival"] = arrival


@inlined
def _first_phase(kind, phases, key):
    """Return the phase in which an episode starts and what is left of it: a random moment of the process."""
    total = 0.0
    for p in range(len(phases)):
        total += phases[p]["length"]
    moment = uniform(key, 0) * total
    phase = 0
    while phase < len(phases) - 1 and moment >= phases[phase]["length"]:
        moment -= phases[phase]["length"]
        phase += 1
    if kind == MARKOV:
        return phase, -math.log(1.0 - uniform(key, 1)) * phases[phase]["length"]
    return phase, phases[phase]["length"] - moment


@inlined
def _draw_jobs(settings, mixes, guide, priorities, i, jobs, seed, episode):
    """Draw what each job is: its class from the mix of its time, its due time and its weight."""
    class_key = stream_key(seed, episode, settings[0]["purpose"] + CLASS_PURPOSE)
    slack_key = stream_key(seed, episode, settings[0]["purpose"] + SLACK_PURPOSE)
    weight_key = stream_key(seed, episode, settings[0]["purpose"] + WEIGHT_PURPOSE)
    low, span = settings[0]["slack_low"], settings[0]["slack_high"] - settings[0]["slack_low"]
    for number in range(jobs.shape[1]):
        job = jobs[i, number]
        turn = 0
        if len(mixes) > 1:
            turn = number % settings[0]["mix_jobs"] * len(mixes) // settings[0]["mix_jobs"]
        job["job_class"] = _search(mixes, guide, turn, uniform(class_key, number))
        job["believed_class"] = job["job_class"]
        job["due"] = NEVER
        if settings[0]["due"]:
            job["due"] = job["arrival"] + np.int64(math.floor(low + span * uniform(slack_key, number) + 0.5))
        job["weight"] = priorities[0, 1]
        if len(priorities) > 1:
            place = 0
            part = uniform(weight_key, number)
            while place < len(priorities) - 1 and priorities[place, 0] <= part:
                place += 1
            job["weight"] = priorities[place, 1]


@inlined
def _search(shares, guide, row, part):
    """Return the first place of a row of cumulative shares that is above `part`, at most the last.

    `guide` tells where to begin, for each of its equal parts of [0, 1) (an indexed search, Chen and Asau 1974).
    """
    place = guide[row, int(part * guide.shape[1])]
    while place < shares.shape[1] - 1 and shares[row, place] <= part:
        place += 1
    return place


@bare_kernel
def set_ready(settings, i, jobs, free, known):
    """Set when each job comes to the scheduler: when it and all jobs before it have been predicted.

    All predictions take equally long, so workers finish in the order in which they started: number n of an episode
    takes the worker of number n - k, k being the workers. A lookup needs no worker. Where jobs may come unpredicted, it
    is seen when they come (`transition._goes_to_predictor`).
    """
    if settings[0]["decision"] == 0 or settings[0]["skip_below"] > 0:
        for number in range(jobs.shape[1]):
            jobs[i, number]["ready"] = jobs[i, number]["arrival"]
        return
    for w in range(len(free)):
        free[w] = 0
    for c in range(len(known)):
        known[c] = 0
    started = 0
    last = np.int64(0)
    for number in range(jobs.shape[1]):
        job = jobs[i, number]
        if settings[0]["cached"] and known[job["job_class"]]:
            ready = job["arrival"] + settings[0]["lookup"]
        else:
            known[job["job_class"]] = 1
            worker = started % len(free)
            started += 1
            ready = max(job["arrival"], free[worker]) + settings[0]["decision"]
            free[worker] = ready
        last = max(last, ready)
        job["ready"] = last
