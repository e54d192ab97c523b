"""The capacity program on problems with known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.policy import Routing
from gnnsched_env.sim import fleet_capacity, policy_capacity
from gnnsched_env.sim.capacity import MOST_SEPARATE
from tests import toys
from tests.twins import capacity as naive


def test_one_machine_serves_one_job_per_mean_latency():
    capacity = fleet_capacity(np.array([[10], [30]]), np.array([0.5, 0.5]), np.array([0]))
    assert capacity.rate == pytest.approx(1 / 20)
    assert capacity.prices.tolist() == [1.0]


def test_specialists_split_by_class():
    table = toys.table([[10, 100], [100, 10]])
    assert policy_capacity(table) == pytest.approx(2 / 10)
    assert policy_capacity(table, routing=Routing.SHORTEST) == pytest.approx(2 / 10)
    assert policy_capacity(table, routing=Routing.BLIND) == pytest.approx(2 / 55)
    assert policy_capacity(table, routing=Routing.UNIFORM) == pytest.approx(2 / 55)


def test_going_where_it_is_predicted_shortest_follows_the_prediction():
    table = toys.table([[10, 100]], predicted=[[100, 10]])  # predicted to be shorter where it is longer
    assert policy_capacity(table, routing=Routing.SHORTEST) == pytest.approx(1 / 100)


def test_uniform_routing_is_bounded_by_the_slowest_machine():
    table = toys.table([[10, 40]])
    assert policy_capacity(table, routing=Routing.UNIFORM) == pytest.approx(2 / 40)
    assert policy_capacity(table, routing=Routing.BLIND) == pytest.approx(1 / 10 + 1 / 40)


def test_fewer_choices_never_raise_the_capacity():
    table = toys.random_table(np.random.default_rng(3), classes=30, choices=8, accelerators=4)
    whole = policy_capacity(table)
    for choice in range(8):
        assert policy_capacity(table, choices=[choice]) <= whole * (1 + 1e-9)
    assert policy_capacity(table, choices=range(8)) == pytest.approx(whole)


def test_prices_value_the_scarce_machine():
    # Both classes are faster on machine 0, class 1 by far: machine 0 is what limits the fleet.
    capacity = fleet_capacity(np.array([[10, 12], [10, 1000]]), np.array([0.5, 0.5]), np.array([0, 1]))
    assert capacity.prices.sum() == pytest.approx(1)
    assert capacity.prices[0] > capacity.prices[1]


def test_the_dual_prices_certify_the_rate():
    # Strong duality: with prices y, no class can be served more cheaply than its cheapest priced choice.
    table = toys.random_table(np.random.default_rng(4), classes=40, choices=9, accelerators=4)
    capacity = fleet_capacity(table.true_cycles, table.weights, table.choice_accelerators)
    priced = (table.true_cycles * capacity.prices[table.choice_accelerators]).min(axis=1)
    assert 1 / (table.weights @ priced) == pytest.approx(capacity.rate)


@given(st.integers(0, 1 << 32), st.integers(1, 4), st.integers(1, 4), st.integers(-2, 12))
@settings(deadline=None, max_examples=25)
def test_equal_accelerators_share_a_column_of_the_program(seed, classes, kinds, more):
    """Whether equal accelerators share one, as in wide fleets, or not, rate and prices are those of all of them."""
    rng = np.random.default_rng(seed)
    of_kinds = np.exp(rng.normal(9.0, 1.0, (classes, kinds))).astype(np.int64) + 1
    kind = rng.integers(0, kinds, MOST_SEPARATE + more)
    weights = rng.dirichlet(np.ones(classes))
    rate, prices = naive.capacity((of_kinds[:, kind] / 1e4).tolist(), weights.tolist())
    found = fleet_capacity(of_kinds[:, kind], weights, np.arange(len(kind)))
    assert found.rate * 1e4 == pytest.approx(rate, rel=1e-9)
    np.testing.assert_allclose(found.prices, prices, rtol=1e-6, atol=1e-9)
    assert all(np.ptp(found.prices[kind == k]) <= 1e-12 for k in set(kind.tolist()))
