"""Time what a decision costs: features and prediction of one job under nine dataflows, by predictor, on one core.

    python -m benchmarks.predictors --graphs ../shared/graphs

Jobs are two-layer GCNs, F -> 16 -> G. One: a new graph of a model that was seen before, alone. New model: its F and G
come for the first time, so that its tilings are bound (and, for the cost model, compiled) within the decision. Many:
a batch of jobs in one call, per job. Ratios are to the exact predictor in the same run. Without --graphs, synthetic
stand-ins.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np

from benchmarks.cycles import pin_to_one_core
from gnnsched_env.graphs import GraphSet
from gnnsched_env.graphs.generators import citation_graph, molecule_graph
from gnnsched_env.hardware import load_fleet, make_model
from gnnsched_env.predictors import make_predictor
from gnnsched_env.predictors.prediction_times import prediction_times
from gnnsched_env.tables import distinct_pairs
from gnnsched_env.workload import JobClasses

ROWS = (("MUTAG", 1, 18), ("MUTAG", 64, 18), ("PROTEINS", 64, 39), ("Cora", 1, 2708))  # file, batch, vertices if absent
PREDICTORS = ("exact", "closed_form", "closed_form_metadata", "gradient_boosting", "gradient_boosting_metadata")
NEW_GRAPHS = 32


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=Path, help="folder of MUTAG, PROTEINS and Cora.npz; else stand-ins")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gnn", action="store_true", help="also the GNN (needs the extra gnn)")
    arguments = parser.parse_args()
    pin_to_one_core()
    pairs = distinct_pairs(load_fleet("flexible4")).pairs
    names = (*PREDICTORS, "gnn") if arguments.gnn else PREDICTORS
    print("Microseconds a job, nine dataflows, median of repeats.")
    print("| jobs | V | predictor | knows | one | ratio to exact | new model | many |")
    print("|---|---|---|---|---|---|---|---|")
    for name, batch, vertices in ROWS:
        classes = _classes(arguments.graphs, name, batch, vertices, arguments.seed)
        made = [make_predictor(predictor) for predictor in names]
        times = [prediction_times(predictor, classes, pairs, repeats=arguments.repeats) for predictor in made]
        label = name if arguments.graphs else f"like {name}"
        size = round(statistics.mean(len(degrees) for degrees in classes.degrees))
        for predictor, own in zip(made, times, strict=True):
            costs = f"{own.one:.0f} | {own.one / times[0].one:.2f} | {own.new_model:.0f} | {own.many:.0f}"
            print(f"| {label} x{batch} | {size} | {predictor.name} | {predictor.level} | {costs} |")


def _classes(folder: Path | None, name: str, batch: int, vertices: int, seed: int) -> JobClasses:
    """Return NEW_GRAPHS jobs of one model, each a new batch (or the rows of the only graph, shuffled)."""
    rng = np.random.default_rng(seed)
    graphs = _graph_set(folder, name, vertices, rng)
    model = make_model("gcn", graphs.num_features, graphs.num_classes)
    batches = [graphs.batch(rng.choice(len(graphs), batch, replace=False)) for _ in range(NEW_GRAPHS)]
    rows = [graph.row_degrees(self_loops=True) for graph in batches]
    if len(graphs) == 1:
        rows = [rng.permutation(row) for row in rows]
    return JobClasses(
        names=tuple(str(i) for i in range(NEW_GRAPHS)),
        models=(model,) * NEW_GRAPHS,
        degrees=tuple(rows),
        weights=np.full(NEW_GRAPHS, 1.0 / NEW_GRAPHS),
        groups=np.zeros(NEW_GRAPHS, np.int64),
        group_names=(name,),
        graphs=tuple(batches),
    )


def _graph_set(folder: Path | None, name: str, vertices: int, rng: np.random.Generator) -> GraphSet:
    if folder is not None:
        return GraphSet.load(folder / f"{name}.npz")
    single = vertices > 1_000
    draw = citation_graph if single else molecule_graph
    drawn = [draw(rng, vertices) for _ in range(1 if single else 200)]
    return GraphSet.from_graphs(drawn, name=name, num_features=1433 if single else 7, num_classes=7 if single else 2)


if __name__ == "__main__":
    main()
