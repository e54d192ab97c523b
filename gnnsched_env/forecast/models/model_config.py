"""How the five rankers are shaped and trained: plain values, readable without torch."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final

from gnnsched_env.common.checks import Integer, Number, OneOf, check_fields
from gnnsched_env.common.errors import ConfigError


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

    conv: Annotated[str, OneOf(("none", "gcn", "sage", "sage_mean", "gin"))] = "sage_mean"
    """none (operations stay by themselves: a perceptron), gcn, sage (sum), sage_mean or gin; edges both ways."""
    width: Annotated[int, Integer(1)] = 64
    """Channels of each layer."""
    depth: Annotated[int, Integer(1)] = 4
    """Convolutions; layers of the perceptron."""
    norm: Annotated[str, OneOf(("none", "layer", "instance"))] = "layer"
    """none, layer (over channels) or instance (over operations); it follows each convolution but the last."""
    dropout: Annotated[float, Number(least=0, below=1)] = 0.0
    """Dropout probability."""
    residual: bool = False
    """Each convolution but the first adds to what it reads."""
    attention: bool = False
    """Look at some other configurations of the program before each convolution but the first."""
    directed: bool = False
    """A matrix for each way of an edge; of sage and sage_mean."""
    references: Annotated[int, Integer(1)] = 8
    """Configurations of the program that attention looks at."""
    segment: Annotated[int, Integer(1)] = 1_000
    """Programs of more operations are cut into runs of at most so many."""

    def __post_init__(self) -> None:
        check_fields(self, "forecast model")
        if self.conv == "none" and (self.attention or self.residual):
            raise ConfigError("forecast model: attention and residual need convolutions, got conv none")
        if self.directed and self.conv not in ("sage", "sage_mean"):
            raise ConfigError(f"forecast model: directed needs conv sage or sage_mean, got {self.conv}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How to train a network; everything that decides the result, the samples apart."""

    model: ModelConfig = field(default_factory=ModelConfig)
    loss: Annotated[Loss, OneOf(tuple(Loss))] = Loss.MSE
    """Loss over the configurations of one program."""
    target: Annotated[Target, OneOf(tuple(Target))] = Target.LOG
    """What the mse loss compares: runtimes' logarithms or ranks, standardised within each program."""
    standardise: bool = True
    """Before the loss, bring scores to mean 0 and deviation 1 over a program's configurations, if three or more."""
    margin: Annotated[float, Number(above=0)] = 1.0
    """Margin of the pairwise hinge loss."""
    steps: Annotated[int, Integer(1)] = 5_000
    """Optimiser steps."""
    graphs_a_step: Annotated[int, Integer(1)] = 4
    """Programs a step."""
    configs_a_step: Annotated[int, Integer(2)] = 16
    """Configurations of each program a step."""
    rate: Annotated[float, Number(above=0)] = 4e-3
    """Peak learning rate of AdamW: linear warm-up, then cosine decay."""
    decay: Annotated[float, Number(least=0)] = 1e-4
    """Weight decay of AdamW."""
    clip: Annotated[float, Number(above=0)] = 1.0
    """Norm at which gradients are clipped."""
    average: Annotated[float, Number(least=0, below=1)] = 0.98
    """Decay of the running mean of the weights that is kept; 0 keeps the weights themselves."""
    validate_every: Annotated[int, Integer(1)] = 200
    """Steps between validations; a checkpoint is written at each."""
    validation_configs: Annotated[int, Integer(0)] = 1_000
    """Configurations of each held-back program that a validation ranks; 0: all."""
    hops: Annotated[int | None, Integer(0)] = 5
    """Distance from configurable operations, in edges, up to which the graph is kept; None: all of it."""
    seed: Annotated[int, Integer(0)] = 0
    """Seed of all random draws."""

    def __post_init__(self) -> None:
        check_fields(self, "forecast training")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostingConfig:
    """How trees are boosted."""

    trees: Annotated[int, Integer(1)] = 600
    """Number of trees."""
    leaves: Annotated[int, Integer(2)] = 31
    """Largest number of leaves of a tree."""
    least: Annotated[int, Integer(1)] = 20
    """Smallest number of configurations in a leaf."""
    rate: Annotated[float, Number(above=0, most=1)] = 0.05
    """Learning rate."""
    columns: Annotated[float, Number(above=0, most=1)] = 0.5
    """The share of columns that a tree sees."""
    most: Annotated[int, Integer(2)] = 50_000
    """Largest number of configurations taken from a program."""
    seed: Annotated[int, Integer(0)] = 0
    """Seed of all random draws."""

    def __post_init__(self) -> None:
        check_fields(self, "forecast boosting")


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
    return MODELS[OneOf(tuple(MODELS)).check("forecast", "model", name)]
