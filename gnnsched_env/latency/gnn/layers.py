"""A configurable stack of PyG convolutions and readouts of a graph: no knowledge of what is predicted."""

import itertools
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch_geometric.nn import (  # type: ignore[import-untyped]
    GCNConv,
    GINConv,
    SAGEConv,
    global_add_pool,
    global_max_pool,
    global_mean_pool,
)
from torch_geometric.nn.norm import BatchNorm, LayerNorm  # type: ignore[import-untyped]

from gnnsched_env.errors import ConfigError


class ConvKind(StrEnum):
    """A convolution of PyG: how a vertex gathers its neighbours."""

    SAGE = "sage"  # own features and the sum of the neighbours', each through a matrix
    SAGE_MEAN = "sage_mean"  # own features and the mean of the neighbours'
    GCN = "gcn"  # symmetrically normalised sum, self loops added
    GIN = "gin"  # a two-layer perceptron of own features plus the sum of the neighbours'


class Norm(StrEnum):
    """What follows each convolution but the last."""

    NONE = "none"
    LAYER = "layer"  # over the channels of each vertex
    BATCH = "batch"  # over the vertices of the batch


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """The shape of a `ConvStack`; widths in channels, `dropout` a probability."""

    in_dim: int
    hidden: int = 64
    depth: int = 2
    conv: ConvKind = ConvKind.SAGE
    norm: Norm = Norm.NONE
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for field in ("in_dim", "hidden", "depth"):
            if getattr(self, field) < 1:
                raise ConfigError(f"convolution stack: {field} must be at least 1, got {getattr(self, field)}")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"convolution stack: dropout must lie in [0, 1), got {self.dropout}")


class ConvStack(nn.Module):
    """Convolutions one after another: norm, ReLU and dropout between them, none after the last."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.in_dim, *[config.hidden] * config.depth]
        pairs = list(itertools.pairwise(widths))
        self.convs = nn.ModuleList(_make_conv(config.conv, before, after) for before, after in pairs)
        self.norms = nn.ModuleList(_make_norm(config.norm, config.hidden) for _ in pairs[1:])
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        """Return float [N, hidden] from vertex features [N, in_dim].

        `edge_index` int64 [2, E]: row 0 the vertices that send, row 1 those that gather. `batch` int64 [N], ascending:
        the graph of each vertex; only norms over a graph would read it, and there is none, so that it may be left out.
        """
        x = self.convs[0](x, edge_index)
        for conv, norm in zip(self.convs[1:], self.norms, strict=True):
            x = conv(self.dropout(torch.relu(norm(x))), edge_index)
        return x


def read_out(x: Tensor, batch: Tensor, graphs: int, *, scale: float = 1e-3) -> Tensor:
    """Return [graphs, 3 * channels]: sum times `scale`, mean and maximum over each graph's vertices."""
    return torch.cat(
        (
            global_add_pool(x, batch, graphs) * scale,
            global_mean_pool(x, batch, graphs),
            global_max_pool(x, batch, graphs),
        ),
        dim=1,
    )


def perceptron(*widths: int) -> nn.Sequential:
    """Return linear layers of these widths with SiLU between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def _make_conv(kind: ConvKind, before: int, after: int) -> nn.Module:
    conv: nn.Module
    if kind is ConvKind.GIN:
        conv = GINConv(nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Linear(after, after)))
    elif kind is ConvKind.GCN:
        conv = GCNConv(before, after)
    else:
        conv = SAGEConv(before, after, aggr="mean" if kind is ConvKind.SAGE_MEAN else "sum")
    return conv


def _make_norm(kind: Norm, width: int) -> nn.Module:
    norm: nn.Module = nn.Identity()
    if kind is not Norm.NONE:
        norm = LayerNorm(width, mode="node") if kind is Norm.LAYER else BatchNorm(width)
    return norm
