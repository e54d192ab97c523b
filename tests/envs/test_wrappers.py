"""Masks under the key names of other libraries, for single environments and batches."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import flatten
from gymnasium.utils.env_checker import check_env

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.envs.wrappers import MaskedObservation, MaskedVectorObservation

IDS = ("gnnsched/Dispatch-v0", "gnnsched/Queue-v0")
NAMES = {"rllib": ("observations", "action_mask", np.float32), "tianshou": ("obs", "mask", np.bool_)}


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("library", NAMES)
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("shown", ["dict", "flat", "pairs", "pairs_flat"])
def test_a_wrapped_environment_tells_what_the_plain_one_does(name, library, flat, shown):
    observation_key, mask_key, kind = NAMES[library]
    plain, inner = (gymnasium.make(name, jobs=4, observation=shown) for _ in range(2))
    wrapped = MaskedObservation(inner, library, flat=flat)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version.*")  # it is a wrapper
        check_env(wrapped, skip_render_check=True)
    ours, theirs = wrapped.reset(seed=1)[0], plain.reset(seed=1)[0]
    rng, ended = np.random.default_rng(0), False
    while not ended:
        assert wrapped.observation_space.contains(ours)
        inner = ours[observation_key]
        expected = flatten(plain.observation_space, theirs)
        assert (inner if flat else flatten(plain.observation_space, inner)).tolist() == expected.tolist()
        assert ours[mask_key].dtype == kind
        assert (ours[mask_key] == wrapped.action_masks()).all()
        assert (ours[mask_key] == plain.unwrapped.action_masks()).all()
        action = rng.integers(plain.action_space.n)
        (ours, reward, ended, _, info), (theirs, other, *_) = wrapped.step(action), plain.step(action)
        assert reward == other
    assert info["makespan"] > 0


@pytest.mark.parametrize("library", NAMES)
@pytest.mark.parametrize("shown", ["dict", "pairs"])
def test_a_wrapped_batch_tells_what_wrapped_environments_do(library, shown):
    observation_key, mask_key, kind = NAMES[library]
    options = {"jobs": 4, "observation": shown}
    batch = MaskedVectorObservation(
        gymnasium.make_vec(IDS[1], num_envs=3, autoreset_mode="SameStep", **options), library
    )
    singles = [MaskedObservation(gymnasium.make(IDS[1], **options), library) for _ in range(3)]
    ours = batch.reset(seed=[5, 6, 7])[0]
    theirs = [env.reset(seed=5 + lane)[0] for lane, env in enumerate(singles)]
    ends = 0
    for _ in range(30):
        assert batch.observation_space.contains(ours)
        assert ours[mask_key].dtype == kind
        for key in (observation_key, mask_key):
            assert (ours[key] == np.stack([one[key] for one in theirs])).all()
        actions = [int(one[mask_key].argmax()) for one in theirs]
        ours, _, ended, _, infos = batch.step(actions)
        theirs = [env.step(action)[0] for env, action in zip(singles, actions, strict=True)]
        for lane in np.flatnonzero(ended):
            ends += 1
            for key in (observation_key, mask_key):
                assert (infos["final_obs"][lane][key] == theirs[lane][key]).all()
            theirs[lane] = singles[lane].reset()[0]
    assert ends > 3
    assert (ours[mask_key] == batch.unwrapped.action_masks()).all()


def test_what_cannot_be_wrapped():
    with pytest.raises(ConfigError, match="must have a Dict or Box of observations and Discrete actions, got Box"):
        MaskedObservation(gymnasium.make("Pendulum-v1"), "rllib")
    with pytest.raises(ConfigError, match="library must be one of rllib, tianshou, got 'rlib'; did you mean 'rllib'"):
        MaskedVectorObservation(gymnasium.make_vec(IDS[1], num_envs=2, jobs=4), "rlib")
