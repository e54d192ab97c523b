# %% [markdown]
# # Train an agent, watch its curve, beat shortest job first
#
# An agent of Stable-Baselines3 (MaskablePPO) learns from scratch to schedule jobs, in two minutes on one core. You need
# the extra `agents`: `pip install 'gnnsched-env[agents,plots]'`.

# %% [markdown]
# ## What to train on
#
# Sixteen *varied* scenarios: the same fleet with other classes of jobs, other loads, other strengths. An agent that
# sees only one workload learns that one by heart. `observation="pairs"` shows a row of features for each action (this
# job, here: how long, how well it fits, what else waits), and one small network scores all rows.

# %%
import torch
from sb3_contrib import MaskablePPO

import gnnsched_baselines  # registers the baselines
from gnnsched_agents import CurveCallback, PairActorCriticPolicy, PairRowsPolicy, Sb3VecEnv
from gnnsched_env.evaluation import LearningCurve
from gnnsched_env.scenario import load_scenario, varied_scenarios

torch.set_num_threads(1)  # so small a network gains nothing from more
options = {"window": 32, "dataflow": "predicted_best"}
training = varied_scenarios("hetero4", 16, seed=0)
env = Sb3VecEnv("gnnsched/Queue-v0", 64, scenario=training, jobs=200, observation="pairs", **options)
print(env.observation_space, env.action_space)

# %% [markdown]
# ## How to train
#
# Two settings matter more than the rest. `gamma=1`: decisions are not evenly spaced in time, so a discount by decision
# would reward idle waiting. And the mask: most actions are illegal most of the time, and MaskablePPO never tries those.

# %%
STEPS = 320_000

model = MaskablePPO(
    PairActorCriticPolicy,
    env,
    n_steps=64,
    batch_size=1024,
    n_epochs=3,
    learning_rate=lambda left: 2e-3 * (0.05 + 0.95 * left),
    gamma=1.0,
    gae_lambda=0.99,
    ent_coef=0.0,
    seed=0,
    device="cpu",
)
test = load_scenario("hetero4").with_options(load=0.8, jobs=500, **options)
curve = LearningCurve.on(test, episodes=10, every=STEPS // 8)
model.learn(STEPS, callback=CurveCallback(curve, PairRowsPolicy.of))
model.save("agent.zip")

# %% [markdown]
# `LearningCurve` measures the agent while it learns, in episodes of the split "test", which no training reaches. A
# score is the mean completion time over that of shortest job first on the same jobs: below 1, the agent is better.

# %%
curve.report(PairRowsPolicy.of(model), model.num_timesteps)

# %%
import matplotlib.pyplot as plt

decisions = [point["decisions"] for point in curve.points]
ratios = [point["ratios"]["its classes"] for point in curve.points]
_, axes = plt.subplots(figsize=(8, 3), layout="constrained")
axes.plot(decisions, ratios, marker="o", label="the agent")
axes.axhline(1, color="grey", linestyle="--", label="shortest job first")
axes.set_xlabel("decisions that it learned from")
axes.set_ylabel("mean completion / sjf's")
axes.legend()
plt.show()

# %% [markdown]
# Two minutes do not reach `assignment`. The same recipe does better with more decisions: [five seeds of each
# recipe](../results/learning.md), as they come. Five minutes of `examples/sb3_maskable_ppo.py` are 1,500,000 decisions.
#
# ## Exercise
#
# Set `gamma=0.99` and train again. What does the agent learn to do, and why does that pay under a discount? (Watch it:
# `gnnsched schedule --policy sb3:agent.zip --versus sjf --jobs 60 --png agent.png`.)
#
# **Next:** [other libraries, and what makes agents learn](../how-to/use_rl_libraries.md); [the agents that come with
# the package](../reference/agents.md); [the observation, feature by
# feature](../reference/environments.md#a-row-for-each-action).
