# %% [markdown]
# # Predict latencies from what is known
#
# A scheduler must guess how long a job will take under each choice. What it can know differs: sometimes only the sizes
# of a graph, sometimes the degrees of its vertices, sometimes the whole graph. What is each worth?

# %% [markdown]
# ## Jobs, and the truth
#
# Sixty-four made-up classes of jobs of four families (molecules, social circles, scale-free graphs, citation graphs),
# single or in batches. The truth is the cost model's: cycles under the nine dataflows of an accelerator with 512 PEs.

# %%
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import make_predictor, score_predictions
from gnnsched_env.tables import distinct_pairs
from gnnsched_env.workload import synthetic_classes

pairs = distinct_pairs(load_fleet("flexible4")).pairs
classes = synthetic_classes(64)
truth = make_predictor("exact").predict(classes, pairs)  # int64 [classes, pairs]
print(f"{truth.shape[0]} classes under {truth.shape[1]} dataflows, {truth.min():,} to {truth.max():,} cycles")
spread = truth.max(axis=1) / truth.min(axis=1)
print(f"the worst dataflow costs {spread.min():.1f} to {spread.max():.1f} times the best")

# %% [markdown]
# ## Four predictors, two ladders
#
# * *metadata* knows the numbers of vertices and edges and the layers' widths; *degrees* knows how many neighbours each
#   vertex has.
# * A *closed form* computes cycles by a formula and learns nothing; *gradient boosting* corrects it by trees that were
#   trained on 100,000 synthetic jobs (none of these).

# %%
names = ("closed_form_metadata", "gradient_boosting_metadata", "closed_form", "gradient_boosting")
predicted = {name: make_predictor(name).predict(classes, pairs) for name in names}
print(f"{'':<27} error  right choice  regret, mean and worst")
for name, cycles in predicted.items():
    scores = score_predictions(truth, cycles)
    regret = f"{scores.mean_regret:>8.3f}  {scores.max_regret:>8.3f}"
    print(f"{name:<27} {scores.mape:>5.2f} %  {scores.accuracy:>8.1f} %  {regret}")

# %% [markdown]
# *Error* is the mean absolute percentage error. *Regret* is the latency of the dataflow chosen by the prediction over
# that of the best one: 1 is perfect. It is what a scheduler pays, and it is small long before the error is: a
# prediction may be wrong by ten percent and still put the dataflows in the right order.

# %%
import matplotlib.pyplot as plt

_, both = plt.subplots(1, 2, figsize=(9, 4), sharex=True, sharey=True, layout="constrained")
for axes, name in zip(both, ("gradient_boosting_metadata", "gradient_boosting"), strict=True):
    for k, group in enumerate(classes.group_names):
        of_group = classes.groups == k
        axes.loglog(truth[of_group].ravel(), predicted[name][of_group].ravel(), ".", alpha=0.5, label=group)
    axes.plot([truth.min(), truth.max()], [truth.min(), truth.max()], color="grey", linewidth=0.8)
    axes.set_title(name)
    axes.set_xlabel("true cycles")
both[0].set_ylabel("predicted cycles")
both[0].legend()
plt.show()

# %% [markdown]
# The points that lie far from the line on the left are graphs with hubs: their sizes look like those of an even graph,
# their degrees do not.
#
# ## What does a better prediction buy?
#
# Smaller error is not the aim; jobs that finish sooner are. Here is `min_min`, which believes what it is told, under
# each predictor:

# %%
import gnnsched_baselines  # registers the baselines
from gnnsched_env.evaluation import policy_factory, run_policy
from gnnsched_env.scenario import load_scenario, scenario_table

for name in ("closed_form_metadata", "gradient_boosting_metadata", "gradient_boosting", "exact"):
    scenario = load_scenario("hetero4").with_options(load=0.8, jobs=300, predictor=name)
    runs = run_policy(
        policy_factory("min_min", dispatch=False),
        scenario,
        scenario_table(scenario),
        dispatch=False,
        seed=0,
        episodes=20,
    )
    print(f"{name:<27} mean completion {runs.per_episode('completion').mean():>8,.0f} cycles")

# %% [markdown]
# Choices by sizes alone were nearly as good (a mean regret of 1.036), and yet jobs take 39 to 75 % longer: whoever puts
# jobs in order needs their lengths, not only the right dataflow. And `gradient_boosting` is as good as the truth.
#
# ## Exercise
#
# Which family is hardest for `closed_form_metadata`, and under which dataflow? Compute the error for each family
# (`classes.groups == k`) and each column of `pairs`. Then look for the two classes with the largest regret: would you
# have chosen better by hand?
#
# **Next:** [all predictors](../reference/predictor.md); [their scores on real graphs, and what a prediction
# costs](../results/predictor_scores.md); [one that reads the graph itself](../reference/gnn_predictor.md) (extra
# `gnn`); [one of your own](../how-to/add_a_predictor.md); [is predicting worth it?](../results/predicting.md)
