"""All that a model of Stable-Baselines3 goes on from, as arrays and JSON values; no pickle."""

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from gnnsched_agents.methods.sb3_dqn import PackedReplayBuffer, PairDqn

COUNTERS = ("num_timesteps", "_n_updates", "_n_calls", "_episode_num")


def model_state(model: BaseAlgorithm) -> dict[str, Any]:
    """Return weights, optimiser, counters, replay, and the state of the generators that the library draws from."""
    optimizer: Any = model.policy.optimizer
    name, *legacy = np.random.get_state(legacy=True)  # noqa: NPY002
    replay = getattr(model, "replay_buffer", None)
    return {
        "weights": _arrays(model.policy.state_dict()),
        "optimizer": [_arrays(kept) for _, kept in sorted(optimizer.state_dict()["state"].items())],
        "rng": {
            "numpy": [str(name), *legacy],
            "torch": torch.get_rng_state().numpy(),
            "cuda": torch.cuda.get_rng_state(model.device).numpy() if model.device.type == "cuda" else None,
        },
        "counters": {name: getattr(model, name, 0) for name in COUNTERS},
        "started": model._last_obs is not None,
        "starts": np.asarray(model._last_episode_starts, np.bool_),
        "replay": replay.state() if isinstance(replay, PackedReplayBuffer) else None,
    }


def restore_model(model: BaseAlgorithm, state: dict[str, Any], observation: Any) -> None:
    """Take up what `model_state` returned; `observation` is what the environment shows now.

    Raise KeyError, ValueError, TypeError or RuntimeError where it does not fit.
    """
    model.policy.load_state_dict(_tensors(state["weights"]))
    optimizer: Any = model.policy.optimizer
    kept = {number: _tensors(own) for number, own in enumerate(state["optimizer"])}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": kept})
    model._last_obs = observation if state["started"] else None
    model._last_episode_starts = np.array(state["starts"])
    for name in COUNTERS:
        setattr(model, name, int(state["counters"][name]))
    replay = getattr(model, "replay_buffer", None)
    if isinstance(replay, PackedReplayBuffer):
        replay.restore(state["replay"])
    if isinstance(model, PairDqn):
        model.update_exploration()
    np.random.set_state(tuple(state["rng"]["numpy"]))  # noqa: NPY002
    torch.set_rng_state(torch.from_numpy(np.array(state["rng"]["torch"])))
    if model.device.type == "cuda" and state["rng"]["cuda"] is not None:
        torch.cuda.set_rng_state(torch.from_numpy(np.array(state["rng"]["cuda"])), model.device)


def _arrays(tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {name: value.detach().cpu().numpy() for name, value in tensors.items()}


def _tensors(arrays: dict[str, Any]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
