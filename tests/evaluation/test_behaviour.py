"""How a policy behaves: figures of a schedule worked out by hand, and of played ones cycle by cycle."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_baselines import make_policy
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import Knowledge
from gnnsched_env.evaluation.behaviour import Watched, behaviour_of, idle_while_waiting, on_fastest, play_watched
from gnnsched_env.evaluation.one_episode import play_episode
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import Scenario
from gnnsched_env.sim import episode_metrics
from gnnsched_env.sim.records import DOWN
from gnnsched_env.sim.schedule import RUN, SCHEDULED_JOB, RunState, Schedule
from tests import toys
from tests.envs.environments import hetero_table

DONE, CUT = RunState.FINISHED, RunState.ABORTED


def by_hand():
    """Return four jobs on two accelerators (the first with two dataflows), and their table.

    a0: job 0 from 0 to 12, job 2 from 20 until a failure at 30, down until 50, job 3 from 60 to 80.
    a1: job 1 from 10 to 110, job 2 again from 120 to 150.
    """
    table = toys.table([[10, 20, 40], [100, 50, 100], [30, 60, 30]], owners=[0, 0, 1])
    jobs = [(0, 0, 0, 0, 0, 12), (1, 1, 5, 5, 10, 110), (2, 2, 8, 10, 120, 150), (3, 0, 40, 40, 60, 80)]
    runs = [
        (0, 0, 0, 0, 0, 12, 12, DONE),
        (1, 1, 1, 2, 10, 110, 110, DONE),
        (2, 2, 0, 1, 20, 30, 30, CUT),
        (3, 0, 0, 1, 60, 80, 80, DONE),
        (2, 2, 1, 2, 120, 150, 150, DONE),
    ]
    schedule = Schedule(
        since=0,
        until=150,
        runs=np.array(runs, RUN),
        jobs=np.array(jobs, SCHEDULED_JOB),
        waiting_times=np.array([0, 5, 20, 30, 40, 60, 120]),
        waiting_counts=np.array([0, 1, 0, 1, 2, 1, 0]),
        downs=np.array([(0, 30, 50)], DOWN),
        num_accelerators=2,
        total=4,
        arrived=4,
        done=4,
        mean_completion=74.75,
    )
    return schedule, table


def scenario_of(**options):
    scenario = Scenario(name="random", fleet=load_fleet("hetero4"), table=hetero_table())
    return scenario.with_options(**{"jobs": 60, "load": 0.9, **options})


def named(name):
    return lambda layout, table: make_policy(name, layout, table=table)


def test_the_figures_of_a_schedule_worked_out_by_hand():
    schedule, table = by_hand()
    behaviour = behaviour_of(schedule, table, decisions=8, waits=3)
    assert behaviour.completion == (12 + 105 + 142 + 40) / 4
    assert behaviour.waiting == (0 + 5 + 100 + 20) / 4
    assert behaviour.waiting_shortest == (0 + 20) / 2  # jobs 0 and 3, of size 10
    assert behaviour.waiting_longest == 5  # job 1, of size 50
    assert behaviour.execution == (12 + 100 + 30 + 20) / 4
    assert behaviour.fastest == 3 / 4  # job 2 is as fast on either, job 3 only under another dataflow
    assert behaviour.stretch == (1 + 2 + 1 + 2) / 4
    assert behaviour.work == (10 + 100 + 30 + 20) / (10 + 50 + 30 + 10)
    assert behaviour.waits == 3 / 8
    assert behaviour.idle == (8 + 10 + 40 + 5 + 10) / 300
    assert behaviour.utilisation == pytest.approx((12 + 10 + 20 + 100 + 30) / 300)
    assert behaviour.makespan == 150
    assert on_fastest(schedule.runs, table).tolist() == [True, False, True, True, True]


def idle_cycle_by_cycle(schedule):
    free = np.ones((schedule.num_accelerators, schedule.until), bool)
    waiting = np.zeros(schedule.until, int)
    for job in schedule.jobs:
        waiting[job["ready"] : job["finish"]] += 1
    for run in schedule.runs:
        free[run["accelerator"], run["start"] : run["finish"]] = False
        waiting[run["start"] : run["finish"]] -= 1
    for down in schedule.downs:
        free[down["accelerator"], down["start"] : down["end"]] = False
    return int(free[:, waiting > 0].sum())


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("failures", [{}, {"failures": (30, 5)}])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_played_episode_agrees_with_its_metrics_and_with_counting_cycles(dispatch, failures, seed):
    scenario, policy = scenario_of(**failures), named("random" if dispatch else "assignment")
    if seed and not dispatch:  # a policy that asks for another scenario than the one given
        scenario, policy = scenario.with_options(decision={"latency_us": 0.05}), named("skip_predict")
    schedule, table, behaviour = play_watched(policy, scenario, dispatch=dispatch, seed=seed)
    assert idle_while_waiting(schedule) == idle_cycle_by_cycle(schedule) > 0
    env = play_episode(policy, scenario, dispatch=dispatch, seed=seed)
    metrics = episode_metrics(env.batch.simulation)
    assert behaviour.completion == pytest.approx(metrics.completion.mean())
    assert behaviour.execution == pytest.approx(metrics.execution.mean())
    assert behaviour.utilisation == pytest.approx(metrics.utilisation[0])
    assert behaviour.makespan == metrics.makespan[0]
    lengths = np.diff(np.append(schedule.waiting_times, schedule.until))
    assert behaviour.waiting == pytest.approx((schedule.waiting_counts * lengths).sum() / schedule.total)
    assert (behaviour.waits > 0) != dispatch  # in Queue-v0 assignment waits now and then
    assert np.array_equal(table.predicted_cycles, env.table.predicted_cycles)


class WaitsTwice:
    """Wait in the first two decisions in which that is legal, once by an illegal action; then the first legal one."""

    knowledge = Knowledge.NONE

    def __init__(self):
        self.left = 2

    def act(self, observation, mask):
        first = mask.argmax(axis=1)
        if not mask[0, -1] or not self.left:
            return first
        self.left -= 1
        return np.array([mask.shape[1] - 1]) if self.left else mask.argmin(axis=1)


def test_waits_are_counted_illegal_actions_that_wait_too():
    made = []

    def factory(layout, table):
        made.append(Watched(WaitsTwice(), layout))
        return made[0]

    env = play_episode(factory, scenario_of(jobs=20), dispatch=False, seed=0)
    assert made[0].waits == 2
    assert made[0].decisions == int(env.batch.simulation.lanes["steps"][0]) == 22  # 20 starts


def test_a_greedy_policy_never_waits_and_leaves_nothing_idle():
    behaviour = play_watched(named("sjf"), scenario_of(), dispatch=False, seed=0)[2]
    assert behaviour.waits == behaviour.idle == 0.0
    assert behaviour.waiting > 0


def test_a_planner_is_told_the_belief_and_others_are_not_asked():
    behaviour = play_watched(named("rollout"), scenario_of(jobs=6), dispatch=False, seed=0)[2]
    assert behaviour.completion > 0
    assert not hasattr(Watched(WaitsTwice(), play_layout()), "observe_belief")


def play_layout():
    return play_episode(named("sjf"), scenario_of(jobs=1), dispatch=False, seed=0).layout


def test_an_episode_that_is_not_whole_is_refused():
    schedule, table = by_hand()
    running = schedule.jobs.copy()
    running["finish"][2] = -1
    for part, done in (
        (replace(schedule, since=1), 4),
        (replace(schedule, forgotten=1), 4),
        (replace(schedule, total=5), 4),
        (replace(schedule, jobs=running), 3),
    ):
        with pytest.raises(ConfigError, match=f"must be done and in memory, got {done}"):
            behaviour_of(part, table, decisions=1, waits=0)
