"""Score a latency predictor on graph files: how well it predicts, and how well it chooses.

Example:
    gnnsched score-predictor --predictor gradient_boosting --graphs A.npz B.npz --json out.json
    gnnsched score-predictor --predictor all --graphs A.npz B.npz --csv joint.csv
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.table import Table

from gnnsched_cli.command import OutFile, plain, print_table, print_text
from gnnsched_env.common.errors import ConfigError

if TYPE_CHECKING:
    from gnnsched_env.predictors.graph_scores import Record
    from gnnsched_env.predictors.joint_table import JointTable

# Columns that a narrow terminal does without, the first one first.
LEAVE_OUT = ("worst", "outside", "tau", "top 2 %")
LEGEND = """\
right: the choice predicted best is truly a best one (equal cycles count); top 2: a best one is among the two predicted
best; regret: true cycles of the chosen over the best's; tau: Kendall's tau-b over a class's choices, averaged;
outside: classes with a feature beyond the training range; ±: half of a bootstrap interval over classes."""

JOINT_LEGEND = """\
inside: true latencies within their intervals; width: the median ratio of an interval's ends; us/job: time to predict a
job alone under all choices."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Score a latency predictor on graph files."""

    predictor: tuple[str, ...]
    """Predictors' names, or paths of saved ones; `all` stands for all names."""
    graphs: tuple[Path, ...]
    """Graph files (.npz) or TU folders; each is scored alone."""
    fleet: str = "flexible4"
    """A preset fleet (such as hetero4) or the path of a TOML file; equal devices count once."""
    model: Literal["gcn", "gin", "sage"] = "gcn"
    hidden: tuple[int, ...] = (16,)
    """Widths of the hidden layers; none for a single layer (`--hidden` alone)."""
    batch_sizes: tuple[int, ...] = (1, 4, 16, 64)
    """Numbers of graphs in a batch; sizes above a file's number of graphs are left out for it."""
    samples: int = 200
    """Largest number of different batches of each size."""
    seed: int = 0
    """Seed of the batches."""
    confidence: float = 0.95
    """Confidence level of the intervals."""
    confusion: bool = False
    """Also print, for each file, how often each choice was the best one, and which was chosen then."""
    json: OutFile | None = None
    """JSON file to write the records to."""
    csv: OutFile | None = None
    """CSV file to write every prediction to, beside the truth, its interval, and the time that predicting takes."""
    coverage: float | None = None
    """Coverage of the intervals in the CSV file, at most 0.99; by default 0.9."""


def run(arguments: Arguments) -> None:
    """Score, write and print."""
    from gnnsched_env.common.files import write_json, write_rows
    from gnnsched_env.evaluation import Attempts
    from gnnsched_env.hardware import load_fleet
    from gnnsched_env.predictors import PREDICTORS, make_predictor
    from gnnsched_env.predictors.graph_scores import ScoringSpec, load_distinct_sets, score_sets, scoring_provenance
    from gnnsched_env.predictors.joint_table import COLUMNS, joint_table
    from gnnsched_env.tables import distinct_pairs
    from gnnsched_env.tables.table import COVERAGE

    if not arguments.graphs:
        raise ConfigError("--graphs: needs at least one graph file")
    if not arguments.predictor:
        raise ConfigError("--predictor: needs at least one predictor")
    coverage = COVERAGE.check("scoring", "coverage", 0.9 if arguments.coverage is None else arguments.coverage)
    if arguments.coverage is not None and arguments.csv is None:
        raise ConfigError("--coverage: must go with --csv, whose intervals it is of, got no --csv")
    spec = ScoringSpec(
        model_kind=arguments.model,
        hidden=arguments.hidden,
        batch_sizes=arguments.batch_sizes,
        samples=arguments.samples,
        seed=arguments.seed,
        confidence=arguments.confidence,
    )
    fleet = load_fleet(arguments.fleet)
    sets = load_distinct_sets(arguments.graphs)
    pairs = distinct_pairs(fleet).pairs
    attempts = Attempts()
    about, told, joint = [], [], []
    names = [own for name in arguments.predictor for own in (PREDICTORS if name == "all" else (name,))]
    for name in dict.fromkeys(names):
        with attempts.of(name):
            predictor = make_predictor(name, pairs)
            records = score_sets(predictor, sets, fleet, spec, progress=None)
            told += records
            about.append(scoring_provenance(predictor, fleet, spec, plain(arguments)))
            if arguments.json is not None:
                content = {"provenance": about[0] if len(about) == 1 else about, "records": told}
                write_json(arguments.json, content)
            if arguments.csv is not None:
                joint += [joint_table(name, predictor, own, fleet, spec, coverage=coverage) for own in sets.values()]
                write_rows(arguments.csv, COLUMNS, (row for table in joint for row in table.rows()))
            print_table(score_table(records, title=f"{name} ({predictor.level}) on {fleet.name}"), LEAVE_OUT)
            if arguments.confusion:
                for record in records:
                    if record["batch_size"] is None:
                        print_table(confusion_table(record))
    if told:
        print_text(LEGEND)
    if joint:
        print_table(joint_summary(joint), ())
        print_text(JOINT_LEGEND)
    attempts.end(played=bool(told))


def joint_summary(tables: Sequence["JointTable"]) -> Table:
    """Return a row for each predictor and graph set."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("predictor", "graphs"):
        table.add_column(name, no_wrap=True)
    for name in ("MAPE %", "right %", "inside %", "width", "us/job"):
        table.add_column(name, justify="right", no_wrap=True)
    for own in tables:
        found = own.summary()
        figures = (f"{found['mape']:.2f}", f"{found['right']:.1f}", f"{found['inside']:.1f}", f"{found['width']:.3f}")
        table.add_row(own.predictor, own.graphs, *figures, f"{found['deciding_us']:.1f}")
    return table


def score_table(records: Sequence["Record"], *, title: str) -> Table:
    """Return one row per record."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("graphs", no_wrap=True)
    for name in ("batch", "classes", "MAPE %", "right %", "top 2 %", "regret", "worst", "tau", "outside"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        whole = record["batch_size"] is None
        table.add_row(
            record["graphs"],
            "all" if whole else str(record["batch_size"]),
            str(record["samples"]),
            _with_interval(record, "mape", 2),
            _with_interval(record, "accuracy", 1),
            f"{record['top2']:.1f}",
            _with_interval(record, "regret_mean", 4),
            f"{record['regret_max']:.3f}",
            f"{record['tau']:.3f}",
            str(record["out_of_domain"]),
            style="bold" if whole else "",
            end_section=whole,
        )
    return table


def confusion_table(record: "Record") -> Table:
    """Return best choices by rows, chosen ones by columns; choices that are neither are left out."""
    names, counts = record["choices"], record["confusion"]
    used = [i for i in range(len(names)) if sum(counts[i]) or sum(row[i] for row in counts)]
    table = Table(title=record["graphs"], title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("best \\ chosen")
    for i in used:
        table.add_column(names[i], justify="right")
    for i in used:
        table.add_row(names[i], *(str(counts[i][j] or "") for j in used))
    return table


def _with_interval(record: "Record", name: str, digits: int) -> str:
    low, high = record[f"{name}_interval"]
    spread = f" ±{(high - low) / 2:.{digits}f}" if record["samples"] > 1 else ""  # one class tells nothing of it
    return f"{record[name]:.{digits}f}{spread}"
