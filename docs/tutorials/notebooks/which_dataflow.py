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
# Under PP the black bar is near the taller of the two others, under Seq near their sum. A dataflow with many vertices
# side by side (SPhighV) waits in each step for the vertex of the largest degree: the club has a few hubs, so that most
# PEs idle meanwhile.
#
# ## Another graph, another winner
#
# The same sizes, but every vertex has about the same degree: then vertices side by side finish together.

# %%
from gnnsched_env.graphs.generators import regular_graph, star_graph

rng = np.random.default_rng(0)
even = regular_graph(rng, 34, degree=4)
star = star_graph(rng, 34)
for title, graph in (("karate", club[0]), ("regular", even), ("star", star)):
    best, worst = rank(graph)[0], rank(graph)[-1]
    degrees = graph.degrees
    print(
        f"{title:<8} degrees {degrees.min()} to {degrees.max():>2}: best {best[0]:<8} {best[1].cycles:>6,} cycles, "
        f"worst {worst[0]:<8} {worst[1].cycles:>6,}"
    )

# %%
phases(even, "a regular graph of 34 vertices, degree 4")

# %% [markdown]
# ## How large a graph must be to fill the array
#
# One small graph leaves most of 512 PEs idle. Batches of graphs (one block-diagonal matrix) fill it.

# %%
sizes = (1, 4, 16, 64)
_, axes = plt.subplots(figsize=(8, 3), layout="constrained")
for name in ("Seq1", "SP2", "SPhighV", "PP2"):
    flow = next(flow for flow in accelerator.dataflows if flow.name == name)
    shares = []
    for size in sizes:
        batch = club.batch([0] * size)
        shares.append(count_cycles(batch, model, accelerator, flow).utilisation)
    axes.plot(sizes, shares, marker="o", label=name)
axes.set_xscale("log", base=2)
axes.set_xlabel("graphs in a batch")
axes.set_ylabel("utilisation")
axes.legend()
plt.show()

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
