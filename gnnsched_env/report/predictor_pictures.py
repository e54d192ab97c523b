"""Pictures of predictors: predicted against true cycles, learning curves, the ablation of feature sets, regret."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Record = Mapping[str, Any]
Cloud = tuple[NDArray[np.int64], NDArray[np.int64]]  # true and predicted cycles [C, P]

MOST_POINTS = 4_000
PAPER_ACCURACY, PAPER_MAPE = 91.28, 3.78  # percent, "up to" and "best" (arXiv 2411.16342)


def plot_predicted_against_true(clouds: Mapping[str, Mapping[str, Cloud]], out: Path) -> None:
    """Draw, for each predictor, the ratio of predicted to true cycles over the true ones, coloured by graph set."""
    pyplot = _pyplot()
    figure, row = pyplot.subplots(1, len(clouds), figsize=(5 * len(clouds), 4.5), layout="constrained", squeeze=False)
    for axes, (name, sets) in zip(row[0], clouds.items(), strict=True):
        for i, (label, (true, predicted)) in enumerate(sets.items()):
            step = max(1, true.size * len(sets) // MOST_POINTS)
            truth, guess = true.ravel()[::step], predicted.ravel()[::step]
            axes.plot(truth, guess / truth, ".", markersize=2, color=f"C{i}", label=label)
        axes.axhline(1.0, color="0.5", linewidth=0.8)
        axes.set(xscale="log", yscale="log", ylim=(0.3, 3.0), title=name, xlabel="true cycles")
        axes.set_yticks([0.5, 1.0, 2.0], labels=["0.5", "1", "2"])
        axes.minorticks_off()
    row[0][0].set_ylabel("predicted / true")
    row[0][-1].legend(markerscale=5, fontsize=8)
    _save(figure, pyplot, out)


def plot_learning_curve(curve: Sequence[Record], out: Path) -> None:
    """Draw accuracy and error on held-out families against the number of training jobs, a line per feature set."""
    pyplot = _pyplot()
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name in dict.fromkeys(record["features"] for record in curve):
        own = [record for record in curve if record["features"] == name]
        sizes = [record["graphs"] for record in own]
        left.plot(sizes, [record["accuracy"] for record in own], "o-", label=name)
        right.plot(sizes, [record["mape"] for record in own], "o-", label=name)
    left.axhline(PAPER_ACCURACY, color="0.5", linestyle=":", label="paper, up to")
    right.axhline(PAPER_MAPE, color="0.5", linestyle=":", label="paper, best")
    left.set(xscale="log", xlabel="training jobs", ylabel="right choices, %")
    right.set(xscale="log", yscale="log", xlabel="training jobs", ylabel="MAPE, %")
    for axes in (left, right):
        axes.legend(fontsize=8)
    _save(figure, pyplot, out)


def plot_ablation(records: Sequence[Record], out: Path) -> None:
    """Draw error and accuracy on held-out families by feature set, for both targets."""
    pyplot = _pyplot()
    chosen = [
        r for r in records if r["regressor"] == "lightgbm" and not r["joint"] and r["boosting"]["objective"] == "l2"
    ]
    sets = list(dict.fromkeys(record["features"] for record in chosen))
    figure, row = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axes, field, label in zip(row, ("accuracy", "mape"), ("right choices, %", "MAPE, %"), strict=True):
        for k, target in enumerate(("log", "residual")):
            values = {r["features"]: r[field] for r in chosen if r["target"] == target}
            places = [i + 0.4 * k - 0.2 for i, name in enumerate(sets) if name in values]
            bars = axes.bar(places, [values[name] for name in sets if name in values], 0.38, label=f"target {target}")
            axes.bar_label(bars, fmt="%.3g", fontsize=7)
        axes.set_xticks(range(len(sets)), labels=sets)
        axes.set(xlabel="feature set", ylabel=label)
        axes.legend(fontsize=8)
    row[1].set_yscale("log")
    _save(figure, pyplot, out)


def plot_regret(records: Sequence[Record], out: Path) -> None:
    """Draw the mean regret of each predictor on each graph set (records over all batch sizes)."""
    pyplot = _pyplot()
    whole = [record for record in records if record["batch_size"] is None]
    sets = list(dict.fromkeys(record["graphs"] for record in whole))
    names = list(dict.fromkeys(record["predictor"] for record in whole))
    figure, axes = pyplot.subplots(figsize=(10, 4), layout="constrained")
    width = 0.8 / len(names)
    for k, name in enumerate(names):
        values = {
            record["graphs"]: 100.0 * (record["regret_mean"] - 1.0) for record in whole if record["predictor"] == name
        }
        places = [i + (k - (len(names) - 1) / 2) * width for i in range(len(sets))]
        axes.bar(places, [max(values[one], 1e-3) for one in sets], width, label=name)
    axes.axhline(0.1, color="0.5", linestyle=":", label="target")
    axes.set_xticks(range(len(sets)), labels=sets)
    axes.set(yscale="log", ylim=(1e-3, 100.0), ylabel="mean regret - 1, % (0.001 and less: none)")
    axes.legend(fontsize=8, ncols=2)
    _save(figure, pyplot, out)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, pyplot: Any, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=100)
    pyplot.close(figure)
