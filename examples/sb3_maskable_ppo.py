"""Train sb3-contrib's MaskablePPO from scratch to schedule jobs, and compare it with heuristics on other episodes.

    python examples/sb3_maskable_ppo.py [STEPS]

It needs the extra `agents`. An agent is shown a row of features for each action (observation="pairs"); the policy's one
small scorer is shared by all rows. docs/how-to/use_rl_libraries.md says what to expect after how many steps.
"""

import sys
import time
from typing import Any

import torch
from sb3_contrib import MaskablePPO

import gnnsched_baselines  # noqa: F401 (registers the heuristics)
from gnnsched_agents import PairActorCriticPolicy, Sb3VecEnv
from gnnsched_env import Knowledge
from gnnsched_env.evaluation import policy_factories, run_policy
from gnnsched_env.scenario import load_scenario, scenario_table

SCENARIO = load_scenario("hetero4").with_options(load=0.8, jobs=200, window=16, dataflow="predicted_best")
STEPS = 300_000  # decisions to learn from
LANES = 16  # environments that play side by side
ROLLOUT = 128  # decisions of each lane between two updates
LEARNING_RATES = (2e-3, 1e-4)  # the first and the last one
EPISODES = 64  # episodes to score on, of the split "test", which no training plays
SEED = 0
RIVALS = ("random", "sjf", "min_min", "assignment")
MODEL = "maskable_ppo.zip"


class Trained:
    """The model as a policy that evaluation can play: it takes the most probable action."""

    knowledge = Knowledge.PREDICTED
    observation = "pairs"

    def __init__(self, model: MaskablePPO) -> None:
        self.model = model

    def act(self, observation: Any, mask: Any) -> Any:
        """Return one action for each lane."""
        return self.model.predict(observation, action_masks=mask, deterministic=True)[0]


def learning_rate(left: float) -> float:
    """Return the learning rate when a share of the training is left: it falls linearly."""
    first, last = LEARNING_RATES
    return last + (first - last) * left


def train(steps: int) -> MaskablePPO:
    """Return a model that has learnt from a number of decisions."""
    env = Sb3VecEnv("gnnsched/Queue-v0", LANES, scenario=SCENARIO, observation="pairs")
    model = MaskablePPO(
        PairActorCriticPolicy,
        env,
        n_steps=ROLLOUT,
        batch_size=256,
        n_epochs=4,
        learning_rate=learning_rate,
        gamma=1.0,  # decisions are not evenly spaced in time: a constant discount would reward waiting
        gae_lambda=0.98,
        ent_coef=0.0,
        seed=SEED,
        device="cpu",
    )
    return model.learn(steps)


def mean_completions(model: MaskablePPO) -> dict[str, float]:
    """Return each policy's mean completion time, cycles, in the same test episodes."""
    table = scenario_table(SCENARIO)
    policies = {**policy_factories(RIVALS, dispatch=False), "MaskablePPO": lambda layout, table: Trained(model)}
    runs = {
        name: run_policy(factory, SCENARIO, table, dispatch=False, seed=0, episodes=EPISODES)
        for name, factory in policies.items()
    }
    return {name: float(run.per_episode("completion").mean()) for name, run in runs.items()}


def main() -> None:
    """Train, save and print the comparison."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else STEPS
    torch.set_num_threads(1)  # such small networks gain nothing from more
    start = time.perf_counter()
    model = train(steps)
    print(f"learnt from {model.num_timesteps:,} decisions in {time.perf_counter() - start:.0f} s")
    model.save(MODEL)
    means = mean_completions(model)
    for name, mean in sorted(means.items(), key=lambda entry: -entry[1]):
        print(f"{name:12} mean completion {mean:10,.0f} cycles, {mean / means['sjf']:.3f} of sjf's")


if __name__ == "__main__":
    main()
