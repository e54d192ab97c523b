"""Plays random scenarios through Gymnasium: a batch, or one of several scenarios, beside single environments.

Both must tell the same at every step, and each episode that ends is checked by exact arithmetic: every metric in its
`info`, and its return.
"""

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from gnnsched_env.sim import METRICS
from tests.soak.exact import Facts, Played, check_exactly
from tests.soak.odd_scenarios import draw_odd
from tests.soak.rules import Violation, require
from tests.soak.scenarios import draw

MOST_LANES = 5
MODES = tuple(AutoresetMode)


class Single:
    """A single environment that plays what a lane of a batch plays."""

    def __init__(self, name, scenario, counts):
        self.env = gymnasium.make(name, scenario=scenario)
        self.facts, self.counts = Facts.of(scenario), counts
        self.told, self.over = None, False

    def reset(self, seed=None):
        observation, info = self.env.reset(seed=seed)
        self.first_potential = self.env.unwrapped.batch.simulation.lanes["potential"].item()
        self.returned, self.over = 0.0, False
        self.told = observation, 0.0, False, info

    def step(self, action):
        observation, reward, ended, _, info = self.env.step(action)
        self.returned += reward
        self.over = ended
        self.told = observation, reward, ended, info
        require("an observation is in its space", np.array([self.env.observation_space.contains(observation)]))
        require("a reward is finite", np.isfinite([reward]))
        self.counts.world_steps += 1
        if ended:
            self._check(info)

    def _check(self, info):
        simulation = self.env.unwrapped.batch.simulation
        self.counts.world_episodes += 1
        if simulation.lanes["aborted"][0] > simulation.aborted.shape[1]:
            return  # not all of them are remembered
        runs = simulation.aborted_runs(0).tolist()
        self.counts.exact += check_exactly(
            self.facts,
            Played.of(simulation, 0, runs),
            {name: info[name] for name in METRICS},
            returned=self.returned,
            first_potential=self.first_potential,
        )


def play_worlds(seed, counts, *, steps=200):
    """Play one scenario, or some that are alike, all drawn from `seed`, for so many steps of a batch."""
    rng = np.random.default_rng([seed, 4])
    drawn = draw_odd(seed, 1) if seed % 2 else draw(seed, 1)
    scenarios = alike(drawn.scenario, rng)
    lanes = int(rng.integers(len(scenarios), MOST_LANES + 1))
    mode, copied = MODES[rng.integers(3)], bool(rng.random() < 0.5)
    name = "gnnsched/Dispatch-v0" if drawn.dispatch else "gnnsched/Queue-v0"
    batch = gymnasium.make_vec(
        name, num_envs=lanes, scenario=scenarios, autoreset_mode=mode, copy=copied, threads=int(rng.integers(1, 3))
    )
    singles = [Single(name, scenario, counts) for scenario in batch.get_attr("scenario")]
    counts.worlds += 1
    counts.joined += len(scenarios) > 1
    seeds = [int(own) for own in rng.integers(1 << 63, size=lanes)]
    observation, infos = batch.reset(seed=seeds)
    for single, own in zip(singles, seeds, strict=True):
        single.reset(own)
    _compare(singles, observation, np.zeros(lanes), np.zeros(lanes, bool), infos)
    legal = float(rng.choice([1.0, 0.8]))
    for _ in range(steps):
        over = np.array([single.over for single in singles])
        if mode is AutoresetMode.DISABLED and over.any():
            for single in (one for one in singles if one.over):
                single.reset()
            observation, infos = batch.reset(options={"reset_mask": over})
        actions = _actions(rng, infos["action_mask"], legal)
        observation, rewards, ended, _, infos = batch.step(actions)
        for single, action in zip(singles, actions.tolist(), strict=True):
            if single.over:
                single.reset()
            else:
                single.step(action)
        if mode is AutoresetMode.SAME_STEP and ended.any():
            _compare_ends(singles, rewards, infos)
        _compare(singles, observation, rewards, ended, infos)


def alike(scenario, rng):
    """Return a scenario, or some whose observations and actions are the same: of other loads."""
    loads = [scenario.environment.load * factor for factor in (1.0, 2.0, 3.0)[: rng.integers(1, 4)]]
    return [scenario.with_options(load=min(load, 1.49)) for load in loads]


def _actions(rng, mask, legal):
    chosen = (rng.random(mask.shape) * mask).argmax(axis=1)
    return np.where(rng.random(len(mask)) < legal, chosen, rng.integers(0, mask.shape[1], len(mask)))


def _compare(singles, observation, rewards, ended, infos):
    """Require that the lanes of a batch tell what the single environments do, bit for bit."""
    for lane, single in enumerate(singles):
        seen, reward, over, info = single.told
        _require_same("observation", _lane_of(observation, lane), seen, lane)
        _require_same("reward", rewards[lane], reward, lane)
        _require_same("end", ended[lane], over, lane)
        for name, value in info.items():
            _require_same(name, infos[name][lane], value, lane)


def _compare_ends(singles, rewards, infos):
    """Require the same of episodes that have just ended; start those of single environments, as the batch has done."""
    for lane, single in enumerate(singles):
        if single.over:
            seen, reward, _, info = single.told
            _require_same("final observation", infos["final_obs"][lane], seen, lane)
            for name, value in info.items():
                _require_same(f"final {name}", infos["final_info"][name][lane], value, lane)
            single.reset()
            single.told = (single.told[0], reward, True, single.told[3])


def _lane_of(observation, lane):
    if isinstance(observation, dict):
        return {name: array[lane] for name, array in observation.items()}
    return observation[lane]


def _require_same(what, batch, single, lane):
    if isinstance(single, dict):
        for name in single:
            _require_same(f"{what} {name}", batch[name], single[name], lane)
    elif not np.array_equal(batch, single):
        raise Violation(f"a batch and a single environment tell the same {what}: lane {lane}, {batch} and {single}")
