"""The folder of a live run: what it was of, its table, its log, and the files that follow from these.

docs/reference/live_runs.md describes every file and field.
"""

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import check_known
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import read_json, reading, write_json, write_rows, write_whole
from gnnsched_env.live.live_fleet import CLOCK_HZ, LiveFleet
from gnnsched_env.live.run_log import Entry, read_log
from gnnsched_env.live.simulated import LiveJobs, simulated_scenario
from gnnsched_env.scenario import Scenario
from gnnsched_env.sim import job_table
from gnnsched_env.sim.records import NEVER, RecordArray
from gnnsched_env.tables import LatencyTable
from gnnsched_env.version import __version__

FORMAT, VERSION = "gnnsched-live-run", 1
RUN_FILE, TABLE_FILE, LOG_FILE, METRICS_FILE = "run.json", "table.npz", "log.jsonl", "metrics.json"
TRACE_FILE = "arrivals.csv"
OWN = ("policy", "seed", "tries", "scenario", "fleet", "classes", "measured", "arguments", "machine", "started")
KEYS = ("format", "version", "clock_hz", *OWN)
LIBRARIES = ("numpy", "scipy", "torch", "ray")

LIVE_JOB = np.dtype(
    [
        ("job", "i8"),
        ("job_class", "i8"),
        ("choice", "i8"),  # of its last run; -1 before the first
        ("tries", "i8"),  # runs that were started
        ("done", "i8"),  # 1 once it is done, -1 where it was given up, 0 before
        ("arrival", "i8"),  # all times: nanoseconds of the run's clock, -1 for none
        ("ready", "i8"),  # it had been predicted, and was the scheduler's
        ("decided", "i8"),  # the policy had chosen to start its last run
        ("dispatched", "i8"),  # that run was handed to the device
        ("started", "i8"),  # on the device
        ("finished", "i8"),  # on the device
        ("reported", "i8"),  # the scheduler knew
        ("due", "i8"),  # NEVER where it has no deadline
        ("weight", "f8"),
        ("predicting_us", "f8"),
    ]
)
LIVE_DECISION = np.dtype(
    [
        ("seen", "i8"),  # nanoseconds of the run's clock: what was observed
        ("decided", "i8"),
        ("deciding_us", "f8"),  # of the policy alone
        ("waiting", "i8"),  # jobs that waited
        ("job", "i8"),  # that it started, -1 where it chose to wait
        ("choice", "i8"),  # likewise
    ]
)


@dataclass(frozen=True, kw_only=True, eq=False)
class LiveRun:
    """What a run is of, and what has happened in it so far.

    `scenario` is that of the simulator, with the run's load, jobs and arrivals, and the `table` that was used;
    `entries` are the log's; `classes` says which graphs the classes are (`ServedClasses.from_dict`), `measured` is the
    path of the measurements that train the predictor (None where predictions are looked up), `arguments` are those of
    the command.
    """

    fleet: LiveFleet
    table: LatencyTable
    scenario: Scenario
    policy: str
    seed: int
    tries: int
    classes: Mapping[str, Any]
    measured: str | None
    arguments: Mapping[str, Any]
    machine: Mapping[str, Any]
    started: Mapping[str, Any]
    entries: Sequence[Entry] = ()

    @classmethod
    def new(
        cls,
        *,
        fleet: LiveFleet,
        scenario: Scenario,
        policy: str,
        seed: int,
        tries: int,
        classes: Mapping[str, Any],
        measured: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return a run that begins now, on this machine, of a scenario that brings its table."""
        assert scenario.table is not None
        wall = time.time_ns()
        iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall // 10**9))
        return cls(
            fleet=fleet,
            table=scenario.table,
            scenario=scenario,
            policy=policy,
            seed=seed,
            tries=tries,
            classes=classes,
            measured=measured,
            arguments=arguments or {},
            machine=_machine(),
            started={"wall_ns": wall, "utc": iso},
        )

    @cached_property
    def planned(self) -> LiveJobs:
        """The jobs that are to come: their table, settings and arrivals."""
        return LiveJobs.of(self.scenario, self.seed)

    @property
    def jobs(self) -> RecordArray:
        """Return a LIVE_JOB record for each job that has come, by number."""
        count = sum(entry["event"] == "arrive" for entry in self.entries)
        jobs: RecordArray = np.zeros(count, LIVE_JOB)
        for name in LIVE_JOB.names or ():
            if name not in ("tries", "done"):
                jobs[name] = -1
        for entry in self.entries:
            if "job" in entry:
                _tell_job(jobs[entry["job"]], entry)
        return jobs

    @property
    def decisions(self) -> RecordArray:
        """Return a LIVE_DECISION record for each decision, in their order."""
        told = [entry for entry in self.entries if "seen" in entry]
        decisions: RecordArray = np.zeros(len(told), LIVE_DECISION)
        for record, entry in zip(decisions, told, strict=True):
            record["decided"] = entry["at"]
            for name in ("seen", "deciding_us", "waiting"):
                record[name] = entry[name]
            for name in ("job", "choice"):
                record[name] = entry.get(name, -1)
        return decisions

    def begin(self, folder: Path) -> None:
        """Write what the run is of, before anything happens."""
        folder.mkdir(parents=True, exist_ok=True)
        self.table.save(folder / TABLE_FILE)
        if (trace := self.scenario.arrivals.trace) is not None:
            content = Path(trace).read_bytes()
            write_whole(folder / TRACE_FILE, lambda file: file.write(content))
        write_json(folder / RUN_FILE, self._to_dict())

    def _to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "policy": self.policy,
            "seed": self.seed,
            "tries": self.tries,
            "clock_hz": CLOCK_HZ,
            "scenario": replace(self.scenario, table=None).to_dict(),
            "fleet": self.fleet.to_dict(),
            "classes": dict(self.classes),
            "measured": self.measured,
            "arguments": dict(self.arguments),
            "machine": dict(self.machine),
            "started": dict(self.started),
        }


def check_new(folder: Path) -> None:
    """Raise ConfigError where a folder has files already."""
    if folder.exists() and any(not path.name.startswith(".") and path.is_file() for path in folder.iterdir()):
        raise ConfigError(f"{folder}: must be empty or new, or hold a run to go on with (--resume)")


def read_run(folder: str | os.PathLike[str], *, mend: bool = False) -> LiveRun:
    """Return the run of a folder, finished or not; with `mend` a log's last line that was cut off is removed.

    Raise FileFormatError where the folder holds no run, one of another version, or a damaged one.
    """
    path = Path(folder) / RUN_FILE
    data = read_json(path)
    if data.get("format") != FORMAT:
        raise FileFormatError(f"{path}: must describe a live run (format {FORMAT!r}), got {data.get('format')!r}")
    if data.get("version") != VERSION:
        raise FileFormatError(f"{path}: version must be {VERSION}, got {data.get('version')!r}")
    check_known(str(path), data, KEYS)
    if missing := [name for name in KEYS if name not in data]:
        raise FileFormatError(f"{path}: key {missing[0]!r} is missing")
    table = LatencyTable.load(Path(folder) / TABLE_FILE)
    with reading(str(path)):
        fleet = LiveFleet.from_dict(data["fleet"])
        told = {**data["scenario"], "fleet": simulated_scenario(fleet, table).fleet.to_dict()}
        scenario = replace(Scenario.from_dict(told), table=table)
        if scenario.arrivals.trace is not None:
            scenario = scenario.with_options(arrivals={"trace": str(Path(folder) / TRACE_FILE)})
        run = LiveRun(
            fleet=fleet,
            table=table,
            scenario=scenario,
            policy=str(data["policy"]),
            seed=int(data["seed"]),
            tries=int(data["tries"]),
            classes=dict(data["classes"]),
            measured=data["measured"],
            arguments=dict(data["arguments"]),
            machine=dict(data["machine"]),
            started=dict(data["started"]),
            entries=(),
        )
    log = Path(folder) / LOG_FILE
    return replace(run, entries=read_log(log, mend=mend)) if log.exists() else run


def write_tables(run: LiveRun, folder: Path) -> None:
    """Write jobs.csv and decisions.csv."""
    table = job_table(run.planned.table, run.planned.settings.repeats)
    names = [name for name in LIVE_JOB.names or () if name not in ("job_class", "choice", "done")]
    header = [*(f"{name}_ns" if name in _TIMES else name for name in names), "class", "state", "device", "dataflow"]
    header += ["predicted_ns", "profiled_ns"]
    write_rows(folder / "jobs.csv", header, (_job_cells(job, names, table) for job in run.jobs))
    decisions = run.decisions
    columns = ["seen_ns", "decided_ns", "deciding_us", "waiting", "job", "choice"]
    rows = (_decision_cells(row, table) for row in decisions)
    write_rows(folder / "decisions.csv", columns, rows)


_TIMES = ("arrival", "ready", "decided", "dispatched", "started", "finished", "reported", "due")
_STATES = {1: "done", 0: "open", -1: "given up"}


def _job_cells(job: Any, names: Sequence[str], table: LatencyTable) -> list[Any]:
    choice, number = int(job["choice"]), int(job["job_class"])
    cells = ["" if job[name] == -1 or (name == "due" and job[name] == NEVER) else job[name].item() for name in names]
    cells += [table.class_names[number], _STATES[int(job["done"])]]
    if choice < 0:
        return [*cells, "", "", "", ""]
    device, _, dataflow = table.choice_names[choice].partition("/")
    return [
        *cells,
        device,
        dataflow,
        int(table.predicted_cycles[number, choice]),
        int(table.true_cycles[number, choice]),
    ]


def _decision_cells(row: Any, table: LatencyTable) -> list[Any]:
    started = row["job"] >= 0
    cells = [row[name].item() for name in ("seen", "decided", "deciding_us", "waiting")]
    return [*cells, row["job"].item() if started else "", table.choice_names[int(row["choice"])] if started else ""]


def _tell_job(job: Any, entry: Entry) -> None:
    """Write what an entry tells to its job's record."""
    event = entry["event"]
    if event == "arrive":
        job["job"], job["job_class"], job["ready"] = entry["job"], entry["class"], entry["at"]
        for name in ("arrival", "due", "weight", "predicting_us"):
            job[name] = entry[name]
    elif event == "choose":
        job["choice"], job["decided"] = entry["choice"], entry["at"]
        job["tries"] += 1
        for name in ("dispatched", "started", "finished", "reported"):
            job[name] = -1
    elif event == "done":
        job["done"], job["reported"] = 1, entry["at"]
        job["dispatched"], job["started"], job["finished"] = entry["sent"], entry["started"], entry["finished"]
    elif event == "give_up":
        job["done"], job["reported"] = -1, entry["at"]


def _machine() -> dict[str, Any]:
    """Return what a run's times depend on: the machine, and the versions of what runs there."""
    versions = {"gnnsched-env": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None  # type: ignore[assignment]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()  # noqa: TID251
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores,
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    """Return the median, the 95th and the 99th percentile of values, by name; empty where there are none."""
    if not len(values):
        return {}
    return {name: float(np.percentile(values, at)) for name, at in (("p50", 50), ("p95", 95), ("p99", 99))}
