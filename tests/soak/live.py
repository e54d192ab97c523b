"""Kill devices and schedulers of a live fleet, again and again, and check that no job is lost and none done twice.

python -m tests.soak.live --kills 200

A scheduler runs jobs on four sleeping devices in a process of its own. Devices are killed at random moments, and every
tenth kill is of the scheduler, with SIGKILL; another goes on with its log.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import gnnsched_baselines  # noqa: F401
from gnnsched_env.live.actors.ray_executor import RayExecutor
from gnnsched_env.live.live_fleet import LiveDevice, LiveFleet
from gnnsched_env.live.live_run import LOG_FILE, LiveRun, read_run
from gnnsched_env.live.running import on_ray, play
from gnnsched_env.live.served_classes import ServedClasses
from gnnsched_env.live.simulated import simulated_scenario
from gnnsched_env.scenario import Workload
from tests import toys

DEVICES = 4
EVERY = 10  # so many kills, one of which is the scheduler's
GAP_S = 0.9  # mean time between kills


def begin(folder, jobs, served):
    """Return the run to play: the folder's, or a new one."""
    if (folder / "run.json").exists():
        return read_run(folder, mend=True), True
    devices = [LiveDevice(name=f"d{n}", kind="sleep", choices=("one", "two")) for n in range(DEVICES)]
    fleet = LiveFleet(name="soak", devices=tuple(devices))
    cycles = np.random.default_rng(0).integers(4_000_000, 12_000_000, (len(served.classes), 2 * DEVICES))
    toy = toys.table(cycles, owners=fleet.choice_devices)
    names = {
        "choice_names": fleet.choice_names,
        "accelerator_names": tuple(device.name for device in devices),
        "class_names": served.classes.names,
        "class_groups": served.classes.groups,
        "group_names": served.classes.group_names,
    }
    table = replace(toy, **names)
    scenario = simulated_scenario(fleet, table).with_options(jobs=jobs, load=0.5)
    return LiveRun.new(
        fleet=fleet, scenario=scenario, policy="assignment", seed=0, tries=3, classes=served.to_dict()
    ), False


def work(folder, jobs, seed):
    """Play the run in this process, and kill its devices at random moments."""
    served = ServedClasses.of(Workload(graphs=("karate", "southern_women")))
    run, resume = begin(folder, jobs, served)
    rng = np.random.default_rng(seed)
    killed = folder / "killed.txt"

    class Watched(RayExecutor):
        def start_clock(self):
            super().start_clock()
            threading.Thread(target=self.kill, daemon=True).start()

        def kill(self):
            while True:
                time.sleep(float(rng.exponential(GAP_S)))
                device = int(rng.integers(DEVICES))
                with killed.open("a") as file:
                    file.write(f"device {device}\n")
                self.stop(device, "soak")

    import gnnsched_env.live.running as running

    running.RayExecutor = Watched
    play(run, folder, on_ray(served), resume=resume)


def kills_of(folder):
    path = folder / "killed.txt"
    return path.read_text().count("\n") if path.exists() else 0


def soak(kills, jobs):
    """Kill until there were enough kills, then let the run end; return its entries."""
    folder, sessions = Path(tempfile.mkdtemp()), 0
    while True:
        before = kills_of(folder)
        command = [sys.executable, "-m", "tests.soak.live", "--work", str(folder), "--jobs", str(jobs)]
        with subprocess.Popen([*command, "--seed", str(sessions)], stderr=subprocess.DEVNULL) as child:
            sessions += 1
            while child.poll() is None and (kills_of(folder) - before < EVERY - 1 or kills_of(folder) >= kills):
                time.sleep(0.05)
            if child.poll() is None:
                os.kill(child.pid, signal.SIGKILL)
                with (folder / "killed.txt").open("a") as file:
                    file.write("scheduler\n")
        done = (folder / LOG_FILE).read_bytes().count(b'"event":"done"') if (folder / LOG_FILE).exists() else 0
        print(f"session {sessions}: {kills_of(folder)} kills, {done:,} jobs done", flush=True)
        if child.returncode == 0:
            return folder, sessions


def check(folder, jobs):
    """Raise AssertionError where a job was lost, or done twice."""
    entries = [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]
    assert sorted(entry["job"] for entry in entries if entry["event"] == "done") == list(range(jobs))
    assert [entry["job"] for entry in entries if entry["event"] == "arrive"] == list(range(jobs))
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    aborted = [entry["cause"] for entry in entries if entry["event"] == "abort"]
    print(f"{jobs:,} jobs, each done once; runs given back: {len(aborted):,} ({aborted.count('stopped')} at a stop)")


def main():
    """Soak, and check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="kills in all")
    parser.add_argument("--jobs", type=int, default=60_000, help="jobs of the run")
    parser.add_argument("--work", type=Path, help="folder to play in (what the command calls itself with)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the kills")
    given = parser.parse_args()
    if given.work is not None:
        work(given.work, given.jobs, given.seed)
        return
    folder, sessions = soak(given.kills, given.jobs)
    check(folder, given.jobs)
    print(f"{kills_of(folder)} kills, {sessions} sessions")


if __name__ == "__main__":
    main()
