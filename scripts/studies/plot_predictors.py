"""Print the tables of docs/reference/predictor.md and draw its pictures: every predictor on every graph file.

Example:
    python scripts/studies/plot_predictors.py --graphs A.npz B.npz --out docs \\
        --validation docs/results/predictor_validation.json
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gnnsched_cli.command import run_command
from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.evaluation import write_json
from gnnsched_env.graphs import GraphSet
from gnnsched_env.hardware import Fleet, load_fleet
from gnnsched_env.predictors import Predictor, make_predictor
from gnnsched_env.predictors.graph_scores import Record, ScoringSpec, load_distinct_sets, score_sets, scoring_classes
from gnnsched_env.predictors.metadata_limits import metadata_limits
from gnnsched_env.report import predictor_pictures as report
from gnnsched_env.tables import distinct_pairs, pair_cycles

PAPER = "| the paper, best figures on synthetic graphs | sizes, structure | up to 91.28 | 3.78 | - |"


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Score predictors, print Markdown tables and draw pictures."""

    graphs: tuple[Path, ...]
    out: Path
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
    json: Path | None = None


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/plot_predictors.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Score, print, draw."""
    fleet = load_fleet(arguments.fleet)
    spec = ScoringSpec(samples=arguments.samples, seed=arguments.seed)
    sets = load_distinct_sets(arguments.graphs)
    found = None if arguments.validation is None else _validation(arguments.validation)
    made = {name: make_predictor(name, distinct_pairs(fleet).pairs) for name in arguments.predictors}
    records = [record for predictor in made.values() for record in score_sets(predictor, sets, fleet, spec)]
    _print_scores(records)
    limits = {graphs.name: _limits(graphs, spec, fleet) for graphs in sets.values()}
    _print_limits(limits)
    shown = {name: _clouds(made[name], list(sets.values()), spec, fleet) for name in arguments.shown if name in made}
    report.plot_predicted_against_true(shown, arguments.out / "predictor_scatter.png")
    report.plot_regret(records, arguments.out / "predictor_regret.png")
    if found is not None:
        report.plot_ablation(found["records"], arguments.out / "predictor_ablation.png")
        report.plot_learning_curve(found["curve"], arguments.out / "predictor_learning.png")
        _print_validation(found["records"])
    if arguments.json is not None:
        write_json(arguments.json, {"records": records, "limits": limits})


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
            own = {record["graphs"]: record for record in whole if record["predictor"] == name}
            print(f"| {name} | " + " | ".join(_shown(own[one], field, digits) for one in sets) + " |")


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


def _clouds(predictor: Predictor, sets: Sequence[GraphSet], spec: ScoringSpec, fleet: Fleet) -> dict[str, report.Cloud]:
    pairs = distinct_pairs(fleet).pairs
    found = {}
    for graphs in sets:
        classes, _ = scoring_classes(graphs, spec)
        found[graphs.name] = (pair_cycles(classes, pairs), predictor.predict(classes, pairs))
    return found


def _validation(path: Path) -> dict[str, list[Record]]:
    try:
        found: dict[str, list[Record]] = json.loads(path.read_text())
        return {"records": found["records"], "curve": found["curve"]}
    except (ValueError, KeyError) as error:
        raise FileFormatError(f"{path}: not a file that validate_predictors.py wrote ({error})") from None


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
