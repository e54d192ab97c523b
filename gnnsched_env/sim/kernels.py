"""The one transition: an event-driven fleet, compiled over a batch of lanes.

Every function works on the record arrays that `state.py` lays out. Events have a total order: time, then completions
before arrivals, then the accelerator's index or the job's number. A job comes to the scheduler (that is the event) when
its prediction is done: at once where predicting costs nothing. Its completion time counts from its arrival. Random
numbers are counter-based (splitmix64, Steele, Lea and Flood 2014, keyed by seed, episode and purpose, counted by job),
so they depend on neither actions nor lanes.
All that a kernel calls stands in this file, because numba's cache does not see edits elsewhere.
"""

import math

import numpy as np
from numba import njit

NEVER = 1 << 62
GAP_PURPOSE = 1
CLASS_PURPOSE = 2
GAP_MEMORY = 16.0  # gaps over which the recent arrival rate is averaged

# Without reference counts: nothing here allocates, and counting would cost more than the work (docs/design.md).
_compiled = njit(cache=True, error_model="numpy", _nrt=False)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_U1, _U11, _U27, _U30, _U31 = np.uint64(1), np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)


@_compiled
def mix(state):
    """Return splitmix64's output function of a uint64."""
    state = (state ^ (state >> _U30)) * _MIX_1
    state = (state ^ (state >> _U27)) * _MIX_2
    return state ^ (state >> _U31)


@_compiled
def stream_key(seed, episode, purpose):
    """Return the uint64 key of one stream of random numbers."""
    key = mix(seed + _GOLDEN)
    key = mix(key ^ (episode + _GOLDEN))
    return mix(key ^ (np.uint64(purpose) * _GOLDEN))


@_compiled
def uniform(key, index):
    """Return draw `index` of a stream: a float64 in [0, 1)."""
    return np.float64(mix(key + (np.uint64(index) + _U1) * _GOLDEN) >> _U11) * 1.1102230246251565e-16


@_compiled
def reset(
    settings, classes, true, predicted, best, owners, reconfiguration, lanes, accelerators, jobs, queue, free,
    known, seeds, episodes, which,
):  # fmt: skip
    """Empty the lanes named by `which` and run each to its first decision.

    `free` int64 [workers] and `known` uint8 [C] are scratch of the predictor.
    """
    for i in range(len(lanes)):
        if which[i]:
            _clear(i, lanes, accelerators, seeds[i], episodes[i])
            _draw_job(settings, classes, i, 0, lanes, jobs)
            if settings[0]["decision"] > 0:
                _predict_jobs(settings, classes, i, lanes, jobs, free, known)
            lanes[i]["next_ready"] = jobs[i, 0]["ready"]
            _advance(settings, classes, true, predicted, reconfiguration, i, lanes, accelerators, jobs, queue)
            lane = lanes[i]
            lane["decided"] = lane["time"]
            lane["potential"] = drain_cost(classes, i, lanes, accelerators, jobs, queue)


@_compiled
def step(
    settings, classes, true, predicted, best, owners, reconfiguration, lanes, accelerators, jobs, queue, actions
):  # fmt: skip
    """Take one action a lane, then run each lane to its next decision or its end."""
    for i in range(len(lanes)):
        if lanes[i]["ended"]:
            continue
        _take(
            settings, classes, true, predicted, best, owners, reconfiguration, i, lanes, accelerators, jobs, queue,
            actions[i],
        )  # fmt: skip
        _advance(settings, classes, true, predicted, reconfiguration, i, lanes, accelerators, jobs, queue)
        _settle(settings, classes, i, lanes, accelerators, jobs, queue)


@_compiled
def drain_cost(classes, i, lanes, accelerators, jobs, queue):
    """Return the believed total completion time, from now on, if each waiting job went where it is predicted shortest.

    Jobs in the system only; accelerators work through their own queues and then through the waiting jobs that prefer
    them, in the order of the queue. A potential for reward shaping: zero in an empty system.
    """
    lane = lanes[i]
    cost = 0.0
    for a in range(accelerators.shape[1]):
        accelerator = accelerators[i, a]
        ahead = 0.0
        if accelerator["job"] >= 0:
            ahead = float(max(0, accelerator["believed_finish"] - lane["time"]))
            cost += ahead
        share = accelerator["queued_work"] / max(1, accelerator["queued"])
        cost += accelerator["queued"] * ahead + share * accelerator["queued"] * (accelerator["queued"] + 1) / 2
        accelerator["free"] = ahead + accelerator["queued_work"]
    for k in range(lane["head"], lane["head"] + lane["waiting"]):
        job_class = classes[jobs[i, queue[i, k]]["job_class"]]
        accelerator = accelerators[i, job_class["preferred"]]
        accelerator["free"] += job_class["shortest"]
        cost += accelerator["free"]
    return cost


@_compiled
def _clear(i, lanes, accelerators, seed, episode):
    lane = lanes[i]
    lane["time"] = 0
    lane["decided"] = 0
    lane["arrived"] = 0
    lane["done"] = 0
    lane["head"] = 0
    lane["waiting"] = 0
    lane["most_waiting"] = 0
    lane["waiting_work"] = 0
    lane["integral"] = 0.0
    lane["elapsed"] = 0
    lane["steps"] = 0
    lane["recent_gap"] = 0.0
    lane["potential"] = 0.0
    lane["reward"] = 0.0
    lane["gap_key"] = stream_key(seed, episode, GAP_PURPOSE)
    lane["class_key"] = stream_key(seed, episode, CLASS_PURPOSE)
    lane["legal"] = 1
    lane["ended"] = 0
    for a in range(accelerators.shape[1]):
        accelerator = accelerators[i, a]
        accelerator["finish"] = NEVER
        accelerator["believed_finish"] = 0
        accelerator["queued_work"] = 0
        accelerator["preferred_work"] = 0
        accelerator["busy_cycles"] = 0
        accelerator["job"] = -1
        accelerator["choice"] = -1
        accelerator["head"] = -1
        accelerator["tail"] = -1
        accelerator["queued"] = 0


@_compiled
def _draw_job(settings, classes, i, number, lanes, jobs):
    """Draw a job's arrival time, after that of the job before it, and its class."""
    lane = lanes[i]
    draw = uniform(lane["gap_key"], number)
    arrival = np.int64(math.floor(-math.log(1.0 - draw) * settings[0]["mean_gap"] + 0.5))
    if number > 0:
        arrival += jobs[i, number - 1]["arrival"]
    job = jobs[i, number]
    job["arrival"] = arrival
    job["start"] = -1
    job["finish"] = -1
    job["choice"] = -1
    job["next"] = -1
    job["ready"] = arrival
    draw = uniform(lane["class_key"], number)
    low, high = 0, len(classes) - 1
    while low < high:
        middle = (low + high) // 2
        if classes[middle]["cdf"] > draw:
            high = middle
        else:
            low = middle + 1
    job["job_class"] = low


@_compiled
def _predict_jobs(settings, classes, i, lanes, jobs, free, known):
    """Draw all jobs and set when each comes to the scheduler: when it and all jobs before it have been predicted.

    All predictions take equally long, so workers finish in the order in which they started: number n of an episode
    takes the worker of number n - k, k being the workers. A lookup needs no worker.
    """
    for w in range(len(free)):
        free[w] = 0
    for c in range(len(known)):
        known[c] = 0
    started = 0
    last = np.int64(0)
    for number in range(jobs.shape[1]):
        _draw_job(settings, classes, i, number, lanes, jobs)
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


@_compiled
def _enqueue(settings, classes, i, lanes, accelerators, jobs, queue):
    """Let the next job come: it joins the waiting jobs at its place in the window's order.

    The time that it spent being predicted is charged now: it was in the system, but nobody could decide on it.
    """
    lane = lanes[i]
    job = lane["arrived"]
    arrival = jobs[i, job]["arrival"]
    lane["integral"] += float(lane["time"] - arrival)
    job_class = classes[jobs[i, job]["job_class"]]
    place = lane["head"] + lane["waiting"]
    if settings[0]["shortest_first"]:
        while (
            place > lane["head"]
            and classes[jobs[i, queue[i, place - 1]]["job_class"]]["shortest"] > job_class["shortest"]
        ):
            queue[i, place] = queue[i, place - 1]
            place -= 1
    queue[i, place] = job
    lane["waiting"] += 1
    lane["most_waiting"] = max(lane["most_waiting"], lane["waiting"])
    lane["waiting_work"] += job_class["shortest"]
    accelerators[i, job_class["preferred"]]["preferred_work"] += job_class["shortest"]
    if job == 0:
        lane["recent_gap"] = float(arrival)
    else:
        lane["recent_gap"] += (arrival - jobs[i, job - 1]["arrival"] - lane["recent_gap"]) / GAP_MEMORY
    lane["arrived"] += 1
    if lane["arrived"] == settings[0]["jobs"]:
        lane["next_ready"] = NEVER
        return
    if settings[0]["decision"] == 0:  # else all have been drawn
        _draw_job(settings, classes, i, lane["arrived"], lanes, jobs)
    lane["next_ready"] = jobs[i, lane["arrived"]]["ready"]


@_compiled
def _dequeue(classes, i, lanes, accelerators, jobs, queue, slot):
    """Remove and return the waiting job of a slot; the gap closes."""
    lane = lanes[i]
    head = lane["head"]
    job = queue[i, head + slot]
    for k in range(head + slot, head, -1):
        queue[i, k] = queue[i, k - 1]
    lane["head"] += 1
    lane["waiting"] -= 1
    job_class = classes[jobs[i, job]["job_class"]]
    lane["waiting_work"] -= job_class["shortest"]
    accelerators[i, job_class["preferred"]]["preferred_work"] -= job_class["shortest"]
    return job


@_compiled
def _start(true, predicted, reconfiguration, i, owner, lanes, accelerators, jobs, job, choice):
    """Start a job on its idle accelerator under a choice."""
    lane = lanes[i]
    accelerator = accelerators[i, owner]
    record = jobs[i, job]
    extra = 0
    if accelerator["choice"] >= 0 and accelerator["choice"] != choice:
        extra = reconfiguration[owner]
    duration = true[record["job_class"], choice] + extra
    record["start"] = lane["time"]
    record["choice"] = choice
    accelerator["job"] = job
    accelerator["choice"] = choice
    accelerator["finish"] = lane["time"] + duration
    accelerator["believed_finish"] = lane["time"] + predicted[record["job_class"], choice] + extra
    accelerator["busy_cycles"] += duration


@_compiled
def _finish(true, predicted, reconfiguration, i, owner, lanes, accelerators, jobs):
    """Complete the running job; the next of the accelerator's own queue starts."""
    lane = lanes[i]
    accelerator = accelerators[i, owner]
    jobs[i, accelerator["job"]]["finish"] = lane["time"]
    lane["done"] += 1
    accelerator["job"] = -1
    accelerator["finish"] = NEVER
    if accelerator["queued"] > 0:
        job = accelerator["head"]
        accelerator["head"] = jobs[i, job]["next"]
        accelerator["queued"] -= 1
        choice = jobs[i, job]["choice"]
        accelerator["queued_work"] -= predicted[jobs[i, job]["job_class"], choice]
        _start(true, predicted, reconfiguration, i, owner, lanes, accelerators, jobs, job, choice)


@_compiled
def _take(
    settings, classes, true, predicted, best, owners, reconfiguration, i, lanes, accelerators, jobs, queue, action
):  # fmt: skip
    """Carry out an action; an illegal one waits, or where waiting is illegal takes the first legal one."""
    lane = lanes[i]
    lane["legal"] = 1
    if settings[0]["dispatch"]:
        job = _dequeue(classes, i, lanes, accelerators, jobs, queue, 0)
        lane["legal"] = 0 <= action < (len(owners) if settings[0]["choose_dataflow"] else accelerators.shape[1])
        action = action if lane["legal"] else 0
        choice = action if settings[0]["choose_dataflow"] else best[jobs[i, job]["job_class"], action]
        owner = owners[choice]
        accelerator = accelerators[i, owner]
        if accelerator["job"] < 0:
            _start(true, predicted, reconfiguration, i, owner, lanes, accelerators, jobs, job, choice)
            return
        jobs[i, job]["choice"] = choice
        if accelerator["queued"] == 0:
            accelerator["head"] = job
        else:
            jobs[i, accelerator["tail"]]["next"] = job
        accelerator["tail"] = job
        accelerator["queued"] += 1
        accelerator["queued_work"] += predicted[jobs[i, job]["job_class"], choice]
        return
    slot, choice = _resolve(settings, best, owners, i, lanes, accelerators, jobs, queue, action)
    if slot >= 0:
        job = _dequeue(classes, i, lanes, accelerators, jobs, queue, slot)
        owner = owners[choice]
        _start(true, predicted, reconfiguration, i, owner, lanes, accelerators, jobs, job, choice)
    else:
        _next_event(settings, classes, true, predicted, reconfiguration, i, lanes, accelerators, jobs, queue)


@_compiled
def _resolve(settings, best, owners, i, lanes, accelerators, jobs, queue, action):
    """Return (slot, choice) of a central-queue action, or (-1, -1) for waiting."""
    lane = lanes[i]
    columns = len(owners) if settings[0]["choose_dataflow"] else accelerators.shape[1]
    may_wait = lane["next_ready"] < NEVER
    for a in range(accelerators.shape[1]):
        may_wait = may_wait or accelerators[i, a]["job"] >= 0
    waits = action == settings[0]["window"] * columns
    if waits and may_wait:
        return -1, -1
    if not waits and action >= 0:
        slot, column = action // columns, action % columns
        if slot < min(lane["waiting"], settings[0]["window"]):
            job_class = jobs[i, queue[i, lane["head"] + slot]]["job_class"]
            choice = column if settings[0]["choose_dataflow"] else best[job_class, column]
            if accelerators[i, owners[choice]]["job"] < 0:
                return slot, choice
    lane["legal"] = 0
    if may_wait:
        return -1, -1
    if settings[0]["choose_dataflow"]:  # nothing runs, so every accelerator is idle: the first pair is legal
        return 0, 0
    return 0, best[jobs[i, queue[i, lane["head"]]]["job_class"], 0]


@_compiled
def _next_finish(i, accelerators):
    """Return the accelerator that finishes first and when; ties take the lowest."""
    first, soonest = 0, accelerators[i, 0]["finish"]
    for a in range(1, accelerators.shape[1]):
        if accelerators[i, a]["finish"] < soonest:
            first, soonest = a, accelerators[i, a]["finish"]
    return first, soonest


@_compiled
def _next_event(settings, classes, true, predicted, reconfiguration, i, lanes, accelerators, jobs, queue):
    """Process one event: the earliest; a completion before an arrival of the same time."""
    lane = lanes[i]
    first, soonest = _next_finish(i, accelerators)
    completes = soonest <= lane["next_ready"]
    moment = soonest if completes else lane["next_ready"]
    in_system = lane["arrived"] - lane["done"]
    lane["integral"] += float(in_system) * float(moment - lane["time"])
    lane["time"] = moment
    if completes:
        _finish(true, predicted, reconfiguration, i, first, lanes, accelerators, jobs)
    else:
        _enqueue(settings, classes, i, lanes, accelerators, jobs, queue)


@_compiled
def _advance(settings, classes, true, predicted, reconfiguration, i, lanes, accelerators, jobs, queue):
    """Process events until a decision is due or all jobs are done.

    Dispatch decides as soon as a job has come. The central queue first lets all events of the moment happen, then
    decides if a job waits and an accelerator is idle.
    """
    lane = lanes[i]
    while lane["done"] < settings[0]["jobs"]:
        if settings[0]["dispatch"]:
            if lane["waiting"] > 0:
                return
        elif lane["waiting"] > 0:
            idle = False
            for a in range(accelerators.shape[1]):
                idle = idle or accelerators[i, a]["job"] < 0
            if idle and min(_next_finish(i, accelerators)[1], lane["next_ready"]) > lane["time"]:
                return
        _next_event(settings, classes, true, predicted, reconfiguration, i, lanes, accelerators, jobs, queue)
    lane["ended"] = 1


@_compiled
def _settle(settings, classes, i, lanes, accelerators, jobs, queue):
    """Close the step's books: the reward is minus the time-integral of jobs in the system, in units of `unit`."""
    lane = lanes[i]
    cost = lane["integral"]
    if settings[0]["shaped"]:
        potential = drain_cost(classes, i, lanes, accelerators, jobs, queue)
        cost += potential - lane["potential"]
        lane["potential"] = potential
    lane["reward"] = -cost / settings[0]["unit"]
    lane["integral"] = 0.0
    lane["elapsed"] = lane["time"] - lane["decided"]
    lane["decided"] = lane["time"]
    lane["steps"] += 1
