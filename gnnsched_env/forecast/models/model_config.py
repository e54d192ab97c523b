"""How the five rankers are shaped and trained: plain values, readable without torch."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gnnsched_env.common.errors import ConfigError, did_you_mean


class Loss(StrEnum):
    """What a step goes down, over the configurations of one program."""

    MSE = "mse"  # squared error of standardised targets
    HINGE = "hinge"  # of every pair of unequal targets
    LIST_MLE = "list_mle"  # likelihood of the true order under Plackett and Luce


class Target(StrEnum):
    """What stands for a runtime where its size counts (MSE); standardised within each program."""

    LOG = "log"  # its logarithm
    RANK = "rank"  # its place in the order, ties sharing theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The shape of a network."""

    conv: str = "sage_mean"
    """none (operations stay by themselves: a perceptron), gcn, sage (sum), sage_mean or gin; edges both ways."""
    width: int = 64
    """Channels."""
    depth: int = 4
    """Convolutions; layers of the perceptron."""
    norm: str = "layer"
    """none, layer (over channels) or instance (over operations); it follows each convolution but the last."""
    dropout: float = 0.0
    """A probability."""
    residual: bool = False
    """Each convolution but the first adds to what it reads."""
    attention: bool = False
    """Look at some other configurations of the program before each convolution but the first."""
    directed: bool = False
    """A matrix for each way of an edge; of sage and sage_mean."""
    references: int = 8
    """Configurations of the program that attention looks at."""
    segment: int = 1_000
    """Programs of more operations are cut into runs of at most so many."""

    def __post_init__(self) -> None:
        _among("conv", self.conv, ("none", "gcn", "sage", "sage_mean", "gin"))
        _among("norm", self.norm, ("none", "layer", "instance"))
        for name in ("width", "depth", "references", "segment"):
            _at_least("forecast model", name, getattr(self, name), 1)
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"forecast model: dropout must lie in [0, 1), got {self.dropout!r}")
        if self.conv == "none" and (self.attention or self.residual):
            raise ConfigError("forecast model: attention and residual need convolutions, got conv none")
        if self.directed and self.conv not in ("sage", "sage_mean"):
            raise ConfigError(f"forecast model: directed needs conv sage or sage_mean, got {self.conv}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How to train a network; everything that decides the result, the samples apart."""

    model: ModelConfig = field(default_factory=ModelConfig)
    loss: Loss = Loss.MSE
    """Over the configurations of one program."""
    target: Target = Target.LOG
    """What mse is of; standardised within each program."""
    standardise: bool = True
    """Before the loss, bring scores to mean 0 and deviation 1 over a program's configurations, if three or more."""
    margin: float = 1.0
    """Of hinge."""
    steps: int = 5_000
    """Of the optimizer."""
    graphs_a_step: int = 4
    """Programs a step."""
    configs_a_step: int = 16
    """Configurations of each program a step."""
    rate: float = 4e-3
    """Of learning (AdamW), at its highest: it rises, then falls as a cosine."""
    decay: float = 1e-4
    """Of weights (AdamW)."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    average: float = 0.98
    """Kept are running means of the weights, which remember this share of themselves; 0: weights as they are."""
    validate_every: int = 200
    """Steps; a checkpoint is written then."""
    validation_configs: int = 1_000
    """Configurations of each held-back program to rank then; 0: all."""
    hops: int | None = 5
    """How many edges from configurable operations the graph is kept; None: all of it. Rankers remember it."""
    seed: int = 0
    """Of all that is drawn."""

    def __post_init__(self) -> None:
        for name, kind in (("loss", Loss), ("target", Target)):
            _among(name, getattr(self, name), tuple(kind))
            object.__setattr__(self, name, kind(getattr(self, name)))
        for name, least in (
            ("steps", 1),
            ("graphs_a_step", 1),
            ("configs_a_step", 2),
            ("validate_every", 1),
            ("validation_configs", 0),
            ("seed", 0),
        ):
            _at_least("forecast training", name, getattr(self, name), least)
        if self.hops is not None:
            _at_least("forecast training", "hops", self.hops, 0)
        for name in ("margin", "rate", "clip"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"forecast training: {name} must be above 0, got {getattr(self, name)!r}")
        if not 0.0 <= self.average < 1.0:
            raise ConfigError(f"forecast training: average must lie in [0, 1), got {self.average!r}")
        if not self.decay >= 0.0:
            raise ConfigError(f"forecast training: decay must be at least 0, got {self.decay!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostingConfig:
    """How trees are boosted."""

    trees: int = 600
    """How many."""
    leaves: int = 31
    """Of a tree, at most."""
    least: int = 20
    """Configurations in a leaf."""
    rate: float = 0.05
    """Of learning."""
    columns: float = 0.5
    """The share of columns that a tree sees."""
    most: int = 50_000
    """Configurations taken of a program."""
    seed: int = 0
    """Of all that is drawn."""

    def __post_init__(self) -> None:
        for name, least in (("trees", 1), ("leaves", 2), ("least", 1), ("most", 2), ("seed", 0)):
            _at_least("forecast boosting", name, getattr(self, name), least)
        for name in ("rate", "columns"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ConfigError(f"forecast boosting: {name} must lie in (0, 1], got {getattr(self, name)!r}")


def _among(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        hint = did_you_mean(value, known)
        raise ConfigError(f"forecast: {name} must be one of {', '.join(known)}, got {value!r}{hint}")


def _at_least(what: str, name: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise ConfigError(f"{what}: {name} must be an integer of at least {least}, got {value!r}")


MODELS: Final[dict[str, TrainConfig | BoostingConfig]] = {
    "nn": TrainConfig(model=ModelConfig(conv="none", width=32, depth=2, norm="none")),
    "gnn32": TrainConfig(model=ModelConfig(conv="gcn", width=32, depth=2, norm="none")),
    "gnn64": TrainConfig(model=ModelConfig(conv="gcn", width=64, depth=2, norm="none")),
    "sage": TrainConfig(model=ModelConfig(conv="sage_mean", width=64, depth=4, norm="layer")),
    "attention": TrainConfig(
        model=ModelConfig(
            conv="sage_mean", width=64, depth=4, norm="instance", residual=True, attention=True, directed=True
        ),
        steps=2_500,
    ),
    "boosting": BoostingConfig(),
}
"""By name: a plain network, two graph networks, four SAGE convolutions, attention among configurations, no graph."""


def model_named(name: str) -> TrainConfig | BoostingConfig:
    """Return the configuration of a name in MODELS; ConfigError for another."""
    if name not in MODELS:
        raise ConfigError(f"model must be one of {', '.join(MODELS)}, got {name!r}{did_you_mean(name, MODELS)}")
    return MODELS[name]
