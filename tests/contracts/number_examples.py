"""A valid call of every public function and constructor that takes numbers, and what is left out, with the reason."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from gnnsched_env import (
    bounds,
    cycles,
    envs,
    evaluation,
    forecast,
    graphs,
    hardware,
    live,
    predictors,
    scenario,
    sim,
    tables,
)
from gnnsched_env.forecast import standin
from gnnsched_env.live.virtual_executor import VirtualExecutor
from gnnsched_env.scenario import traces
from gnnsched_env.workload import synthetic_classes
from tests import toys

GRAPH = graphs.Graph.from_edges(4, [0, 1, 2], [1, 2, 3])
SET = graphs.GraphSet.from_graphs([GRAPH, GRAPH, GRAPH, GRAPH, GRAPH], name="five", num_features=8, num_classes=2)
DEGREES = np.array([1, 2, 2, 1])
FLEET = hardware.load_fleet("hetero4")
MODEL = hardware.make_model("gcn", 8, 2)
PAIR = (FLEET.accelerators[0], FLEET.accelerators[0].dataflows[0])
TRUE = np.array([[5, 9], [7, 6]])
SETTINGS = {"mean_gap": 5.0, "unit": 1.0, "jobs": 6, "window": 3}


def rng():
    return np.random.default_rng(0)


def table():
    return toys.table(TRUE)


def settings():
    return sim.SimulationSettings(**SETTINGS)


def simulation():
    fleet = sim.Simulation(table(), settings(), lanes=2)
    fleet.reset(np.zeros(2, np.uint64), np.zeros(2, np.uint64), np.ones(2, bool))
    return fleet


@cache
def erring_table():
    return replace(table(), log_errors=np.zeros((len(tables.ERROR_LEVELS), table().num_choices)))


def batch():
    made = envs.EnvBatch(table(), settings(), lanes=2)
    made.reset([1, 2])
    return made


@cache
def layout():
    return batch().layout


def small():
    """Return a scenario of few jobs that brings its table."""
    names = tuple(choice.name for choice in FLEET.choices)
    cycles_ = np.arange(1, 1 + 2 * len(names)).reshape(2, -1)
    own = toys.table(cycles_, owners=FLEET.choice_accelerators)
    own = tables.LatencyTable(
        **{
            name: getattr(own, name)
            for name in ("true_cycles", "predicted_cycles", "weights", "choice_accelerators", "mean_log_cycles")
        },
        choice_names=names,
        accelerator_names=tuple(one.name for one in FLEET.accelerators),
        class_names=own.class_names,
        class_groups=own.class_groups,
        group_names=own.group_names,
    )
    return scenario.Scenario(name="small", fleet=FLEET, table=own).with_options(jobs=4)


TABLE = small().table


def single(kind):
    env = kind(small())
    env.reset(seed=0)
    return env


def vector(kind):
    env = kind(2, small())
    env.reset(seed=0)
    return env


def live_scheduler():
    executor = VirtualExecutor(table().true_cycles, table().choice_accelerators)
    return live.LiveScheduler(table(), settings(), sjf(), executor)


def instance():
    return bounds.Instance(name="two", release=np.array([0, 1]), latency=np.array([[3, 4], [5, 6]]))


def spec():
    tiling = hardware.Tiling(t_va=1, t_n=1, t_fa=1, t_vc=1, t_g=1, t_fc=1)
    array = hardware.PhaseArray(pes=4, distribution_bandwidth=4, reduction_bandwidth=4)
    return {
        "in_features": 8, "combination_features": 8, "out_features": 2, "tiling": tiling, "aggregation": array,
        "combination": array,
    }  # fmt: skip


PLACE = Path(tempfile.mkdtemp())


def written(text, name):
    path = PLACE / name
    path.write_text(text)
    return path


@cache
def tu_folder():
    folder = PLACE / "pair"
    folder.mkdir()
    (folder / "pair_A.txt").write_text("1, 2\n2, 1\n")
    (folder / "pair_graph_indicator.txt").write_text("1\n1\n")
    return folder


@cache
def saved_set():
    SET.save(PLACE / "five.npz")
    return PLACE / "five.npz"


def trace():
    return traces.read_trace(written("time,class\n0,a\n0.5,a\n", "r.csv"))


@cache
def classes():
    return synthetic_classes(4)


def fifo(shown, _):
    return evaluation.policy_factory("fifo", dispatch=False)(shown, _)


def sjf():
    return evaluation.policy_factory("sjf", dispatch=False)


def yardstick():
    return evaluation.Yardstick(small(), episodes=1)


def curve():
    return evaluation.LearningCurve({"a": yardstick()}, every=5)


def ended_batch():
    made = batch()
    while not made.ended.all():
        made.step(made.mask.argmax(axis=1))
    return made


def lane_actions():
    return np.zeros(2, np.int64)


def known(**given):
    """Return a function that returns these arguments."""
    return lambda: dict(given)


# The arguments of a call, by the name under which a function is public; "self" of a method.
EXAMPLES = {
    "bounds.Instance": lambda: {"name": "two", "release": np.array([0, 1]), "latency": np.array([[3, 4], [5, 6]])},
    "bounds.Instance.of": lambda: {
        "name": "two",
        "arrival": np.array([0, 1]),
        "job_class": np.array([1, 0]),
        "true": TRUE,
        "choice_accelerators": np.array([0, 1]),
    },
    "bounds.optimum": lambda: {"instance": instance(), "seconds": 1.0, "workers": 1, "seed": 0},
    "bounds.improve": lambda: {"instance": instance(), "moves": 10, "tries": 1, "seed": 0},
    "bounds.lower_bound": lambda: {"instance": instance(), "rounds": 3},
    "cycles.CyclePlan.cycles": lambda: {"self": cycles.plan_for(MODEL, (PAIR,)), "degrees": DEGREES},
    "cycles.CyclePlan.matrix": lambda: {"self": cycles.plan_for(MODEL, (PAIR,)), "degrees": [DEGREES]},
    "cycles.LayerSpec": spec,
    "cycles.cycles_matrix": lambda: {"degrees": [DEGREES], "model": MODEL, "pairs": [PAIR]},
    "cycles.simulate_layer": lambda: {"degrees": DEGREES, "spec": cycles.LayerSpec(**spec())},
    "envs.EnvBatch": lambda: {
        "table": erring_table(),
        "settings": settings(),
        "lanes": 2,
        "reconfiguration": [0, 3],
        "intervals": 0.5,
    },
    "envs.EnvBatch.around": lambda: {"simulation": simulation()},
    "tables.LatencyTable.interval": lambda: {"self": erring_table(), "coverage": 0.5},
    "envs.EnvBatch.episode": lambda: {"self": ended_batch(), "lane": 1},
    "envs.EnvBatch.reset": lambda: {"self": batch(), "seeds": [1, 2], "episodes": [0, 1]},
    "envs.EnvBatch.step": lambda: {"self": batch(), "actions": lane_actions()},
    "envs.EnvBatch.encode": lambda: {"self": batch(), "worker": 0, "first": 0, "stop": 2},
    "envs.QueueVectorEnv": lambda: {"num_envs": 2, "scenario": small(), "max_episode_steps": 9, "threads": 1},
    "envs.DispatchVectorEnv": lambda: {"num_envs": 2, "scenario": small(), "max_episode_steps": 9, "threads": 1},
    "envs.SchedulingVectorEnv.reset": lambda: {"self": vector(envs.QueueVectorEnv), "seed": 3},
    "envs.SchedulingVectorEnv.step": lambda: {"self": vector(envs.QueueVectorEnv), "actions": lane_actions()},
    "envs.SchedulingEnv.reset": lambda: {"self": single(envs.QueueEnv), "seed": 3},
    "envs.SchedulingEnv.step": lambda: {"self": single(envs.QueueEnv), "action": 0},
    "envs.decode_counts": lambda: {"codes": np.array([0.5], np.float32), "window": 3},
    "evaluation.LearningCurve": lambda: {"yardsticks": {"a": yardstick()}, "every": 5},
    "evaluation.LearningCurve.on": lambda: {"scenario": small(), "every": 5, "episodes": 1},
    "evaluation.LearningCurve.due": lambda: {"self": curve(), "decisions": 3},
    "evaluation.LearningCurve.measure": lambda: {"self": curve(), "policy": sjf(), "decisions": 3},
    "evaluation.Yardstick": lambda: {"scenario": small(), "seed": 3, "episodes": 1},
    "evaluation.add_bound": lambda: {
        "records": [],
        "scenario": small(),
        "table": TABLE,
        "seed": 0,
        "episodes": 1,
    },
    "evaluation.compare": lambda: {
        "scenario": small(),
        "policies": ("fifo",),
        "seed": 0,
        "episodes": 2,
        "progress": False,
    },
    "evaluation.evaluate": lambda: {
        "scenario": small(),
        "table": TABLE,
        "policies": {"fifo": fifo},
        "shortest_job_first": sjf(),
        "uninformed": {"fifo": fifo},
        "dispatch": False,
        "seed": 0,
        "episodes": 2,
        "graphs": ["g"],
    },
    "evaluation.paired_ratio": lambda: {"numerator": np.array([1.0, 2.0]), "denominator": np.array([2.0, 2.0])},
    "evaluation.run_policy": lambda: {
        "factory": fifo,
        "scenario": small(),
        "table": TABLE,
        "dispatch": False,
        "seed": 0,
        "episodes": 1,
    },
    "evaluation.run_unbounded": lambda: {
        "factory": fifo,
        "scenario": small(),
        "table": TABLE,
        "seed": 0,
        "episodes": 1,
    },
    "forecast.standin.Size": lambda: {"nodes": 2_000},
    "forecast.standin.StandinSpec": lambda: {
        "seed": 0,
        "collection": next(iter(forecast.Collection)),
        "split": "train",
        "place": 0,
        "size": standin.Size(),
        "nodes": 20,
        "configs": 8,
    },
    "forecast.standin.plan": lambda: {"seed": 0, "size": standin.Size(layouts=(1, 1, 1), tiles=(1, 1, 1))},
    "graphs.Graph": lambda: {"indptr": GRAPH.indptr, "indices": GRAPH.indices},
    "graphs.Graph.from_edges": lambda: {"num_vertices": 4, "sources": np.array([0, 1]), "targets": np.array([1, 2])},
    "graphs.GraphSet": lambda: {
        "name": "one",
        "indptr": GRAPH.indptr,
        "indices": GRAPH.indices,
        "graph_ptr": np.array([0, 4]),
        "num_features": 8,
        "num_classes": 2,
        "num_features_alt": (3,),
        "labels": np.array([1]),
    },
    "graphs.GraphSet.from_graphs": lambda: {
        "graphs": [GRAPH],
        "name": "one",
        "num_features": 8,
        "num_classes": 2,
        "labels": np.array([1]),
    },
    "graphs.GraphSet.with_widths": lambda: {"self": SET, "num_features": 8, "num_classes": 2},
    "graphs.GraphSet.__getitem__": lambda: {"self": SET, "i": 1},
    "graphs.GraphSet.batch": lambda: {"self": SET, "ids": np.array([1, 0])},
    "graphs.GraphSet.degrees": lambda: {"self": SET, "ids": np.array([1, 0]), "self_loops": True},
    "graphs.graph_statistics": lambda: {"graph": GRAPH, "rng": rng(), "trials": 9},
    "graphs.sampled_clustering": lambda: {"graph": GRAPH, "rng": rng(), "trials": 9},
    "graphs.load_edge_list": lambda: {"path": written("0 1\n1 2\n", "edges.txt"), "num_vertices": 5},
    "graphs.load_tu_folder": lambda: {"folder": tu_folder(), "num_features": 3, "num_classes": 2},
    "graphs.load_graph_set": lambda: {"path": written("0 1\n1 2\n", "e.txt"), "num_features": 3, "num_classes": 2},
    "graphs.generators.RmatParameters": lambda: {"vertices": 9, "edges": 20, "a": 0.4, "b": 0.2, "c": 0.2},
    "graphs.generators.barabasi_albert_graph": lambda: {"rng": rng(), "vertices": 9, "links": 2},
    "graphs.generators.citation_graph": lambda: {"rng": rng(), "vertices": 9},
    "graphs.generators.draw_graphs": lambda: {"family": "molecule", "rng": rng(), "count": 2},
    "graphs.generators.draw_rmat_parameters": lambda: {"rng": rng(), "edges": (30, 40)},
    "graphs.generators.ego_graph": lambda: {"rng": rng(), "vertices": 9},
    "graphs.generators.erdos_renyi_graph": lambda: {"rng": rng(), "vertices": 9, "mean_degree": 2.0},
    "graphs.generators.geometric_graph": lambda: {"rng": rng(), "vertices": 9, "mean_degree": 2.0},
    "graphs.generators.graphlaxy_graph": lambda: {"rng": rng(), "edges": (30, 40)},
    "graphs.generators.grid_graph": lambda: {"rows": 3, "columns": 4},
    "graphs.generators.molecule_graph": lambda: {"rng": rng(), "vertices": 12},
    "graphs.generators.nearest_graph": lambda: {"rng": rng(), "vertices": 9},
    "graphs.generators.power_law_graph": lambda: {"rng": rng(), "vertices": 9, "mean_degree": 2.0},
    "graphs.generators.regular_graph": lambda: {"rng": rng(), "vertices": 10, "degree": 3},
    "graphs.generators.star_graph": lambda: {"rng": rng(), "vertices": 9},
    "graphs.generators.stochastic_block_graph": lambda: {
        "rng": rng(),
        "sizes": np.array([4, 5]),
        "inside": 0.5,
        "outside": 0.1,
    },
    "graphs.generators.thread_graph": lambda: {"rng": rng(), "vertices": 9},
    "graphs.generators.watts_strogatz_graph": lambda: {"rng": rng(), "vertices": 9, "neighbours": 4, "rewired": 0.2},
    "graphs.generators.with_isolated": lambda: {"rng": rng(), "graph": GRAPH, "share": 0.5},
    "graphs.generators.with_loops": lambda: {"rng": rng(), "graph": GRAPH, "share": 0.5},
    "hardware.Accelerator": lambda: {
        "name": "a",
        "pes": 8,
        "distribution_bandwidth": 8,
        "reduction_bandwidth": 8,
        "dataflows": (PAIR[1],),
    },
    "hardware.Choice": lambda: {"accelerator_index": 0, "accelerator": PAIR[0], "dataflow": PAIR[1]},
    "hardware.Fleet": lambda: {"name": "f", "accelerators": FLEET.accelerators, "clock_hz": 5},
    "hardware.Fleet.seconds": lambda: {"self": FLEET, "cycles": 5.0},
    "hardware.Layer": lambda: {"in_features": 4, "combination_features": 4, "out_features": 4, "self_loops": True},
    "hardware.PhaseArray": lambda: {"pes": 4, "distribution_bandwidth": 4, "reduction_bandwidth": 4},
    "hardware.TileRule.tiles": lambda: {
        "self": PAIR[1].rule,
        "aggregation_width": 8,
        "combination_width": 8,
        "out_features": 4,
        "pes": 512,
    },
    "hardware.Tiling": lambda: dict.fromkeys(("t_va", "t_n", "t_fa", "t_vc", "t_g", "t_fc"), 1),
    "hardware.make_model": lambda: {"kind": "gcn", "in_features": 4, "out_features": 2, "hidden": (3,)},
    "predictors.DatasetSpec": lambda: {"graphs": 40, "chunk_jobs": 4},
    "predictors.DatasetSpec.jobs_of": lambda: {"self": predictors.DatasetSpec(), "chunk": 0},
    "predictors.graph_features": lambda: {"degrees": DEGREES, "level": predictors.Level.DEGREES},
    "predictors.labelled": lambda: {"classes": classes(), "pairs": [PAIR], "workers": 1, "progress": False},
    "predictors.mape": lambda: {"true": 1.0 * TRUE, "predicted": 1.0 * TRUE},
    "predictors.regret": lambda: {"true": 1.0 * TRUE, "predicted": 1.0 * TRUE},
    "predictors.score_predictions": lambda: {"true": 1.0 * TRUE, "predicted": 1.0 * TRUE},
    "predictors.selection_accuracy": lambda: {"true": 1.0 * TRUE, "predicted": 1.0 * TRUE},
    "predictors.training_chunk": lambda: {"spec": predictors.DatasetSpec(graphs=8, chunk_jobs=2), "chunk": 0},
    "predictors.build_table": lambda: {
        "job_classes": classes(),
        "fleet": FLEET,
        "predictor": "exact",
        "cache": False,
        "progress": False,
        "workers": 1,
    },
    "predictors.gnn.ModelConfig": dict,
    "predictors.gnn.TrainConfig": dict,
    "scenario.Arrivals": lambda: {"process": "bursty", "deadlines": (1.0, 2.0), "priorities": ((1.0, 1.0),)},
    "scenario.DecisionCost": lambda: {"latency_us": 5.0, "cached": True},
    "scenario.EnvironmentOptions": dict,
    "scenario.Failures": dict,
    "scenario.PredictionError": dict,
    "scenario.Reward": dict,
    "scenario.Workload": dict,
    "scenario.random_scenarios": lambda: {"count": 1, "classes": 4},
    "scenario.varied_scenarios": lambda: {"count": 2, "classes": 4},
    "scenario.traces.TraceKey": lambda: {"name": "x"},
    "scenario.traces.inspect_trace": lambda: {"path": written("time,class\n0,a\n0,b\n", "t.csv"), "classes": ["a"]},
    "scenario.traces.Trace.chunks": lambda: {"self": trace(), "clock_hz": 10, "size": 1},
    "scenario.traces.write_trace": lambda: {
        "path": PLACE / "w.csv",
        "times_s": np.array([0.0, 1.0]),
        "class_names": ["a", "b"],
        "repeats": np.array([1, 2]),
        "deadlines_s": np.array([1.0, 2.0]),
        "weights": np.array([1.0, 2.0]),
    },
    "sim.Simulation": lambda: {"table": table(), "settings": settings(), "lanes": 2, "reconfiguration": [0, 3]},
    "sim.Simulation.reset": lambda: {
        "self": simulation(),
        "seeds": np.zeros(2, np.uint64),
        "episodes": np.zeros(2, np.uint64),
        "which": np.ones(2, bool),
    },
    "sim.Simulation.step": lambda: {"self": simulation(), "actions": lane_actions(), "first": 0, "stop": 2},
    "sim.Simulation.aborted_runs": lambda: {"self": simulation(), "lane": 1},
    "sim.Simulation.down_intervals": lambda: {"self": simulation(), "lane": 1},
    "sim.SimulationSettings": known(**SETTINGS),
    "sim.fleet_capacity": lambda: {"cycles": TRUE, "weights": np.array([0.5, 0.5]), "owners": np.array([0, 1])},
    "sim.job_table": lambda: {"table": table(), "repeats": 2},
    "sim.policy_capacity": lambda: {"table": table(), "choices": [0, 1]},
    "sim.seed_arrays": lambda: {"seeds": [1, 2], "episodes": [0, 0]},
    "tables.LatencyTable": lambda: {
        "true_cycles": TRUE,
        "predicted_cycles": TRUE,
        "weights": np.array([1.0, 3.0]),
        "choice_names": ("a/d", "b/d"),
        "choice_accelerators": np.array([0, 1]),
        "accelerator_names": ("a", "b"),
        "mean_log_cycles": np.array([1.0, 2.0]),
        "class_names": ("c", "d"),
        "class_groups": np.array([0, 0]),
        "group_names": ("g",),
        "energy_pj": np.array([[1.0, 2.0], [3.0, 4.0]]),
    },
    "tables.pair_cycles": lambda: {"classes": classes(), "pairs": [PAIR], "workers": 1, "progress": False},
    "tables.true_cycles": lambda: {"classes": classes(), "fleet": FLEET, "workers": 1, "progress": False},
    "workload.JobClasses": lambda: {
        "names": ("a",),
        "models": (MODEL,),
        "degrees": (DEGREES,),
        "weights": np.array([1.0]),
        "groups": np.array([0]),
        "group_names": ("g",),
    },
    "workload.JobClasses.subset": lambda: {"self": classes(), "members": [0]},
    "live.LiveScheduler.submit": lambda: {"self": live_scheduler(), "job_class": 1, "due": 10, "weight": 1.0},
    "workload.synthetic_classes": lambda: {"count": 4, "seed": 0, "hidden": (4,)},
    "workload.classes_from_files": lambda: {
        "paths": [saved_set()],
        "batch_sizes": (1, 2),
        "classes_per_file": 2,
        "seed": 0,
        "hidden": (4,),
    },
    "baselines.Assignment": lambda: {"layout": layout(), "c": 1.0},
    "baselines.Index": lambda: {"layout": layout(), "c": 1.0},
    "baselines.Random": lambda: {"layout": layout(), "seed": 1},
    "baselines.Rollout": lambda: {"layout": layout(), "futures": 4, "arrivals": 3, "margin": 1.0, "seed": 1},
    "baselines.SkipPredict": lambda: {"layout": layout(), "c": 1.0, "skip_below": 3},
    "baselines.Static": lambda: {"layout": layout(), "choice": 1},
}

# Parameters that take numbers without saying so, or do not though it looks so: their kind, by function.
TAKES = {
    "envs.SchedulingEnv.step": {"action": "integer"},
    "envs.SchedulingVectorEnv.step": {"actions": "array"},
    "envs.EnvBatch.step": {"actions": "array"},
    "envs.SchedulingVectorEnv.reset": {"seed": "integer"},
    "cycles.LayerSpec": {"aggregation": None, "combination": None},
    "evaluation.LearningCurve.on": {"graphs": None},
    "evaluation.add_bound": {"records": None},
    "cycles.CyclePlan.matrix": {"degrees": None},  # a list of what `cycles` takes
    "cycles.cycles_matrix": {"degrees": None},
    "envs.decode_counts": {"codes": None},  # as `decode_cycles`
    "workload.JobClasses": {"degrees": None},
    "predictors.build_table": {"workers": None},  # processes, which start; `tables.pair_cycles` checks their number
    "predictors.labelled": {"workers": None},
    "tables.pair_cycles": {"workers": None},
    "tables.true_cycles": {"workers": None},
}
_RESULT = "what functions return: nobody gives it"
_DECODES = "numpy's functions on what environments showed, in policies' hot paths"
_FILE = "its arrays are a file's, which `open_program` and `write_program` check"
_TRAINED = "what training made, or files that are checked when they are read"
LEFT_OUT = {
    **dict.fromkeys(
        (
            "bench.ArenaResult",
            "bench.Played",
            "bounds.KnownOptimum",
            "bounds.LowerBound",
            "bounds.Optimum",
            "cycles.CompiledTiling",
            "cycles.CycleCounts",
            "cycles.LayerCounts",
            "cycles.LayerCycles",
            "cycles.LayerParts",
            "cycles.PhaseAccesses",
            "cycles.PhaseParts",
            "cycles.RowCost",
            "cycles.RowCost.cycles",
            "envs.Layout",
            "envs.View",
            "evaluation.Interval",
            "evaluation.Runs",
            "graphs.GraphStatistics",
            "live.JobResult",
            "live.Report",
            "predictors.Dataset",
            "predictors.Dataset.take",
            "predictors.Inputs",
            "predictors.Inputs.from_arrays",
            "predictors.Inputs.per_class",
            "predictors.Inputs.take",
            "predictors.Scores",
            "scenario.traces.Problem",
            "scenario.traces.Trace",
            "scenario.traces.TraceReport",
            "sim.Capacity",
            "sim.EpisodeMetrics",
            "tables.DistinctPairs",
            "forecast.standin.StandinProgram",
        ),
        _RESULT,
    ),
    **dict.fromkeys(
        ("envs.by_column", "envs.decode_cycles", "envs.encode_cycles", "envs.pair_view", "envs.unflatten"), _DECODES
    ),
    **dict.fromkeys(
        ("forecast.Program", "forecast.Program.configurations", "forecast.ProgramGraph", "forecast.write_program"),
        _FILE,
    ),
    **dict.fromkeys(
        ("predictors.TreePredictor", "predictors.gnn.GnnPredictor", "predictors.gnn.GnnPredictor.of"), _TRAINED
    ),
    **dict.fromkeys(("bench.FilePolicy", "bench.FilePolicy.act", "bench.enter_arena"), "start processes: tests/bench"),
    "bench.Task": "read from the frozen file, whose hashes are compared with what is played",
    "bounds.Plan": "a schedule, which `check` compares with its instance",
    "cycles.CyclePlan": "made by `plan_for` from pairs that are checked",
    "envs.SchedulingVectorEnv": "the part that both batches have in common: they are called",
    "evaluation.LearningCurve.report": "as `measure`, and plays many policies",
    "evaluation.write_json": "JSON's own indent",
    "forecast.standin.write_standin": "writes what `plan` lists",
    "graphs.Graph.from_valid": "without checks, as its name says: the arrays are known to be valid",
    "live.LiveScheduler": "its planned jobs are a simulation's records; commands refuse a bad number of tries",
    "predictors.Job": "a tuple that the predictors check",
    "predictors.TrainingSet": "takes a DatasetSpec, which is checked",
    "scenario.traces.trace_classes": "takes a trace that was read, and hands the widths on to `make_model`",
    "sim.Simulation.play": "takes a function: its first actions are checked as those of `step`, which tests/sim plays",
    "sim.Simulation.grow": "called by the feed of a trace alone",
}
# Odd numbers that a parameter takes for what they are, though none of these is a plain number.
ALLOWED = {
    "bounds.optimum.seconds": ("inf",),
    "graphs.generators.citation_graph.ageing": ("inf",),
    "hardware.Fleet.seconds.cycles": ("inf",),
    "evaluation.paired_ratio.numerator": ("nan",),
    "evaluation.paired_ratio.denominator": ("nan",),
    "hardware.make_model.hidden": ("2^63",),  # the cost model bounds widths where it computes
    "workload.synthetic_classes.hidden": ("2^63",),
    "workload.classes_from_files.hidden": ("2^63",),
    "workload.classes_from_files.batch_sizes": ("2^63",),  # left out: larger than the set
    "scenario.Workload.hidden": ("2^63",),
    "scenario.Workload.batch_sizes": ("2^63",),
    **dict.fromkeys(  # seeds are taken modulo 2^64
        (
            f"{name}.{seeds}"
            for name in ("envs.EnvBatch.reset", "sim.Simulation.reset", "sim.seed_arrays")
            for seeds in ("seeds", "episodes")
        ),
        ("2^63",),
    ),
}
