"""Checks an episode, or the part of it that was played, from its records alone: runs, downtimes, energy, return."""

import numpy as np

from tests.soak.rules import require

RUN, ABORTED, DOWN = 0, 1, 2
PRECISION = 1e-7


def check_episodes(simulation, which, logs, returns, first_potential):
    """Check the lanes `which` int64 [n]; return how many checks that were.

    `logs`: the aborted runs of each (job, accelerator, choice, start, finish), as they happened; `returns` and
    `first_potential` float64 [L].
    """
    spans = _spans(simulation, which, logs)
    checks = _check_records(simulation, which, logs)
    checks += _check_spans(simulation, spans)
    checks += _check_sums(simulation, which, spans, returns, first_potential)
    return checks


def _spans(simulation, which, logs):
    """Return what accelerators did, an int64 array by name: runs (planned to their end), aborted runs, downtimes.

    Sorted by lane (place in `which`), accelerator, start and end; `extra` are the cycles of reconfiguration and
    `planned` the length that a run should have.
    """
    lanes, accelerators, jobs = simulation.lanes[which], simulation.accelerators[which], simulation.jobs[which]
    row, job = np.nonzero(jobs["start"] >= 0)
    records = jobs[row, job]
    owner = simulation.choice_accelerators[records["choice"]].astype(np.int64)
    ends = np.where(records["finish"] >= 0, records["finish"], accelerators["finish"][row, owner])
    parts = [np.stack([row, owner, records["start"], ends, np.full(len(row), RUN), job, records["choice"]])]
    for k, log in enumerate(logs):
        if log:
            cut = np.array(log, np.int64).T
            same = np.ones(len(log), np.int64)
            parts.append(np.stack([k * same, cut[1], cut[3], cut[4], ABORTED * same, cut[0], cut[2]]))
    if simulation.settings["failing"][0]:
        for k, lane in enumerate(which.tolist()):
            for number, start, end in simulation.down_intervals(lane).tolist():
                parts.append(np.array([[k], [number], [start], [end], [DOWN], [-1], [-1]]))
    lane, owner, start, end, kind, job, choice = whole = np.concatenate(parts, axis=1)
    lane, owner, start, end, kind, job, choice = whole[:, np.lexsort((kind == DOWN, end, start, owner, lane))]
    follows = np.append(False, (lane[1:] == lane[:-1]) & (owner[1:] == owner[:-1]))
    before = np.append(-1, choice[:-1])
    changed = follows & (before >= 0) & (before != choice)
    extra = np.where(changed, simulation.devices["reconfiguration"][owner], 0)
    kinds = jobs["job_class"][lane, job]
    planned = simulation.pairs["true"][kinds, choice] + extra
    energy = simulation.pairs["energy"][kinds, choice]
    return {
        "lane": lane, "owner": owner, "start": start, "end": end, "kind": kind, "job": job, "choice": choice,
        "follows": follows, "planned": planned, "energy": energy, "now": lanes["time"][lane],
    }  # fmt: skip


def _check_records(simulation, which, logs):
    jobs = simulation.jobs[which]
    checks = require("jobs arrive one after another", np.diff(jobs["arrival"], axis=1) >= 0)
    checks += require("jobs come in order of arrival", np.diff(jobs["ready"], axis=1) >= 0)
    checks += require("no job comes before it arrives", jobs["ready"] >= jobs["arrival"])
    checks += require("no job is due before it arrives", jobs["due"] >= jobs["arrival"])
    if not simulation.settings["failing"][0]:
        return checks + require("nothing is aborted where nothing fails", jobs["aborted"] == 0)
    for k, (lane, log) in enumerate(zip(which.tolist(), logs, strict=True)):
        counts = np.bincount([run[0] for run in log], minlength=jobs.shape[1])
        checks += require("aborted runs of each job are counted", counts == jobs["aborted"][k])
        kept = [list(run) for run in simulation.aborted_runs(lane).tolist()]
        same = kept == [list(run) for run in log[-simulation.aborted.shape[1] :]]
        checks += require("aborted runs are remembered", np.array([same]))
    return checks


def _check_spans(simulation, spans):
    start, end, kind, follows = (spans[name] for name in ("start", "end", "kind", "follows"))
    length, planned = end - start, spans["planned"]
    ran = kind != DOWN
    next_follows, next_start = np.append(follows[1:], False), np.append(start[1:], 0)
    checks = require("no two runs or downtimes of an accelerator overlap", ~next_follows | (end <= next_start))
    checks += require("a run takes its true latency and reconfiguration", (kind != RUN) | (length == planned))
    checks += require("only unfinished runs are aborted", (kind != ABORTED) | ((length >= 0) & (length < planned)))
    next_down = np.append(kind[1:] == DOWN, False) & next_follows & (next_start == end)
    checks += require("a run is aborted when its accelerator fails", (kind != ABORTED) | next_down)
    checks += require("nothing starts in the future", start <= spans["now"])
    if simulation.settings["dispatch"][0]:
        group = (spans["lane"] * simulation.accelerators.shape[1] + spans["owner"])[ran]
        job = spans["job"][ran]
        in_order = (group[1:] != group[:-1]) | (job[1:] >= job[:-1])
        checks += require("an accelerator's queue is first come, first served", in_order)
    return checks


def _check_sums(simulation, which, spans, returns, first_potential):
    lanes, accelerators = simulation.lanes[which], simulation.accelerators[which]
    ran = spans["kind"] != DOWN
    length = (spans["end"] - spans["start"])[ran]
    group = (spans["lane"] * accelerators.shape[1] + spans["owner"])[ran]
    busy = np.bincount(group, length.astype(float), minlength=accelerators.size).reshape(accelerators.shape)
    checks = require("busy cycles are those of the runs", busy == accelerators["busy_cycles"])
    used = spans["energy"][ran] * length / spans["planned"][ran]
    energy = np.bincount(spans["lane"][ran], used, minlength=len(which))
    checks += require("energy is that of the runs", np.isclose(energy, lanes["total_energy"], rtol=PRECISION))
    cost = _objective(simulation, which, energy)
    size = cost + first_potential[which] + 1.0
    if simulation.settings["shaped"][0]:
        cost = cost + lanes["potential"] - first_potential[which]
        checks += require("nothing is left to drain at the end", (lanes["ended"] == 0) | (lanes["potential"] == 0.0))
    given = -returns[which] * simulation.settings["unit"][0]
    return checks + require("the return is minus the objective", abs(given - cost) <= PRECISION * size)


def _objective(simulation, which, energy):
    """Return what the objective charges for each lane so far, in cycles, worked out from the job records."""
    prices, lanes, jobs = simulation.settings[0], simulation.lanes[which], simulation.jobs[which]
    came = np.arange(jobs.shape[1]) < lanes["arrived"][:, np.newaxis]
    done = jobs["finish"] >= 0
    until = np.where(done, jobs["finish"], lanes["time"][:, np.newaxis])
    spent = np.where(came, until - jobs["arrival"], 0).astype(float)
    late = np.where(done, np.maximum(0, jobs["finish"] - jobs["due"]), 0).astype(float)
    rate = prices["completion"] + prices["weighted"] * jobs["weight"].astype(float)
    return (rate * spent + prices["tardiness"] * late).sum(axis=1) + prices["energy"] * energy
