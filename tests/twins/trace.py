"""The slow twin of reading a trace: one row at a time, every rule by itself, all in memory."""

import csv
import re

NUMBER = re.compile(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?")
LONGEST_S = 10**9


def read(text, clock_hz, classes=None):
    """Return (jobs, problems) of a trace that names classes; the header is taken to be right.

    A job is (arrival, due or None, weight, class, repeats), in cycles; a problem is (line, column or None).
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    header = lines[0].split(",")
    jobs, problems, latest = [], [], 0.0
    for number, line in enumerate(lines[1:], start=2):
        given = _fields(header, line)
        if given is None:
            problems.append((number, None))
            continue
        bad = list(_columns_at_fault(given, latest, classes))
        time = _number(given["time"])
        if time is not None and 0 <= time <= LONGEST_S:
            latest = time
        if bad:
            problems.append((number, bad[0]))
            continue
        arrival = round(time * clock_hz)
        late = given.get("deadline", "").strip()
        due = arrival + round(float(late) * clock_hz) if late else None
        weight = float(given.get("weight", "").strip() or 1)
        jobs.append((arrival, due, weight, given["class"].strip(), int(given.get("repeats", "").strip() or 1)))
    return jobs, problems


def _fields(header, line):
    """Return the fields by column, None where the line is not one row of as many fields as the header."""
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error:
        return None
    return dict(zip(header, rows[0], strict=True)) if rows and len(rows[0]) == len(header) else None


def _columns_at_fault(given, latest, classes):
    """Yield the columns that break a rule, in the order in which rules are told."""
    time = _number(given["time"])
    if time is None or time < 0 or time > LONGEST_S or time < latest:
        yield "time"
    if given.get("deadline", "").strip():
        deadline = _number(given["deadline"])
        if deadline is None or deadline < 0 or deadline > LONGEST_S:
            yield "deadline"
    if given.get("weight", "").strip():
        weight = _number(given["weight"])
        if weight is None or weight < 1e-6 or weight > 1e6:
            yield "weight"
    name = given["class"].strip()
    if not name:
        yield "class"
    repeats = given.get("repeats", "").strip() or "1"
    if not re.fullmatch("[0-9]{1,18}", repeats) or not 1 <= int(repeats) <= 10**9:
        yield "repeats"
    if classes is not None and name not in classes:
        yield "class"


def _number(text):
    text = text.strip()
    return float(text) if NUMBER.fullmatch(text) else None
