"""The gradient of PPO's objective in the weights of the pair network, over the rows of many decisions.

What torch's autograd does in some twenty passes over all rows is done here in five matrix products, which torch
computes, and three compiled passes between them. `tests/agents/test_ppo.py` compares both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnsched_agents.methods.ppo_kernels import descend, gather, objective, rectify
from gnnsched_baselines.learned.pair_features import NUM_FEATURES
from gnnsched_env.common.policy import FloatArray, IntArray

FIGURES = ("kl", "clipped", "gain", "entropy")  # sums over decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """B decisions of one world, which are some of its N: their numbers `part` int64 [B], and what all N were.

    `rows` float32 [n, F], decision i's from `starts`[i] on; `chosen` int64, `logs` and `advantages` float32, all [N].
    """

    rows: FloatArray
    starts: IntArray
    part: IntArray
    chosen: IntArray
    logs: FloatArray
    advantages: FloatArray


class PairGradient:
    """Computes gradients for batches of decisions of some worlds; keeps the arrays that it works in."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.inputs = torch.empty((0, NUM_FEATURES))
        self.hidden, self.second, self.below, self.mean, self.shared = (torch.empty((0, width)) for _ in range(5))
        self.scores = np.empty(0)

    def __call__(
        self, decisions: Sequence[Decisions], weights: tuple[Tensor, ...], clip: float, entropy: float, share: float
    ) -> tuple[tuple[Tensor, ...], NDArray[np.float64]]:
        """Return the gradient of the loss, float32 in the order and shapes of the weights, and sums of FIGURES.

        The loss is `share` times the sum over the decisions of -clipped gain - `entropy` x entropy. The figures are
        float64 [4].
        """
        w1, b1, w2, u2, b2, w3, skip = weights
        sizes = [own.starts[own.part + 1] - own.starts[own.part] for own in decisions]
        first = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
        lanes, count = len(first) - 1, int(first[-1])
        self._room(count, lanes)
        inputs, hidden, second = self.inputs[:count], self.hidden[:count], self.second[:count]
        mean, shared = self.mean[:lanes], self.shared[:lanes]
        begin = 0
        for own in decisions:
            gather(own.rows, own.starts, own.part, first[begin : begin + len(own.part) + 1], inputs.numpy())
            begin += len(own.part)
        chosen, old_logs, advantages = (
            np.concatenate([getattr(own, name)[own.part] for own in decisions])
            for name in ("chosen", "logs", "advantages")
        )
        torch.addmm(b1, inputs, w1, out=hidden)
        rectify(hidden.numpy(), first, mean.numpy())
        torch.addmm(b2, mean, u2, out=shared)
        torch.mm(hidden, w2, out=second)
        last, straight = np.zeros(self.width, np.float32), np.zeros(NUM_FEATURES, np.float32)
        figures = np.zeros(len(FIGURES))
        objective(
            inputs.numpy(), second.numpy(), shared.numpy(), first, chosen, old_logs, advantages,
            w3.numpy(), skip.numpy(), clip, entropy, share, self.scores, last, straight, figures,
        )  # fmt: skip
        of_w2, of_u2, of_b2 = hidden.T @ second, mean.T @ shared, shared.sum(0)
        torch.mm(shared, u2.T, out=mean)
        below = self.below[:count]
        torch.mm(second, w2.T, out=below)
        of_b1 = np.zeros(self.width, np.float32)
        descend(below.numpy(), hidden.numpy(), mean.numpy(), first, of_b1)
        of_w1 = inputs.T @ below
        gradients = (
            of_w1, torch.from_numpy(of_b1), of_w2, of_u2, of_b2, torch.from_numpy(last), torch.from_numpy(straight)
        )  # fmt: skip
        return gradients, figures

    def _room(self, rows: int, lanes: int) -> None:
        """Make room for so many rows and lanes."""
        if rows > len(self.inputs):
            more = rows + rows // 4
            self.inputs = torch.empty((more, NUM_FEATURES))
            self.hidden, self.second, self.below = (torch.empty((more, self.width)) for _ in range(3))
            self.scores = np.empty(more)
        if lanes > len(self.mean):
            self.mean, self.shared = (torch.empty((lanes, self.width)) for _ in range(2))
