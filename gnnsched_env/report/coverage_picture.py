"""A picture of how well synthetic training graphs cover real ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gnnsched_env.predictors.training_coverage import TAIL, Cloud

LOWEST = -5.5  # log10 density
BANDS = ((5.0, 95.0), (25.0, 75.0))


def plot_coverage(synthetic: Cloud, real: Sequence[Cloud], out: Path) -> None:
    """Draw clustering against density, and degree tails, of synthetic and real graphs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

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
    figure.savefig(out, dpi=110)
    pyplot.close(figure)


def _tails(axes: Any, cloud: Cloud, colour: Any, label: str) -> None:
    """Draw the median tail, and bands that hold half and nine tenths of the graphs."""
    for low, high in BANDS:
        edges = np.percentile(cloud.tails, (low, high), axis=0)
        axes.fill_between(TAIL, *np.maximum(edges, 1e-7), color=colour, alpha=0.15, linewidth=0)
    axes.plot(TAIL, np.median(cloud.tails, axis=0), color=colour, label=label)
