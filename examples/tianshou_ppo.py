"""Train Tianshou's PPO from scratch, and compare it with heuristics in test episodes.

    python examples/tianshou_ppo.py --steps 200000

It needs the extra `adapters`. Tianshou steps single environments one by one, so it is slower than the other examples.
Its on-policy algorithms do not look at masks, and need not: the rows of features (observation="pairs") tell which
actions are legal, and the networks give illegal ones no probability.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import torch
import tyro
from tianshou.algorithm.modelfree.ppo import PPO
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.utils.net.common import ActionReprNet
from tianshou.utils.torch_utils import policy_within_training_step
from torch import nn
from torch.distributions import Categorical

import gnnsched_baselines  # noqa: F401 (registers the heuristics)
from gnnsched_agents import PairActorCritic, PairRowsPolicy
from gnnsched_env.evaluation import LearningCurve
from gnnsched_env.scenario import load_scenario, varied_scenarios


@dataclass
class Args:
    """Train PPO, then compare it with heuristics on jobs that training never sees."""

    scenario: str = "hetero4"
    """A preset or the path of a scenario's TOML file; training varies it."""
    load: float = 0.8
    """Load to test at; training has loads from 0.4 to 1."""
    steps: int = 300_000
    """Number of decisions to learn from."""
    seed: int = 0
    """Seed of the weights, of the actions and of the episodes."""
    lanes: int = 32
    """Number of environments, each with a scenario of its own."""
    rollout: int = 128
    """Number of decisions per environment and update."""
    test_graphs: tuple[Path, ...] = ()
    """Graph files (.npz), one mix, whose jobs to test on too."""
    test_episodes: int = 20
    """Number of episodes of 1,000 jobs to test on."""
    curve: Path | None = None
    """JSON file for the learning curve."""


class Actor(ActionReprNet):
    """The networks' logits in the shape that Tianshou asks for."""

    def __init__(self, logits: nn.Module) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> tuple[torch.Tensor, Any]:
        """Return the logits [B, actions] and the unchanged state."""
        return self.logits(torch.as_tensor(obs)), state


class Critic(nn.Module):
    """The networks' values in the shape that Tianshou asks for."""

    def __init__(self, values: nn.Module) -> None:
        super().__init__()
        self.values = values

    def forward(self, obs: Any, **_: Any) -> torch.Tensor:
        """Return the estimated returns [B, 1]."""
        return self.values(torch.as_tensor(obs))


def main(args: Args) -> None:
    """Train and print the comparison."""
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    options = {"window": 32, "dataflow": "predicted_best"}

    def make(scenario: Any) -> Any:
        return lambda: gymnasium.make("gnnsched/Queue-v0", scenario=scenario, jobs=200, observation="pairs", **options)

    envs = DummyVectorEnv([make(one) for one in varied_scenarios(args.scenario, args.lanes, seed=args.seed)])
    envs.seed(args.seed)
    networks = PairActorCritic()
    policy = ProbabilisticActorPolicy(
        actor=Actor(networks.logits),
        dist_fn=lambda logits: Categorical(logits=logits),
        action_space=envs.action_space[0],
        action_scaling=False,
    )
    algorithm = PPO(
        policy=policy,
        critic=Critic(networks.values),
        optim=AdamOptimizerFactory(lr=1e-3, eps=1e-5),
        gamma=1.0,  # decisions are not evenly spaced in time: a constant discount would reward waiting
        gae_lambda=0.99,  # what waiting costs shows many decisions later
        ent_coef=0.0,
        max_grad_norm=0.5,
        max_batchsize=4096,
    )
    frames = args.lanes * args.rollout
    buffer = VectorReplayBuffer(frames, args.lanes)
    collector = Collector(algorithm, envs, buffer)
    collector.reset()

    scenario = load_scenario(args.scenario).with_options(load=args.load, jobs=1_000, **options)
    every = max(1, args.steps // 15)
    curve = LearningCurve.on(scenario, args.test_graphs, episodes=args.test_episodes, every=every, file=args.curve)
    trained = PairRowsPolicy(networks.scorer)
    decisions = 0
    with policy_within_training_step(policy):
        while decisions < args.steps:
            collector.collect(n_step=frames)
            algorithm.update(buffer=buffer, batch_size=min(1024, frames), repeat=3)
            collector.reset_buffer(keep_statistics=True)
            decisions += frames
            if curve.due(decisions):
                curve.measure(trained, decisions)
    curve.report(trained, decisions)


if __name__ == "__main__":
    main(tyro.cli(Args))
