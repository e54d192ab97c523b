"""Validation: the right ratios, on episodes that nothing else sees."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_agents.validation import EPISODE_SEED, Validation, ValidationConfig
from gnnsched_agents.worlds import Workloads, world_scenario
from gnnsched_baselines import make_policy
from gnnsched_baselines.learned.pair_network import DISPATCH, initial_network
from gnnsched_env.common.errors import ConfigError
from tests.twins import evolution as naive_evolution

SETTINGS = ValidationConfig(workloads=(101, 105), loads=(0.6, 0.9), jobs=30, episodes=4)


@pytest.fixture(scope="module")
def validation():
    """Return a validation on two small workloads."""
    return Validation(SETTINGS, Workloads(classes=12, window=8, jobs=999))


def test_assignment_by_its_network_and_as_a_policy_is_at_one(validation):
    network = initial_network(4, np.random.default_rng(0))
    score = validation.score(network)
    assert score.ratio == 1.0 and score.error == 0.0 and set(score.cases.values()) == {1.0}
    assert validation.score_policy(lambda layout, table: make_policy("assignment", layout, table=table)) == score


def test_the_fleet_is_validated_on_what_it_is_trained_for():
    """The classes of a seed vary as much between accelerators in validation as they do in training."""
    even = Workloads(scenario="flexible4", classes=12, window=8, skew=0.0)
    cycles = Validation(SETTINGS, even)._scenarios[105].table.true_cycles
    np.testing.assert_array_equal(cycles, world_scenario(even, 105).table.true_cycles)
    assert (cycles != world_scenario(replace(even, skew=0.7), 105).table.true_cycles).any()


def test_dispatchers_are_validated_against_predictor_greedy_on_each_fleet_in_turn():
    workloads = Workloads(environment="dispatch", also=("fixed9",), classes=12)
    arrivals = Validation(replace(SETTINGS, loads=(0.9,)), workloads)
    fleets = [world.layout.num_accelerators for world in arrivals._worlds.values()]
    assert fleets == [4, 9]
    score = arrivals.score_policy(lambda layout, table: make_policy("predictor_greedy", layout, table=table))
    assert score.ratio == 1.0 != score.sjf_ratio and arrivals.reference == "predictor_greedy"
    assert arrivals.score(initial_network(4, np.random.default_rng(0), inputs=DISPATCH)) == score


def test_sjf_is_at_one_over_itself(validation):
    score = validation.score_policy(lambda layout, table: make_policy("sjf", layout, table=table))
    assert score.sjf_ratio == 1.0 and score.ratio > 1.0 and score.error > 0.0


def test_ratios_are_those_of_the_job_records(validation):
    network = initial_network(4, np.random.default_rng(0), prior=-1.0)
    validation.play_references()  # in the same worlds
    score = validation.score(network)
    expected = {}
    for case, world in validation._worlds.items():  # the worlds as the network left them
        own = np.mean(naive_evolution.mean_completion(world.simulation))
        expected[case] = own / validation.heuristic_means[case].mean()
        assert world.load == case[1] and world.simulation.jobs.shape == (4, 30)
    assert score.cases == pytest.approx(expected)
    assert score.ratio == pytest.approx(naive_evolution.geometric_mean(list(expected.values())))
    for load in SETTINGS.loads:
        both = [expected[seed, load] for seed in SETTINGS.workloads]
        assert score.by_load[load] == pytest.approx(naive_evolution.geometric_mean(both))
    assignment, sjf = validation.heuristic_means, validation.sjf_means
    over_sjf = [expected[case] * assignment[case].mean() / sjf[case].mean() for case in expected]
    assert score.sjf_ratio == pytest.approx(naive_evolution.geometric_mean(over_sjf))
    assert score.figures() == {
        "ratio": score.ratio, "error": score.error, "sjf_ratio": score.sjf_ratio,
        "ratio_at_0.6": score.by_load[0.6], "ratio_at_0.9": score.by_load[0.9],
    }  # fmt: skip


def test_the_interval_is_that_of_resampled_episodes(validation):
    """The delta method beside a bootstrap, on made-up means of many episodes."""
    rng = np.random.default_rng(0)
    reference = {case: rng.lognormal(3.0, 0.4, 400) for case in validation.heuristic_means}
    means = {case: values * rng.normal(0.95, 0.2, 400) for case, values in reference.items()}
    made_up = Validation(SETTINGS, Workloads(classes=12, window=8))
    made_up.reference_means = made_up.sjf_means = reference
    score = made_up.score_means(means)
    drawn = []
    for _ in range(2000):
        logs = []
        for case, values in reference.items():
            picked = rng.integers(0, 400, 400)
            logs.append(np.log(means[case][picked].mean() / values[picked].mean()))
        drawn.append(np.mean(logs))
    assert score.error == pytest.approx(1.96 * np.std(drawn), rel=0.08)


def test_the_reference_of_a_case_is_the_best_one(validation):
    both = Validation(replace(SETTINGS, references=("sjf", "assignment")), validation.workloads)
    best = both.reference_means
    means = (validation.sjf_means, validation.heuristic_means)
    assert (validation.reference, both.reference) == ("assignment", "the best heuristic")
    assert all(best[case].mean() == min(own[case].mean() for own in means) for case in best)
    score = both.score_policy(lambda layout, table: make_policy("assignment", layout, table=table))
    assert score.ratio > 1.0 or {*score.cases.values()} == {1.0}
    assert both.score_means(best).ratio == 1.0


def test_random_fleets_are_validated_each_on_its_own():
    random = Validation(SETTINGS, Workloads(scenario="random", classes=12, window=8))
    fleets = {seed: scenario.fleet for seed, scenario in random._scenarios.items()}
    assert all(
        world.layout.num_accelerators == len(fleets[case[0]].accelerators) for case, world in random._worlds.items()
    )
    assert len({fleet.accelerators for fleet in fleets.values()}) == len(SETTINGS.workloads)


def test_scores_repeat_exactly(validation):
    network = initial_network(4, np.random.default_rng(1), prior=0.01)
    network = replace(network, w3=np.full(4, 0.3, np.float32))
    again = Validation(SETTINGS, validation.workloads)
    assert validation.score(network) == validation.score(network) == again.score(network)


def test_episodes_are_none_of_the_trainings():
    assert EPISODE_SEED + 32 < 1 << 20


@pytest.mark.parametrize("seeds", [(0,), (101, 1000), (), (-1,)])
def test_workloads_of_trainings_and_of_results_are_refused(seeds):
    with pytest.raises(ConfigError, match=r"validation: .*workloads must"):
        ValidationConfig(workloads=seeds)


@pytest.mark.parametrize(
    ("field", "value"),
    [("loads", ()), ("loads", (0.5, 0.0)), ("loads", (float("nan"),)), ("loads", (1.6,)), ("jobs", 0), ("episodes", 0)],
)
def test_bad_settings_are_refused(field, value):
    with pytest.raises(ConfigError, match=f"validation: .*{field} must be"):
        ValidationConfig(**{field: value})
