# %% [markdown]
# # Bring your own accelerator, and your own measured latencies
#
# Two ways to leave the presets behind: describe hardware and let the cost model compute its cycles, or measure a device
# and let the measurements speak. This notebook does both.

# %% [markdown]
# ## An accelerator and a dataflow of your own
#
# A fleet is a TOML file. This one has two small arrays with half as many ports as processing elements (PEs), and a
# large one; `narrow` is a new dataflow. Tile rules are formulas in F (input width), G (output width) and P (PEs of a
# phase).

# %%
from pathlib import Path

FLEET = """
[fleet]
name = "mine"
clock_hz = 800_000_000

[[accelerator]]
name = "small"
count = 2
pes = 64
distribution_bandwidth = 32
dataflows = ["SP2", "narrow"]

[[accelerator]]
name = "large"
pes = 256
dataflows = ["Seq2", "SPhighV"]

[[dataflow]]
name = "narrow"
taxonomy = "Seq_AC(VsFsNt, VsGsFt)"
f = "min(F, 8)"
aggregation = ["P // f", 1, "f"]
combination = ["P // g", "g", 1]
"""
_ = Path("mine.toml").write_text(FLEET, encoding="utf-8")

# %%
from gnnsched_env.cycles import count_cycles
from gnnsched_env.graphs import load_graph_set
from gnnsched_env.hardware import bind, load_fleet, make_model

fleet = load_fleet("mine.toml")
club = load_graph_set("karate")
model = make_model("gcn", club.num_features, club.num_classes)
for choice in fleet.choices:
    bound = bind(choice.dataflow, model.layers[0], choice.accelerator)
    cycles = count_cycles(club[0], model, choice.accelerator, choice.dataflow).cycles
    print(f"{choice.name:<15} {cycles:>6,} cycles   tiles of the first layer {bound.tiling}")

# %% [markdown]
# The file is a scenario, too: it makes an environment and can be evaluated. `predictor="exact"` asks the cost model, so
# that nothing has to be trained for hardware that no shipped predictor knows.

# %%
import gnnsched_baselines  # registers the baselines
from gnnsched_env.evaluation import policy_factory, run_policy
from gnnsched_env.scenario import load_scenario, scenario_table

scenario = load_scenario("mine.toml").with_options(load=0.8, jobs=200, predictor="exact")
table = scenario_table(scenario)
for name in ("fifo", "sjf", "assignment"):
    runs = run_policy(policy_factory(name, dispatch=False), scenario, table, dispatch=False, seed=0, episodes=10)
    microseconds = runs.per_episode("completion").mean() / fleet.clock_hz * 1e6
    print(f"{name:<12} mean completion {microseconds:>8,.1f} microseconds")

# %% [markdown]
# ## Measured latencies
#
# Where there is no cost model, measure. As a device take this very CPU, with two ways to aggregate the features of
# neighbours: a sparse product (`sparse`) and a dense one (`dense`). Three sets of graphs are drawn, measured, and
# written as a CSV file with one row for each job and choice.

# %%
import csv
import time

import numpy as np

from gnnsched_env.graphs import GraphSet
from gnnsched_env.graphs.generators import draw_graphs

rng = np.random.default_rng(0)
FEATURES, CLASSES, REPEATS = 64, 8, 15


def measure(graph, choice):
    """Return the median microseconds of one layer, ((A + I) X) W, the matrix's own form included."""
    features = np.ones((graph.num_vertices, FEATURES), np.float32)
    weights = np.ones((FEATURES, CLASSES), np.float32)
    matrix = graph.with_self_loops().to_scipy().astype(np.float32)
    took = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        (matrix if choice == "sparse" else matrix.toarray()) @ features @ weights
        took.append(time.perf_counter() - begin)
    return 1e6 * float(np.median(took))


rows = []
for family in ("molecule", "ego", "rmat"):
    graphs = draw_graphs(family, rng, 24)
    name = f"{family}.npz"
    GraphSet.from_graphs(graphs, name=family, num_features=FEATURES, num_classes=CLASSES).save(name)
    for number, graph in enumerate(graphs):
        for choice in ("sparse", "dense"):
            first, again = measure(graph, choice), measure(graph, choice)
            rows.append((name, number, FEATURES, CLASSES, choice, f"{first:.3f}", f"{again:.3f}", REPEATS))
with Path("cpu.csv").open("w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file)
    header = ("graph_file", "graph_ids", "in_features", "out_features", "choice", "microseconds", "again", "repeats")
    writer.writerow(header)
    writer.writerows(rows)
print(f"{len(rows)} measurements; the first: {rows[0]}")

# %% [markdown]
# Each set is now predicted by a model that was trained on the two others, so that no graph of the tested family has
# been seen. *Noise* is how far two measurements of the same job are apart: no predictor can be nearer than that.

# %%
from gnnsched_env.predictors.measured.measured_models import measured_inputs, score_sets_apart
from gnnsched_env.predictors.measured.measurements import load_measurements

measured = load_measurements("cpu.csv")
records = score_sets_apart(measured, measured_inputs(measured.classes), synthetic=())
print(f"noise {100 * measured.noise():.1f} %")
for record in records:
    print(
        f"{record['graphs'][0]:<10} error {record['mape']:>5.1f} %, right choice {record['accuracy']:>5.1f} %, "
        f"regret {record['regret_mean']:.3f}; always {record['fixed_choice']}: {record['fixed_accuracy']:.1f} %"
    )

# %%
import matplotlib.pyplot as plt

_, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
vertices = [len(degrees) for degrees in measured.classes.degrees]
for k, choice in enumerate(measured.choices):
    axes.loglog(vertices, measured.microseconds[:, k], ".", label=choice)
axes.set_xlabel("vertices")
axes.set_ylabel("microseconds")
axes.legend()
plt.show()

# %% [markdown]
# The scale-free graphs (`rmat`) are far larger than those of the two other sets, so their latencies are extrapolated:
# the error is large, and the choice is right most of the time all the same. Measure jobs as large as those that you
# will have.
#
# The dense product grows with the square of the vertices, the sparse one with the edges. Somewhere they cross, and
# whether a graph lies on this side or on that is what the predictor has to learn.
#
# ## Exercise
#
# Add a third way, for instance a sparse product in CSC form (`matrix.tocsc()`), and measure again. Is it ever the best?
# Then raise `FEATURES` to 512: where do the curves cross now?
#
# **Next:** [measure your own device](../how-to/measure_your_device.md), in full; [run a live
# fleet](../how-to/run_a_live_fleet.md) of such devices; [hardware](../reference/hardware.md#your-own-in-toml) in TOML.
