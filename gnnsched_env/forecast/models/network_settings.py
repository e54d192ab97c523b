"""The networks that rank: their shapes, how they are trained, and which there are; plain values, no torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from gnnsched_env.common.checks import Integer, Number, OneOf, check_fields
from gnnsched_env.common.errors import ConfigError, needs_extra
from gnnsched_env.common.store import FORECAST_NETWORK, Format, Stored
from gnnsched_env.forecast.encoding.portions import Portion, hold_back
from gnnsched_env.forecast.models.ranker import CHECKPOINT, EVENTS, Fitted, RankerSettings, Session, TrainedRanker

if TYPE_CHECKING:
    from torch import nn


class Loss(StrEnum):
    """Loss functions over the configurations of one program."""

    MSE = "mse"  # squared error of standardised targets
    HINGE = "hinge"  # of every pair of unequal targets
    LIST_MLE = "list_mle"  # likelihood of the true order under Plackett and Luce


class TargetScale(StrEnum):
    """Targets of the squared error, made of runtimes and standardised within each program."""

    LOG = "log"  # its logarithm
    RANK = "rank"  # its place in the order, ties sharing theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkShape:
    """What all networks have (`models.network`), and what sets one apart: its `body`, between configurations and sums.

    A subclass says with `body` what happens to operations once their configurations have joined them, and with
    `weighting` how it wants edges counted.
    """

    width: Annotated[int, Integer(1)] = 64
    """Number of channels."""
    dropout: Annotated[float, Number(least=0.0, below=1.0)] = 0.0
    """Probability of dropping a channel in training."""
    segment: Annotated[int, Integer(1)] = 1_000
    """Largest number of operations in a segment; larger programs are cut into several."""

    def __post_init__(self) -> None:
        check_fields(self, "forecast model")

    @property
    def weighting(self) -> str | None:
        """How a vertex counts its neighbours (`nn.adjacency.WEIGHTINGS`); None: operations stay by themselves."""
        return None

    @property
    def both_ways(self) -> bool:
        """Whether edges and turned edges come in two matrices, not in one."""
        return False

    @property
    def attended(self) -> int:
        """How many fixed configurations of a program the others are compared with."""
        return 0

    def body(self) -> "nn.Module":
        """Return the module that is called as (x, part, summaries=..., record=...).

        x: float [n, K, width], K configurations of a `Part` of n operations (without `weighting`, the configurable ones
        alone); it returns the same shape. `summaries` and `record` are of `attended` configurations
        (`nn.layers.ConvStack`).
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvolutionShape(NetworkShape):
    """Convolutions along the edges, or a perceptron on each operation."""

    conv: Annotated[str, OneOf(("none", "gcn", "sage", "sage_mean", "gin"))] = "sage_mean"
    """none (operations stay by themselves: a perceptron), gcn, sage (sum), sage_mean or gin; edges both ways."""
    depth: Annotated[int, Integer(1)] = 4
    """Number of convolutions, or of the perceptron's layers."""
    norm: Annotated[str, OneOf(("none", "layer", "instance"))] = "layer"
    """none, layer (over channels) or instance (over operations); it follows each convolution but the last."""
    residual: bool = False
    """Add each convolution's input to its output (except the first's)."""
    attention: bool = False
    """Attend to other configurations of the program before each convolution except the first."""
    directed: bool = False
    """Use a weight matrix for each direction of an edge; only for sage and sage_mean."""
    references: Annotated[int, Integer(1)] = 8
    """Number of configurations of the program that attention looks at."""

    def __post_init__(self) -> None:
        check_fields(self, "forecast model")
        if self.conv == "none" and (self.attention or self.residual):
            raise ConfigError("forecast model: attention and residual need convolutions, got conv none")
        if self.directed and self.conv not in ("sage", "sage_mean"):
            raise ConfigError(f"forecast model: directed needs conv sage or sage_mean, got {self.conv}")

    @property
    def weighting(self) -> str | None:
        """How the convolution counts neighbours."""
        return {"none": None, "gcn": "symmetric", "sage_mean": "mean"}.get(self.conv, "sum")

    @property
    def both_ways(self) -> bool:
        """Whether each way of an edge has its own matrix."""
        return self.directed

    @property
    def attended(self) -> int:
        """How many configurations attention looks at."""
        return self.references if self.attention else 0

    def body(self) -> "nn.Module":
        """Return the convolutions, or the perceptron."""
        from gnnsched_env.forecast.models.network import Convolutions, Perceptron

        return Perceptron(self) if self.conv == "none" else Convolutions(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings(RankerSettings):
    """How to train a network."""

    FORMAT: ClassVar[Format] = FORECAST_NETWORK

    model: NetworkShape = field(default_factory=ConvolutionShape)
    loss: Annotated[Loss, OneOf(tuple(Loss))] = Loss.MSE
    """Loss over the configurations of one program."""
    target: Annotated[TargetScale, OneOf(tuple(TargetScale))] = TargetScale.LOG
    """What mse compares scores with; standardised within each program."""
    standardise: bool = True
    """Standardise scores over a program's configurations, if there are three or more, before the loss."""
    margin: Annotated[float, Number(above=0.0)] = 1.0
    """Margin of the pairwise hinge loss."""
    steps: Annotated[int, Integer(1)] = 5_000
    """Number of optimiser steps."""
    graphs_a_step: Annotated[int, Integer(1)] = 4
    """Number of programs in each step."""
    configs_a_step: Annotated[int, Integer(2)] = 16
    """Number of configurations of each program in each step."""
    rate: Annotated[float, Number(above=0.0)] = 4e-3
    """Peak learning rate of AdamW: linear warm-up, then cosine decay."""
    decay: Annotated[float, Number(least=0.0)] = 1e-4
    """Weight decay of AdamW."""
    clip: Annotated[float, Number(above=0.0)] = 1.0
    """Largest norm of gradients; larger ones are clipped."""
    average: Annotated[float, Number(least=0.0, below=1.0)] = 0.98
    """Decay of the running mean of the weights, which is what is saved; 0: the weights themselves are saved."""
    validate_every: Annotated[int, Integer(1)] = 200
    """Number of steps between validations; a checkpoint is written at each."""
    validation_configs: Annotated[int, Integer(0)] = 1_000
    """Number of configurations of each held-back program ranked at a validation; 0: all."""
    hops: Annotated[int | None, Integer(0)] = 5
    """Distance in edges from configurable operations up to which the graph is kept; None: all of it."""

    def __post_init__(self) -> None:
        check_fields(self, "forecast training")
        object.__setattr__(self, "loss", Loss(self.loss))
        object.__setattr__(self, "target", TargetScale(self.target))

    def fit(self, parts: Sequence[Portion], session: Session, held_share: float) -> Fitted:
        """Train on what is not held back (`hold_back`, with the seed), and keep the weights that rank the rest best."""
        with needs_extra("forecast networks", "gnn"):
            from gnnsched_env.forecast.training.network_training import train_network
        train, held = hold_back(parts, share=held_share, seed=self.seed)
        folder, wanted = session.folder, session.tensorboard
        logs = folder is not None and (wanted or (wanted is None and find_spec("tensorboard")))
        run = train_network(
            self,
            train,
            held,
            checkpoint=None if folder is None else folder / CHECKPOINT,
            device=session.device,
            minutes=session.minutes,
            logs=folder / EVENTS if folder is not None and logs else None,
            progress=session.progress,
            report=session.report,
        )
        return Fitted(ranker=run.ranker(), finished=run.finished)

    @classmethod
    def read(cls, stored: Stored, device: str) -> TrainedRanker:
        """Return the network of a file, on a device."""
        with needs_extra(stored.source, "gnn"):
            from gnnsched_env.forecast.models.network_ranker import NetworkRanker
            from gnnsched_env.nn.device import pick_device
        return NetworkRanker.from_stored(stored, type(cls().model)).to(pick_device(device))


NETWORKS: Final[dict[str, NetworkSettings]] = {
    "nn": NetworkSettings(model=ConvolutionShape(conv="none", width=32, depth=2, norm="none")),
    "gnn32": NetworkSettings(model=ConvolutionShape(conv="gcn", width=32, depth=2, norm="none")),
    "gnn64": NetworkSettings(model=ConvolutionShape(conv="gcn", width=64, depth=2, norm="none")),
    "sage": NetworkSettings(model=ConvolutionShape(conv="sage_mean", width=64, depth=4, norm="layer")),
    "attention": NetworkSettings(
        model=ConvolutionShape(
            conv="sage_mean", width=64, depth=4, norm="instance", residual=True, attention=True, directed=True
        ),
        steps=2_500,
    ),
}
"""By name: a plain network, two graph networks, four SAGE convolutions, attention among configurations."""
