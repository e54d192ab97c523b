# %% [markdown]
# # A heuristic in ten lines, scored on the benchmark
#
# You write a scheduling rule, score it on frozen tasks that everybody plays alike, and see where it stands among the
# rules that come with the package. Nothing but numpy is needed.

# %% [markdown]
# ## The rule
#
# A rule is a function: it sees the waiting jobs and returns the number of an action. `latencies[job, choice]` are
# predicted cycles, the oldest job first. An action `job * choices + choice` starts that job under that choice; the last
# one waits.
#
# The idea here: *start the job that loses least by going to an accelerator that is idle now.* The first term of the
# cost is what it loses, the second prefers short jobs a little.

# %%
from pathlib import Path

RULE = """
import numpy as np

def choose(observation, mask):
    latencies = observation["latencies"]
    jobs, choices = latencies.shape
    legal = mask[: jobs * choices].reshape(jobs, choices)
    if not legal.any():
        return len(mask) - 1  # wait
    lost = latencies - latencies.min(axis=1, keepdims=True)
    return int(np.where(legal, lost + 0.1 * latencies, np.inf).argmin())
"""
_ = Path("best_fit.py").write_text(RULE, encoding="utf-8")

# %% [markdown]
# ## The tasks
#
# A task is a fleet at a load under a condition, and its test episodes. The suite `small` has 25 of them; here are those
# of one fleet.

# %%
from gnnsched_env.bench import bench_tasks

tasks = [task for task in bench_tasks("small") if task.fleet == "hetero4"]
for task in tasks:
    print(f"{task.name:<28} {task.episodes} episodes of {task.jobs} jobs")

# %% [markdown]
# ## Score it
#
# The score of a task is (C - bound) / (C of the reference - bound), where C is the mean completion time, the bound is
# proved for any schedule of the same jobs, and the reference is shortest job first that knows the truth and sees every
# job. So 1 is the reference, 0 would be the bound, and smaller is better.

# %%
import gnnsched_baselines  # registers the baselines
from gnnsched_env.bench import play, suite_score
from gnnsched_env.evaluation import policy_factory

scores = {}
for name in ("file:best_fit.py", "fifo", "sjf", "min_min", "assignment"):
    played = [play(task, policy_factory(name, dispatch=False)) for task in tasks]
    scores[name] = suite_score(played)
    print(f"{name:<18} {scores[name].value:7.3f}  [{scores[name].low:.3f}, {scores[name].high:.3f}]")

# %%
import matplotlib.pyplot as plt

shown = {name: score for name, score in scores.items() if name != "fifo"}  # fifo is far to the right
_, axes = plt.subplots(figsize=(7, 2.4), layout="constrained")
values = [score.value for score in shown.values()]
errors = [[score.value - score.low for score in shown.values()], [score.high - score.value for score in shown.values()]]
axes.errorbar(values, list(shown), xerr=errors, fmt="o")
axes.axvline(1, color="grey", linestyle="--")
axes.set_xlabel("score on five tasks of hetero4 (smaller is better; dashed: the reference)")
axes.invert_yaxis()
plt.show()

# %% [markdown]
# ## Exercise
#
# The rule never waits: an accelerator that is wrong for a job is taken because it is idle. Let it wait where the job
# would lose more than, say, `observation["remaining"]` says that its best accelerator is busy:
#
# * `observation["accelerators"][choice]` is the accelerator of a choice, and `observation["remaining"][accelerator]`
#   the cycles until it is free;
# * so `latencies + remaining[accelerators]` is when a job would be done under each choice, busy ones included.
#
# It begins better than `sjf`. Can you pass `min_min`? And `assignment`?
#
# **Next:** [the arena](../how-to/write_a_policy.md), which draws new workloads each time and tells which decisions cost
# most; [the benchmark](../reference/benchmark.md); [the leaderboard](../results/leaderboard.md).
