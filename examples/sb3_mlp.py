"""Train sb3-contrib's MaskablePPO with its own MlpPolicy, and compare it with heuristics in test episodes.

    python examples/sb3_mlp.py                    # ten minutes on one core
    python examples/sb3_mlp.py --steps 200000 --seed 1

It needs the extra `agents`. The rows of features of all actions are joined into one vector (observation="pairs_flat")
for the library's own network, which must learn for each place what `PairActorCriticPolicy` learns once for all. So the
window is small and shows the shortest jobs, and agents wait only where nothing can start.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from sb3_contrib import MaskablePPO

import gnnsched_baselines  # noqa: F401 (registers the heuristics)
from gnnsched_agents import CurveCallback, Sb3VecEnv
from gnnsched_env import Knowledge
from gnnsched_env.evaluation import LearningCurve
from gnnsched_env.scenario import load_scenario, varied_scenarios


@dataclass
class Args:
    """Train MaskablePPO, then compare it with heuristics on jobs that training never sees."""

    scenario: str = "hetero4"
    """A preset or the path of a scenario's TOML file; training varies it."""
    load: float = 0.8
    """Load to test at; training has loads from 0.4 to 1."""
    steps: int = 3_000_000
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
    model: Path = Path("mlp.zip")
    """Where to save the model."""


class Trained:
    """The model as a policy that evaluations can play: it takes the most probable action."""

    knowledge = Knowledge.PREDICTED
    observation = "pairs_flat"
    waiting = "needed"

    def __init__(self, model: MaskablePPO) -> None:
        self.model = model

    def act(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return an action for each lane."""
        return self.model.predict(observation, action_masks=mask, deterministic=True)[0]


def main(args: Args) -> None:
    """Train, save and print the comparison."""
    torch.set_num_threads(1)  # such small networks gain nothing from more
    options = {"window": 8, "window_order": "shortest", "dataflow": "predicted_best", "waiting": "needed"}
    training = varied_scenarios(args.scenario, min(32, args.lanes), seed=args.seed)
    env = Sb3VecEnv("gnnsched/Queue-v0", args.lanes, scenario=training, jobs=200, observation="pairs_flat", **options)
    model = MaskablePPO(
        "MlpPolicy",
        env,
        n_steps=64,
        batch_size=512,
        n_epochs=4,
        learning_rate=lambda left: 1e-3 * (0.05 + 0.95 * left),
        gamma=1.0,  # decisions are not evenly spaced in time: a constant discount would reward waiting
        gae_lambda=0.95,
        ent_coef=0.0,
        seed=args.seed,
        device="cpu",
    )

    scenario = load_scenario(args.scenario).with_options(load=args.load, jobs=1_000, **options)
    every = max(1, args.steps // 15)
    curve = LearningCurve.on(scenario, args.test_graphs, episodes=args.test_episodes, every=every, file=args.curve)
    model.learn(args.steps, callback=CurveCallback(curve, Trained))
    model.save(args.model)
    curve.report(Trained(model), model.num_timesteps)


if __name__ == "__main__":
    main(tyro.cli(Args))
