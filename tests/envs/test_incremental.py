"""Observations are written where something changed; they must be those that a fresh look at the state gives."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.envs import EnvBatch, unflatten
from gnnsched_env.envs.construction import scenario_batch
from gnnsched_env.envs.observation_units import decode_cycles
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import Scenario, simulation_settings
from tests import toys
from tests.envs.environments import hetero_table

pytestmark = pytest.mark.kernels

CASES = [
    {},
    {"window": 3},
    {"window": 5, "window_order": "shortest"},
    {"window": 4, "dataflow": "predicted_best", "load": 1.3},
    {"window": 4, "failures": {"up": 60.0, "down": 10.0}, "arrivals": {"process": "bursty", "deadlines": [1, 9]}},
    {"window": 4, "window_order": "shortest", "failures": {"up": 60.0, "down": 10.0}, "reconfiguration": 70},
    {"window": 5, "reward": {"energy": 0.5, "tardiness": 2.0}, "arrivals": {"deadlines": [0, 9]}},
    {"window": 5, "intervals": 0.8, "decision": {"latency_us": 0.3, "skip_below": 2}},
    {"arrivals": {"process": "diurnal", "priorities": [[1, 3], [8, 1]], "deadlines": [0, 5]}, "load": 1.2},
]


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("options", CASES)
def test_what_is_rewritten_is_all_that_changed(options, dispatch):
    if dispatch:
        options = {name: value for name, value in options.items() if not name.startswith("window")}
    table = hetero_table()
    errors = np.linspace(-0.2, 0.3, 200)[:, np.newaxis] * np.linspace(0.5, 2, table.num_choices)
    table = replace(table, log_errors=errors)
    scenario = Scenario(name="random", fleet=load_fleet("hetero4"), table=table).with_options(jobs=60, **options)
    settings = simulation_settings(scenario, table, dispatch=dispatch)
    batch = scenario_batch(scenario, table, settings, lanes=4)
    batch.reset([1, 2, 3, 4])
    rng = np.random.default_rng(0)
    compared = 0
    while not batch.ended.all():
        legal = rng.random(batch.mask.shape) * batch.mask
        random = rng.integers(batch.layout.num_actions, size=4)
        batch.step(np.where(rng.random(4) < 0.7, legal.argmax(axis=1), random))
        if compared % 7 == 0:  # after some steps that nobody looked at too
            batch.simulation.step(rng.integers(batch.layout.num_actions, size=4))
            batch.encode()
        _compare(batch)
        compared += 1
    assert compared > 40


def _compare(batch):
    simulation = batch.simulation
    before = simulation.lanes.copy()
    fresh = EnvBatch.around(simulation, intervals=batch.intervals)
    for name, array in batch.observation.items():
        assert (fresh.observation[name] == array).all(), name
        assert ((array >= 0) & (array <= 1)).all(), name
    assert (fresh.mask == batch.mask).all()
    assert fresh.mask.any(axis=1).all()
    simulation.lanes[:] = before


@pytest.mark.parametrize("dispatch", [False, True])
def test_masks_of_large_fleets_are_those_of_small_ones(dispatch):
    """Without the table of patterns, which is too large for many accelerators, masks are the same."""
    settings = simulation_settings(_scenario(window=1 if dispatch else 5), hetero_table(), dispatch=dispatch)
    with_table, without = (EnvBatch(hetero_table(), settings, lanes=2) for _ in range(2))
    patterns = without._codes.patterns
    assert patterns.shape == (16, with_table.mask.shape[1] - (not dispatch))
    without._codes = without._codes._replace(patterns=np.zeros((1, 1), bool))
    without._bind_encoder()
    rng = np.random.default_rng(0)
    for batch in (with_table, without):
        batch.reset([1, 2])
    while not with_table.ended.all():
        actions = rng.integers(with_table.layout.num_actions, size=2)
        for batch in (with_table, without):
            batch.step(actions)
        assert (with_table.mask == without.mask).all()
    many = toys.random_table(rng, classes=5, choices=24, accelerators=12)
    batch = EnvBatch(many, replace(settings, window=1, mean_up=0.0, mean_down=0.0))
    batch.reset([0])
    assert batch._codes.patterns.shape == (1, 1)
    assert batch.mask[0, :24].all()


def _scenario(**options):
    scenario = Scenario(name="random", fleet=load_fleet("hetero4"), table=hetero_table())
    return scenario.with_options(jobs=60, failures={"up": 60.0, "down": 10.0}, **options)


def test_intervals_stand_beside_the_predictions_of_the_jobs_shown():
    errors = np.tile(np.linspace(-0.2, 0.3, 200)[:, np.newaxis], (1, hetero_table().num_choices))
    table = replace(hetero_table(), log_errors=errors)
    scenario = Scenario(name="random", fleet=load_fleet("hetero4"), table=table).with_options(
        jobs=20, window=4, intervals=0.5, repeats=3
    )
    batch = scenario_batch(scenario, table, simulation_settings(scenario, table, dispatch=False), lanes=2)
    batch.reset([1, 2])
    shown = 0
    while not batch.ended.all():
        view = unflatten(batch.observation, batch.layout)
        predicted, low, high = map(decode_cycles, (view.latencies, view.lows, view.highs))
        present = view.slots["present"] > 0
        assert low[present] == pytest.approx(predicted[present] * np.exp(-0.2 + 0.5 * 0.25), rel=1e-2)
        assert high[present] == pytest.approx(predicted[present] * np.exp(-0.2 + 0.5 * 0.75), rel=1e-2)
        assert not low[~present].any() and not high[~present].any()
        shown += present.sum()
        batch.step(batch.mask.argmax(axis=1))
    assert shown > 20
