"""The TOML format of hardware: parse a file and check every key and type, before names are looked up."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from gnnsched_env.common.checks import Integer, require_unique
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.files import read_toml
from gnnsched_env.hardware.dataflow import Dataflow
from gnnsched_env.hardware.fleet import DEFAULT_CLOCK_HZ
from gnnsched_env.hardware.taxonomy import Taxonomy
from gnnsched_env.hardware.tiling import TileRule

Table = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorEntry:
    """One [[accelerator]]: its plain fields, and the names of its dataflows (None means every known dataflow)."""

    fields: Mapping[str, Any]
    dataflows: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetEntry:
    """The [fleet] table: the names of its accelerators (None means all of the file's own)."""

    name: str
    clock_hz: int
    accelerators: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareFile:
    """One parsed file; `origin` names it in messages, the mappings are by name, in the file's order."""

    origin: str
    dataflows: Mapping[str, Dataflow]
    accelerators: Mapping[str, AcceleratorEntry]
    fleet: FleetEntry | None


def read_hardware_file(path: Path) -> HardwareFile:
    """Read a user's file."""
    return _parse(str(path), read_toml(path))


def read_preset(name: str) -> HardwareFile:
    """Read a file of the package's presets folder."""
    return _parse(name, read_toml(preset_folder().joinpath(name)))


def preset_folder() -> Traversable:
    """Return the folder of the presets: dataflows, accelerators, unit energies, and a file for each fleet."""
    return resources.files("gnnsched_env.hardware").joinpath("presets")


def preset_fleet_names() -> tuple[str, ...]:
    """Return the names of the fleets in the presets folder, sorted."""
    files = (entry.name for entry in preset_folder().joinpath("fleets").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


_TOP_KEYS = {"dataflow", "accelerator", "fleet"}
_DATAFLOW_KEYS = {"name", "taxonomy", "aggregation", "combination", "f", "g"}
_ACCELERATOR_NUMBERS = {"pes", "distribution_bandwidth", "reduction_bandwidth", "reconfiguration_cycles"}
_ACCELERATOR_KEYS = {"name", "dataflows", "clock_hz", "count"} | _ACCELERATOR_NUMBERS
MOST_EQUAL = 4096  # accelerators of one entry
_FLEET_KEYS = {"name", "clock_hz", "accelerators"}


def _parse(origin: str, document: Table) -> HardwareFile:
    _check_keys(origin, document, allowed=_TOP_KEYS, required=set())
    try:
        dataflows = {name: _dataflow(entry) for name, entry in _entries(document, "dataflow").items()}
        entries = _repeated(_entries(document, "accelerator"))
        accelerators = {name: _accelerator(entry) for name, entry in entries.items()}
        fleet = _fleet(document["fleet"], entries) if "fleet" in document else None
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from None
    return HardwareFile(origin=origin, dataflows=dataflows, accelerators=accelerators, fleet=fleet)


def _check_keys(label: str, table: object, *, allowed: set[str], required: set[str]) -> None:
    if not isinstance(table, dict):
        raise ConfigError(f"{label}: must be a table, got {table!r}")
    if unknown := sorted(table.keys() - allowed):
        raise ConfigError(f"{label}: unknown key {unknown[0]!r}; known: {', '.join(sorted(allowed))}")
    if missing := sorted(required - table.keys()):
        raise ConfigError(f"{label}: key {missing[0]!r} is missing")


def _entries(document: Table, kind: str) -> dict[str, Table]:
    entries = document.get(kind, [])
    if not isinstance(entries, list):
        raise ConfigError(f"{kind}: must be an array of tables, [[{kind}]]")
    named: dict[str, Table] = {}
    for i, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise ConfigError(f"[[{kind}]] number {i + 1}: name must be a string, got {name!r}")
        if name in named:
            raise ConfigError(f"[[{kind}]]: names must differ, got {name!r} twice")
        named[name] = entry
    return named


def _repeated(entries: Mapping[str, Table]) -> dict[str, Table]:
    """Return the accelerators' entries, those with a `count` once for each: seq0, seq1, ... of "seq"."""
    named: dict[str, Table] = {}
    for name, entry in entries.items():
        one = {key: value for key, value in entry.items() if key != "count"}
        numbered = [name]
        if "count" in entry:
            count = Integer(1, MOST_EQUAL).check(f"accelerator {name!r}", "count", entry["count"])
            numbered = [f"{name}{number}" for number in range(count)]
        require_unique("[[accelerator]]", "accelerator", (*named, *numbered))
        named |= {own: {**one, "name": own} for own in numbered}
    return named


def _dataflow(entry: Table) -> Dataflow:
    label = f"dataflow {entry['name']!r}"
    _check_keys(label, entry, allowed=_DATAFLOW_KEYS, required=_DATAFLOW_KEYS - {"f", "g"})
    tiles: Table = {}
    for phase, names in {"aggregation": ("t_va", "t_n", "t_fa"), "combination": ("t_vc", "t_g", "t_fc")}.items():
        if not isinstance(entry[phase], list) or len(entry[phase]) != len(names):
            raise ConfigError(f"{label}: {phase} must list three tiles ({', '.join(names)}), got {entry[phase]!r}")
        tiles |= dict(zip(names, entry[phase], strict=True))
    shorthands = {name: entry[name] for name in ("f", "g") if name in entry}
    try:
        rule = TileRule(**tiles, **shorthands)
        return Dataflow(name=entry["name"], taxonomy=Taxonomy.parse(entry["taxonomy"]), rule=rule)
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from None


def _accelerator(entry: Table) -> AcceleratorEntry:
    label = f"accelerator {entry['name']!r}"
    _check_keys(label, entry, allowed=_ACCELERATOR_KEYS, required={"name", "pes", "dataflows"})
    fields = {key: entry[key] for key in entry.keys() & (_ACCELERATOR_NUMBERS | {"name"})}
    dataflows = None if entry["dataflows"] == "all" else _names(label, "dataflows", entry["dataflows"])
    return AcceleratorEntry(fields=fields, dataflows=dataflows)


def _fleet(table: Table, accelerators: Mapping[str, Table]) -> FleetEntry:
    _check_keys("fleet", table, allowed=_FLEET_KEYS, required={"name"})
    label = f"fleet {table['name']!r}"
    clocks = {name: entry["clock_hz"] for name, entry in accelerators.items() if "clock_hz" in entry}
    clock = table.get("clock_hz", next(iter(clocks.values()), DEFAULT_CLOCK_HZ))
    for name, own in clocks.items():
        if own != clock:
            raise ConfigError(f"{label}: one clock serves the whole fleet, got {clock} Hz and {own} Hz of {name!r}")
    wanted = _names(label, "accelerators", table["accelerators"]) if "accelerators" in table else None
    return FleetEntry(name=table["name"], clock_hz=clock, accelerators=wanted)


def _names(label: str, field: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"{label}: {field} must be a list of names, got {value!r}")
    return tuple(value)
