"""Time the decisions of trained policies against those of `assignment`, in the same run, on one core.

    python -m benchmarks.deciding --graphs ENZYMES.npz IMDB-BINARY.npz MUTAG.npz PROTEINS.npz

All decisions of whole episodes of Queue-v0 are timed, many lanes at a time, as training and lookahead decide: from the
simulation's state. Observing, and sending an action to an environment, are not in it. All policies meet the same jobs.
Ratios are to `assignment`.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.cycles import pin_to_one_core
from gnnsched_agents.worlds import Workloads, World, make_world
from gnnsched_baselines.learned.trained_policy import load_agent
from gnnsched_env.common.policy import IntArray
from gnnsched_env.scenario import load_scenario

LOADS = (0.5, 0.8, 0.95)
FIRST_SEED = 0


class Timed(NamedTuple):
    """Microseconds a decision, and how many jobs wait (of those in the window) when it is made."""

    microseconds: float
    waiting: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="hetero4", help="preset or file")
    parser.add_argument("--graphs", nargs="+", default=[], help=".npz files in place of the embedded workload")
    parser.add_argument("--agents", nargs="+", default=["queue_hetero4", "queue"], help="their own networks are timed")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--episodes", type=int, default=100)
    arguments = parser.parse_args()
    pin_to_one_core()
    scenario = load_scenario(arguments.scenario)
    graphs = tuple(str(Path(path).resolve()) for path in arguments.graphs)
    scenario = replace(scenario, workload=replace(scenario.workload, graphs=graphs)) if graphs else scenario
    networks = {"assignment": None, **{name: load_agent(name)[0] for name in arguments.agents}}
    print("| load | policy | microseconds a decision | ratio | jobs that wait |\n|---|---|---|---|---|")
    for load in LOADS:
        world = make_world(
            Workloads(jobs=arguments.jobs), scenario, load, arguments.episodes, dataflow="predicted_best"
        )
        played = {name: _played(world, world.actor(network)) for name, network in networks.items()}
        for name, own in played.items():
            ratio = own.microseconds / played["assignment"].microseconds
            print(f"| {load:g} | `{name}` | {own.microseconds:.1f} | {ratio:.2f} | {own.waiting:.1f} |")


def _played(world: World, act: Callable[[], IntArray]) -> Timed:
    """Play the episodes, and time the decisions of the lanes that have not ended."""
    world.reset(FIRST_SEED)
    seconds, decisions, waiting = 0.0, 0, 0
    lanes = world.simulation.lanes
    while not lanes["ended"].all():
        playing = lanes["ended"] == 0
        begin = time.perf_counter()
        actions = act()
        seconds += time.perf_counter() - begin
        decisions += int(playing.sum())
        waiting += int(np.minimum(lanes["waiting"], world.layout.window)[playing].sum())
        world.simulation.step(actions)
    return Timed(1e6 * seconds / decisions, waiting / decisions)


if __name__ == "__main__":
    main()
