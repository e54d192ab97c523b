"""`Scenario`: a fleet, a workload, a predictor, its cost and the environment's options, from a TOML file or Python."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

from gnnsched_env.errors import ConfigError, FileFormatError, did_you_mean
from gnnsched_env.hardware import MODEL_KINDS, Fleet, load_fleet
from gnnsched_env.latency import DEFAULT_PREDICTOR, check_predictor
from gnnsched_env.sim import MOST_WORKERS
from gnnsched_env.tables import LatencyTable

LOAD_LIMIT = 1.5
MOST_JOBS = 10_000_000  # an episode's jobs are kept in memory
MOST_REPEATS = 1_000_000_000
LONGEST_DECISION_US = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Which jobs come: graph files (none: the embedded synthetic classes), and the model that each job runs.

    Each file is equally likely; a graph set gives `classes_per_file` batches, their sizes spread evenly over
    `batch_sizes` and their graphs drawn with `seed`; a file of one graph is one class. `hidden` are the widths between
    a graph's input features and its classes. A job is `repeats` inferences of its class: its latencies are those of one
    inference times `repeats`.
    """

    graphs: tuple[str, ...] = ()
    model: str = "gcn"
    hidden: tuple[int, ...] = (16,)
    batch_sizes: tuple[int, ...] = (1, 4, 16, 64)
    classes_per_file: int = 120
    seed: int = 0
    repeats: int = 1

    def __post_init__(self) -> None:
        for name in ("graphs", "hidden", "batch_sizes"):
            value = getattr(self, name)
            if isinstance(value, str | bytes) or not isinstance(value, list | tuple):
                raise ConfigError(f"workload: {name} must be a list, got {value!r}")
            object.__setattr__(self, name, tuple(value))
        if not all(isinstance(path, str | Path) for path in self.graphs):
            raise ConfigError(f"workload: graphs must be a list of paths, got {self.graphs!r}")
        object.__setattr__(self, "graphs", tuple(str(path) for path in self.graphs))
        _require_one_of("workload", "model", self.model, MODEL_KINDS)
        for name in ("hidden", "batch_sizes"):
            for value in getattr(self, name):
                _require_integer("workload", name, value, 1)
        if not self.batch_sizes:
            raise ConfigError("workload: batch_sizes must not be empty")
        _require_integer("workload", "classes_per_file", self.classes_per_file, len(self.batch_sizes))
        _require_integer("workload", "seed", self.seed, 0)
        _require_integer("workload", "repeats", self.repeats, 1, MOST_REPEATS)
        object.__setattr__(self, "repeats", int(self.repeats))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCost:
    """What it costs to predict a job's latencies: it comes to the scheduler only when that is done.

    `latency_us`: microseconds to predict one job; 0 charges nothing, anything above 0 at least one cycle. `workers`:
    predictions under way at once; jobs take the next free worker in order of arrival. `cached`: a class is predicted
    once an episode; its later jobs look the prediction up in `lookup_us`, which needs no worker. Jobs come to the
    scheduler in order of arrival, so a lookup waits for the predictions of earlier jobs.
    """

    latency_us: float = 0.0
    workers: int = 1
    cached: bool = False
    lookup_us: float = 0.0

    def __post_init__(self) -> None:
        for name in ("latency_us", "lookup_us"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= LONGEST_DECISION_US:
                raise ConfigError(f"decision: {name} must be a number from 0 to {LONGEST_DECISION_US:g}, got {value!r}")
            object.__setattr__(self, name, float(value))
        _require_integer("decision", "workers", self.workers, 1, MOST_WORKERS)
        object.__setattr__(self, "workers", int(self.workers))
        if not isinstance(self.cached, bool):
            raise ConfigError(f"decision: cached must be true or false, got {self.cached!r}")
        if self.lookup_us > self.latency_us:
            raise ConfigError(
                f"decision: lookup_us must be at most latency_us ({self.latency_us:g}), got {self.lookup_us!r}"
            )
        if self.lookup_us > 0 and not self.cached:
            raise ConfigError(f"decision: lookup_us must be 0 unless cached is true, got {self.lookup_us!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentOptions:
    """What an episode is and what the agent sees of it.

    `load`: arrival rate over the fleet's largest sustainable rate. `jobs`: arrivals an episode. `window`: waiting jobs
    shown (Queue-v0). `window_order`: "arrival" shows the oldest, "shortest" those of smallest predicted latency.
    `dataflow`: "agent" lets the action choose it, "predicted_best" takes the predicted best of the accelerator.
    `shaping`: "none", or "drain" for a potential that telescopes.
    """

    load: float = 0.8
    jobs: int = 1000
    window: int = 32
    window_order: str = "arrival"
    dataflow: str = "agent"
    shaping: str = "none"

    def __post_init__(self) -> None:
        if isinstance(self.load, bool) or not isinstance(self.load, Real) or not 0 < self.load < LOAD_LIMIT:
            raise ConfigError(f"environment: load must be above 0 and below {LOAD_LIMIT}, got {self.load!r}")
        object.__setattr__(self, "load", float(self.load))
        for name, maximum in (("jobs", MOST_JOBS), ("window", MOST_JOBS)):
            _require_integer("environment", name, getattr(self, name), 1, maximum)
            object.__setattr__(self, name, int(getattr(self, name)))
        _require_one_of("environment", "window_order", self.window_order, ("arrival", "shortest"))
        _require_one_of("environment", "dataflow", self.dataflow, ("agent", "predicted_best"))
        _require_one_of("environment", "shaping", self.shaping, ("none", "drain"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that defines an environment; give `table` to bring latencies of your own.

    A `table` (cycles of one inference) replaces the predictor and the workload but for its `repeats`: its choices must
    be those of the fleet.
    """

    name: str
    fleet: Fleet
    workload: Workload = field(default_factory=Workload)
    predictor: str = DEFAULT_PREDICTOR
    environment: EnvironmentOptions = field(default_factory=EnvironmentOptions)
    decision: DecisionCost = field(default_factory=DecisionCost)
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

    def with_options(self, **options: Any) -> Self:
        """Return the scenario with some of its options changed (None leaves one as it is).

        The environment's options by name, the workload's `repeats`, the `predictor`, and `decision`: a DecisionCost, or
        a mapping that changes some of its fields.
        """
        known = tuple(entry.name for entry in fields(EnvironmentOptions))
        _check_known("environment", options, (*known, "repeats", "predictor", "decision"))
        chosen = {name: value for name, value in options.items() if value is not None}
        decision = _changed_decision(self.decision, chosen.pop("decision", {}))
        workload = replace(self.workload, repeats=chosen.pop("repeats", self.workload.repeats))
        predictor = chosen.pop("predictor", self.predictor)
        environment = replace(self.environment, **chosen)
        return replace(self, environment=environment, workload=workload, predictor=predictor, decision=decision)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a scenario file; relative paths in it start from its folder."""
        source = Path(path)
        try:
            data = tomllib.loads(source.read_text(encoding="utf-8"))
        except OSError as error:
            raise FileFormatError(f"{source}: cannot be read: {error.strerror or error}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FileFormatError(f"{source}: not a TOML file ({error})") from None
        return cls._from_dict(data, origin=str(source), folder=source.parent)

    @classmethod
    def _from_dict(cls, data: Mapping[str, Any], *, origin: str, folder: Path) -> Self:
        known = ("name", "fleet", "predictor", "workload", "environment", "decision")
        _check_known(origin, data, known)
        name = data.get("name", Path(origin).stem)
        if not isinstance(data.get("fleet"), str):
            raise ConfigError(f"{origin}: fleet must be given as a string, got {data.get('fleet')!r}")
        tables = {}
        for key, kind in _SECTIONS.items():
            section = data.get(key, {})
            if not isinstance(section, Mapping):
                raise ConfigError(f"{origin}: {key} must be a table, got {section!r}")
            _check_keys(f"{origin}: {key}", section, kind)
            tables[key] = dict(section)
        graphs = tables["workload"].get("graphs")
        if isinstance(graphs, list) and all(isinstance(entry, str) for entry in graphs):
            tables["workload"]["graphs"] = [str(folder / entry) for entry in graphs]
        fleet, predictor = data["fleet"], data.get("predictor", DEFAULT_PREDICTOR)
        if isinstance(predictor, str) and predictor.endswith(".npz"):
            predictor = str(folder / predictor)
        return cls(
            name=name,
            fleet=load_fleet(folder / fleet if fleet.endswith(".toml") else fleet),
            workload=Workload(**tables["workload"]),
            predictor=predictor,
            environment=EnvironmentOptions(**tables["environment"]),
            decision=DecisionCost(**tables["decision"]),
        )


_SECTIONS = {"workload": Workload, "environment": EnvironmentOptions, "decision": DecisionCost}


def list_scenarios() -> tuple[str, ...]:
    """Return the names of the preset scenarios."""
    folder = resources.files(__package__) / "presets"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_scenario(scenario: "str | Path | Scenario") -> Scenario:
    """Return a preset scenario by name, one from a TOML file by path, or the scenario itself."""
    if isinstance(scenario, Scenario):
        return scenario
    if not isinstance(scenario, str | Path):
        raise ConfigError(f"scenario must be a name, a path or a Scenario, got {scenario!r}")
    if isinstance(scenario, Path) or scenario.endswith(".toml"):
        return Scenario.from_toml(scenario)
    _require_one_of("scenario", "name", scenario, list_scenarios())
    text = (resources.files(__package__) / "presets" / f"{scenario}.toml").read_text(encoding="utf-8")
    return Scenario._from_dict(tomllib.loads(text), origin=f"{scenario}.toml", folder=Path())


def _changed_decision(decision: DecisionCost, change: Any) -> DecisionCost:
    if isinstance(change, DecisionCost):
        return change
    if not isinstance(change, Mapping):
        raise ConfigError(f"decision must be a DecisionCost or a mapping of its fields, got {change!r}")
    _check_keys("decision", change, DecisionCost)
    return replace(decision, **{name: value for name, value in change.items() if value is not None})


def _require_integer(where: str, name: str, value: Any, minimum: int, maximum: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < minimum:
        raise ConfigError(f"{where}: {name} must be an integer of at least {minimum}, got {value!r}")
    if maximum is not None and int(value) > maximum:
        raise ConfigError(f"{where}: {name} must be at most {maximum:,}, got {value!r}")


def _require_one_of(where: str, name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(
            f"{where}: {name} must be one of {', '.join(allowed)}, got {value!r}{did_you_mean(value, allowed)}"
        )


def _check_keys(where: str, given: Mapping[str, Any], kind: type) -> None:
    _check_known(where, given, tuple(entry.name for entry in fields(kind)))


def _check_known(where: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}{did_you_mean(key, known)} (known: {', '.join(known)})")
