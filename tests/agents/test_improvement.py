"""Policy improvement by lookahead: labels, the regression on them, and the training that uses both."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `agents`")

from gnnsched_agents.methods.improvement import Improvement
from gnnsched_agents.methods.label_regression import PLANNED, fit
from gnnsched_agents.methods.lookahead_labels import Labels, Lookahead, gather, joined, label
from gnnsched_agents.methods.registry import ImprovementConfig, PolicyIterationConfig
from gnnsched_agents.worlds import Workloads, World, make_world
from gnnsched_baselines.assignment_playing import play_out
from gnnsched_baselines.learned.pair_features import FEATURES, NUM_FEATURES
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.scenario import load_scenario
from gnnsched_env.sim.belief import belief_of
from tests.agents.checkpoints import require_others_refused

WORKLOADS = Workloads(sets=2, jobs=60)
TINY = ImprovementConfig(
    states=90,
    rounds=2,
    states_a_world=30,
    worlds=1,
    lanes=8,
    arrivals=10,
    futures=2,
    passes=2,
    width=4,
    then=PolicyIterationConfig(
        worlds=1, short=1, states=12, lanes=6, futures=2, arrivals=3, memory=2, passes=1, batch=16, share=0.5
    ),
)


def world(load: float = 0.9, lanes: int = 4) -> World:
    made = make_world(WORKLOADS, load_scenario("hetero4"), load, lanes, dataflow="predicted_best")
    made.reset(5)
    return made


def test_labels_are_what_each_action_costs_on_the_same_futures():
    made = world()
    for _ in range(25):
        reader = made.reader()
        reader.describe()
        made.simulation.step(np.array([_first_pair(reader, made, i) for i in range(4)]))
    lookahead = Lookahead(futures=3, arrivals=8, candidates=4)
    labels, decisions = label(made, lookahead, np.random.default_rng(2))
    seeds = np.random.default_rng(2).integers(0, 1 << 63, (4, 3)).astype(np.uint64)
    reader = made.reader()
    reader.describe()
    checked = state = 0
    for lane in range(4):
        rows = range(reader.starts[lane], reader.starts[lane + 1])
        if len(rows) < 2:
            continue
        own = slice(labels.starts[state], labels.starts[state + 1])
        state += 1
        np.testing.assert_array_equal(labels.rows[own], reader.rows[rows])
        tried = np.flatnonzero(np.isfinite(labels.costs[own]))
        assert len(tried) == min(4, len(rows))
        costs = np.array([_costs(made, lane, reader.pairs[rows[row]], seeds[lane]) for row in tried])
        costs = (costs - costs.mean(axis=0)) / made.unit
        np.testing.assert_allclose(labels.costs[own][tried], costs.mean(axis=1), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            labels.errors[own][tried], costs.std(axis=1, ddof=1) / np.sqrt(3), rtol=1e-4, atol=1e-5
        )
        checked += len(tried)
    assert checked > 4 and decisions > 100


def _first_pair(reader, made, lane):
    slot, accelerator = reader.pairs[reader.starts[lane]]
    return _action(made, slot, accelerator) if reader.starts[lane + 1] > reader.starts[lane] else 0


def _action(made, slot, accelerator):
    return made.layout.wait_action if slot < 0 else slot * made.layout.columns + accelerator


def _costs(made, lane, pair, seeds):
    """Return the total completion, cycles, of each future in which a pair is started, played one by one."""
    costs = []
    for seed in seeds:
        future = belief_of(made.simulation).futures(np.array([lane]), np.array([seed], np.uint64), 8)
        play_out(future, made.layout, np.array([_action(made, *pair)]))
        costs.append(float((future.jobs["finish"] - future.jobs["arrival"]).sum()))
    return costs


def test_candidates_hold_the_plan_and_waiting():
    made = world(load=1.0, lanes=8)
    labels, _ = gather(made, Lookahead(futures=2, arrivals=4, candidates=2), 40, 5, np.random.default_rng(0))
    assert len(labels) >= 40
    for first, stop in pairwise(labels.starts):
        rows, tried = labels.rows[first:stop], np.isfinite(labels.costs[first:stop])
        assert tried.sum() == 2
        assert tried[rows[:, PLANNED] > 0].all() and tried[rows[:, FEATURES.index("wait")] > 0].all()


def synthetic(states: int, rng: np.random.Generator) -> Labels:
    """Return labels whose costs are linear in two features, and noise."""
    sizes = rng.integers(2, 6, states)
    rows = rng.random((sizes.sum(), NUM_FEATURES)).astype(np.float32)
    rows[:, PLANNED] = 0.0
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows[starts[:-1], PLANNED] = 1.0
    errors = np.full(len(rows), 0.3, np.float32)
    costs = 6.0 * rows[:, 4] - 4.0 * rows[:, 7] + 0.3 * rng.standard_normal(len(rows))
    charges = np.ones(states, np.float32)
    return Labels(rows=rows, starts=starts, costs=costs.astype(np.float32), errors=errors, charges=charges)


def test_regression_learns_what_costs_least():
    rng = np.random.default_rng(0)
    labels = synthetic(3000, rng)
    found = fit(labels, rng, width=8, passes=8, batch=64, learning_rate=1e-2, caution=0.0)
    assert found.explained > 0.9
    fresh = synthetic(500, rng)
    scores = found.network.scores(fresh.rows, fresh.starts)
    chosen = [first + scores[first:stop].argmax() for first, stop in pairwise(fresh.starts)]
    least = [fresh.costs[first:stop].min() for first, stop in pairwise(fresh.starts)]
    planned = fresh.costs[fresh.starts[:-1]].mean()
    assert planned - fresh.costs[chosen].mean() > 0.8 * (planned - np.mean(least))
    assert found.gain == pytest.approx(planned - np.mean(least), rel=0.2)


@pytest.mark.slow
def test_caution_keeps_to_the_plan_more_so_at_high_loads():
    rng = np.random.default_rng(1)
    labels = synthetic(3000, rng)
    load = np.repeat(rng.choice([0.4, 1.0], len(labels)), np.diff(labels.starts)).astype(np.float32)
    labels.rows[:, FEATURES.index("load")] = load
    deviations = {}
    for caution in (0.0, 1.0, 100.0):
        network = fit(
            labels, np.random.default_rng(3), width=8, passes=8, batch=64, learning_rate=1e-2, caution=caution
        ).network
        scores = network.scores(labels.rows, labels.starts)
        chosen = [first + scores[first:stop].argmax() for first, stop in pairwise(labels.starts)]
        deviates = labels.rows[chosen, PLANNED] == 0.0
        deviations[caution] = [deviates[load[labels.starts[:-1]] == value].mean() for value in np.float32([0.4, 1.0])]
    assert abs(deviations[0.0][0] - deviations[0.0][1]) < 0.05
    assert deviations[0.0][0] > deviations[1.0][0] > deviations[1.0][1] + 0.05
    assert max(deviations[100.0]) < 0.01


def test_rows_that_were_not_tried_do_not_count():
    rng = np.random.default_rng(4)
    labels = synthetic(400, rng)
    costs = labels.costs.copy()
    costs[labels.starts[:-1] + 1] = np.nan
    errors = labels.errors.copy()
    errors[labels.starts[:-1] + 1] = np.nan
    one, other = (
        fit(given, np.random.default_rng(5), width=2, passes=1, batch=64, learning_rate=1e-2, caution=0.0).network
        for given in (replace(labels, costs=costs), replace(labels, costs=costs, errors=errors))
    )
    assert all(np.isfinite(a).all() and np.array_equal(a, b) for a, b in zip(one.arrays, other.arrays, strict=True))


def test_joined_labels_keep_each_state():
    rng = np.random.default_rng(6)
    parts = [synthetic(n, rng) for n in (3, 1, 4)]
    whole = joined(parts)
    assert len(whole) == 8
    np.testing.assert_array_equal(whole.rows[whole.starts[3] : whole.starts[4]], parts[1].rows)


@pytest.mark.long
@pytest.mark.slow
def test_a_training_goes_on_exactly(tmp_path):
    whole = Improvement(TINY, WORKLOADS, seed=3)
    figures = []
    for i in range(5):
        figures.append(whole.update())
        whole.save(tmp_path / str(i))
    assert ["gain" in figure for figure in figures[:3]] == [False, True, True]
    assert ["kl" in figure for figure in figures] == [False, False, False, True, True]
    assert whole.rounds == 2 and whole.labelled >= TINY.states
    assert all(figure["decisions"] > 0 for figure in figures)
    for i in range(4):
        again = Improvement(replace(TINY, workers=2), WORKLOADS, seed=3)
        again.load(tmp_path / str(i))
        for _ in range(4 - i):
            again.update()
        again.close()
        for one, other in zip(whole.network().arrays, again.network().arrays, strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_follows_begins_with_what_was_learned():
    config = replace(TINY, states=0, then=replace(TINY.then, width=6))
    training = Improvement(config, WORKLOADS, seed=2)
    first = training.network()
    training.update()
    wider = training.network()
    assert [len(first.b1), len(wider.b1)] == [4, 6]
    np.testing.assert_array_equal(wider.w1[:, :4], first.w1)


def test_an_iteration_labels_some_worlds_of_one_round():
    training = Improvement(replace(TINY, worlds=2), WORKLOADS, seed=4)
    figures = [training.update(), training.update()]
    assert [training.worlds, training.rounds] == [3, 2] and all("explained" in figure for figure in figures)
    assert "kl" in training.update()


def test_a_round_takes_as_many_worlds_as_wide_fleets_need(monkeypatch):
    monkeypatch.setattr("gnnsched_agents.worlds.NARROW", 1)  # fleets of two have half the states of one, and so on
    random = Workloads(scenario="random", sets=20, classes=8, jobs=20)
    training = Improvement(replace(TINY, states=40, states_a_world=20), random, seed=1)
    while training.rounds < 2:
        training.update()
    assert training.labelled >= 40 and training.worlds > 2


def test_other_checkpoints_are_refused(tmp_path):
    own, again = (Improvement(TINY, WORKLOADS, seed=0) for _ in range(2))
    others = [Improvement(replace(TINY, caution=3.0), WORKLOADS, seed=0), Improvement(TINY, WORKLOADS, seed=1)]
    require_others_refused(tmp_path / "checkpoint", own, others, again)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"states": -1}, "states must be"),
        ({"futures": 1}, "futures must be"),
        ({"candidates": 1}, "candidates must be"),
        ({"learning_rate": 0.0}, "learning_rate must be"),
        ({"caution": -0.5}, "caution must be"),
        ({"worlds": 0}, "worlds must be"),
        ({"width": 99_999_999}, "width must be"),
        ({"then": PolicyIterationConfig(weights=Path("queue"))}, "then.weights must be none: it goes on"),
        ({"then": PolicyIterationConfig(workers=2)}, "then.workers must be 1: `workers` is for both, got 2"),
        ({"rounds": 200_000}, "rounds must be"),
        ({"passes": 0}, "passes must be"),
    ],
)
def test_bad_configs_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        ImprovementConfig(**change)


@pytest.mark.long
@pytest.mark.slow
def test_processes_change_nothing(tmp_path):
    results = []
    for workers in (1, 2):
        training = Improvement(replace(TINY, workers=workers), WORKLOADS, 5)
        training.save(tmp_path / "state")
        figures = [training.update()]
        if workers == 2:  # while the next world is being labelled
            training.load(tmp_path / "state")
            assert training.update() == figures[0]
        figures += [training.update(), training.update()]  # the first learns, so that the second has another visitor
        training.close()
        results.append((figures, [array.tobytes() for array in training.network().arrays]))
    assert results[0] == results[1] and "explained" in results[0][0][1]
