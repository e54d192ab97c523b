"""Time the cost model on one core: nine preset dataflows, GCN's first layer, against the stock OMEGA simulator.

    python -m benchmarks.cycles --graphs ../shared/graphs

Every call sees a new graph (batches are drawn with a seed; a single graph's rows are shuffled) and evaluates all nine
tilings. Warm: tilings compiled, the graph prepared within the call. Cold: tilings compiled within the call too.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.cycles import plan, plan_for
from gnnsched_env.graphs import GraphSet
from gnnsched_env.graphs.generators import citation_graph, molecule_graph
from gnnsched_env.hardware import GnnModel, load_accelerator, make_model

STOCK_SOURCE = "fastest and slowest dataflow, one thread, 512 PEs, as measured for the cost model's specification"
TARGET_RATIO = 5e5
TARGET_LABELS = 200_000
NEW_GRAPHS = 64
HIDDEN = 16
Degrees = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: data set, mean vertices of its graphs, batch size, input width, stock seconds a dataflow if known."""

    name: str
    vertices: int
    batch: int
    width: int
    stock_s: tuple[float, float] | None


ROWS = (
    Row(name="MUTAG", vertices=18, batch=64, width=28, stock_s=(1.1, 3.4)),
    Row(name="PROTEINS", vertices=39, batch=64, width=29, stock_s=(4.3, 13.0)),
    Row(name="Citeseer", vertices=3327, batch=1, width=64, stock_s=(10.0, 17.0)),
    Row(name="Citeseer", vertices=3327, batch=1, width=3703, stock_s=None),
    Row(name="Cora", vertices=2708, batch=1, width=64, stock_s=(6.4, 23.0)),
    Row(name="Cora", vertices=2708, batch=1, width=1433, stock_s=(428.0, 428.0)),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=Path, help="folder of npz files; stand-ins are drawn without it")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    pin_to_one_core()
    print(f"Stock seconds a dataflow: {STOCK_SOURCE}. us = microseconds a (graph, dataflow), median; best in brackets.")
    print("| graphs | V | F | cold us | warm us | many us | labels/s | stock s | ratio, fastest stock | met |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in ROWS:
        print(_line(row, *_degrees(row, arguments.graphs, arguments.seed), arguments.repeats))


def pin_to_one_core() -> None:
    """Keep the process where it is measured, as far as the system allows."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _degrees(row: Row, folder: Path | None, seed: int) -> tuple[str, list[Degrees]]:
    """Return the label and NEW_GRAPHS arrays of row degrees of A+I."""
    rng = np.random.default_rng(seed)
    path = None if folder is None else folder / f"{row.name}.npz"
    if path is not None and path.is_file():
        graphs, label = GraphSet.load(path), row.name
    else:
        graphs, label = _stand_in(row, rng), f"stand-in for {row.name}"
    label += f", batches of {row.batch}" if row.batch > 1 else ""
    many = []
    for _ in range(NEW_GRAPHS):
        degrees = graphs.degrees(rng.integers(0, len(graphs), row.batch), self_loops=True)
        many.append(degrees if row.batch > 1 else rng.permutation(degrees))
    return label, many


def _stand_in(row: Row, rng: np.random.Generator) -> GraphSet:
    """Draw synthetic graphs of the same mean size."""
    draw = molecule_graph if row.batch > 1 else citation_graph
    graphs = [draw(rng, row.vertices) for _ in range(row.batch)]
    return GraphSet.from_graphs(graphs, name=row.name, num_features=row.width, num_classes=2)


def _line(row: Row, label: str, many: list[Degrees], repeats: int) -> str:
    accelerator = load_accelerator("omega512")
    layers = make_model("gcn", row.width, 2, hidden=(HIDDEN,)).layers[:1]
    model = GnnModel(name="gcn-layer-1", layers=layers)
    pairs = tuple((accelerator, dataflow) for dataflow in accelerator.dataflows)
    compiled = plan_for(model, pairs)

    def cold() -> None:
        plan_for.cache_clear()
        plan.compile_tiling.cache_clear()
        plan_for(model, pairs).cycles(many[0])

    def warm() -> None:
        for degrees in many:
            compiled.cycles(degrees)

    def together() -> None:
        compiled.matrix(many)

    labels = len(pairs)
    cold_us = [seconds / labels for seconds in _times(cold, repeats)]
    warm_us = [seconds / labels / len(many) for seconds in _times(warm, repeats)]
    many_us = [seconds / labels / len(many) for seconds in _times(together, repeats)]
    middle = statistics.median(warm_us)
    rate = 1e6 / statistics.median(many_us)
    ratio = None if row.stock_s is None else row.stock_s[0] * 1e6 / middle
    met = (ratio is None or ratio >= TARGET_RATIO) and (rate >= TARGET_LABELS or len(many[0]) > 1500)
    return (
        f"| {label} | {len(many[0])} | {row.width} | {statistics.median(cold_us):.1f} ({min(cold_us):.1f}) "
        f"| {middle:.2f} ({min(warm_us):.2f}) | {statistics.median(many_us):.2f} | {rate:,.0f} "
        f"| {_stock(row)} | {'-' if ratio is None else f'{ratio:.2g}'} | {'yes' if met else 'NO'} |"
    )


def _stock(row: Row) -> str:
    return "not measured" if row.stock_s is None else f"{row.stock_s[0]:g}-{row.stock_s[1]:g}"


def _times(call: Callable[[], None], repeats: int) -> list[float]:
    """Return microseconds of each call, after one to warm up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e6)
    return times


if __name__ == "__main__":
    main()
