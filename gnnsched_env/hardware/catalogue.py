"""Hardware by name or by file: presets shipped with the package, and the user's own TOML files.

One format serves both: `[[dataflow]]`, `[[accelerator]]` and `[fleet]` tables. A file's accelerators may name its own
dataflows and every preset one; its fleet may name its own accelerators and every preset one (all its own by default).
"""

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware.accelerator import Accelerator
from gnnsched_env.hardware.dataflow import Dataflow
from gnnsched_env.hardware.fleet import Fleet
from gnnsched_env.hardware.toml_format import HardwareFile, preset_fleet_names, read_hardware_file, read_preset

Named = TypeVar("Named")


def list_fleets() -> tuple[str, ...]:
    """Return the names of the preset fleets."""
    return preset_fleet_names()


def list_accelerators() -> tuple[str, ...]:
    """Return the names of the preset accelerators."""
    return tuple(_preset_accelerators())


def list_dataflows() -> tuple[str, ...]:
    """Return the names of the preset dataflows."""
    return tuple(_preset_dataflows())


def load_fleet(name_or_path: str | Path) -> Fleet:
    """Return a preset fleet, or the one that a TOML file defines."""
    if _is_path(name_or_path):
        return _fleet(_user_file(Path(name_or_path)))
    name = _known("fleet", str(name_or_path), list_fleets())
    return _preset_fleet(name)


def load_accelerator(name_or_path: str | Path) -> Accelerator:
    """Return a preset accelerator, or the only one that a TOML file defines."""
    if _is_path(name_or_path):
        source = _user_file(Path(name_or_path))
        return _only(source.origin, "accelerator", _accelerators(source))
    presets = _preset_accelerators()
    return presets[_known("accelerator", str(name_or_path), presets)]


def load_dataflow(name_or_path: str | Path) -> Dataflow:
    """Return a preset dataflow, or the only one that a TOML file defines."""
    if _is_path(name_or_path):
        source = _user_file(Path(name_or_path))
        return _only(source.origin, "dataflow", source.dataflows)
    presets = _preset_dataflows()
    return presets[_known("dataflow", str(name_or_path), presets)]


def _is_path(name_or_path: str | Path) -> bool:
    return isinstance(name_or_path, Path) or str(name_or_path).endswith(".toml")


def _known(kind: str, name: str, names: Iterable[str], *, origin: str = "") -> str:
    """Return the name if it is known; otherwise raise ConfigError and suggest the closest one."""
    known = sorted(names)
    if name in known:
        return name
    folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    hint = f" did you mean {folded[close[0]]!r}?" if close else ""
    where = f"{origin}: " if origin else ""
    raise ConfigError(f"{where}unknown {kind} {name!r};{hint} known: {', '.join(known) or 'none'}")


def _only(origin: str, kind: str, found: Mapping[str, Named]) -> Named:
    if len(found) != 1:
        raise ConfigError(f"{origin}: must define exactly one [[{kind}]] to be used as one, got {len(found)}")
    return next(iter(found.values()))


@cache
def _preset_dataflows() -> dict[str, Dataflow]:
    return dict(read_preset("dataflows.toml").dataflows)


@cache
def _preset_accelerators() -> dict[str, Accelerator]:
    return _accelerators(read_preset("accelerators.toml"))


@cache
def _preset_fleet(name: str) -> Fleet:
    return _fleet(read_preset(f"fleets/{name}.toml"))


def _user_file(path: Path) -> HardwareFile:
    """Read a user's file; raise ConfigError if one of its names is a preset's."""
    source = read_hardware_file(path)
    for kind, own, presets in (
        ("dataflow", source.dataflows, _preset_dataflows()),
        ("accelerator", source.accelerators, _preset_accelerators()),
    ):
        for name in own:
            if name in presets:
                raise ConfigError(f"{path}: {kind} {name!r} is a preset; choose another name")
    return source


def _accelerators(source: HardwareFile) -> dict[str, Accelerator]:
    available = _preset_dataflows() | dict(source.dataflows)
    accelerators = {}
    for name, entry in source.accelerators.items():
        wanted = tuple(available) if entry.dataflows is None else entry.dataflows
        dataflows = tuple(available[_known("dataflow", flow, available, origin=source.origin)] for flow in wanted)
        try:
            accelerators[name] = Accelerator(dataflows=dataflows, **entry.fields)
        except ConfigError as error:
            raise ConfigError(f"{source.origin}: {error}") from None
    return accelerators


def _fleet(source: HardwareFile) -> Fleet:
    if source.fleet is None:
        raise ConfigError(f"{source.origin}: must have a [fleet] table to be used as a fleet")
    own = _accelerators(source)
    available = _preset_accelerators() | own
    wanted = tuple(own) if source.fleet.accelerators is None else source.fleet.accelerators
    accelerators = tuple(available[_known("accelerator", name, available, origin=source.origin)] for name in wanted)
    try:
        return Fleet(name=source.fleet.name, accelerators=accelerators, clock_hz=source.fleet.clock_hz)
    except ConfigError as error:
        raise ConfigError(f"{source.origin}: {error}") from None
