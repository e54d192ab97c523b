"""How the five rankers are shaped and trained: plain values, readable without torch."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from gnnsched_env.errors import ConfigError, did_you_mean


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
    """The shape of a network; `width` channels, `depth` convolutions, `dropout` a probability.

    conv: "none" (operations stay by themselves: a perceptron), or a convolution's name in `ConvKind`; edges are taken
    both ways. norm: a `Norm` but batch. attention: `ConfigAttention` to `references` configurations of the program
    before every convolution but the first. segment: programs of more nodes are cut into runs of at most so many.
    """

    conv: str = "sage_mean"
    width: int = 64
    depth: int = 4
    norm: str = "layer"
    dropout: float = 0.0
    residual: bool = False
    attention: bool = False
    references: int = 16
    segment: int = 1_000

    def __post_init__(self) -> None:
        _among("conv", self.conv, ("none", "gcn", "sage", "sage_mean", "gin"))
        _among("norm", self.norm, ("none", "layer", "instance"))
        for name in ("width", "depth", "references", "segment"):
            _at_least("forecast model", name, getattr(self, name), 1)
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"forecast model: dropout must lie in [0, 1), got {self.dropout!r}")
        if self.conv == "none" and (self.attention or self.residual):
            raise ConfigError("forecast model: attention and residual need convolutions, got conv none")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How to train a network; everything that decides the result, the samples apart.

    A step takes `graphs_a_step` programs and `configs_a_step` configurations of each. `margin`: of the hinge loss.
    `rate`: of Adam, at its highest; `decay`: of weights (AdamW); `clip`: largest norm of the gradient. What is
    validated and kept is a running mean of the weights, which remembers a share `average` of itself each step (0: the
    weights as they are). Every `validate_every` steps, `validation_configs` of each held-out program are ranked (0:
    all). `hops`: how far from configurable operations samples were prepared to keep the graph (None: all); whoever
    ranks must do the same.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    loss: Loss = Loss.LIST_MLE
    target: Target = Target.LOG
    margin: float = 1.0
    steps: int = 2_000
    graphs_a_step: int = 1
    configs_a_step: int = 64
    rate: float = 2e-3
    decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.98
    validate_every: int = 200
    validation_configs: int = 1_000
    hops: int | None = 5
    seed: int = 0

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
    """How trees are boosted: `trees` of at most `leaves` leaves, each of at least `least` configurations.

    `rate`: of learning; `columns`: the share of columns that a tree sees; `most`: configurations taken of a program.
    """

    trees: int = 600
    leaves: int = 31
    least: int = 20
    rate: float = 0.05
    columns: float = 0.5
    most: int = 50_000
    seed: int = 0

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


_PLAIN: Final[dict[str, Any]] = {"norm": "none", "dropout": 0.1}

MODELS: Final[dict[str, TrainConfig | BoostingConfig]] = {
    "nn": TrainConfig(model=ModelConfig(conv="none", width=32, depth=2, **_PLAIN)),
    "gnn32": TrainConfig(model=ModelConfig(conv="gcn", width=32, depth=2, **_PLAIN)),
    "gnn64": TrainConfig(model=ModelConfig(conv="gcn", width=64, depth=2, **_PLAIN)),
    "sage": TrainConfig(model=ModelConfig(conv="sage_mean", width=64, depth=4, norm="layer", dropout=0.1)),
    "attention": TrainConfig(
        model=ModelConfig(conv="sage_mean", width=64, depth=4, norm="instance", residual=True, attention=True),
        loss=Loss.HINGE,
    ),
    "boosting": BoostingConfig(),
}
"""By name: a plain network, two graph networks, four SAGE convolutions, attention among configurations, no graph."""


def model_named(name: str) -> TrainConfig | BoostingConfig:
    """Return the configuration of a name in MODELS; ConfigError for another."""
    if name not in MODELS:
        raise ConfigError(f"model must be one of {', '.join(MODELS)}, got {name!r}{did_you_mean(name, MODELS)}")
    return MODELS[name]
