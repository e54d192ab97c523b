"""Training worlds: the workloads that they have, and where those of a training come from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gnnsched_agents.first_weights import first_weights, widened
from gnnsched_agents.validation import Validation, ValidationConfig
from gnnsched_agents.worlds import MANY, RANDOM, Workloads, make_world, training_scenario
from gnnsched_baselines.equal_hardware import hardware_of
from gnnsched_baselines.learned.pair_network import QUEUE, initial_network, save_network
from gnnsched_baselines.learned.trained_policy import WEIGHTS, load_agent
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.scenario import load_scenario, scenario_table
from gnnsched_env.scenario.options import Failures

SMALL = Workloads(sets=2, classes=12, jobs=25, window=8)
FRESH = replace(SMALL, mixes="fresh")
OWN = replace(SMALL, mixes="own")


def test_sets_are_drawn_among_their_number_and_fresh_workloads_among_many():
    rng = np.random.default_rng(0)
    assert {SMALL.draw(rng) for _ in range(40)} == {0, 1}
    drawn = {FRESH.draw(rng) for _ in range(40)}
    assert len(drawn) == 40 and MANY / 2 < max(drawn) < MANY
    assert {OWN.draw(rng) for _ in range(40)} == {0}


def test_fresh_workloads_of_one_set_have_its_classes_and_other_latencies():
    tables = [training_scenario(FRESH, number).table for number in (4, 6, 5)]
    assert tables[0].class_names == tables[1].class_names != tables[2].class_names
    assert (tables[0].true_cycles != tables[1].true_cycles).mean() > 0.9
    training_scenario.cache_clear()
    np.testing.assert_array_equal(training_scenario(FRESH, 4).table.true_cycles, tables[0].true_cycles)


def test_equal_accelerators_of_fresh_random_fleets_stay_equal():
    random = replace(FRESH, scenario=RANDOM, kinds=(2, 4), accelerators=(8, 64))
    scenario = training_scenario(random, 1)
    base = training_scenario(replace(random, mixes="sets", skew=0.0), 1)
    assert scenario.fleet == base.fleet and scenario.table.pair_keys == base.table.pair_keys
    assert (scenario.table.true_cycles != base.table.true_cycles).any()
    groups, owners = hardware_of(scenario.table), scenario.table.choice_accelerators
    for group in range(groups.max() + 1):
        columns = [scenario.table.true_cycles[:, owners == a] for a in np.flatnonzero(groups == group)]
        assert all((column == columns[0]).all() for column in columns)


def test_failures_end_where_fresh_jobs_take_longer_than_accelerators_work(monkeypatch):
    random = replace(FRESH, scenario=RANDOM)
    scenario = training_scenario(random, 0)
    for up, kept in ((1e9, True), (1e-3, False)):
        failing = replace(scenario, failures=Failures(up=up, down=1.0))
        monkeypatch.setattr("gnnsched_agents.worlds.random_scenario", lambda *_, own=failing, **__: own)
        training_scenario.cache_clear()
        assert (training_scenario(random, 0).failures.up > 0) == kept
    training_scenario.cache_clear()


def test_own_workloads_are_the_scenarios_as_policies_know_them(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('fleet = "hetero4"\n[prediction_error]\nnoise = 0.2\n')
    own, table = (replace(OWN, scenario=str(path)), scenario_table(load_scenario(path)))
    scenario = training_scenario(own, 0)
    assert scenario.table.class_names == table.class_names
    assert scenario.prediction_error.noise == 0.0  # that is in the table
    logs = np.log(scenario.table.true_cycles / scenario.table.predicted_cycles)
    assert 0.1 < logs.std() < 0.3
    assert (scenario.table.true_cycles != table.true_cycles).mean() > 0.9  # which nobody knows
    world = make_world(own, scenario, 0.8, 2, dataflow="predicted_best")
    assert world.play(world.actor(None), 1).min() > 0.0


def test_own_workloads_are_validated_once():
    validation = Validation(ValidationConfig(workloads=(101, 102), loads=(0.6,), jobs=30, episodes=4), OWN)
    assert list(validation.heuristic_means) == [(101, 0.6)]


def test_random_scenarios_have_no_own_workload():
    with pytest.raises(ConfigError, match="mixes must be 'sets' or 'fresh' for random scenarios, got 'own'"):
        replace(OWN, scenario=RANDOM)
    with pytest.raises(ConfigError, match="mixes must be one of"):
        replace(OWN, mixes="mine")


def test_trainings_start_from_shipped_agents_or_files(tmp_path):
    network = initial_network(3, np.random.default_rng(0))
    save_network(tmp_path / "mine.npz", network, {})
    assert (first_weights("ppo", tmp_path / "mine.npz", SMALL).w1 == network.w1).all()
    assert (first_weights("ppo", Path("queue_equal"), SMALL).w1 == load_agent("queue_equal")[0].w1).all()
    assert (first_weights("ppo", tmp_path / "mine.npz", OWN).w1 == network.w1).all()
    for agent in (Path("dispatch"), WEIGHTS / "dispatch.npz"):
        with pytest.raises(ConfigError, match=f"weights must be weights for the environment {QUEUE.environment}"):
            first_weights("ppo", agent, SMALL)
    with pytest.raises(ConfigError, match="did you mean 'queue_equal'"):
        first_weights("ppo", Path("queue_equl"), SMALL)


def test_widened_networks_decide_as_before():
    rng = np.random.default_rng(0)
    network, _ = load_agent("queue_equal")
    rows, starts = rng.normal(size=(9, network.num_features)).astype(np.float32), np.array([0, 4, 9])
    wide = widened(network, 48, rng)
    assert len(wide.b1) == 48 and widened(network, 4, rng) is network
    np.testing.assert_allclose(wide.scores(rows, starts), network.scores(rows, starts), rtol=1e-5, atol=1e-5)
    assert (wide.w1[:, len(network.b1) :] != 0).any()  # what new units read


@pytest.mark.slow
def test_on_an_own_workload_they_start_from_the_member_that_plays_there():
    own = replace(OWN, scenario="big_little", window=32)
    chosen = first_weights("ppo", Path("queue"), own)
    assert (chosen.w1 == load_agent("queue_big_little")[0].w1).all()
    assert (first_weights("ppo", Path("queue"), replace(own, mixes="sets")).w1 == load_agent("queue")[0].w1).all()
