"""Beliefs hold what may be known and nothing else; futures continue them as the simulation itself would."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim import Modulation, Simulation, SimulationSettings, WindowOrder, seed_arrays
from gnnsched_env.sim.belief import belief_of
from gnnsched_env.sim.records import JOB, NEVER
from tests import toys
from tests.twins import fleet as naive_fleet

pytestmark = pytest.mark.kernels

JOBS = 18
EXTRA = [50, 0, 7]

configurations = st.fixed_dictionaries(
    {
        "table_seed": st.integers(0, 1000),
        "noise": st.sampled_from([0.0, 0.5]),
        "dispatch": st.booleans(),
        "window": st.integers(1, 5),
        "window_order": st.sampled_from(WindowOrder),
        "choose_dataflow": st.booleans(),
        "repeats": st.sampled_from([1, 3]),
        "speed": st.sampled_from([0.05, 0.3, 1.0]),
        "decision": st.sampled_from([0, 300]),
        "reconfigure": st.booleans(),
        "modulation": st.sampled_from(Modulation),
        "priorities": st.sampled_from([(), ((1.0, 0.8), (4.0, 0.2))]),
        "slack": st.sampled_from([None, (100.0, 3000.0)]),
        "failing": st.booleans(),
    }
)


def simulation(config, seeds=(0,), noise=None):
    """Return (simulation, settings), reset to its first decision; by default with a table of the noise given."""
    config = dict(config)
    rng = np.random.default_rng(config.pop("table_seed"))
    own_noise, speed, reconfigure = (config.pop(name) for name in ("noise", "speed", "reconfigure"))
    table = toys.random_table(rng, noise=own_noise if noise is None else noise)
    longest = float(config["repeats"] * max(table.true_cycles.max(), table.predicted_cycles.max()))
    if config["modulation"] is not Modulation.STEADY:
        config["phases"] = ((500.0, 2.0), (1500.0, 0.5))
    if config.pop("failing"):
        config |= {"mean_up": longest, "mean_down": longest / 4}
    settings = SimulationSettings(
        mean_gap=table.mean_shortest_predicted * speed * config["repeats"], unit=1.0, jobs=JOBS, **config
    )
    made = Simulation(table, settings, lanes=len(seeds), reconfiguration=EXTRA if reconfigure else None)
    made.reset(*seed_arrays(seeds, [0] * len(seeds)), np.ones(len(seeds), bool))
    return made, settings


def num_actions(settings):
    columns = 6 if settings.choose_dataflow else 3
    return columns if settings.dispatch else columns * settings.window + 1


def step_randomly(made, settings, rng, steps):
    """Take random actions; skip what ends a lane."""
    for _ in range(steps):
        made.step(rng.integers(0, num_actions(settings), len(made.lanes)))
    assume(not made.lanes["ended"].any())


def state(made, i):
    """Return what is to be equal in a simulation and its copy: lane, accelerators, waiting jobs."""
    lane, fleet = made.lanes[i], made.accelerators[i]
    waiting = made.queue[i, lane["head"] : lane["head"] + lane["waiting"]]
    numbers = ("time", "elapsed", "waiting", "waiting_work", "shown_work", "recent_gap", "last_arrival", "weight")
    busy, always = ("finish", "believed_finish"), ("queued_work", "preferred_work", "choice", "queued", "up", "changed")
    return (
        [lane[name].item() for name in (*numbers, "idle", "running", "ended")],
        [np.where(fleet["job"] >= 0, fleet[name], -1).tolist() for name in busy],
        fleet[list(always)].tolist(),
        waiting[["arrival", "job_class"]].tolist(),
        made.jobs[i][waiting["job"]][["arrival", "ready", "due", "weight", "job_class", "aborted"]].tolist(),
    )


def events(made, i):
    """Return what has come from outside: jobs, failures, repairs."""
    return int(made.lanes["arrived"][i]), made.accelerators["changed"][i].tolist()


def finished(made, i, after, until):
    """Return (arrival, class, start, finish, choice) of the jobs that finished after a time and until another."""
    jobs = made.jobs[i][: made.lanes["arrived"][i]]
    jobs = jobs[(jobs["finish"] > after) & (jobs["finish"] <= until)]
    return jobs[["arrival", "job_class", "start", "finish", "choice"]].tolist()


def dues(seed, arrivals, slack):
    """Return when the drawn jobs of a seed are due."""
    if slack is None:
        return [NEVER] * len(arrivals)
    key, (low, high) = naive_fleet.stream_key(seed, 0, 4), slack
    draws = [low + (high - low) * naive_fleet.uniform(key, number) for number in range(len(arrivals))]
    return [arrival + math.floor(draw + 0.5) for arrival, draw in zip(arrivals, draws, strict=True)]


def weights_of(seed, count, priorities):
    """Return the weights of the drawn jobs of a seed."""
    key, shares = naive_fleet.stream_key(seed, 0, 5), priorities or ((1.0, 1.0),)
    bounds = np.cumsum([share for _, share in shares]).tolist()
    draws = [naive_fleet.uniform(key, number) for number in range(count)]
    return [shares[sum(bound <= draw for bound in bounds[:-1])][0] for draw in draws]


def time_to_change(key, count, settings):
    """Return the cycles until an accelerator fails (count 0) or is repaired (count 1)."""
    mean = settings.mean_down if count else settings.mean_up
    return max(1, math.floor(-math.log(1 - naive_fleet.uniform(key, count)) * mean + 0.5))


def contents(belief):
    """Return all that a belief holds, as bytes."""
    arrays = (belief.lanes, belief.accelerators, belief.jobs, belief.queue, belief.table.true_cycles)
    return [array.tobytes() for array in (*arrays, belief.table.predicted_cycles)], belief.settings


@given(config=configurations, steps=st.integers(0, 20), seed=st.integers(0, 1000))
@settings(max_examples=80)
def test_where_predictions_are_true_a_future_is_what_happens_until_something_comes(config, steps, seed):
    rng = np.random.default_rng(seed)
    original, options = simulation(config, seeds=(seed, seed + 1), noise=0.0)
    step_randomly(original, options, rng, steps)
    future = belief_of(original).futures(np.array([1]), np.array([seed], np.uint64), JOBS)
    began, before = original.lanes["time"][1], (events(original, 1), events(future, 0))
    while (events(original, 1), events(future, 0)) == before and not original.lanes["ended"][1]:
        assert state(future, 0) == state(original, 1)
        now = original.lanes["time"][1]
        assert finished(future, 0, began, now) == finished(original, 1, began, now)
        action = rng.integers(0, num_actions(options))
        original.step(np.array([-1, action]))
        future.step(np.array([action]))


@given(config=configurations, seed=st.integers(0, 1000))
@settings(max_examples=60)
def test_where_predictions_are_true_and_all_jobs_have_come_a_future_is_what_happens(config, seed):
    rng = np.random.default_rng(seed)
    config = config | {"speed": 0.01, "decision": 0, "failing": False}
    original, options = simulation(config, seeds=(seed,), noise=0.0)
    while original.lanes["arrived"][0] < JOBS:
        original.step(np.full(1, rng.integers(num_actions(options)) if options.dispatch else num_actions(options) - 1))
    began = original.lanes["time"][0]
    in_system = int(JOBS - original.lanes["done"][0])
    future = belief_of(original).futures(np.array([0]), np.array([seed], np.uint64), JOBS)
    while not original.lanes["ended"][0]:
        assert state(future, 0) == state(original, 0)
        action = rng.integers(0, num_actions(options), 1)
        original.step(action)
        future.step(action)
    assert future.lanes["ended"][0]
    end = original.lanes["time"][0]
    assert finished(future, 0, began, end) == finished(original, 0, began, end)
    assert len(finished(future, 0, began, end)) == in_system


@given(config=configurations, steps=st.integers(0, 20), seed=st.integers(0, 2**63), arrivals=st.integers(0, 9))
@settings(max_examples=60)
def test_futures_draw_the_jobs_of_their_seed(config, steps, seed, arrivals):
    rng = np.random.default_rng(seed)
    original, options = simulation(config, seeds=(3, 4, 5))
    step_randomly(original, options, rng, steps)
    belief = belief_of(original)
    origins = np.array([2, 0, 0, 1])
    future = belief.futures(origins, np.array([seed, seed, 8, seed], np.uint64), arrivals)
    while not future.lanes["ended"].all():
        future.step(rng.integers(0, num_actions(options), 4))
    weights = np.cumsum(original.table.weights)
    for i, own in enumerate((seed, seed, 8, seed)):
        origin, now = origins[i], int(original.lanes["time"][origins[i]])
        count = min(arrivals, JOBS - int(original.lanes["arrived"][origin]))
        drawn = naive_fleet.draw_jobs(own, 0, count, options.mean_gap, (weights / weights[-1]).tolist())
        jobs = future.jobs[i][len(future.jobs[i]) - count :]
        assert jobs[["arrival", "job_class"]].tolist() == [(now + time, job_class) for time, job_class in drawn]
        assert (jobs["ready"] == jobs["arrival"]).all()
        assert jobs["due"].tolist() == dues(own, jobs["arrival"].tolist(), options.slack)
        assert jobs["weight"].tolist() == weights_of(own, count, options.priorities)
        assert future.lanes["done"][i] == future.jobs.shape[1]
        known = belief.jobs[origin][: belief.lanes["in_system"][origin]]
        played = future.jobs[i][len(future.jobs[i]) - count - len(known) :]
        assert played["arrival"].tolist() == known["arrival"].tolist() + jobs["arrival"].tolist()
        assert (played["start"] >= played["ready"]).all()
        assert (played["finish"] > played["start"]).all()
        gap, last = float(original.lanes["recent_gap"][origin]), int(original.lanes["last_arrival"][origin])
        for arrival in jobs["arrival"]:
            gap, last = gap + (arrival - last - gap) / 16, arrival
        assert future.lanes["recent_gap"][i] == pytest.approx(gap)


@given(config=configurations, steps=st.integers(0, 20), seed=st.integers(0, 1000))
@settings(max_examples=60)
def test_a_belief_holds_nothing_that_is_hidden(config, steps, seed):
    rng = np.random.default_rng(seed)
    original, options = simulation(config, seeds=(seed, seed + 1))
    step_randomly(original, options, rng, steps)
    belief = belief_of(original)
    for i, lane in enumerate(original.lanes):
        hidden = original.jobs[i][lane["cursor"] :]
        hidden[:] = np.frombuffer(rng.bytes(hidden.nbytes), hidden.dtype)
    for name in ("next_ready", "soonest", "next_change"):
        original.lanes[name] += 12345
    for name in ("finish", "busy_cycles", "change", "key"):
        original.accelerators[name] += 999
    original.true += 55
    original.pairs["true"] += 55
    original.seeds += np.uint64(1)
    assert contents(belief_of(original)) == contents(belief)


@given(config=configurations)
@settings(max_examples=20)
def test_a_belief_takes_predictions_for_true_and_all_else_for_given(config):
    original, options = simulation(config)
    belief = belief_of(original)
    assert belief.table.true_cycles.tolist() == original.table.predicted_cycles.tolist()
    steady = {"modulation": Modulation.STEADY, "phases": ()}
    assert belief.settings == replace(options, jobs=1, repeats=1, decision=0, **steady)
    future = belief.futures(np.zeros(1, np.int64), np.zeros(1, np.uint64), 1)
    assert future.true.tolist() == future.predicted.tolist() == original.predicted.tolist()
    assert future.devices["reconfiguration"].tolist() == original.devices["reconfiguration"].tolist()


@given(config=configurations, steps=st.integers(1, 12))
@settings(max_examples=40)
def test_another_truth_changes_no_belief_before_the_first_completion(config, steps):
    config = config | {"noise": 0.5}
    simulations = [simulation(config, seeds=(1,)) for _ in range(2)]
    changed, options = simulations[1]
    changed.true *= 1000
    changed.pairs["true"] *= 1000
    beliefs = []
    for made, _ in simulations:
        rng = np.random.default_rng(0)
        rows = []
        for _ in range(steps):
            if made.lanes["done"][0] > 0:
                break
            rows.append(contents(belief_of(made)))
            made.step(rng.integers(0, num_actions(options), 1))
        beliefs.append(rows)
    both = min(map(len, beliefs))
    assert both > 0
    assert beliefs[0][:both] == beliefs[1][:both]


def overdue():
    """Return a simulation in which a job runs longer than predicted, at the arrival of another."""
    table = toys.table([[1000, 1000]], [[10, 1000]])
    made = Simulation(table, SimulationSettings(mean_gap=100.0, unit=1.0, jobs=5, window=2))
    made.reset(*seed_arrays([0], [0]), np.ones(1, bool))
    made.step(np.zeros(1, np.int64))
    made.step(np.full(1, 4))  # wait
    return made


def test_a_job_that_is_overdue_is_believed_to_finish_now():
    made = overdue()
    now = int(made.lanes["time"][0])
    assert made.accelerators["believed_finish"][0, 0] < now
    belief = belief_of(made)
    assert belief.accelerators["believed_finish"][0].tolist() == [now, 1 << 62]
    future = belief.futures(np.zeros(1, np.int64), np.zeros(1, np.uint64), 0)
    future.step(np.array([1]))  # the waiting job, on accelerator 1
    while not future.lanes["ended"][0]:
        future.step(np.array([0]))
    assert sorted(future.jobs["finish"][0].tolist())[0] == now


def test_jobs_that_a_lane_does_not_need_come_first_and_change_nothing():
    table = toys.table([[90, 60]])
    made = Simulation(table, SimulationSettings(mean_gap=50.0, unit=1.0, jobs=12, window=2), lanes=2)
    made.reset(*seed_arrays([0, 0], [0, 0]), np.ones(2, bool))
    for _ in range(5):
        made.step(np.array([0, 4]))  # lane 0 starts jobs where lane 1 waits
    belief = belief_of(made)
    assert belief.lanes["in_system"][0] != belief.lanes["in_system"][1]
    together = belief.futures(np.array([0, 1]), np.zeros(2, np.uint64), 3)
    for i in range(2):
        alone = belief.futures(np.array([i]), np.zeros(1, np.uint64), 3)
        unused = together.jobs.shape[1] - alone.jobs.shape[1]
        for future in (together, alone):
            while not future.lanes["ended"].all():
                future.step(np.zeros(len(future.lanes), np.int64))
        assert (together.jobs["finish"][i, :unused] == together.jobs["arrival"][i, :unused]).all()
        names = ["arrival", "start", "finish", "job_class"]
        assert together.jobs[names][i, unused:].tolist() == alone.jobs[names][0].tolist()


def test_failures_and_repairs_come_anew_from_now_on():
    settings = SimulationSettings(mean_gap=30.0, unit=1.0, jobs=30, window=2, mean_up=900.0, mean_down=400.0)
    made = Simulation(toys.table([[90, 60, 70]]), settings, lanes=40)
    made.reset(*seed_arrays(range(40), [0] * 40), np.ones(40, bool))
    for _ in range(12):
        made.step(np.full(40, 6))  # waits, or starts the first where it must
    belief = belief_of(made)
    up = made.accelerators["up"].astype(bool)
    assert up.any(axis=0).all() and not up.all(axis=0).any()
    future = belief.futures(np.arange(40), np.full(40, 9, np.uint64), 3)
    assert (future.accelerators["up"].astype(bool) == up).all()
    now = made.lanes["time"][:, np.newaxis]
    expected = [
        [time_to_change(naive_fleet.stream_key(9, 0, 64 + a), 0 if up[i, a] else 1, settings) for a in range(3)]
        for i in range(40)
    ]
    assert (future.accelerators["change"] - now).tolist() == expected
    assert (future.lanes["next_change"] == future.accelerators["change"].min(axis=1)).all()
    while not future.lanes["ended"].all():
        future.step(np.zeros(40, np.int64))
    assert (future.lanes["aborted"] > 0).any()
    played = future.jobs[future.jobs["arrival"] > 0]
    assert (played["finish"] > played["start"]).all()


def test_a_belief_does_not_move_with_the_simulation():
    made = overdue()
    belief = belief_of(made)
    before = contents(belief)
    made.step(np.array([1]))
    belief.futures(np.zeros(1, np.int64), np.zeros(1, np.uint64), 3).step(np.array([1]))
    assert contents(belief) == before
    assert contents(belief_of(made)) != before


def test_an_ended_lane_has_no_future_jobs():
    made = overdue()
    while not made.lanes["ended"][0]:
        made.step(np.zeros(1, np.int64))
    belief = belief_of(made)
    assert belief.lanes["to_come"].tolist() == [0]
    assert belief.futures(np.zeros(1, np.int64), np.zeros(1, np.uint64), 9).lanes["ended"].tolist() == [1]


def test_no_more_jobs_come_than_are_to_come():
    made = overdue()
    future = belief_of(made).futures(np.zeros(1, np.int64), np.zeros(1, np.uint64), 1 << 70)
    assert future.jobs.shape[1] == 5 - made.lanes["done"][0]


class Recorded:
    """Jobs of a fixed sequence."""

    num_jobs = 120

    def __init__(self):
        rng = np.random.default_rng(0)
        self.jobs = np.zeros(self.num_jobs, JOB)
        self.jobs["arrival"] = np.cumsum(rng.integers(0, 300, self.num_jobs))
        self.jobs["job_class"] = rng.integers(0, 12, self.num_jobs)
        self.jobs["due"], self.jobs["weight"] = NEVER, 1.0

    def chunks(self, size):
        """Yield the jobs in parts."""
        for first in range(0, self.num_jobs, size):
            yield self.jobs[first : first + size]


def test_a_belief_does_not_depend_on_how_many_jobs_are_held():
    settings = SimulationSettings(mean_gap=150.0, unit=1.0, jobs=120, window=4)
    table, rng = toys.random_table(np.random.default_rng(0)), np.random.default_rng(1)
    pair = [Simulation(table, settings, lanes=2, source=Recorded(), capacity=capacity) for capacity in (16, 120)]
    for made in pair:
        made.reset(*seed_arrays([0, 0], [0, 0]), np.ones(2, bool))
    assert pair[0].streaming and not pair[1].streaming
    while not pair[0].lanes["ended"].all():
        few, all_held = (belief_of(made) for made in pair)
        assert contents(few) == contents(all_held)
        actions = rng.integers(0, 25, 2)
        for made in pair:
            made.step(actions)


@pytest.mark.parametrize(
    ("lanes", "seeds", "arrivals", "message"),
    [
        (np.zeros(1, np.int64), np.zeros(1, np.uint64), -1, "arrivals must be an integer of at least 0, got -1"),
        (np.zeros(1, np.int64), np.zeros(1, np.uint64), 1.5, "arrivals must be an integer of at least 0, got 1.5"),
        (np.zeros(1), np.zeros(1, np.uint64), 1, r"lanes must be integers of shape \[n\], got float64 \[1\]"),
        (
            np.zeros((1, 1), int),
            np.zeros(1, np.uint64),
            1,
            r"lanes must be integers of shape \[n\], got int64 \[1, 1\]",
        ),
        (np.zeros(0, int), np.zeros(0, np.uint64), 1, r"lanes must be integers of shape \[n\], got int64 \[0\]"),
        (np.array([0, 1]), np.zeros(2, np.uint64), 1, r"lanes must be in \[0, 1\), got 1"),
        (np.array([-1]), np.zeros(1, np.uint64), 1, r"lanes must be in \[0, 1\), got -1"),
        (np.zeros(1, int), np.zeros(2, np.uint64), 1, r"seeds must be uint64 of shape \[1\], got uint64 \[2\]"),
        (np.zeros(1, int), np.zeros(1, int), 1, r"seeds must be uint64 of shape \[1\], got int64 \[1\]"),
    ],
)
def test_bad_input_is_named(lanes, seeds, arrivals, message):
    with pytest.raises(ConfigError, match=message):
        belief_of(overdue()).futures(lanes, seeds, arrivals)
