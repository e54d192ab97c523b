"""A policy for Stable-Baselines3 on the observation "pairs": one small scorer, shared by the rows of all actions.

It is indifferent to the order of the jobs, and its size depends neither on the window nor on the number of
accelerators. `networks.py` has its counterparts on the rows of `PairVecEnv`, which `gnnsched train` uses.
"""

from typing import Any, cast

from gymnasium import spaces
from torch import Tensor, nn

from gnnsched_agents.sb3.networks import MaskedPairPolicy, PooledCritic
from gnnsched_agents.torch_network import Packing
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.envs import PAIR_FIELDS


class PooledScorer(nn.Module):
    """Scores of rows: a layer on each row, a second one on that and on the mean over the lane's rows (initially 0)."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.row = nn.Linear(features, width)
        self.second = nn.Linear(width, width)
        self.pooled = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, rows: Tensor, packing: Packing) -> Tensor:
        """Return [n]: the score of each of rows [n, features]."""
        hidden = self.row(rows).relu()
        second = self.second(hidden) + packing.spread(self.pooled(packing.mean(hidden)))
        return cast(Tensor, self.score(second.relu()).squeeze(-1))


class PairActorCriticPolicy(MaskedPairPolicy):
    """Actor-critic policy for MaskablePPO, PPO and A2C on environments with `observation="pairs"`.

    It masks illegal actions by the column `legal`, also where the algorithm gives no masks. `policy_kwargs` may set
    `width`, the units of each layer: with 32, the networks have some 5,000 weights. Raise ConfigError if the
    observation space is another.
    """

    def __init__(self, *args: Any, width: int = 32, use_sde: bool = False, **kwargs: Any) -> None:
        # `use_sde`: PPO and A2C say False, and MaskablePPO does not know it
        super().__init__(*args, width=width, **kwargs)

    def _networks(self) -> tuple[nn.Module, nn.Module]:
        shape = self.observation_space.shape or ()
        actions = int(cast(spaces.Discrete, self.action_space).n)
        if shape != (actions, len(PAIR_FIELDS)):
            raise ConfigError(
                f"PairActorCriticPolicy: the observation must be 'pairs', of shape {(actions, len(PAIR_FIELDS))}, "
                f"got {self.observation_space}: make the environment with observation='pairs'"
            )
        features, width = shape[1] - 1, self._shape[0]
        return PooledScorer(features, width), PooledCritic(features, width)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        known = super()._get_constructor_parameters()
        return {name: value for name, value in known.items() if name not in ("prior", "draw")}
