"""Stable-Baselines3's view of the native batch: a `VecEnv` that its algorithms, and sb3-contrib's, train on."""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.envs.single_env import NO_METRICS
from gnnsched_env.envs.vector_env import SHARED, SchedulingVectorEnv
from gnnsched_env.envs.vector_input import spawn_seeds
from gnnsched_env.registration import DISPATCH_ID, QUEUE_ID

MASKS = "action_masks"  # the method that sb3-contrib looks for


class Sb3VecEnv(VecEnv):
    """`num_envs` lanes of an environment, with the interface of Stable-Baselines3's `DummyVecEnv`.

    Observations are copies, because its algorithms keep the last one until after the next step. A lane whose episode
    ends starts the next one in the same step: its info then holds "terminal_observation" (the one before),
    "episode" ("r" return, "l" steps, "t" seconds) and its metrics. "TimeLimit.truncated" is True where the episode was
    cut after `max_episode_steps`. Masks go to MaskablePPO as one array of all lanes.
    """

    def __init__(self, environment: str = QUEUE_ID, num_envs: int = 1, **options: Any) -> None:
        """Make the batch by the environment's id.

        `options` are those of the single environment, `threads`, `max_episode_steps` and `consecutive_seeds`. Raise
        ConfigError if the id is not of this package, or an option is invalid.
        """
        for name in ("autoreset_mode", "copy", "episode_statistics", "vectorization_mode"):
            if name in options:
                raise ConfigError(f"Sb3VecEnv: {name} is fixed by what Stable-Baselines3 expects, do not give it")
        if environment not in (DISPATCH_ID, QUEUE_ID):
            raise ConfigError(f"Sb3VecEnv: environment must be {DISPATCH_ID} or {QUEUE_ID}, got {environment!r}")
        made = gymnasium.make_vec(environment, num_envs=num_envs, autoreset_mode="SameStep", **options)
        self.batch = cast(SchedulingVectorEnv, made.unwrapped)
        self._own: list[dict[str, Any]] = [{} for _ in range(num_envs)]  # the attributes that `set_attr` gave each lane
        self._actions: Any = None
        super().__init__(num_envs, self.batch.single_observation_space, self.batch.single_action_space)
        self.metadata = self.batch.metadata

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the lanes for the next reset, as the batch's `reset(seed=seed)` does; return their seeds."""
        if seed is not None:
            Integer(0).check("Sb3VecEnv", "seed", seed)
        self._seeds = list(super().seed(seed))
        if not self.batch.consecutive_seeds:
            self._seeds = spawn_seeds(cast(int, self._seeds[0]), self.num_envs).tolist()
        return self._seeds

    def reset(self) -> VecEnvObs:
        """Start an episode in every lane, with the seeds given to `seed`, or each lane's next episode."""
        seeds, options = self._seeds, self._options
        self._reset_seeds()
        self._reset_options()
        if any(options):
            raise ConfigError(f"reset: the environments have no options to reset with, got {options!r}")
        observation, infos = self.batch.reset(seed=None if all(seed is None for seed in seeds) else seeds)
        self.reset_infos = _rows(infos)
        self._actions = None
        return observation

    def step_async(self, actions: NDArray[np.integer[Any]]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Take the given actions; rewards are float32 [L], as in the buffers of the algorithms."""
        if self._actions is None:
            raise GnnSchedError("step_wait: give the actions to step_async first")
        observation, rewards, ended, truncated, infos = self.batch.step(self._actions)
        over = ended | truncated
        self._actions = None
        rows = _rows(infos)
        for row in rows:
            row["TimeLimit.truncated"] = False
        for lane in np.flatnonzero(over).tolist():
            self.reset_infos[lane] = {name: value for name, value in rows[lane].items() if "." not in name}
            rows[lane] = {
                **_row(infos["final_info"], lane),
                "TimeLimit.truncated": bool(truncated[lane]),
                "terminal_observation": infos["final_obs"][lane],
                "episode": {name: values[lane].item() for name, values in infos["episode"].items()},
            }
        return observation, rewards.astype(np.float32), over, rows

    def action_masks(self) -> NDArray[np.bool_]:
        """Return bool [L, actions]: True where an action is legal; a copy."""
        return self.batch.action_masks()

    def close(self) -> None:
        """Close the batch."""
        self.batch.close()

    def has_attr(self, attr_name: str) -> bool:
        """Return whether every lane has an attribute."""
        return attr_name == MASKS or attr_name in SHARED or all(attr_name in own for own in self._own)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the lanes: one set by `set_attr`, or one that they share."""
        lanes = self._lanes(indices)
        if attr_name == MASKS:
            return [partial(self._mask, lane) for lane in lanes]
        if attr_name in SHARED:
            values = self.batch.get_attr(attr_name)
            return [values[lane] for lane in lanes]
        try:
            return [self._own[lane][attr_name] for lane in lanes]
        except KeyError:
            raise AttributeError(f"the lanes have no attribute {attr_name!r}") from None

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set a new attribute of the lanes; attributes that they share cannot be changed."""
        if attr_name in SHARED or attr_name == MASKS:
            raise AttributeError(f"the lanes of a batch share {attr_name!r}; it cannot be set")
        for lane in self._lanes(indices):
            self._own[lane][attr_name] = value

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the lanes: "action_masks" (bool [actions] each), or "get_wrapper_attr"."""
        if method_name == "get_wrapper_attr":
            (name,) = method_args
            return self.get_attr(name, indices)
        if method_name != MASKS:
            raise AttributeError(f"the lanes of a batch have no method {method_name!r} of their own, only {MASKS!r}")
        if method_args or method_kwargs:
            raise TypeError(f"{MASKS} takes no arguments, got {(*method_args, *method_kwargs)!r}")
        masks = self.action_masks()
        return list(masks) if indices is None else [masks[lane] for lane in self._lanes(indices)]

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Return False for each lane: nothing wraps a lane of a batch."""
        return [False for _ in self._lanes(indices)]

    def _lanes(self, indices: VecEnvIndices) -> Sequence[int]:
        return [range(self.num_envs)[lane] for lane in self._get_indices(indices)]

    def _mask(self, lane: int) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = self.batch.action_masks()[lane]
        return mask


def _rows(infos: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the infos of a step, one dict per lane; the arrays are copies."""
    told = zip(
        infos["action_mask"], infos["elapsed"].tolist(), infos["legal"].tolist(), infos["time"].tolist(), strict=True
    )
    return [
        {"action_mask": mask, "elapsed": elapsed, "legal": legal, "time": time, **NO_METRICS}
        for mask, elapsed, legal, time in told
    ]


def _row(infos: dict[str, Any], lane: int) -> dict[str, Any]:
    """Return one lane's part of nested infos, as its single environment would return it."""
    row: dict[str, Any] = {}
    for name, value in infos.items():
        if isinstance(value, dict):
            row[name] = _row(value, lane)
        elif not name.startswith("_"):
            row[name] = value[lane] if value.ndim > 1 else value[lane].item()
    return row
