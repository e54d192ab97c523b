"""DQN of Stable-Baselines3 that takes legal actions only, and a replay buffer that discounts in time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import ReplayBuffer

from gnnsched_agents.sb3.networks import PairQPolicy
from gnnsched_agents.sb3.pair_env import masks_of
from gnnsched_env.common.checks import Integer, ListOf, Number
from gnnsched_env.common.errors import ConfigError


class PairDqn(DQN):
    """DQN whose exploration draws among the legal actions, lane by lane; its Q-network masks the rest.

    So no illegal action is ever sent, stored, or considered in a target. The exploration rate falls linearly over
    `exploring` decisions, across calls of `learn`, from the first value of `exploration` to the second. Raise
    ConfigError for a policy that does not read rows of features, and for the library's own exploration settings.
    """

    def __init__(
        self,
        policy: Any,
        *args: Any,
        exploration: tuple[float, float] = (0.1, 0.01),
        exploring: int = 500_000,
        **kwargs: Any,
    ) -> None:
        if not (isinstance(policy, type) and issubclass(policy, PairQPolicy)):
            raise ConfigError(
                "PairDqn: policy must be PairValuePolicy, on environments with observation='pairs', "
                f"got {getattr(policy, '__name__', repr(policy))}"
            )
        if given := [name for name in kwargs if name.startswith("exploration_")]:
            raise ConfigError(f"PairDqn: explores as exploration and exploring say, leave out {', '.join(given)}")
        self.exploration = ListOf(Number(least=0, most=1), 2).check("PairDqn", "exploration", exploration)
        self.exploring = Integer(1).check("PairDqn", "exploring", exploring)
        super().__init__(policy, *args, **kwargs)

    def predict(
        self,
        observation: Any,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Return the actions of largest Q-value; unless `deterministic`, explore legal ones at the present rate."""
        actions, state = self.policy.predict(observation, state, episode_start, deterministic=True)
        if not deterministic:
            masks = masks_of(np.asarray(observation))
            keys = np.where(masks, np.random.random_sample(masks.shape), -1.0)  # noqa: NPY002 (the library's own state)
            explores = np.random.random_sample(np.shape(actions)) < self.exploration_rate  # noqa: NPY002
            actions = np.where(explores, keys.argmax(axis=-1), actions)
        return actions, state

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the actions to take and the actions to store; also used before learning starts."""
        first, last = self.exploration
        self.exploration_rate = first + (last - first) * min(1.0, self.num_timesteps / self.exploring)
        actions, _ = self.predict(self._last_obs)
        return actions, actions


class TimedReplayBuffer(ReplayBuffer):
    """The library's replay buffer, changed so that the future is discounted in time, not in decisions.

    A transition is stored with a "done" of 1 - exp(-elapsed / tau), or 1 if the episode ended; "elapsed" comes from the
    infos, in tau's unit. `tau` is one number, or one for each lane. With gamma = 1, the future of a decision then
    counts exp(-elapsed / tau).
    """

    def __init__(self, *args: Any, tau: float | NDArray[np.float64], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tau = np.asarray(tau)

    def add(
        self,
        obs: NDArray[Any],
        next_obs: NDArray[Any],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a transition of each lane, replacing the oldest ones."""
        elapsed = np.array([info["elapsed"] for info in infos])
        ended = np.where(done, 1.0, -np.expm1(-elapsed / self.tau))
        super().add(obs, next_obs, action, reward, ended, infos)
