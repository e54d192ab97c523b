"""Print the tables of docs/results/predictor_scores.md and draw its pictures: every predictor on every graph file.

Example:
    python scripts/studies/plot_predictors.py --graphs A.npz B.npz --out docs/results \\
        --validation docs/results/predictor_validation.json
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnsched_cli.command import OutFile, OutFolder, run_command
from gnnsched_env.common.checks import OneOf
from gnnsched_env.common.errors import FileFormatError, GraphError, reason
from gnnsched_env.cycles.domain import as_degrees
from gnnsched_env.evaluation import write_json
from gnnsched_env.graphs import GraphSet
from gnnsched_env.hardware import Fleet, load_fleet
from gnnsched_env.predictors import Predictor, make_predictor
from gnnsched_env.predictors.graph_scores import Record, ScoringSpec, load_distinct_sets, score_sets, scoring_classes
from gnnsched_env.predictors.scores import regret
from gnnsched_env.report.pyplot import import_pyplot, save_figure
from gnnsched_env.tables import Pair, distinct_pairs, pair_cycles
from gnnsched_env.workload import JobClasses

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

LAWS = ("even", "random", "skewed")
SKEW = 1.0  # exponent of Zipf's law


def twin_degrees(degrees: IntArray, law: str, rng: np.random.Generator) -> IntArray:
    """Return int64 [V] with the sum of `degrees`: "even" (all equal), "random" (Poisson-like), "skewed" (Zipf).

    No fewer rows have entries than before (over A+I: all, by their loops), and none has more than V. Raise `GraphError`
    for degrees that no V rows of at most V entries can hold, `ConfigError` for an unknown law.
    """
    OneOf(LAWS).check("limits", "law", law)
    degrees = as_degrees(degrees)
    rows, entries = degrees.size, int(degrees.sum())
    if entries > rows * rows:
        raise GraphError(f"limits: degrees must sum to at most V^2 = {rows * rows:,}, got {entries:,}")
    base = np.minimum(degrees, 1)
    spare = entries - int(base.sum())
    if law == "even":
        whole = np.full(rows, entries // rows)
        whole[: entries % rows] += 1
        return rng.permutation(whole)
    weights = np.ones(rows) if law == "random" else np.arange(1, rows + 1) ** -SKEW
    twin = base + rng.multinomial(spare, weights / weights.sum())
    while (excess := int((twin - rows).clip(0).sum())) > 0:  # the excess of full rows goes to others
        twin = np.minimum(twin, rows)
        room = (rows - twin) / max(1, (rows - twin).sum())
        twin = twin + rng.multinomial(excess, room)
    return rng.permutation(twin)


def metadata_limits(classes: JobClasses, pairs: Sequence[Pair], *, seed: int = 0) -> list[Record]:
    """Compare the classes with twins of equal sizes, law by law.

    `differ`: percent of classes whose best choices have none in common with the twin's. `regret`: mean regret of
    running a class under the twin's best. `mape_bound`: a predictor that sees sizes only says the same x of a class
    and its twin; with latencies a <= b, the mean of |x - a| / a and |x - b| / b is least at x = a, (b - a) / 2b:
    percent, averaged over classes and pairs.
    """
    true = pair_cycles(classes, pairs)
    records = []
    for law in LAWS:
        rng = np.random.default_rng(seed)
        twins = JobClasses(
            names=classes.names,
            models=classes.models,
            degrees=tuple(twin_degrees(degrees, law, rng) for degrees in classes.degrees),
            weights=classes.weights,
            groups=classes.groups,
            group_names=classes.group_names,
        )
        other = pair_cycles(twins, pairs)
        best, other_best = (cycles == cycles.min(axis=1, keepdims=True) for cycles in (true, other))
        low, high = np.minimum(true, other), np.maximum(true, other)
        records.append(
            {
                "law": law,
                "samples": len(classes),
                "differ": 100.0 * float((~(best & other_best).any(axis=1)).mean()),
                "regret": float(regret(true, other).mean()),
                "mape_bound": 100.0 * float(((high - low) / (2 * high)).mean()),
            }
        )
    return records


Cloud = tuple[NDArray[np.int64], NDArray[np.int64]]  # true and predicted cycles [C, P]

MOST_POINTS = 4_000
PAPER_ACCURACY, PAPER_MAPE = 91.28, 3.78  # percent, "up to" and "best" (arXiv 2411.16342)


def plot_predicted_against_true(clouds: Mapping[str, Mapping[str, Cloud]], out: Path) -> None:
    """Draw, for each predictor, the ratio of predicted to true cycles over the true ones, coloured by graph set."""
    pyplot = import_pyplot(out)
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
    save_figure(figure, out)


def plot_learning_curve(curve: Sequence[Record], out: Path) -> None:
    """Draw accuracy and error on held-out families against the number of training jobs, a line per feature set."""
    pyplot = import_pyplot(out)
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
    save_figure(figure, out)


def plot_ablation(records: Sequence[Record], out: Path) -> None:
    """Draw error and accuracy on held-out families by feature set, for both targets."""
    pyplot = import_pyplot(out)
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
    save_figure(figure, out)


def plot_regret(records: Sequence[Record], out: Path) -> None:
    """Draw the mean regret of each predictor on each graph set (records over all batch sizes)."""
    pyplot = import_pyplot(out)
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
    save_figure(figure, out)


PAPER = "| the paper, best figures on synthetic graphs | sizes, structure | up to 91.28 | 3.78 | - |"


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Score predictors, print Markdown tables and draw pictures."""

    graphs: tuple[Path, ...]
    out: OutFolder
    """The folder of the pictures."""
    predictors: tuple[str, ...] = (
        "exact",
        "closed_form",
        "gradient_boosting",
        "gnn",
        "closed_form_metadata",
        "gradient_boosting_metadata",
    )
    shown: tuple[str, ...] = ("gradient_boosting", "gnn", "gradient_boosting_metadata")
    """Those of the predictors whose predictions are drawn against the truth."""
    validation: Path | None = None
    """Records that validate_predictors.py wrote; their pictures are drawn too."""
    fleet: str = "flexible4"
    samples: int = 200
    seed: int = 0
    json: OutFile | None = None
    """JSON file to write the records to."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/plot_predictors.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Score, write, draw, print."""
    fleet = load_fleet(arguments.fleet)
    spec = ScoringSpec(samples=arguments.samples, seed=arguments.seed)
    sets = load_distinct_sets(arguments.graphs)
    found = None if arguments.validation is None else _validation(arguments.validation)
    made = {name: make_predictor(name, distinct_pairs(fleet).pairs) for name in arguments.predictors}
    records = [record for predictor in made.values() for record in score_sets(predictor, sets, fleet, spec)]
    limits = {graphs.name: _limits(graphs, spec, fleet) for graphs in sets.values()}
    if arguments.json is not None:
        write_json(arguments.json, {"records": records, "limits": limits})
    shown = {name: _clouds(made[name], list(sets.values()), spec, fleet) for name in arguments.shown if name in made}
    plot_predicted_against_true(shown, arguments.out / "predictor_scatter.png")
    plot_regret(records, arguments.out / "predictor_regret.png")
    if found is not None:
        plot_ablation(found["records"], arguments.out / "predictor_ablation.png")
        plot_learning_curve(found["curve"], arguments.out / "predictor_learning.png")
    _print_scores(records)
    _print_limits(limits)
    if found is not None:
        _print_validation(found["records"])


def _print_scores(records: Sequence[Record]) -> None:
    whole = [record for record in records if record["batch_size"] is None]
    sets = list(dict.fromkeys(record["graphs"] for record in whole))
    print(
        "| predictor | knows | right choices, %: least, most of the sets | MAPE, %: least, most | worst mean regret |"
    )
    print("|---|---|---|---|---|")
    print(PAPER)
    for name in dict.fromkeys(record["predictor"] for record in whole):
        own = [record for record in whole if record["predictor"] == name]
        right, error = ([record[field] for record in own] for field in ("accuracy", "mape"))
        worst = max(record["regret_mean"] for record in own)
        print(
            f"| {name} | {own[0]['level']} | {min(right):.1f}, {max(right):.1f} | {min(error):.2f}, {max(error):.2f} "
            f"| {worst:.4f} |"
        )
    for field, digits, title in (
        ("accuracy", 1, "Right choices, %"),
        ("mape", 2, "MAPE, %"),
        ("regret_mean", 4, "Mean regret"),
    ):
        print(f"\n{title}\n\n| predictor | {' | '.join(sets)} |\n|---|{'---|' * len(sets)}")
        for name in dict.fromkeys(record["predictor"] for record in whole):
            by_set = {record["graphs"]: record for record in whole if record["predictor"] == name}
            print(f"| {name} | " + " | ".join(_shown(by_set[one], field, digits) for one in sets) + " |")


def _shown(record: Record, field: str, digits: int) -> str:
    low, high = record[f"{field}_interval"]
    half = (high - low) / 2
    return f"{record[field]:.{digits}f}" + (f" ±{half:.{digits}f}" if half > 0 else "")


def _limits(graphs: GraphSet, spec: ScoringSpec, fleet: Fleet) -> list[Record]:
    classes, _ = scoring_classes(graphs, spec)
    return metadata_limits(classes, distinct_pairs(fleet).pairs, seed=spec.seed)


def _print_limits(limits: dict[str, list[Record]]) -> None:
    print("\n| set | twin's degrees | another best choice, % | regret of the twin's best | MAPE at least, % |")
    print("|---|---|---|---|---|")
    for name, records in limits.items():
        for r in records:
            print(f"| {name} | {r['law']} | {r['differ']:.1f} | {r['regret']:.4f} | {r['mape_bound']:.2f} |")


def _clouds(predictor: Predictor, sets: Sequence[GraphSet], spec: ScoringSpec, fleet: Fleet) -> dict[str, Cloud]:
    pairs = distinct_pairs(fleet).pairs
    found = {}
    for graphs in sets:
        classes, _ = scoring_classes(graphs, spec)
        found[graphs.name] = (pair_cycles(classes, pairs), predictor.predict(classes, pairs))
    return found


def _validation(path: Path) -> dict[str, list[Record]]:
    try:
        found: dict[str, list[Record]] = json.loads(path.read_text(encoding="utf-8"))
        return {"records": found["records"], "curve": found["curve"]}
    except (ValueError, KeyError) as error:
        raise FileFormatError(f"{path}: not a file that validate_predictors.py wrote ({reason(error)})") from None


def _print_validation(records: Sequence[Record]) -> None:
    print("\n| regressor | features | target | one for all pairs | right choices, % | MAPE, % | mean regret | tau |")
    print("|---|---|---|---|---|---|---|---|")
    for r in records:
        boosting = r["boosting"]
        kind = r["regressor"]
        if boosting is not None:
            kind += f" ({boosting['trees']} trees of {boosting['leaves']}, {boosting['objective']})"
        print(
            f"| {kind} | {r['features']} | {r['target']} | {'yes' if r['joint'] else 'no'} | {r['accuracy']:.2f} "
            f"| {r['mape']:.3f} | {r['regret_mean']:.4f} | {r['tau']:.3f} |"
        )


if __name__ == "__main__":
    sys.exit(main())
