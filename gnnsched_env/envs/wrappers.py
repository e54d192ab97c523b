"""Wrappers that put action masks inside observations, under the names that RLlib and Tianshou look for.

Use these only with libraries that find the mask nowhere else: a network reads a mask inside the observation as one more
input, unless it is set to ignore it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gnnsched_env.common.checks import OneOf
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import BoolArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """A library's names for observation and mask, and the space in which it expects the mask of n actions."""

    observation: str
    mask: str
    mask_space: Callable[[int], spaces.Space[Any]]


LIBRARIES = {
    "rllib": Keys(
        observation="observations", mask="action_mask", mask_space=lambda actions: spaces.Box(0.0, 1.0, (actions,))
    ),
    "tianshou": Keys(observation="obs", mask="mask", mask_space=lambda actions: spaces.Box(0, 1, (actions,), np.bool_)),
}


class MaskedObservation(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """A single environment whose observation is a dict of the original observation and the action mask.

    `library` is "rllib" ("observations", "action_mask": float32, 1 where legal) or "tianshou" ("obs", "mask": bool).
    `flat` joins the arrays of the observation, or its rows, into one float32 [n], in the order of its space.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], library: str, *, flat: bool = True) -> None:
        RecordConstructorArgs.__init__(self, library=library, flat=flat)
        gymnasium.Wrapper.__init__(self, env)
        self._join = _Join(env.observation_space, env.action_space, library, flat)
        self.observation_space = self._join.space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._join(observation, info["action_mask"]), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take an action."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._join(observation, info["action_mask"]), reward, terminated, truncated, info

    def action_masks(self) -> BoolArray:
        """Return bool [actions]: True where an action is legal."""
        mask: BoolArray = self.env.get_wrapper_attr("action_masks")()
        return mask


class MaskedVectorObservation(VectorWrapper):  # type: ignore[type-arg]  # generic since gymnasium 1.4 only
    """A batch whose observations are dicts of the original observations and the action masks, as `MaskedObservation`.

    Under SAME_STEP the last observations ("final_obs") are such dicts too.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], library: str, *, flat: bool = True) -> None:
        super().__init__(env)
        self._join = _Join(env.single_observation_space, env.single_action_space, library, flat)
        self.single_observation_space = self._join.space
        self.observation_space = batch_space(self._join.space, env.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode in each lane, or only in those that the reset mask selects."""
        observation, infos = self.env.reset(seed=seed, options=options)
        return self._join(observation, infos["action_mask"]), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Take one action per lane."""
        observation, rewards, terminated, truncated, infos = self.env.step(actions)
        if "final_obs" in infos:
            last, masks = infos["final_obs"], infos["final_info"]["action_mask"]
            for lane in np.flatnonzero(infos["_final_obs"]):
                last[lane] = self._join(last[lane], masks[lane])
        return self._join(observation, infos["action_mask"]), rewards, terminated, truncated, infos


class _Join:
    """Joins observation and mask, for one lane or a batch."""

    def __init__(self, observation: Any, action: Any, library: str, flat: bool) -> None:
        OneOf(tuple(LIBRARIES)).check("wrappers", "library", library)
        if not isinstance(observation, spaces.Dict | spaces.Box) or not isinstance(action, spaces.Discrete):
            raise ConfigError(
                "wrappers: env must have a Dict or Box of observations and Discrete actions, "
                f"got {observation} and {action}"
            )
        keys = LIBRARIES[library]
        mask = keys.mask_space(int(action.n))
        inner = spaces.flatten_space(observation) if flat else observation
        self.space = spaces.Dict({keys.observation: inner, keys.mask: mask})
        self._keys = keys
        self._kind = mask.dtype
        self._flat = flat
        self._names = tuple(observation) if isinstance(observation, spaces.Dict) else ()

    def __call__(self, observation: Any, mask: NDArray[np.int8]) -> dict[str, Any]:
        inner = observation
        if self._flat and self._names:
            inner = np.concatenate([observation[name] for name in self._names], axis=-1)
        elif self._flat:
            inner = observation.reshape(*mask.shape[:-1], -1)
        return {self._keys.observation: inner, self._keys.mask: mask.astype(self._kind)}
