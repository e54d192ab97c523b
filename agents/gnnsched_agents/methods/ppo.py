"""Proximal policy optimisation (Schulman et al. 2017) on the native batch, over packed legal rows only.

An update plays some decisions in all lanes by sampling from the policy, estimates advantages (GAE, Schulman et al.
2016) with a discount in time, not in decisions, and ascends the clipped objective. Two things differ from standard PPO.
The critic sees more than the policy, including future jobs (an input-driven baseline is unbiased; Mao et al. 2019).
Advantages are normalised in each world, so that high loads, with their larger costs, do not dominate low ones.
"""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gnnsched_agents.first_weights import first_weights
from gnnsched_agents.lane_insights import INSIGHTS
from gnnsched_agents.lanes import Lanes
from gnnsched_agents.methods.pair_gradients import FIGURES, PairGradient
from gnnsched_agents.methods.played_decisions import VIEW, PlayedDecisions
from gnnsched_agents.methods.registry import PpoConfig
from gnnsched_agents.torch_network import Critic, Packing, PairNetwork
from gnnsched_agents.worlds import Workloads
from gnnsched_baselines.learned.pair_features import FEATURES
from gnnsched_baselines.learned.pair_network import Network, initial_network
from gnnsched_env.common.checks import require
from gnnsched_env.common.disk_cache import content_key
from gnnsched_env.common.files import reading
from gnnsched_env.common.policy import FloatArray, IntArray
from gnnsched_env.nn.checkpoint import arrays_of, read_checkpoint, write_checkpoint
from gnnsched_env.nn.device import pick_device
from gnnsched_env.nn.schedule import set_rate

T = TypeVar("T")
KIND = "ppo 3"  # kind and format of checkpoints
SCALE_RATE = 0.1  # rate at which the values' scale follows the returns', per update
ADAM_EPSILON = 1e-5
GROUPS = 4  # of worlds whose gradients are computed at once: threads share them, and fewer would be shared worse
STREAM = 0x990  # separates these draws from other streams with the same seed


class Ppo:
    """Trains a network; `update` is one iteration. All random draws come from one numpy generator."""

    def __init__(self, config: PpoConfig, workloads: Workloads, seed: int) -> None:
        """Begin with the config's weights, or a network that decides as `assignment` does; `seed` determines all draws.

        Raise ConfigError if the device cannot be used, and the errors of `load_network` for the weights.
        """
        self.workloads = workloads
        self.config = config
        self.device = pick_device(config.device)
        self.rng = np.random.default_rng((seed, STREAM))
        start = initial_network(config.width, self.rng, prior=config.prior)
        if config.weights is not None:
            start = first_weights("ppo", config.weights, workloads)
        self.actor = PairNetwork(start).to(self.device)
        self.averaged = PairNetwork(start).to(self.device)
        self.critic = Critic(VIEW, config.critic_width, self.rng).to(self.device)
        parameters = [{"params": list(module.parameters())} for module in (self.actor, self.critic)]
        self.optimizer = torch.optim.Adam(parameters, lr=config.learning_rate[0], eps=ADAM_EPSILON, fused=True)
        self.updates = self.decisions = 0
        self.lanes = Lanes(workloads, config.worlds, config.lanes, self.rng, start)
        rule = "one whose jobs are drawn: PPO does not train on traces"
        drawn = all(world.simulation.feed is None for world in self.lanes.worlds)
        require("workloads", "scenario", workloads.scenario, "" if drawn else rule)
        self.played = PlayedDecisions(config.worlds, config.lanes, config.steps)
        self.gradients = [PairGradient(len(start.b1)) for _ in range(min(GROUPS, config.worlds))]
        self._pool = ThreadPoolExecutor(config.threads, initializer=torch.set_num_threads, initargs=(1,))

    def network(self) -> Network:
        """Return the average of the policy's weights over the latest updates."""
        return self.averaged.network()

    def update(self) -> dict[str, float]:
        """Play decisions, learn from them, and return figures: "decisions", mean "jobs" in the system, "kl" etc."""
        if self.updates and self.updates % self.config.redraw == 0:
            self.lanes.redraw(self.updates // self.config.redraw % self.config.worlds, self.actor.network())
        figures = {"decisions": float(len(self.played)), **self.play(), **self.learn()}
        self.updates += 1
        self._average(max(1.0 - self.config.average, 1.0 / self.updates))
        self.decisions += len(self.played)
        return figures

    @torch.no_grad()
    def _average(self, rate: float) -> None:
        """Move the average towards the present weights by a rate: the mean at first, then one that forgets."""
        for kept, now in zip(self.averaged.parameters(), self.actor.parameters(), strict=True):
            kept.lerp_(now, rate)

    def play(self) -> dict[str, float]:
        """Play `steps` decisions in each lane, estimate advantages, and return figures."""
        config, played = self.config, self.played
        network = self.actor.network()
        uniforms = self.rng.random((config.worlds, config.steps, config.lanes))
        self._each(
            lambda world: played.play(self.lanes, world, network, uniforms[world], foresight=config.foresight),
            range(config.worlds),
        )
        [values] = self._each(self._values, [0])
        return played.estimate(values, config.tau, config.gae, config.most_advantage)

    @torch.no_grad()
    def _values(self, _: int) -> FloatArray:
        """Return the critic's values of all views, in one batch."""
        values: FloatArray = self.critic.values(self._tensor(self.played.views)).cpu().numpy()
        return values

    def learn(self) -> dict[str, float]:
        """Take gradient steps until all epochs are done or the policy has moved far enough; return means of figures."""
        config, done = self.config, min(1.0, self.decisions / self.config.falling)
        rate, entropy_weight = _between(config.learning_rate, done), _between(config.entropy, done)
        set_rate(self.optimizer, rate)
        self._each(lambda _: self.critic.track(self._tensor(self.played.returns), SCALE_RATE), [0])
        steps: list[dict[str, float]] = []
        epochs, moved = 0, 0.0
        while epochs < config.epochs and moved <= config.kl:
            epoch = [self._climb(batch, entropy_weight) for batch in self.played.batches(config.batch, self.rng)]
            epochs, moved = epochs + 1, float(np.mean([figures["kl"] for figures in epoch]))
            steps += epoch
        means = {name: float(np.mean([figures[name] for figures in steps])) for name in steps[0]}
        return {**means, "kl": moved, "epochs": float(epochs), "learning_rate": rate}

    def _climb(self, batch: list[IntArray], entropy_weight: float) -> dict[str, float]:
        """Take one gradient step on a batch, numbers of decisions in each world; return its figures."""
        self.optimizer.zero_grad()
        descend = self._compiled if self.device.type == "cpu" else self._autograd
        figures = descend(batch, entropy_weight)
        for module in (self.actor, self.critic):
            nn.utils.clip_grad_norm_(module.parameters(), self.config.most_gradient)
        self.optimizer.step()
        return figures

    def _compiled(self, batch: list[IntArray], entropy_weight: float) -> dict[str, float]:
        """Set all gradients, worlds and critic in threads; return figures."""
        total = sum(map(len, batch))
        weights = tuple(parameter.detach() for parameter in self.actor.parameters())
        decisions = [self.played.decisions(world, part) for world, part in enumerate(batch)]
        groups = [decisions[number :: len(self.gradients)] for number in range(len(self.gradients))]

        def learn(task: int) -> Any:
            if task == len(groups):
                return self._value_loss(batch)
            return self.gradients[task](groups[task], weights, self.config.clip, entropy_weight, 1.0 / total)

        miss, *parts = self._each(learn, [len(groups), *range(len(groups))])
        for parameter, *gradients in zip(self.actor.parameters(), *(part[0] for part in parts), strict=True):
            parameter.grad = torch.stack(gradients).sum(0)
        sums = sum(part[1] for part in parts) / total
        return {**dict(zip(FIGURES, map(float, sums), strict=True)), "value_loss": miss}

    def _autograd(self, batch: list[IntArray], entropy_weight: float) -> dict[str, float]:
        """Do as `_compiled` by torch's autograd on the device."""
        played, clip = self.played, self.config.clip
        of_worlds = list(zip(played.rows, played.starts, batch, strict=True))
        sizes = np.concatenate([starts[part + 1] - starts[part] for _, starts, part in of_worlds])
        rows = [rows[starts[i] : starts[i + 1]] for rows, starts, part in of_worlds for i in part]
        packing = Packing.of(self._tensor(sizes))
        log_rows = packing.log_softmax(self.actor(self._tensor(np.concatenate(rows)), packing))
        of_batch = (played.chosen, played.log_probabilities, played.advantages)
        chosen, old_logs, advantages = (self._tensor(_of(values, batch)) for values in of_batch)
        log_ratios = log_rows[packing.sizes.cumsum(0) - packing.sizes + chosen] - old_logs
        gain, entropy = clipped_gain(log_ratios, advantages, clip), packing.entropy(log_rows).mean()
        torch.autograd.backward(-gain - entropy_weight * entropy)
        change = log_ratios.detach().expm1()
        kl, clipped = (change - log_ratios).mean(), change.abs().gt(clip).float().mean()
        figures = dict(zip(FIGURES, (float(value.detach()) for value in (kl, clipped, gain, entropy)), strict=True))
        return {**figures, "value_loss": self._value_loss(batch)}

    def _value_loss(self, batch: list[IntArray]) -> float:
        """Set the critic's gradients; return its loss."""
        target = self.critic.standardised(self._tensor(_of(self.played.returns, batch)))
        miss = nn.functional.huber_loss(self.critic(self._tensor(_of(self.played.views, batch))), target)
        torch.autograd.backward(miss)
        return float(miss.detach())

    def _each(self, function: Callable[[int], T], tasks: Iterable[int]) -> list[T]:
        """Return what a function returns for each task, in their order; they run in the threads.

        A task's own work is in one of torch's threads, so that nothing depends on how many there are.
        """
        return list(self._pool.map(function, tasks))

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        """Return the values as a tensor on the device."""
        return torch.from_numpy(values).to(self.device)

    def save(self, path: Path) -> None:
        """Write everything that the next update depends on, with the worlds' state; the write is atomic."""
        state = {
            "counters": (self.updates, self.decisions),
            "rng": json.dumps(self.rng.bit_generator.state),
            "worlds": self.lanes.state(),
            **{name: part.state_dict() for name, part in self._parts().items()},
        }
        write_checkpoint(path, KIND, self._key(), state)

    def load(self, path: Path) -> None:
        """Restore what `save` wrote; on the same machine the training continues as if it had never stopped.

        Raise FileFormatError if `save` did not write the file or it is damaged, and ConfigError if it belongs to
        another configuration or other workloads.
        """
        state = read_checkpoint(path, KIND, self._key(), self.device)
        with reading(str(path), "the checkpoint"):
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            self.lanes.restore(arrays_of(state["worlds"]))
            self.rng.bit_generator.state = json.loads(state["rng"])
            self.updates, self.decisions = state["counters"]

    def _parts(self) -> dict[str, Any]:
        parts = {"actor": self.actor, "averaged": self.averaged, "critic": self.critic}
        return parts | {"optimizer": self.optimizer}

    def _key(self) -> str:
        """Return the settings in which a checkpoint and this training must agree; device and threads may differ."""
        free = ("device", "threads", "weights")
        config = {name: value for name, value in asdict(self.config).items() if name not in free}
        return content_key(config=config, workloads=asdict(self.workloads), features=[*FEATURES, *INSIGHTS])


def clipped_gain(log_ratios: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """Return the mean of min(ratio x advantage, clipped ratio x advantage), with the ratio clipped to 1 +- `clip`."""
    ratios = log_ratios.exp()
    return torch.minimum(ratios * advantages, ratios.clamp(1.0 - clip, 1.0 + clip) * advantages).mean()


def _of(values: NDArray[Any], batch: list[IntArray]) -> NDArray[Any]:
    """Return the values [W, N, ...] of a batch's decisions, world by world."""
    return np.concatenate([own[part] for own, part in zip(values, batch, strict=True)])


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share
