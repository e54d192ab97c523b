"""A step of policy iteration: less expected cost in labelled states, close to the policy that labelled them.

The policy is a softmax over a state's tried rows. Descending its expected cost is the policy gradient with the costs of
all actions known (Sutton et al. 2000); the penalty on the divergence from the policy before keeps it where its labels
are right, as in trust-region methods (Schulman et al. 2015). The softmax is sharp, since what plays takes the best row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gnnsched_agents.methods.lookahead_labels import Labels
from gnnsched_agents.torch_network import Packing, PairNetwork
from gnnsched_baselines.learned.pair_network import Network
from gnnsched_env.common.policy import BoolArray, FloatArray, IntArray

LEAST_NOISE = 0.5  # mean completions, added to the noise of a world's labels: its inverse is their weight
MOST_GRADIENT = 1.0
FAR = -30.0  # the score of rows that were not tried


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ties:
    """Labelled states as they are learned: `rows` and `starts` as in Labels.

    `losses` float32 [n]: costs over the world's mean completion; 0 where not tried. `tried` bool [n]. `weights` float32
    [S].
    """

    rows: FloatArray
    starts: IntArray
    losses: FloatArray
    tried: BoolArray
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.weights)


def ties_of(labels: Labels) -> Ties:
    """Return a world's labels as they are learned."""
    scale = float(labels.completions.mean()) if len(labels) else 1.0
    tried = np.isfinite(labels.costs)
    noise = float(np.sqrt(np.mean(labels.errors[tried].astype(float) ** 2))) / scale if tried.any() else 0.0
    losses = np.where(tried, labels.costs / scale, 0.0).astype(np.float32)
    weights = np.full(len(labels), 1.0 / (LEAST_NOISE + noise), np.float32)
    return Ties(rows=labels.rows, starts=labels.starts, losses=losses, tried=tried, weights=weights)


def improve(
    network: Network, ties: Ties, rng: np.random.Generator, *, passes: int, batch: int, learning_rate: float,
    sharpness: float, trust: float,
) -> tuple[Network, dict[str, float]]:  # fmt: skip
    """Return the network after some passes of Adam over the states, and figures of the last pass.

    Scores times `sharpness` are the softmax's logits; `trust` is the weight of the divergence from the network given.
    """
    module = PairNetwork(network)
    before = network.scores(ties.rows, ties.starts) * sharpness
    optimizer = torch.optim.Adam(module.parameters(), lr=learning_rate)
    steps = passes * -(-len(ties) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    figures = {"gain": 0.0, "kl": 0.0}
    for _ in range(passes):
        figures = {"gain": 0.0, "kl": 0.0}
        for rows, losses, tried, old, weights, packing in _batches(ties, before, rng.permutation(len(ties)), batch):
            far = torch.full_like(old, FAR)
            logs = packing.log_softmax(torch.where(tried, module(rows, packing) * sharpness, far))
            olds = packing.log_softmax(torch.where(tried, old, far))
            expected = packing.sum(logs.exp() * losses)
            divergence = packing.sum(torch.where(tried, olds.exp() * (olds - logs), torch.zeros_like(logs)))
            optimizer.zero_grad()
            torch.autograd.backward((weights * expected).mean() + trust * divergence.mean())
            torch.nn.utils.clip_grad_norm_(module.parameters(), MOST_GRADIENT)
            optimizer.step()
            schedule.step()
            gained = packing.sum(olds.exp() * losses) - expected.detach()
            figures["gain"] += float(gained.sum()) / len(ties)
            figures["kl"] += float(divergence.detach().sum()) / len(ties)
    return module.network(), figures


def _batches(
    ties: Ties, before: FloatArray, order: IntArray, size: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Packing]]:
    """Yield rows, losses, what was tried, scores before, weights and packing of `size` states at a time."""
    sizes = np.diff(ties.starts)
    for first in range(0, len(order), size):
        part = order[first : first + size]
        ends = np.cumsum(sizes[part])
        places = np.arange(ends[-1]) + np.repeat(ties.starts[part] - (ends - sizes[part]), sizes[part])
        arrays = (ties.rows[places], ties.losses[places], ties.tried[places], before[places], ties.weights[part])
        rows, losses, tried, old, weights = (torch.from_numpy(array) for array in arrays)
        yield rows, losses, tried, old, weights, Packing.of(torch.from_numpy(sizes[part]))
