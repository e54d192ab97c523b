"""DQN of Stable-Baselines3 that takes legal actions only, discounts in time and keeps its replay packed."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import BaseBuffer, ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from gnnsched_agents.pair_env import masks_of


class PairDqn(DQN):
    """DQN whose exploration draws among the legal actions, lane by lane; its Q-network masks the rest.

    So no illegal action is ever sent, stored, or looked for in a target. Exploration falls in a line over `exploring`
    decisions, whatever the calls of `learn`, from the first of `exploration` to the second.
    """

    def __init__(
        self,
        *args: Any,
        exploration: tuple[float, float] = (0.1, 0.01),
        exploring: int = 500_000,
        **kwargs: Any,
    ) -> None:
        self.exploration = exploration
        self.exploring = exploring
        super().__init__(*args, **kwargs)
        self.update_exploration()

    def predict(
        self,
        observation: Any,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Return the actions of largest Q-value, or, unless `deterministic`, legal ones drawn at the present rate."""
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
        """Return the actions to take and to store, before learning starts too."""
        actions, _ = self.predict(self._last_obs)
        return actions, actions

    def _on_step(self) -> None:
        super()._on_step()
        self.update_exploration()
        self.logger.record("rollout/exploration_rate", self.exploration_rate)

    def update_exploration(self) -> None:
        """Set the rate that belongs to the decisions taken so far."""
        first, last = self.exploration
        self.exploration_rate = first + (last - first) * min(1.0, self.num_timesteps / self.exploring)


class PackedReplayBuffer(ReplayBuffer):
    """Transitions whose observations are kept as their legal rows: a fraction of the padded ones.

    What follows a decision is discounted by exp(-elapsed / tau), "elapsed" being told by the infos in tau's unit.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        *,
        tau: float,
    ) -> None:
        BaseBuffer.__init__(self, buffer_size, observation_space, action_space, device, n_envs=n_envs)
        self.buffer_size = max(buffer_size // n_envs, 1)
        self.optimize_memory_usage = False
        self.handle_timeout_termination = handle_timeout_termination
        self.tau = tau
        shape = (self.buffer_size, n_envs)
        self.actions = np.zeros((*shape, 1), np.int64)
        self.rewards, self.dones, self.elapsed = np.zeros((3, *shape), np.float32)
        self._before: list[Packed] = []
        self._after: list[Packed] = []

    def add(
        self,
        obs: NDArray[Any],
        next_obs: NDArray[Any],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Keep a transition of each lane, the oldest ones giving way."""
        position = self.pos
        for kept, observation in ((self._before, obs), (self._after, next_obs)):
            kept[position : position + 1] = [Packed.of(observation)]
        self.actions[position, :, 0] = action.reshape(self.n_envs)
        self.rewards[position] = reward
        truncated = np.array([info.get("TimeLimit.truncated", False) for info in infos])
        self.dones[position] = done & ~truncated if self.handle_timeout_termination else done
        self.elapsed[position] = [info["elapsed"] for info in infos]
        self.pos = (position + 1) % self.buffer_size
        self.full |= self.pos == 0

    def _get_samples(self, batch_inds: NDArray[Any], env: Any = None) -> ReplayBufferSamples:
        lanes = np.random.randint(self.n_envs, size=len(batch_inds))  # noqa: NPY002 (the library's own state)
        chosen = list(zip(batch_inds.tolist(), lanes.tolist(), strict=True))
        place = (batch_inds, lanes)
        return ReplayBufferSamples(
            observations=self.to_torch(self._unpacked(self._before, chosen)),
            actions=self.to_torch(self.actions[place]),
            next_observations=self.to_torch(self._unpacked(self._after, chosen)),
            dones=self.to_torch(self.dones[place][:, np.newaxis]),
            rewards=self.to_torch(self.rewards[place][:, np.newaxis]),
            discounts=self.to_torch(np.exp(-self.elapsed[place][:, np.newaxis] / self.tau)),
        )

    def _unpacked(self, kept: "list[Packed]", chosen: list[tuple[int, int]]) -> NDArray[np.float32]:
        observations = np.zeros((len(chosen), *self.obs_shape), np.float32)
        for target, (step, lane) in zip(observations, chosen, strict=True):
            kept[step].write(lane, target)
        return observations

    def state(self) -> dict[str, Any]:
        """Return all that is kept, as arrays."""
        arrays = {name: getattr(self, name)[: self.size()] for name in ("actions", "rewards", "dones", "elapsed")}
        packed = {"before": joined(self._before), "after": joined(self._after)}
        return {"position": self.pos, "full": self.full, **arrays, **packed}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned, of as many lanes."""
        for name in ("actions", "rewards", "dones", "elapsed"):
            getattr(self, name)[: len(state[name])] = state[name]
        self._before, self._after = (parted(state[name], self.n_envs) for name in ("before", "after"))
        self.pos, self.full = int(state["position"]), bool(state["full"])


class Packed:
    """The legal rows of one step's observations, lane by lane."""

    __slots__ = ("places", "rows", "starts")

    def __init__(self, rows: NDArray[np.float32], places: NDArray[np.int32], starts: NDArray[np.int64]) -> None:
        self.rows = rows  # [n, F]
        self.places = places  # [n]: the action of each row
        self.starts = starts  # [L + 1]

    @classmethod
    def of(cls, observation: NDArray[np.float32]) -> "Packed":
        """Return the rows of padded observations [L, actions, COLUMNS]."""
        lanes, places = np.nonzero(masks_of(observation))
        starts = np.searchsorted(lanes, np.arange(len(observation) + 1))
        return cls(observation[lanes, places, :-1], places.astype(np.int32), starts)

    def write(self, lane: int, target: NDArray[np.float32]) -> None:
        """Write a lane's rows into zeros [actions, COLUMNS]."""
        own = slice(self.starts[lane], self.starts[lane + 1])
        target[self.places[own], :-1] = self.rows[own]
        target[self.places[own], -1] = 1.0


def joined(steps: list[Packed]) -> dict[str, Any]:
    """Return the arrays of many steps as one each; none as no arrays at all."""
    if not steps:
        return {}
    return {
        "rows": np.concatenate([step.rows for step in steps]),
        "places": np.concatenate([step.places for step in steps]),
        "counts": np.concatenate([np.diff(step.starts) for step in steps]),
    }


def parted(arrays: dict[str, Any], lanes: int) -> list[Packed]:
    """Return what `joined` joined, of steps of `lanes` lanes."""
    if not arrays:
        return []
    counts = np.asarray(arrays["counts"]).reshape(-1, lanes)
    ends = counts.sum(axis=1).cumsum()
    steps = []
    for count, end in zip(counts, ends.tolist(), strict=True):
        own = slice(end - int(count.sum()), end)
        steps.append(Packed(arrays["rows"][own], arrays["places"][own], np.concatenate([[0], count.cumsum()])))
    return steps
