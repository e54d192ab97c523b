"""Schedules worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.envs.observation_units import encode_cycles
from gnnsched_env.sim import Simulation, SimulationSettings, episode_metrics, seed_arrays
from gnnsched_env.sim import transition as kernels
from gnnsched_env.sim.belief import belief_of
from tests import toys

pytestmark = pytest.mark.kernels

LONGEST = (1 << 40) - 1
TWO_MACHINES = [[4, 9], [6, 2]]  # class 0 prefers machine 0, class 1 machine 1


def fleet_of(true, classes, *, jobs, window=4, dispatch=False, reconfiguration=None, owners=None, predicted=None):
    """Return a simulation whose jobs all come at time 0 (the mean gap rounds to 0)."""
    table = toys.table(true, predicted, owners=owners, weights=classes)
    config = SimulationSettings(mean_gap=1e-9, unit=1.0, jobs=jobs, window=window, dispatch=dispatch)
    fleet = Simulation(table, config, reconfiguration=reconfiguration)
    fleet.reset(*seed_arrays([0], [0]), np.ones(1, bool))
    return fleet


def play(fleet, actions):
    rewards = toys.play(fleet, actions)
    assert fleet.lanes["ended"][0]
    return rewards


def test_three_equal_jobs_on_two_machines():
    # Machine 0 takes 4, machine 1 takes 9: start one on each, wait for machine 0, start the third there.
    fleet = fleet_of(TWO_MACHINES, [1, 0], jobs=3)
    rewards = play(fleet, [0, 1, 0])
    assert fleet.jobs[0]["start"].tolist() == [0, 0, 4]
    assert fleet.jobs[0]["finish"].tolist() == [4, 9, 8]
    assert rewards == [0.0, -12.0, -9.0]  # three jobs to 4, two to 8, one to 9
    assert episode_metrics(fleet).completion.tolist() == [[4, 9, 8]]


def test_waiting_for_the_better_machine_pays():
    # All three on machine 0, one after another: 4 + 8 + 12 against 4 + 8 + 9 above.
    fleet = fleet_of(TWO_MACHINES, [1, 0], jobs=3)
    rewards = play(fleet, [0, 8, 0, 8, 0])
    assert fleet.jobs[0]["finish"].tolist() == [4, 8, 12]
    assert sum(rewards) == -(4 + 8 + 12)


def test_dispatch_queues_first_come_first_served():
    fleet = fleet_of(TWO_MACHINES, [1, 0], jobs=3, dispatch=True)
    rewards = play(fleet, [0, 0, 0])
    assert fleet.jobs[0]["start"].tolist() == [0, 4, 8]
    assert rewards == [0.0, 0.0, -24.0]


def test_changing_the_dataflow_costs_reconfiguration_but_the_first_does_not():
    fleet = fleet_of([[3, 5]], [1], jobs=3, owners=[0, 0], reconfiguration=[10])
    play(fleet, [0, 1, 1])
    assert fleet.jobs[0]["finish"].tolist() == [3, 18, 23]


def test_utilisation_counts_busy_cycles_of_all_machines():
    fleet = fleet_of(TWO_MACHINES, [1, 0], jobs=3)
    play(fleet, [0, 1, 0])
    assert episode_metrics(fleet).utilisation.tolist() == [(8 + 9) / (2 * 9)]
    assert episode_metrics(fleet).slowdown.tolist() == [[1.0, 9 / 4, 2.0]]


def test_the_drain_cost_of_a_hand_made_state():
    # Machine 0 runs a job with 4 cycles to go and has two more of 4 in its own queue (4 + 8 + 12); a fourth job waits
    # for the decision and prefers machine 0, which is then free at 12 (16).
    fleet = fleet_of(TWO_MACHINES, [1, 0], jobs=4, dispatch=True)
    for _ in range(3):
        fleet.step(np.array([0]))
    state = (fleet.lanes, fleet.accelerators, fleet.queue)
    assert kernels.drain_cost(fleet.settings, fleet.classes, 0, *state) == 40.0


def test_actions_outside_the_range_are_illegal():
    for dispatch in (False, True):
        for action in (-1, -5, 10**6):
            fleet = fleet_of(TWO_MACHINES, [1, 0], jobs=2, dispatch=dispatch)
            fleet.step(np.array([action]))
            assert not fleet.lanes["legal"][0]


def test_an_episode_that_could_pass_int64_is_refused():
    with pytest.raises(ConfigError, match=r"may take 2\^62 cycles or more"):
        fleet_of([[LONGEST, LONGEST]], [1], jobs=10_000_000)


def test_rewards_are_right_for_giant_latencies():
    fleet = fleet_of([[LONGEST, LONGEST]], [1], jobs=2000, dispatch=True)
    rewards = play(fleet, [0] * 2000)
    completion = (fleet.jobs["finish"] - fleet.jobs["arrival"]).astype(float).sum()
    assert sum(rewards) == pytest.approx(-completion, rel=1e-12)


def test_illegal_actions_wait_or_take_the_first_legal_one():
    fleet = fleet_of(TWO_MACHINES, [1, 0], jobs=2)
    fleet.step(np.array([8]))  # waiting is illegal: nothing runs and nothing comes; slot 0 starts on machine 0
    assert not fleet.lanes["legal"][0]
    assert fleet.jobs[0]["start"].tolist() == [0, -1]
    fleet.step(np.array([0]))  # machine 0 is busy: waits until it is free
    assert not fleet.lanes["legal"][0]
    assert fleet.lanes["time"][0] == 4
    fleet.step(np.array([7]))  # an empty slot: waiting is illegal again
    assert fleet.lanes["ended"][0]
    assert fleet.jobs[0]["finish"].tolist() == [4, 8]


def decided(*, jobs, true=TWO_MACHINES, weights=None, mean_gap=1e-9, dispatch=True, **cost):
    """Return a simulation that charges for deciding, at its first decision."""
    table = toys.table(true, weights=weights or [1] * len(true))
    config = SimulationSettings(mean_gap=mean_gap, unit=1.0, jobs=jobs, window=4, dispatch=dispatch, **cost)
    fleet = Simulation(table, config)
    fleet.reset(*seed_arrays([0], [0]), np.ones(1, bool))
    return fleet


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ({"decision": 10}, [10, 20, 30, 40]),  # one after another
        ({"decision": 10, "workers": 2}, [10, 10, 20, 20]),
        ({"decision": 10, "workers": 9}, [10, 10, 10, 10]),
        ({"decision": 10, "cached": True}, [10, 10, 10, 10]),  # one class: predicted once, found three times
        ({"decision": 10, "cached": True, "lookup": 3}, [10, 10, 10, 10]),  # found at 3, but not before it is known
        ({"decision": 0, "workers": 3}, [0, 0, 0, 0]),
    ],
)
def test_four_jobs_at_once_are_predicted_one_after_another(cost, expected):
    fleet = decided(jobs=4, weights=[1, 0], **cost)
    assert fleet.jobs[0]["arrival"].tolist() == [0] * 4
    assert fleet.jobs[0]["ready"].tolist() == expected


def test_a_job_under_prediction_is_charged_but_not_seen():
    # Two jobs at 0, ten cycles each to predict: the first starts at 10 on machine 0 (4 cycles), the second at 20.
    fleet = decided(jobs=2, weights=[1, 0], decision=10)
    assert (fleet.lanes["time"][0], fleet.lanes["waiting"][0], fleet.lanes["arrived"][0]) == (10, 1, 1)
    rewards = play(fleet, [0, 0])
    assert fleet.jobs[0]["start"].tolist() == [10, 20]
    assert fleet.jobs[0]["finish"].tolist() == [14, 24]
    assert rewards == [-10.0 - 4.0 - 20.0, -4.0]  # each job's prediction is charged when it is done
    assert sum(rewards) == -(14 + 24)
    metrics = episode_metrics(fleet)
    assert metrics.completion.tolist() == [[14, 24]]
    assert metrics.execution.tolist() == [[4, 4]]
    assert metrics.predicting.tolist() == [15.0]


def test_jobs_come_unpredicted_while_few_wait():
    # Three jobs at 0. The first finds none waiting and comes at once, as an average job; so the second is predicted
    # until 10, comes to a queue of one, and the third is predicted until 20.
    fleet = decided(jobs=3, weights=[1, 0], decision=10, skip_below=1, dispatch=False)
    average = np.rint(np.exp(fleet.table.mean_log_cycles)).astype(int).tolist()
    assert fleet.table.predicted_cycles.tolist() == [*TWO_MACHINES, average] and fleet.table.weights[-1] == 0
    assert fleet.jobs[0]["believed_class"].tolist() == [2, 0, 0]
    assert (fleet.lanes["time"][0], fleet.lanes["waiting"][0]) == (0, 1)
    fleet.step(np.array([8]))
    fleet.step(np.array([8]))
    assert fleet.jobs[0]["ready"].tolist() == [0, 10, 20]
    rewards = play(fleet, [0, 8, 0, 8, 0])
    assert fleet.jobs[0]["job_class"].tolist() == [0, 0, 0]
    assert fleet.jobs[0]["finish"].tolist() == [24, 28, 32]  # as long as the jobs truly take
    assert sum(rewards) < 0 and episode_metrics(fleet).predicting.tolist() == [10.0]


def test_a_predictor_that_cannot_keep_up_is_skipped_until_jobs_wait():
    # Dispatch: what waits in the accelerators' own queues counts. Machine 0 takes 4: jobs 0 and 1 come at once, one to
    # run and one to wait, and the others are predicted one after another as long as one waits.
    fleet = decided(jobs=4, weights=[1, 0], decision=3, skip_below=1)
    play(fleet, [0, 0, 0, 0])
    assert fleet.jobs[0]["ready"].tolist() == [0, 0, 3, 6]
    assert fleet.jobs[0]["believed_class"].tolist() == [2, 2, 0, 0]


def test_a_lookup_waits_for_earlier_predictions():
    # Class 1 first, then class 0, then class 1 again, all at 0: the third is found at once, but comes after the second.
    for seed in range(100):
        fleet = decided(jobs=3, decision=10, cached=True)
        fleet.reset(*seed_arrays([seed], [0]), np.ones(1, bool))
        if fleet.jobs[0]["job_class"].tolist() == [1, 0, 1]:
            break
    else:
        pytest.fail("no seed draws these classes")
    assert fleet.jobs[0]["ready"].tolist() == [10, 20, 20]


def test_waiting_is_legal_while_a_job_is_under_prediction():
    fleet = decided(jobs=2, weights=[1, 0], decision=10, dispatch=False)
    fleet.step(np.array([8]))  # nothing runs and all have arrived, but one is still to come to the scheduler
    assert fleet.lanes["legal"][0]
    assert (fleet.lanes["time"][0], fleet.lanes["waiting"][0]) == (20, 2)
    fleet.step(np.array([8]))
    assert not fleet.lanes["legal"][0]


def test_a_new_episode_forgets_what_was_predicted():
    fleet = decided(jobs=2, weights=[1, 0], decision=10, cached=True)
    for seed in (0, 1):
        fleet.reset(*seed_arrays([seed], [0]), np.ones(1, bool))
        assert fleet.jobs[0]["ready"].tolist() == [10, 10]


def test_repeats_multiply_every_latency():
    fleet = decided(jobs=2, weights=[1, 0], repeats=100)
    play(fleet, [0, 1])
    assert fleet.jobs[0]["finish"].tolist() == [400, 900]
    assert fleet.table.true_cycles.tolist() == (100 * np.array(TWO_MACHINES)).tolist()
    assert fleet.table.predicted_cycles.tolist() == fleet.table.true_cycles.tolist()
    assert fleet.table.mean_log_cycles == pytest.approx(toys.table(TWO_MACHINES).mean_log_cycles + np.log(100))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": 0}, "repeats must be an integer of at least 1, got 0"),
        ({"repeats": 1.5}, "repeats must be an integer of at least 1, got 1.5"),
        (
            {"repeats": 1 << 38},
            r"repeats must keep every job below 2\^40 cycles, .* got 274877906944, which make 2,473,",
        ),
        ({"repeats": 1 << 70}, r"repeats must keep every job below 2\^40 cycles"),
        ({"decision": -1}, "decision must be an integer of at least 0, got -1"),
        ({"decision": 1, "workers": 0}, "workers must be an integer of at least 1, got 0"),
        ({"decision": 1, "workers": 5000}, "workers must be at most 1,024, got 5000"),
        ({"decision": 1, "cached": True, "lookup": 1 << 62}, r"predictions of 4.61e\+18 may take 2\^62 cycles or more"),
        ({"decision": 1 << 62}, r"may take 2\^62 cycles or more"),
    ],
)
def test_bad_repeats_and_decision_costs_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        decided(jobs=2, **options)


def test_the_longest_job_must_be_one_that_policies_can_tell():
    """The limit is exact, holds for predictions too and for single inferences, and the longest job is named."""
    assert encode_cycles(np.array([LONGEST - LONGEST // 1000]))[0] < 1.0 == encode_cycles(np.array([2 * LONGEST]))[0]
    assert decided(jobs=2, repeats=LONGEST // 9).table.true_cycles.max() == 9 * (LONGEST // 9)
    with pytest.raises(
        ConfigError, match=r"at most 122,167,958,641 inferences of up to 9 cycles \(true, of class 'class0'"
    ):
        decided(jobs=2, repeats=LONGEST // 9 + 1)
    assert fleet_of([[LONGEST, 1]], [1], jobs=2).true.max() == LONGEST
    with pytest.raises(
        ConfigError, match=r"\(true, of class 'class1' under 'a1/d1'\), got 1, which make 1,099,511,627,776"
    ):
        fleet_of([[1, 1], [1, LONGEST + 1]], [1, 1], jobs=2)
    with pytest.raises(ConfigError, match=r"\(predicted, of class 'class0' under 'a0/d0'\)"):
        fleet_of([[1, 1]], [1], jobs=2, predicted=[[LONGEST + 1, 1]])


def erring_fleet(**options):
    """Return a fleet on which six jobs are predicted to take 12 cycles anywhere; they take 60 on machine 0.

    Of 200 jobs predicted alike, 100 take as long as predicted, 90 twice, 5 three times and 5 five times as long.
    """
    ratios = np.repeat([1.0, 2.0, 3.0, 5.0], [100, 90, 5, 5])
    table = toys.table([[60, 12]], [[12, 12]])
    table = replace(table, log_errors=np.tile(np.log(ratios)[:, np.newaxis], (1, 2)))
    config = SimulationSettings(mean_gap=1e-9, unit=1.0, jobs=6, window=6, **options)
    fleet = Simulation(table, config, reconfiguration=[0, 0])
    fleet.reset(*seed_arrays([0], [0]), np.ones(1, bool))
    return fleet


def test_a_running_job_is_expected_to_take_what_is_left_of_its_possible_latencies():
    # At the start 12 x (100 + 180 + 15 + 25) / 200 = 19.2; beyond 12 cycles 12 x (180 + 15 + 25) / 100 = 26.4; beyond
    # 24 it is 12 x (3 + 5) / 2 = 48. The tail begins at three times: from 36 on, a third of what it has run is to come.
    fleet = erring_fleet()
    fleet.step(np.array([0]))
    found = []
    for _ in range(5):
        found.append((int(fleet.lanes["time"][0]), int(fleet.accelerators["believed_finish"][0, 0])))
        fleet.step(np.array([1]))
    assert found == [(0, 19), (12, 26), (24, 48), (36, 48), (48, 64)]
    assert fleet.lanes["ended"][0] and fleet.jobs[0]["finish"].tolist() == [60, 12, 24, 36, 48, 60]


def test_the_drain_cost_counts_what_running_jobs_are_expected_to_take():
    fleet = erring_fleet(shaped=True)
    assert fleet.lanes["potential"][0] == 12 + 24 + 36 + 48 + 60 + 72  # all of them would go to machine 0
    fleet.step(np.array([0]))
    assert fleet.lanes["potential"][0] == 19 + 31 + 43 + 55 + 67 + 79


def test_a_future_goes_on_as_expected_and_its_own_predictions_come_true():
    fleet = erring_fleet()
    fleet.step(np.array([0]))
    fleet.step(np.array([1]))  # to 12
    future = belief_of(fleet).futures(np.zeros(1, np.int64), np.zeros(1, np.uint64), 0)
    assert future.accelerators["finish"][0, 0] == 26
    while not future.lanes["ended"][0]:
        future.step(np.array([1]))
    assert future.jobs[0]["finish"].tolist() == [26, 24, 36, 48, 60]  # the one that is done is not known any more
