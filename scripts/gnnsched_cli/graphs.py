"""Print a table of structural statistics: the synthetic families, and any graph sets given as npz files or TU folders.

python -m scripts.describe_graphs ../shared/graphs/*.npz
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gnnsched_env.common.errors import GnnSchedError
from gnnsched_env.graphs import Graph, graph_statistics, load_graph_set
from gnnsched_env.graphs.generators import FAMILIES, draw_graphs


def main() -> int:
    """Parse, describe, print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, help="npz files or TU folders")
    parser.add_argument("--count", type=int, default=200, help="synthetic graphs a family")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        _describe(arguments)
    except GnnSchedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _describe(arguments: argparse.Namespace) -> None:
    print("| set | graphs | mean vertices | mean edges | mean degree | max degree | mean clustering |")
    print("|---|---|---|---|---|---|---|")
    for path in arguments.paths:
        graphs = load_graph_set(path)
        print(_row(graphs.name, graphs))
    for name in FAMILIES:
        rng = np.random.default_rng(arguments.seed)
        print(_row(f"`{name}` (like {FAMILIES[name].resembles})", draw_graphs(name, rng, arguments.count)))


def _row(name: str, graphs: Iterable[Graph]) -> str:
    """Return one line: means over the graphs; mean degree over all vertices together."""
    found = [graph_statistics(graph) for graph in graphs]
    vertices = np.array([one.vertices for one in found])
    mean_degree = np.average([one.mean_degree for one in found], weights=vertices)
    return (
        f"| {name} | {len(found)} | {vertices.mean():.1f} | {np.mean([one.edges for one in found]):.1f} "
        f"| {mean_degree:.2f} | {max(one.max_degree for one in found)} "
        f"| {np.mean([one.clustering for one in found]):.3f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
