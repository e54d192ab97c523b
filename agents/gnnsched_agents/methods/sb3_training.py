"""Trainings by Stable-Baselines3: MaskablePPO, DQN and A2C, all on the shared pair network.

Discounts. A decision may take no time or a long time, and a constant discount per decision rewards idle waiting, so
MaskablePPO and A2C use gamma = 1: GAE's lambda bounds the horizon, and rewards are differential (`WorldsVecEnv`), so
that values stay bounded in episodes of any length. DQN has no lambda, and its targets need a contraction: it weighs
what follows a decision by exp(-elapsed / tau), a discount in time.

Masks. MaskablePPO takes masks. A2C and DQN do not: the rows show which actions are legal, and the logits and Q-values
of the others are -1e8, both when actions are chosen and in DQN's targets; DQN explores legal actions only. An illegal
action is never sent.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger

from gnnsched_agents.methods.registry import A2cConfig, DqnConfig, MaskablePpoConfig, kind_of
from gnnsched_agents.sb3.dqn import PairDqn, TimedReplayBuffer
from gnnsched_agents.sb3.networks import MaskedPairPolicy, PairPolicy, PairQPolicy
from gnnsched_agents.sb3.saved_policy import CARD, OPTIMIZER, WEIGHTS, card_of, read_plain, read_tensors
from gnnsched_agents.sb3.worlds_env import WorldsVecEnv
from gnnsched_agents.torch_network import PairNetwork
from gnnsched_agents.worlds import RANDOM, Workloads
from gnnsched_baselines.learned.pair_network import Network, initial_network
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import reading, write_whole
from gnnsched_env.nn.device import pick_device

COUNTERS = ("num_timesteps", "_n_updates")  # a model's attributes that are plain values in its file
MOST_SEEDS = 1 << 32  # seeds of numpy's older generator, from which the library draws
UNSAVED = ["_last_obs", "_last_original_obs", "_last_episode_starts", "ep_info_buffer", "ep_success_buffer"]


class Sb3Training:
    """A running training by one of the three, as a `Method`: an update is a call of the library's own `learn`.

    A save holds what the library saves: weights, the optimiser and counters. A resumed training begins in new worlds,
    DQN with an empty replay buffer, so it differs from one that was never stopped.
    """

    resume_note = "with its weights and optimiser, in new worlds"

    def __init__(self, config: MaskablePpoConfig | A2cConfig | DqnConfig, workloads: Workloads, seed: int = 0) -> None:
        self.name = kind_of(config)
        if workloads.scenario == RANDOM:  # the library's spaces are of one fleet
            raise ConfigError(f"{self.name}: scenario must name one fleet to train for, got {RANDOM!r}")
        self.config = config
        self.workloads = workloads
        self.seed = seed
        self.updates = 0
        start = initial_network(config.width, np.random.default_rng(seed), prior=config.prior)
        self.env = self._worlds(start, seed)
        common = {
            "learning_rate": config.learning_rate,
            "max_grad_norm": config.most_gradient,
            "policy_kwargs": {"width": config.width, "prior": config.prior, "draw": seed},
            "device": pick_device(config.device),
            "seed": seed,
        }
        self.model: BaseAlgorithm = MAKERS[self.name](config, self.env, common)
        self.model.set_logger(Logger(None, []))
        vars(self.model)[CARD] = card_of(self.name)  # the library saves it with its own attributes

    @property
    def scorer(self) -> PairNetwork:
        """Return the network that scores rows."""
        policy: Any = self.model.policy
        scorer: PairNetwork = policy.q_net.scorer if isinstance(self.model, DQN) else policy.scorer
        return scorer

    def network(self) -> Network:
        """Return the present weights; the greedy policy takes the row of the highest score."""
        return self.scorer.network()

    def update(self) -> dict[str, float]:
        """Play and learn for `steps` decisions per lane; return figures, including "decisions"."""
        config, model = self.config, self.model
        torch.set_num_threads(config.threads)
        if self.updates and self.updates % config.redraw == 0:
            model._last_obs = self.env.redraw(self.network())
        before = model.num_timesteps
        steps = config.steps * (config.rollouts if isinstance(config, A2cConfig) else 1)
        learn: Any = model.learn  # accepts None for no log
        learn(steps * self.env.num_envs, reset_num_timesteps=False, log_interval=None)
        self.updates += 1
        told = {name.split("/")[-1]: float(value) for name, value in model.logger.name_to_value.items()}
        return {**told, "decisions": float(model.num_timesteps - before)}

    def save(self, path: Path) -> None:
        """Write the library's own zip, atomically; `sb3:FILE.zip` and the library's `load` read it.

        The library's `load` executes the pickles in it, as it always does; `sb3:` and this class's `load` do not.
        """
        buffer = io.BytesIO()
        self.model.save(buffer, exclude=UNSAVED)
        write_whole(path, lambda file: file.write(buffer.getbuffer()))

    save_model = save

    def load(self, path: Path) -> None:
        """Restore the weights, the optimiser and the counters that `save` wrote, and continue in new worlds.

        Raise FileFormatError if the file is damaged, or of another algorithm or other features. No code in it is
        executed.
        """
        plain = read_plain(path)
        if plain[CARD] != card_of(self.name):
            raise FileFormatError(f"{path}: must be a model of {self.name} for this version's features")
        policy, model = self.model.policy, self.model
        with reading(str(path), "the model"):
            policy.load_state_dict(read_tensors(path, WEIGHTS))
            policy.optimizer.load_state_dict(read_tensors(path, OPTIMIZER))
            for name in COUNTERS:
                setattr(model, name, int(plain[name]))
        seed = (self.seed + model.num_timesteps) % MOST_SEEDS
        self.env = self._worlds(self.network(), seed)
        model.set_env(self.env)
        model.set_random_seed(seed)
        if isinstance(model, DQN):
            model.learning_starts += model.num_timesteps  # the replay buffer is filled anew

    def _worlds(self, network: Network, seed: int) -> WorldsVecEnv:
        """Return new worlds, whose lanes a network has played up to their starting points."""
        config = self.config
        return WorldsVecEnv(
            self.workloads, network, worlds=config.worlds, lanes=config.lanes, scale=config.scale, seed=seed
        )


def _maskable_ppo(config: MaskablePpoConfig, env: WorldsVecEnv, common: dict[str, Any]) -> BaseAlgorithm:
    return MaskablePPO(
        MaskedPairPolicy, env, gamma=1.0, gae_lambda=config.gae, n_steps=config.steps, n_epochs=config.epochs,
        batch_size=config.batch, clip_range=config.clip, ent_coef=config.entropy, vf_coef=config.value, **common,
    )  # fmt: skip


def _a2c(config: A2cConfig, env: WorldsVecEnv, common: dict[str, Any]) -> BaseAlgorithm:
    return A2C(
        PairPolicy, env, gamma=1.0, gae_lambda=config.gae, n_steps=config.steps, ent_coef=config.entropy,
        vf_coef=config.value, normalize_advantage=True, **common,
    )  # fmt: skip


def _dqn(config: DqnConfig, env: WorldsVecEnv, common: dict[str, Any]) -> BaseAlgorithm:
    return PairDqn(
        PairQPolicy, env, gamma=1.0, exploration=config.exploration, exploring=config.exploring,
        buffer_size=config.replay, learning_starts=config.warmup, batch_size=config.batch, train_freq=config.every,
        gradient_steps=config.gradients, target_update_interval=config.target,
        replay_buffer_class=TimedReplayBuffer, replay_buffer_kwargs={"tau": config.tau}, **common,
    )  # fmt: skip


MAKERS: dict[str, Callable[[Any, WorldsVecEnv, dict[str, Any]], BaseAlgorithm]] = {
    "maskable_ppo": _maskable_ppo,
    "a2c": _a2c,
    "dqn": _dqn,
}
