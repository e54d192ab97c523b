"""Train RLlib's PPO from scratch on the native batch, and compare it with heuristics in test episodes.

    python examples/rllib_ppo.py --steps 500000

It needs the extra `adapters`. `PairRLModule` is the same pair of networks as in the other examples: the rows of
features (observation="pairs") tell which actions are legal, so RLlib needs no masks.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import ray
import torch
import tyro
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.tune.registry import register_env

import gnnsched_baselines  # noqa: F401 (registers the heuristics)
from gnnsched_agents import PairRowsPolicy
from gnnsched_agents.rllib_module import PairRLModule
from gnnsched_env.evaluation import LearningCurve
from gnnsched_env.scenario import load_scenario, varied_scenarios

OPTIONS = {"window": 32, "dataflow": "predicted_best"}


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


def make(context: dict[str, Any]) -> Any:
    """Return the native batch, or the single environment of which RLlib reads the spaces."""
    import gnnsched_env  # noqa: F401 (registers the environments in every worker)

    options = {"jobs": 200, "observation": "pairs", **OPTIONS}
    if "num_envs" not in context:
        return gymnasium.make("gnnsched/Queue-v0", scenario=context["scenario"], **options)
    lanes = context["num_envs"]
    training = varied_scenarios(context["scenario"], min(32, lanes), seed=context["seed"])
    return gymnasium.make_vec("gnnsched/Queue-v0", num_envs=lanes, scenario=training, **options)


def main(args: Args) -> None:
    """Train and print the comparison."""
    torch.set_num_threads(1)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    register_env("gnnsched", make)
    frames = args.lanes * args.rollout
    config = (
        PPOConfig()
        .environment("gnnsched", env_config={"scenario": args.scenario, "seed": args.seed}, disable_env_checking=True)
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=args.lanes,
            gym_env_vectorize_mode="vector_entry_point",
            rollout_fragment_length=args.rollout,
        )
        .training(
            gamma=1.0,  # decisions are not evenly spaced in time: a constant discount would reward waiting
            lambda_=0.99,  # what waiting costs shows many decisions later
            lr=[[0, 2e-3], [args.steps, 1e-4]],
            train_batch_size_per_learner=frames,
            minibatch_size=min(1024, frames),
            num_epochs=3,
            clip_param=0.2,
            vf_loss_coeff=0.5,
            vf_clip_param=100.0,
            use_kl_loss=False,
            entropy_coeff=0.0,
            grad_clip=0.5,
        )
        .rl_module(rl_module_spec=RLModuleSpec(module_class=PairRLModule))
        .debugging(seed=args.seed)
    )
    algorithm = config.build_algo()

    scenario = load_scenario(args.scenario).with_options(load=args.load, jobs=1_000, **OPTIONS)
    every = max(1, args.steps // 15)
    curve = LearningCurve.on(scenario, args.test_graphs, episodes=args.test_episodes, every=every, file=args.curve)
    decisions = 0
    while decisions < args.steps:
        algorithm.train()
        decisions += frames
        if curve.due(decisions):
            curve.measure(PairRowsPolicy(algorithm.get_module().networks.scorer), decisions)
    curve.report(PairRowsPolicy(algorithm.get_module().networks.scorer), decisions)
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main(tyro.cli(Args))
