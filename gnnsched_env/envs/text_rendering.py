"""A schedule as text: a row for each accelerator, a column for each slice of recent time."""

import string
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.envs.labels import ScheduleLabels, shown_span
from gnnsched_env.sim.schedule import RunState, Schedule

COLUMNS = 72
LONGEST_NAME = 16
IDLE, DOWN, ABORTED, AHEAD = "·", "x", "!", " "
SYMBOLS = string.digits[1:] + string.ascii_uppercase + string.ascii_lowercase.replace("x", "")
BARS = " ▁▂▃▄▅▆▇█"


def render_text(schedule: Schedule, labels: ScheduleLabels, *, span: int, columns: int = COLUMNS) -> str:
    """Return the chart of the last `span` cycles; each column shows the activity that took most of its time."""
    first, last = shown_span(schedule, span)
    edges = np.linspace(first, last, columns + 1)
    names = [name[:LONGEST_NAME] for name in labels.accelerators]
    width = max(len("waiting"), *(len(name) for name in names))
    lines = [labels.status(schedule)]
    for accelerator, name in enumerate(names):
        lines.append(f"{name:<{width}} |{_row(schedule, labels, accelerator, edges)}|")
    counts = _most_waiting(schedule, edges)
    lines.append(f"{'waiting':<{width}} |{_bars(counts)}| most {max(counts)}")
    ends = labels.time(first), labels.time(last)
    lines.append(" " * (width + 2) + ends[0] + ends[1].rjust(columns - len(ends[0])))
    key = [f"{symbol(k)} {labels.dataflows[k]}" for k in labels.used(schedule)]
    lines.append("  ".join([*key, f"{IDLE} idle", f"{DOWN} down", f"{ABORTED} aborted"]))
    return "\n".join(lines)


def symbol(dataflow: int) -> str:
    """Return the character of a dataflow."""
    return SYMBOLS[dataflow % len(SYMBOLS)]


def _row(schedule: Schedule, labels: ScheduleLabels, accelerator: int, edges: NDArray[np.float64]) -> str:
    runs = schedule.runs[schedule.runs["accelerator"] == accelerator]
    downs = schedule.downs[schedule.downs["accelerator"] == accelerator]
    count = len(labels.dataflows)
    filled = np.zeros((count + 2, len(edges) - 1))  # one row for each dataflow, one for down, one for idle
    dataflows = np.array(labels.choice_dataflows)[runs["choice"]]
    np.add.at(filled, dataflows, _overlap(runs["start"], runs["finish"], edges))
    np.add.at(filled, np.full(len(downs), count), _overlap(downs["start"], downs["end"], edges))
    passed = np.clip(schedule.until - edges[:-1], 0.0, np.diff(edges))
    filled[-1] = passed - filled[:-1].sum(axis=0)
    marks = [*(symbol(k) for k in range(count)), DOWN, IDLE]
    row = [marks[k] for k in filled.argmax(axis=0)]
    for place in np.flatnonzero(passed <= 0).tolist():
        row[place] = AHEAD
    for end in runs["finish"][runs["state"] == RunState.ABORTED]:
        column = int(np.searchsorted(edges, end, side="left")) - 1
        if 0 <= column < len(row):
            row[column] = ABORTED
    return "".join(row)


def _overlap(starts: NDArray[np.int64], ends: NDArray[np.int64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64 [intervals, columns]: how many cycles of each column an interval covers."""
    shared = np.minimum(ends[:, None], edges[None, 1:]) - np.maximum(starts[:, None], edges[None, :-1])
    covered: NDArray[np.float64] = np.maximum(shared, 0.0)
    return covered


def _most_waiting(schedule: Schedule, edges: NDArray[np.float64]) -> list[int]:
    """Return the largest number of jobs waiting in each column's time; 0 for future columns."""
    times, counts = schedule.waiting_times, schedule.waiting_counts
    most = []
    for low, high in pairwise(edges):
        if low > schedule.until:
            most.append(0)
            continue
        begin = max(0, int(np.searchsorted(times, low, side="right")) - 1)
        end = max(begin + 1, int(np.searchsorted(times, high, side="left")))
        most.append(int(counts[begin:end].max()))
    return most


def _bars(counts: list[int]) -> str:
    most = max(1, *counts)
    return "".join(BARS[-(-count * (len(BARS) - 1) // most)] for count in counts)
