"""CP-SAT against every order, against the local search, and without OR-tools."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings

from gnnsched_env.bounds import Instance, earliest_finish, improve, lower_bound, optimum
from gnnsched_env.bounds import optimal as module
from gnnsched_env.common.errors import ConfigError
from tests.bounds.drawn import instances, random_instance
from tests.twins import bounds as naive_bounds


@pytest.fixture
def solver():
    """Skip without OR-tools."""
    return pytest.importorskip("ortools.sat.python.cp_model", reason="OR-tools is not installed")


@pytest.mark.slow
@settings(max_examples=25)
@given(instances(most_jobs=5, most_fleet=2))
def test_the_optimum_is_the_least_of_all_orders(instance):
    pytest.importorskip("ortools.sat.python.cp_model", reason="OR-tools is not installed")
    found = optimum(instance)
    found.plan.check(instance)
    assert found.proved
    least = naive_bounds.least_total(instance.release.tolist(), instance.latency.tolist())
    assert found.total == found.plan.total(instance) == least


@pytest.mark.slow
def test_the_solver_alone_finds_it(solver, monkeypatch):
    """Without a local search before it, and with a bound that says little."""
    monkeypatch.setattr(module, "improve", lambda instance, plan, **_: earliest_finish(instance))
    monkeypatch.setattr(module, "lower_bound", lambda instance, plan: lower_bound(instance, plan, rounds=1))
    for seed in range(3):
        instance = random_instance(9, seed, gap=3)
        found = optimum(instance)
        assert found.proved and found.total <= improve(instance, moves=50_000, tries=3).total(instance)
        assert found.total < earliest_finish(instance).total(instance)


@pytest.mark.slow
def test_too_little_time_proves_less(solver):
    instance = random_instance(60, gap=3)
    found = optimum(instance, seconds=0.01)
    found.plan.check(instance)
    assert not found.proved and lower_bound(instance).total * 0.99 < found.bound < found.total


def test_bad_input_is_refused(solver):
    instance = random_instance(4)
    with pytest.raises(ConfigError, match="seconds must be"):
        optimum(instance, seconds=0)
    with pytest.raises(ConfigError, match=r"workers must be"):
        optimum(instance, workers=0)


def test_without_or_tools_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "ortools"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ortools", None)
    with pytest.raises(ConfigError, match=r"gnnsched-env\[bounds\]"):
        optimum(Instance(name="x", release=np.array([0]), latency=np.array([[1]])))
