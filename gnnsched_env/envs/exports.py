"""Schedules as files: a CSV of the jobs, and a trace that Perfetto and Chrome's tracing page open."""

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.files import write_rows, write_whole
from gnnsched_env.envs.labels import ScheduleLabels
from gnnsched_env.sim.schedule import RunState, Schedule

JOB_TIMES = ("arrival", "ready", "start", "finish", "waited", "aborted", "execution", "completion")
JOB_COLUMNS = (
    *("job", "class", "state", "accelerator", "dataflow", "aborted_runs"),
    *(f"{name}_cycles" for name in JOB_TIMES),
    *(f"{name}_s" for name in JOB_TIMES),
)

Event = dict[str, Any]
_PROCESS = 1


def write_csv(schedule: Schedule, labels: ScheduleLabels, path: str | os.PathLike[str]) -> None:
    """Write one row per job, by number, with the columns JOB_COLUMNS; cells of future events are empty.

    `state` is "done", "running" or "waiting"; `accelerator`, `dataflow`, `start` and `execution` are those of the last
    run. The parts add up: completion = (ready - arrival) + waited + aborted + execution, where `aborted` is the time
    spent in runs that a failure cut short and `waited` the time in queues.
    """

    _require_whole(schedule)
    write_rows(path, JOB_COLUMNS, _job_rows(schedule, labels))


def write_trace(
    schedule: Schedule, labels: ScheduleLabels, path: str | os.PathLike[str], *, name: str = "fleet"
) -> None:
    """Write a trace in the JSON Trace Event Format: the accelerators are threads of a process called `name`.

    Times are microseconds to the nearest nanosecond; arguments of the events hold the exact cycles.
    """

    _require_whole(schedule)

    def write(file: BinaryIO) -> None:
        about = json.dumps({"clock_hz": labels.clock_hz, "until_cycles": schedule.until})
        file.write(f'{{"displayTimeUnit":"ns","otherData":{about},"traceEvents":[\n'.encode())
        for number, event in enumerate(trace_events(schedule, labels, name=name)):
            line = json.dumps(event, separators=(",", ":"), allow_nan=False)
            file.write((",\n" if number else "").encode() + line.encode())
        file.write(b"\n]}\n")

    write_whole(path, write)


def _require_whole(schedule: Schedule) -> None:
    """Raise ConfigError if some of the episode's jobs are no longer in memory (a long trace is streamed)."""
    if schedule.since == 0 and schedule.forgotten:
        raise ConfigError(
            f"export: all jobs of the episode must be in memory, but {schedule.forgotten:,} of {schedule.arrived:,} "
            "are not: take fewer jobs, or a schedule of the last cycles (span)"
        )


def trace_events(schedule: Schedule, labels: ScheduleLabels, *, name: str = "fleet") -> Iterator[Event]:
    """Yield the trace's events: names, a complete event a run, downtimes, arrivals, the count of waiting jobs.

    Threads 1, 2, ... are the accelerators; the one after the last holds the arrivals. A run is named after its
    dataflow, which is also its category, so that viewers give a dataflow one colour.
    """
    arrivals = len(labels.accelerators) + 1
    yield _metadata("process_name", 0, name=name)
    for thread, title in enumerate([*labels.accelerators, "arrivals"], start=1):
        yield _metadata("thread_name", thread, name=title)
        yield _metadata("thread_sort_index", thread, sort_index=thread % arrivals)
    yield from _run_events(schedule, labels)
    yield from _down_events(schedule, labels)
    yield from _arrival_events(schedule, labels, arrivals)
    last = None
    stamps = _nanoseconds(schedule.waiting_times, labels)
    for at, following, count in zip(stamps, [*stamps[1:], None], schedule.waiting_counts.tolist(), strict=True):
        if at != following and count != last:
            yield {"name": "waiting jobs", "ph": "C", "pid": _PROCESS, "ts": at / 1e3, "args": {"jobs": count}}
            last = count


def _run_events(schedule: Schedule, labels: ScheduleLabels) -> Iterator[Event]:
    runs = schedule.runs
    starts, ends = _nanoseconds(runs["start"], labels), _nanoseconds(runs["finish"], labels)
    for run, start, end in zip(runs, starts, ends, strict=True):
        dataflow = labels.dataflow(int(run["choice"]))
        state = RunState(int(run["state"])).name.lower()
        event = _complete(int(run["accelerator"]) + 1, dataflow, dataflow, start, end)
        if state == "aborted":
            event |= {"name": f"{dataflow} (aborted)", "cat": f"{dataflow},aborted", "cname": "bad"}
        event["args"] = {
            "job": int(run["job"]),
            "class": labels.classes[run["job_class"]],
            "state": state,
            "start_cycles": int(run["start"]),
            "finish_cycles": int(run["finish"]),
        }
        yield event


def _down_events(schedule: Schedule, labels: ScheduleLabels) -> Iterator[Event]:
    downs = schedule.downs
    starts, ends = _nanoseconds(downs["start"], labels), _nanoseconds(downs["end"], labels)
    for down, start, end in zip(downs, starts, ends, strict=True):
        event = _complete(int(down["accelerator"]) + 1, "down", "down", start, end)
        yield event | {
            "cname": "terrible",
            "args": {"start_cycles": int(down["start"]), "end_cycles": int(down["end"])},
        }


def _arrival_events(schedule: Schedule, labels: ScheduleLabels, thread: int) -> Iterator[Event]:
    """Yield an instant event for each job's arrival, and another if it reached the scheduler later than it arrived."""
    jobs = schedule.jobs
    stamps = {name: _nanoseconds(jobs[name], labels) for name in ("arrival", "ready")}
    for k, job in enumerate(jobs):
        for name in ("arrival", "ready")[: 1 + int(job["ready"] > job["arrival"])]:
            args = {"job": int(job["job"]), "class": labels.classes[job["job_class"]], "cycles": int(job[name])}
            event = {"name": name, "cat": name, "ph": "i", "s": "t", "pid": _PROCESS, "tid": thread}
            yield event | {"ts": stamps[name][k] / 1e3, "args": args}


def _metadata(kind: str, thread: int, **args: Any) -> Event:
    return {"name": kind, "ph": "M", "pid": _PROCESS, "tid": thread, "ts": 0.0, "args": args}


def _complete(thread: int, name: str, category: str, start: int, end: int) -> Event:
    times = {"ts": start / 1e3, "dur": (end - start) / 1e3}
    return {"name": name, "cat": category, "ph": "X", "pid": _PROCESS, "tid": thread, **times}


def _nanoseconds(cycles: NDArray[np.int64], labels: ScheduleLabels) -> list[int]:
    """Return times on a grid of nanoseconds, so that runs that do not overlap in cycles do not in the trace."""
    stamps: list[int] = np.rint(cycles * (1e9 / labels.clock_hz)).astype(np.int64).tolist()
    return stamps


def _job_rows(schedule: Schedule, labels: ScheduleLabels) -> Iterable[list[Any]]:
    jobs = schedule.jobs
    aborted = schedule.runs[schedule.runs["state"] == RunState.ABORTED]
    last = schedule.runs[schedule.runs["state"] != RunState.ABORTED]
    place = np.full(len(jobs), -1)
    place[np.searchsorted(jobs["job"], last["job"])] = np.arange(len(last))
    cut = aborted[np.isin(aborted["job"], jobs["job"])]
    cut_place = np.searchsorted(jobs["job"], cut["job"])
    lost = np.zeros(len(jobs), np.int64)
    np.add.at(lost, cut_place, cut["finish"] - cut["start"])
    times = len(jobs)
    counts = np.bincount(cut_place, minlength=times)
    for k, job in enumerate(jobs.tolist()):
        number, job_class, arrival, ready, start, finish = job
        started, done = start >= 0, finish >= 0
        run = last[place[k]] if started else None
        state = "done" if done else "running" if started else "waiting"
        cycles = [
            arrival,
            ready,
            start if started else None,
            finish if done else None,
            start - ready - int(lost[k]) if started else None,
            int(lost[k]),
            finish - start if done else None,
            finish - arrival if done else None,
        ]
        yield [
            *(number, labels.classes[job_class], state),
            "" if run is None else labels.accelerators[run["accelerator"]],
            "" if run is None else labels.dataflow(int(run["choice"])),
            int(counts[k]),
            *cycles,
            *(None if value is None else value / labels.clock_hz for value in cycles),
        ]
