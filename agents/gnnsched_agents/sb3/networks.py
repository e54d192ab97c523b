"""Policies of Stable-Baselines3 whose scorer is the shared pair network, on the rows of `gnnsched_agents.sb3.pair_env`.

The last column of a row shows whether its action is legal, so algorithms without masks mask too: an illegal action's
logit or Q-value is `pair_modules.ILLEGAL`. Only the legal rows, a small part of all, go through the networks.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.distributions import MaskableDistribution
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn

from gnnsched_agents.pair_modules import LegalRows, PooledCritic
from gnnsched_agents.torch_network import PairNetwork
from gnnsched_baselines.learned.pair_network import initial_network


class _Scored:
    """Base of the two actor-critic policies; `policy_kwargs` set the parameters `width`, `prior` and `draw`."""

    observation_space: spaces.Space[Any]
    action_dist: Any
    optimizer_class: Any
    optimizer_kwargs: dict[str, Any]

    def __init__(self, *args: Any, width: int = 32, prior: float = 2.0, draw: int = 0, **kwargs: Any) -> None:
        self._shape = (width, prior, draw)
        kwargs.update(net_arch=[], ortho_init=False)
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        """Build the scorer, the critic and their optimiser."""
        self.scorer, self.critic = self._networks()
        parameters = [*self.scorer.parameters(), *self.critic.parameters()]
        self.optimizer = self.optimizer_class(parameters, lr=lr_schedule(1), **self.optimizer_kwargs)

    def _networks(self) -> tuple[nn.Module, nn.Module]:
        """Return the scorer (rows, packing -> [n]) and the critic (`LegalRows` -> [L])."""
        return make_networks(self.observation_space, *self._shape)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        width, prior, draw = self._shape
        known = super()._get_constructor_parameters()  # type: ignore[misc]
        return {**known, "width": width, "prior": prior, "draw": draw}

    def predict_values(self, obs: Any) -> Tensor:
        """Return [L, 1]: the values of the lanes."""
        return cast(Tensor, self.critic(LegalRows(obs)).unsqueeze(-1))

    def _distribution(self, legal: LegalRows, masks: Any = None) -> Any:
        """Return the distribution over actions; `masks` [L, actions], if given, are applied too."""
        logits = legal.unpacked(self.scorer(legal.rows, legal.packing))
        distribution = self.action_dist.proba_distribution(action_logits=logits)
        if masks is not None:
            distribution.apply_masking(masks)
        return distribution


class MaskedPairPolicy(_Scored, MaskableActorCriticPolicy):
    """MaskablePPO's policy; the masks that it is given equal those shown in the rows."""

    def forward(
        self, obs: Tensor, deterministic: bool = False, action_masks: Any = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions int64 [L], values [L, 1] and log-probabilities [L]."""
        legal = LegalRows(obs)
        distribution = self._distribution(legal, action_masks)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, self.critic(legal).unsqueeze(-1), distribution.log_prob(actions)

    def evaluate_actions(
        self, obs: Tensor, actions: Tensor, action_masks: Any = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values [L, 1], log-probabilities [L] of the actions and entropies [L]."""
        legal = LegalRows(obs)
        distribution = self._distribution(legal, legal.legal if action_masks is None else action_masks)
        return self.critic(legal).unsqueeze(-1), distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: Any, action_masks: Any = None) -> MaskableDistribution:
        """Return the distribution over actions."""
        return cast(MaskableDistribution, self._distribution(LegalRows(obs), action_masks))


class PairPolicy(_Scored, ActorCriticPolicy):
    """A2C's policy, which is given no masks and reads them from the rows."""

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions int64 [L], values [L, 1] and log-probabilities [L]."""
        legal = LegalRows(obs)
        distribution = self._distribution(legal)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, self.critic(legal).unsqueeze(-1), distribution.log_prob(actions)

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values [L, 1], log-probabilities [L] of the actions and entropies [L]."""
        legal = LegalRows(obs)
        distribution = self._distribution(legal)
        return self.critic(legal).unsqueeze(-1), distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: Any) -> Distribution:
        """Return the distribution over actions."""
        return cast(Distribution, self._distribution(LegalRows(obs)))


class PairQNetwork(QNetwork):
    """Q-values: the critic's value of the lane plus the row's score minus the mean score; ILLEGAL for illegal actions.

    The mean is subtracted so that the critic learns the part that all actions of a lane share (dueling networks; Wang
    et al. 2016). Otherwise only the actions that are often taken would learn it, and the others would look better.
    """

    def __init__(self, *args: Any, networks: Callable[[], tuple[nn.Module, nn.Module]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.q_net = nn.Sequential()  # the two below take its place
        self.scorer, self.critic = networks()

    def forward(self, obs: Any) -> Tensor:
        """Return the Q-values [L, actions]."""
        legal = LegalRows(obs)
        scores = self.scorer(legal.rows, legal.packing)
        shared = self.critic(legal)[legal.alive] - legal.packing.mean(scores)
        return legal.unpacked(scores + legal.packing.spread(shared))


class PairQPolicy(DQNPolicy):
    """DQN's policy: a Q-network and its target."""

    def __init__(self, *args: Any, width: int = 32, prior: float = 0.5, draw: int = 0, **kwargs: Any) -> None:
        self._shape: dict[str, Any] = {"width": width, "prior": prior, "draw": draw}
        super().__init__(*args, **{**kwargs, "net_arch": []})

    def make_q_net(self) -> QNetwork:
        """Return a Q-network."""
        arguments = self._update_features_extractor(self.net_args, features_extractor=None)
        return PairQNetwork(**arguments, networks=self._networks).to(self.device)

    def _networks(self) -> tuple[nn.Module, nn.Module]:
        """Return the scorer (rows, packing -> [n]) and the critic (`LegalRows` -> [L])."""
        return make_networks(self.observation_space, **self._shape)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), **self._shape}


def make_networks(space: spaces.Space[Any], width: int, prior: float, draw: int) -> tuple[PairNetwork, PooledCritic]:
    """Return the scorer, which gives `assignment`'s action a bonus of `prior`, and the critic, with seed `draw`."""
    scorer = PairNetwork(initial_network(width, np.random.default_rng(draw), prior=prior))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw)
        critic = PooledCritic((space.shape or ())[-1] - 1, width)
    return scorer, critic
