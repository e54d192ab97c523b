"""Measure the devices of a live fleet: each class of jobs and each of its layers, under each choice.

Devices are measured side by side, as they will work. A round runs everything once, in an order drawn anew; the first
round does not count. The median of the rounds of the first half is a latency, and that of the second half its second
measurement, so that their difference, the noise floor, holds what drifts over the rounds.
"""

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.files import write_whole
from gnnsched_env.common.progress import Advance, no_progress
from gnnsched_env.hardware import make_model
from gnnsched_env.live.actors.fleet_session import import_ray
from gnnsched_env.live.actors.ray_executor import RayExecutor
from gnnsched_env.live.devices.live_device import DeviceJobs
from gnnsched_env.live.live_fleet import LiveFleet
from gnnsched_env.live.profiling.profiled_predictor import ProfiledPredictor
from gnnsched_env.live.served_classes import ServedClasses
from gnnsched_env.predictors.measured.measurements import COLUMNS, MeasuredJob
from gnnsched_env.tables import LatencyTable
from gnnsched_env.version import __version__

CSV_FILE, TABLE_FILE = "measured.csv", "table.npz"
ROUNDS = 5  # of each half
MOST_ROUNDS = 1000
AT_ONCE = 64  # runs that a device is asked for together
ANSWER_S = 600.0  # within which a device must have done these

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """What was measured: `table`, the classes' latencies (nanoseconds) and predictions; the predictor; the noise."""

    table: LatencyTable
    predictor: ProfiledPredictor
    noise: float


def profile_fleet(
    fleet: LiveFleet,
    served: ServedClasses,
    folder: Path,
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
    advance: Advance = no_progress,
) -> Profile:
    """Measure within a `ray_session`, write CSV_FILE and TABLE_FILE to the folder, and return the profile.

    `advance` is told of each of the 2 x `rounds` + 1 rounds.
    """
    rounds = Integer(1, MOST_ROUNDS).check("profile", "rounds", rounds)
    folder.mkdir(parents=True, exist_ok=True)
    layers, members = served.layer_jobs(folder)
    everything = _with_layers(served, fleet, layers, folder)
    executor = RayExecutor(fleet, everything)
    try:
        taken = _measure(executor, everything, rounds, np.random.default_rng(seed), advance)
    finally:
        executor.close()
    count = len(served.classes)
    halves = [np.median(half, axis=0) for half in (taken[:rounds], taken[rounds:])]
    _write_csv(folder / CSV_FILE, layers, fleet.choice_names, [half[count:] for half in halves], rounds)
    predictor = ProfiledPredictor.fit(folder / CSV_FILE, members)
    table = LatencyTable(
        true_cycles=np.maximum(1, np.rint(np.median(taken[:, :count], axis=0))),
        predicted_cycles=np.stack([predictor.predict(c) for c in range(count)]),
        weights=served.classes.weights,
        choice_names=fleet.choice_names,
        choice_accelerators=fleet.choice_devices,
        accelerator_names=tuple(device.name for device in fleet.devices),
        mean_log_cycles=np.log(np.median(taken[:, :count], axis=0)).mean(axis=0),
        class_names=served.classes.names,
        class_groups=served.classes.groups,
        group_names=served.classes.group_names,
        provenance={"package": __version__, "live": served.to_dict(), "fleet": fleet.to_dict(), "rounds": rounds},
    )
    table.save(folder / TABLE_FILE)
    return Profile(table=table, predictor=predictor, noise=predictor.measured.noise() or 0.0)


def load_profile(path: Path) -> tuple[LatencyTable, ServedClasses, ProfiledPredictor | None]:
    """Return a table that `profile_fleet` wrote, its classes, and the predictor, trained anew from the CSV beside it.

    Without the CSV there is no predictor. Raise FileFormatError or ConfigError where a file is bad, or has changed.
    """
    table = LatencyTable.load(path)
    served = ServedClasses.from_dict(table.provenance.get("live"))
    measured = path.parent / CSV_FILE
    if not measured.exists():
        return table, served, None
    _, members = served.layer_jobs(path.parent)
    return table, served, ProfiledPredictor.fit(measured, members)


def check_choices(table: LatencyTable, fleet: LiveFleet, source: str) -> None:
    """Raise ConfigError where a fleet's devices and choices are not those of a table."""
    for name in fleet.choice_names:
        if name not in table.choice_names:
            raise ConfigError(f"{source}: has no latencies of {name!r}, a choice of the fleet {fleet.name!r}")
    for name in table.choice_names:
        if name not in fleet.choice_names:
            raise ConfigError(f"live fleet {fleet.name!r}: lacks the choice {name!r}, which {source} has")
    if table.choice_names != fleet.choice_names:
        raise ConfigError(f"live fleet {fleet.name!r}: choices must be in the order of {source}")


def _with_layers(
    served: ServedClasses, fleet: LiveFleet, layers: Sequence[MeasuredJob], folder: Path
) -> list[DeviceJobs]:
    """Return what each device must know to be measured: the classes, then each of their layers as a class."""
    made = served.graphs_of(layers, folder)
    models = tuple(make_model("gcn", job.in_features, job.out_features, ()) for job in layers)
    names = tuple(f"{job.graph_file} {job.in_features} -> {job.out_features}" for job in layers)
    found = []
    for device in range(len(fleet.devices)):
        own = served.device_jobs(fleet, device, None)
        found.append(
            DeviceJobs(
                names=own.names + names,
                graphs=own.graphs + made,
                models=own.models + models,
                choices=own.choices,
            )
        )
    return found


def _measure(
    executor: RayExecutor, jobs: Sequence[DeviceJobs], rounds: int, rng: np.random.Generator, advance: Advance
) -> NDArray[np.float64]:
    """Return float64 [2 rounds, C, K] nanoseconds, of all classes under all choices."""
    count = len(jobs[0].names)
    taken = np.zeros((2 * rounds + 1, count, sum(len(own.choices) for own in jobs)))
    firsts = np.cumsum([0, *(len(own.choices) for own in jobs)])
    for number in range(2 * rounds + 1):
        orders = [rng.permutation(count * len(own.choices)) for own in jobs]
        for start in range(0, max(map(len, orders)), AT_ONCE):
            parts = [order[start : start + AT_ONCE] for order in orders]
            asked = {
                device: executor.actor(device).measure.remote(
                    [(int(run) // len(own.choices), own.choices[int(run) % len(own.choices)]) for run in parts[device]]
                )
                for device, own in enumerate(jobs)
                if len(parts[device])
            }
            for device, times in _answers(asked, jobs).items():
                places, choices = np.divmod(parts[device], len(jobs[device].choices))
                taken[number, places, firsts[device] + choices] = times
        advance(1)
    return np.maximum(taken[1:], 1.0)


def _answers(asked: dict[int, Any], jobs: Sequence[DeviceJobs]) -> dict[int, list[int]]:
    """Return what devices measured; raise ConfigError where one fails, or does not answer in time."""
    ray = import_ray()
    limit = time.monotonic() + ANSWER_S
    found = {}
    for device, ref in asked.items():
        try:
            found[device] = ray.get(ref, timeout=max(0.0, limit - time.monotonic()))
        except ray.exceptions.GetTimeoutError:
            raise ConfigError(f"profile: device {device} must measure {AT_ONCE} runs within {ANSWER_S:.0f} s") from None
        except ray.exceptions.RayError as error:
            told = str(error).strip().splitlines()[-1][:300]
            raise ConfigError(f"profile: device {device} failed ({told})") from None
    return found


def _write_csv(
    path: Path, jobs: Sequence[MeasuredJob], choices: Sequence[str], halves: Sequence[NDArray[np.float64]], rounds: int
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, job in enumerate(jobs):
        ids = " ".join(map(str, job.graph_ids))
        for place, choice in enumerate(choices):
            first, again = (f"{half[number, place] / 1e3:.3f}" for half in halves)
            writer.writerow([job.graph_file, ids, job.in_features, job.out_features, choice, first, again, rounds])
    write_whole(path, lambda file: file.write(text.getvalue().encode()))
