"""Unit energies: the cost of one multiply-accumulate and of one access, from presets or from a user's TOML file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from gnnsched_env.common.checks import Number, Text, check_fields
from gnnsched_env.common.errors import ConfigError, did_you_mean
from gnnsched_env.common.files import read_toml
from gnnsched_env.hardware import toml_format

DEFAULT_ENERGIES = "float32_45nm"
MOST_PJ = 1e6  # of one event: a DRAM burst is far below it

_COSTS = ("mac_pj", "register_file_pj", "link_pj", "global_buffer_pj")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitEnergies:
    """Energy of one event in pJ, each above 0 and at most 10^6; access counts are multiplied by these.

    `mac_pj`: a useful multiply-accumulate. `register_file_pj`: a word read from or written to a PE's register file.
    `link_pj`: a word over one link of the distribution network. `global_buffer_pj`: a word read from or written to the
    global buffer. `source`: where the figures were published.

    The presets take the multiply-accumulate from Horowitz, "Computing's energy problem", ISSCC 2014 (45 nm), and the
    rest relative to it from Eyeriss (Chen, Emer and Sze, ISCA 2016): register file 1, between PEs 2, global buffer 6.
    """

    name: Annotated[str, Text(without="/")]
    mac_pj: Annotated[float, Number(above=0, most=MOST_PJ)]
    register_file_pj: Annotated[float, Number(above=0, most=MOST_PJ)]
    link_pj: Annotated[float, Number(above=0, most=MOST_PJ)]
    global_buffer_pj: Annotated[float, Number(above=0, most=MOST_PJ)]
    source: str = ""

    def __post_init__(self) -> None:
        check_fields(self, f"unit energies {self.name!r}")
        if not isinstance(self.source, str):
            raise ConfigError(f"unit energies {self.name!r}: source must be a string, got {self.source!r}")

    def key(self) -> str:
        """Return a text of everything that energies depend on: the costs, without the name and source."""
        return json.dumps({cost: getattr(self, cost) for cost in _COSTS})

    def to_dict(self) -> dict[str, object]:
        """Return all fields, for provenance and printing."""
        return asdict(self)


def list_unit_energies() -> tuple[str, ...]:
    """Return the names of the presets."""
    return tuple(_presets())


def load_unit_energies(name_or_path: str | Path = DEFAULT_ENERGIES) -> UnitEnergies:
    """Return a preset by name, or the only [[unit_energies]] of a TOML file by path."""
    if isinstance(name_or_path, Path) or str(name_or_path).endswith(".toml"):
        found = _parse(str(name_or_path), read_toml(Path(name_or_path)))
        if len(found) != 1:
            raise ConfigError(f"{name_or_path}: must define exactly one [[unit_energies]], got {len(found)}")
        return next(iter(found.values()))
    presets = _presets()
    if name_or_path not in presets:
        hint = did_you_mean(name_or_path, presets)
        raise ConfigError(f"unknown unit energies {name_or_path!r}{hint} (known: {', '.join(presets)})")
    return presets[name_or_path]


@cache
def _presets() -> dict[str, UnitEnergies]:
    return _parse("energy.toml", read_toml(toml_format.preset_folder().joinpath("energy.toml")))


def _parse(origin: str, document: dict[str, Any]) -> dict[str, UnitEnergies]:
    _check_keys(origin, document, ("unit_energies",), required=())
    entries = document.get("unit_energies", [])
    if not isinstance(entries, list):
        raise ConfigError(f"{origin}: unit_energies must be an array of tables, [[unit_energies]]")
    found: dict[str, UnitEnergies] = {}
    for i, entry in enumerate(entries):
        label = f"{origin}: [[unit_energies]] number {i + 1}"
        _check_keys(label, entry, ("name", *_COSTS, "source"), required=("name", *_COSTS))
        try:
            energies = UnitEnergies(**entry)
        except ConfigError as error:
            raise ConfigError(f"{origin}: {error}") from None
        if energies.name in found:
            raise ConfigError(f"{origin}: names must differ, got {energies.name!r} twice")
        found[energies.name] = energies
    return found


def _check_keys(label: str, table: Any, known: tuple[str, ...], *, required: tuple[str, ...]) -> None:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{label}: must be a table, got {table!r}")
    for key in table:
        if key not in known:
            raise ConfigError(f"{label}: unknown key {key!r}{did_you_mean(key, known)} (known: {', '.join(known)})")
    for key in required:
        if key not in table:
            raise ConfigError(f"{label}: key {key!r} is missing")
