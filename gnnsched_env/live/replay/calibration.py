"""`Calibration`: what the simulator lacks of a live fleet, as finished runs show it; a JSON file."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import check_known
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import read_json, reading, write_json
from gnnsched_env.live.live_fleet import LiveFleet
from gnnsched_env.live.replay.finished_runs import FinishedRun, check_drawn, table_digest
from gnnsched_env.tables import LatencyTable

FORMAT, VERSION = "gnnsched-live-calibration", 1
FILE = "calibration.json"
MOST_VALUES = 100  # of a distribution
MOST_SLOWDOWN = 0.9

Values = tuple[float, ...]
"""A distribution: equally likely values, ascending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What finished runs of a fleet of A devices and K choices show; distributions are equally likely values.

    A run alone takes the job's profiled latency times `corrections[job_class][choice]` times a draw of
    `residuals[device]`; while a share x of the other devices runs jobs too, the device works at
    1 - `slowdowns[device]` x of that speed. From a
    decision until the job's start on the device passes a draw of `dispatch_ns[device]`, from its end until the
    scheduler knows one of `report_ns[device]`. The scheduler spends a draw of `coming_ns` on each job that comes, its
    prediction included, and one of `deciding_ns[policy]` on each decision ("" stands for any other policy).
    `overlap[device]` is the mean share of the other devices that ran jobs during the device's own. `runs` says on what
    all this was fitted, `fleet` and `table` (a hash) for what it holds.
    """

    fleet: LiveFleet
    table: str
    runs: tuple[Mapping[str, Any], ...]
    corrections: tuple[Values, ...]
    slowdowns: Values
    overlap: Values
    residuals: tuple[Values, ...]
    dispatch_ns: tuple[Values, ...]
    report_ns: tuple[Values, ...]
    coming_ns: Values
    deciding_ns: Mapping[str, Values]

    def __post_init__(self) -> None:
        object.__setattr__(self, "runs", tuple(dict(run) for run in self.runs))
        devices, choices = len(self.fleet.devices), len(self.fleet.choice_names)
        for name in ("slowdowns", "overlap"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name), devices))
        corrections = tuple(_numbers("corrections", values, choices) for values in self.corrections)
        object.__setattr__(self, "corrections", corrections)
        for name in ("residuals", "dispatch_ns", "report_ns"):
            if (given := len(getattr(self, name))) != devices:
                raise ConfigError(f"calibration: {name} must have {devices} entries, got {given}")
            object.__setattr__(self, name, tuple(_numbers(name, values) for values in getattr(self, name)))
        object.__setattr__(self, "coming_ns", _numbers("coming_ns", self.coming_ns))
        deciding = {name: _numbers("deciding_ns", values) for name, values in self.deciding_ns.items()}
        object.__setattr__(self, "deciding_ns", deciding)
        if "" not in deciding:
            raise ConfigError("calibration: deciding_ns must have an entry '', for any policy")
        if max(self.slowdowns) > MOST_SLOWDOWN:
            raise ConfigError(f"calibration: slowdowns must be at most {MOST_SLOWDOWN}, got {max(self.slowdowns)}")
        if min(map(min, (*corrections, *self.residuals))) <= 0:
            raise ConfigError("calibration: corrections and residuals must be above 0")

    def check_fits(self, made: FinishedRun) -> None:
        """Raise ConfigError for a run of another fleet or another table."""
        if made.run.fleet != self.fleet:
            raise ConfigError(f"{made.folder}: the calibration is of another fleet, {self.fleet.name!r}")
        check_drawn(made)
        if table_digest(made.run.table) != self.table:
            raise ConfigError(f"{made.folder}: the calibration is of runs with another latency table")

    def fitted_on(self, made: FinishedRun) -> bool:
        """Return whether a run is among those that this was fitted on."""
        return any(list(run["identity"]) == made.identity for run in self.runs)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON file."""
        told = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        write_json(path, {"format": FORMAT, "version": VERSION, **told, "fleet": self.fleet.to_dict()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the calibration of a file, or of the folder that holds it.

        Raise FileFormatError, naming it, where it is missing, of another format or version, or damaged.
        """
        named = Path(path)
        named = named / FILE if named.is_dir() else named
        data = read_json(named)
        if data.pop("format", None) != FORMAT:
            raise FileFormatError(f"{named}: must be a calibration (format {FORMAT!r})")
        if (version := data.pop("version", None)) != VERSION:
            raise FileFormatError(f"{named}: version must be {VERSION}, got {version!r}")
        with reading(str(named)):
            check_known("calibration", data, tuple(entry.name for entry in fields(cls)))
            data["fleet"] = LiveFleet.from_dict(data["fleet"])
            return cls(**data)


def distribution(values: NDArray[Any], most: int = MOST_VALUES) -> Values:
    """Return a sample as at most `most` equally likely values of the same mean: its means over equal shares.

    Where the shares are no whole numbers of values, a value counts in two of them as much as it lies in each.
    """
    ascending = np.sort(np.asarray(values, np.float64))
    count, parts = len(ascending), min(most, len(ascending))
    sums = np.interp(np.linspace(0, count, parts + 1), np.arange(count + 1), np.append(0.0, np.cumsum(ascending)))
    return tuple((np.diff(sums) * parts / count).tolist())


def exact_calibration(fleet: LiveFleet, table: LatencyTable) -> Calibration:
    """Return the calibration of devices that take exactly the table's times: a replay by it is the simulation."""
    devices = len(fleet.devices)
    return Calibration(
        fleet=fleet,
        table=table_digest(table),
        runs=(),
        corrections=((1.0,) * table.num_choices,) * table.num_classes,
        slowdowns=(0.0,) * devices,
        overlap=(0.0,) * devices,
        residuals=((1.0,),) * devices,
        dispatch_ns=((0.0,),) * devices,
        report_ns=((0.0,),) * devices,
        coming_ns=(0.0,),
        deciding_ns={"": (0.0,)},
    )


def _numbers(name: str, values: Sequence[Any], count: int | None = None) -> Values:
    """Return numbers as a tuple; raise ConfigError where they are none, or not as many as needed."""
    try:
        found = np.array(values, np.float64)
    except (TypeError, ValueError):
        found = np.zeros((0, 0))
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
        raise ConfigError(f"calibration: {name} must be lists of finite numbers")
    if count is not None and len(found) != count:
        raise ConfigError(f"calibration: {name} must have {count} entries, got {len(found)}")
    if name.endswith("_ns") and found.min() < 0:
        raise ConfigError(f"calibration: {name} must not be negative, got {found.min():g}")
    return tuple(found.tolist())
