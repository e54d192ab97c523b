"""What every policy must do, in every environment that it is made for."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_baselines import PLANNERS, POLICIES, make_policy
from gnnsched_baselines.learned.dispatcher import TrainedDispatcher
from gnnsched_env.common.policy import Knowledge, Routing
from gnnsched_env.sim import policy_capacity
from gnnsched_env.sim.belief import belief_of
from tests import toys
from tests.baselines.situations import batch, decide, layout, play, situation

ENVIRONMENTS = {"dispatch": True, "queue": False}
AGENTS = {"agent:dispatch": TrainedDispatcher}  # those that ship, one for each kind of trained policy tested here
EVERY = POLICIES | PLANNERS | AGENTS
CASES = [(name, env) for name, kind in EVERY.items() for env in ENVIRONMENTS if env in kind.environments]
WITHOUT_BELIEF = [case for case in CASES if case[0] not in PLANNERS]  # what situations put together by hand lack
WINDOWS = [(name, env, order) for name, env in CASES for order in ("arrival", "shortest")[: 1 + (env == "queue")]]
every_policy = pytest.mark.parametrize(("name", "env"), CASES)
both_modes = pytest.mark.parametrize("choose_dataflow", [True, False], ids=["agent", "predicted_best"])


def table(predictions=1):
    """Return a table whose choices are not in the order of their accelerators; `predictions` seeds them alone."""
    true = toys.random_table(np.random.default_rng(0), classes=10, choices=6, accelerators=3).true_cycles
    noise = np.random.default_rng(predictions).normal(0, 1, true.shape)
    predicted = np.maximum(1, np.rint(true * np.exp(noise))).astype(int)
    return toys.table(true, predicted, owners=[2, 0, 1, 0, 2, 0], static=[3, 2, 4])


def lane_of(belief, i):
    """Return the belief of one lane alone."""
    rows = {name: getattr(belief, name)[i : i + 1] for name in ("lanes", "accelerators", "jobs", "queue")}
    return replace(belief, **rows)


def make(name, environments):
    options = {"futures": 8, "arrivals": 10, "margin": 0.5} if name in PLANNERS else {}
    return make_policy(name, environments.layout, table=environments.table, **options)


@both_modes
@pytest.mark.parametrize(("name", "env", "window_order"), WINDOWS)
def test_actions_are_legal_for_whole_episodes(name, env, window_order, choose_dataflow):
    options = {"choose_dataflow": choose_dataflow, "shortest_first": window_order == "shortest"}
    environments = batch(table(), dispatch=ENVIRONMENTS[env], **options)
    policy = make(name, environments)
    steps, one_ended = 0, False
    while not environments.ended.all():
        if steps == 8:
            environments.reset(range(10, 13), which=np.array([False, True, False]))
        steps, one_ended = steps + 1, one_ended or bool(environments.ended.any())
        before = {key: array.copy() for key, array in environments.observation.items()}
        actions = decide(policy, environments)
        assert actions.dtype == np.int64
        assert actions.shape == (3,)
        assert environments.mask[np.arange(3), actions].all()
        assert all((environments.observation[key] == array).all() for key, array in before.items())
        environments.step(actions)
        assert environments.simulation.lanes["legal"].all()
    assert one_ended
    final = decide(policy, environments)
    assert environments.mask[np.arange(3), final].all()


@every_policy
@both_modes
def test_the_same_situations_give_the_same_actions(name, env, choose_dataflow):
    taken = []
    for _ in range(2):
        environments = batch(table(), dispatch=ENVIRONMENTS[env], choose_dataflow=choose_dataflow)
        taken.append(play(make(name, environments), environments))
    assert (taken[0] == taken[1]).all()


@both_modes
@pytest.mark.parametrize(("name", "env"), [case for case in CASES if case[0] != "random"])  # lanes share its stream
def test_a_lane_is_decided_on_its_own(name, env, choose_dataflow):
    environments = batch(table(), dispatch=ENVIRONMENTS[env], choose_dataflow=choose_dataflow)
    policy, singles = make(name, environments), [make(name, environments) for _ in range(3)]
    while not environments.ended.all():
        actions = decide(policy, environments)
        belief = belief_of(environments.simulation)
        for i, single in enumerate(singles):
            own = {key: array[i : i + 1] for key, array in environments.observation.items()}
            if name in PLANNERS:
                single.observe_belief(lane_of(belief, i))
            assert single.act(own, environments.mask[i : i + 1])[0] == actions[i]
        environments.step(actions)


@every_policy
def test_policies_without_latencies_do_not_look_at_them(name, env):
    taken = []
    for predictions in (1, 2):
        environments = batch(table(predictions), dispatch=ENVIRONMENTS[env])
        taken.append(play(make(name, environments), environments))
    same = taken[0].shape == taken[1].shape and bool((taken[0] == taken[1]).all())
    assert same == (EVERY[name].knowledge is not Knowledge.PREDICTED)


@every_policy
@both_modes
def test_capacity_is_that_of_what_the_policy_uses(name, env, choose_dataflow):
    environments = batch(table(), dispatch=ENVIRONMENTS[env], choose_dataflow=choose_dataflow)
    policy = make(name, environments)
    assert policy.name == EVERY[name].name
    assert isinstance(policy.knowledge, Knowledge)
    assert isinstance(policy.routing, Routing)
    rate = policy_capacity(environments.table, routing=policy.routing, choices=policy.choices)
    assert 0 < rate <= policy_capacity(environments.table) * (1 + 1e-9)
    play(policy, environments)
    used = set(environments.simulation.jobs["choice"].ravel().tolist())
    allowed = range(6) if policy.choices is None else policy.choices
    assert used <= set(allowed)


@pytest.mark.parametrize(("name", "env"), WITHOUT_BELIEF)
def test_a_last_job_on_an_idle_fleet_starts(name, env):
    shape = layout([0, 0, 1], dispatch=ENVIRONMENTS[env])
    observation, mask = situation(shape, [[30, 20, 10]], may_wait=False)
    reference = toys.table([[30, 20, 10]], owners=[0, 0, 1])
    action = make_policy(name, shape, table=reference).act(observation, mask)[0]
    assert mask[0, action]


@pytest.mark.parametrize("name", [name for name, env in WITHOUT_BELIEF if env == "queue"])
def test_the_mask_is_obeyed_where_a_plan_would_not(name):
    shape = layout([0, 0, 1], window=2)
    observation, mask = situation(shape, [[10, 10, 31], [20, 20, 25]])
    mask[:] = False
    mask[0, [2, 5]] = True  # accelerator 0 takes nothing, although it looks idle, and waiting is illegal
    policy = make_policy(name, shape, table=toys.table([[10, 10, 30]], owners=[0, 0, 1]))
    oldest_first = EVERY[name].knowledge is not Knowledge.PREDICTED
    assert policy.act(observation, mask).tolist() == [2 if oldest_first else 5]
