# %% [markdown]
# # Which dataflow for my graph, and why
#
# For whoever designs or configures an accelerator: you have a graph and a GNN, and want to know which dataflow runs it
# in the fewest cycles, what bounds it, and what changes when the graph does. No scheduling here: only the cost model,
# which equals the OMEGA simulator to the cycle.

# %% [markdown]
# ## One graph, nine dataflows
#
# Zachary's karate club comes with the package: 34 vertices, 78 edges. The model is a GCN of two layers on an
# accelerator with 512 processing elements (PEs).

# %%
from gnnsched_env.cycles import count_cycles
from gnnsched_env.graphs import load_graph_set
from gnnsched_env.hardware import load_accelerator, make_model

club = load_graph_set("karate")
model = make_model("gcn", club.num_features, club.num_classes)
accelerator = load_accelerator("omega512")


def rank(graph, accelerator=accelerator, model=model):
    """Return (dataflow, counts), fewest cycles first."""
    counts = [(flow.name, count_cycles(graph, model, accelerator, flow)) for flow in accelerator.dataflows]
    return sorted(counts, key=lambda pair: pair[1].cycles)


print("dataflow   cycles  times best  utilisation  buffer words")
ranked = rank(club[0])
for name, counts in ranked:
    ratio = counts.cycles / ranked[0][1].cycles
    print(f"{name:<9} {counts.cycles:>7,} {ratio:>11.2f} {counts.utilisation:>12.1%} {counts.global_buffer:>13,}")

# %% [markdown]
# *Utilisation* is useful multiply-accumulates over cycles times PEs. The fewest cycles and the fewest words from the
# buffer need not go together: where energy matters, look at the last column too.
#
# ## Why: the two phases
#
# A layer first *aggregates* (each vertex sums its neighbours' features) and then *combines* (a dense product with the
# weights). Seq and SP run the phases one after the other on all PEs; PP runs them at the same time, each on half of the
# PEs, so that the slower phase decides.

# %%
import matplotlib.pyplot as plt
import numpy as np


def phases(graph, title):
    """Draw the cycles of each phase under each dataflow, summed over the layers, beside the cycles in all."""
    ranked = rank(graph)
    names = [name for name, _ in ranked]
    aggregation = [sum(layer.aggregation_cycles for layer in counts.layers) for _, counts in ranked]
    combination = [sum(layer.combination_cycles for layer in counts.layers) for _, counts in ranked]
    places = np.arange(len(names))
    _, axes = plt.subplots(figsize=(8, 3), layout="constrained")
    axes.bar(places - 0.27, aggregation, 0.27, label="aggregation alone")
    axes.bar(places, combination, 0.27, label="combination alone")
    axes.bar(places + 0.27, [counts.cycles for _, counts in ranked], 0.27, color="black", label="layers as composed")
    axes.set_xticks(places, names)
    axes.set_ylabel("cycles")
    axes.set_title(title)
    axes.legend()
    plt.show()


phases(club[0], "karate club: 34 vertices, the largest degree is 17")

# %% [markdown]
# Under Seq the black bar is the sum of the two others, under PP near the taller one. SP keeps what the first phase
# makes on the array, which spares its way through the buffer; where it does not fit, partial sums must be moved, and
# the black bar is above the sum.
#
# SPhighV gives each vertex a PE of its own. The club has 34 vertices, so 478 of the 512 PEs have nothing to do.
#
# ## Larger graphs, another winner
#
# Three graphs of about two thousand vertices: 64 clubs as one batch, a graph in which all vertices have the same
# degree, and a star in which one vertex is joined to all others.

# %%
from gnnsched_env.graphs.generators import regular_graph, star_graph

rng = np.random.default_rng(0)
graphs = {
    "64 clubs": club.batch([0] * 64),
    "regular": regular_graph(rng, 2048, degree=4),
    "star": star_graph(rng, 2048),
}
for features in (8, 1024):
    for title, graph in graphs.items():
        ranked = rank(graph, model=make_model("gcn", features, 2))
        (best, few), (worst, many) = ((ranked[k][0], ranked[k][1].cycles) for k in (0, -1))
        degrees = f"degrees {graph.degrees.min()} to {graph.degrees.max():,}"
        ratio = f"{many / few:5.1f} times apart"
        print(f"{features:>5,} features, {title:<8} {degrees:<18} best {best:<8} worst {worst:<8} {ratio}")

# %% [markdown]
# * With few features and no large hub SPhighV wins: two thousand vertices fill the array, and all of them finish
#   together.
# * With many features SP2 wins there: it lays up to 16 features side by side, where SPhighV takes them one after the
#   other.
# * On the star SPhighV is the worst by far. Vertices side by side wait for the slowest, and the hub has 2,047
#   neighbours. Dataflows that take one vertex at a time (SP1, Seq1) do not care.
#
# So a fleet of accelerators with different dataflows has a good place for each job, and a bad one. Here are the phases
# on the star:

# %%
phases(graphs["star"], "a star of 2,048 vertices")

# %% [markdown]
# ## How large a graph must be to fill the array
#
# One small graph leaves most of 512 PEs idle. Batches of graphs (one block-diagonal matrix) fill it.

# %%
sizes = (1, 4, 16, 64)
_, axes = plt.subplots(figsize=(8, 3), layout="constrained")
for name in ("Seq1", "SP2", "SPhighV", "PP2"):
    flow = next(flow for flow in accelerator.dataflows if flow.name == name)
    shares = [count_cycles(club.batch([0] * size), model, accelerator, flow).utilisation for size in sizes]
    axes.plot(sizes, shares, marker="o", label=name)
axes.set_xscale("log", base=2)
axes.set_xlabel("clubs in a batch")
axes.set_ylabel("utilisation")
axes.legend()
plt.show()

# %% [markdown]
# Seq1 takes one vertex at a time, so more vertices do not help it. SPhighV profits most, since vertices are all that it
# lays side by side.

# %% [markdown]
# ## Exercise
#
# Does the order of the vertices matter? Rows are cut into tiles in the order in which they stand, so try: number the
# vertices of the club anew (`np.random.default_rng(1).permutation(34)`, and `Graph.from_edges`), rank again, and sort
# them by degree. For which dataflows do the cycles change, and for which can they not?
#
# **Next:** [an accelerator and a dataflow of your own](../how-to/add_a_dataflow.md), [the cost
# model](../reference/cycles.md), [hardware](../reference/hardware.md). On the command line: `gnnsched cycles --graph
# karate --model gcn --accelerator omega512`.
