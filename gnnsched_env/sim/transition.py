"""The one transition: an event-driven fleet, compiled over a batch of lanes.

Every function works on the record arrays that `records.py` lays out; `step` names those of a call in one order:
`settings` [1], `classes` [C], `pairs` [C, K], `best` int64 [C, A], `owners` int64 [K], `devices` [A], `ratios`
[R, K, N] (the tables), and `lanes` [L], `accelerators` [L, A], `jobs` [L, J], `queue` [L, J], `aborted` [L, M] (the
state).
Events have a total order: time, then completions before failures and repairs before arrivals, then the accelerator's
index or the job's number. A job comes to the scheduler (that is its arrival as an event) when its prediction is done:
at once where predicting costs nothing. Its completion time counts from its arrival. Where jobs may come unpredicted
(`skip_below`), it is seen here whether one does; then the scheduler takes it for a job of the last class.
An episode's jobs are drawn before it starts (`random_jobs.py`); failures are drawn here, by counter-based streams keyed
by seed, episode, split and accelerator, so that they depend neither on actions nor on other lanes.
"""

import math

import numpy as np

from gnnsched_env.common.compiled import announced, bare_kernel, fetch_ahead, inlined, move_cells
from gnnsched_env.common.random_streams import stream_key, uniform
from gnnsched_env.sim.expected_finish import revise_beliefs
from gnnsched_env.sim.records import NEVER
from gnnsched_env.sim.rewards import (
    accrue_arrival,
    accrue_failure,
    accrue_finish,
    accrue_start,
    accrue_time,
    charge,
    clear_sums,
)

AHEAD = 3  # lanes by which memory is asked for before it is needed
UNCHANGED = 1 << 30  # no slot of the window, as in lanes["rewrite"]
FAILURE_PURPOSE = 64  # and those above it: one stream an accelerator; those below are of `random_jobs`
GAP_MEMORY = 16.0  # gaps over which the recent arrival rate is averaged


@announced("the simulator", 20)
@bare_kernel
def reset(
    settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted,
    seeds, episodes, which,
):  # fmt: skip
    """Empty the lanes named by `which`, whose jobs are drawn, and run each to its first decision."""
    for i in range(len(lanes)):
        if not which[i]:
            continue
        _clear(settings, i, lanes, accelerators, jobs, seeds[i], episodes[i])
        _advance(settings, classes, pairs, devices, i, lanes, accelerators, jobs, queue, aborted)
        revise_beliefs(settings, classes, pairs, ratios, i, lanes, accelerators, jobs)
        lane = lanes[i]
        lane["decided"] = lane["time"]
        lane["potential"] = drain_cost(settings, classes, i, lanes, accelerators, queue)


@bare_kernel
def step(
    settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted,
    actions, first, stop,
):  # fmt: skip
    """Take one action in each lane from `first` to before `stop`, then run it to its next decision or its end."""
    for i in range(first, stop):
        if i + AHEAD < stop:
            later = lanes[i + AHEAD]
            fetch_ahead(jobs, i + AHEAD, min(later["cursor"], later["loaded"] - 1))
        if i < 0 or lanes[i]["ended"]:  # never below 0: it tells the compiler so
            continue
        _take(settings, classes, pairs, best, owners, devices, i, lanes, accelerators, jobs, queue, aborted, actions[i])
        _advance(settings, classes, pairs, devices, i, lanes, accelerators, jobs, queue, aborted)
        if not lanes[i]["starved"]:
            revise_beliefs(settings, classes, pairs, ratios, i, lanes, accelerators, jobs)
            _settle(settings, classes, i, lanes, accelerators, queue)


@bare_kernel
def resume(settings, classes, pairs, best, owners, devices, ratios, lanes, accelerators, jobs, queue, aborted):
    """Go on where lanes had run out of loaded jobs: run each to its next decision or its end."""
    for i in range(len(lanes)):
        if lanes[i]["starved"]:
            lanes[i]["starved"] = 0
            lanes[i]["next_ready"] = max(lanes[i]["time"], jobs[i, lanes[i]["cursor"]]["ready"])
            _advance(settings, classes, pairs, devices, i, lanes, accelerators, jobs, queue, aborted)
            if not lanes[i]["starved"]:
                revise_beliefs(settings, classes, pairs, ratios, i, lanes, accelerators, jobs)
                _settle(settings, classes, i, lanes, accelerators, queue)


@bare_kernel
def drain_cost(settings, classes, i, lanes, accelerators, queue):
    """Return the believed total completion time, from now on, if each waiting job went where it is predicted shortest.

    Jobs in the system only; accelerators work through their own queues and then through the waiting jobs that prefer
    them, in the order of the queue, one that is down after a mean repair. A potential for reward shaping: zero in an
    empty system.
    """
    lane = lanes[i]
    cost = 0.0
    for a in range(accelerators.shape[1]):
        accelerator = accelerators[i, a]
        ahead = 0.0 if accelerator["up"] else settings[0]["mean_down"]
        if accelerator["job"] >= 0:
            ahead = float(max(0, accelerator["believed_finish"] - lane["time"]))
            cost += ahead
        share = accelerator["queued_work"] / max(1, accelerator["queued"])
        cost += accelerator["queued"] * ahead + share * accelerator["queued"] * (accelerator["queued"] + 1) / 2
        accelerator["free"] = ahead + accelerator["queued_work"]
    for k in range(lane["head"], lane["head"] + lane["waiting"]):
        job_class = classes[queue[i, k]["job_class"]]
        accelerator = accelerators[i, job_class["preferred"]]
        accelerator["free"] += job_class["shortest"]
        cost += accelerator["free"]
    return cost


@bare_kernel
def changes_until(settings, key, until, moments):
    """Write the moments at which an accelerator fails, is repaired, fails ..., up to `until`; return how many.

    At most as many as `moments` int64 [n] holds. `key` is the accelerator's stream.
    """
    moment = np.int64(0)
    for count in range(len(moments)):
        moment += _change_after(settings, key, count)
        if moment > until:
            return count
        moments[count] = moment
    return len(moments)


@inlined
def _change_after(settings, key, count):
    """Return the cycles until an accelerator fails (its changes so far are even in number) or is repaired."""
    mean = settings[0]["mean_down"] if count % 2 else settings[0]["mean_up"]
    return max(1, np.int64(math.floor(-math.log(1.0 - uniform(key, count)) * mean + 0.5)))


@inlined
def _clear(settings, i, lanes, accelerators, jobs, seed, episode):
    lane = lanes[i]
    lane["time"] = 0
    lane["decided"] = 0
    lane["next_ready"] = jobs[i, 0]["ready"]
    lane["soonest"] = NEVER
    lane["next_change"] = NEVER
    lane["arrived"] = 0
    lane["cursor"] = 0
    lane["done"] = 0
    lane["head"] = 0
    lane["waiting"] = 0
    lane["most_waiting"] = 0
    lane["waiting_work"] = 0
    lane["shown_work"] = 0
    lane["weight"] = 0.0
    clear_sums(lane)
    lane["total_energy"] = 0.0
    lane["elapsed"] = 0
    lane["steps"] = 0
    lane["recent_gap"] = 0.0
    lane["potential"] = 0.0
    lane["reward"] = 0.0
    lane["aborted"] = 0
    lane["legal"] = 1
    lane["ended"] = 0
    lane["starved"] = 0
    lane["predicting"] = 0
    lane["first"] = 0
    lane["idle"] = accelerators.shape[1]
    lane["running"] = 0
    lane["rewrite"] = 0
    lane["removed"] = -1
    for number in range(jobs.shape[1]):
        job = jobs[i, number]
        job["start"] = -1
        job["finish"] = -1
        job["choice"] = -1
        job["next"] = -1
        job["aborted"] = 0
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
        accelerator["up"] = 1
        accelerator["changed"] = 0
        accelerator["changes"] = 0
        accelerator["change"] = NEVER
        if settings[0]["failing"]:
            accelerator["key"] = stream_key(seed, episode, settings[0]["purpose"] + FAILURE_PURPOSE + a)
            accelerator["change"] = _change_after(settings, accelerator["key"], 0)
            lane["next_change"] = min(lane["next_change"], accelerator["change"])


@inlined
def _goes_before(settings, classes, entry, job, job_class):
    """Tell whether a waiting entry stays ahead of a job: a shorter one where the order is such, else an earlier one."""
    if settings[0]["shortest_first"]:
        own, other = classes[job_class]["shortest"], classes[entry["job_class"]]["shortest"]
        if own != other:
            return other < own
    return entry["job"] < job


@inlined
def _fill(settings, classes, i, lanes, accelerators, jobs, queue, place, job):
    """Write a waiting job to a free place of the queue, and count it."""
    lane = lanes[i]
    record = jobs[i, job]
    entry = queue[i, place]
    entry["arrival"] = record["arrival"]
    entry["job"] = job
    entry["job_class"] = record["believed_class"]
    lane["waiting"] += 1
    lane["rewrite"] = min(lane["rewrite"], place - lane["head"])
    job_class = classes[record["believed_class"]]
    lane["waiting_work"] += job_class["shortest"]
    accelerators[i, job_class["preferred"]]["preferred_work"] += job_class["shortest"]
    if place - lane["head"] < settings[0]["window"]:
        lane["shown_work"] += job_class["shortest"]
        if lane["waiting"] > settings[0]["window"]:
            pushed_out = queue[i, lane["head"] + settings[0]["window"]]["job_class"]
            lane["shown_work"] -= classes[pushed_out]["shortest"]


@inlined
def _enqueue(settings, classes, i, lanes, accelerators, jobs, queue):
    """Let the next job come: it joins the waiting jobs at its place in the window's order.

    The time that it spent being predicted is charged now: it was in the system, but nobody could decide on it.
    """
    lane = lanes[i]
    job = lane["cursor"]
    record = jobs[i, job]
    if settings[0]["skip_below"] > 0 and _goes_to_predictor(settings, classes, lane, record):
        return
    arrival = record["arrival"]
    waited = np.float64(lane["time"] - arrival)  # not Python's: times a float32 weight it would give a float32
    accrue_arrival(settings, lane, record, waited)
    if settings[0]["mixed"]:
        lane["weight"] += record["weight"]
    place = lane["head"] + lane["waiting"]
    if settings[0]["shortest_first"]:
        number = record["believed_class"]
        while place > lane["head"] and not _goes_before(settings, classes, queue[i, place - 1], job, number):
            place -= 1
        move_cells(queue, i, place + 1, place, lane["head"] + lane["waiting"] - place)
    _fill(settings, classes, i, lanes, accelerators, jobs, queue, place, job)
    lane["most_waiting"] = max(lane["most_waiting"], lane["waiting"])
    if lane["arrived"] == 0:
        lane["recent_gap"] = float(arrival)
    else:
        lane["recent_gap"] += (arrival - lane["last_arrival"] - lane["recent_gap"]) / GAP_MEMORY
    lane["last_arrival"] = arrival
    lane["arrived"] += 1
    lane["cursor"] += 1
    if lane["arrived"] == settings[0]["jobs"]:
        lane["next_ready"] = NEVER
    elif lane["cursor"] < lane["loaded"]:
        lane["next_ready"] = max(lane["time"], jobs[i, lane["cursor"]]["ready"])
    else:
        lane["starved"] = 1


@inlined
def _goes_to_predictor(settings, classes, lane, job):
    """Tell whether the job that is to come next is predicted first, as it is where enough jobs wait; mark it."""
    if not lane["predicting"]:
        if lane["arrived"] - lane["done"] - lane["running"] >= settings[0]["skip_below"]:
            lane["predicting"] = 1
            lane["next_ready"] = lane["time"] + settings[0]["decision"]
            return True
        job["believed_class"] = len(classes) - 1
    lane["predicting"] = 0
    job["ready"] = lane["time"]
    return False


@inlined
def _return(settings, classes, i, lanes, accelerators, jobs, queue, job):
    """Put a job whose accelerator failed back among the waiting jobs; it had left them, so a place before is free."""
    lane = lanes[i]
    place = lane["head"]
    number = jobs[i, job]["believed_class"]
    behind = lane["head"] + lane["waiting"]
    while place < behind and _goes_before(settings, classes, queue[i, place], job, number):
        place += 1
    move_cells(queue, i, lane["head"] - 1, lane["head"], place - lane["head"])
    lane["head"] -= 1
    lane["rewrite"] = 0
    _fill(settings, classes, i, lanes, accelerators, jobs, queue, place - 1, job)
    lane["most_waiting"] = max(lane["most_waiting"], lane["waiting"])


@inlined
def _dequeue(settings, classes, i, lanes, accelerators, queue, slot):
    """Remove the waiting job of a slot and return it and its class; the gap closes."""
    lane = lanes[i]
    head = lane["head"]
    entry = queue[i, head + slot]
    job, number = entry["job"], entry["job_class"]
    job_class = classes[number]
    move_cells(queue, i, head + 1, head, slot)
    lane["head"] += 1
    lane["waiting"] -= 1
    if lane["removed"] == -1 and lane["rewrite"] == UNCHANGED:
        lane["removed"] = slot
    else:
        lane["rewrite"] = 0
    lane["waiting_work"] -= job_class["shortest"]
    accelerators[i, job_class["preferred"]]["preferred_work"] -= job_class["shortest"]
    lane["shown_work"] -= job_class["shortest"]
    if lane["waiting"] >= settings[0]["window"]:
        moved_in = queue[i, lane["head"] + settings[0]["window"] - 1]["job_class"]
        lane["shown_work"] += classes[moved_in]["shortest"]
    return job, number


@inlined
def _start(pairs, devices, i, owner, lanes, accelerators, jobs, job, job_class, choice):
    """Start a job, which the scheduler takes for one of `job_class`, on its idle accelerator under a choice."""
    lane = lanes[i]
    accelerator = accelerators[i, owner]
    record = jobs[i, job]
    extra = 0
    if accelerator["choice"] >= 0 and accelerator["choice"] != choice:
        extra = devices[owner]["reconfiguration"]
    pair = pairs[record["job_class"], choice]
    duration = pair["true"] + extra
    record["start"] = lane["time"]
    record["choice"] = choice
    finish = lane["time"] + duration
    accelerator["job"] = job
    accelerator["choice"] = choice
    accelerator["finish"] = finish
    accelerator["believed_finish"] = lane["time"] + pairs[job_class, choice]["predicted"] + extra
    accelerator["began"] = lane["time"] + extra
    accelerator["revision"] = lane["time"]  # at the next decision
    accelerator["passed"] = 0
    accelerator["busy_cycles"] += duration
    accrue_start(lane, record, pair)
    lane["idle"] -= 1
    lane["running"] += 1
    if finish < lane["soonest"] or (finish == lane["soonest"] and owner < lane["first"]):
        lane["soonest"] = finish
        lane["first"] = owner


@inlined
def _start_next(pairs, devices, i, owner, lanes, accelerators, jobs):
    """Start the first job of an accelerator's own queue."""
    accelerator = accelerators[i, owner]
    job = accelerator["head"]
    accelerator["head"] = jobs[i, job]["next"]
    accelerator["queued"] -= 1
    choice, job_class = jobs[i, job]["choice"], jobs[i, job]["believed_class"]
    accelerator["queued_work"] -= pairs[job_class, choice]["predicted"]
    _start(pairs, devices, i, owner, lanes, accelerators, jobs, job, job_class, choice)


@inlined
def _finish(settings, pairs, devices, i, owner, lanes, accelerators, jobs):
    """Complete the running job; the next of the accelerator's own queue starts."""
    lane = lanes[i]
    accelerator = accelerators[i, owner]
    record = jobs[i, accelerator["job"]]
    record["finish"] = lane["time"]
    lane["done"] += 1
    accrue_finish(settings, lane, record)
    if settings[0]["mixed"]:  # what is not charged is not read: the record may be far away
        lane["weight"] = lane["weight"] - record["weight"] if lane["arrived"] > lane["done"] else 0.0
    _vacate(i, owner, lanes, accelerators)
    lane["idle"] += 1
    if accelerator["queued"] > 0:
        _start_next(pairs, devices, i, owner, lanes, accelerators, jobs)


@inlined
def _vacate(i, owner, lanes, accelerators):
    """Take the running job from an accelerator, and find which completes first of those that still run."""
    lane = lanes[i]
    accelerators[i, owner]["job"] = -1
    accelerators[i, owner]["finish"] = NEVER
    lane["running"] -= 1
    first, soonest = 0, accelerators[i, 0]["finish"]
    for a in range(1, accelerators.shape[1]):
        if accelerators[i, a]["finish"] < soonest:
            first, soonest = a, accelerators[i, a]["finish"]
    lane["first"] = first
    lane["soonest"] = soonest


@inlined
def _change(settings, classes, pairs, devices, i, lanes, accelerators, jobs, queue, aborted):
    """Let the accelerator whose turn it is fail or come back; ties take the lowest."""
    lane = lanes[i]
    owner = 0
    while accelerators[i, owner]["change"] != lane["next_change"]:
        owner += 1
    accelerator = accelerators[i, owner]
    accelerator["changes"] += 1
    accelerator["changed"] = lane["time"]
    accelerator["change"] = lane["time"] + _change_after(settings, accelerator["key"], accelerator["changes"])
    lane["next_change"] = NEVER
    for a in range(accelerators.shape[1]):
        lane["next_change"] = min(lane["next_change"], accelerators[i, a]["change"])
    if accelerator["up"]:
        accelerator["up"] = 0
        if accelerator["job"] < 0:
            lane["idle"] -= 1
        else:
            _abort(settings, classes, pairs, i, owner, lanes, accelerators, jobs, queue, aborted)
        accelerator["choice"] = -1
    else:
        accelerator["up"] = 1
        lane["idle"] += 1
        if accelerator["queued"] > 0:
            _start_next(pairs, devices, i, owner, lanes, accelerators, jobs)


@inlined
def _abort(settings, classes, pairs, i, owner, lanes, accelerators, jobs, queue, aborted):
    """Give the job of a failing accelerator back: to the accelerator's own queue, first in line, or to the central one.

    What it had done is lost. Only the cycles and the energy until now are charged.
    """
    lane = lanes[i]
    accelerator = accelerators[i, owner]
    job = accelerator["job"]
    record = jobs[i, job]
    pair = pairs[record["job_class"], record["choice"]]
    lost = accelerator["finish"] - lane["time"]
    accelerator["busy_cycles"] -= lost
    accrue_failure(lane, record, pair, float(lost) / float(accelerator["finish"] - record["start"]))
    entry = aborted[i, lane["aborted"] % aborted.shape[1]]
    entry["job"] = job
    entry["accelerator"] = owner
    entry["choice"] = record["choice"]
    entry["start"] = record["start"]
    entry["finish"] = lane["time"]
    lane["aborted"] += 1
    record["aborted"] += 1
    record["start"] = -1
    _vacate(i, owner, lanes, accelerators)
    if settings[0]["dispatch"]:
        record["next"] = accelerator["head"]
        if accelerator["queued"] == 0:
            accelerator["tail"] = job
            record["next"] = -1
        accelerator["head"] = job
        accelerator["queued"] += 1
        accelerator["queued_work"] += pairs[record["believed_class"], record["choice"]]["predicted"]
    else:
        record["choice"] = -1
        _return(settings, classes, i, lanes, accelerators, jobs, queue, job)


@inlined
def _take(
    settings, classes, pairs, best, owners, devices, i, lanes, accelerators, jobs, queue, aborted, action
):  # fmt: skip
    """Carry out an action; an illegal one waits, or where waiting is illegal takes the first legal one."""
    lane = lanes[i]
    lane["legal"] = 1
    if settings[0]["dispatch"]:
        job, number = _dequeue(settings, classes, i, lanes, accelerators, queue, 0)
        choice = _dispatched(settings, best, owners, i, lanes, accelerators, number, action)
        owner = owners[choice]
        accelerator = accelerators[i, owner]
        if accelerator["job"] < 0 and accelerator["up"]:
            _start(pairs, devices, i, owner, lanes, accelerators, jobs, job, number, choice)
            return
        jobs[i, job]["choice"] = choice
        if accelerator["queued"] == 0:
            accelerator["head"] = job
        else:
            jobs[i, accelerator["tail"]]["next"] = job
        accelerator["tail"] = job
        accelerator["queued"] += 1
        accelerator["queued_work"] += pairs[number, choice]["predicted"]
        return
    slot, choice = _resolve(settings, best, owners, i, lanes, accelerators, queue, action)
    if slot >= 0:
        job, number = _dequeue(settings, classes, i, lanes, accelerators, queue, slot)
        _start(pairs, devices, i, owners[choice], lanes, accelerators, jobs, job, number, choice)
    else:
        _next_event(settings, classes, pairs, devices, i, lanes, accelerators, jobs, queue, aborted)


@inlined
def _dispatched(settings, best, owners, i, lanes, accelerators, job_class, action):
    """Return the choice that an action of Dispatch means: the first legal one where it is illegal.

    An action is illegal while its accelerator is down, unless all are.
    """
    columns = len(owners) if settings[0]["choose_dataflow"] else accelerators.shape[1]
    any_up = False
    for a in range(accelerators.shape[1]):
        any_up = any_up or accelerators[i, a]["up"] == 1
    if 0 <= action < columns:
        owner = owners[action] if settings[0]["choose_dataflow"] else action
        if accelerators[i, owner]["up"] or not any_up:
            return action if settings[0]["choose_dataflow"] else best[job_class, action]
    lanes[i]["legal"] = 0
    column = 0
    while any_up and not accelerators[i, owners[column] if settings[0]["choose_dataflow"] else column]["up"]:
        column += 1
    return column if settings[0]["choose_dataflow"] else best[job_class, column]


@inlined
def _resolve(settings, best, owners, i, lanes, accelerators, queue, action):
    """Return (slot, choice) of a central-queue action, or (-1, -1) for waiting until the next event."""
    lane = lanes[i]
    columns = len(owners) if settings[0]["choose_dataflow"] else accelerators.shape[1]
    may_wait = lane["running"] > 0 or (lane["next_ready"] < NEVER and not settings[0]["by_choice"])
    may_wait = may_wait and not settings[0]["never_waits"]  # wherever a decision is due, a job can start
    waits = action == settings[0]["window"] * columns
    if waits and may_wait and not settings[0]["by_choice"]:
        return -1, -1
    if not waits and action >= 0:
        slot = action // columns
        column = action - slot * columns
        if slot < min(lane["waiting"], settings[0]["window"]):
            job_class = queue[i, lane["head"] + slot]["job_class"]
            choice = column if settings[0]["choose_dataflow"] else best[job_class, column]
            accelerator = accelerators[i, owners[choice]]
            if _is_idle(accelerator):
                return slot, choice
            if accelerator["up"] and settings[0]["by_choice"]:
                return -1, -1
    lane["legal"] = 0
    if may_wait:
        return -1, -1
    column = 0
    while not _is_idle(accelerators[i, owners[column] if settings[0]["choose_dataflow"] else column]):
        column += 1
    if settings[0]["choose_dataflow"]:
        return 0, column
    return 0, best[queue[i, lane["head"]]["job_class"], column]


@inlined
def _is_idle(accelerator):
    """Tell whether a job could start on an accelerator."""
    return accelerator["job"] < 0 and accelerator["up"] == 1


@inlined
def _next_event(settings, classes, pairs, devices, i, lanes, accelerators, jobs, queue, aborted):
    """Process one event: the earliest; at the same time completions, then failures and repairs, then arrivals."""
    lane = lanes[i]
    moment = min(lane["soonest"], lane["next_ready"], lane["next_change"])
    accrue_time(settings, lane, float(moment - lane["time"]))
    lane["time"] = moment
    if lane["soonest"] == moment:
        _finish(settings, pairs, devices, i, lane["first"], lanes, accelerators, jobs)
    elif lane["next_change"] == moment:
        _change(settings, classes, pairs, devices, i, lanes, accelerators, jobs, queue, aborted)
    else:
        _enqueue(settings, classes, i, lanes, accelerators, jobs, queue)


@inlined
def _advance(settings, classes, pairs, devices, i, lanes, accelerators, jobs, queue, aborted):
    """Process events until a decision is due or all jobs are done, or until the loaded jobs have run out.

    Dispatch decides as soon as a job has come. The central queue first lets all events of the moment happen, then
    decides if a job waits and an accelerator is idle.
    """
    lane = lanes[i]
    while lane["done"] < settings[0]["jobs"]:
        if lane["starved"]:
            return
        if lane["waiting"] > 0:
            if settings[0]["dispatch"]:
                return
            if lane["idle"] > 0 and min(lane["soonest"], lane["next_ready"], lane["next_change"]) > lane["time"]:
                return
        _next_event(settings, classes, pairs, devices, i, lanes, accelerators, jobs, queue, aborted)
    lane["ended"] = 1


@inlined
def _settle(settings, classes, i, lanes, accelerators, queue):
    """Close the step's books: the reward is minus what the objective charges, in units of `unit`."""
    lane = lanes[i]
    cost = charge(settings[0], lane)
    if settings[0]["shaped"]:
        potential = drain_cost(settings, classes, i, lanes, accelerators, queue)
        cost += potential - lane["potential"]
        lane["potential"] = potential
    lane["reward"] = -cost / settings[0]["unit"]
    lane["total_energy"] += lane["energy"]
    clear_sums(lane)
    lane["elapsed"] = lane["time"] - lane["decided"]
    lane["decided"] = lane["time"]
    lane["steps"] += 1
