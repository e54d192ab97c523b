"""Time wide fleets against narrow ones in the same run, on one core.

    python -m benchmarks.wide_fleets

The fleets are of the four kinds of the preset `wide64`, in its proportions. Making: `gymnasium.make` of Queue-v0, with
a fleet that was not seen before, once everything is imported and compiled. A step and a decision are those of one
environment, medians over the decisions of an episode that `sjf` plays, after a warm-up in which the fleet fills: at
load 0.8 jobs hardly ever wait for each other on a wide fleet; at load 1.2 the window is full and few accelerators are
idle. A step returns copies of observation and mask, which are timed alone too. Ratios are to the first size.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import gymnasium
import numpy as np

import gnnsched_env  # noqa: F401 (registers the environments)
from benchmarks.cycles import pin_to_one_core
from gnnsched_baselines import make_policy
from gnnsched_env.hardware import Fleet, load_fleet
from gnnsched_env.scenario import Scenario

QUEUE = "gnnsched/Queue-v0"
PRESET = "wide64"
LOADS = (0.8, 1.2)
POLICIES = ("sjf", "min_min", "assignment", "agent:queue_hetero4")

_numbers = count()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 64, 1024], help="accelerators, multiples of 8")
    parser.add_argument("--decisions", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3, help="of making an environment")
    arguments = parser.parse_args()
    pin_to_one_core()
    rows = {"making": [_making_seconds(size, arguments.repeats) for size in arguments.sizes]}
    for load in LOADS:
        played = [_decision_seconds(size, load, arguments.decisions) for size in arguments.sizes]
        rows |= {f"{name}, load {load}": [own[name] for own in played] for name in played[0]}
    _print(arguments.sizes, rows)


def wide_fleet(size: int) -> Fleet:
    """Return a fleet of the preset's kinds in its proportions, under a name of its own."""
    preset = load_fleet(PRESET)
    share = size / len(preset.accelerators)
    kinds: dict[str, list[Any]] = {}
    for accelerator in preset.accelerators:
        kinds.setdefault(accelerator.name.rstrip("0123456789"), []).append(accelerator)
    accelerators = tuple(
        replace(own[0], name=f"{kind}{k}") for kind, own in kinds.items() for k in range(round(share * len(own)))
    )
    return replace(preset, name=f"wide{size}-{next(_numbers)}", accelerators=accelerators)


def _make(size: int, **options: Any) -> Any:
    fleet = wide_fleet(size)
    return gymnasium.make(QUEUE, scenario=Scenario(name=fleet.name, fleet=fleet), **options).unwrapped


def _making_seconds(size: int, repeats: int) -> float:
    _make(8)
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        _make(size)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def _decision_seconds(size: int, load: float, decisions: int) -> dict[str, float]:
    """Return the median seconds of a step and of each policy's decision."""
    env = _make(size, load=load, jobs=20 * size + 10 * decisions)
    policies = {name: make_policy(name, env.layout, table=env.table) for name in POLICIES}
    env.reset(seed=0)
    batch, steps, copies = env.batch, [], []
    shown = (*batch.observation.values(), batch.mask)
    seconds: dict[str, list[float]] = {name: [] for name in POLICIES}
    _fill(batch, policies["sjf"], 2 * size, load > 1)
    for _ in range(decisions):
        action = int(policies["sjf"].act(batch.observation, batch.mask)[0])
        for name, policy in policies.items():
            seconds[name].append(_seconds(partial(policy.act, batch.observation, batch.mask)))
        steps.append(_seconds(partial(env.step, action)))
        copies.append(_seconds(lambda: [array.copy() for array in shown]))
    timed = {"step": steps, "of it, copies of what is observed": copies, **seconds}
    return {name: statistics.median(own) for name, own in timed.items()}


def _fill(batch: Any, policy: Any, steps: int, overloaded: bool) -> None:
    """Play until the fleet is at work: some steps, and where it is overloaded until the window is full."""
    while steps > 0 or (overloaded and batch.simulation.lanes["waiting"][0] < batch.layout.window):
        batch.step(np.ascontiguousarray(policy.act(batch.observation, batch.mask)))
        steps -= 1


def _seconds(part: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    part()
    return time.perf_counter() - begin


def _print(sizes: Sequence[int], rows: dict[str, list[float]]) -> None:
    print("| microseconds | " + " | ".join(f"{size} accelerators | ratio" for size in sizes) + " |")
    print("|---|" + "---|---|" * len(sizes))
    for name, own in rows.items():
        cells = (f"{1e6 * seconds:,.0f} | {seconds / own[0]:.2f}" for seconds in own)
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
