"""Train sb3-contrib's MaskablePPO from scratch to schedule jobs, and compare it with heuristics in test episodes.

    python examples/sb3_maskable_ppo.py                    # five minutes on one core
    python examples/sb3_maskable_ppo.py --steps 200000 --seed 1

It needs the extra `agents`. An agent is shown a row of features for each action (observation="pairs"), and the policy's
one small scorer is shared by all rows. It trains on scenarios with other classes of jobs and other loads than those
that it is tested on. The model is saved, and `gnnsched evaluate --policies sb3:maskable_ppo.zip` plays it.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from sb3_contrib import MaskablePPO

import gnnsched_baselines  # noqa: F401 (registers the heuristics)
from gnnsched_agents import CurveCallback, PairActorCriticPolicy, PairRowsPolicy, Sb3VecEnv
from gnnsched_env.evaluation import LearningCurve
from gnnsched_env.scenario import load_scenario, varied_scenarios


@dataclass
class Args:
    """Train MaskablePPO, then compare it with heuristics on jobs that training never sees."""

    scenario: str = "hetero4"
    """A preset or the path of a scenario's TOML file; training varies it."""
    load: float = 0.8
    """Load to test at; training has loads from 0.4 to 1."""
    steps: int = 1_500_000
    """Number of decisions to learn from."""
    seed: int = 0
    """Seed of the weights, of the actions and of the episodes."""
    waiting: str = "free"
    """How the agent waits: free, needed or by_choice (docs/reference/environments.md)."""
    lanes: int = 64
    """Number of environments that play side by side."""
    test_graphs: tuple[Path, ...] = ()
    """Graph files (.npz), one mix, whose jobs to test on too."""
    test_episodes: int = 20
    """Number of episodes of 1,000 jobs to test on."""
    curve: Path | None = None
    """JSON file for the learning curve."""
    model: Path = Path("maskable_ppo.zip")
    """Where to save the model."""


def main(args: Args) -> None:
    """Train, save and print the comparison."""
    torch.set_num_threads(1)  # such small networks gain nothing from more
    options = {"window": 32, "dataflow": "predicted_best", "waiting": args.waiting}
    training = varied_scenarios(args.scenario, min(32, args.lanes), seed=args.seed)
    env = Sb3VecEnv("gnnsched/Queue-v0", args.lanes, scenario=training, jobs=200, observation="pairs", **options)
    model = MaskablePPO(
        PairActorCriticPolicy,
        env,
        n_steps=64,
        batch_size=1024,
        n_epochs=3,
        learning_rate=lambda left: 2e-3 * (0.05 + 0.95 * left),
        gamma=1.0,  # decisions are not evenly spaced in time: a constant discount would reward waiting
        gae_lambda=0.99,  # what waiting costs shows many decisions later
        ent_coef=0.0,
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
