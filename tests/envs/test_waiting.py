"""The three ways in which Queue-v0 lets an agent wait; tests/sim/test_transition.py compares each with the twin."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from gnnsched_baselines import make_policy
from gnnsched_env import Knowledge
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.envs import DispatchEnv, QueueEnv, by_column, unflatten
from gnnsched_env.evaluation import policy_factory, run_policy
from gnnsched_env.evaluation.one_episode import play_episode
from tests.envs.vectors import make_loop, make_native, replay, small_scenario

WAYS = ("free", "needed", "by_choice")


def make(waiting, **options):
    return QueueEnv(small_scenario(), waiting=waiting, **{"jobs": 40, "window": 4, **options})


@pytest.mark.parametrize("dataflow", ["agent", "predicted_best"])
@pytest.mark.parametrize("waiting", WAYS)
def test_checkers_accept_each_way(waiting, dataflow):
    check_env(make(waiting, dataflow=dataflow), skip_render_check=True)


@pytest.mark.parametrize("waiting", WAYS)
def test_a_batch_waits_as_single_environments_do(waiting):
    mode = gymnasium.vector.AutoresetMode.SAME_STEP
    native, loop = (create("queue", 3, mode, waiting=waiting) for create in (make_native, make_loop))
    assert native.single_action_space == loop.single_action_space
    ends, illegal = replay(native, loop, mode, 60, np.random.default_rng(0), seed=7)
    assert ends > 5 and illegal > 0


def test_the_action_that_waits_is_there_or_not():
    layouts = [make(waiting).layout for waiting in WAYS]
    slots = layouts[0].window * layouts[0].columns
    assert [layout.num_actions for layout in layouts] == [slots + 1, slots + 1, slots]
    assert [layout.wait_action for layout in layouts] == [slots, slots, -1]


def test_needed_never_waits():
    env = make("needed", load=1.2)
    _, info = env.reset(seed=0)
    ended, illegal = False, 0
    while not ended:
        assert not info["action_mask"][-1]
        idle = env.batch.simulation.lanes["idle"][0]
        _, _, ended, _, info = env.step(env.layout.wait_action)  # illegal: the first legal action is taken
        illegal += not info["legal"]
        assert ended or env.batch.simulation.lanes["idle"][0] <= idle or info["elapsed"] > 0
    assert illegal == 40


def test_naming_a_busy_accelerator_waits_for_the_next_event():
    env = make("by_choice", load=1.2)
    _, info = env.reset(seed=0)
    ended, waited = False, 0
    while not ended:
        simulation = env.batch.simulation
        machines = simulation.accelerators[0]
        busy = np.flatnonzero(machines["job"] >= 0)
        columns = np.flatnonzero(np.isin(env.layout.column_accelerators, busy))
        shown = min(int(simulation.lanes["waiting"][0]), 4)
        assert info["action_mask"].sum() == shown * env.layout.columns  # all accelerators are up
        if len(columns) and waited < 10:
            before = simulation.lanes[["time", "waiting", "done"]][0].item()
            soonest = min(int(simulation.lanes[name][0]) for name in ("soonest", "next_ready"))
            _, _, ended, _, info = env.step(columns[0])
            after = simulation.lanes[["time", "waiting", "done"]][0].item()
            assert info["legal"] and after[0] >= soonest and after != before
            assert after[1] + after[2] >= before[1] + before[2]  # nothing was started
            waited += 1
        else:
            _, _, ended, _, info = env.step(info["action_mask"].argmax())
    assert waited == 10


@pytest.mark.parametrize("waiting", ["sometimes", 3, None])
def test_another_way_is_refused(waiting):
    if waiting is None:
        assert make(None).layout == make("free").layout
        return
    with pytest.raises(ConfigError, match="waiting must be one of free, needed, by_choice"):
        make(waiting)


def test_dispatch_has_nothing_to_wait_for():
    with pytest.raises(ConfigError, match="waiting belongs to Queue-v0"):
        DispatchEnv(small_scenario(), waiting="by_choice")
    with pytest.raises(ConfigError, match="waiting belongs to Queue-v0, got 'by_choice'"):
        DispatchEnv(small_scenario().with_options(waiting="by_choice"))


def test_policies_that_wait_by_an_action_are_refused_where_there_is_none():
    for name in ("sjf", "assignment", "agent:queue_hetero4"):
        with pytest.raises(ConfigError, match=f"policy '{name}': waits by an action"):
            make_policy(name, make("by_choice", dataflow="predicted_best").layout, table=small_scenario().table)


def test_evaluation_lets_every_policy_wait_freely():
    scenario = small_scenario().with_options(jobs=30)
    factory = policy_factory("assignment", dispatch=False)
    means = {
        waiting: run_policy(
            factory, scenario.with_options(waiting=waiting), scenario.table, dispatch=False, seed=0, episodes=2
        ).per_episode("completion")
        for waiting in WAYS
    }
    assert (means["free"] == means["by_choice"]).all() and (means["free"] == means["needed"]).all()


def test_evaluation_gives_a_policy_the_way_to_wait_that_it_names():
    class Chooses:
        """Wait for the accelerator that is fastest for the first job, if it is busy."""

        knowledge = Knowledge.PREDICTED
        waiting = "by_choice"

        def __init__(self, layout):
            assert layout.wait_by_choice == (len(made) > 0)
            made.append(layout)
            self.layout = layout

        def act(self, observation, mask):
            latencies = by_column(unflatten(observation, self.layout).latencies, self.layout)[:, 0]
            return np.where(mask[:, : self.layout.columns], latencies, np.inf).argmin(axis=1)

    made = []
    scenario = small_scenario().with_options(jobs=30)
    runs = run_policy(lambda layout, _: Chooses(layout), scenario, scenario.table, dispatch=False, seed=0, episodes=2)
    assert len(made) == 2 and made[1].wait_action == -1
    made.clear()
    env = play_episode(lambda layout, _: Chooses(layout), scenario, dispatch=False, seed=0)
    assert env.layout.wait_by_choice and len(made) == 2
    jobs = env.batch.simulation.jobs[0]
    assert (jobs["finish"] - jobs["arrival"]).mean() == runs.per_episode("completion")[0]
    Chooses.waiting = "sometimes"
    made.clear()
    with pytest.raises(ConfigError, match="policy Chooses: waiting must be one of free, needed, by_choice"):
        play_episode(lambda layout, _: Chooses(layout), scenario, dispatch=False, seed=0)
