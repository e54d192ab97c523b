"""The training methods: the options of each, and the module that implements it.

A new method needs a file in this folder and, here, a config and an entry of KINDS. Nothing here needs torch: a method
is imported when a training begins, because only some need the extra `agents`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from gnnsched_agents.methods.method import Method
from gnnsched_baselines.learned.pair_features import FEATURES
from gnnsched_baselines.learned.pair_network import MOST_WIDTH
from gnnsched_env.common.checks import Integer, ListOf, Number, OneOf, check_fields, require
from gnnsched_env.common.errors import ConfigError, did_you_mean, needs_extra

PARTS = ("all", "outputs")  # which weights evolve; outputs: the last layer and the linear part
MOST_PAIRS = 10_000
MOST_ROUNDS = 100


@dataclass(frozen=True, kw_only=True)
class EvolutionConfig:
    """Options of training by evolution strategies."""

    width: Annotated[int, Integer(1, MOST_WIDTH)] = 16
    """Units in each layer of the network; ignored if `weights` are given."""
    prior: Annotated[float, Number(above=0)] = 0.1
    """Initial bonus in the score of the action that `assignment` would take; ignored if `weights` are given."""
    slope: Annotated[float, Number(least=0)] = 1.0
    """Initial penalty for an action's loss to the plan, so that cheap deviations come first; ignored with `weights`."""
    weights: Path | None = None
    """Agent to start from, a shipped one or an .npz file; without it, one that decides as `assignment` does."""
    parts: Annotated[str, OneOf(PARTS)] = "all"
    """Which weights evolve: "all", or "outputs" (the last layer and the linear part)."""
    pairs: Annotated[int, Integer(1, MOST_PAIRS)] = 8
    """Pairs of opposite members in each generation."""
    sigma: Annotated[float, Number(above=0)] = 0.04
    """Standard deviation of the steps; for the entries of a matrix it is divided by sqrt(rows)."""
    learning_rate: Annotated[float, Number(above=0)] = 0.02
    """Learning rate of Adam, scaled for each weight like its steps."""
    half_life: Annotated[int, Integer(0)] = 0
    """Number of generations in which step and learning rate halve; 0: they stay constant."""
    worlds: Annotated[int, Integer(1)] = 4
    """Worlds in which each generation plays, each with a load from its own part of the range."""
    lanes: Annotated[int, Integer(1)] = 4
    """Episodes that each member plays in each world."""
    level: Annotated[float, Number(least=0)] = 0.0
    """Worlds in which members' costs (logarithms) differ by much more than this do not decide alone; 0: they may."""
    workers: Annotated[int, Integer(1)] = 1
    """Number of processes; results do not depend on it."""

    def __post_init__(self) -> None:
        check_fields(self, "evolution")


def dispatch_evolution() -> EvolutionConfig:
    """Return the options for Dispatch-v0: larger steps than in Queue-v0, whose first policy is closer to the best."""
    return EvolutionConfig(prior=0.01, sigma=0.08, learning_rate=0.04, pairs=8, worlds=6, lanes=8, half_life=40)


@dataclass(frozen=True, kw_only=True)
class PolicyIterationConfig:
    """Options of training by policy iteration in near ties."""

    width: Annotated[int, Integer(1, MOST_WIDTH)] = 32
    """Units in each layer of the network; `weights` with fewer get more, and decide as before at first."""
    weights: Path | None = None
    """Agent to start from, a shipped one or an .npz file; without it, one that decides as `assignment` does."""
    worlds: Annotated[int, Integer(1)] = 6
    """Worlds in which states are labelled in each iteration, each with a load from its own part of the range."""
    short: Annotated[int, Integer(0)] = 2
    """Further worlds in each iteration, with short episodes, at higher loads too."""
    states: Annotated[int, Integer(1)] = 400
    """Number of states labelled in each world."""
    lanes: Annotated[int, Integer(1)] = 64
    """Lanes of each world."""
    spacing: Annotated[int, Integer(1)] = 25
    """Approximate number of decisions between two visits of a lane."""
    share: Annotated[float, Number(above=0, most=1)] = 0.2
    """Share of visited states that are near ties at first, by the gap of their best scores; the gap stays."""
    candidates: Annotated[int, Integer(2)] = 4
    """Largest number of actions tried per state."""
    futures: Annotated[int, Integer(2)] = 4
    """Number of sampled futures per state."""
    arrivals: Annotated[int, Integer(1)] = 20
    """Jobs that arrive in each future, for each accelerator; they count the less the later they arrive."""
    memory: Annotated[int, Integer(1)] = 12
    """Number of iterations whose labels are learned from."""
    passes: Annotated[int, Integer(1)] = 2
    """Number of passes over them in each iteration."""
    batch: Annotated[int, Integer(1)] = 512
    """Number of states per gradient step."""
    learning_rate: Annotated[float, Number(above=0)] = 3e-3
    """Peak learning rate of Adam in each iteration: linear warm-up, then cosine decay; lower until memory is full."""
    half_life: Annotated[int, Integer(0)] = 0
    """Number of iterations in which the learning rate halves; 0: it stays constant."""
    sharpness: Annotated[float, Number(above=0)] = 5.0
    """Scores times this, over the gap that is near, are the logits of the policy that learns."""
    trust: Annotated[float, Number(least=0)] = 0.05
    """Weight of the divergence from the policy before the iteration."""
    average: Annotated[float, Number(least=0, below=1)] = 0.9
    """What is left after an iteration of the weights' average, which is what is validated; 0: the latest weights."""
    features: Annotated[tuple[str, ...], ListOf(OneOf(FEATURES))] = ()
    """Features whose weights are learned, so that decisions stay where these are 0; none: all weights are learned."""
    workers: Annotated[int, Integer(1)] = 1
    """Number of processes that label; results do not depend on it."""

    def __post_init__(self) -> None:
        check_fields(self, "policy_iteration")


@dataclass(frozen=True, kw_only=True)
class ImprovementConfig:
    """Options of training by distilled lookahead, followed by policy iteration."""

    states: Annotated[int, Integer(0)] = 12_000
    """Number of states to label; 0: policy iteration starts from a network that decides as `assignment` does."""
    rounds: Annotated[int, Integer(1, MOST_ROUNDS)] = 1
    """Rounds of labelling: `assignment` visits the states of the first, the latest policy those of the others."""
    futures: Annotated[int, Integer(2)] = 4
    """Number of sampled futures per state."""
    arrivals: Annotated[int, Integer(0)] = 150
    """Jobs that arrive in each future; with too few, postponing long jobs until arrivals end looks too good."""
    candidates: Annotated[int, Integer(2)] = 6
    """Largest number of actions tried per state."""
    states_a_world: Annotated[int, Integer(1)] = 400
    """Number of states labelled in a world before the next one is drawn."""
    worlds: Annotated[int, Integer(1)] = 4
    """Largest number of worlds labelled in an iteration."""
    lanes: Annotated[int, Integer(1)] = 32
    """Number of lanes in each world that is labelled."""
    spacing: Annotated[int, Integer(1)] = 40
    """Approximate number of decisions between two labelled states of a lane."""
    width: Annotated[int, Integer(1, MOST_WIDTH)] = 32
    """Units in each layer of the network; policy iteration may add some."""
    passes: Annotated[int, Integer(1)] = 30
    """Number of passes over the labels."""
    batch: Annotated[int, Integer(1)] = 32
    """Number of states per gradient step."""
    learning_rate: Annotated[float, Number(above=0)] = 3e-3
    """Peak learning rate of the regression (AdamW, one cycle)."""
    caution: Annotated[float, Number(least=0)] = 1.0
    """Gain, in mean services, that a deviation from `assignment` must promise; it rises with the load."""
    then: PolicyIterationConfig = field(default_factory=PolicyIterationConfig)
    """Options of the policy iteration that follows; it goes on from what was learned."""
    workers: Annotated[int, Integer(1)] = 1
    """Number of processes, then too; results do not depend on it."""

    def __post_init__(self) -> None:
        check_fields(self, "improvement")
        rule = "none: it goes on from what was learned"
        require("improvement", "then.weights", self.then.weights, "" if self.then.weights is None else rule)
        rule = "1: `workers` is for both"
        require("improvement", "then.workers", self.then.workers, "" if self.then.workers == 1 else rule)


@dataclass(frozen=True, kw_only=True)
class PpoConfig:
    """Options of training by PPO."""

    worlds: Annotated[int, Integer(1)] = 16
    """Worlds played in parallel, each with its own set of classes and load."""
    lanes: Annotated[int, Integer(1)] = 16
    """Number of lanes in each world."""
    steps: Annotated[int, Integer(1)] = 64
    """Decisions per lane in each update."""
    redraw: Annotated[int, Integer(1)] = 8
    """Number of updates after which the oldest world is replaced by a new one."""
    epochs: Annotated[int, Integer(1)] = 2
    """Largest number of passes over the decisions of an update."""
    batch: Annotated[int, Integer(1)] = 2048
    """Decisions per gradient step, about: all worlds have equal parts in it."""
    tau: Annotated[float, Number(above=0, finite=False)] = 200.0
    """Time in mean services over which future rewards are discounted to 1 / e; inf: no discount (gamma = 1)."""
    gae: Annotated[float, Number(least=0, most=1)] = 0.995
    """Lambda of GAE, per decision."""
    clip: Annotated[float, Number(above=0)] = 0.2
    """Clipping range of a probability's ratio to the old one."""
    kl: Annotated[float, Number(above=0, finite=False)] = 0.02
    """KL divergence from the old policy, in nats, beyond which an update stops early."""
    learning_rate: Annotated[tuple[float, float], ListOf(Number(above=0), 2)] = (2e-3, 2e-4)
    """First and last learning rate of Adam, which falls linearly."""
    entropy: Annotated[tuple[float, float], ListOf(Number(least=0), 2)] = (1e-3, 1e-5)
    """First and last weight of the entropy bonus."""
    falling: Annotated[int, Integer(1)] = 5_000_000
    """Number of decisions over which learning rate and entropy weight go linearly from their first to last values."""
    most_advantage: Annotated[float, Number(above=0, finite=False)] = 10.0
    """Largest absolute value of a normalised advantage; larger ones are clipped."""
    most_gradient: Annotated[float, Number(above=0, finite=False)] = 0.5
    """Norm at which the gradients of the policy and of the critic are clipped."""
    average: Annotated[float, Number(least=0, most=1)] = 0.98
    """What is left after an update of the weights' average, which is what is validated; 0: the latest weights."""
    width: Annotated[int, Integer(1, MOST_WIDTH)] = 32
    """Units in each layer of the policy's network."""
    critic_width: Annotated[int, Integer(1, MOST_WIDTH)] = 64
    """Units in each layer of the critic."""
    foresight: bool = True
    """Whether the critic sees future jobs."""
    prior: Annotated[float, Number(least=0)] = 2.0
    """Initial bonus in the score of `assignment`'s action; 0: train from scratch."""
    weights: Path | None = None
    """Agent to start from, a shipped one or an .npz file; `width` and `prior` are then ignored."""
    device: str = "auto"
    """Device that learns; "auto": a GPU if there is one, else the CPU. Lanes are played on the CPU."""
    threads: Annotated[int, Integer(1)] = 2
    """Number of CPU threads, which share the worlds; results do not depend on it."""

    def __post_init__(self) -> None:
        check_fields(self, "ppo")


@dataclass(frozen=True, kw_only=True)
class Sb3Config:
    """Options that all three algorithms of Stable-Baselines3 share."""

    worlds: Annotated[int, Integer(1)] = 8
    """Worlds played in parallel, each with its own set of classes and load."""
    lanes: Annotated[int, Integer(1)] = 8
    """Number of lanes in each world."""
    redraw: Annotated[int, Integer(1)] = 4
    """Number of updates after which the oldest world is replaced by a new one."""
    scale: Annotated[float, Number(above=0)] = 10.0
    """Rewards are divided by this, and by the mean number of jobs in the system."""
    width: Annotated[int, Integer(1, MOST_WIDTH)] = 32
    """Units in each layer of the scorer and of the critic."""
    prior: Annotated[float, Number(least=0)] = 2.0
    """Initial bonus in the score of `assignment`'s action; 0: train from scratch."""
    learning_rate: Annotated[float, Number(above=0)] = 1e-3
    """Constant learning rate of the optimiser."""
    most_gradient: Annotated[float, Number(above=0)] = 0.5
    """Largest norm of gradients; larger ones are clipped."""
    device: str = "auto"
    """Device of torch; "auto": a GPU if there is one, else the CPU."""
    threads: Annotated[int, Integer(1)] = 1
    """Number of CPU threads of torch."""

    def __post_init__(self) -> None:
        check_fields(self, "sb3")


@dataclass(frozen=True, kw_only=True)
class MaskablePpoConfig(Sb3Config):
    """Options of training by MaskablePPO; gamma is 1."""

    steps: Annotated[int, Integer(1)] = 128
    """Decisions per lane in each update."""
    epochs: Annotated[int, Integer(1)] = 4
    """Number of passes over the decisions of an update."""
    batch: Annotated[int, Integer(2)] = 1024
    """Decisions per gradient step."""
    gae: Annotated[float, Number(least=0, most=1)] = 0.95
    """Lambda of GAE, per decision."""
    clip: Annotated[float, Number(above=0)] = 0.2
    """Clipping range of a probability's ratio to the old one."""
    entropy: Annotated[float, Number(least=0)] = 3e-3
    """Weight of the entropy bonus."""
    value: Annotated[float, Number(least=0)] = 0.5
    """Weight of the critic's loss."""

    def __post_init__(self) -> None:
        check_fields(self, "sb3")
        decisions = self.worlds * self.lanes * self.steps
        rule = f"such that no gradient step of the {decisions} decisions (worlds x lanes x steps) has a single one"
        require("sb3", "batch", self.batch, rule if decisions % self.batch == 1 else "")


@dataclass(frozen=True, kw_only=True)
class A2cConfig(Sb3Config):
    """Options of training by A2C; gamma is 1."""

    steps: Annotated[int, Integer(1)] = 16
    """Decisions per lane in each gradient step."""
    rollouts: Annotated[int, Integer(1)] = 8
    """Number of gradient steps per update."""
    gae: Annotated[float, Number(least=0, most=1)] = 0.95
    """Lambda of GAE, per decision."""
    entropy: Annotated[float, Number(least=0)] = 3e-3
    """Weight of the entropy bonus."""
    value: Annotated[float, Number(least=0)] = 0.5
    """Weight of the critic's loss."""

    def __post_init__(self) -> None:
        check_fields(self, "sb3")
        Integer(2).check("sb3", "worlds x lanes x steps", self.worlds * self.lanes * self.steps)


@dataclass(frozen=True, kw_only=True)
class DqnConfig(Sb3Config):
    """Options of training by DQN; the discount is exp(-elapsed / tau)."""

    learning_rate: Annotated[float, Number(above=0)] = 3e-4
    """Constant learning rate of the optimiser."""
    prior: Annotated[float, Number(least=0)] = 0.5
    """Initial bonus in the Q-value of `assignment`'s action; 0: train from scratch."""
    most_gradient: Annotated[float, Number(above=0)] = 10.0
    """Largest norm of gradients; larger ones are clipped."""
    tau: Annotated[float, Number(above=0)] = 30.0
    """Time in mean services over which future rewards are discounted to 1 / e."""
    steps: Annotated[int, Integer(1)] = 128
    """Decisions per lane in each update."""
    every: Annotated[int, Integer(1)] = 4
    """Decisions per lane between gradient steps."""
    gradients: Annotated[int, Integer(1)] = 4
    """Number of gradient steps taken at a time."""
    batch: Annotated[int, Integer(1)] = 256
    """Number of transitions per gradient step."""
    replay: Annotated[int, Integer(1)] = 20_000
    """Capacity of the replay buffer, in transitions of about 40 kB each (window of 32 jobs, four accelerators)."""
    warmup: Annotated[int, Integer(1)] = 5_000
    """Number of decisions before the first gradient step."""
    target: Annotated[int, Integer(1)] = 5_000
    """Number of decisions between two updates of the target network."""
    exploration: Annotated[tuple[float, float], ListOf(Number(least=0, most=1), 2)] = (0.1, 0.01)
    """First and last share of the decisions that are drawn at random."""
    exploring: Annotated[int, Integer(1)] = 500_000
    """Number of decisions over which the random share falls linearly from its first to its last value."""


def _evolution() -> type[Method]:
    from gnnsched_agents.methods.evolution import Evolution

    return Evolution


def _improvement() -> type[Method]:
    from gnnsched_agents.methods.improvement import Improvement

    return Improvement


def _policy_iteration() -> type[Method]:
    from gnnsched_agents.methods.policy_iteration import PolicyIteration

    return PolicyIteration


def _ppo() -> type[Method]:
    from gnnsched_agents.methods.ppo import Ppo

    return Ppo


def _sb3() -> type[Method]:
    from gnnsched_agents.methods.sb3_training import Sb3Training

    return Sb3Training


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A training method: its config, where its Method is imported from, and the named trainings that use it.

    The trainings' names end in `suffix`; `options` and `workloads` are the fields of `TrainConfig` and of its workloads
    that differ from the defaults.
    """

    config: type[Any]
    load: Callable[[], type[Method]]
    suffix: str
    options: Mapping[str, Any] = field(default_factory=dict)
    workloads: Mapping[str, Any] = field(default_factory=dict)


# PPO plays a set of classes for seconds only, so that sets of 256 would take as long to make as to play.
FEW_CLASSES = {"classes": 64}
ITERATING = {"validate_every": 8}  # iterations of some ten seconds
FRESH = {"mixes": "fresh", "sets": 12}  # a set takes seconds to make, and each world changes it

KINDS = {
    "improvement": Kind(config=ImprovementConfig, load=_improvement, suffix="", options=ITERATING, workloads=FRESH),
    "ppo": Kind(config=PpoConfig, load=_ppo, suffix="_ppo", options={"validate_every": 100}, workloads=FEW_CLASSES),
    "policy_iteration": Kind(
        config=PolicyIterationConfig,
        load=_policy_iteration,
        suffix="_policy_iteration",
        options=ITERATING,
        workloads=FRESH,
    ),
    "evolution": Kind(config=EvolutionConfig, load=_evolution, suffix="_es"),
    "maskable_ppo": Kind(config=MaskablePpoConfig, load=_sb3, suffix="_maskable_ppo", options={"validate_every": 50}),
    "dqn": Kind(config=DqnConfig, load=_sb3, suffix="_dqn", options={"validate_every": 50}),
    "a2c": Kind(config=A2cConfig, load=_sb3, suffix="_a2c", options={"validate_every": 50}),
}


def trainer(kind: str) -> type[Method]:
    """Return a training method's class; raise ConfigError if its libraries are not installed."""
    with needs_extra(f"training by {kind}", "agents"):
        return KINDS[kind].load()


def method_config(kind: str) -> type[Any]:
    """Return a training method's config class; raise ConfigError if there is none of that name."""
    if kind not in KINDS:
        rule = f"must be one of {', '.join(KINDS)}"
        raise ConfigError(f"training: method {rule}, got {kind!r}{did_you_mean(kind, KINDS)}")
    return KINDS[kind].config


def kind_of(config: object) -> str:
    """Return the training method that a config belongs to; raise ConfigError if there is none."""
    for kind, way in KINDS.items():
        if type(config) is way.config:
            return kind
    rule = f"must be the config of one of {', '.join(KINDS)}"
    raise ConfigError(f"training: method {rule}, got {type(config).__name__}")
