"""Bounds within which cycles cannot overflow: refused beyond, sound up to them (too wide without the compiler)."""

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, GraphError
from gnnsched_env.cycles import cycles_matrix, plan_for
from gnnsched_env.hardware import load_accelerator, make_model


def test_inputs_that_might_overflow_are_refused():
    accelerator = load_accelerator("omega256")
    pairs = tuple((accelerator, dataflow) for dataflow in accelerator.dataflows[:2])
    model = make_model("gcn", 1433, 7)
    for degrees in (np.array([4 * 10**18] * 4), np.array([2**31])):
        with pytest.raises(GraphError, match=r"degrees must be at most 2\^31 - 1"):
            cycles_matrix([degrees], model, pairs)
        with pytest.raises(GraphError, match=r"degrees must be at most 2\^31 - 1"):
            plan_for(model, pairs).cycles(degrees)
    many = np.full(100_000, 2**31 - 1)
    for refuse in (lambda: cycles_matrix([many], model, pairs), lambda: plan_for(model, pairs).cycles(many)):
        with pytest.raises(GraphError, match=r"must be at most 2\^55"):
            refuse()
    with pytest.raises(ConfigError, match=r"in_features must be at most 2\^20"):
        cycles_matrix([np.array([1])], make_model("gcn", 10**9, 7), pairs)


def test_the_heaviest_graph_within_the_bounds_does_not_overflow():
    accelerator = load_accelerator("omega256")
    model = make_model("gcn", 2**20, 2**10, ())
    pairs = tuple((accelerator, dataflow) for dataflow in accelerator.dataflows[:2])
    rows = np.full(15, 2**31 - 1)
    cycles = cycles_matrix([rows[:5], rows[:10], rows], model, pairs)
    assert cycles.min() > 0
    assert np.all(np.abs(np.diff(cycles, n=2, axis=0)) <= cycles[0] // 100)
