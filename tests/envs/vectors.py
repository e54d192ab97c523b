"""Native batches and Gymnasium's loop over single environments, side by side."""

import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from gnnsched_env.envs.vector_env import DispatchVectorEnv, QueueVectorEnv
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import Scenario
from tests.envs.environments import ENVIRONMENTS, hetero_table

VECTORS = {"dispatch": DispatchVectorEnv, "queue": QueueVectorEnv}
MODES = tuple(AutoresetMode)
STATISTICS = {"episode", "_episode"}  # ours alone: single environments tell none


def small_scenario():
    return Scenario(name="random", fleet=load_fleet("hetero4"), table=hetero_table())


def make_native(kind, lanes, mode=AutoresetMode.NEXT_STEP, **options):
    options.setdefault("jobs", 6)
    return VECTORS[kind](lanes, small_scenario(), autoreset_mode=mode, consecutive_seeds=True, **options)


def make_loop(kind, lanes, mode=AutoresetMode.NEXT_STEP, **options):
    """Return Gymnasium's SyncVectorEnv over as many single environments."""
    options.setdefault("jobs", 6)
    return SyncVectorEnv([lambda: ENVIRONMENTS[kind](small_scenario(), **options)] * lanes, autoreset_mode=mode)


def assert_same(ours, theirs, where="observation"):
    """Compare two observations, arrays or values: names, types, shapes and every bit."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs), where
        for name, value in theirs.items():
            assert_same(ours[name], value, f"{where}.{name}")
        return
    one, two = np.asarray(ours), np.asarray(theirs)
    assert (one.dtype, one.shape) == (two.dtype, two.shape), where
    if one.dtype == object:
        for lane in range(len(one)):
            assert (one[lane] is None) == (two[lane] is None), where
            if two[lane] is not None:
                assert_same(one[lane], two[lane], where)
    else:
        assert np.array_equal(one, two), where


def assert_same_told(ours, theirs):
    """Compare two infos where their masks say that there is something."""
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        if name.startswith("_"):
            assert np.array_equal(ours[name], value), name
        elif isinstance(value, dict):
            assert_same_told(ours[name], value)
        else:
            mask = theirs[f"_{name}"]
            assert_same(ours[name][mask], value[mask], name)


def without_statistics(infos):
    return {name: value for name, value in infos.items() if name not in STATISTICS}


def replay(native, loop, mode, steps, rng, seed):
    """Play both alike and compare all that they return; return the numbers of episodes ended and illegal actions."""
    (one, ours), (two, theirs) = native.reset(seed=seed), loop.reset(seed=seed)
    assert_same(one, two)
    assert_same(ours, theirs, "infos")
    ends = illegal = 0
    for _ in range(steps):
        actions = rng.integers(native.single_action_space.n, size=native.num_envs)
        legal = rng.random() < 0.5
        if legal:
            actions = (rng.random(native.action_masks().shape) * native.action_masks()).argmax(axis=1)
        ours, theirs = native.step(actions), loop.step(actions)
        for name, a, b in zip(("observation", "rewards", "terminated", "truncated"), ours, theirs, strict=False):
            assert_same(a, b, name)
        assert_same(without_statistics(ours[4]), theirs[4], "infos")
        assert np.array_equal(native.action_masks(), theirs[4]["action_mask"].astype(bool))
        ends += int(ours[2].sum())
        illegal += int((~ours[4]["legal"]).sum())
        mask = ours[2].copy() if mode is AutoresetMode.DISABLED else rng.random(native.num_envs) < 0.05
        if mask.any():
            (one, ours), (two, theirs) = (env.reset(options={"reset_mask": mask.copy()}) for env in (native, loop))
            assert_same(one, two)
            assert_same_told(ours, theirs)
    return ends, illegal
