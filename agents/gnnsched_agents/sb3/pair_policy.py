"""Policies for Stable-Baselines3 on the observation "pairs", of the networks in `gnnsched_agents.pair_modules`.

`networks.py` has their counterparts on the rows of `PairVecEnv`, which `gnnsched train` uses.
"""

from typing import Any

from torch import Tensor, nn

from gnnsched_agents.pair_modules import FEATURES, PooledCritic, PooledScorer, check_space, likeliest
from gnnsched_agents.sb3.networks import MaskedPairPolicy, PairQPolicy
from gnnsched_env.common.checks import declared
from gnnsched_env.scenario import EnvironmentOptions


class PairActorCriticPolicy(MaskedPairPolicy):
    """Actor-critic policy for MaskablePPO, PPO and A2C on environments with `observation="pairs"`.

    It masks illegal actions by the column `legal`, also where the algorithm gives no masks. With
    `predict(deterministic=True)` it waits where waiting is more probable than all jobs together, and starts the most
    probable job otherwise. `policy_kwargs` may set `width`, the units of each layer (with 32, the networks have some
    5,000 weights), and `waiting`, the environments' option, which a saved model tells to evaluations. Raise ConfigError
    if the observation space is another.
    """

    def __init__(
        self, *args: Any, width: int = 32, waiting: str = "free", use_sde: bool = False, **kwargs: Any
    ) -> None:
        # `use_sde`: PPO and A2C say False, and MaskablePPO does not know it
        self._own = width, check_waiting("PairActorCriticPolicy", waiting)
        super().__init__(*args, **kwargs)

    def _networks(self) -> tuple[nn.Module, nn.Module]:
        check_space("PairActorCriticPolicy", self.observation_space, self.action_space)
        return PooledScorer(*self._own), PooledCritic(len(FEATURES), self._own[0])

    def _predict(self, observation: Any, deterministic: bool = False, action_masks: Any = None) -> Tensor:
        distribution: Any = self.get_distribution(observation, action_masks)
        if deterministic:
            return likeliest(distribution.distribution.probs, observation)
        actions: Tensor = distribution.get_actions()
        return actions

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return own_parameters(super()._get_constructor_parameters(), *self._own)


class PairValuePolicy(PairQPolicy):
    """DQN's policy on environments with `observation="pairs"`; `policy_kwargs` are those of `PairActorCriticPolicy`.

    Give it to `PairDqn`, which explores legal actions only.
    """

    def __init__(self, *args: Any, width: int = 32, waiting: str = "free", **kwargs: Any) -> None:
        self._own = width, check_waiting("PairValuePolicy", waiting)
        super().__init__(*args, **kwargs)

    def _networks(self) -> tuple[nn.Module, nn.Module]:
        check_space("PairValuePolicy", self.observation_space, self.action_space)
        return PooledScorer(*self._own), PooledCritic(len(FEATURES), self._own[0])

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return own_parameters(super()._get_constructor_parameters(), *self._own)


def check_waiting(where: str, waiting: Any) -> str:
    """Return the environments' option `waiting`; raise ConfigError if it is none of its values."""
    value: str = declared(EnvironmentOptions)["waiting"].check(where, "waiting", waiting)
    return value


def own_parameters(known: dict[str, Any], width: int, waiting: str) -> dict[str, Any]:
    """Return the constructor's parameters of a policy here, given those of the class that it extends."""
    kept = {name: value for name, value in known.items() if name not in ("prior", "draw")}
    return {**kept, "width": width, "waiting": waiting}
