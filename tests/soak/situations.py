"""A watch in the midst of random play, to be shown what breaks its rules."""

from functools import cache

import numpy as np
import pytest

from tests.soak.run import random_actions
from tests.soak.scenarios import draw
from tests.soak.watch import Watch

LANES = 16


@cache
def scenario(*, dispatch, failing):
    """Return the number of a scenario of the kind asked for that has long episodes."""
    for seed in range(1000):
        drawn = draw(seed, LANES)
        simulation = drawn.batch.simulation
        fits = drawn.dispatch == dispatch and bool(drawn.options["failures"]) == failing
        fits = fits and drawn.options.get("waiting", "free") == "free"
        big = simulation.jobs.shape[1] > 100 and simulation.accelerators.shape[1] > 1
        if fits and big and 0.4 < drawn.options["load"] < 1.0 and drawn.options["shaping"] != "drain":
            return seed
    pytest.fail("no scenario is of this kind")


def played(*, dispatch, failing, steps=60):
    """Return the watch of such a scenario, in the midst of its episodes."""
    seed = scenario(dispatch=dispatch, failing=failing)
    rng = np.random.default_rng(seed)
    watch = Watch(draw(seed, LANES))
    watch.reset(list(range(LANES)), [0] * LANES, np.ones(LANES, bool))
    for _ in range(steps):
        watch.step(random_actions(rng, watch.batch, [0.8, 0.0, 0.1, 0.1]))
    assert not watch.batch.ended.all()
    return watch


def first(condition):
    """Return the first place where a condition holds."""
    places = np.argwhere(condition)
    assert len(places), "the state has no such place"
    return tuple(places[0].tolist())
