"""A step of policy iteration: less expected cost in labelled states, close to the policy that labelled them.

The policy is a softmax over a state's tried rows. Descending its expected cost is the policy gradient with the costs of
all actions known (Sutton et al. 2000); the penalty on the divergence from the policy before keeps it where its labels
are right, as in trust-region methods (Schulman et al. 2015). The softmax is sharp, since what plays takes the best row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from gnnsched_agents.methods.lookahead_labels import Labels, rows_of
from gnnsched_agents.torch_network import Packing, PairNetwork
from gnnsched_baselines.learned.pair_features import FEATURES
from gnnsched_baselines.learned.pair_network import BY_FEATURE, Network
from gnnsched_env.common.policy import BoolArray, FloatArray, IntArray
from gnnsched_env.nn.schedule import rate_share, set_rate

LEAST_NOISE = 0.5  # mean charges of a job, added to the noise of a world's labels: its inverse is their weight
MOST_GRADIENT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ties:
    """Labelled states as they are learned: `rows` and `starts` as in Labels.

    `losses` float32 [n]: costs over what a job costs in that world on average; 0 where not tried. `tried` bool [n].
    `weights` float32 [S].
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
    scale = float(labels.charges.mean()) if len(labels) else 0.0
    scale = scale if scale > 0.0 else 1.0
    tried = np.isfinite(labels.costs)
    noise = float(np.sqrt(np.mean(labels.errors[tried].astype(float) ** 2))) / scale if tried.any() else 0.0
    losses = np.where(tried, labels.costs / scale, 0.0).astype(np.float32)
    weights = np.full(len(labels), 1.0 / (LEAST_NOISE + noise), np.float32)
    return Ties(rows=labels.rows, starts=labels.starts, losses=losses, tried=tried, weights=weights)


def improve(
    network: Network,
    ties: Ties,
    rng: np.random.Generator,
    *,
    passes: int,
    batch: int,
    learning_rate: float,
    sharpness: float,
    trust: float,
    features: Sequence[str] = (),
) -> tuple[Network, dict[str, float]]:
    """Return the network after some passes of Adam over the states, and figures of the last pass, before each step.

    Scores times `sharpness` are the softmax's logits; `trust` is the weight of the divergence from the network given.
    Of the weights, those that read `features` are learned; with none, all are.
    """
    module = PairNetwork(network)
    if features:
        _learn_only(module, features)
    before = network.scores(ties.rows, ties.starts)[ties.tried] * np.float32(sharpness)
    optimizer = torch.optim.Adam(module.parameters(), lr=learning_rate)
    steps, step = passes * -(-len(ties) // batch), 0
    figures = {"gain": 0.0, "kl": 0.0}
    for _ in range(passes):
        figures = {"gain": 0.0, "kl": 0.0}
        for states in _batches(ties, before, rng.permutation(len(ties)), batch):
            set_rate(optimizer, learning_rate * rate_share((step + 0.5) / steps))
            logs = states.choices.log_softmax(module(states.rows, states.packing)[states.tried] * sharpness)
            olds = states.choices.log_softmax(states.before)
            expected = states.choices.sum(logs.exp() * states.losses)
            divergence = states.choices.sum(olds.exp() * (olds - logs))
            optimizer.zero_grad()
            torch.autograd.backward((states.weights * expected).mean() + trust * divergence.mean())
            torch.nn.utils.clip_grad_norm_(module.parameters(), MOST_GRADIENT)
            optimizer.step()
            gained = states.choices.sum(olds.exp() * states.losses) - expected.detach()
            figures["gain"] += float(gained.sum()) / len(ties)
            figures["kl"] += float(divergence.detach().sum()) / len(ties)
            step += 1
    return module.network(), figures


def _learn_only(module: PairNetwork, features: Sequence[str]) -> None:
    """Let all weights but those that read the features have gradients of 0."""
    columns = [FEATURES.index(name) for name in features]
    for name, parameter in module.named_parameters():
        mask = torch.zeros_like(parameter)
        if name in BY_FEATURE:
            mask[columns] = 1.0
        cast(Any, parameter).register_hook(mask.mul)  # a method without types


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Batch:
    """Some states: all their `rows` [n, F] by `packing`, of which those `tried` [n] are packed by `choices`.

    `losses` and scores `before` [m] are of the m tried rows, `weights` [S] of the states.
    """

    rows: Tensor
    packing: Packing
    tried: Tensor
    choices: Packing
    losses: Tensor
    before: Tensor
    weights: Tensor


def _batches(ties: Ties, before: FloatArray, order: IntArray, size: int) -> Iterator[_Batch]:
    """Yield the states in an order, `size` at a time; `before` float32 are the scores of all tried rows."""
    sizes, tried_before = np.diff(ties.starts), np.concatenate([[0], np.cumsum(ties.tried)])
    for first in range(0, len(order), size):
        part = order[first : first + size]
        places = rows_of(ties.starts, part)
        tried = ties.tried[places]
        chosen = places[tried]
        counts = tried_before[ties.starts[part + 1]] - tried_before[ties.starts[part]]
        yield _Batch(
            rows=torch.from_numpy(ties.rows[places]),
            packing=Packing.of(torch.from_numpy(sizes[part])),
            tried=torch.from_numpy(tried),
            choices=Packing.of(torch.from_numpy(counts)),
            losses=torch.from_numpy(ties.losses[chosen]),
            before=torch.from_numpy(before[tried_before[chosen]]),
            weights=torch.from_numpy(ties.weights[part]),
        )
