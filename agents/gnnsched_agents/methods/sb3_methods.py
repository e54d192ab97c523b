"""Trainings by Stable-Baselines3: MaskablePPO, DQN and A2C, all on the shared pair network.

Discounts. A decision may take no time or long, and a constant discount a decision rewards idle waiting, so MaskablePPO
and A2C train with gamma = 1: what bounds the horizon is GAE's lambda, and rewards are differential (`WorldsVecEnv`), so
that values stay bounded in episodes of any length. DQN has no lambda, and its targets need a contraction: it weighs
what follows a decision by exp(-elapsed / tau), a discount in time.

Masks. MaskablePPO is given them. A2C and DQN know none: the rows tell which actions are legal, and logits and Q-values
of the others are -1e8, in what is taken and in DQN's targets; DQN's exploration draws legal ones. An illegal action is
never sent.
"""

import io
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger

from gnnsched_agents.config_checks import require
from gnnsched_agents.methods.sb3_dqn import PackedReplayBuffer, PairDqn
from gnnsched_agents.methods.sb3_files import read_state, write_model
from gnnsched_agents.methods.sb3_networks import MaskedPairPolicy, PairPolicy, PairQPolicy
from gnnsched_agents.methods.sb3_state import model_state, restore_model
from gnnsched_agents.torch_network import PairNetwork
from gnnsched_agents.worlds import Workloads
from gnnsched_agents.worlds_env import WorldsVecEnv
from gnnsched_baselines.learned.pair_network import MOST_WIDTH, Network, initial_network
from gnnsched_env.common.disk_cache import content_key
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.nn.device import pick_device

UNSAVED = ["_last_obs", "_last_original_obs", "_last_episode_starts", "ep_info_buffer", "ep_success_buffer"]


@dataclass(frozen=True, kw_only=True)
class Sb3Config:
    """What the three have in common."""

    worlds: int = 8
    """Worlds played side by side, each of its own set of classes and load."""
    lanes: int = 8
    """Lanes a world."""
    redraw: int = 4
    """Updates after which the oldest world gives way to a new one."""
    scale: float = 10.0
    """Rewards are over the mean number of jobs in the system, and over this."""
    width: int = 32
    """Units in each layer of the scorer and of the critic."""
    prior: float = 2.0
    """Score with which `assignment`'s action starts ahead of the others; 0: from scratch."""
    learning_rate: float = 1e-3
    """Of the optimiser, all the time."""
    most_gradient: float = 0.5
    """Norm at which gradients are clipped."""
    device: str = "auto"
    """"auto": a GPU when there is one, else the CPU."""
    threads: int = 1
    """Of torch on the CPU."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in (int, "int"):
                require("sb3", field.name, value, "at least 1", value >= 1)
            elif field.name in ("scale", "learning_rate", "most_gradient", "tau", "clip"):
                require("sb3", field.name, value, "above 0", value > 0.0)
            elif field.name in ("prior", "entropy", "value"):
                require("sb3", field.name, value, "at least 0", value >= 0.0)
            elif field.name in ("gae", "exploration"):
                require("sb3", field.name, value, "from 0 to 1", np.min(value) >= 0.0 and np.max(value) <= 1.0)
        require("sb3", "width", self.width, f"at most {MOST_WIDTH}", self.width <= MOST_WIDTH)


@dataclass(frozen=True, kw_only=True)
class MaskablePpoConfig(Sb3Config):
    """How MaskablePPO trains; gamma is 1."""

    steps: int = 128
    """Decisions a lane and update."""
    epochs: int = 4
    """Passes over an update's decisions."""
    batch: int = 1024
    """Decisions a gradient step."""
    gae: float = 0.95
    """GAE's lambda, a decision."""
    clip: float = 0.2
    """How far a probability's ratio to the old one is followed."""
    entropy: float = 3e-3
    """The entropy's weight."""
    value: float = 0.5
    """The weight of the critic's loss."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require("sb3", "batch", self.batch, "at least 2", self.batch >= 2)
        decisions = self.worlds * self.lanes * self.steps
        rule = f"such that no gradient step of the {decisions} decisions (worlds x lanes x steps) has a single one"
        require("sb3", "batch", self.batch, rule, decisions % self.batch != 1)


@dataclass(frozen=True, kw_only=True)
class A2cConfig(Sb3Config):
    """How A2C trains; gamma is 1."""

    steps: int = 16
    """Decisions a lane and gradient step."""
    rollouts: int = 8
    """Gradient steps an update."""
    gae: float = 0.95
    """GAE's lambda, a decision."""
    entropy: float = 3e-3
    """The entropy's weight."""
    value: float = 0.5
    """The weight of the critic's loss."""

    def __post_init__(self) -> None:
        super().__post_init__()
        decisions = self.worlds * self.lanes * self.steps
        require("sb3", "worlds x lanes x steps", decisions, "at least 2", decisions >= 2)


@dataclass(frozen=True, kw_only=True)
class DqnConfig(Sb3Config):
    """How DQN trains; the discount is exp(-elapsed / tau)."""

    learning_rate: float = 3e-4
    """Of the optimiser, all the time."""
    prior: float = 0.5
    """What `assignment`'s action starts to be worth above the others; 0: from scratch."""
    most_gradient: float = 10.0
    """Norm at which gradients are clipped."""
    tau: float = 30.0
    """Mean services in which the weight of what is to come falls to 1 / e."""
    steps: int = 128
    """Decisions a lane and update."""
    every: int = 4
    """Decisions a lane between gradient steps."""
    gradients: int = 4
    """Gradient steps at a time."""
    batch: int = 256
    """Transitions a gradient step."""
    replay: int = 50_000
    """Transitions kept."""
    warmup: int = 5_000
    """Decisions before the first gradient step."""
    target: int = 5_000
    """Decisions between two updates of the target network."""
    exploration: tuple[float, float] = (0.1, 0.01)
    """Share of the decisions that are drawn at random, the first and the last one."""
    exploring: int = 500_000
    """Decisions in which it falls from the first to the last, in a line."""


class Sb3Training:
    """One of the three on its way, as a `agents.method.Method`: an update is a rollout and what is learned from it."""

    def __init__(self, config: MaskablePpoConfig | A2cConfig | DqnConfig, workloads: Workloads, seed: int = 0) -> None:
        self.name, make = _maker(config)
        self.config = config
        self.workloads = workloads
        self.seed = seed
        self.updates = 0
        start = initial_network(config.width, np.random.default_rng(seed), prior=config.prior)
        self.env = WorldsVecEnv(
            workloads, start, worlds=config.worlds, lanes=config.lanes, scale=config.scale, seed=seed
        )
        common = {
            "learning_rate": config.learning_rate,
            "max_grad_norm": config.most_gradient,
            "policy_kwargs": {"width": config.width, "prior": config.prior, "draw": seed},
            "device": pick_device(config.device),
            "seed": seed,
        }
        self.model: BaseAlgorithm = make(self.env, common)
        self.model.set_logger(Logger(None, []))

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
        """Play and learn for `steps` decisions a lane; return figures, "decisions" among them."""
        config, model = self.config, self.model
        torch.set_num_threads(config.threads)
        if self.updates and self.updates % config.redraw == 0:
            model._last_obs = self.env.redraw(self.network())
        before = model.num_timesteps
        steps = config.steps * (config.rollouts if isinstance(config, A2cConfig) else 1)
        learn: Any = model.learn  # whose every kind takes None for no log
        learn(steps * self.env.num_envs, reset_num_timesteps=False, log_interval=None)
        self.updates += 1
        told = {name.split("/")[-1]: float(value) for name, value in model.logger.name_to_value.items()}
        return {**told, "decisions": float(model.num_timesteps - before)}

    def save(self, path: Path) -> None:
        """Write all that the next update depends on, worlds and replay included, without a pickle."""
        self._write(path, whole=True)

    def save_model(self, path: Path) -> None:
        """Write a zip of Stable-Baselines3, which `sb3:FILE.zip` and the library's own `load` read.

        Its own `load` executes pickles, as always; `sb3:` reads our entries only.
        """
        buffer = io.BytesIO()
        self.model.save(buffer, exclude=UNSAVED)
        self._write(path, whole=False, own=buffer.getvalue())

    def load(self, path: Path) -> None:
        """Take up what `save` wrote: on the same machine all goes on as if it had never stopped.

        Raise FileFormatError where the file is none of `save`'s or damaged, ConfigError where it belongs to another
        configuration, other workloads or another seed. Nothing in it is executed.
        """
        state, about = read_state(path)
        if about.get("key") != self._key():
            raise ConfigError(f"{path}: model belongs to another configuration; remove it or name another")
        if state is None:
            raise FileFormatError(f"{path}: is a model only, not a training to go on with")
        try:
            restore_model(self.model, state["model"], self.env.restore(state["env"]))
            self.updates = int(about["updates"])
        except (KeyError, ValueError, TypeError, RuntimeError, IndexError) as error:
            raise FileFormatError(f"{path}: training is incomplete or damaged ({error})") from None

    def _write(self, path: Path, *, whole: bool, own: bytes | None = None) -> None:
        about = {
            "algorithm": self.name,
            "config": asdict(self.config),
            "workloads": asdict(self.workloads),
            "seed": self.seed,
            "updates": self.updates,
            "decisions": self.model.num_timesteps,
            "key": self._key(),
        }
        state = {"model": model_state(self.model), "env": self.env.state()} if whole else None
        write_model(path, about, self.network(), state, own)

    def _key(self) -> str:
        """Return what must be equal for a file to fit; where it is computed may differ."""
        config = {name: value for name, value in asdict(self.config).items() if name not in ("device", "threads")}
        return content_key(method=self.name, config=config, workloads=asdict(self.workloads), seed=self.seed)


def _maker(config: Any) -> tuple[str, Callable[[WorldsVecEnv, dict[str, Any]], BaseAlgorithm]]:
    """Return the name of a config's algorithm, and what makes it."""
    makers: dict[type, tuple[str, Callable[..., BaseAlgorithm]]] = {
        MaskablePpoConfig: ("maskable_ppo", _maskable_ppo),
        A2cConfig: ("a2c", _a2c),
        DqnConfig: ("dqn", _dqn),
    }
    if type(config) not in makers:
        known = ", ".join(kind.__name__ for kind in makers)
        raise ConfigError(f"sb3: config must be one of {known}, got {type(config).__name__}")
    name, make = makers[type(config)]
    return name, lambda env, common: make(config, env, common)


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
        PairQPolicy, env, exploration=config.exploration, exploring=config.exploring, buffer_size=config.replay,
        learning_starts=config.warmup, batch_size=config.batch, train_freq=config.every,
        gradient_steps=config.gradients, target_update_interval=config.target,
        replay_buffer_class=PackedReplayBuffer, replay_buffer_kwargs={"tau": config.tau}, **common,
    )  # fmt: skip
