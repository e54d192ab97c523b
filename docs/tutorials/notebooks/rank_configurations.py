# %% [markdown]
# # TpuGraphs: rank a compiler's configurations
#
# A compiler can lay out a program's tensors in many ways, and only some are fast. The TpuGraphs data set holds programs
# with measured runtimes of many *configurations*; the task is to rank those of a program that has never been seen. You
# need the extra `gnn`: `pip install 'gnnsched-env[gnn,plots]'`.

# %% [markdown]
# ## Data
#
# The real files are large and must be fetched by hand. This notebook makes a small *stand-in*: files of the same form
# with made-up programs and a made-up machine. A score on it says nothing about real collections; it shows that a model
# can learn what was made up.

# %%
import subprocess
import sys


def gnnsched(*words):
    """Run a command of gnnsched, as a terminal would."""
    done = subprocess.run([sys.executable, "-m", "gnnsched_cli", *words], capture_output=True, text=True, check=True)
    print(done.stdout)


SMALL = ("--layouts", "12", "3", "3", "--tiles", "1", "1", "1", "--nodes", "876", "--configs", "109", "200")
gnnsched("forecast", "standin", "--out", "tpugraphs", "--seed", "0", *SMALL, "--specials", "False", "--force")

# %%
from pathlib import Path

from gnnsched_env.forecast import open_program

files = sorted(Path("tpugraphs/npz/layout/xla/random/valid").glob("*.npz"))
program = open_program(files[0])
print(f"{program.name}: {program.num_configs} configurations")
runtimes = program.targets()  # nanoseconds
print(f"they take {runtimes.min() / 1e6:.2f} to {runtimes.max() / 1e6:.2f} ms")

# %% [markdown]
# ## Two rankers
#
# `boosting` sees the configuration alone: which layout each operation gets. `sage` is a graph network, which sees the
# program too: two layouts that do not match cost a copy on the way between their operations, and only the graph says
# who is next to whom.

# %%
COLLECTION = ("--data", "tpugraphs", "--collection", "layout:xla:random")
gnnsched("forecast", "train", *COLLECTION, "--model", "boosting", "--out", "boosting")
gnnsched("forecast", "train", *COLLECTION, "--model", "sage", "--steps", "400", "--hops", "2", "--out", "sage")

# %% [markdown]
# ## Scores
#
# Kendall's tau compares the predicted order with the measured one: 1 is the same order, 0 is chance. The files are
# those of `valid`, whose programs no training has seen.

# %%
from gnnsched_env.forecast.models.model_list import open_ranker
from gnnsched_env.forecast.scoring.program_scores import score_program

rankers = {name: open_ranker(f"{name}/ranker.npz") for name in ("boosting", "sage")}
for name, ranker in rankers.items():
    scores = [score_program(ranker, open_program(file)) for file in files]
    taus = ", ".join(f"{score.tau:.3f}" for score in scores)
    slower = ", ".join(f"{100 * score.slowdowns[1]:.1f} %" for score in scores)
    print(f"{name:<9} tau {taus}; the best of its top 5 is slower than the best by {slower}")

# %%
import matplotlib.pyplot as plt

from gnnsched_env.forecast.encoding.samples import prepare
from gnnsched_env.forecast.scoring.program_scores import predict_rows

_, both = plt.subplots(1, 2, figsize=(9, 3.4), sharex=True, layout="constrained")
for axes, (name, ranker) in zip(both, rankers.items(), strict=True):
    axes.plot(runtimes / 1e6, predict_rows(ranker, prepare(program, hops=ranker.hops)), ".", alpha=0.6)
    axes.set_title(f"{name} on {program.name}", fontsize=9)
    axes.set_xlabel("runtime, ms")
    axes.set_ylabel("predicted score")
plt.show()

# %% [markdown]
# ## Exercise
#
# The network was trained for 400 steps on 12 programs. Give it 1,500 steps, or 48 programs (`--layouts 48 3 3`): which
# helps more? And what does `--model nn` reach, a network that sees operations but no edges?
#
# **Next:** [models, losses and scores](../reference/forecast.md), among them the noise ceiling and the competition's
# submission; [the stand-in](../reference/tpugraphs_standin.md); [a model of your
# own](../how-to/add_a_tpugraphs_model.md).
