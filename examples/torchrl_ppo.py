"""Train TorchRL's PPO from scratch on the native batch, and compare it with heuristics in test episodes.

    python examples/torchrl_ppo.py --steps 500000

It needs the extra `adapters`. The rows of features (observation="pairs") tell which actions are legal, and the networks
give illegal ones no probability, so no transform for masks is needed. Scenarios vary as in the other examples.
"""

from dataclasses import dataclass
from pathlib import Path

import gymnasium
import torch
import tyro
from tensordict.nn import TensorDictModule
from torch.distributions import Categorical
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, ReplayBuffer, SamplerWithoutReplacement
from torchrl.envs import GymWrapper
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

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
    steps: int = 1_000_000
    """Number of decisions to learn from."""
    seed: int = 0
    """Seed of the weights, of the actions and of the episodes."""
    lanes: int = 64
    """Number of environments that play side by side."""
    rollout: int = 64
    """Number of decisions per environment and update."""
    test_graphs: tuple[Path, ...] = ()
    """Graph files (.npz), one mix, whose jobs to test on too."""
    test_episodes: int = 20
    """Number of episodes of 1,000 jobs to test on."""
    curve: Path | None = None
    """JSON file for the learning curve."""


def main(args: Args) -> None:
    """Train and print the comparison."""
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    options = {"window": 32, "dataflow": "predicted_best"}
    training = varied_scenarios(args.scenario, min(32, args.lanes), seed=args.seed)
    batch = gymnasium.make_vec(
        "gnnsched/Queue-v0", num_envs=args.lanes, scenario=training, jobs=200, observation="pairs",
        autoreset_mode="SameStep", **options,
    )  # fmt: skip
    env = GymWrapper(batch, categorical_action_encoding=True)
    env.set_seed(args.seed)

    networks = PairActorCritic()
    logits = TensorDictModule(networks.logits, in_keys=["observation"], out_keys=["logits"])
    actor = ProbabilisticActor(logits, in_keys=["logits"], distribution_class=Categorical, return_log_prob=True)
    critic = ValueOperator(networks.values, in_keys=["observation"])
    # decisions are not evenly spaced in time: a constant discount would reward waiting
    advantage = GAE(gamma=1.0, lmbda=0.99, value_network=critic, deactivate_vmap=True)
    loss_of = ClipPPOLoss(actor, critic, clip_epsilon=0.2, entropy_bonus=False, critic_coeff=0.5, loss_critic_type="l2")
    optimizer = torch.optim.Adam(networks.parameters(), lr=2e-3, eps=1e-5)

    frames = args.lanes * args.rollout
    updates = max(1, args.steps // frames)
    rates = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, updates)
    collector = Collector(env, actor, frames_per_batch=frames, total_frames=updates * frames)
    buffer = ReplayBuffer(
        storage=LazyTensorStorage(frames), sampler=SamplerWithoutReplacement(), batch_size=min(1024, frames)
    )

    scenario = load_scenario(args.scenario).with_options(load=args.load, jobs=1_000, **options)
    every = max(1, args.steps // 15)
    curve = LearningCurve.on(scenario, args.test_graphs, episodes=args.test_episodes, every=every, file=args.curve)
    policy = PairRowsPolicy(networks.scorer)
    for update, data in enumerate(collector):
        with torch.no_grad():
            advantage(data)
        buffer.extend(data.reshape(-1))
        for _ in range(3):
            for part in buffer:
                normal = part["advantage"]
                part["advantage"] = (normal - normal.mean()) / (normal.std() + 1e-8)
                losses = loss_of(part)
                optimizer.zero_grad()
                (losses["loss_objective"] + losses["loss_critic"]).backward()
                torch.nn.utils.clip_grad_norm_(networks.parameters(), 0.5)
                optimizer.step()
        rates.step()
        if curve.due((update + 1) * frames):
            curve.measure(policy, (update + 1) * frames)
    curve.report(policy, updates * frames)


if __name__ == "__main__":
    main(tyro.cli(Args))
