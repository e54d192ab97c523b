"""`ForecastNetwork`: from a run of a program's operations and K configurations to what K scores are made of.

What does not depend on the configuration is computed once. From where configurations join, all is [n, K, channels],
so that the edges of one graph serve all K. Scores are sums over operations, and operations come in parts
(`segments`), so the network gives sums of parts, and `score` makes scores of their total.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gnnsched_env.forecast.data.schema import OPCODES
from gnnsched_env.forecast.models.network_settings import ConvolutionShape, NetworkShape
from gnnsched_env.nn.adjacency import Adjacency
from gnnsched_env.nn.layers import ConvKind, ConvStack, Norm, StackConfig, perceptron

FIRST_SCORES = 0.1
CONFIG_GAIN = 10.0
"""Of what a layout adds to its operation: convolutions thin it out among neighbours without one."""
LARGEST = 6.0  # standardised features are cut at this: a new program may be far out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """n operations of a program, consecutive: all that the network sees of it at once.

    nodes: float32 [n, D]; opcodes: int64 [n]; adjacency: [n, n], or None where the network reads no edges;
    against: that of the turned edges where a network takes both ways apart, and adjacency is from producers to
    consumers; configurable: int64 [c], which of the n; places: int64 [c], their places among the program's
    configurable ones.
    Of a tile program both are empty, and its configuration joins every operation.
    """

    nodes: Tensor
    opcodes: Tensor
    adjacency: Adjacency | None
    configurable: Tensor
    places: Tensor
    is_tile: bool
    against: Adjacency | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """How wide encoded operations and configurations are; `is_tile`: which kind of configurations."""

    nodes: int
    configs: int
    is_tile: bool


class ForecastNetwork(nn.Module):
    """A perceptron on each operation, configurations joined, convolutions, and a readout of sums."""

    def __init__(self, shape: NetworkShape, widths: Widths) -> None:
        super().__init__()
        self.shape = shape
        self.widths = widths
        width = shape.width
        self.opcode = nn.Embedding(OPCODES, width)
        self.operation = perceptron(widths.nodes + width, width, width)
        self.configuration = nn.Linear(widths.configs, width)
        self.meeting = nn.Linear(width, width)
        self.joined = nn.Sequential(nn.SiLU(), nn.Linear(width, width))
        self.body = shape.body()
        self.each = nn.Linear(width, 1)
        self.whole = perceptron(3 * width, width, 1)
        with torch.no_grad():  # scores begin small: standardised targets and the hinge's margin are about 1
            self.each.weight.mul_(FIRST_SCORES)
            self.whole[-1].weight.mul_(FIRST_SCORES)  # type: ignore[operator]
        self.register_buffer("shift", torch.zeros(widths.nodes))
        self.register_buffer("scale", torch.ones(widths.nodes))
        self.shift: Tensor
        self.scale: Tensor

    def fit_scaling(self, nodes: Tensor) -> None:
        """Take mean and deviation of the operations' features from [N, D]; constant ones are not stretched."""
        self.shift.copy_(nodes.mean(dim=0))
        deviation = nodes.std(dim=0, correction=0)
        self.scale.copy_(torch.where(deviation < 1e-3, torch.ones_like(deviation), deviation))

    def summarise(self, part: Part, references: Tensor) -> list[Tensor]:
        """Return what attention keeps of reference configurations [R, c, L] or [R, T]: a tensor a convolution."""
        record: list[Tensor] = []
        if self.shape.attended:
            self.body(self._join(part, self._trunk(part), references), part, record=record)
        return record

    def forward(self, part: Part, configs: Tensor, summaries: Sequence[Tensor] = ()) -> Tensor:
        """Return a part's sums [K, 1 + 3 * width] for configurations [K, c, L] (layouts of its nodes) or [K, T].

        They are sums over operations of their own scores, of their embeddings, of those of the configurable ones (tile
        programs: all), and of what is the same for all K. `summaries`: of the same part, from `summarise`.
        """
        trunk = self._trunk(part)
        x = torch.relu(self.body(self._join(part, trunk, configs), part, summaries=summaries))
        chosen = x if part.is_tile else x[part.configurable if self.shape.weighting else slice(None)]
        own = self.each(x).sum(dim=0)
        fixed = trunk.sum(dim=0).expand(x.shape[1], -1)
        return torch.cat((own, x.sum(dim=0), chosen.sum(dim=0), fixed.to(own.dtype)), dim=1)

    def score(self, sums: Tensor, *, nodes: int, configurable: int) -> Tensor:
        """Return scores [K], float32 or, of a float64 network, float64, from a program's sums.

        `nodes`, `configurable`: how many operations, and configurable ones, it has.
        """
        width = self.shape.width
        whole = sums if sums.dtype is torch.float64 else sums.float()
        own, every, chosen, fixed = torch.split(whole, [1, width, width, width], dim=1)
        count = nodes if self.widths.is_tile else configurable
        joined = count if self.shape.weighting is None else nodes
        pooled = torch.cat((every / joined, chosen / count, fixed / nodes), dim=1)
        scores: Tensor = own / joined**0.5 + self.whole(pooled)
        return scores.squeeze(1).to(whole.dtype)

    def _trunk(self, part: Part) -> Tensor:
        """Return [n, width]: operations before they have configurations."""
        scaled = ((part.nodes - self.shift) / self.scale).clamp(-LARGEST, LARGEST)
        trunk: Tensor = self.operation(torch.cat((scaled, self.opcode(part.opcodes)), dim=1))
        return trunk

    def _join(self, part: Part, trunk: Tensor, configs: Tensor) -> Tensor:
        """Return [n, K, width]; without edges [c, K, width], since no other operation depends on K."""
        count = configs.shape[0]
        encoded = self.configuration(configs)
        if part.is_tile:
            met = self.joined(self.meeting(trunk)[:, None] + encoded[None])
            return trunk[:, None] + met  # type: ignore[no-any-return]
        own = trunk[part.configurable]
        met = CONFIG_GAIN * self.joined(self.meeting(own)[:, None] + encoded.transpose(0, 1))
        if self.shape.weighting is None:
            return own[:, None] + met  # type: ignore[no-any-return]
        spread = trunk[:, None].expand(-1, count, -1).to(met.dtype)
        return spread.index_add(0, part.configurable, met)


class Convolutions(nn.Module):
    """A `ConvStack` as the body of a network."""

    def __init__(self, shape: ConvolutionShape) -> None:
        super().__init__()
        self.stack = ConvStack(
            StackConfig(
                in_dim=shape.width,
                hidden=shape.width,
                depth=shape.depth,
                conv=ConvKind(shape.conv),
                norm=Norm(shape.norm),
                dropout=shape.dropout,
                residual=shape.residual,
                attention=shape.attention,
                directed=shape.directed,
            )
        )

    def forward(
        self, x: Tensor, part: Part, *, summaries: Sequence[Tensor] = (), record: list[Tensor] | None = None
    ) -> Tensor:
        """Return float [n, K, width]; see `NetworkShape.body`."""
        return self.stack(x, part.adjacency, against=part.against, summaries=summaries, record=record)  # type: ignore[no-any-return]


class Perceptron(nn.Module):
    """Layers on each operation by itself."""

    def __init__(self, shape: ConvolutionShape) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(shape.depth):
            layers += [nn.ReLU(), nn.Dropout(shape.dropout), nn.Linear(shape.width, shape.width)]
        self.layers = nn.Sequential(*layers)

    def forward(
        self, x: Tensor, part: Part, *, summaries: Sequence[Tensor] = (), record: list[Tensor] | None = None
    ) -> Tensor:
        """Return float [c, K, width]; see `NetworkShape.body`."""
        return self.layers(x)  # type: ignore[no-any-return]
