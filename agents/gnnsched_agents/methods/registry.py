"""The ways of training: what each may be told, and where it is.

A new way is a file of this folder, and here a config and an entry of KINDS. Nothing here needs torch: a way is imported
when a training begins, because some need the extra `agents` and others do without.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from gnnsched_agents.methods.method import Method
from gnnsched_baselines.learned.pair_network import MOST_WIDTH
from gnnsched_env.common.checks import Integer, ListOf, Number, OneOf, check_fields, require
from gnnsched_env.common.errors import ConfigError, did_you_mean, needs_extra

PARTS = ("all", "outputs")  # what evolves; outputs: what the score is linear in, the last layer and the linear part
MOST_PAIRS = 10_000
MOST_ROUNDS = 100


@dataclass(frozen=True, kw_only=True)
class EvolutionConfig:
    """Evolution strategies."""

    width: Annotated[int, Integer(1, MOST_WIDTH)] = 16
    """Units of each layer of the network; not read where `weights` are given."""
    prior: Annotated[float, Number(above=0)] = 0.1
    """Weight that the first policy gives to what `assignment` would do; not read where `weights` are given."""
    slope: Annotated[float, Number(least=0)] = 1.0
    """Weight with which it minds what the plan would lose: what costs the plan little is tried first; likewise."""
    weights: Path | None = None
    """Weights to start from (.npz); none: a network that does what `assignment` does."""
    parts: Annotated[str, OneOf(PARTS)] = "all"
    """Which weights evolve: all, or outputs (the last layer and the linear part)."""
    pairs: Annotated[int, Integer(1, MOST_PAIRS)] = 8
    """Pairs of opposite members of a generation."""
    sigma: Annotated[float, Number(above=0)] = 0.04
    """Standard deviation of the steps; a matrix's entries step by its share of 1 / sqrt(rows), as they were drawn."""
    learning_rate: Annotated[float, Number(above=0)] = 0.02
    """Learning rate of Adam, in the same measure as the steps."""
    half_life: Annotated[int, Integer(0)] = 0
    """Generations in which step and learning rate halve; 0: never."""
    worlds: Annotated[int, Integer(1)] = 4
    """Worlds in which a generation plays, each of a load from its own part of the range."""
    lanes: Annotated[int, Integer(1)] = 4
    """Episodes that each member plays in each world."""
    workers: Annotated[int, Integer(1)] = 1
    """Processes to play in; results do not depend on it."""

    def __post_init__(self) -> None:
        check_fields(self, "evolution")


@dataclass(frozen=True, kw_only=True)
class ImprovementConfig:
    """Policy improvement by lookahead, distilled, then evolution strategies."""

    states: Annotated[int, Integer(0)] = 100_000
    """States to label; 0: begin to evolve from what `assignment` does."""
    rounds: Annotated[int, Integer(1, MOST_ROUNDS)] = 3
    """Parts of the states: the first are `assignment`'s, those of each further part the policy's learned until then."""
    futures: Annotated[int, Integer(2)] = 4
    """Sampled futures a state."""
    arrivals: Annotated[int, Integer(0)] = 150
    """Jobs that come in a future: with few, it pays to leave long jobs to the end, when nobody comes any more."""
    candidates: Annotated[int, Integer(2)] = 6
    """Actions tried a state, at most."""
    states_a_world: Annotated[int, Integer(1)] = 400
    """States labelled in a world before the next one is drawn."""
    world_lanes: Annotated[int, Integer(1)] = 32
    """Lanes of such a world."""
    spacing: Annotated[int, Integer(1)] = 40
    """Decisions of a lane between two of its states, about."""
    width: Annotated[int, Integer(1, MOST_WIDTH)] = 32
    """Units in each layer of the network."""
    passes: Annotated[int, Integer(1)] = 12
    """Passes over the labels."""
    batch: Annotated[int, Integer(1)] = 256
    """States a gradient step."""
    learning_rate: Annotated[float, Number(above=0)] = 3e-3
    """Highest learning rate of the regression (AdamW, one cycle)."""
    caution: Annotated[float, Number(least=0)] = 1.0
    """What a deviation from `assignment` must gain, mean services; more the higher the load (`label_regression.py`)."""
    pairs: Annotated[int, Integer(1, MOST_PAIRS)] = 8
    """Pairs of opposite members of a generation of the evolution."""
    sigma: Annotated[float, Number(above=0)] = 0.04
    """Standard deviation of the evolution's steps."""
    evolution_rate: Annotated[float, Number(above=0)] = 0.01
    """The evolution's learning rate."""
    half_life: Annotated[int, Integer(0)] = 0
    """Generations in which both halve; 0: never."""
    worlds: Annotated[int, Integer(1)] = 6
    """Worlds in which a generation plays."""
    lanes: Annotated[int, Integer(1)] = 6
    """Episodes that each member plays in each world."""
    workers: Annotated[int, Integer(1)] = 1
    """Processes that the evolution plays in; results do not depend on it."""

    def __post_init__(self) -> None:
        check_fields(self, "improvement")

    def evolution(self) -> EvolutionConfig:
        """Return the config of what follows the distillation."""
        names = ("width", "pairs", "sigma", "half_life", "worlds", "lanes", "workers")
        shared = {name: getattr(self, name) for name in names}
        return EvolutionConfig(learning_rate=self.evolution_rate, **shared)


@dataclass(frozen=True, kw_only=True)
class PpoConfig:
    """How PPO trains."""

    worlds: Annotated[int, Integer(1)] = 8
    """Worlds played side by side, each of its own set of classes and load."""
    lanes: Annotated[int, Integer(1)] = 32
    """Lanes a world."""
    steps: Annotated[int, Integer(1)] = 64
    """Decisions a lane and update."""
    redraw: Annotated[int, Integer(1)] = 4
    """Updates after which the oldest world gives way to a new one."""
    epochs: Annotated[int, Integer(1)] = 3
    """Passes over an update's decisions, at most."""
    batch: Annotated[int, Integer(1)] = 2048
    """Decisions a gradient step."""
    tau: Annotated[float, Number(above=0, finite=False)] = 60.0
    """Mean services in which the weight of what is to come falls to 1 / e; inf: all counts alike (gamma = 1)."""
    gae: Annotated[float, Number(least=0, most=1)] = 0.95
    """GAE's lambda, a decision."""
    clip: Annotated[float, Number(above=0)] = 0.2
    """How far a probability's ratio to the old one is followed."""
    kl: Annotated[float, Number(above=0, finite=False)] = 0.02
    """Passes end where the policy has moved further than this, in nats."""
    learning_rate: Annotated[tuple[float, float], ListOf(Number(above=0), 2)] = (1e-3, 1e-4)
    """First and last learning rate of Adam, which falls in a line."""
    entropy: Annotated[tuple[float, float], ListOf(Number(least=0), 2)] = (3e-3, 1e-5)
    """The entropy's weight, the first and the last one."""
    falling: Annotated[int, Integer(1)] = 20_000_000
    """Decisions in which the learning rate and the entropy's weight go from the first to the last, in a line."""
    most_advantage: Annotated[float, Number(above=0, finite=False)] = 4.0
    """Normalised advantages are clipped here."""
    most_gradient: Annotated[float, Number(above=0, finite=False)] = 0.5
    """Norm at which gradients are clipped, the policy's and the critic's each."""
    width: Annotated[int, Integer(1, MOST_WIDTH)] = 32
    """Units in each layer of the policy's network."""
    critic_width: Annotated[int, Integer(1, MOST_WIDTH)] = 64
    """Units in each layer of the critic."""
    foresight: bool = True
    """The critic sees the jobs to come."""
    prior: Annotated[float, Number(least=0)] = 2.0
    """Score with which `assignment`'s action starts ahead of the others; 0: from scratch."""
    weights: Path | None = None
    """Weights to start from (.npz); `width` and `prior` are not read then."""
    device: str = "auto"
    """"auto": a GPU when there is one, else the CPU."""
    threads: Annotated[int, Integer(1)] = 1
    """Threads of torch on the CPU."""

    def __post_init__(self) -> None:
        check_fields(self, "ppo")


@dataclass(frozen=True, kw_only=True)
class Sb3Config:
    """What the three have in common."""

    worlds: Annotated[int, Integer(1)] = 8
    """Worlds played side by side, each of its own set of classes and load."""
    lanes: Annotated[int, Integer(1)] = 8
    """Lanes a world."""
    redraw: Annotated[int, Integer(1)] = 4
    """Updates after which the oldest world gives way to a new one."""
    scale: Annotated[float, Number(above=0)] = 10.0
    """Rewards are over the mean number of jobs in the system, and over this."""
    width: Annotated[int, Integer(1, MOST_WIDTH)] = 32
    """Units in each layer of the scorer and of the critic."""
    prior: Annotated[float, Number(least=0)] = 2.0
    """Score with which `assignment`'s action starts ahead of the others; 0: from scratch."""
    learning_rate: Annotated[float, Number(above=0)] = 1e-3
    """Learning rate of the optimiser; it stays the same."""
    most_gradient: Annotated[float, Number(above=0)] = 0.5
    """Norm at which gradients are clipped."""
    device: str = "auto"
    """"auto": a GPU when there is one, else the CPU."""
    threads: Annotated[int, Integer(1)] = 1
    """Threads of torch on the CPU."""

    def __post_init__(self) -> None:
        check_fields(self, "sb3")


@dataclass(frozen=True, kw_only=True)
class MaskablePpoConfig(Sb3Config):
    """How MaskablePPO trains; gamma is 1."""

    steps: Annotated[int, Integer(1)] = 128
    """Decisions a lane and update."""
    epochs: Annotated[int, Integer(1)] = 4
    """Passes over an update's decisions."""
    batch: Annotated[int, Integer(2)] = 1024
    """Decisions a gradient step."""
    gae: Annotated[float, Number(least=0, most=1)] = 0.95
    """GAE's lambda, a decision."""
    clip: Annotated[float, Number(above=0)] = 0.2
    """How far a probability's ratio to the old one is followed."""
    entropy: Annotated[float, Number(least=0)] = 3e-3
    """The entropy's weight."""
    value: Annotated[float, Number(least=0)] = 0.5
    """The weight of the critic's loss."""

    def __post_init__(self) -> None:
        check_fields(self, "sb3")
        decisions = self.worlds * self.lanes * self.steps
        rule = f"such that no gradient step of the {decisions} decisions (worlds x lanes x steps) has a single one"
        require("sb3", "batch", self.batch, rule if decisions % self.batch == 1 else "")


@dataclass(frozen=True, kw_only=True)
class A2cConfig(Sb3Config):
    """How A2C trains; gamma is 1."""

    steps: Annotated[int, Integer(1)] = 16
    """Decisions a lane and gradient step."""
    rollouts: Annotated[int, Integer(1)] = 8
    """Gradient steps an update."""
    gae: Annotated[float, Number(least=0, most=1)] = 0.95
    """GAE's lambda, a decision."""
    entropy: Annotated[float, Number(least=0)] = 3e-3
    """The entropy's weight."""
    value: Annotated[float, Number(least=0)] = 0.5
    """The weight of the critic's loss."""

    def __post_init__(self) -> None:
        check_fields(self, "sb3")
        Integer(2).check("sb3", "worlds x lanes x steps", self.worlds * self.lanes * self.steps)


@dataclass(frozen=True, kw_only=True)
class DqnConfig(Sb3Config):
    """How DQN trains; the discount is exp(-elapsed / tau)."""

    learning_rate: Annotated[float, Number(above=0)] = 3e-4
    """Learning rate of the optimiser; it stays the same."""
    prior: Annotated[float, Number(least=0)] = 0.5
    """What `assignment`'s action starts to be worth above the others; 0: from scratch."""
    most_gradient: Annotated[float, Number(above=0)] = 10.0
    """Norm at which gradients are clipped."""
    tau: Annotated[float, Number(above=0)] = 30.0
    """Mean services in which the weight of what is to come falls to 1 / e."""
    steps: Annotated[int, Integer(1)] = 128
    """Decisions a lane and update."""
    every: Annotated[int, Integer(1)] = 4
    """Decisions a lane between gradient steps."""
    gradients: Annotated[int, Integer(1)] = 4
    """Gradient steps at a time."""
    batch: Annotated[int, Integer(1)] = 256
    """Transitions a gradient step."""
    replay: Annotated[int, Integer(1)] = 20_000
    """Transitions kept, of some 40 kB each at a window of 32 jobs and four accelerators."""
    warmup: Annotated[int, Integer(1)] = 5_000
    """Decisions before the first gradient step."""
    target: Annotated[int, Integer(1)] = 5_000
    """Decisions between two updates of the target network."""
    exploration: Annotated[tuple[float, float], ListOf(Number(least=0, most=1), 2)] = (0.1, 0.01)
    """Share of the decisions that are drawn at random, the first and the last one."""
    exploring: Annotated[int, Integer(1)] = 500_000
    """Decisions in which it falls from the first to the last, in a line."""


def _evolution() -> type[Method]:
    from gnnsched_agents.methods.evolution import Evolution

    return Evolution


def _improvement() -> type[Method]:
    from gnnsched_agents.methods.improvement import Improvement

    return Improvement


def _ppo() -> type[Method]:
    from gnnsched_agents.methods.ppo import Ppo

    return Ppo


def _sb3() -> type[Method]:
    from gnnsched_agents.methods.sb3_training import Sb3Training

    return Sb3Training


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A way of training: its config, what imports its Method, and the named trainings that use it.

    Names of trainings end in `suffix`; `options` are those fields of `TrainConfig` that differ from its defaults.
    """

    config: type[Any]
    load: Callable[[], type[Method]]
    suffix: str
    options: Mapping[str, Any] = field(default_factory=dict)


KINDS = {
    "improvement": Kind(config=ImprovementConfig, load=_improvement, suffix="", options={"validate_every": 15}),
    "ppo": Kind(config=PpoConfig, load=_ppo, suffix="_ppo", options={"validate_every": 50}),
    "evolution": Kind(config=EvolutionConfig, load=_evolution, suffix="_es"),
    "maskable_ppo": Kind(config=MaskablePpoConfig, load=_sb3, suffix="_maskable_ppo", options={"validate_every": 50}),
    "dqn": Kind(config=DqnConfig, load=_sb3, suffix="_dqn", options={"validate_every": 50}),
    "a2c": Kind(config=A2cConfig, load=_sb3, suffix="_a2c", options={"validate_every": 50}),
}


def trainer(kind: str) -> type[Method]:
    """Return the class that trains by a way of training; ConfigError where its libraries are not installed."""
    with needs_extra(f"training by {kind}", "agents"):
        return KINDS[kind].load()


def method_config(kind: str) -> type[Any]:
    """Return the config class of a way of training; ConfigError where there is none of that name."""
    if kind not in KINDS:
        rule = f"must be one of {', '.join(KINDS)}"
        raise ConfigError(f"training: method {rule}, got {kind!r}{did_you_mean(kind, KINDS)}")
    return KINDS[kind].config


def kind_of(config: object) -> str:
    """Return the way of training that a config is of; ConfigError where it is of none."""
    for kind, way in KINDS.items():
        if type(config) is way.config:
            return kind
    rule = f"must be the config of one of {', '.join(KINDS)}"
    raise ConfigError(f"training: method {rule}, got {type(config).__name__}")
