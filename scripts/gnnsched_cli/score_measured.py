"""Train on measured latencies, predict those of graph files that were held out, and score: a table, and JSON.

Example:
    gnnsched score-measured --csv cpu.csv
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.table import Table

from gnnsched_cli.command import OutFile, print_table, print_text

if TYPE_CHECKING:
    from gnnsched_env.predictors.measured.measured_models import Record
    from gnnsched_env.predictors.measured.measurements import Measurements

# Columns that a narrow terminal does without, the first one first.
LEAVE_OUT = ("worst", "~ %", "trained on")
LEGEND = """\
right: the choice predicted best was measured best; ~: or within the noise floor of it; regret: measured time of the
chosen over the best's; fixed: always the choice that is best on average over the training jobs; repeat: a second
measurement taken as the prediction, so the error of the measuring itself, twice; ±: half of a 95 % interval."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train on measured latencies, predict those of graph files that were held out, and score."""

    csv: Path
    """CSV file of measured latencies; docs/how-to/measure_your_device.md describes the format."""
    synthetic: tuple[str, ...] = ()
    """Names of the synthetic sets to train on (by default those that begin with "synthetic_")."""
    targets: tuple[str, ...] = ()
    """Names of the sets to test on (by default all that are not synthetic)."""
    level: Literal["metadata", "degrees", "structure"] = "degrees"
    """What the predictor knows of a job."""
    json: OutFile | None = None
    """JSON file to write the records to."""


def run(arguments: Arguments) -> None:
    """Score, write and print."""
    from gnnsched_env.evaluation import write_json
    from gnnsched_env.predictors.levels import Level
    from gnnsched_env.predictors.measured.measured_models import (
        measured_feature_names,
        measured_inputs,
        score_sets_apart,
    )
    from gnnsched_env.predictors.measured.measurements import SYNTHETIC_PREFIX, load_measurements

    measured, level = load_measurements(arguments.csv), Level(arguments.level)
    names = measured.classes.group_names
    synthetic = arguments.synthetic or tuple(name for name in names if name.startswith(SYNTHETIC_PREFIX))
    inputs = measured_inputs(measured.classes, level)
    records = score_sets_apart(measured, inputs, synthetic=synthetic, targets=arguments.targets or None)
    if arguments.json is not None:
        about = {"csv": str(arguments.csv), "level": str(level), "features": measured_feature_names(level)}
        write_json(arguments.json, {"provenance": about, "records": records})
    print_table(measured_table(records, title=f"{arguments.csv.name}: {', '.join(measured.choices)}"), LEAVE_OUT)
    print_text(LEGEND)
    print_text(_about(measured))


def measured_table(records: Sequence["Record"], *, title: str) -> Table:
    """Return one row per record."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("graphs", "trained on"):
        table.add_column(name, no_wrap=True)
    for name in ("jobs", "MAPE %", "right %", "~ %", "regret", "worst", "fixed %", "regret", "repeat %", "MAPE %"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        table.add_row(
            ", ".join(record["graphs"]),
            record["training"],
            str(record["samples"]),
            _with_interval(record, "mape"),
            _with_interval(record, "accuracy"),
            _figure(record["accuracy_within_noise"], 1),
            _figure(record["regret_mean"], 3),
            _figure(record["regret_max"], 2),
            _figure(record["fixed_accuracy"], 1),
            _figure(record["fixed_regret_mean"], 2),
            _figure(record["repeat_accuracy"], 1),
            _figure(record["repeat_mape"], 1),
        )
    return table


def _about(measured: "Measurements") -> str:
    noise = measured.noise()
    floor = "unknown (no second measurements)" if noise is None else f"{100 * noise:.1f} %"
    best = measured.microseconds.argmin(axis=1).tolist()
    shares = ", ".join(f"{name} {best.count(i)}" for i, name in enumerate(measured.choices))
    return f"{len(measured.jobs)} jobs; noise floor {floor}; best choice: {shares}"


def _with_interval(record: "Record", name: str) -> str:
    low, high = record[f"{name}_interval"]
    return _figure(record[name], 1) + (f" ±{(high - low) / 2:.1f}" if record["samples"] > 1 else "")


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
