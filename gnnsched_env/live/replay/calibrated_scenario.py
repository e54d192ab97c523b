"""A calibrated fleet as an ordinary scenario: a TOML file, that of its fleet, and a latency table of real latencies."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from gnnsched_env.common.files import write_whole
from gnnsched_env.hardware import Fleet
from gnnsched_env.live.replay.calibration import Calibration, Values, distribution
from gnnsched_env.live.simulated import simulated_scenario
from gnnsched_env.scenario import Scenario, load_scenario
from gnnsched_env.tables import LatencyTable
from gnnsched_env.version import __version__

SCENARIO_FILE, TABLE_FILE, FLEET_FILE = "scenario.toml", "table.npz", "fleet.toml"
PARTS = 10  # classes that stand for one class of the profile


def calibrated_table(calibration: Calibration, table: LatencyTable, *, repeats: int = 1) -> LatencyTable:
    """Return the latencies of jobs of `repeats` inferences on calibrated devices, nanoseconds.

    Each class becomes PARTS equally likely ones, of equal predictions and of latencies by tenths of the residuals.
    A latency is a job's whole time on a device: overheads are in it (their means), and so is the slowdown, at the
    device's mean overlap.
    """
    owners = table.choice_accelerators
    residuals = np.array([_parts(calibration.residuals[device]) for device in owners]).T  # [PARTS, K]
    factor = np.array(calibration.corrections) / (1.0 - np.array(calibration.slowdowns) * calibration.overlap)[owners]
    overhead = np.array(
        [np.mean(a) + np.mean(b) for a, b in zip(calibration.dispatch_ns, calibration.report_ns, strict=True)]
    )
    profiled = table.true_cycles.astype(np.float64) * repeats
    true = (profiled * factor)[:, np.newaxis] * residuals + overhead[owners]  # [C, PARTS, K]
    classes = range(table.num_classes)
    return replace(
        table,
        true_cycles=np.maximum(1, np.rint(true)).astype(np.int64).reshape(-1, table.num_choices),
        predicted_cycles=np.repeat(table.predicted_cycles * repeats, PARTS, axis=0),
        weights=np.repeat(table.weights, PARTS) / PARTS,
        mean_log_cycles=table.mean_log_cycles + np.log(repeats),
        class_names=tuple(f"{table.class_names[c]}, tenth {part + 1}" for c in classes for part in range(PARTS)),
        class_groups=np.repeat(table.class_groups, PARTS),
        energy_pj=None,
        provenance={"package": __version__, "calibrated": calibration.table, "repeats": repeats},
    )


def write_calibrated(calibration: Calibration, table: LatencyTable, folder: Path, *, repeats: int = 1) -> Scenario:
    """Write the scenario, its fleet and its table to a folder; return the scenario, read back."""
    calibrated_table(calibration, table, repeats=repeats).save(folder / TABLE_FILE)
    decision_us = float(np.mean(calibration.coming_ns) + np.mean(calibration.deciding_ns[""])) / 1e3
    name = f"{calibration.fleet.name}, calibrated"
    lines = [
        f"name = {_quoted(name)}",
        f"fleet = {_quoted(FLEET_FILE)}",
        f"table = {_quoted(TABLE_FILE)}",
        "",
        "[decision]",
        f"latency_us = {decision_us:.3f}",
    ]
    for file, text in (
        (FLEET_FILE, _fleet_text(simulated_scenario(calibration.fleet, table).fleet)),
        (SCENARIO_FILE, "\n".join(lines) + "\n"),
    ):
        write_whole(folder / file, lambda out, text=text: out.write(text.encode()))  # type: ignore[misc]
    return load_scenario(folder / SCENARIO_FILE)


def _parts(values: Values) -> Values:
    """Return PARTS equally likely values of the same mean, ascending."""
    return distribution(np.repeat(values, PARTS), PARTS)  # repeated: there may be fewer


def _fleet_text(fleet: Fleet) -> str:
    """Return a fleet of stand-ins as a hardware file."""
    lines = [
        "# Stand-ins for real devices: their geometry means nothing, for the latencies are the table's.",
        "[fleet]",
        f"name = {_quoted(fleet.name)}",
        f"clock_hz = {fleet.clock_hz}",
    ]
    for dataflow in {flow.name: flow for device in fleet.accelerators for flow in device.dataflows}.values():
        rule = dataflow.rule.to_dict()
        lines += [
            "",
            "[[dataflow]]",
            f"name = {_quoted(dataflow.name)}",
            f"taxonomy = {_quoted(str(dataflow.taxonomy))}",
        ]
        for phase, tiles in (("aggregation", ("t_va", "t_n", "t_fa")), ("combination", ("t_vc", "t_g", "t_fc"))):
            lines.append(f"{phase} = {json.dumps([rule[tile] for tile in tiles])}")
        lines += [f"{key} = {json.dumps(rule[key])}" for key in ("f", "g") if rule.get(key) is not None]
    for device in fleet.accelerators:
        names = json.dumps([flow.name for flow in device.dataflows])
        lines += [
            "",
            "[[accelerator]]",
            f"name = {_quoted(device.name)}",
            f"pes = {device.pes}",
            f"dataflows = {names}",
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return a string as TOML has it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
