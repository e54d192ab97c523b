"""A configurable stack of PyG convolutions and readouts of a graph: no knowledge of what is predicted."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

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
from torch_geometric.nn.norm import BatchNorm, InstanceNorm, LayerNorm  # type: ignore[import-untyped]

from gnnsched_env.common.checks import Integer, Number, check_fields
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.nn.adjacency import Adjacency


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
    INSTANCE = "instance"  # over the vertices of each graph, each channel (and configuration) by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """The shape of a `ConvStack`; widths in channels, `dropout` a probability.

    `residual`: each convolution but the first adds to what it reads. `attention`: a `ConfigAttention` before each
    convolution but the first. `directed`: a SAGE convolution gathers along edges and against them, each through a
    matrix of its own (Rossi et al. 2024, "Edge directionality improves learning on heterophilic graphs").
    """

    in_dim: Annotated[int, Integer(1)]
    hidden: Annotated[int, Integer(1)] = 64
    depth: Annotated[int, Integer(1)] = 2
    conv: ConvKind = ConvKind.SAGE
    norm: Norm = Norm.NONE
    dropout: Annotated[float, Number(least=0, below=1)] = 0.0
    residual: bool = False
    attention: bool = False
    directed: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "convolution stack")
        if self.directed and self.conv not in (ConvKind.SAGE, ConvKind.SAGE_MEAN):
            raise ConfigError(f"convolution stack: directed needs a SAGE convolution, got {self.conv}")


class ConfigAttention(nn.Module):
    """Cross attention among configurations of one graph: each vertex and channel by itself.

    A configuration attends to itself and to a set of reference configurations, which share one weight evenly:

        out = x + gate * (w * x + (1 - w) * mean),  w = sigmoid(t * x - log mean_r exp(t * x_r))

    where r runs over the references, `mean` is theirs under softmax_r(t * x_r), and t and gate are learned, one a
    channel. The references being given, the other configurations of a batch have no part in it.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(width))
        self.gate = nn.Parameter(torch.full((width,), 0.5))

    def summarise(self, x: Tensor) -> Tensor:
        """Return what is kept of references [N, R, channels]: [2, N, 1, channels], log mean and mean."""
        keys = x * self.sharpness
        level = keys.logsumexp(dim=1, keepdim=True) - math.log(x.shape[1])
        mean = (keys.softmax(dim=1) * x).sum(dim=1, keepdim=True)
        return torch.stack((level, mean.to(level.dtype)))

    def forward(self, x: Tensor, summary: Tensor) -> Tensor:
        """Return [N, K, channels] for configurations [N, K, channels] and a summary of the references."""
        level, mean = summary
        own = torch.sigmoid(x * self.sharpness - level)
        attended: Tensor = x + self.gate * (mean + own * (x - mean))
        return attended


class ConvStack(nn.Module):
    """Convolutions one after another: norm, ReLU and dropout between them, none after the last."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.in_dim, *[config.hidden] * config.depth]
        pairs = list(itertools.pairwise(widths))
        self.convs = nn.ModuleList(_make_conv(config.conv, before, after) for before, after in pairs)
        self.backward_convs = nn.ModuleList(
            SAGEConv(before, after, aggr=edge_weighting(config.conv), root_weight=False, bias=False)
            for before, after in (pairs if config.directed else ())
        )
        self.norms = nn.ModuleList(_make_norm(config.norm, config.hidden) for _ in pairs[1:])
        self.dropout = nn.Dropout(config.dropout)
        attentions = config.depth - 1 if config.attention else 0
        self.attentions = nn.ModuleList(ConfigAttention(config.hidden) for _ in range(attentions))

    def forward(
        self,
        x: Tensor,
        edges: Tensor | Adjacency,
        batch: Tensor | None = None,
        *,
        against: Adjacency | None = None,
        summaries: Sequence[Tensor] = (),
        record: list[Tensor] | None = None,
    ) -> Tensor:
        """Return float [N, hidden] from vertex features [N, in_dim], or [N, K, hidden] from [N, K, in_dim].

        `edges`: int64 [2, E], row 0 the vertices that send, row 1 those that gather, for [N, in_dim]; an `Adjacency`
        for K configurations of one graph, with that of the turned edges in `against` if directed. `batch` int64 [N],
        ascending: the graph of each vertex, which only instance norms read; all are of one graph without it. With
        attention, `summaries` has what each `ConfigAttention` keeps of the references, or `record` is filled with it,
        all configurations being references then.
        """
        x = self._convolve(0, x, edges, against)
        for k, norm in enumerate(self.norms):
            inner = torch.relu(_normalise(norm, x, batch))
            if self.config.attention:
                attend = self.attentions[k]
                if record is not None:
                    record.append(attend.summarise(inner))  # type: ignore[operator]
                inner = attend(inner, summaries[k] if record is None else record[k])
            after = self._convolve(k + 1, self.dropout(inner), edges, against)
            x = x + after if self.config.residual else after
        return x

    def _convolve(self, k: int, x: Tensor, edges: Tensor | Adjacency, against: Adjacency | None) -> Tensor:
        after = _convolve(self.convs[k], x, edges)
        if not self.config.directed:
            return after
        turned = edges.flip(0) if isinstance(edges, Tensor) else against
        if turned is None:
            raise ConfigError("convolution stack: directed needs the adjacency of the turned edges, got None")
        return after + _convolve(self.backward_convs[k], x, turned)


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
        conv = SAGEConv(before, after, aggr=edge_weighting(kind))
    return conv


def _make_norm(kind: Norm, width: int) -> nn.Module:
    norm: nn.Module = nn.Identity()
    if kind is Norm.LAYER:
        norm = LayerNorm(width, mode="node")
    elif kind is Norm.BATCH:
        norm = BatchNorm(width)
    elif kind is Norm.INSTANCE:
        norm = InstanceNorm(width, affine=True)
    return norm


def _normalise(norm: Any, x: Tensor, batch: Tensor | None) -> Tensor:
    """Return x normalised; PyG's instance norm takes the graphs, and knows no configurations."""
    if not isinstance(norm, InstanceNorm):
        return norm(x)  # type: ignore[no-any-return]
    if x.dim() == 2:
        return norm(x, batch)  # type: ignore[no-any-return]
    variance, mean = torch.var_mean(x.float() if x.dtype.itemsize < 4 else x, dim=0, keepdim=True, correction=0)
    return ((x - mean) * torch.rsqrt(variance + norm.eps)).to(x.dtype) * norm.weight + norm.bias  # type: ignore[no-any-return]


def _convolve(conv: Any, x: Tensor, edges: Tensor | Adjacency) -> Tensor:
    """Return what a convolution of PyG makes of vertices [N, in], or its weights of [N, K, in] by an `Adjacency`."""
    if isinstance(edges, Tensor):
        return conv(x, edges)  # type: ignore[no-any-return]
    if isinstance(conv, GCNConv):
        return edges.gather(conv.lin(x)) + conv.bias  # type: ignore[no-any-return]
    if isinstance(conv, GINConv):
        return conv.nn((1.0 + conv.eps) * x + edges.gather(x))  # type: ignore[no-any-return]
    gathered = conv.lin_l(edges.gather(x))
    return gathered + conv.lin_r(x) if conv.root_weight else gathered  # type: ignore[no-any-return]


def edge_weighting(kind: ConvKind) -> str:
    """Return how an `Adjacency` for this convolution weighs edges."""
    return {ConvKind.SAGE_MEAN: "mean", ConvKind.GCN: "symmetric"}.get(kind, "sum")
