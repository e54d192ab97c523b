"""The decisions that a policy has played in many lanes: packed rows, batches of them, and their advantages."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gnnsched_agents.torch_network import Packing
from gnnsched_env.common.policy import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PlayedDecisions:
    """The decisions of one update: N = T x L, ordered by step and then by lane, with n rows in all."""

    rows: Tensor  # float32 [n, F]
    starts: Tensor  # int64 [N + 1]: rows of decision i from starts[i] on
    chosen: Tensor  # int64 [N]: which of its rows each decision took, from 0
    log_probabilities: Tensor  # float32 [N]: log-probabilities of the chosen rows
    views: Tensor  # float32 [N, D]: inputs of the critic
    advantages: Tensor  # float32 [N], in the unit of the rewards
    returns: Tensor  # float32 [N]

    def __len__(self) -> int:
        return len(self.chosen)

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor, Packing]]:
        """Yield all decisions in random order, `size` at a time: their numbers [B], their rows' numbers, packing."""
        sizes = self.starts.diff()
        order = torch.from_numpy(rng.permutation(len(self))).to(self.starts.device)
        for part in torch.split(order, size):
            packing = Packing.of(sizes[part])
            ends = packing.sizes.cumsum(0)
            shift = self.starts[part] - (ends - packing.sizes)
            yield part, torch.arange(int(ends[-1]), device=part.device) + packing.spread(shift), packing


def gae(
    rewards: FloatArray, discounts: FloatArray, values: FloatArray, last_values: FloatArray, decay: float
) -> FloatArray:
    """Return advantages float32 [T, L] by generalised advantage estimation.

    `rewards` [T, L] of each decision, `discounts` [T, L] of what follows it (0 where the episode ended), `values`
    [T, L] of the states decided in, `last_values` [L] of those after the last decision; `decay` is lambda.
    """
    advantages = np.empty_like(rewards)
    following, behind = last_values, np.zeros_like(last_values)
    for t in reversed(range(len(rewards))):
        behind = rewards[t] + discounts[t] * (following + decay * behind) - values[t]
        advantages[t] = behind
        following = values[t]
    return advantages


def normalised(advantages: FloatArray, worlds: int, most: float) -> FloatArray:
    """Return advantages [T, L] of mean 0 and deviation 1 in each world (equal parts of L), clipped at `most`."""
    parts = advantages.reshape(len(advantages), worlds, -1)
    scaled = (parts - parts.mean(axis=(0, 2), keepdims=True)) / (parts.std(axis=(0, 2), keepdims=True) + 1e-8)
    result: FloatArray = scaled.clip(-most, most).reshape(advantages.shape)
    return result
