"""The file of `gnnsched evaluate --json`, read: its records, and the scenario to play a record's episodes again."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import read_json
from gnnsched_env.evaluation.compare import with_graphs
from gnnsched_env.evaluation.episode_blocks import CONDITIONS, Record
from gnnsched_env.scenario import Scenario
from gnnsched_env.scenario.scenario import SECTIONS
from gnnsched_env.sim.metrics import METRICS
from gnnsched_env.tables import LatencyTable

TEXTS = ("policy", "knowledge", "fleet", "env")
COUNTS = ("episodes", "jobs")
NUMBERS = (*METRICS, "p50_completion", "p95_completion", "p99_completion", "capacity")
RATIOS = ("ratio_to_sjf_clairvoyant", "ratio_to_best_uninformed", "ratio_to_versus")
LARGEST = 1e300  # of a number
REPLAYED = ("scenario", "fleet", "predictor", *SECTIONS, "arguments", "tables")  # of the provenance, to play it again


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A file of records; `provenance` says how they were made. There is at least one record."""

    path: Path
    provenance: Mapping[str, Any]
    records: tuple[Record, ...]

    @property
    def seed(self) -> int:
        """The seed of the first episode."""
        seed = self._arguments().get("seed", 0)
        return seed if type(seed) is int and seed >= 0 else 0

    def scenario(self, record: Record) -> Scenario:
        """Return the scenario of a record: its load, its jobs and its graph files.

        Raise FileFormatError where the file does not say it (earlier versions wrote less), and ConfigError where what
        it says breaks a rule.
        """
        if missing := [name for name in REPLAYED if name not in self.provenance]:
            raise FileFormatError(
                f"{self.path}: does not say {', '.join(missing)}, so that no episode can be played again"
            )
        told = {name: self.provenance[name] for name in REPLAYED[1:-2]}
        made = Scenario.from_dict({"name": self.provenance["scenario"], **told})
        files = self._arguments().get("graphs") or []
        if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
            raise FileFormatError(f"{self.path}: the argument graphs must be a list of paths, got {files!r:.80}")
        made = with_graphs(made, [file for file in files if Path(file).stem in record["graphs"]])
        load = None if made.arrivals.trace else record["load"]
        return made.with_options(load=load, jobs=record["jobs"])

    def made_with(self, table: LatencyTable) -> bool:
        """Return whether the file was made with a table's latencies, as far as their origins tell."""
        tables = self.provenance.get("tables")
        return isinstance(tables, list) and json.loads(json.dumps(dict(table.provenance))) in tables

    def _arguments(self) -> Mapping[str, Any]:
        arguments = self.provenance.get("arguments")
        return arguments if isinstance(arguments, dict) else {}


def read_records(path: str | os.PathLike[str]) -> Recorded:
    """Return what is in a file of `gnnsched evaluate --json`; raise FileFormatError where it is none."""
    data = read_json(path)
    records, provenance = data.get("records"), data.get("provenance")
    if not isinstance(records, list) or not records or not isinstance(provenance, dict):
        raise FileFormatError(f"{path}: must hold the records and the provenance of `gnnsched evaluate --json`")
    for number, record in enumerate(records):
        if fault := _fault(record):
            raise FileFormatError(f"{path}: record {number}: {fault}")
    return Recorded(path=Path(path), provenance=provenance, records=tuple(records))


def _fault(record: Any) -> str:
    """Return what is wrong with a record, "" for a good one."""
    if not isinstance(record, dict):
        return f"must be an object, got {record!r:.80}"
    rules = [(name, "a text", isinstance(record.get(name), str)) for name in TEXTS]
    rules += [(name, "an integer above 0", _count(record.get(name))) for name in COUNTS]
    rules += [(name, "a finite number", _finite(record.get(name))) for name in NUMBERS]
    rules += [(name, "a section of a scenario or null", _section(name, record.get(name, 0))) for name in CONDITIONS]
    rules += [("load", "a number or null", record.get("load", "") is None or _finite(record.get("load")))]
    rules += [("stable", "true, false or null", isinstance(record.get("stable", ""), bool | None))]
    rules += [("graphs", "a list of texts", _texts(record.get("graphs")))]
    rules += [(name, "intervals of completion and execution", _ratios(record.get(name))) for name in _given(record)]
    rules += [(RATIOS[1], "given, or null", RATIOS[1] in record)]
    if "ratio_to_bound" in record:
        rules += [("ratio_to_bound", "a finite number", _finite(record["ratio_to_bound"]))]
    if "ratio_to_versus" in record:
        rules += [("versus", "a text", isinstance(record.get("versus"), str))]
    return next((f"{name} must be {rule}, got {record.get(name)!r:.80}" for name, rule, good in rules if not good), "")


def _given(record: Record) -> list[str]:
    """Return the ratios of a record that must be sound: those over other policies may be null, or lack."""
    return [RATIOS[0], *(name for name in RATIOS[1:] if record.get(name) is not None)]


def _ratios(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(entry := value.get(name), list) and len(entry) == 3 and all(map(_finite, entry))
        for name in ("completion", "execution")
    )


def _section(name: str, value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {entry.name for entry in fields(SECTIONS[name])}:
        return value is None
    try:
        SECTIONS[name](**value)
    except ConfigError:
        return False
    return True


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _count(value: Any) -> bool:
    return type(value) is int and value > 0


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
