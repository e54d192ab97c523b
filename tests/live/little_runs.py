"""Folders of little live runs on a virtual clock, that have ended."""

from contextlib import nullcontext

import numpy as np

from gnnsched_env.live.live_fleet import load_live_fleet
from gnnsched_env.live.live_run import LiveRun
from gnnsched_env.live.replay.calibrated_executor import CalibratedExecutor, Draws
from gnnsched_env.live.running import play
from gnnsched_env.live.simulated import simulated_scenario
from gnnsched_env.live.virtual_executor import VirtualExecutor
from gnnsched_env.tables import LatencyTable

FLEET = load_live_fleet("sleep2")


def little_table(seed=0, classes=6):
    """Return latencies of some milliseconds, predicted with an error."""
    rng = np.random.default_rng(seed)
    cycles = rng.integers(2_000_000, 9_000_000, (classes, len(FLEET.choice_names)))
    return LatencyTable(
        true_cycles=cycles,
        predicted_cycles=np.rint(cycles * rng.uniform(0.9, 1.1, cycles.shape)).astype(int),
        weights=np.ones(classes),
        choice_names=FLEET.choice_names,
        choice_accelerators=FLEET.choice_devices,
        accelerator_names=tuple(device.name for device in FLEET.devices),
        mean_log_cycles=np.log(cycles).mean(axis=0),
        class_names=tuple(f"class{c}" for c in range(classes)),
        class_groups=np.zeros(classes, int),
        group_names=("toy",),
    )


def write_run(folder, *, table=None, calibration=None, policy="sjf", load=0.7, jobs=30, seed=3, draws=0, fleet=FLEET):
    """Play a run into a folder, on exact devices or as a calibration says, and return the folder."""
    table = little_table() if table is None else table
    scenario = simulated_scenario(fleet, table).with_options(jobs=jobs, load=load)
    run = LiveRun.new(fleet=fleet, scenario=scenario, policy=policy, seed=seed, tries=2, classes={})
    if calibration is None:
        executor = VirtualExecutor(table.true_cycles, fleet.choice_devices)
    else:
        executor = CalibratedExecutor(table.true_cycles, calibration, Draws(draws, jobs))
    play(run, folder, lambda run, begin: nullcontext(executor))
    return folder
