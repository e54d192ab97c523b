"""Plot how the synthetic training graphs cover real ones: clustering against density, and the tails of the degrees.

python scripts/studies/plot_coverage.py --graphs ../shared/graphs/*.npz --out docs/coverage.png
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gnnsched_cli.command import run_command
from gnnsched_env.graphs import load_graph_set
from gnnsched_env.predictors.training_coverage import covered_share, measure_cloud, synthetic_cloud
from gnnsched_env.report.coverage_picture import plot_coverage


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Plot synthetic training graphs and real ones side by side."""

    graphs: tuple[Path, ...]
    """Real sets: npz files or TU folders."""
    out: Path
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
    for cloud in real:
        print(f"{cloud.name}: {100 * covered_share(cloud, synthetic):.1f} % of its graphs have a synthetic one near")
    plot_coverage(synthetic, real, arguments.out)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    sys.exit(main())
