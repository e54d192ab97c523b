"""Failures and repairs: their times against what was asked for, and schedules worked out by hand around them."""

import itertools
import math

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim import Simulation, SimulationSettings, WindowOrder, seed_arrays
from gnnsched_env.sim import transition as kernels
from tests import toys
from tests.twins import draws as naive_draws

UP, DOWN = 400.0, 60.0
OFTEN = 40_000  # moments of an accelerator


def fleet_of(true, *, seed, jobs=1, predicted=None, owners=None, weights=None, reconfiguration=None, **options):
    """Return a failing fleet whose jobs all come at time 0, at its first decision."""
    table = toys.table(true, predicted, owners=owners, weights=weights)
    config = SimulationSettings(
        **{"mean_gap": 1e-9, "unit": 1.0, "window": 4, "mean_up": UP, "mean_down": DOWN, **options}, jobs=jobs
    )
    fleet = Simulation(table, config, reconfiguration=reconfiguration)
    fleet.reset(*seed_arrays([seed], [0]), np.ones(1, bool))
    return fleet


def moments(seed, machine, count=4):
    """Return when an accelerator fails, comes back, fails ..."""
    return list(itertools.islice(naive_draws.changes(seed, 0, machine, UP, DOWN), count))


def seed_where(condition):
    """Return the first seed whose moments (of accelerators 0 and 1) are such."""
    return next(seed for seed in range(100_000) if condition(moments(seed, 0), moments(seed, 1)))


def long_pause(first, _=None):
    """Tell whether an accelerator fails once after 30 to 60 cycles and then not for a long time."""
    return 30 <= first[0] <= 60 and first[2] - first[1] > 1200


@pytest.mark.parametrize("machine", [0, 1])
def test_times_until_failure_and_repair_are_exponential_of_their_means(machine):
    fleet = fleet_of([[1, 1]], seed=7)
    times = np.zeros(OFTEN, np.int64)
    assert kernels.changes_until(fleet.settings, fleet.accelerators["key"][0, machine], 1 << 60, times) == OFTEN
    spans = np.diff(times, prepend=0)
    for own, mean in ((spans[::2], UP), (spans[1::2], DOWN)):
        assert own.min() >= 1
        assert abs(own.mean() - mean) < 5.0 * mean / math.sqrt(len(own))
        assert abs(((own - mean) ** 2).mean() / mean**2 - 1.0) < 5.0 * math.sqrt(8.0 / len(own))
        assert abs((own > mean).mean() - math.exp(-1.0)) < 0.02
    assert abs(spans[::2].sum() / spans.sum() - UP / (UP + DOWN)) < 0.01


def test_accelerators_lanes_and_episodes_fail_by_themselves():
    config = SimulationSettings(mean_gap=1.0, unit=1.0, jobs=1, window=1, mean_up=UP, mean_down=DOWN)
    fleet = Simulation(toys.table([[1, 1, 1]]), config, lanes=4000)
    fleet.reset(*seed_arrays([5] * 4000, range(4000)), np.ones(4000, bool))
    first = fleet.accelerators["change"].astype(float)
    assert abs(first.mean() - UP) < 5.0 * UP / math.sqrt(first.size)
    assert (np.abs(np.corrcoef(first.T)[np.triu_indices(3, 1)]) < 5.0 / math.sqrt(4000)).all()
    assert abs(np.corrcoef(first[1:, 0], first[:-1, 0])[0, 1]) < 5.0 / math.sqrt(4000)


def test_nothing_fails_where_no_mean_time_is_given():
    fleet = fleet_of([[30, 30]], seed=0, jobs=3, mean_up=0.0, mean_down=0.0)
    toys.play(fleet, [0, 1, 0])
    assert fleet.lanes["ended"][0]
    assert len(fleet.down_intervals()) == len(fleet.aborted_runs()) == 0


@pytest.mark.kernels
def test_a_failure_in_the_middle_of_a_job():
    """It starts at 0, is lost at F, waits until the repair at R and runs again, all of it, to R + 100."""
    seed = seed_where(long_pause)
    failed, repaired = moments(seed, 0)[:2]
    fleet = fleet_of([[100]], seed=seed, predicted=[[80]])
    assert toys.play(fleet, [0]) == [-float(repaired)]  # the next decision is when the accelerator is back
    assert [tuple(run) for run in fleet.aborted_runs()] == [(0, 0, 0, 0, failed)]
    assert fleet.down_intervals().tolist() == [(0, failed, repaired)]
    assert (fleet.lanes["time"][0], fleet.lanes["waiting"][0], fleet.lanes["waiting_work"][0]) == (repaired, 1, 80)
    assert fleet.accelerators["busy_cycles"][0, 0] == failed
    assert toys.play(fleet, [0]) == [-100.0]
    assert fleet.jobs[["start", "finish", "aborted"]][0].tolist() == [(repaired, repaired + 100, 1)]
    assert fleet.accelerators["busy_cycles"][0, 0] == failed + 100


@pytest.mark.kernels
def test_a_completion_comes_before_a_failure_of_the_same_cycle():
    seed = seed_where(long_pause)
    failed = moments(seed, 0)[0]
    fleet = fleet_of([[failed]], seed=seed)
    toys.play(fleet, [0])
    assert fleet.lanes["ended"][0]
    assert fleet.jobs["finish"][0, 0] == failed
    assert fleet.lanes["aborted"][0] == 0
    late = fleet_of([[failed + 1]], seed=seed)
    toys.play(late, [0])
    assert late.lanes["aborted"][0] == 1


@pytest.mark.kernels
def test_in_dispatch_the_next_of_the_queue_may_fail_as_it_starts():
    """Both end at the failure: the second job starts in that cycle, after the first, and is lost before it ran."""
    seed = seed_where(long_pause)
    failed, repaired = moments(seed, 0)[:2]
    fleet = fleet_of([[failed]], seed=seed, jobs=2, dispatch=True)
    toys.play(fleet, [0, 0])
    assert [tuple(run) for run in fleet.aborted_runs()] == [(1, 0, 0, failed, failed)]
    assert fleet.jobs["start"][0].tolist() == [0, repaired]
    assert fleet.accelerators["busy_cycles"][0, 0] == 2 * failed


@pytest.mark.kernels
def test_in_dispatch_a_failed_job_is_first_in_its_own_queue():
    seed = seed_where(long_pause)
    repaired = moments(seed, 0)[1]
    fleet = fleet_of([[100]], seed=seed, jobs=3, dispatch=True)
    toys.play(fleet, [0, 0, 0])
    assert fleet.lanes["ended"][0]
    assert fleet.jobs["start"][0].tolist() == [repaired, repaired + 100, repaired + 200]
    assert fleet.jobs["aborted"][0].tolist() == [1, 0, 0]


@pytest.mark.kernels
@pytest.mark.parametrize("order", list(WindowOrder))
def test_a_failed_job_goes_back_to_its_place_in_the_central_queue(order):
    """Jobs 0 and 1 run on two accelerators, 2 and 3 wait; accelerator 0 fails, 1 is soon done and asks for the next.

    In order of arrival job 0 is before 2 and 3; by predicted latency it is behind those of the shorter class.
    """
    seed = seed_where(lambda first, other: long_pause(first) and first[1] > 61 and other[0] > 400)
    for wanted in ([0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1]):
        fleet = fleet_of(
            [[300, 61], [300, 61]], seed=seed, predicted=[[50, 50], [70, 70]], jobs=4, window_order=order,
            weights=[1.0, 1.0],
        )  # fmt: skip
        relabel(fleet, wanted)
        line = [0, 1, 2, 3] if order is WindowOrder.ARRIVAL else sorted(range(4), key=lambda job: (wanted[job], job))
        assert queue(fleet) == line
        toys.play(fleet, [0, 1])  # the first two of the line, one on each accelerator
        assert fleet.lanes["time"][0] == 61  # accelerator 1 is free; accelerator 0 has failed
        assert queue(fleet) == [line[0], *line[2:]]
        assert [run["job"] for run in fleet.aborted_runs()] == [line[0]]


def relabel(fleet, classes):
    """Give the drawn jobs other classes, and start the episode anew with them."""
    fleet.jobs["job_class"][0] = fleet.jobs["believed_class"][0] = classes
    kernels.reset(*fleet.state, fleet.seeds, fleet.episodes, np.ones(1, bool))


def queue(fleet):
    head, waiting = int(fleet.lanes["head"][0]), int(fleet.lanes["waiting"][0])
    return fleet.queue["job"][0, head : head + waiting].tolist()


@pytest.mark.kernels
def test_what_is_down_cannot_be_used():
    """Of two idle accelerators one is down: Queue and Dispatch call it illegal; all down, Dispatch may use any."""
    seed = seed_where(lambda first, other: 30 <= first[0] <= 60 and first[1] > 200 and other[0] > 150)
    fleet = fleet_of([[100, 61]], seed=seed, jobs=4)
    toys.play(fleet, [1])  # accelerator 1 runs to 61
    toys.play(fleet, [8])  # waits ...
    while fleet.lanes["time"][0] < 61:
        toys.play(fleet, [8])
    assert fleet.accelerators["up"][0].tolist() == [0, 1]
    assert fleet.lanes["idle"][0] == 1
    waiting = fleet.lanes["waiting"][0]
    toys.play(fleet, [0])  # illegal, and nothing runs nor comes: the first legal one, accelerator 1
    assert not fleet.lanes["legal"][0]
    assert fleet.lanes["waiting"][0] == waiting - 1
    assert fleet.jobs["choice"][0].max() == 1


@pytest.mark.kernels
def test_a_repaired_accelerator_is_set_up_without_delay():
    """A failure forgets the dataflow: another one after it costs no reconfiguration, as at the beginning."""
    seed = seed_where(long_pause)
    repaired = moments(seed, 0)[1]
    fleet = fleet_of([[100, 90]], seed=seed, jobs=3, owners=[0, 0], reconfiguration=[7])
    toys.play(fleet, [0, 1, 0, 0])
    assert fleet.lanes["ended"][0]
    assert fleet.jobs["start"][0].tolist() == [repaired, repaired + 90, repaired + 197]
    assert fleet.jobs["finish"][0].tolist() == [repaired + 90, repaired + 197, repaired + 297]
    assert fleet.accelerators["changed"][0, 0] == repaired


@pytest.mark.kernels
def test_a_believed_drain_counts_a_mean_repair():
    """One accelerator, down, and two waiting jobs of 80: they finish 80 and 160 cycles after a mean repair."""
    seed = seed_where(lambda first, _: long_pause(first) and first[1] > first[0] + 3)
    fleet = fleet_of([[100]], seed=seed, jobs=2, predicted=[[80]], dispatch=True, shaped=True)
    state = (fleet.lanes, fleet.accelerators, fleet.queue)
    assert kernels.drain_cost(fleet.settings, fleet.classes, 0, *state) == 80.0  # one has come, the other comes next
    fleet.accelerators["up"] = 0
    assert kernels.drain_cost(fleet.settings, fleet.classes, 0, *state) == DOWN + 80.0


def test_a_fleet_that_fails_too_often_is_refused():
    with pytest.raises(
        ConfigError, match=r"at least 400 cycles, a quarter of the longest latency.* 1.001 times what was given, 400"
    ):
        fleet_of([[1601]], seed=0)
    assert fleet_of([[1600]], seed=0).num_lanes == 1
    assert fleet_of([[1]], seed=0, predicted=[[1601]]).num_lanes == 1  # beliefs end no job
    with pytest.raises(ConfigError, match="mean_up and mean_down must both be 0 or both be above 0, got"):
        fleet_of([[1]], seed=0, mean_down=0.0)
