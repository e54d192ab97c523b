"""Record the episodes of policies as a Minari data set, for offline and imitation learning."""

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError, needs_extra
from gnnsched_env.common.policy import Policy
from gnnsched_env.common.progress import Advance, no_progress
from gnnsched_env.envs import SchedulingEnv
from gnnsched_env.evaluation.declarations import declarations_of
from gnnsched_env.evaluation.policies import policy_factory
from gnnsched_env.evaluation.runs import decide, skip_below_of
from gnnsched_env.scenario import Scenario
from gnnsched_env.sim.state import SEED_LIMIT
from gnnsched_env.version import __version__

IDS = ("gnnsched/Queue-v0", "gnnsched/Dispatch-v0")


def record_dataset(
    folder: str | os.PathLike[str],
    scenario: Scenario | str,
    policies: Sequence[str],
    *,
    dispatch: bool = False,
    episodes: int = 10,
    seed: int = 0,
    advance: Advance = no_progress,
) -> Path:
    """Play episodes of each policy, by name, write them as a Minari data set and return its folder.

    `minari.MinariDataset(folder)` opens it. Each policy plays the same `episodes` of seeds from `seed` on, of the split
    and with the observation that the scenario says. Of T steps an episode holds T + 1 observations and infos
    ("action_mask", "time", "elapsed", "legal", and the metrics, 0 until the end), T actions and T rewards; its metadata
    names the policy and its mean completion time, cycles. Needs the extra `data`. Raise ConfigError for a folder that
    holds something, an unknown policy, or one that waits or skips predictions in another way than the scenario, before
    anything is played.
    """
    Integer(1).check("recording", "episodes", episodes)
    Integer(0, SEED_LIMIT - episodes).check("recording", "seed", seed)
    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ConfigError(f"recording: the folder must be empty or new, got {place}")
    factories = {name: policy_factory(name, dispatch=dispatch) for name in policies}
    with needs_extra("recording", "data"):
        import h5py  # noqa: F401  (minari writes by it, and says nothing clear where it lacks)
        import minari  # noqa: F401
    env: Any = gymnasium.make(IDS[dispatch], scenario=scenario, disable_env_checker=True)
    inner: SchedulingEnv = env.unwrapped
    made = {name: factory(inner.layout, inner.table) for name, factory in factories.items()}
    settings = inner.batch.simulation.config
    for name, policy in made.items():
        says = declarations_of(policy, inner.layout.num_choices)
        if (wanted := skip_below_of(says, settings)) != settings.skip_below:
            raise ConfigError(
                f"recording: policy {name!r} has jobs predicted from {wanted} waiting on, so the scenario must say "
                f"skip_below={wanted}, got {settings.skip_below}"
            )
    place.mkdir(parents=True, exist_ok=True)
    try:
        _record(place, env, made, seed, episodes, advance)
    except BaseException:
        for file in place.iterdir():  # the folder was empty: nothing that looks like a data set is left
            file.unlink()
        raise
    return place


def _record(place: Path, env: Any, policies: Mapping[str, Policy], seed: int, episodes: int, advance: Advance) -> None:
    """Play the episodes of each policy and write them."""
    import minari
    from minari.data_collector.episode_buffer import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a scenario with a table of its own has no specification in JSON
        storage = MinariStorage.new(
            place.absolute(), env.observation_space, env.action_space, env.spec, data_format="hdf5"
        )
    number = 0
    for name, policy in policies.items():
        advance(0, name)
        for own in range(seed, seed + episodes):
            steps = _play(env, policy, own)
            storage.update_episodes([EpisodeBuffer(id=number, seed=own, **steps)])
            told = {"policy": name, "mean_completion": float(steps["infos"]["mean_completion"][-1])}
            storage.update_episode_metadata([told], [number])
            number += 1
            advance(1)
    storage.update_metadata(
        {
            "dataset_id": f"{re.sub(r'[^A-Za-z0-9_-]', '_', place.name) or 'recorded'}-v0",
            "minari_version": minari.__version__,
            "algorithm_name": ", ".join(policies),
            "description": f"{env.unwrapped.scenario.name}, {env.spec.id}: {episodes} episodes of each policy",
            "requirements": [f"gnnsched-env=={__version__}"],
        }
    )


def _play(env: Any, policy: Any, seed: int) -> dict[str, Any]:
    """Play one episode; return its observations, actions, rewards, ends and infos, as Minari stores them."""
    observation, info = env.reset(seed=seed)
    observations, infos = [observation], [info]
    actions: list[int] = []
    rewards: list[float] = []
    ends: list[bool] = []
    ended = False
    while not ended:
        action = decide(env.unwrapped.batch, policy)[0]
        observation, reward, ended, _, info = env.step(action)
        for held, value in ((observations, observation), (infos, info), (actions, action), (rewards, reward)):
            held.append(value)
        ends.append(ended)
    return {
        "observations": _stacked(observations),
        "actions": np.array(actions, np.int64),
        "rewards": rewards,
        "terminations": ends,
        "truncations": [False] * len(ends),
        "infos": _stacked(infos),
    }


def _stacked(values: Sequence[Any]) -> Any:
    """Return a step's arrays, or dicts of them, stacked over the steps."""
    if isinstance(values[0], dict):
        return {name: np.stack([value[name] for value in values]) for name in values[0]}
    return np.stack(values)
