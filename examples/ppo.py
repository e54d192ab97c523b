"""PPO in one file, in the style of CleanRL, on the native batch and the observation "pairs".

    python examples/ppo.py                          # four minutes on one core
    python examples/ppo.py --steps 200000 --seed 1

Every action is a row of features, so one small network scores all rows, and actions are drawn from the softmax of the
scores of those that are legal. What is peculiar to this problem: decisions are not evenly spaced in time, so nothing is
discounted (gamma 1); returns are mean completion times, so rewards need no scaling; an episode starts with an empty fleet,
so lanes begin at different depths of an episode by themselves after the first one.
"""

import time
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
import tyro
from torch import nn

import gnnsched_env
from gnnsched_baselines import make_policy
from gnnsched_env.evaluation import run_policy
from gnnsched_env.scenario import load_scenario, scenario_table


@dataclass
class Args:
    """Train by PPO, then compare with heuristics on episodes that training never plays."""

    scenario: str = "hetero4"
    """A preset or the path of a scenario's TOML file."""
    load: float = 0.8
    """Load to train and to test at."""
    jobs: int = 200
    """Number of jobs per training episode."""
    window: int = 16
    """Number of waiting jobs that the agent sees."""
    steps: int = 3_000_000
    """Number of decisions to train on."""
    seed: int = 0
    """Seed of the weights, of the actions and of the episodes."""
    lanes: int = 64
    """Number of environments in the batch."""
    rollout: int = 64
    """Number of decisions per environment and update."""
    minibatch: int = 512
    """Number of decisions per gradient step."""
    epochs: int = 4
    """Number of passes over the decisions of an update."""
    learning_rate: float = 2e-3
    """First learning rate; it falls linearly to a twentieth."""
    gae_lambda: float = 0.95
    """Lambda of generalised advantage estimation, per decision."""
    clip: float = 0.2
    """Clipping range of a probability's ratio to the old one."""
    entropy: float = 0.0
    """Weight of the entropy bonus."""
    width: int = 32
    """Number of units in each layer."""
    test_episodes: int = 20
    """Number of episodes of 1,000 jobs to compare on."""


class Agent(nn.Module):
    """Scores the legal rows of each decision, and estimates its return from their mean.

    `rows` float32 [n, F] are the legal rows of all decisions, one decision after the other; `owner` int64 [n] says which
    decision a row belongs to.
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, width)
        self.second = nn.Linear(2 * width, width)
        self.score = nn.Linear(width, 1)
        self.value = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, 1))
        nn.init.zeros_(self.score.weight)  # the first policy is uniform

    def forward(self, rows: torch.Tensor, owner: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows' scores [n] and the decisions' values [count]."""
        hidden = torch.relu(self.first(rows))
        sizes = torch.bincount(owner, minlength=count).clamp(min=1).unsqueeze(1)
        pooled = torch.zeros(count, hidden.shape[1]).index_add(0, owner, hidden) / sizes
        both = torch.relu(self.second(torch.cat([hidden, pooled[owner]], dim=1)))
        return self.score(both).squeeze(1), self.value(pooled).squeeze(1)


def log_softmax(scores: torch.Tensor, owner: torch.Tensor, count: int) -> torch.Tensor:
    """Return the log-probability of each row among those of its decision."""
    highest = torch.full((count,), -torch.inf).scatter_reduce(0, owner, scores.detach(), "amax")
    shifted = scores - highest[owner]
    return shifted - torch.zeros(count).index_add(0, owner, shifted.exp()).log()[owner]


def pack(observation: np.ndarray, mask: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the legal rows of [decisions, actions, F], and the decision of each."""
    return torch.from_numpy(observation[mask]), torch.from_numpy(np.nonzero(mask)[0])


def train(args: Args) -> Agent:
    """Return a trained agent, printing how the training goes."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(args.seed)
    envs = gymnasium.make_vec(
        "gnnsched/Queue-v0", num_envs=args.lanes, scenario=args.scenario, load=args.load, jobs=args.jobs,
        window=args.window, dataflow="predicted_best", observation="pairs", autoreset_mode="SameStep", copy=False,
    )  # fmt: skip
    observation, infos = envs.reset(seed=args.seed)
    actions, features = observation.shape[1:]
    agent = Agent(features, args.width)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)
    shape = (args.rollout, args.lanes)
    rows, masks = np.zeros((*shape, actions, features), np.float32), np.zeros((*shape, actions), bool)
    chosen, logs, values = np.zeros(shape, np.int64), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    rewards, ended = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    updates = max(1, args.steps // (args.rollout * args.lanes))
    started, recent = time.perf_counter(), []
    for update in range(updates):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - 0.95 * update / updates)
        for t in range(args.rollout):
            rows[t], masks[t] = observation, infos["action_mask"]
            with torch.no_grad():
                scores, value = agent(*pack(rows[t], masks[t]), args.lanes)
            log = np.full((args.lanes, actions), -np.inf, np.float32)
            log[masks[t]] = log_softmax(scores, pack(rows[t], masks[t])[1], args.lanes)
            chosen[t] = (log + rng.gumbel(size=log.shape)).argmax(axis=1)
            logs[t] = np.take_along_axis(log, chosen[t][:, None], axis=1)[:, 0]
            values[t] = value
            observation, rewards[t], ended[t], _, infos = envs.step(chosen[t])
            if "episode" in infos:
                recent += infos["episode"]["r"][infos["_episode"]].tolist()
        with torch.no_grad():
            following = agent(*pack(observation, infos["action_mask"].astype(bool)), args.lanes)[1].numpy()
        advantages, last = np.zeros(shape, np.float32), np.zeros(args.lanes, np.float32)
        for t in reversed(range(args.rollout)):
            later = following if t == args.rollout - 1 else values[t + 1]
            last = rewards[t] + (1 - ended[t]) * (later + args.gae_lambda * last) - values[t]
            advantages[t] = last
        learn(agent, optimizer, args, rng, rows, masks, chosen, logs, advantages, advantages + values)
        if update % max(1, updates // 20) == 0 or update == updates - 1:
            done, seconds = (update + 1) * args.rollout * args.lanes, time.perf_counter() - started
            explained = 1 - (advantages.var() / (advantages + values).var())
            mean = np.mean(recent[-200:]) if recent else np.nan
            print(
                f"{done:>9,} decisions  {done / seconds:>7,.0f} a second  return {mean:7.3f}  "
                f"explained variance {explained:5.2f}",
                flush=True,
            )
    envs.close()
    return agent


def learn(agent, optimizer, args, rng, rows, masks, chosen, logs, advantages, returns) -> None:
    """Take the gradient steps of one update."""
    rows, masks = rows.reshape(-1, *rows.shape[2:]), masks.reshape(-1, masks.shape[2])
    chosen, logs, advantages, returns = (array.reshape(-1) for array in (chosen, logs, advantages, returns))
    for _ in range(args.epochs):
        for batch in np.array_split(rng.permutation(len(rows)), max(1, len(rows) // args.minibatch)):
            mask = masks[batch]
            packed, owner = pack(rows[batch], mask)
            scores, values = agent(packed, owner, len(batch))
            log = log_softmax(scores, owner, len(batch))
            places = np.cumsum(mask.ravel()).reshape(mask.shape)[np.arange(len(batch)), chosen[batch]] - 1
            ratio = (log[torch.from_numpy(places)] - torch.from_numpy(logs[batch])).exp()
            advantage = torch.from_numpy(advantages[batch])
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            gain = torch.min(ratio * advantage, ratio.clamp(1 - args.clip, 1 + args.clip) * advantage).mean()
            error = (values - torch.from_numpy(returns[batch])).square().mean()
            entropy = -(log.exp() * log).sum() / len(batch)
            loss = -gain + 0.5 * error - args.entropy * entropy
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()


class Trained:
    """The agent as a policy: the action of the highest score."""

    knowledge = gnnsched_env.Knowledge.PREDICTED
    observation = "pairs"

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def act(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return an action for each lane."""
        scores = np.full(mask.shape, -np.inf, np.float32)
        with torch.no_grad():
            scores[mask] = self.agent(*pack(observation, mask), len(mask))[0]
        return scores.argmax(axis=1)


def compare(agent: Agent, args: Args) -> None:
    """Print mean completion times on test episodes, over that of `sjf`."""
    options = {"load": args.load, "jobs": 1_000, "window": args.window, "dataflow": "predicted_best"}
    scenario = load_scenario(args.scenario).with_options(**options)
    table = scenario_table(scenario)
    factories = {"this agent": lambda layout, table: Trained(agent)}
    for name in ("random", "sjf", "min_min", "assignment"):
        factories[name] = lambda layout, table, name=name: make_policy(name, layout, table=table)
    seeds = {"seed": 0, "episodes": args.test_episodes, "dispatch": False}
    means = {
        name: run_policy(made, scenario, table, **seeds).per_episode("completion").mean()
        for name, made in factories.items()
    }
    for name, mean in sorted(means.items(), key=lambda item: item[1]):
        print(f"{name:<12} {mean / 1e3:8.1f} thousand cycles  {mean / means['sjf']:.3f} of sjf")


if __name__ == "__main__":
    arguments = tyro.cli(Args)
    compare(train(arguments), arguments)
