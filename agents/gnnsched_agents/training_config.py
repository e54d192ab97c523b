"""The configuration of a training, and the named trainings."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from gnnsched_agents.methods.registry import (
    ITERATING,
    KINDS,
    PolicyIterationConfig,
    dispatch_evolution,
    kind_of,
    method_config,
)
from gnnsched_agents.validation import ValidationConfig
from gnnsched_agents.worlds import OWN, RANDOM, Workloads
from gnnsched_baselines.learned.pair_network import DISPATCH, QUEUE
from gnnsched_env.common.checks import Integer, Number, check_fields, require
from gnnsched_env.common.errors import ConfigError, did_you_mean

# The preset fleets, each with the `skew` by which training varies their accelerators' latencies (`scenario.varied`).
FLEETS = {"hetero4": 0.7, "flexible4": 0.0, "big_little": 0.3}
DISPATCH_FLEETS = {"hetero4": 0.7, "fixed9": 0.7}  # for Dispatch-v0: by evolution, each alone and all together
# Trainings for any fleet: the methods by which there are some, and what differs from the others' options.
ANY_FLEET = "queue"
# Steps are larger than for one fleet: the scores that lookahead teaches for all fleets are farther apart.
ANY_EVOLUTION: dict[str, Any] = {
    "worlds": 24, "lanes": 2, "pairs": 12, "sigma": 0.12, "learning_rate": 0.03, "level": 0.01
}  # fmt: skip
ANY_ITERATION: dict[str, Any] = {"worlds": 12, "short": 4, "states": 200}
ANY_OPTIONS: dict[str, dict[str, Any]] = {
    "improvement": {"states": 24_000, "then": PolicyIterationConfig(**ANY_ITERATION)},
    "policy_iteration": ANY_ITERATION,
    "evolution": ANY_EVOLUTION,
}
ANY_NAMES = {f"{ANY_FLEET}{KINDS[kind].suffix}": kind for kind in ANY_OPTIONS}
ANY_WORKLOADS = Workloads(scenario=RANDOM, loads=(0.3, 1.0), sets=1_000, classes=128, jobs=600)
ANY_VALIDATION = ValidationConfig(
    workloads=tuple(range(1, 61)),  # fewer cannot tell iterations apart
    loads=(0.5, 0.75, 0.95),
    jobs=500,
    episodes=4,
    references=("assignment", "sjf", "min_min"),
)
OWN_NAME = "queue_own"  # the training that goes on from a shipped agent on a scenario's own workload
OWN_MINUTES = 10.0
SUFFIXES = tuple(kind.suffix for kind in KINDS.values())  # endings of the names of configs
MOST_SEED = 2**32 - 1  # largest seed of numpy's legacy generator, which Stable-Baselines3 uses
# The fields that may change when a training is resumed.
FREE = ("name", "minutes", "iterations", "method.workers", "method.threads", "method.device")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training: its method, its worlds, its duration, and the validation that chooses its model."""

    name: str
    """Name of the training."""
    method: Any
    """Training method and its options."""
    workloads: Workloads = field(default_factory=Workloads)
    """Worlds to train in."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    """Validation that chooses the model."""
    seed: Annotated[int, Integer(0, MOST_SEED)] = 0
    """Seed of all random draws."""
    minutes: Annotated[float | None, Number(above=0, finite=False)] = 60.0
    """Minutes of training, including time before interruptions; None: no limit."""
    iterations: Annotated[int | None, Integer(1)] = None
    """Number of iterations after which to stop; None: no limit."""
    validate_every: Annotated[int, Integer(1)] = 10
    """Number of iterations between two validations."""

    def __post_init__(self) -> None:
        check_fields(self, "training")
        if self.minutes is None and self.iterations is None:
            raise ConfigError("training: minutes or iterations must be given, got None for both")
        if self.kind != "evolution" and self.workloads.environment != QUEUE.environment:
            rule = f"{QUEUE.environment!r} for the method {self.kind} (evolution trains for others, too)"
            require("training", "workloads.environment", self.workloads.environment, rule)
        if self.kind != "evolution" and self.workloads.also:
            rule = f"empty for the method {self.kind} (evolution trains for several scenarios)"
            require("training", "workloads.also", self.workloads.also, rule)

    @property
    def kind(self) -> str:
        """Return the name of the training method."""
        return kind_of(self.method)

    def plain(self) -> dict[str, Any]:
        """Return all fields as JSON values, with sections as nested objects; the method's section has its "kind"."""
        values: dict[str, Any] = _plain(asdict(self))
        values["method"] = {"kind": self.kind, **values["method"]}
        return values


def config_names() -> tuple[str, ...]:
    """Return the names of the named trainings."""
    queue = (f"queue_{fleet}{suffix}" for suffix in SUFFIXES for fleet in FLEETS)
    return (*ANY_NAMES, OWN_NAME, *queue, *_dispatch_workloads())


def named_config(name: str) -> TrainConfig:
    """Return a training by its name; raise ConfigError, with a suggestion, if there is none."""
    if name in ANY_NAMES:
        kind = ANY_NAMES[name]
        method = method_config(kind)(**ANY_OPTIONS[kind])
        mixes = KINDS[kind].workloads.get("mixes", ANY_WORKLOADS.mixes)
        return TrainConfig(
            name=name,
            method=method,
            workloads=replace(ANY_WORKLOADS, mixes=mixes),
            validation=ANY_VALIDATION,
            validate_every=KINDS[kind].options.get("validate_every", 25),
        )
    if name == OWN_NAME:
        return TrainConfig(
            name=name,
            method=PolicyIterationConfig(weights=Path(ANY_FLEET)),
            workloads=Workloads(mixes=OWN),
            validation=ValidationConfig(workloads=(101,), episodes=96),
            minutes=OWN_MINUTES,
            validate_every=ITERATING["validate_every"],
        )
    for kind, way in KINDS.items():
        for fleet, skew in FLEETS.items():
            if name == f"queue_{fleet}{way.suffix}":
                method, workloads = method_config(kind)(), Workloads(scenario=fleet, skew=skew, **way.workloads)
                return TrainConfig(name=name, method=method, workloads=workloads, **way.options)
    if name in (dispatch := _dispatch_workloads()):
        validation = ValidationConfig(workloads=(101, 102, 103, 104))
        return TrainConfig(name=name, method=dispatch_evolution(), workloads=dispatch[name], validation=validation)
    known = config_names()
    raise ConfigError(
        f"training: no config is named {name!r}{did_you_mean(name, known)} (known: {', '.join(known)}; "
        "or the path of a .toml file)"
    )


def _dispatch_workloads() -> dict[str, Workloads]:
    """Return the workloads of the named trainings for Dispatch-v0."""
    environment = DISPATCH.environment
    first, *others = DISPATCH_FLEETS
    alone = {
        f"{environment}_{fleet}": Workloads(environment=environment, scenario=fleet, skew=skew)
        for fleet, skew in DISPATCH_FLEETS.items()
    }
    together = replace(alone[f"{environment}_{first}"], also=tuple(others))
    return {environment: together, **alone}


def require_same(folder: Path, kept: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise ConfigError, naming the first field that differs, if a folder holds a training of another config."""
    before, now = dict(_flat(kept)), dict(_flat(given))
    for name in [*now, *(name for name in before if name not in now)]:
        if name not in FREE and before.get(name) != now.get(name):
            raise ConfigError(
                f"{folder}: holds a training with {name} {before.get(name)!r}, not {now.get(name)!r}: "
                "use the old value to resume it, or choose another folder"
            )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
