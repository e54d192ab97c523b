"""A portfolio: what it imagines of a workload, which network it chooses, and that it reads no truth."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_baselines import make_policy
from gnnsched_baselines.equal_hardware import hardware_of
from gnnsched_baselines.learned import portfolio
from gnnsched_baselines.learned.pair_features import COLUMN
from gnnsched_baselines.learned.pair_network import QUEUE, save_network
from gnnsched_baselines.learned.portfolio import Portfolio, drawn_gains, imagined
from gnnsched_baselines.learned.trained_policy import TrainedPolicy, load_agent
from gnnsched_env.common import disk_cache
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.envs.construction import make_batch
from gnnsched_env.envs.env_batch import EnvBatch
from gnnsched_env.scenario import load_scenario, scenario_table
from gnnsched_env.sim import SimulationSettings
from tests import toys

EXACT = load_scenario("flexible4").with_options(predictor="exact", jobs=40, load=0.9, window=8)
WRONG = load_scenario("flexible4").with_options(prediction_error=0.3, jobs=40, load=0.9, window=8)


def taking(column):
    """Return a network that takes the pair with the largest value of a column, and never waits if it need not."""
    skip = np.zeros(len(QUEUE.features), np.float32)
    skip[column], skip[COLUMN.wait] = 1.0, -9.0
    return replace(QUEUE.zeros(1), skip=skip)


LONGEST, SHORTEST = taking(COLUMN.over_shortest_pair), taking(COLUMN.planned_action)


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setattr(disk_cache, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(portfolio, "_found", {})
    monkeypatch.setattr(portfolio, "LOADS", (0.9,))
    monkeypatch.setattr(portfolio, "JOBS", 60)


def chosen(scenario, networks, kinds={}):  # noqa: B006
    batch = make_batch(scenario, dispatch=False, lanes=3).batch
    return Portfolio(batch.layout, table=batch.table, networks=networks, kinds=kinds), batch


def test_the_network_that_is_better_on_drawn_episodes_plays():
    for networks in ({"a": LONGEST, "b": SHORTEST}, {"b": SHORTEST, "a": LONGEST}):
        policy, batch = chosen(EXACT, networks)
        assert policy.chosen == "b"
        own = TrainedPolicy(batch.layout, table=batch.table, network=SHORTEST)
        batch.reset(range(3))
        while not batch.ended.any():
            actions = policy.act(batch.observation, batch.mask)
            np.testing.assert_array_equal(actions, own.act(batch.observation, batch.mask))
            batch.step(actions)


@pytest.mark.parametrize("gain, error, plays", [(-1.0, 0.0, "a"), (1.0, 0.0, "b"), (9.0, 4.6, "a"), (9.0, 4.4, "b")])
def test_the_first_one_plays_unless_another_is_better_beyond_doubt(gain, error, plays, monkeypatch):
    found = np.array([[0.0, gain, 0.5], [0.0, error, 0.5]])
    monkeypatch.setattr(portfolio, "drawn_gains", lambda *_: tuple(found))
    assert chosen(EXACT, {"a": LONGEST, "b": SHORTEST, "c": SHORTEST})[0].chosen == plays


def test_a_network_plays_no_fleet_of_more_kinds_than_it_was_trained_for():
    mixed = load_scenario("hetero4").with_options(predictor="exact", jobs=40, window=8)
    networks = {"a": LONGEST, "b": SHORTEST}
    assert hardware_of(scenario_table(EXACT)).tolist() == [0] * 4 and hardware_of(scenario_table(mixed)).tolist() == [
        0,
        1,
        2,
        3,
    ]
    assert hardware_of(replace(scenario_table(EXACT), pair_keys=())).tolist() == [0] * 4
    assert [chosen(scenario, networks, {"b": 1})[0].chosen for scenario in (EXACT, mixed)] == ["b", "a"]
    assert chosen(mixed, networks, {"b": 4})[0].chosen == "b"


def test_costs_are_kept_and_those_that_are_close_play_again(monkeypatch):
    table = scenario_table(EXACT)
    played = []
    first = portfolio._costs

    def counted(table, networks, window, episodes):
        played.append((len(networks), episodes))
        return first(table, networks, window, episodes)

    monkeypatch.setattr(portfolio, "_costs", counted)
    networks = {"a": LONGEST, "b": SHORTEST, "c": SHORTEST}
    gains, errors = drawn_gains(table, networks, 8)
    assert played == [(3, portfolio.EPISODES), (3, portfolio.MORE_EPISODES)]  # the first one always plays
    assert gains[1] > portfolio.CLOSE and gains[1] == gains[2] and gains[0] == errors[0] == 0.0 < errors[1]
    np.testing.assert_array_equal(drawn_gains(table, networks, 8), (gains, errors))
    assert len(played) == 2
    last = {"b": SHORTEST, "a": LONGEST}
    np.testing.assert_array_equal(drawn_gains(table, last, 8), np.zeros((2, 2)))
    assert played[2:] == [(2, portfolio.EPISODES)]  # none is close


def test_no_truth_is_read():
    networks = {"a": LONGEST, "b": SHORTEST}
    table = scenario_table(WRONG)
    other = replace(table, true_cycles=table.true_cycles[::-1])
    np.testing.assert_array_equal(imagined(table).true_cycles, imagined(other).true_cycles)
    np.testing.assert_array_equal(drawn_gains(table, networks, 8), drawn_gains(other, networks, 8))


def test_exact_predictions_are_imagined_to_be_true():
    table = scenario_table(EXACT)
    known = imagined(table)
    np.testing.assert_array_equal(known.true_cycles, table.predicted_cycles)
    np.testing.assert_array_equal(known.predicted_cycles, table.predicted_cycles)


def test_errors_are_imagined_as_large_as_they_are_known_to_be():
    table = scenario_table(WRONG)
    known = imagined(table)
    keys = np.array(table.pair_keys)
    for key in set(table.pair_keys):
        of_key = known.true_cycles[:, keys == key]
        assert (of_key == of_key[:, :1]).all()  # equal hardware takes equally long
    errors = np.log(known.true_cycles / known.predicted_cycles)
    assert np.isclose(errors.std(), np.log(table.true_cycles / table.predicted_cycles).std(), rtol=0.1)
    assert abs(np.corrcoef(errors[:, keys == keys[0]].T)[0, 1]) < 0.3  # noise of each choice's own
    own = replace(table, log_errors=table.log_errors[:, :1].repeat(table.num_choices, axis=1), noise=0.0)
    errors = np.log(imagined(own).true_cycles / imagined(own).predicted_cycles)[:, keys == keys[0]]
    assert errors.std() > 0.2 and np.allclose(
        errors, errors[:, :1], atol=0.05
    )  # a predictor errs alike on equal hardware


@pytest.mark.parametrize("bias", [0.001, 1000.0])
def test_predictions_that_are_wrong_on_the_whole_are_imagined_so(bias):
    table = scenario_table(EXACT.with_options(prediction_error=(0.1, bias)))
    known = imagined(table)
    for imagined_cycles, cycles in (
        (known.predicted_cycles, table.predicted_cycles),
        (known.true_cycles, table.true_cycles),
    ):
        assert abs(np.log(imagined_cycles / cycles).mean()) < 0.3
    assert chosen(EXACT.with_options(prediction_error=(0.1, bias)), {"a": LONGEST, "b": SHORTEST})[0].chosen == "b"


def test_on_a_single_accelerator_the_first_network_plays():
    batch = EnvBatch(
        toys.table([[10], [40], [90]], owners=[0]), SimulationSettings(mean_gap=50.0, unit=40.0, jobs=30, window=6)
    )
    assert Portfolio(batch.layout, table=batch.table, networks={"a": LONGEST, "b": SHORTEST}, kinds={}).chosen == "a"


def test_the_shipped_agent_for_any_fleet_is_one():
    batch = make_batch(EXACT, dispatch=False).batch
    policy = make_policy("agent:queue", batch.layout, table=batch.table)
    names = load_agent("queue")[1]["members"]
    assert isinstance(policy, Portfolio) and policy.chosen in ("queue", *names)


@pytest.mark.parametrize("members", ["queue_hetero4", [], ["os:system"], ["agent:queue_hetero4"], [3], ["dispatch"]])
def test_a_card_names_shipped_agents_only(members, tmp_path):
    path = tmp_path / "own.npz"
    save_network(path, SHORTEST, {"members": members})
    batch = make_batch(EXACT, dispatch=False).batch
    with pytest.raises(ConfigError, match="the card's members must be some of the shipped queue, queue_big_little"):
        make_policy(f"agent:{path}", batch.layout, table=batch.table)
