"""The compiled transition against its slow twin, on random fleets, loads and actions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.sim import Simulation, SimulationSettings, WindowOrder, seed_arrays
from tests import naive_fleet, toys

pytestmark = pytest.mark.kernels


@st.composite
def decision_costs(draw):
    """Return what deciding costs, from nothing to more than a typical latency."""
    cached = draw(st.booleans())
    decision = draw(st.sampled_from([0, 1, 40, 1500]))
    lookup = draw(st.integers(0, decision)) if cached else 0
    return {"decision": decision, "workers": draw(st.integers(1, 4)), "cached": cached, "lookup": lookup}


def naive_twin(table, config, seed, episode, reconfiguration):
    weights = np.cumsum(table.weights)
    jobs = naive_fleet.draw_jobs(seed, episode, config.jobs, config.mean_gap, (weights / weights[-1]).tolist())
    ready = naive_fleet.ready_times(jobs, config.decision, config.workers, config.cached, config.lookup)
    return naive_fleet.NaiveFleet(
        table.true_cycles.tolist(),
        table.predicted_cycles.tolist(),
        table.choice_accelerators.tolist(),
        jobs,
        window=config.window,
        dispatch=config.dispatch,
        shortest=config.window_order is WindowOrder.SHORTEST,
        reconfiguration=reconfiguration,
        choose_dataflow=config.choose_dataflow,
        repeats=config.repeats,
        ready=ready,
    )


def beliefs(accelerators):
    return [(int(row["believed_finish"]) if row["job"] >= 0 else None, int(row["queued_work"])) for row in accelerators]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    table_seed=st.integers(0, 1000),
    dispatch=st.booleans(),
    shortest=st.booleans(),
    window=st.integers(1, 5),
    speed=st.sampled_from([0.05, 0.3, 1.0, 3.0]),
    reconfigure=st.booleans(),
    eager=st.booleans(),
    choose_dataflow=st.booleans(),
    repeats=st.sampled_from([1, 1, 3, 1000]),
    cost=decision_costs(),
)
def test_the_kernels_agree_with_the_twin(
    seed, table_seed, dispatch, shortest, window, speed, reconfigure, eager, choose_dataflow, repeats, cost
):
    rng = np.random.default_rng(table_seed)
    table = toys.random_table(rng)
    config = SimulationSettings(
        mean_gap=table.mean_shortest_predicted * speed * repeats,
        unit=table.mean_shortest_predicted,
        jobs=25,
        window=window,
        dispatch=dispatch,
        window_order=WindowOrder.SHORTEST if shortest else WindowOrder.ARRIVAL,
        choose_dataflow=choose_dataflow,
        repeats=repeats,
        **cost,
    )
    extra = [50, 0, 7] if reconfigure else [0, 0, 0]
    fleet = Simulation(table, config, lanes=2, reconfiguration=extra)
    fleet.reset(*seed_arrays([seed, seed], [0, 1]), np.ones(2, bool))
    twins = [naive_twin(table, config, seed, episode, extra) for episode in (0, 1)]
    columns = 6 if choose_dataflow else 3
    actions = columns if dispatch else columns * window + 1
    while not fleet.lanes["ended"].all():
        for twin, lane in zip(twins, fleet.lanes, strict=True):
            assert (twin.time, len(twin.waiting), twin.ended) == (lane["time"], lane["waiting"], bool(lane["ended"]))
        for twin, accelerators in zip(twins, fleet.accelerators, strict=True):
            assert twin.beliefs() == beliefs(accelerators)
        choice = np.array([_pick(rng, twin, actions, eager) for twin in twins])
        fleet.step(choice)
        for twin, lane, action in zip(twins, fleet.lanes, choice, strict=True):
            if not twin.ended:
                cost = twin.step(int(action))
                assert lane["reward"] == -cost / config.unit
    for twin, records in zip(twins, fleet.jobs, strict=True):
        assert [(job.arrival, job.ready, job.start, job.finish, job.job_class, job.choice) for job in twin.jobs] == [
            (row["arrival"], row["ready"], row["start"], row["finish"], row["job_class"], row["choice"])
            for row in records
        ]


def _pick(rng, twin, actions, eager):
    legal = np.flatnonzero(twin.legal())
    return int(legal[0]) if eager and len(legal) else int(rng.integers(actions))


def test_random_numbers_are_those_of_the_twin():
    table = toys.random_table(np.random.default_rng(5))
    config = SimulationSettings(mean_gap=1234.5, unit=1.0, jobs=200, window=1, dispatch=True)
    fleet = Simulation(table, config)
    fleet.reset(*seed_arrays([2**64 - 1], [3]), np.ones(1, bool))
    while not fleet.lanes["ended"][0]:
        fleet.step(np.zeros(1, np.int64))
    weights = np.cumsum(table.weights)
    expected = naive_fleet.draw_jobs(2**64 - 1, 3, 200, 1234.5, (weights / weights[-1]).tolist())
    assert [(row["arrival"], row["job_class"]) for row in fleet.jobs[0]] == expected


def test_arrivals_do_not_depend_on_actions_or_on_the_lane():
    table = toys.random_table(np.random.default_rng(1))
    config = SimulationSettings(mean_gap=300.0, unit=1.0, jobs=50, window=4)
    rng = np.random.default_rng(0)
    arrivals = []
    for lanes, lane in ((1, 0), (3, 2)):
        fleet = Simulation(table, config, lanes=lanes)
        fleet.reset(*seed_arrays([9] * lanes, [4] * lanes), np.ones(lanes, bool))
        while not fleet.lanes["ended"].all():
            fleet.step(rng.integers(0, 25, lanes))
        arrivals.append(fleet.jobs[lane][["arrival", "job_class"]].tolist())
    assert arrivals[0] == arrivals[1]


def test_uniforms_fill_the_unit_interval_evenly():
    draws = np.array([naive_fleet.uniform(naive_fleet.stream_key(7, 0, 1), index) for index in range(20_000)])
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    assert counts.sum() == 20_000
    assert ((counts - 1000) ** 2 / 1000).sum() < 50  # chi-squared, 19 degrees of freedom: p of about 1e-4
