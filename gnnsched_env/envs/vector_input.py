"""Checks of a vector environment's arguments, before anything is simulated."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, plain_array, shown
from gnnsched_env.common.errors import ConfigError, InvalidAction, did_you_mean
from gnnsched_env.common.policy import BoolArray
from gnnsched_env.sim.state import SEED_LIMIT


def as_autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Return Gymnasium's AutoresetMode from its value ("NextStep") or name ("NEXT_STEP")."""
    if isinstance(mode, AutoresetMode):
        return mode
    known = {str(entry.value): entry for entry in AutoresetMode} | {entry.name: entry for entry in AutoresetMode}
    if not isinstance(mode, str) or mode not in known:
        names = ", ".join(entry.value for entry in AutoresetMode)
        raise ConfigError(f"autoreset_mode must be one of {names}, got {mode!r}{did_you_mean(mode, known)}")
    return known[mode]


def action_array(actions: Any, lanes: int) -> NDArray[np.integer[Any]]:
    """Return the actions as an integer array [lanes]; their range is not checked."""
    try:
        given = plain_array("step", "actions", actions)
    except ConfigError:
        raise InvalidAction(f"actions must be one integer for each of {lanes} lanes, got {shown(actions)}") from None
    if given.dtype.kind not in "iu" or given.shape != (lanes,):
        raise InvalidAction(f"actions must be integers of shape ({lanes},), got {given.dtype} of shape {given.shape}")
    return given


def reset_mask(options: dict[str, Any] | None, lanes: int) -> BoolArray:
    """Return the lanes that `reset` is asked to start, bool [lanes]: all, or where "reset_mask" is True."""
    for name in options or {}:
        if name != "reset_mask":
            raise ConfigError(f"reset: unknown option {name!r}{did_you_mean(name, ['reset_mask'])}")
    if not options:
        return np.ones(lanes, np.bool_)
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (lanes,):
        got = f"{mask.dtype} of shape {mask.shape}" if isinstance(mask, np.ndarray) else repr(mask)
        raise ConfigError(f"reset: reset_mask must be a bool array of shape ({lanes},), got {got}")
    if not mask.any():
        raise ConfigError("reset: reset_mask must be True for one lane or more, got none")
    return mask.copy()


def spawn_seeds(seed: Any, lanes: int) -> NDArray[np.uint64]:
    """Return uint64 [lanes]: seeds drawn by numpy's SeedSequence; lane i's depends on the seed and on i alone.

    Batches of different seeds share no lane. Raise ConfigError unless the seed is an integer of at least 0.
    """
    number: int = Integer(0).check("reset", "seed", seed)
    seeds: NDArray[np.uint64] = np.random.SeedSequence(number).generate_state(lanes, np.uint64).astype(np.uint64)
    return seeds


def lane_seeds(seed: Any, lanes: int, *, consecutive: bool) -> tuple[BoolArray, NDArray[np.uint64]]:
    """Return which lanes are given a seed, bool [lanes], and their seeds modulo 2^64, uint64 [lanes].

    A number stands for those that it spawns, or, if they are to be `consecutive`, for seed, seed + 1, ...
    """
    if seed is None:
        return np.zeros(lanes, np.bool_), np.zeros(lanes, np.uint64)
    if isinstance(seed, Integral):
        seeds = np.arange(lanes, dtype=np.uint64)
        seeds = seeds + np.uint64(_seed(seed)) if consecutive else spawn_seeds(seed, lanes)
        return np.ones(lanes, np.bool_), seeds
    if isinstance(seed, str | bytes) or not isinstance(seed, Sequence | np.ndarray) or np.shape(seed)[:1] != (lanes,):
        raise ConfigError(f"reset: seed must be an integer or one for each of {lanes} lanes, got {seed!r}")
    numbers = [0 if entry is None else _seed(entry) for entry in seed]
    return np.array([entry is not None for entry in seed], np.bool_), np.array(numbers, np.uint64)


def some_lanes(which: BoolArray) -> str:
    """Return the first lanes where `which` is True, for a message."""
    lanes = np.flatnonzero(which)
    return ", ".join(map(str, lanes[:8])) + (", ..." if len(lanes) > 8 else "")


def _seed(value: Any) -> int:
    """Return a seed modulo 2^64, as the simulator takes it."""
    number: int = Integer(0).check("reset", "a seed", value)
    return number % SEED_LIMIT
