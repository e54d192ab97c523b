"""PPO in one file, in the style of CleanRL, on the native batch and the observation "pairs".

    python examples/ppo.py                          # five minutes on one core
    python examples/ppo.py --steps 200000 --seed 1

The lanes are divided among scenarios with other classes of jobs and other loads: what is learnt on one workload alone
does not carry over. Every action is a row of features, so one small network scores all rows, and actions are drawn from
the softmax of the scores of those that are legal. Decisions are not evenly spaced in time, so nothing is discounted
(gamma 1), and returns are mean completion times, so rewards need no scaling. What a decision costs shows many decisions
later, so lambda is near 1.
"""

from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
import torch
import tyro
from torch import nn

import gnnsched_baselines  # noqa: F401 (registers the heuristics)
import gnnsched_env
from gnnsched_env.evaluation import LearningCurve
from gnnsched_env.scenario import load_scenario, varied_scenarios


@dataclass
class Args:
    """Train by PPO, then compare with heuristics on episodes that training never plays."""

    scenario: str = "hetero4"
    """A preset or the path of a scenario's TOML file."""
    scenarios: int = 32
    """Number of scenarios to train on, varied from that one; 0 trains on that one alone."""
    load: float = 0.8
    """Load to test at; varied scenarios have loads from 0.4 to 1."""
    jobs: int = 200
    """Number of jobs per training episode."""
    window: int = 32
    """Number of waiting jobs that the agent sees."""
    steps: int = 10_000_000
    """Number of decisions to train on."""
    seed: int = 0
    """Seed of the weights, of the actions and of the episodes."""
    lanes: int = 64
    """Number of environments in the batch."""
    rollout: int = 64
    """Number of decisions per environment and update."""
    minibatch: int = 1024
    """Number of decisions per gradient step."""
    epochs: int = 3
    """Number of passes over the decisions of an update."""
    learning_rate: float = 2e-3
    """First learning rate; it falls linearly to a twentieth."""
    gae_lambda: float = 0.99
    """Lambda of generalised advantage estimation, per decision."""
    clip: float = 0.2
    """Clipping range of a probability's ratio to the old one."""
    entropy: float = 0.0
    """Weight of the entropy bonus."""
    width: int = 32
    """Number of units in each layer."""
    test_episodes: int = 20
    """Number of episodes of 1,000 jobs to compare on."""
    test_graphs: tuple[Path, ...] = ()
    """Graph files (.npz), one mix, whose jobs to compare on too; training has none of them."""
    curve: Path | None = None
    """JSON file for the learning curve."""


class Agent(nn.Module):
    """Scores the legal rows of each decision, and estimates its return from their mean.

    `rows` float32 [n, F] are the legal rows of all decisions, one decision after the other; `owner` int64 [n] says
    which decision a row belongs to.
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, width)
        self.second = nn.Linear(width, width)
        self.pooled = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1)
        self.value = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, 1))
        nn.init.zeros_(self.score.weight)  # the first policy is uniform

    def forward(self, rows: torch.Tensor, owner: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows' log-probabilities among those of their decision [n], and the decisions' values [count]."""
        hidden = torch.relu(self.first(rows))
        sizes = torch.bincount(owner, minlength=count).unsqueeze(1)
        mean = torch.zeros(count, hidden.shape[1]).index_add(0, owner, hidden) / sizes
        both = torch.relu(self.second(hidden) + self.pooled(mean)[owner])
        scores = self.score(both).squeeze(1).clamp(-20.0, 20.0)
        logs = scores - torch.zeros(count).index_add(0, owner, scores.exp()).log()[owner]
        return logs, self.value(mean).squeeze(1)


@dataclass
class Rollout:
    """The decisions of one update, in order of time and then of lanes; their legal rows stand one after the other."""

    rows: torch.Tensor
    """Legal rows, float32 [n, F]."""
    starts: np.ndarray
    """The first row of each decision, int64 [decisions]."""
    sizes: np.ndarray
    """The number of its rows."""
    chosen: np.ndarray
    """The row that was taken."""
    logs: np.ndarray
    """Its log-probability then, float32."""
    advantages: np.ndarray
    returns: np.ndarray


def train(args: Args) -> Agent:
    """Return a trained agent, printing how the training goes and how the agent compares."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(args.seed)
    scenario: object = load_scenario(args.scenario).with_options(load=args.load)
    if args.scenarios:
        scenario = varied_scenarios(args.scenario, args.scenarios, seed=args.seed)
    envs = gymnasium.make_vec(
        "gnnsched/Queue-v0", num_envs=args.lanes, scenario=scenario, jobs=args.jobs, window=args.window,
        dataflow="predicted_best", observation="pairs", autoreset_mode="SameStep", copy=False,
    )  # fmt: skip
    observation, infos = envs.reset(seed=args.seed)
    agent = Agent(observation.shape[2], args.width)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5, fused=True)
    updates = max(1, args.steps // (args.rollout * args.lanes))
    options = {"load": args.load, "jobs": 1_000, "window": args.window, "dataflow": "predicted_best"}
    curve = LearningCurve.on(
        load_scenario(args.scenario).with_options(**options), args.test_graphs, episodes=args.test_episodes,
        every=max(1, args.steps // 15), file=args.curve,
    )  # fmt: skip
    recent: list[float] = []
    for update in range(updates):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - 0.95 * update / updates)
        rows, sizes, chosen, logs = [], [], [], []
        values, rewards, ended = np.zeros((3, args.rollout + 1, args.lanes), np.float32)
        for t in range(args.rollout + 1):
            mask = infos["action_mask"].astype(bool)
            owner, actions = np.nonzero(mask)
            legal = torch.from_numpy(observation[mask])
            with torch.no_grad():
                log, value = agent(legal, torch.from_numpy(owner), args.lanes)
            values[t] = value
            if t == args.rollout:  # only the values are needed of what follows the last decision
                break
            count = mask.sum(axis=1)
            noisy = log.numpy() + rng.gumbel(size=len(owner))
            best = np.maximum.reduceat(noisy, np.cumsum(count) - count)
            taken = np.flatnonzero(noisy == best[owner])  # a row of each lane, drawn with its probability
            chosen.append(taken + sum(map(len, rows)))
            rows.append(legal)
            sizes.append(count)
            logs.append(log.numpy()[taken])
            observation, rewards[t], ended[t], _, infos = envs.step(actions[taken])
            if "episode" in infos:
                recent += infos["episode"]["r"][infos["_episode"]].tolist()
        advantages, last = np.zeros((args.rollout, args.lanes), np.float32), np.zeros(args.lanes, np.float32)
        for t in reversed(range(args.rollout)):
            last = rewards[t] + (1 - ended[t]) * (values[t + 1] + args.gae_lambda * last) - values[t]
            advantages[t] = last
        sizes = np.concatenate(sizes)
        rollout = Rollout(
            torch.cat(rows), np.cumsum(sizes) - sizes, sizes, np.concatenate(chosen), np.concatenate(logs),
            advantages.ravel(), (advantages + values[:-1]).ravel(),
        )  # fmt: skip
        learn(agent, optimizer, args, rng, rollout)
        done = (update + 1) * args.rollout * args.lanes
        if curve.due(done):
            explained = 1 - rollout.advantages.var() / rollout.returns.var()
            print(f"return {np.mean(recent[-200:] or np.nan):7.3f}  explained variance {explained:5.2f}", end="  ")
            curve.measure(Trained(agent), done)
    envs.close()
    curve.report(Trained(agent), updates * args.rollout * args.lanes)
    return agent


def learn(agent: Agent, optimizer: torch.optim.Optimizer, args: Args, rng: np.random.Generator, of: Rollout) -> None:
    """Take the gradient steps of one update."""
    for _ in range(args.epochs):
        for batch in np.array_split(rng.permutation(len(of.sizes)), max(1, len(of.sizes) // args.minibatch)):
            sizes = of.sizes[batch]
            first = np.cumsum(sizes) - sizes
            owner = np.repeat(np.arange(len(batch)), sizes)
            places = np.arange(len(owner)) + (of.starts[batch] - first)[owner]
            logs, values = agent(of.rows[torch.from_numpy(places)], torch.from_numpy(owner), len(batch))
            log = logs[torch.from_numpy(of.chosen[batch] - of.starts[batch] + first)]
            ratio = (log - torch.from_numpy(of.logs[batch])).exp()
            advantage = torch.from_numpy(of.advantages[batch])
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            gain = torch.min(ratio * advantage, ratio.clamp(1 - args.clip, 1 + args.clip) * advantage).mean()
            error = (values - torch.from_numpy(of.returns[batch])).square().mean()
            loss = -gain + 0.5 * error
            if args.entropy:
                loss = loss + args.entropy * (logs.exp() * logs).sum() / len(batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()


class Trained:
    """The agent as a policy: it waits where that is likelier than all jobs together, else starts the likeliest job."""

    knowledge = gnnsched_env.Knowledge.PREDICTED
    observation = "pairs"

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def act(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return an action for each lane."""
        logs = np.full(mask.shape, -np.inf, np.float32)
        with torch.no_grad():
            owner = torch.from_numpy(np.nonzero(mask)[0])
            logs[mask] = self.agent(torch.from_numpy(observation[mask]), owner, len(mask))[0]
        waits = np.exp(logs[:, -1]) > 0.5  # many jobs share the probability of starting one
        return np.where(waits, mask.shape[1] - 1, logs[:, :-1].argmax(axis=1))


if __name__ == "__main__":
    train(tyro.cli(Args))
