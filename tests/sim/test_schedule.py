"""Schedules against their slow twin, the simulation's own counts, and days worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim import Simulation, SimulationSettings, seed_arrays
from gnnsched_env.sim.records import ABORTED, DOWN
from gnnsched_env.sim.schedule import RunState, schedule_of
from tests import toys
from tests.twins import schedule as naive_schedule


class FailingSimulation(Simulation):
    """A simulation that tells of failures, as one with failures does."""

    cut = np.zeros(0, ABORTED)
    downs = np.zeros(0, DOWN)

    def aborted_runs(self, lane):
        return self.cut if lane == 0 else self.cut[:0]

    def down_intervals(self, lane):
        return self.downs if lane == 0 else self.downs[:0]


def start(table, kind=Simulation, lanes=1, seed=0, **options):
    config = {"mean_gap": 300.0, "unit": 100.0, "jobs": 12, "window": 4, **options}
    simulation = kind(table, SimulationSettings(**config), lanes=lanes)
    simulation.reset(*seed_arrays([seed] * lanes, range(lanes)), np.ones(lanes, np.bool_))
    return simulation


def by_hand(kind=Simulation):
    """Return a simulation of one class (10 or 20 cycles) whose records are written by hand: it is cycle 40.

    Job 0 ran on accelerator 0 from 5 to 15; job 1 runs on 1 since 12; job 2 came at 14 (arrived at 13) and waits.
    """
    simulation = start(toys.table([[10, 20]], [[10, 21]]), kind, jobs=5)
    simulation.lanes["time"], simulation.lanes["arrived"], simulation.lanes["done"] = 40, 3, 1
    simulation.lanes["cursor"] = 3
    jobs = simulation.jobs[0]
    jobs["job_class"] = 0
    jobs["arrival"][:3], jobs["ready"][:3] = (5, 8, 13), (5, 8, 14)
    jobs["start"], jobs["finish"], jobs["choice"] = (5, 12, -1, -1, -1), (15, -1, -1, -1, -1), (0, 1, -1, -1, -1)
    simulation.accelerators["job"] = (-1, 1)
    simulation.accelerators["believed_finish"][0, 1] = 33
    return simulation


def test_a_day_by_hand():
    schedule = schedule_of(by_hand())
    assert (schedule.since, schedule.until, schedule.total, schedule.arrived, schedule.done) == (0, 40, 5, 3, 1)
    assert schedule.runs.tolist() == [
        (0, 0, 0, 0, 5, 15, 15, RunState.FINISHED),
        (1, 0, 1, 1, 12, 40, 33, RunState.RUNNING),
    ]
    assert schedule.jobs.tolist() == [(0, 0, 5, 5, 5, 15), (1, 0, 8, 8, 12, -1), (2, 0, 13, 14, -1, -1)]
    assert schedule.waiting_times.tolist() == [0, 8, 12, 14]
    assert schedule.waiting_counts.tolist() == [0, 1, 0, 1]
    assert (schedule.waiting, schedule.mean_completion) == (1, 10.0)
    assert len(schedule.downs) == 0


def test_the_last_cycles_only():
    schedule = schedule_of(by_hand(), span=26)
    assert (schedule.since, schedule.runs["job"].tolist(), schedule.jobs["job"].tolist()) == (14, [0, 1], [0, 1, 2])
    assert (schedule.waiting_times.tolist(), schedule.waiting_counts.tolist()) == ([14], [1])
    schedule = schedule_of(by_hand(), span=25)
    assert (schedule.since, schedule.runs["job"].tolist(), schedule.jobs["job"].tolist()) == (15, [1], [1, 2])
    assert (schedule.done, schedule.mean_completion, schedule.waiting) == (1, 10.0, 1)


def test_failures_cut_runs_short_and_jobs_wait_again():
    simulation = by_hand(FailingSimulation)
    jobs = simulation.jobs[0]
    simulation.cut = np.array([(1, 0, 0, 16, 20), (2, 0, 0, 22, 25), (1, 0, 0, 25, 28)], ABORTED)
    simulation.downs = np.array([(0, 20, 22), (1, 24, 24), (0, 30, 40)], DOWN)
    jobs["start"][1] = 30  # at last, on accelerator 1
    schedule = schedule_of(simulation)
    states = [(run["job"], run["start"], run["finish"], run["state"]) for run in schedule.runs]
    cut, running = RunState.ABORTED, RunState.RUNNING
    assert states == [(0, 5, 15, 0), (1, 16, 20, cut), (2, 22, 25, cut), (1, 25, 28, cut), (1, 30, 40, running)]
    assert schedule.downs.tolist() == [(0, 20, 22), (0, 30, 40)]  # one that lasted no time is none
    told = dict(zip(schedule.waiting_times.tolist(), schedule.waiting_counts.tolist(), strict=True))
    assert told == {0: 0, 8: 1, 14: 2, 16: 1, 20: 2, 22: 1, 28: 2, 30: 1}  # at 25 one comes back and one leaves
    short = schedule_of(simulation, span=15)
    assert short.runs["start"].tolist() == [25, 30]
    assert short.downs.tolist() == [(0, 30, 40)]
    assert (short.waiting_times.tolist(), short.waiting_counts.tolist()) == ([25, 28, 30], [1, 2, 1])


def test_a_job_that_was_started_but_does_not_run_waits():
    simulation = by_hand(FailingSimulation)
    simulation.accelerators["job"] = -1  # a failure took job 1 back
    simulation.cut = np.array([(1, 1, 1, 12, 30)], ABORTED)
    schedule = schedule_of(simulation)
    assert schedule.jobs["start"].tolist() == [5, -1, -1]
    assert schedule.runs["state"].tolist() == [RunState.FINISHED, RunState.ABORTED]
    assert schedule.waiting == 2


def test_before_the_first_reset_nothing_happened():
    simulation = Simulation(toys.table([[10, 20]]), SimulationSettings(mean_gap=9.0, unit=1.0, jobs=3, window=2))
    schedule = schedule_of(simulation)
    assert len(schedule.runs) == len(schedule.jobs) == schedule.done == schedule.until == schedule.waiting == 0
    assert np.isnan(schedule.mean_completion)


def test_the_truth_about_a_running_job_is_not_told():
    told = []
    for factor in (1, 50):
        predicted = np.array([[900, 800]])
        simulation = start(toys.table(predicted * factor, predicted), mean_gap=50.0, jobs=6)
        simulation.step(np.zeros(1, np.int64))
        schedule = schedule_of(simulation)
        assert schedule.runs["state"].tolist() == [RunState.RUNNING]
        told.append((schedule.runs.tolist(), schedule.jobs.tolist(), schedule.waiting_counts.tolist()))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lane": 2}, r"lane must be in \[0, 2\), got 2"),
        ({"lane": -1}, r"lane must be in \[0, 2\), got -1"),
        ({"span": 0}, "span must be at least 1 cycle, got 0"),
    ],
)
def test_bad_input_is_named(options, message):
    simulation = start(toys.table([[10, 20]]), lanes=2)
    with pytest.raises(ConfigError, match=message):
        schedule_of(simulation, **options)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    dispatch=st.booleans(),
    speed=st.sampled_from([0.1, 0.5, 2.0]),
    decision=st.sampled_from([0, 1, 300]),
    span=st.sampled_from([1, 200, 5000, None]),
    lane=st.integers(0, 1),
)
def test_schedules_agree_with_the_twin_and_the_simulation(seed, dispatch, speed, decision, span, lane):
    rng = np.random.default_rng(seed)
    table = toys.random_table(rng)
    simulation = start(
        table, lanes=2, seed=seed, dispatch=dispatch, mean_gap=300.0 / speed, decision=decision, repeats=2
    )
    actions = table.num_choices if dispatch else 4 * table.num_choices + 1
    past = []
    while not simulation.lanes["ended"].all():
        now = int(simulation.lanes[lane]["time"])
        schedule = schedule_of(simulation, lane, span=span)
        since = 0 if span is None else max(0, now - span)
        assert (schedule.since, schedule.until) == (since, now)
        assert schedule.runs.tolist() == naive_schedule.runs(simulation, lane, since)
        expected = naive_schedule.waiting(simulation, lane, since)
        assert schedule.waiting_times.tolist() == changes(expected)
        assert [expected[time] for time in schedule.waiting_times.tolist()] == schedule.waiting_counts.tolist()
        queued = simulation.accelerators[lane]["queued"].sum()
        assert schedule.waiting == simulation.lanes[lane]["waiting"] + queued
        assert schedule.done == simulation.lanes[lane]["done"]
        past.append(schedule_of(simulation, lane))
        simulation.step(rng.integers(0, actions, 2))
    whole = schedule_of(simulation, lane)
    assert whole.done == whole.total == len(whole.runs) == len(whole.jobs)
    assert (whole.runs["state"] == RunState.FINISHED).all()
    for schedule in past:
        assert_is_the_beginning(schedule, whole)


def changes(counts):
    times = list(counts)
    return [time for k, time in enumerate(times) if k == 0 or counts[time] != counts[times[k - 1]]]


def assert_is_the_beginning(schedule, whole):
    """Check that a schedule is what the whole one tells of the time until then."""
    begun = {run["job"]: run for run in whole.runs if run["start"] <= schedule.until}
    for run in schedule.runs:
        later = begun[run["job"]]
        assert (run["start"], run["choice"]) == (later["start"], later["choice"])
        assert run["finish"] == min(later["finish"], schedule.until)
    strictly = {job for job, run in begun.items() if run["start"] < schedule.until}
    assert strictly <= set(schedule.runs["job"].tolist())
