"""A few jobs, and a network trained for a moment."""

from functools import cache

import numpy as np

from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import load_fleet, make_model
from gnnsched_env.nn.device import pick_device
from gnnsched_env.predictors.gnn.gnn_training import TrainConfig, TrainingRun
from gnnsched_env.predictors.gnn.latency_networks import ModelConfig
from gnnsched_env.predictors.gnn.training_samples import label_samples
from gnnsched_env.tables import distinct_pairs
from gnnsched_env.workload import JobClasses

PAIRS = distinct_pairs(load_fleet("flexible4")).pairs
TINY = TrainConfig(
    held_out=("held out",),
    steps=8,
    batch=4,
    pairs_a_step=5,
    validate_every=2,
    model=ModelConfig(hidden=12, width=16),
)


def random_graph(seed, vertices=30):
    rng = np.random.default_rng(seed)
    ends = rng.integers(vertices, size=(2, 2 * vertices))
    return Graph.from_edges(vertices, *ends)


def job_classes(graphs, kinds=("gcn",), widths=((7, 2),), hidden=(16,)):
    """Return classes of some graphs, models taking turns; the last graph's family is held out."""
    models = [make_model(kinds[i % len(kinds)], *widths[i % len(widths)], hidden=hidden) for i in range(len(graphs))]
    return JobClasses(
        names=tuple(f"job {i}" for i in range(len(graphs))),
        models=tuple(models),
        degrees=tuple(
            graph.row_degrees(self_loops=model.layers[0].self_loops)
            for graph, model in zip(graphs, models, strict=True)
        ),
        weights=np.full(len(graphs), 1.0 / len(graphs)),
        groups=np.array([i == len(graphs) - 1 for i in range(len(graphs))], np.int64),
        group_names=("trained on", "held out"),
        graphs=tuple(graphs),
    )


def new_run(config=TINY, graphs=6):
    classes = job_classes(
        [random_graph(i, 10 + 7 * i) for i in range(graphs)],
        kinds=("gcn", "sage"),
        widths=((3, 16), (40, 7), (16, 2)),
        hidden=(),
    )
    samples = label_samples(classes, PAIRS, depth=config.model.depth)
    return TrainingRun(config, samples, PAIRS, pick_device("cpu"))


@cache
def small_predictor():
    """Return a predictor after four steps: its figures mean little, its arithmetic all."""
    run = new_run()
    for _ in range(4):
        run.take_step()
    run.validate()
    return run.predictor()
