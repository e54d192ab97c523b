"""Plot how the synthetic training graphs cover real ones: clustering against density, and the tails of the degrees.

python scripts/studies/plot_coverage.py --graphs ../shared/graphs/*.npz --out docs/coverage.png
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_cli.command import OutFile, run_command
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import Graph, graph_statistics, load_graph_set
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec, training_graphs
from gnnsched_env.report.pyplot import import_pyplot, save_figure

TRIALS = 1_000  # number of samples that estimate a graph's clustering
SMALLEST = 3  # smallest number of vertices for which clustering is measured
TAIL = np.geomspace(0.1, 3_000.0, 200)  # degree over mean degree


@dataclass(frozen=True, kw_only=True, eq=False)
class Cloud:
    """Measurements of graphs: clustering and log10 density, float64 [graphs], and tails [graphs, len(TAIL)]."""

    name: str
    clustering: NDArray[np.float64]
    density: NDArray[np.float64]
    tails: NDArray[np.float64]


def synthetic_cloud(sets: int, each: int, rng: np.random.Generator, *, seed: int = 0) -> Cloud:
    """Measure up to `each` graphs from each of `sets` made-up data sets."""
    spec = DatasetSpec(graphs=1, seed=seed)
    drawn = [graph for i in range(sets) for graph in training_graphs(spec, 0, i)[:each]]
    return measure_cloud("synthetic", drawn, rng)


def measure_cloud(name: str, graphs: Sequence[Graph], rng: np.random.Generator) -> Cloud:
    """Measure the graphs that have entries and enough vertices."""
    kept = [graph for graph in graphs if graph.num_vertices >= SMALLEST and graph.num_edges > 0]
    if not kept:
        raise ConfigError(f"{name}: no graph with edges and at least {SMALLEST} vertices")
    found = [graph_statistics(graph, rng=rng, trials=TRIALS) for graph in kept]
    density = np.array([max(one.density, 1e-12) for one in found])
    return Cloud(
        name=name,
        clustering=np.array([one.clustering for one in found]),
        density=np.log10(density),
        tails=np.array([_tail(graph.degrees) for graph in kept]),
    )


def _tail(degrees: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return float64 [len(TAIL)]: the share of vertices whose degree over the mean is at least each of TAIL."""
    ordered = np.sort(degrees / degrees.mean())
    share: NDArray[np.float64] = 1.0 - np.searchsorted(ordered, TAIL) / ordered.size
    return share


def covered_share(real: Cloud, synthetic: Cloud) -> float:
    """Return the share of real graphs with a synthetic one within 0.05 in clustering and 0.1 in log10 density."""
    near = (np.abs(real.clustering[:, None] - synthetic.clustering) < 0.05) & (
        np.abs(real.density[:, None] - synthetic.density) < 0.1
    )
    return float(near.any(axis=1).mean())


LOWEST = -5.5  # log10 density
BANDS = ((5.0, 95.0), (25.0, 75.0))


def plot_coverage(synthetic: Cloud, real: Sequence[Cloud], out: Path) -> None:
    """Draw clustering against density, and degree tails, of synthetic and real graphs."""
    pyplot = import_pyplot(out)

    figure, (plane, tails, real_tails) = pyplot.subplots(1, 3, figsize=(15, 5), layout="constrained")
    extent = (LOWEST, 0.0, 0.0, 1.0)
    shade = {"gridsize": 40, "bins": "log", "cmap": "Greys", "mincnt": 1, "extent": extent}
    plane.hexbin(synthetic.density, synthetic.clustering, **shade)
    _tails(tails, synthetic, "0.3", "synthetic graphs")
    for i, cloud in enumerate(real):
        colour = f"C{i}"
        plane.plot(cloud.density, cloud.clustering, "o", color=colour, markersize=4, alpha=0.6, label=cloud.name)
        tails.plot(TAIL, np.median(cloud.tails, axis=0), color=colour)
        _tails(real_tails, cloud, colour, cloud.name)
    plane.set(xlim=(LOWEST, 0.05), ylim=(-0.02, 1.02), xlabel="log10 density", ylabel="mean local clustering")
    plane.set_title("synthetic graphs (grey, log count) and real ones")
    tails.set_title("degree tails: synthetic (bands), real (medians)")
    real_tails.set_title("degree tails: real")
    for axes in (tails, real_tails):
        axes.set(xscale="log", yscale="log", xlim=(TAIL[0], TAIL[-1]), ylim=(1e-5, 1.5))
        axes.set(xlabel="degree / mean degree", ylabel="share of vertices with at least that")
    for axes in (plane, tails, real_tails):
        axes.legend(fontsize=8)
    save_figure(figure, out, dpi=110)


def _tails(axes: Any, cloud: Cloud, colour: Any, label: str) -> None:
    """Draw the median tail, and bands that hold half and nine tenths of the graphs."""
    for low, high in BANDS:
        edges = np.percentile(cloud.tails, (low, high), axis=0)
        axes.fill_between(TAIL, *np.maximum(edges, 1e-7), color=colour, alpha=0.15, linewidth=0)
    axes.plot(TAIL, np.median(cloud.tails, axis=0), color=colour, label=label)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Plot synthetic training graphs and real ones side by side."""

    graphs: tuple[Path, ...]
    """Real sets: npz files or TU folders."""
    out: OutFile
    """Image to write (.png, .svg, .pdf)."""
    sets: int = 600
    """Made-up data sets to draw."""
    each: int = 8
    """Graphs of each made-up data set that are shown."""
    most: int = 300
    """Graphs of each real set that are shown."""
    seed: int = 0


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/plot_coverage.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Draw, measure, plot; print how much of each real set lies where synthetic graphs are."""
    rng = np.random.default_rng(arguments.seed)
    synthetic = synthetic_cloud(arguments.sets, arguments.each, rng, seed=arguments.seed)
    real = []
    for path in arguments.graphs:
        graphs = load_graph_set(path)
        shown = rng.permutation(len(graphs))[: arguments.most]
        real.append(measure_cloud(graphs.name, [graphs[int(i)] for i in shown], rng))
    plot_coverage(synthetic, real, arguments.out)
    for cloud in real:
        print(f"{cloud.name}: {100 * covered_share(cloud, synthetic):.1f} % of its graphs have a synthetic one near")
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    sys.exit(main())
