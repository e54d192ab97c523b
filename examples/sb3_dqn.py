"""Train Stable-Baselines3's DQN from scratch to schedule jobs, and compare it with heuristics in test episodes.

    python examples/sb3_dqn.py                    # five minutes on one core
    python examples/sb3_dqn.py --steps 200000 --seed 1

It needs the extra `agents`. An agent is shown a row of features for each action (observation="pairs"), and the policy's
one small scorer is shared by all rows. It trains on scenarios with other classes of jobs and other loads than those
that it is tested on. The model is saved, and `gnnsched evaluate --policies sb3:dqn.zip` plays it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro

import gnnsched_baselines  # noqa: F401 (registers the heuristics)
from gnnsched_agents import CurveCallback, PairDqn, PairRowsPolicy, PairValuePolicy, Sb3VecEnv
from gnnsched_agents.sb3.dqn import TimedReplayBuffer
from gnnsched_env.evaluation import LearningCurve
from gnnsched_env.scenario import load_scenario, varied_scenarios


@dataclass
class Args:
    """Train DQN, then compare it with heuristics on jobs that training never sees."""

    scenario: str = "hetero4"
    """A preset or the path of a scenario's TOML file; training varies it."""
    load: float = 0.8
    """Load to test at; training has loads from 0.4 to 1."""
    steps: int = 600_000
    """Number of decisions to learn from."""
    seed: int = 0
    """Seed of the weights, of the actions and of the episodes."""
    lanes: int = 64
    """Number of environments that play side by side."""
    test_graphs: tuple[Path, ...] = ()
    """Graph files (.npz), one mix, whose jobs to test on too."""
    test_episodes: int = 20
    """Number of episodes of 1,000 jobs to test on."""
    curve: Path | None = None
    """JSON file for the learning curve."""
    model: Path = Path("dqn.zip")
    """Where to save the model."""


def main(args: Args) -> None:
    """Train, save and print the comparison."""
    torch.set_num_threads(1)  # such small networks gain nothing from more
    options = {"window": 32, "dataflow": "predicted_best", "waiting": "needed"}
    training = varied_scenarios(args.scenario, min(32, args.lanes), seed=args.seed)
    env = Sb3VecEnv("gnnsched/Queue-v0", args.lanes, scenario=training, jobs=200, observation="pairs", **options)
    model = PairDqn(
        PairValuePolicy,
        env,
        exploration=(0.2, 0.02),
        exploring=args.steps // 2,
        buffer_size=200_000,
        learning_starts=min(10_000, args.steps // 10),
        train_freq=4,  # decisions of each environment between two rounds of learning
        gradient_steps=4,
        batch_size=256,
        target_update_interval=4_000,
        learning_rate=lambda left: 5e-4 * (0.05 + 0.95 * left),
        gamma=1.0,  # time is discounted instead of decisions, which are not evenly spaced
        replay_buffer_class=TimedReplayBuffer,
        replay_buffer_kwargs={"tau": 20 * np.asarray(env.metadata["service_cycles"])},
        seed=args.seed,
        device="cpu",
    )

    scenario = load_scenario(args.scenario).with_options(load=args.load, jobs=1_000, **options)
    every = max(1, args.steps // 15)
    curve = LearningCurve.on(scenario, args.test_graphs, episodes=args.test_episodes, every=every, file=args.curve)
    model.learn(args.steps, callback=CurveCallback(curve, PairRowsPolicy.of))
    model.save(args.model)
    curve.report(PairRowsPolicy.of(model), model.num_timesteps)


if __name__ == "__main__":
    main(tyro.cli(Args))
