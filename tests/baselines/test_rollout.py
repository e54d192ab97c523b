"""rollout: its candidates, its futures and its choice, each against a slow twin; and better than its base."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_baselines import make_policy
from gnnsched_baselines.assignment_plan import first_in_line
from gnnsched_baselines.assignment_playing import AssignmentPlayer, play_out
from gnnsched_baselines.rollout import clearly_best, future_seeds
from gnnsched_env.common.errors import GnnSchedError
from gnnsched_env.predictors import default_table
from gnnsched_env.sim.belief import belief_of
from tests import toys
from tests.baselines.situations import batch, decide, layout, mean_completion, play, situation
from tests.envs.environments import hetero_table
from tests.twins import policies as naive_policies

OPTIONS = {"futures": 4, "arrivals": 5, "margin": 0.5}

OBJECTIVES = (
    {},
    {"completion": 0.0, "weighted": 1.0, "priorities": ((1.0, 0.7), (9.0, 0.3))},
    {"completion": 0.5, "tardiness": 2.0, "slack": (100.0, 3000.0)},
    {"completion": 0.0, "energy": 0.5},
)


@st.composite
def environments(draw):
    """Return a batch of environments of Queue-v0, fleets that fail often among them."""
    table = toys.random_table(np.random.default_rng(draw(st.integers(0, 50))), noise=0.3)
    table = replace(table, energy_pj=table.true_cycles[::-1] * 2.5)
    longest = float(max(table.true_cycles.max(), table.predicted_cycles.max()))
    failures = draw(st.sampled_from([{}, {"mean_up": longest / 4, "mean_down": longest / 8}]))
    return batch(
        table,
        dispatch=False,
        lanes=draw(st.integers(1, 3)),
        jobs=draw(st.integers(3, 12)),
        window=draw(st.integers(1, 4)),
        load=draw(st.sampled_from([0.5, 1.2])),
        choose_dataflow=draw(st.booleans()),
        shortest_first=draw(st.booleans()),
        settings=draw(st.sampled_from(OBJECTIVES)) | failures,
    )


def shown_classes(simulation, shape, i):
    """Return the classes of the jobs that the window shows."""
    lane = simulation.lanes[i]
    waiting = simulation.queue[i, lane["head"] : lane["head"] + min(lane["waiting"], shape.window)]
    return waiting["job_class"].tolist()


def naive_action(simulation, shape, i, c=0.5):
    """Return what `assignment` does in one lane of a simulation, from its jobs and accelerators."""
    lane, fleet = simulation.lanes[i], simulation.accelerators[i]
    classes, owners = shown_classes(simulation, shape, i), range(shape.num_accelerators)
    if lane["ended"]:
        return shape.wait_action
    own = [[naive_shortest(simulation, number, a) for a in owners] for number in classes]
    latencies = [[cycles for cycles, _ in row] for row in own]
    idle = [bool(fleet["up"][a]) and fleet["job"][a] < 0 for a in owners]
    remaining = [0 if fleet["up"][a] else simulation.config.mean_down // 1 for a in owners]
    for a in owners:
        if fleet["job"][a] >= 0:
            remaining[a] = max(0, fleet["believed_finish"][a] - lane["time"])
    slot, owner = np.full(1, -1), np.zeros(1, np.int64)
    situation = np.array([latencies], float), np.array([remaining], float), np.array([idle]), np.array([len(classes)])
    first_in_line(*situation, c, slot, owner)
    slot, owner = int(slot[0]), int(owner[0])
    if slot < 0 and (lane["arrived"] < simulation.config.jobs or (fleet["job"] >= 0).any()):
        return shape.wait_action
    if slot < 0:
        _, slot, owner = min((latencies[w][a], w, a) for w in range(len(classes)) for a in owners if idle[a])
    return slot * shape.columns + (own[slot][owner][1] if shape.choose_dataflow else owner)


def naive_shortest(simulation, number, accelerator):
    """Return (cycles, choice) of a class's smallest predicted latency on an accelerator."""
    owners = simulation.choice_accelerators
    return min((cycles, k) for k, cycles in enumerate(simulation.predicted[number]) if owners[k] == accelerator)


@pytest.mark.slow
@pytest.mark.kernels
@given(environments(), st.integers(0, 12))
@settings(max_examples=40)
def test_playing_on_is_what_assignment_does(environment, steps):
    policy = make_policy("sjf", environment.layout)
    for _ in range(steps):
        environment.step(policy.act(environment.observation, environment.mask))
    simulation, shape = environment.simulation, environment.layout
    player = AssignmentPlayer(simulation, shape)
    while not simulation.lanes["ended"].all():
        actions = player.actions()
        assert actions.tolist() == [naive_action(simulation, shape, i) for i in range(len(actions))]
        simulation.step(actions)


def naive_rollout(environment, policy, i):
    """Return the action of one lane: every candidate tried on one future after another."""
    belief, shape = belief_of(environment.simulation), environment.layout
    simulation, mask = environment.simulation, environment.mask[i]
    observed = {name: array[i : i + 1] for name, array in environment.observation.items()}
    base = int(make_policy("assignment", shape).act(observed, environment.mask[i : i + 1])[0])
    costs = {}
    for action in {base, *naive_candidates(simulation, shape, mask, i)}:
        costs[action] = []
        for seed in future_seeds(belief, policy.seed, policy.futures)[i]:
            future = belief.futures(np.array([i]), np.array([seed]), policy.arrivals)
            future.step(np.array([action]))
            while not future.lanes["ended"][0]:
                future.step(np.array([naive_action(future, shape, 0)]))
            costs[action].append(naive_charge(future))
    return naive_policies.clearly_best(costs, base, policy.margin)


def naive_charge(future):
    """Return what the objective charges for the jobs of a simulation's only lane."""
    prices = future.config
    total = prices.energy * float(future.lanes["total_energy"][0])
    for job in future.jobs[0]:
        completion = int(job["finish"] - job["arrival"])
        total += (prices.completion + prices.weighted * float(job["weight"])) * completion
        total += prices.tardiness * max(0, int(job["finish"] - job["due"]))
    return total


def naive_candidates(simulation, shape, mask, i):
    """Return the legal actions that are tried beside the base policy's."""
    classes = shown_classes(simulation, shape, i)
    found = {shape.wait_action} if mask[shape.wait_action] else set()
    for a in range(shape.num_accelerators):
        own = [naive_shortest(simulation, number, a) for number in classes]
        fit = [cycles / min(simulation.predicted[number]) for (cycles, _), number in zip(own, classes, strict=True)]
        slots = range(len(classes))
        for slot in (
            min(slots, key=lambda slot: own[slot][0], default=None),
            min(slots, key=lambda slot: (fit[slot], own[slot][0]), default=None),
        ):
            if slot is None:
                continue
            action = slot * shape.columns + (own[slot][1] if shape.choose_dataflow else a)
            found |= {action} if mask[action] else set()
    return found


@pytest.mark.slow
@pytest.mark.kernels
@given(environments(), st.integers(0, 10))
@settings(max_examples=25)
def test_it_decides_as_its_slow_twin(environment, steps):
    sjf, policy = make_policy("sjf", environment.layout), make_policy("rollout", environment.layout, **OPTIONS)
    for _ in range(steps):
        environment.step(sjf.act(environment.observation, environment.mask))
    for _ in range(3):
        actions = decide(policy, environment)
        for i, action in enumerate(actions.tolist()):
            if not environment.ended[i]:
                assert action == naive_rollout(environment, policy, i)
        environment.step(actions)


@pytest.mark.slow
@pytest.mark.kernels
@given(
    st.lists(st.lists(st.integers(0, 30), min_size=4, max_size=4), min_size=1, max_size=5),
    st.sampled_from([0.0, 1.0, 1.5]),
)
@settings(max_examples=200)
def test_the_choice_is_the_twins(costs, margin):
    expected = naive_policies.clearly_best(dict(enumerate(costs)), 0, margin)
    assert clearly_best(np.array(costs), margin) == expected


def test_what_may_be_luck_counts_for_nothing():
    costs = np.array([[10, 20, 30, 40], [9, 19, 29, 39], [0, 0, 33, 43]])
    assert clearly_best(costs, 1.5) == 1  # always 1 less; the other 6 less on average, with an error of about 7.5
    assert clearly_best(costs, 0.5) == 2
    assert clearly_best(costs[[1, 0]], 0.0) == 0


@pytest.mark.slow
def test_it_leaves_its_base_where_that_is_clearly_worse():
    environment = batch(hetero_table(), dispatch=False, lanes=4, jobs=40, window=8)
    base, policy = make_policy("assignment", environment.layout), make_policy("rollout", environment.layout)
    differs = 0
    while not environment.ended.all():
        actions = decide(policy, environment)
        differs += int((actions != base.act(environment.observation, environment.mask)).sum())
        environment.step(actions)
    assert differs > 0


def test_a_margin_that_nothing_passes_leaves_the_base():
    taken = []
    for name, options in (("assignment", {}), ("rollout", {"margin": 1e9, "futures": 3, "arrivals": 5})):
        environment = batch(hetero_table(), dispatch=False, lanes=3, jobs=30, window=8)
        taken.append(play(make_policy(name, environment.layout, **options), environment).tolist())
    assert taken[0] == taken[1]


@pytest.mark.slow
def test_it_is_better_than_its_base():
    means = []
    for name, options in (("assignment", {}), ("rollout", {"futures": 16, "arrivals": 30})):
        environment = batch(default_table("hetero4"), dispatch=False, lanes=16, jobs=100, window=32, load=0.8)
        play(make_policy(name, environment.layout, **options), environment)
        means.append(mean_completion(environment))
    assert means[1] < 0.99 * means[0]


def test_seeds_differ_from_decision_to_decision_and_with_the_policys_own():
    environment = batch(hetero_table(), dispatch=False, lanes=2)
    first = belief_of(environment.simulation)
    environment.step(np.full(2, environment.layout.wait_action))
    second = belief_of(environment.simulation)
    seeds = [future_seeds(belief, seed, 5) for belief in (first, second) for seed in (0, 1)]
    assert len(np.unique(seeds)) == 4 * 2 * 5
    assert (future_seeds(first, 0, 5) == seeds[0]).all()


def test_without_a_belief_it_says_so():
    shape = layout([0, 1])
    observation, mask = situation(shape, [[1, 2]])
    with pytest.raises(GnnSchedError, match="rollout: needs observe_belief"):
        make_policy("rollout", shape).act(observation, mask)


def test_a_belief_serves_one_decision():
    environment = batch(hetero_table(), dispatch=False, lanes=2)
    policy = make_policy("rollout", environment.layout, **OPTIONS)
    decide(policy, environment)
    with pytest.raises(GnnSchedError, match="rollout: needs observe_belief"):
        policy.act(environment.observation, environment.mask)


def test_a_belief_of_other_lanes_is_refused():
    environment = batch(hetero_table(), dispatch=False, lanes=2)
    policy = make_policy("rollout", environment.layout)
    policy.observe_belief(belief_of(environment.simulation))
    one = {name: array[:1] for name, array in environment.observation.items()}
    with pytest.raises(GnnSchedError, match="the belief must be of 1 lanes, got 2"):
        policy.act(one, environment.mask[:1])


def test_play_out_takes_the_first_actions():
    environment = batch(hetero_table(), dispatch=False, lanes=2, jobs=12)
    belief = belief_of(environment.simulation)
    future = belief.futures(np.zeros(2, np.int64), np.zeros(2, np.uint64), 5)
    wait = environment.layout.wait_action
    play_out(future, environment.layout, np.array([0, wait]))
    assert future.lanes["ended"].tolist() == [1, 1]
    first = future.jobs[:, 0]
    assert first["start"][0] == belief.lanes["time"][0] < first["start"][1]
