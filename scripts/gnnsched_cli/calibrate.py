"""Fit what the simulator lacks to finished live runs: overheads, interference, measured over profiled latencies.

Examples:
    gnnsched calibrate run1 run2 --out calibration
    gnnsched replay run3 run4 --calibration calibration
    gnnsched evaluate --scenario calibration/scenario.toml --policies sjf assignment
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from gnnsched_cli.command import OutFolder, counted, print_text
from gnnsched_env.common.errors import ConfigError

if TYPE_CHECKING:
    from gnnsched_env.live.replay.calibration import Calibration
    from gnnsched_env.scenario import Scenario
    from gnnsched_env.tables import LatencyTable


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Fit what the simulator lacks to finished live runs."""

    out: OutFolder
    """Folder for calibration.json and the scenario: scenario.toml, fleet.toml and table.npz."""
    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders of finished runs, of one fleet and one latency table."""


def run(arguments: Arguments) -> None:
    """Fit, write and print."""
    from gnnsched_env.live.replay.calibrated_scenario import write_calibrated
    from gnnsched_env.live.replay.calibration import FILE
    from gnnsched_env.live.replay.finished_runs import read_finished
    from gnnsched_env.live.replay.fitting import fit_calibration

    runs = read_finished(arguments.runs)
    for made in runs:
        if Path(made.folder).resolve() == arguments.out.resolve():
            raise ConfigError(f"--out: must be another folder than that of a run, got {arguments.out}")
    calibration = fit_calibration(runs)
    table, repeats = runs[0].run.table, runs[0].run.scenario.workload.repeats
    scenario = write_calibrated(calibration, table, arguments.out, repeats=repeats)
    calibration.save(arguments.out / FILE)
    print_text(told(calibration, table, scenario, repeats))
    print(f"wrote {arguments.out}")


def told(calibration: "Calibration", table: "LatencyTable", scenario: "Scenario", repeats: int) -> str:
    """Return the figures of a calibration in lines of text."""
    import numpy as np

    from gnnsched_env.scenario import table_rate

    done = sum(run["done"] for run in calibration.runs)
    lines = [f"fitted on {counted(done, 'job')} of {counted(len(calibration.runs), 'run')}"]
    for device, entry in enumerate(calibration.fleet.devices):
        dispatch, report = (
            np.mean(values[device]) / 1e3 for values in (calibration.dispatch_ns, calibration.report_ns)
        )
        slowdown = calibration.slowdowns[device]
        way = "slower" if slowdown >= 0 else "faster"
        lines.append(
            f"{entry.name}: {100 * abs(slowdown):.0f} % {way} while all others run; a job waits {dispatch:.0f} us for "
            f"its start and {report:.0f} us for its report"
        )
    corrections = np.array(calibration.corrections)
    for choice, name in enumerate(calibration.fleet.choice_names):
        own, mean = corrections[:, choice], np.mean(calibration.residuals[calibration.fleet.choice_devices[choice]])
        lines.append(
            f"{name}: a run alone takes {own.min():.2f} to {own.max():.2f} times what was profiled, by its class "
            f"(medians), and in the mean {mean:.2f} times that"
        )
    deciding = ", ".join(
        f"{name} {np.mean(values) / 1e3:.0f} us" for name, values in calibration.deciding_ns.items() if name
    )
    lines.append(
        f"the scheduler takes {np.mean(calibration.coming_ns) / 1e3:.0f} us a job that comes; deciding: {deciding}"
    )
    assert scenario.table is not None
    share = table_rate(scenario.table) * repeats / table_rate(table)
    lines.append(
        f"the fleet's largest rate is {share:.2f} times the profile's: load 0.8 of a live run is {0.8 / share:.2f} of "
        "the scenario written here"
    )
    return "\n".join(lines)
