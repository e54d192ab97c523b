"""Write a trace from arrays: what a simulation drew, or what was measured, to be replayed later."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnsched_env.common.checks import number_array
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.files import write_rows
from gnnsched_env.scenario.traces.trace_format import COLUMNS, DEADLINE, NO_DEADLINE, REPEATS, TIME, WEIGHT

CHUNK = 65_536


def write_trace(
    path: str | Path,
    times_s: ArrayLike,
    class_names: Sequence[str] | None = None,
    *,
    graphs: Sequence[str] | None = None,
    models: Sequence[str] | None = None,
    repeats: ArrayLike | None = None,
    deadlines_s: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> None:
    """Write a trace, whole or not at all: one entry a job, in order of arrival; what is None gets no column.

    `times_s`: seconds since the start. `class_names`, or `graphs` (FILE.npz, FILE.npz:i, FILE.npz:i-j) with `models`.
    `deadlines_s`: seconds after the arrival, infinite for none. Numbers are written so that they are read back exactly.
    ConfigError names the first entry that breaks a rule.
    """
    columns: dict[str, Any] = {
        "time": _floats("times_s", times_s),
        "class": _names("class_names", class_names),
        "graph": _names("graphs", graphs),
        "model": _names("models", models),
        "repeats": None if repeats is None else _whole(repeats),
        "deadline": None if deadlines_s is None else _floats("deadlines_s", deadlines_s),
        "weight": None if weights is None else _floats("weights", weights),
    }
    given = {name: columns[name] for name in COLUMNS if columns[name] is not None}
    _check(given)
    write_rows(path, given, _lines(given))


def _check(given: dict[str, Any]) -> None:
    if ("class" in given) == ("graph" in given) or ("model" in given) != ("graph" in given):
        raise ConfigError(f"trace: give either class_names, or graphs and models, got columns {', '.join(given)}")
    times = given["time"]
    for name, column in given.items():
        if len(column) != len(times):
            raise ConfigError(f"trace: {name} must have one entry a job, {len(times)}, got {len(column)}")
    if not len(times):
        raise ConfigError("trace: times_s must hold at least one job, got none")
    _refuse_first("times_s", times, ~TIME.within(times), TIME.words)
    _refuse_first("times_s", times, np.diff(times, prepend=times[0]) < 0, "not before the entry before")
    if (late := given.get("deadline")) is not None:
        _refuse_first(
            "deadlines_s", late, ~(DEADLINE.within(late) | (late == NO_DEADLINE)), f"{DEADLINE.words}, or inf"
        )
    if (heavy := given.get("weight")) is not None:
        _refuse_first("weights", heavy, ~WEIGHT.within(heavy), WEIGHT.words)
    if (many := given.get("repeats")) is not None:
        _refuse_first("repeats", many, ~REPEATS.within(many), REPEATS.words)


def _lines(given: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows; a float is written with as many digits as tell it from its neighbours."""
    jobs = len(given["time"])
    for start in range(0, jobs, CHUNK):
        parts = []
        for name, column in given.items():
            part = column[start : start + CHUNK]
            values = part.tolist() if isinstance(part, np.ndarray) else part
            parts.append(["" if v == NO_DEADLINE else v for v in values] if name == "deadline" else values)
        yield from zip(*parts, strict=True)


def _floats(name: str, values: ArrayLike) -> NDArray[np.float64]:
    return number_array("trace", name, values, np.float64, shape=(None,))


def _whole(values: ArrayLike) -> NDArray[np.int64]:
    return number_array("trace", "repeats", values, np.int64, shape=(None,))


def _names(name: str, values: Sequence[str] | None) -> list[str] | None:
    """Return the names as a list; each must come back from a line as it was."""
    if values is None:
        return None
    if isinstance(values, str):
        raise ConfigError(f"trace: {name} must be a sequence of names, got {values!r}")
    names = np.asarray(values).tolist() if isinstance(values, np.ndarray) else list(values)
    for one in set(names):
        if not isinstance(one, str) or not one or one != one.strip() or "\n" in one or "\r" in one:
            raise ConfigError(f"trace: {name} must be non-empty, on one line, without blanks around them, got {one!r}")
    return names


def _refuse_first(name: str, values: NDArray[Any], bad: NDArray[np.bool_], rule: str) -> None:
    if bad.any():
        i = int(bad.argmax())
        raise ConfigError(f"trace: {name} must be {rule}, got {values[i].item()!r} at entry {i}")
