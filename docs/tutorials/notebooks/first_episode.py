# %% [markdown]
# # An episode and a schedule in five minutes
#
# Four accelerators, a stream of jobs, and somebody who must decide what runs where. By the end you have played an
# episode, seen its schedule, and know why a good decision is not always the quick one.

# %% [markdown]
# ## Make the environment
#
# `hetero4` is a fleet of four accelerators with 512 processing elements each, which support different *dataflows*.
# `load=0.8` means that jobs arrive at 80 % of the largest rate that the fleet can sustain.

# %%
import gymnasium

import gnnsched_env  # registers the environments

env = gymnasium.make("gnnsched/Queue-v0", scenario="hetero4", load=0.8, jobs=80)
observation, info = env.reset(seed=8)
for name, array in observation.items():
    print(f"{name:>12}  {array.shape[0]:>4} numbers")
print(f"     actions  {env.action_space.n:>4}, of which {info['action_mask'].sum()} are legal now")

# %% [markdown]
# An action starts one of the waiting jobs on one of the accelerators under one of its dataflows, or waits. The mask
# says which actions are legal now.
#
# ## The wrong dataflow costs a multiple
#
# The environment knows how long each class of jobs takes under each choice (an accelerator with a dataflow). Here is
# one class:

# %%
table = env.unwrapped.table
job_class = 3
cycles = table.predicted_cycles[job_class]
print(f"class {table.class_names[job_class]}")
for choice, predicted in sorted(zip(table.choice_names, cycles.tolist(), strict=True), key=lambda pair: pair[1]):
    print(f"{choice:>14}  {predicted:>9,} cycles  {predicted / cycles.min():5.2f} times the best")

# %% [markdown]
# ## Play an episode
#
# First a player that knows nothing: any legal action.

# %%
total, ended = 0.0, False
env.action_space.seed(0)
while not ended:
    action = env.action_space.sample(info["action_mask"])
    observation, reward, ended, _, info = env.step(action)
    total += reward
print(f"return {total:.2f}; mean completion time {info['mean_completion']:,.0f} cycles")

# %% [markdown]
# The return is minus the mean completion time, in units of the mean job's shortest latency: -1 would be a fleet on
# which every job runs at once, where it is fastest.
#
# Now shortest job first, a rule that everybody knows, on the same jobs.

# %%
import gnnsched_baselines

policy = gnnsched_baselines.make_policy("sjf", env.unwrapped.layout)


def play(policy, seed):
    """Play the episode of a seed; return its return and the schedule."""
    observation, info = env.reset(seed=seed)
    total, ended = 0.0, False
    while not ended:
        # policies decide for a batch of episodes; this is a batch of one
        batch = {name: array[None] for name, array in observation.items()}
        action = policy.act(batch, info["action_mask"][None].astype(bool))[0]
        observation, reward, ended, _, info = env.step(action)
        total += reward
    return total, env.unwrapped.schedule()


total, shortest_first = play(policy, seed=8)
print(f"return {total:.2f}")

# %% [markdown]
# And `assignment`, which plans all waiting jobs together and may leave an accelerator idle because a better job is
# coming for it:

# %%
total, planned = play(gnnsched_baselines.make_policy("assignment", env.unwrapped.layout), seed=8)
print(f"return {total:.2f}")

# %% [markdown]
# ## Look at the two schedules
#
# A row is an accelerator, a bar is a job; a job has the same colour above and below. Dotted bars take at least twice as
# long as where the job would be fastest: shortest job first has many, because it never lets a job wait. (In a notebook
# of your own, `env.unwrapped.schedule()` as the last line of a cell is enough.)

# %%
from pathlib import Path

from IPython.display import Image

from gnnsched_env.report.schedule_pictures import plot_versus

picture = Path("schedules.png")
names = ("assignment", "sjf")
plot_versus((planned, shortest_first), env.unwrapped.labels, table, picture, names=names, title="The same 80 jobs")
Image(picture)

# %% [markdown]
# ## Exercise
#
# Play seeds 0 to 9 under both policies. In how many of them is `assignment` better, and by how much on average? Then
# raise `load` to 0.95: who suffers more?
#
# *Hint:* `gnnsched evaluate --load 0.8 0.95 --jobs 80 --episodes 10 --policies sjf assignment` plays the same
# comparison, with intervals.
#
# **Next:** [a policy of your own](first_policy.md), [a heuristic scored on the benchmark](ten_line_heuristic.md), [what
# every number means](../reference/environments.md).
