"""Random scenarios: what they hold, that they repeat, that splits share nothing."""

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.envs.construction import make_batch
from gnnsched_env.scenario import random_scenarios, scenario_table
from gnnsched_env.scenario.random_scenarios import (
    CLASS_SETS,
    MOST_ACCELERATORS,
    MOST_KINDS,
    fleets_within,
    random_fleet,
)
from gnnsched_env.scenario.varied import FIRST_TRAINING_SEED
from gnnsched_env.tables.kinds import accelerator_kinds


@pytest.fixture(scope="module")
def drawn():
    return random_scenarios(12, classes=8)


def kinds_of(fleet):
    return len({(entry.pes, entry.dataflows) for entry in fleet.accelerators})


def test_fleets_are_of_all_sizes_and_small_ones_are_common():
    fleets = [random_fleet("drawn", np.random.default_rng(number))[0] for number in range(400)]
    sizes = np.array([len(fleet.accelerators) for fleet in fleets])
    assert sizes.min() == 1 and 50 < sizes.max() <= MOST_ACCELERATORS
    assert 0.3 < (sizes <= 4).mean() < 0.5 and np.isclose((sizes == 1).mean(), np.log(2) / np.log(65), atol=0.06)
    assert {kinds_of(fleet) for fleet in fleets} == set(range(1, MOST_KINDS + 1))
    assert {entry.pes for fleet in fleets for entry in fleet.accelerators} == {64, 128, 256, 512, 1024, 2048, 4096}


def test_equal_accelerators_have_equal_latencies(drawn):
    for scenario in drawn:
        table = scenario.table
        known = accelerator_kinds(table, np.zeros(table.num_accelerators, np.int64))
        assert len(set(known)) == kinds_of(scenario.fleet)


def test_conditions_are_of_all_sorts(drawn):
    assert {scenario.arrivals.process for scenario in drawn} >= {"poisson", "bursty"}
    for has in (
        lambda s: s.arrivals.drift > 0,
        lambda s: s.failures.up > 0,
        lambda s: s.prediction_error.noise > 0,
        lambda s: s.table.log_errors is not None,
    ):
        assert {True, False} == {bool(has(scenario)) for scenario in drawn}
    loads = [scenario.environment.load for scenario in drawn]
    assert 0.3 <= min(loads) < 0.5 and 0.7 < max(loads) <= 1.0
    for scenario in drawn:
        make_batch(scenario.with_options(jobs=5), dispatch=False)  # failures, if any, leave jobs the time to finish
        errors = np.log(scenario_table(scenario).predicted_cycles / scenario.table.predicted_cycles)
        assert np.isclose(errors.std(), scenario.prediction_error.noise, atol=0.06)


def test_a_scenario_is_the_same_whatever_their_number(drawn):
    again = random_scenarios(2, classes=8)
    for one, other in zip(again, drawn, strict=False):
        assert one.fleet == other.fleet
        assert (one.arrivals, one.failures, one.environment) == (other.arrivals, other.failures, other.environment)
        np.testing.assert_array_equal(one.table.true_cycles, other.table.true_cycles)
        np.testing.assert_array_equal(one.table.weights, other.table.weights)


@pytest.mark.parametrize("sizes, kinds", [((2, 64), (1, 4)), ((1, 5), (1, 1)), ((5, 30), (2, 3))])
def test_fleets_are_found_by_their_accelerators_and_kinds(drawn, sizes, kinds):
    fitting = [
        number
        for number, fleet in enumerate(scenario.fleet for scenario in drawn)
        if sizes[0] <= len(fleet.accelerators) <= sizes[1] and kinds[0] <= kinds_of(fleet) <= kinds[1]
    ]
    assert 0 < len(fitting) < len(drawn)
    assert fleets_within("test", len(fitting), sizes, kinds)[: len(fitting)] == fitting
    assert min(fleets_within("test", len(fitting) + 2, sizes, kinds)[len(fitting) :]) >= len(drawn)


def test_seeds_and_splits_differ(drawn):
    first = drawn[0]
    for options in ({"seed": 1}, {"split": "train"}, {"split": "validation"}):
        (other,) = random_scenarios(1, classes=8, **options)
        assert (other.fleet.accelerators, other.environment.load) != (first.fleet.accelerators, first.environment.load)
        assert other.environment.split == options.get("split", "test")


def test_no_classes_are_of_two_splits():
    seeds = {split: set(range(first, first + sets)) for split, (first, sets) in CLASS_SETS.items()}
    assert not seeds["test"] & (seeds["train"] | seeds["validation"]) and not seeds["train"] & seeds["validation"]
    assert min(seeds["train"]) >= FIRST_TRAINING_SEED and all(0 not in own for own in seeds.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count must be an integer of at least 1"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"split": "tests"}, r"split must be one of train, validation, test, got 'tests'; did you mean 'test'\?"),
        ({"classes": 3}, "classes must be an integer of at least 4"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ConfigError, match=f"random_scenarios: {message}"):
        random_scenarios(**options)
