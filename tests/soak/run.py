"""Play random scenarios with random actions for a long time, checking everything after every step.

python -m tests.soak.run --steps 10000000
python -m tests.soak.run --scenario 17     the one that a violation named, again
"""

import argparse
import sys
import time
import traceback

import numpy as np

from tests.soak.odd_scenarios import draw_odd
from tests.soak.scenarios import draw
from tests.soak.watch import Counts, Watch
from tests.soak.worlds import play_worlds

LANES = 256
SCENARIO_STEPS = 40_000
WORLD_STEPS = 200
EVENTS_A_JOB = 1000  # far more than an episode needs, however often its accelerators fail


def play(seed, counts, *, lanes=LANES, steps=SCENARIO_STEPS):
    """Play one scenario, all of it drawn from `seed`, for so many steps and on until its episodes have ended."""
    drawn = draw_odd(seed, lanes) if seed % 2 else draw(seed, lanes)
    rng = np.random.default_rng([seed, 2])
    watch = Watch(drawn, counts)
    episodes = np.zeros(lanes, np.uint64)
    seeds = rng.integers(1 << 63, size=lanes).astype(np.uint64)
    watch.reset(seeds, episodes, np.ones(lanes, np.bool_))
    manner = rng.dirichlet([1.0, 1.0, 0.5, 0.5])
    until = counts.steps + steps
    resetting = float(rng.choice([0.0, 0.002]))
    while counts.steps < until:
        watch.step(random_actions(rng, drawn.batch, manner))
        again = drawn.batch.ended | (rng.random(lanes) < resetting)
        if again.any():
            episodes[again] += np.uint64(1)
            watch.reset(seeds, episodes, again)
    watch.finish(EVENTS_A_JOB * drawn.batch.simulation.jobs.shape[1] + EVENTS_A_JOB)
    return drawn


def random_actions(rng, batch, manner):
    """Return an action a lane: any legal one, the first legal one, the last (to wait) or anything, also out of range.

    `manner` float64 [4]: how often each.
    """
    lanes, actions = batch.mask.shape
    kind = rng.choice(4, size=lanes, p=manner)
    chosen = (rng.random(batch.mask.shape, np.float32) * batch.mask).argmax(axis=1)
    chosen = np.where(kind == 1, batch.mask.argmax(axis=1), chosen)
    chosen = np.where(kind == 2, actions - 1, chosen)
    return np.where(kind == 3, rng.integers(-1, actions + 1, lanes), chosen)


def soak(steps, first=0, counts=None, *, lanes=LANES, scenario_steps=SCENARIO_STEPS, world_steps=WORLD_STEPS):
    """Play scenarios `first`, `first` + 1, ... until so many steps are done; return (counts, kinds of scenarios).

    Every second one is odd. Each is also played for `world_steps` steps through Gymnasium's interfaces.
    A violation is raised with a note that names its scenario.
    """
    counts = Counts() if counts is None else counts
    kinds = {"queue": 0, "dispatch": 0, "failing": 0, "odd": 0}
    seed = first
    while counts.steps < steps:
        try:
            drawn = play(seed, counts, lanes=lanes, steps=min(scenario_steps, steps - counts.steps))
            play_worlds(seed, counts, steps=world_steps)
        except Exception as error:
            error.add_note(f"in scenario {seed}: python -m tests.soak.run --scenario {seed}")
            raise
        kinds["dispatch" if drawn.dispatch else "queue"] += 1
        kinds["failing"] += bool(drawn.options["failures"])
        kinds["odd"] += drawn.odd
        seed += 1
    return counts, kinds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000_000, help="steps of all lanes together")
    parser.add_argument("--first", type=int, default=0, help="number of the first scenario")
    parser.add_argument("--scenario", type=int, help="play this scenario only")
    options = parser.parse_args()
    counts, began = Counts(), time.perf_counter()
    kinds, violations = {}, 0
    try:
        if options.scenario is None:
            _, kinds = soak(options.steps, options.first, counts)
        else:
            print(play(options.scenario, counts).options)
            play_worlds(options.scenario, counts, steps=WORLD_STEPS)
    except Exception:
        traceback.print_exc()
        violations = 1
    seconds = time.perf_counter() - began
    print("  ".join(f"{name} {count:,}" for name, count in kinds.items()))
    for name, count in vars(counts).items():
        print(f"{name:14} {count:>16,}")
    print(f"{'steps/s':14} {counts.steps / seconds:>16,.0f}\n{'violations':14} {violations:>16,}")
    return violations


if __name__ == "__main__":
    sys.exit(main())
