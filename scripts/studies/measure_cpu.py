"""Measure three ways to run a GCN layer on this machine's CPU, one thread, and write a CSV file.

python scripts/studies/measure_cpu.py --graphs A.npz B.npz --out cpu.csv
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnnsched_cli.command import run_command
from gnnsched_env.common.errors import ConfigError, needs_extra
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.predictors.measured.measurements import load_measurements
from gnnsched_env.predictors.measured.measuring import append_measurements, draw_jobs, write_synthetic_sets


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Measure three ways to run a GCN layer on this machine's CPU, one thread, and write a CSV file."""

    graphs: tuple[Path, ...] = ()
    """Graph files (.npz) or TU folders; batches of 1, 4, 16 and 64, layers F -> 16 and 16 -> G."""
    out: Path
    """The CSV file; one that is there is added to."""
    samples: int = 8
    """Batches of each size and file."""
    synthetic: int = 40
    """Jobs of each synthetic family, whose graph sets are written beside the CSV file; 0: none."""
    seed: int = 0


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/measure_cpu.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Measure what the file lacks."""
    for name, value, least in (("samples", arguments.samples, 1), ("synthetic", arguments.synthetic, 0)):
        if value < least:
            raise ConfigError(f"--{name} must be at least {least}, got {value}")
    folder = arguments.out.parent
    synthetic = write_synthetic_sets(folder / "graphs", seed=arguments.seed) if arguments.synthetic else []
    jobs = draw_jobs(
        arguments.graphs,
        synthetic,
        folder,
        samples=arguments.samples,
        synthetic_count=arguments.synthetic,
        seed=arguments.seed,
    )
    if not jobs:
        raise ConfigError("--graphs: needs at least one graph file where --synthetic is 0")
    device = _device()
    with progress_bar("measuring", 2 * len(jobs), shown=None) as advance, device.one_thread():
        left_out = append_measurements(arguments.out, jobs, device.measure, advance)
    for reason in left_out:
        print(f"left out: {reason}", file=sys.stderr)
    measured = load_measurements(arguments.out)
    floor = "unknown" if (noise := measured.noise()) is None else f"{100 * noise:.1f} %"
    print(f"{arguments.out}: {len(measured.jobs)} jobs, noise floor {floor}")


def _device() -> Any:
    with needs_extra("measuring", "gnn"):
        from gnnsched_env.predictors.measured import cpu_device
    return cpu_device


if __name__ == "__main__":
    sys.exit(main())
