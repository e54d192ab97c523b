"""A live fleet: named devices, what kind each is, and which of its kind's choices it is asked for; a TOML file.

    name = "mine"

    [[device]]
    name = "core"              # with a count: core0, core1, ...
    kind = "cpu"               # cpu, cuda, sleep, or module:Class
    count = 2
    choices = ["csr_spmm", "dense_gemm"]   # all of the kind's by default

docs/how-to/run_a_live_fleet.md describes the keys.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import (
    Flag,
    Integer,
    ListOf,
    OneOf,
    Text,
    check_fields,
    check_keys,
    check_known,
    require,
    require_unique,
)
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.files import read_toml
from gnnsched_env.live.devices.live_device import make_device
from gnnsched_env.live.devices.sleep import ANY

CLOCK_HZ = 1_000_000_000  # of every live fleet: a cycle is a nanosecond
MOST_DEVICES = 64
CORELESS = ("sleep",)  # kinds that need no core of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDevice:
    """One device; `options` are given to its class, `pin` keeps it on one core."""

    name: Annotated[str, Text(without="/")]
    kind: Annotated[str, Text()]
    choices: Annotated[tuple[str, ...], ListOf(Text(without="/"), fewest=1)]
    options: Mapping[str, Any] = field(default_factory=dict)
    pin: Annotated[bool, Flag()] = True

    @property
    def needs_gpu(self) -> bool:
        """Return whether the device is a GPU; a `cuda` device may be told to try its code on a CPU."""
        return self.kind == "cuda" and str(self.options.get("device", "cuda")).startswith("cuda")

    def __post_init__(self) -> None:
        where = f"device {self.name!r}"
        check_fields(self, where)
        require_unique(where, "choice", self.choices)
        require(where, "options", self.options, "" if isinstance(self.options, Mapping) else "a table")
        known = tuple(make_device(self.kind, self.options).choices())
        for choice in self.choices if known != (ANY,) else ():
            if choice not in known:
                raise ConfigError(f"{where}: choices must be among {', '.join(known)}, got {choice!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFleet:
    """Devices that serve one stream of jobs; its choices are device by device, named `device/choice`."""

    name: Annotated[str, Text(without="/")]
    devices: tuple[LiveDevice, ...]

    def __post_init__(self) -> None:
        where = f"live fleet {self.name!r}"
        check_fields(self, where)
        object.__setattr__(self, "devices", tuple(self.devices))
        count = len(self.devices)
        require(where, "devices", count, "" if 1 <= count <= MOST_DEVICES else f"from 1 to {MOST_DEVICES}")
        require_unique(where, "device", (device.name for device in self.devices))

    @property
    def choice_names(self) -> tuple[str, ...]:
        """Return the K names of all choices, as `device/choice`."""
        return tuple(f"{device.name}/{choice}" for device in self.devices for choice in device.choices)

    @property
    def choice_devices(self) -> NDArray[np.int64]:
        """Return int64 [K]: the device of each choice."""
        return np.repeat(np.arange(len(self.devices)), [len(device.choices) for device in self.devices])

    @property
    def cores(self) -> int:
        """Return how many cores the devices need."""
        return sum(device.kind not in CORELESS for device in self.devices)

    @property
    def gpus(self) -> int:
        """Return how many GPUs the devices need."""
        return sum(device.needs_gpu for device in self.devices)

    def to_dict(self) -> dict[str, Any]:
        """Return everything that defines the fleet, as JSON has it; `from_dict` is the inverse."""
        return {"name": self.name, "devices": [asdict(device) for device in self.devices]}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the fleet that `to_dict` described; raise ConfigError, naming the key, where it is bad."""
        require("live fleet", "what describes it", data, "" if isinstance(data, Mapping) else "a mapping")
        check_known("live fleet", data, ("name", "devices"))
        for entry in data.get("devices", ()):
            check_keys("live fleet: device", entry, LiveDevice)
        return cls(name=data.get("name", ""), devices=tuple(LiveDevice(**entry) for entry in data.get("devices", ())))


def load_live_fleet(path: str | Path) -> LiveFleet:
    """Return a preset's fleet by name, or the fleet of a TOML file; raise ConfigError where it is bad."""
    if isinstance(path, str) and not path.endswith(".toml"):
        OneOf(list_live_fleets()).check("live fleet", "name", path)
        return _parse(path, read_toml(_presets().joinpath(f"{path}.toml")))
    return _parse(str(path), read_toml(Path(path)))


def list_live_fleets() -> tuple[str, ...]:
    """Return the names of the preset fleets, sorted."""
    files = (entry.name for entry in _presets().iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def _presets() -> Any:
    return resources.files("gnnsched_env.live").joinpath("presets")


def _parse(origin: str, data: Mapping[str, Any]) -> LiveFleet:
    check_known(origin, data, ("name", "device"))
    entries = data.get("device")
    good = isinstance(entries, list) and all(isinstance(entry, Mapping) for entry in entries)
    require(origin, "device", entries, "" if good and entries else "an array of tables, [[device]]")
    try:
        devices = [device for entry in entries or () for device in _devices(entry)]
        return LiveFleet(name=data.get("name", Path(origin).stem), devices=tuple(devices))
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from None


def _devices(entry: Mapping[str, Any]) -> list[LiveDevice]:
    """Return the devices of an entry, `count` of them."""
    known = ("name", "kind", "count", "choices", "options", "pin")
    name: Any = entry.get("name")
    check_known(f"device {name!r}", entry, known)
    if missing := [key for key in ("name", "kind") if key not in entry]:
        raise ConfigError(f"device {name!r}: key {missing[0]!r} is missing")
    fields = {key: entry[key] for key in ("kind", "options", "pin") if key in entry}
    options = entry.get("options", {})
    require(f"device {name!r}", "options", options, "" if isinstance(options, Mapping) else "a table")
    try:
        own = tuple(make_device(str(entry["kind"]), options).choices()) if "choices" not in entry else entry["choices"]
    except ConfigError as error:
        raise ConfigError(f"device {name!r}: {str(error).removeprefix('device: ')}") from None
    if own == (ANY,):
        raise ConfigError(f"device {name!r}: choices must be named, for a {entry['kind']} device takes any")
    if "count" not in entry:
        return [LiveDevice(name=name, choices=own, **fields)]
    count = Integer(1, MOST_DEVICES).check(f"device {name!r}", "count", entry["count"])
    return [LiveDevice(name=f"{name}{number}", choices=own, **fields) for number in range(count)]
