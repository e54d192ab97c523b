"""Two networks from (graphs, layers under pairs) to log cycles: one that follows the hardware, one plain readout.

`TileModel`: a convolution with sum aggregation turns adjacency into vertex embeddings; contracted with weights that a
perceptron computes from the dataflow, they give each row's predicted time. These times are then composed in the order
that the dataflow prescribes: rows of a tile run together (the longest counts), tiles follow each other, a pipeline's
chunks overlap with the combination (composition: SPEC section 6 of the cost model). Only the times are learned.

`ReadoutModel`: the embeddings' sum, mean and maximum, and a perceptron over them and the dataflow.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from gnnsched_env.common.checks import Integer, Number, OneOf, check_fields
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.nn.layers import ConvKind, ConvStack, Norm, StackConfig, perceptron, read_out
from gnnsched_env.predictors.gnn.graph_batch import GraphBatch
from gnnsched_env.predictors.gnn.pair_encoding import ARRAY_SIZES, FEATURES, GEOMETRY, NARROW_TREES
from gnnsched_env.predictors.gnn.row_order import follow_order

UNIT_KNOTS = 48  # number of knots spaced by 1, from 0; later ones are spaced geometrically
KNOT_GROWTH = 1.3
TREE_CHANNELS = 8
_TREES = {"t_fc": 129, "tree_columns": 129, "tree_layout": (NARROW_TREES + 1) * ARRAY_SIZES}
"""Properties of the reduction trees with a vector for each value below a limit; larger values share the last."""
LARGEST_TAIL = 64  # each number of rows in a last row tile, up to this, has a vector too

_ORDER = [GEOMETRY.index(name) for name in ("t_va", "t_vc", "t_vp", "is_sp", "saved", "saved_per", "overhead")]


class Architecture(StrEnum):
    """The kind of network."""

    TILES = "tiles"
    READOUT = "readout"


class Target(StrEnum):
    """The base that the readout network's output is added to."""

    LOG_CYCLES = "log_cycles"  # nothing
    LOG_RATIO = "log_ratio"  # the logarithm of a closed form that knows V and E only


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The shape of a network; `hidden` channels of the convolutions, `width` of the perceptrons."""

    architecture: Annotated[Architecture, OneOf(tuple(Architecture))] = Architecture.TILES
    conv: Annotated[ConvKind, OneOf(tuple(ConvKind))] = ConvKind.SAGE
    depth: Annotated[int, Integer(1)] = 1
    hidden: Annotated[int, Integer(1)] = 64
    width: Annotated[int, Integer(1)] = 64
    norm: Annotated[Norm, OneOf(tuple(Norm))] = Norm.NONE
    dropout: Annotated[float, Number(least=0, below=1)] = 0.0
    target: Annotated[Target, OneOf(tuple(Target))] = Target.LOG_RATIO

    def __post_init__(self) -> None:
        check_fields(self, "gnn")
        if self.norm is Norm.BATCH:
            raise ConfigError("gnn: norm must not be batch: one node stands for many vertices, got batch")
        if self.architecture is Architecture.TILES:
            if self.conv is not ConvKind.SAGE:
                raise ConfigError(f"gnn: architecture tiles needs conv sage, whose sums can count, got {self.conv}")
            if self.depth != 1 or self.hidden < 2:
                raise ConfigError(
                    "gnn: architecture tiles needs depth 1 (a row's time depends on the row) and hidden of at least "
                    f"2, got depth {self.depth} and hidden {self.hidden}"
                )

    def stack(self) -> StackConfig:
        """Return the shape of the convolutions; every vertex begins with the constant 1."""
        return StackConfig(
            in_dim=1, hidden=self.hidden, depth=self.depth, conv=self.conv, norm=self.norm, dropout=self.dropout
        )


class _LatencyModel(nn.Module):
    """Base of both networks: the graphs' embedding, and the scaling of features (fixed before training, and saved)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.stack = ConvStack(config.stack())
        self.register_buffer("shift", torch.zeros(len(FEATURES)))
        self.register_buffer("scale", torch.ones(len(FEATURES)))
        self.shift: Tensor
        self.scale: Tensor

    def fit_scaling(self, features: Tensor) -> None:
        """Set the mean and deviation of the features from [samples, D]."""
        self.shift.copy_(features.mean(dim=0))
        self.scale.copy_(features.std(dim=0, correction=0).clamp_min(1e-2))

    def embed(self, graphs: GraphBatch) -> Tensor:
        """Return [U, channels]: each node's embedding over the adjacency, from equal initial features."""
        ones = torch.ones(graphs.node_graph.numel(), 1, dtype=self.shift.dtype, device=self.shift.device)
        return self.stack(ones, graphs.edge_index, graphs.node_graph)  # type: ignore[no-any-return]

    def scaled(self, features: Tensor) -> Tensor:
        """Return the features, standardised over the training set."""
        return (features.to(self.shift.dtype) - self.shift) / self.scale


class TileModel(_LatencyModel):
    """Predicts times of rows, and composes them in the order of the dataflow."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        _spread_knots(self.stack)
        self.trees = nn.ModuleList(nn.Embedding(size, TREE_CHANNELS) for size in _TREES.values())
        self.filled = nn.Embedding(LARGEST_TAIL + 1, TREE_CHANNELS)
        inputs = len(FEATURES) + len(_TREES) * TREE_CHANNELS
        self.head = perceptron(inputs, config.width, config.width, 2 * (config.hidden + 2) + 2)
        self.tail = perceptron(inputs + 2 + TREE_CHANNELS, config.width, config.width, 1)
        last: Any = self.head[-1]
        final: Any = self.tail[-1]
        with torch.no_grad():
            for own in self.trees.parameters():
                own.mul_(0.1)
            final.weight.mul_(0.1)
            final.bias.fill_(-2.0)
            last.weight.mul_(0.1)
            last.bias.zero_()
            last.bias[1] = 0.5  # initially a fold for every second entry
            last.bias[-1] = 3.0
            last.bias[config.hidden + 2] = 4.0

    def forward(self, embedding: Tensor, graphs: GraphBatch, features: Tensor, geometry: Tensor) -> Tensor:
        """Return log cycles [C, P] of C graphs' layers under P pairs; `embedding` as `embed` gives it."""
        basis = _hats(embedding)
        trees = [
            own(geometry[..., GEOMETRY.index(name)].clamp_max(_TREES[name] - 1))
            for name, own in zip(_TREES, self.trees, strict=True)
        ]
        inputs = torch.cat((self.scaled(features), *trees), dim=2)
        weights = self.head(inputs)
        channels = basis.shape[1]
        folds, cycles, tile = weights.split((channels, channels, 2), dim=2)
        steps = geometry[..., GEOMETRY.index("steps"), None].to(basis.dtype)
        per_row = folds * steps + cycles
        counts = graphs.counts.tolist()
        times = torch.cat([own @ by.T for own, by in zip(torch.split(basis, counts), per_row, strict=True)])
        tile_folds = geometry[..., GEOMETRY.index("tile_folds")].to(basis.dtype)
        tile_groups = geometry[..., GEOMETRY.index("tile_groups")].to(basis.dtype)
        tiles = (tile_folds * (1.0 + tile_groups) + tile[..., 0] * tile_groups + tile[..., 1]).clamp_min(1.0)
        pipelined = features[..., FEATURES.index("is_pp")].to(basis.dtype)
        lag = tiles * pipelined * self._lag(graphs, inputs, geometry)
        return compose(times.clamp_min(1.0), tiles, lag, graphs, geometry).log()

    def _lag(self, graphs: GraphBatch, inputs: Tensor, geometry: Tensor) -> Tensor:
        """Return [C, P] in 0..1: the share of a pipeline's last row tile that is saved by its missing rows."""
        t_vc = geometry[..., GEOMETRY.index("t_vc")]
        rows = (graphs.vertices[:, None] - 1) % t_vc + 1
        filled = torch.stack((rows / t_vc, rows.double().log2() / 4.0), dim=2).to(inputs.dtype)
        each = self.filled(rows.clamp_max(LARGEST_TAIL))
        spared: Tensor = self.tail(torch.cat((inputs, filled, each), dim=2))[..., 0]
        return torch.where(rows == t_vc, 0.0, spared.sigmoid())


class ReadoutModel(_LatencyModel):
    """Computes one vector per graph, and applies a perceptron to it and the dataflow."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        inputs = 3 * config.hidden + 2 + len(FEATURES)
        self.head = perceptron(inputs, 2 * config.width, 2 * config.width, config.width, 1)

    def forward(self, embedding: Tensor, graphs: GraphBatch, features: Tensor, geometry: Tensor) -> Tensor:
        """Return log cycles [C, P]; see `TileModel.forward`."""
        count, pairs = features.shape[:2]
        rows = (embedding.sign() * embedding.abs().log1p())[graphs.nodes]
        owners = torch.arange(count, device=rows.device).repeat_interleave(graphs.vertices)
        pooled = read_out(rows, owners, count)
        sizes = torch.stack((graphs.vertices, graphs.entries), dim=1).to(pooled.dtype).add(1.0).log()
        graph = torch.cat((pooled, sizes), dim=1)[:, None].expand(-1, pairs, -1)
        out = self.head(torch.cat((graph, self.scaled(features)), dim=2))[..., 0]
        if self.config.target is Target.LOG_CYCLES:
            return out + 10.0  # type: ignore[no-any-return]
        return out + closed_form(graphs, features, geometry).log().to(out.dtype)  # type: ignore[no-any-return]


def make_network(config: ModelConfig) -> TileModel | ReadoutModel:
    """Return an untrained network; its weights come from torch's global generator."""
    return TileModel(config) if config.architecture is Architecture.TILES else ReadoutModel(config)


class _FollowOrder(torch.autograd.Function):
    """`row_order.follow_order` on the CPU, for inputs on any device; piecewise linear, so differentiable."""

    @staticmethod
    def forward(ctx: Any, times: Tensor, tiles: Tensor, lags: Tensor, graphs: GraphBatch, geometry: Tensor) -> Tensor:
        given = [one.detach().cpu().double().numpy() for one in (times, tiles, lags)]
        order = geometry[..., _ORDER].cpu().numpy()
        total, by_tile, by_lag = (np.zeros(given[1].shape) for _ in range(3))
        by_time = np.zeros(given[0].shape)
        nodes, row_ptr = graphs.nodes.cpu().numpy(), graphs.row_ptr.cpu().numpy()
        follow_order(given[0], nodes, row_ptr, given[1], given[2], order, total, by_time, by_tile, by_lag)
        ctx.save_for_backward(
            *(torch.from_numpy(one).to(times) for one in (by_time, by_tile, by_lag)), graphs.node_graph
        )
        return torch.from_numpy(total).to(times)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        by_time, by_tile, by_lag, owner = ctx.saved_tensors
        return by_time * grads[0][owner], by_tile * grads[0], by_lag * grads[0], None, None


def compose(times: Tensor, tiles: Tensor, lags: Tensor, graphs: GraphBatch, geometry: Tensor) -> Tensor:
    """Return cycles [C, P] from predicted times of nodes' rows [U, P] and of the combination's row tiles [C, P].

    `lags` [C, P] are subtracted from the end unless it is SP. `row_order.follow_order` describes the order.
    """
    total: Tensor = _FollowOrder.apply(times, tiles, lags, graphs, geometry)  # type: ignore[no-untyped-call]
    return total


def closed_form(graphs: GraphBatch, features: Tensor, geometry: Tensor) -> Tensor:
    """Return cycles [C, P] from V and E alone: all rows have the mean length, phases run in sequence or in parallel."""
    flat = {name: geometry[..., k].double() for k, name in enumerate(GEOMETRY)}
    vertices, entries = graphs.vertices.double()[:, None], graphs.entries.double()[:, None]
    folds = (entries / vertices * features[..., FEATURES.index("inverse_t_n")]).clamp_min(1.0)
    aggregation = (vertices / flat["t_va"]).ceil() * (folds * flat["steps"] + 4.0)
    tile = flat["tile_folds"] * (1.0 + flat["tile_groups"]) + 3.0
    combination = (vertices / flat["t_vc"]).ceil() * tile
    pipelined = features[..., FEATURES.index("is_pp")] == 1.0
    return torch.where(pipelined, torch.maximum(aggregation, combination), aggregation + combination)


def _spread_knots(stack: ConvStack) -> None:
    """Initialise channel 0 of the first convolution to count, and the others to respond to counts of 0, 1, 2, ..."""
    conv: Any = stack.convs[0]
    channels = stack.config.hidden
    centres = [float(k) for k in range(min(UNIT_KNOTS, channels - 1))]
    while len(centres) < channels - 1:
        centres.append(centres[-1] * KNOT_GROWTH)
    widths = torch.tensor(centres).diff(append=torch.tensor([centres[-1] * KNOT_GROWTH])).clamp_min(1.0)
    with torch.no_grad():
        conv.lin_l.weight[:, 0] = torch.cat((torch.ones(1), 1.0 / widths))
        conv.lin_l.bias.zero_()
        conv.lin_r.weight[:, 0] = torch.cat((torch.zeros(1), -torch.tensor(centres) / widths))


def _hats(embedding: Tensor) -> Tensor:
    """Return [U, channels + 2]: a constant, the first channel unchanged, and the others as max(0, 1 - |x|)."""
    hats = (1.0 - embedding.abs()).clamp_min(0.0)
    return torch.cat((torch.ones_like(hats[:, :1]), embedding[:, :1], hats), dim=1)
