"""The network of a trained policy in torch, the critic that trains it, and softmax, entropy and draws over packed rows.

Rows of features are packed lane by lane; `owners` int64 [n] is each row's lane, 0 to L - 1, in ascending order. Every
lane has at least one row.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from gnnsched_baselines.learned.pair_network import Network
from gnnsched_env.common.errors import ConfigError


@dataclass(frozen=True, slots=True, eq=False)
class Packing:
    """The assignment of rows to `lanes` lanes: `owners` int64 [n], and `sizes` int64 [L], the rows of each lane."""

    owners: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, sizes: Tensor) -> "Packing":
        """Return the packing for lanes with the given numbers of rows, int64 [L], each at least 1."""
        if len(sizes) and int(sizes.min()) < 1:
            raise ConfigError(f"packing: every lane must have a row at least, got {int(sizes.min())}")
        return cls(torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes), sizes)

    @property
    def lanes(self) -> int:
        """Return the number of lanes."""
        return len(self.sizes)

    def sum(self, values: Tensor) -> Tensor:
        """Return [L, ...]: the sums of values [n, ...] over each lane's rows."""
        return values.new_zeros((self.lanes, *values.shape[1:])).index_add(0, self.owners, values)

    def mean(self, values: Tensor) -> Tensor:
        """Return [L, ...]: the means of values [n, ...] over each lane's rows."""
        sizes = self.sizes.to(values.dtype)
        return self.sum(values) / sizes.reshape(-1, *(1 for _ in values.shape[1:]))

    def max(self, values: Tensor) -> Tensor:
        """Return [L]: the largest of values [n] of each lane; no gradient flows through it."""
        lowest = values.new_full((self.lanes,), -torch.inf)
        return lowest.scatter_reduce(0, self.owners, values.detach(), "amax")

    def spread(self, values: Tensor) -> Tensor:
        """Return [n, ...]: for each row, its lane's entry of values [L, ...]."""
        return values.index_select(0, self.owners)

    def log_softmax(self, scores: Tensor) -> Tensor:
        """Return [n]: log-probabilities, a softmax over each lane's rows of scores [n]."""
        shifted = scores - self.spread(self.max(scores))
        return shifted - self.spread(self.sum(shifted.exp()).log())

    def entropy(self, log_probabilities: Tensor) -> Tensor:
        """Return [L]: the entropy of each lane's distribution, in nats."""
        return -self.sum(log_probabilities.exp() * log_probabilities)

    def argmax(self, values: Tensor) -> Tensor:
        """Return int64 [L]: the row of each lane's largest value; ties take the first."""
        rows = torch.arange(len(values), device=values.device)
        best = values.detach() >= self.spread(self.max(values))
        beyond = torch.full((self.lanes,), len(values), dtype=torch.int64, device=values.device)
        return beyond.scatter_reduce(0, self.owners[best], rows[best], "amin")

    def sample(self, scores: Tensor, exponentials: Tensor) -> Tensor:
        """Return int64 [L]: a row of each lane drawn by the softmax of scores [n].

        `exponentials` [n] are standard exponential draws; divided by exp(score), the smallest wins (the Gumbel-max
        trick).
        """
        return self.argmax(scores.detach() - exponentials.clamp_min(1e-30).log())


class PairNetwork(nn.Module):
    """`pair_network.Network` with gradients: parameters have its names and shapes."""

    w1: nn.Parameter
    b1: nn.Parameter
    w2: nn.Parameter
    u2: nn.Parameter
    b2: nn.Parameter
    w3: nn.Parameter
    skip: nn.Parameter

    def __init__(self, network: Network) -> None:
        super().__init__()
        for name in Network.__dataclass_fields__:
            self.register_parameter(name, nn.Parameter(torch.from_numpy(getattr(network, name).copy())))

    def network(self) -> Network:
        """Return the present weights."""
        return Network(**{name: value.detach().cpu().numpy().copy() for name, value in self.named_parameters()})

    def forward(self, rows: Tensor, packing: Packing) -> Tensor:
        """Return float32 [n]: the score of each of rows float32 [n, F]."""
        hidden = torch.addmm(self.b1, rows, self.w1).relu()
        pooled = torch.addmm(self.b2, packing.mean(hidden), self.u2)
        second = (hidden @ self.w2 + packing.spread(pooled)).relu()
        return second @ self.w3 + rows @ self.skip


class Critic(nn.Module):
    """The value of a state from a vector of features, in units of the `mean` and `deviation` of past returns.

    Two hidden layers; drawn from `rng` (He et al. 2015), the last one zero.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: int, width: int, rng: np.random.Generator) -> None:
        super().__init__()
        sizes = (features, width, width)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [_drawn(nn.Linear(inputs, outputs), rng), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.zeros(()))  # 0: nothing seen yet

    def forward(self, features: Tensor) -> Tensor:
        """Return [L]: standardised values of features [L, D]."""
        standardised: Tensor = self.head(self.body(features)).squeeze(-1)
        return standardised

    def values(self, features: Tensor) -> Tensor:
        """Return [L]: values in the unit of the rewards."""
        values: Tensor = self.mean + self.deviation * self(features)
        return values

    def standardised(self, returns: Tensor) -> Tensor:
        """Convert returns to the scale of `forward`."""
        return (returns - self.mean) / self.deviation

    @torch.no_grad()
    def track(self, returns: Tensor, rate: float) -> None:
        """Move the scale towards that of these returns by `rate` (the first returns set it), without changing values.

        The last layer is adjusted so that the values stay the same (PopArt; van Hasselt et al. 2016).
        """
        first = float(self.deviation) == 0.0
        rate = 1.0 if first else rate
        square = (1.0 - rate) * (self.deviation**2 + self.mean**2) + rate * returns.square().mean()
        mean = (1.0 - rate) * self.mean + rate * returns.mean()
        deviation = (square - mean**2).clamp_min(1e-6).sqrt()
        if not first:
            self.head.weight.mul_(self.deviation / deviation)
            self.head.bias.copy_((self.deviation * self.head.bias + self.mean - mean) / deviation)
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)


def _drawn(layer: nn.Linear, rng: np.random.Generator) -> nn.Linear:
    """Return the layer with weights drawn from `rng`, biases 0."""
    drawn = rng.normal(0.0, np.sqrt(2.0 / layer.in_features), tuple(layer.weight.shape))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(drawn))
        layer.bias.zero_()
    return layer
