"""Policies for Stable-Baselines3 on the observation "pairs", of the networks in `gnnsched_agents.pair_modules`.

`networks.py` has their counterparts on the rows of `PairVecEnv`, which `gnnsched train` uses.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from gnnsched_agents.pair_modules import FEATURES, PooledCritic, PooledScorer, check_space, likeliest
from gnnsched_agents.sb3.networks import MaskedPairPolicy, PairQPolicy
from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError


class PairActorCriticPolicy(MaskedPairPolicy):
    """Actor-critic policy for MaskablePPO, PPO and A2C on environments with `observation="pairs"`.

    It masks illegal actions by the column `legal`, also where the algorithm gives no masks. With
    `predict(deterministic=True)` it waits where waiting is more probable than all jobs together, and starts the most
    probable job otherwise. `policy_kwargs` may set `width`, the units of each layer: with 32, the networks have some
    5,000 weights. A model knows the environments' `waiting`, and evaluations play it under that. Raise ConfigError if
    the observation space is another.
    """

    def __init__(self, *args: Any, width: int = 32, use_sde: bool = False, **kwargs: Any) -> None:
        # `use_sde`: PPO and A2C say False, and MaskablePPO does not know it
        self._width = check_width("PairActorCriticPolicy", width, kwargs)
        super().__init__(*args, **kwargs)

    def _networks(self) -> tuple[nn.Module, nn.Module]:
        waiting = check_space("PairActorCriticPolicy", self.observation_space, self.action_space)
        return PooledScorer(self._width, waiting), PooledCritic(len(FEATURES), self._width)

    def _predict(self, observation: Any, deterministic: bool = False, action_masks: Any = None) -> Tensor:
        distribution: Any = self.get_distribution(observation, action_masks)
        if deterministic:
            return likeliest(distribution.distribution.probs, observation)
        actions: Tensor = distribution.get_actions()
        return actions

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return own_parameters(super()._get_constructor_parameters(), self._width)


class PairValuePolicy(PairQPolicy):
    """DQN's policy on environments with `observation="pairs"`; `policy_kwargs` are those of `PairActorCriticPolicy`.

    Give it to `PairDqn`, which explores legal actions only.
    """

    def __init__(self, *args: Any, width: int = 32, **kwargs: Any) -> None:
        self._width = check_width("PairValuePolicy", width, kwargs)
        super().__init__(*args, **kwargs)

    def _networks(self) -> tuple[nn.Module, nn.Module]:
        waiting = check_space("PairValuePolicy", self.observation_space, self.action_space)
        return PooledScorer(self._width, waiting), PooledCritic(len(FEATURES), self._width)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return own_parameters(super()._get_constructor_parameters(), self._width)


def check_width(where: str, width: Any, others: Mapping[str, Any]) -> int:
    """Return the units of each layer; raise ConfigError unless it is an integer of at least 1.

    `net_arch` among the other arguments is refused too, unless it is empty as in a saved model: it would be ignored.
    """
    if others.get("net_arch"):
        raise ConfigError(f"{where}: net_arch must be left out, as width sets its layers, got {others['net_arch']!r}")
    value: int = Integer(1).check(where, "width", width)
    return value


def own_parameters(known: dict[str, Any], width: int) -> dict[str, Any]:
    """Return the constructor's parameters of a policy here, given those of the class that it extends."""
    kept = {name: value for name, value in known.items() if name not in ("prior", "draw")}
    return {**kept, "width": width}
