"""`Scenario`: a fleet, a workload, a predictor, its cost and the environment's options, from a TOML file or Python."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from gnnsched_env.common.checks import Integer, OneOf, check_keys, check_known, shown
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.files import read_toml
from gnnsched_env.hardware import Fleet, list_fleets, load_fleet
from gnnsched_env.hardware.accelerator import LONGEST_RECONFIGURATION
from gnnsched_env.predictors import DEFAULT_PREDICTOR, check_predictor
from gnnsched_env.scenario.options import (
    Arrivals,
    DecisionCost,
    EnvironmentOptions,
    Failures,
    PredictionError,
    Reward,
    ShortForm,
    Workload,
)
from gnnsched_env.tables import LatencyTable, choice_keys

UNEXPECTED = "unexpected keyword argument"  # Python's own words, which TorchRL looks for


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that defines an environment; give `table` to bring latencies of your own.

    A `table` (cycles of one inference) replaces the predictor and the workload but for its `repeats`: its choices must
    be those of the fleet, by name and, where it has pair keys, by hardware.
    """

    name: str
    fleet: Fleet
    workload: Workload = field(default_factory=Workload)
    predictor: str = DEFAULT_PREDICTOR
    environment: EnvironmentOptions = field(default_factory=EnvironmentOptions)
    decision: DecisionCost = field(default_factory=DecisionCost)
    arrivals: Arrivals = field(default_factory=Arrivals)
    failures: Failures = field(default_factory=Failures)
    prediction_error: PredictionError = field(default_factory=PredictionError)
    reward: Reward = field(default_factory=Reward)
    table: LatencyTable | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"scenario: name must be a non-empty string, got {self.name!r}")
        if not isinstance(self.fleet, Fleet):
            raise ConfigError(f"scenario {self.name!r}: fleet must be a Fleet, got {self.fleet!r}")
        try:
            check_predictor(self.predictor)
        except ConfigError as error:
            raise ConfigError(f"scenario {self.name!r}: {error}") from None
        if self.table is not None and not isinstance(self.table, LatencyTable):
            raise ConfigError(f"scenario {self.name!r}: table must be a LatencyTable, got {self.table!r}")
        if self.table is not None:
            expected = tuple(choice.name for choice in self.fleet.choices)
            if self.table.choice_names != expected:
                raise ConfigError(
                    f"scenario {self.name!r}: the table's choices must be the fleet's ({', '.join(expected)}), "
                    f"got {', '.join(self.table.choice_names)}"
                )
            self._check_hardware(self.table)

    def _check_hardware(self, table: LatencyTable) -> None:
        for name, key, expected in zip(table.choice_names, table.pair_keys, choice_keys(self.fleet), strict=False):
            if key != expected:
                raise ConfigError(
                    f"scenario {self.name!r}: the table was computed for other hardware than the fleet's: "
                    f"choice {name!r} must be {expected}, got {key}"
                )

    def with_options(self, **options: Any) -> Self:
        """Return the scenario with some of its options changed (None leaves one as it is).

        The environment's options by name; the workload's `repeats`; the `predictor`; `reconfiguration`, the cycles that
        every accelerator takes to change its dataflow; and whole sections, `decision`, `arrivals`, `failures`,
        `prediction_error`, `reward`: an object of the section's class, or a mapping that changes some of its fields.
        Short forms: `arrivals="bursty"` (the process) or `"jobs.csv"` (a trace), `failures=(200, 20)` (up, down),
        `prediction_error=0.05` (the noise; or noise and bias), `reward="energy"` (that alone).
        """
        check_known("environment", options, option_names(), kind=UNEXPECTED)
        chosen = {name: value for name, value in options.items() if value is not None}
        sections = {name: _changed(name, getattr(self, name), chosen.pop(name, {})) for name in _CHANGED_SECTIONS}
        workload = replace(self.workload, repeats=chosen.pop("repeats", self.workload.repeats))
        predictor = chosen.pop("predictor", self.predictor)
        fleet = _reconfigured(self.fleet, chosen.pop("reconfiguration", None))
        environment = replace(self.environment, **chosen)
        return replace(self, environment=environment, workload=workload, predictor=predictor, fleet=fleet, **sections)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but a table, as JSON has it: `from_dict` returns an equal scenario.

        Raise ConfigError for a scenario that brings a table.
        """
        if self.table is not None:
            raise ConfigError(f"scenario {self.name!r}: one with a table of its own cannot be written as a dict")
        sections = {name: asdict(getattr(self, name)) for name in SECTIONS}
        return {"name": self.name, "fleet": self.fleet.to_dict(), "predictor": self.predictor, **sections}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the scenario that `to_dict` described; raise ConfigError, naming the key, where it is bad."""
        check_known("scenario", data, ("name", "fleet", "predictor", *SECTIONS))
        if not isinstance(data.get("fleet"), Mapping):
            raise ConfigError(
                "scenario: fleet must be given as the mapping that Fleet.to_dict returns (a fleet by name, such as "
                f"'hetero4', is a scenario by itself), got {shown(data['fleet']) if 'fleet' in data else 'no fleet'}"
            )
        fleet = Fleet.from_dict(data["fleet"])
        sections = {name: _section(name, data.get(name, {})) for name in SECTIONS}
        return cls(
            name=data.get("name", fleet.name),
            fleet=fleet,
            predictor=data.get("predictor", DEFAULT_PREDICTOR),
            **sections,
        )

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a scenario file; relative paths in it start from its folder. A fleet's file stands for that fleet."""
        source = Path(path)
        data = read_toml(source)
        if isinstance(data.get("fleet"), Mapping):
            fleet = load_fleet(source)
            return cls(name=fleet.name, fleet=fleet)
        return cls._from_dict(data, origin=str(source), folder=source.parent)

    @classmethod
    def _from_dict(cls, data: Mapping[str, Any], *, origin: str, folder: Path) -> Self:
        known = ("name", "fleet", "predictor", "table", *SECTIONS)
        check_known(origin, data, known)
        if not isinstance(data.get("fleet"), str):
            raise ConfigError(f"{origin}: fleet must be given as a string, got {data.get('fleet')!r}")
        tables = {}
        for key, kind in SECTIONS.items():
            section = data.get(key, {})
            if not isinstance(section, Mapping):
                raise ConfigError(f"{origin}: {key} must be a table, got {section!r}")
            check_keys(f"{origin}: {key}", section, kind)
            tables[key] = dict(section)
        graphs = tables["workload"].get("graphs")
        if isinstance(graphs, list) and all(isinstance(entry, str) for entry in graphs):
            tables["workload"]["graphs"] = [str(folder / entry) for entry in graphs]
        if isinstance(tables["arrivals"].get("trace"), str):
            tables["arrivals"]["trace"] = str(folder / tables["arrivals"]["trace"])
        fleet, predictor = data["fleet"], data.get("predictor", DEFAULT_PREDICTOR)
        if isinstance(predictor, str) and predictor.endswith(".npz"):
            predictor = str(folder / predictor)
        table = _own_table(origin, data, folder) if "table" in data else None
        try:
            return cls(
                name=data.get("name", Path(origin).stem),
                fleet=load_fleet(folder / fleet if fleet.endswith(".toml") else fleet),
                predictor=predictor,
                table=table,
                **{key: kind(**tables[key]) for key, kind in SECTIONS.items()},
            )
        except ConfigError as error:
            raise ConfigError(f"{origin}: {error}") from None


SECTIONS: dict[str, Any] = {
    entry.name: entry.default_factory for entry in fields(Scenario) if isinstance(entry.default_factory, type)
}
_CHANGED_SECTIONS = {name: kind for name, kind in SECTIONS.items() if name not in ("workload", "environment")}


def option_names() -> tuple[str, ...]:
    """Return the names of the options that `Scenario.with_options` takes."""
    own = (entry.name for entry in fields(EnvironmentOptions))
    return (*own, "repeats", "predictor", "reconfiguration", *_CHANGED_SECTIONS)


def list_scenarios() -> tuple[str, ...]:
    """Return the names of the preset scenarios: one for each preset fleet, under the embedded workload."""
    return list_fleets()


def load_scenario(scenario: "str | Path | Scenario | Mapping[str, Any]") -> Scenario:
    """Return a preset scenario by name, one from a TOML file by path or from its `to_dict`, or the scenario itself."""
    if isinstance(scenario, Scenario):
        return scenario
    if isinstance(scenario, Mapping):
        return Scenario.from_dict(scenario)
    if not isinstance(scenario, str | Path) or "\0" in str(scenario):
        several = f"a list of {len(scenario)}, which only batches take" if isinstance(scenario, list | tuple) else ""
        got = several or shown(scenario)
        raise ConfigError(f"scenario must be a name, a path, a Scenario or what its to_dict returns, got {got}")
    if isinstance(scenario, Path) or scenario.endswith(".toml"):
        return Scenario.from_toml(scenario)
    OneOf(list_scenarios()).check("scenario", "name", scenario)
    return Scenario(name=scenario, fleet=load_fleet(scenario))


def _own_table(origin: str, data: Mapping[str, Any], folder: Path) -> LatencyTable:
    """Return the table that a scenario file names; raise ConfigError for what the table replaces."""
    if not isinstance(data["table"], str):
        raise ConfigError(f"{origin}: table must be the path of a latency table, got {data['table']!r}")
    replaced = [key for key in data.get("workload", {}) if key != "repeats"] + [
        key for key in data if key == "predictor"
    ]
    if replaced:
        raise ConfigError(
            f"{origin}: table replaces the predictor and the workload's classes, but {replaced[0]} is given"
        )
    return LatencyTable.load(folder / data["table"])


def _section(name: str, values: Any) -> Any:
    """Return a section from a mapping of its fields."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"scenario: {name} must be a mapping, got {values!r}")
    check_keys(f"scenario: {name}", values, SECTIONS[name])
    return SECTIONS[name](**values)


def _changed(name: str, section: Any, change: Any) -> Any:
    """Return a section replaced by another, or with the fields of a mapping (or of a short form) changed."""
    kind = SECTIONS[name]
    if isinstance(change, kind):
        return change
    short: ShortForm | None = getattr(kind, "short_form", None)
    if short is not None and not isinstance(change, Mapping):
        change = short.read(change) or change
    if not isinstance(change, Mapping):
        what = ("an " if kind.__name__.startswith("A") else "a ") + kind.__name__
        what += " or a mapping of its fields" if short is None else f", a mapping of its fields or {short.what}"
        raise ConfigError(f"{name} must be {what}, got {change!r}")
    check_keys(name, change, kind)
    return replace(section, **{key: value for key, value in change.items() if value is not None})


def _reconfigured(fleet: Fleet, cycles: Any) -> Fleet:
    if cycles is None:
        return fleet
    cycles = Integer(0, LONGEST_RECONFIGURATION).check("environment", "reconfiguration", cycles)
    changed = tuple(replace(entry, reconfiguration_cycles=cycles) for entry in fleet.accelerators)
    return replace(fleet, accelerators=changed)
