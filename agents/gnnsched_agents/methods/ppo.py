"""Proximal policy optimisation (Schulman et al. 2017) on the native batch, over packed legal rows only.

An update plays some decisions in all lanes by sampling from the policy, estimates advantages (GAE, Schulman et al.
2016) with a discount in time, not in decisions, and ascends the clipped objective. Two things differ from standard PPO.
The critic sees more than the policy, including future jobs (an input-driven baseline is unbiased; Mao et al. 2019).
Advantages are normalised in each world, so that high loads, with their larger costs, do not dominate low ones.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gnnsched_agents.lanes import INSIGHTS, NUM_INSIGHTS, NUM_PRESENT, Lanes
from gnnsched_agents.methods.played_decisions import PlayedDecisions, gae, normalised
from gnnsched_agents.methods.registry import PpoConfig
from gnnsched_agents.torch_network import Critic, Packing, PairNetwork
from gnnsched_agents.worlds import Workloads
from gnnsched_baselines.learned.pair_features import FEATURES, NUM_FEATURES
from gnnsched_baselines.learned.pair_network import Network, initial_network, load_network
from gnnsched_env.common.disk_cache import content_key
from gnnsched_env.common.errors import FileFormatError, reason
from gnnsched_env.nn.checkpoint import arrays_of, read_checkpoint, write_checkpoint
from gnnsched_env.nn.device import pick_device

KIND = "ppo 1"  # kind and format of checkpoints
SCALE_RATE = 0.1  # rate at which the values' scale follows the returns', per update
ADAM_EPSILON = 1e-5
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
            start, _ = load_network(config.weights)
        self.actor = PairNetwork(start).to(self.device)
        self.critic = Critic(NUM_FEATURES + NUM_INSIGHTS, config.critic_width, self.rng).to(self.device)
        parameters = [{"params": list(module.parameters())} for module in (self.actor, self.critic)]
        self.optimizer = torch.optim.Adam(parameters, lr=config.learning_rate[0], eps=ADAM_EPSILON)
        self.updates = self.decisions = 0
        self.lanes = Lanes(workloads, config.worlds, config.lanes, self.rng, start)

    def network(self) -> Network:
        """Return the present policy's weights."""
        return self.actor.network()

    def update(self) -> dict[str, float]:
        """Play decisions, learn from them, and return figures: "decisions", mean "jobs" in the system, "kl" etc."""
        torch.set_num_threads(self.config.threads)
        config = self.config
        if self.updates and self.updates % config.redraw == 0:
            self.lanes.redraw(self.updates // config.redraw % config.worlds, self.network())
        done = min(1.0, self.decisions / config.falling)
        rate = _between(config.learning_rate, done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rollout, figures = self._play()
        self.critic.track(rollout.returns, SCALE_RATE)
        figures |= self._learn(rollout, _between(config.entropy, done))
        self.updates += 1
        self.decisions += len(rollout)
        return {"decisions": float(len(rollout)), "learning_rate": rate, **figures}

    @torch.no_grad()
    def _play(self) -> tuple[PlayedDecisions, dict[str, float]]:
        """Play `steps` decisions in each lane."""
        config, lanes = self.config, self.lanes
        shape = (config.steps, len(lanes))
        rewards, elapsed, values, log_probabilities = np.empty((4, *shape), np.float32)
        ended, chosen, sizes = np.empty(shape, np.bool_), np.empty(shape, np.int64), np.empty(shape, np.int64)
        rows, views = [], []
        for t in range(config.steps):
            packing, seen, view = self._look()
            sizes[t] = packing.sizes.cpu().numpy()
            rows.append(seen)
            views.append(view)
            values[t] = self.critic.values(view).cpu().numpy()
            log_rows = packing.log_softmax(self.actor(seen, packing))
            noise = self._tensor(self.rng.standard_exponential(len(seen), np.float32))
            taken = packing.sample(log_rows, noise)
            log_probabilities[t] = log_rows[taken].cpu().numpy()
            rows_taken = taken.cpu().numpy()
            chosen[t] = rows_taken - lanes.starts[:-1]
            rewards[t], elapsed[t], ended[t] = lanes.step(rows_taken)
        last_values = self.critic.values(self._look()[2]).cpu().numpy()
        discounts = np.where(ended, 0.0, np.exp(-elapsed / config.tau)).astype(np.float32)
        advantages = gae(rewards, discounts, values, last_values, config.gae)
        rollout = PlayedDecisions(
            rows=torch.cat(rows),
            starts=self._tensor(np.concatenate([[0], sizes.cumsum()])),
            chosen=self._tensor(chosen),
            log_probabilities=self._tensor(log_probabilities),
            views=torch.cat(views),
            advantages=self._tensor(normalised(advantages, config.worlds, config.most_advantage)),
            returns=self._tensor(advantages + values),
        )
        unexplained = float(np.var(advantages) / max(1e-12, float(np.var(advantages + values))))
        return rollout, {
            "jobs": -float(rewards.sum() / max(1e-9, float(elapsed.sum()))),  # jobs in the system, on average
            "explained": 1.0 - unexplained,
            "ended": float(ended.sum()),
            "rows": float(sizes.mean()),
            "advantage": float(advantages.std()),
        }

    def _learn(self, rollout: PlayedDecisions, entropy_weight: float) -> dict[str, float]:
        """Take gradient steps until all epochs are done or the policy has moved far enough; return means of figures."""
        steps: list[dict[str, float]] = []
        epochs, moved = 0, 0.0
        while epochs < self.config.epochs and moved <= self.config.kl:
            epoch = [
                self._climb(rollout, *batch, entropy_weight) for batch in rollout.batches(self.config.batch, self.rng)
            ]
            epochs, moved = epochs + 1, float(np.mean([figures["kl"] for figures in epoch]))
            steps += epoch
        means = {name: float(np.mean([figures[name] for figures in steps])) for name in steps[0]}
        return {**means, "kl": moved, "epochs": float(epochs)}

    def _climb(
        self, rollout: PlayedDecisions, part: Tensor, rows: Tensor, packing: Packing, entropy_weight: float
    ) -> dict[str, float]:
        """Take one gradient step on a batch of decisions; return its figures."""
        log_rows = packing.log_softmax(self.actor(rollout.rows[rows], packing))
        first = packing.sizes.cumsum(0) - packing.sizes
        log_ratios = log_rows[first + rollout.chosen[part]] - rollout.log_probabilities[part]
        gain = clipped_gain(log_ratios, rollout.advantages[part], self.config.clip)
        entropy = packing.entropy(log_rows).mean()
        target = self.critic.standardised(rollout.returns[part])
        miss = nn.functional.huber_loss(self.critic(rollout.views[part]), target)
        self.optimizer.zero_grad()
        torch.autograd.backward(miss - gain - entropy_weight * entropy)
        for module in (self.actor, self.critic):
            nn.utils.clip_grad_norm_(module.parameters(), self.config.most_gradient)
        self.optimizer.step()
        with torch.no_grad():
            change = log_ratios.expm1()
            kl, clipped = (change - log_ratios).mean(), change.abs().gt(self.config.clip).float().mean()
        figures = {"kl": kl, "clipped": clipped, "gain": gain, "value_loss": miss, "entropy": entropy}
        return {name: float(value.detach()) for name, value in figures.items()}

    def _look(self) -> tuple[Packing, Tensor, Tensor]:
        """Return the packing, the lanes' rows, and the critic's inputs [L, D]: the rows' means and the insights."""
        lanes = self.lanes
        lanes.describe()
        packing = Packing.of(torch.from_numpy(np.diff(lanes.starts)).to(self.device))
        rows = torch.from_numpy(lanes.rows).to(self.device)
        insights = lanes.insights.copy()
        if not self.config.foresight:
            insights[:, NUM_PRESENT:] = 0.0
        return packing, rows, torch.cat([packing.mean(rows), torch.from_numpy(insights).to(self.device)], dim=1)

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        """Return the values of [T, L] decisions as a flat tensor on the device."""
        return torch.from_numpy(values.reshape(-1)).to(self.device)

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
        try:
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            self.lanes.restore(arrays_of(state["worlds"]))
            self.rng.bit_generator.state = json.loads(state["rng"])
            self.updates, self.decisions = state["counters"]
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise FileFormatError(f"{path}: the checkpoint is incomplete or damaged ({reason(error)})") from None

    def _parts(self) -> dict[str, Any]:
        return {"actor": self.actor, "critic": self.critic, "optimizer": self.optimizer}

    def _key(self) -> str:
        """Return the settings in which a checkpoint and this training must agree; device and threads may differ."""
        free = ("device", "threads", "weights")
        config = {name: value for name, value in asdict(self.config).items() if name not in free}
        return content_key(config=config, workloads=asdict(self.workloads), features=[*FEATURES, *INSIGHTS])


def clipped_gain(log_ratios: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """Return the mean of min(ratio x advantage, clipped ratio x advantage), with the ratio clipped to 1 +- `clip`."""
    ratios = log_ratios.exp()
    return torch.minimum(ratios * advantages, ratios.clamp(1.0 - clip, 1.0 + clip) * advantages).mean()


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share
