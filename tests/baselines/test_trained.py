"""Trained policies: what they read, their network, their weights files, and that they decide alike in every way."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_baselines import make_policy
from gnnsched_baselines.actions import send_pairs
from gnnsched_baselines.assignment_playing import AssignmentPlayer
from gnnsched_baselines.learned import pair_kernels as kernels
from gnnsched_baselines.learned.lookahead import Lookahead
from gnnsched_baselines.learned.pair_features import FEATURES, MACHINE, NUM_FEATURES, TYPICAL, machine_features
from gnnsched_baselines.learned.pair_network import Network, initial_network, load_network, save_network
from gnnsched_baselines.learned.player import Player, Reader, fleet_kinds, scratch
from gnnsched_baselines.learned.trained_policy import ObservationReader, TrainedPolicy
from gnnsched_baselines.rollout import future_seeds
from gnnsched_env.common import store
from gnnsched_env.common.errors import ConfigError, FileFormatError, GnnSchedError
from gnnsched_env.envs import EnvBatch
from gnnsched_env.evaluation.runs import decide
from gnnsched_env.sim import fleet_capacity
from gnnsched_env.sim.belief import belief_of
from gnnsched_env.sim.rewards import episode_charges
from tests import toys
from tests.baselines.situations import batch
from tests.twins import trained as naive_trained

UNIT = 700.0


@st.composite
def situations(draw):
    """Draw (latencies, remaining, idle, behind, may_wait, to_come, gap, machines); all times differ: no plan ties."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    jobs, fleet = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    latencies = 1.0 + np.exp(rng.normal(6.0, 2.0, (jobs, fleet)))
    idle = rng.random(fleet) < draw(st.sampled_from([0.3, 0.7, 1.0]))
    remaining = np.where(idle, 0.0, np.exp(rng.normal(6.0, 2.0, fleet)))
    machines = np.concatenate(
        [rng.random((fleet, MACHINE.typical)), np.exp(rng.normal(6.0, 2.0, (fleet, TYPICAL)))], axis=1
    )
    for name in ("rate", "spread", "fleet_size", "unlike", "tail", "error"):
        machines[:, getattr(MACHINE, name)] = machines[0, getattr(MACHINE, name)]
    machines[:, MACHINE.rate] = 1 / 300.0
    flags = draw(st.integers(0, 99)), draw(st.booleans()), draw(st.integers(0, 20))
    return latencies, remaining, idle, *flags, float(np.exp(rng.normal(5.0, 1.0))), machines


def described(latencies, remaining, idle, behind, may_wait, to_come, gap, machines):
    """Return what the kernel writes for one lane: rows by feature, and pairs."""
    jobs, fleet = latencies.shape
    rows, pairs = np.empty((jobs * fleet + 1, NUM_FEATURES), np.float32), np.empty((jobs * fleet + 1, 2), np.int64)
    starts, order = np.zeros(2, np.int64), np.empty(jobs * fleet + 1, np.int64)
    kinds = fleet_kinds(machines, range(fleet), merged=False)
    count = kernels.describe_beliefs(
        latencies[np.newaxis], remaining[np.newaxis], idle[np.newaxis], np.array([jobs]), np.array([behind]),
        np.array([may_wait]), np.array([to_come]), np.array([gap]), np.zeros(1, kernels.CONTEXT), machines, UNIT, kinds,
        scratch(jobs, kinds), rows, pairs, order, starts,
    )  # fmt: skip
    assert starts.tolist() == [0, count]
    return rows[:count], pairs[:count]


@pytest.mark.kernels
@given(situations())
@settings(deadline=None)
def test_rows_agree_with_the_naive_ones(case):
    latencies, remaining, idle, behind, may_wait, to_come, gap, machines = case
    rows, pairs = described(*case)
    expected = naive_trained.rows(
        latencies.tolist(), remaining.tolist(), idle.tolist(),
        may_wait=may_wait, to_come=to_come, gap=gap, machines=machines.tolist(), unit=UNIT, behind=behind,
    )  # fmt: skip
    assert pairs.tolist() == [[slot, accelerator] for _, slot, accelerator in expected]
    values = np.array([[row[name] for name in FEATURES] for row, _, _ in expected])
    np.testing.assert_allclose(rows, values, rtol=1e-5, atol=1e-5)


@st.composite
def networks(draw, width=None):
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    own = initial_network(draw(st.sampled_from([1, 8, 16, 35])) if width is None else width, rng)
    arrays = {name: rng.normal(0, 0.5, np.shape(getattr(own, name))) for name in own.__dataclass_fields__}
    return Network(**arrays)


@pytest.mark.slow
@pytest.mark.kernels
@given(networks(), st.lists(st.integers(0, 6), min_size=1, max_size=4), st.integers(0, 1 << 32))
@settings(deadline=None, max_examples=30)
def test_compiled_and_numpy_scores_agree_with_the_naive_ones(network, sizes, seed):
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows = np.random.default_rng(seed).normal(size=(starts[-1], NUM_FEATURES)).astype(np.float32)
    expected = [
        score
        for first, stop in pairwise(starts)
        if stop > first
        for score in naive_trained.scores(network, rows[first:stop].tolist())
    ]
    np.testing.assert_allclose(network.scores(rows, starts), expected, rtol=1e-4, atol=1e-5)
    width, compiled = len(network.b1), []
    for first, stop in pairwise(starts):
        if stop > first:
            scores = np.empty(stop - first, np.float32)
            hidden = np.empty((stop - first, width), np.float32)
            pooled = np.empty((2, width), np.float32)
            own = rows[first:stop], stop - first, np.arange(stop - first), stop - first
            kernels.score(*own, *network.arrays, hidden, pooled, scores)
            compiled += scores.tolist()
    np.testing.assert_allclose(compiled, expected, rtol=1e-4, atol=1e-5)


def world(noise=0.0, **options):
    table = replace(toys.random_table(np.random.default_rng(3)), noise=noise)
    made = batch(table, dispatch=False, jobs=40, window=6, **options)
    return made, machine_features(made.table), made.table.mean_shortest_predicted


def shown_classes(made, lane):
    """Return the classes of the jobs that a lane's window shows."""
    record = made.simulation.lanes[lane]
    shown = min(record["waiting"], made.layout.window)
    return made.simulation.queue[lane, record["head"] :][:shown]["job_class"].tolist()


def meaning(made, lane, action):
    """Return (class, column) of an action, None of waiting."""
    slot, column = divmod(action, made.layout.columns)
    return None if action == made.layout.wait_action else (shown_classes(made, lane)[slot], column)


def test_rows_of_observations_are_those_of_the_state():
    made, machines, unit = world()
    reader = Reader(made.simulation, made.layout, machines, unit)
    observed = ObservationReader(made.layout, made.table)
    rng = np.random.default_rng(0)
    seen = 0
    while not made.ended.any():
        count = reader.describe()
        _, rows, pairs, starts = observed.describe(made.observation, made.mask)
        np.testing.assert_array_equal(pairs, reader.pairs[:count])
        np.testing.assert_array_equal(starts, reader.starts)
        for lane in range(len(made.mask)):
            if len(set(shown_classes(made, lane))) == len(shown_classes(made, lane)):  # or else plans tie
                own = slice(starts[lane], starts[lane + 1])
                np.testing.assert_allclose(rows[own], reader.rows[own], atol=2e-3)
                seen += own.stop - own.start
        made.step(np.array([rng.choice(np.flatnonzero(mask)) for mask in made.mask]))
    assert seen > 200


@pytest.mark.parametrize("choose_dataflow", [True, False])
def test_the_player_decides_as_the_policy(choose_dataflow):
    made, machines, unit = world(choose_dataflow=choose_dataflow)
    network = random_network()
    policy = TrainedPolicy(made.layout, table=made.table, network=network)
    player = Player(made.simulation, made.layout, machines, unit, network.arrays)
    taken = set()
    while not made.ended.any():
        actions = policy.act(made.observation, made.mask)
        for lane, pair in enumerate(zip(actions.tolist(), player.act().tolist(), strict=True)):
            one, other = (meaning(made, lane, action) for action in pair)
            assert one == other  # which of several jobs of a class does not matter
        assert made.mask[np.arange(len(actions)), actions].all()
        taken |= set(actions.tolist())
        made.step(actions)
    assert made.layout.wait_action in taken and len(taken) > 3


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_the_initial_network_does_what_assignment_does(noise):
    made, machines, unit = world(noise)
    network = initial_network(8, np.random.default_rng(0))
    player = Player(made.simulation, made.layout, machines, unit, network.arrays)
    reference = AssignmentPlayer(made.simulation, made.layout)
    policy = make_policy("assignment", made.layout)  # which reads observations
    while not made.ended.all():
        np.testing.assert_array_equal(player.act()[~made.ended], reference.actions()[~made.ended])
        observed = policy.act(made.observation, made.mask).tolist()
        for lane in np.flatnonzero(~made.ended).tolist():
            assert meaning(made, lane, observed[lane]) == meaning(made, lane, int(reference.actions()[lane]))
        made.step(reference.actions().copy())


def test_order_of_rows_changes_no_score():
    rng = np.random.default_rng(5)
    network = Network(**{name: rng.normal(0, 0.5, np.shape(value)) for name, value in _arrays(4).items()})
    rows = rng.normal(size=(6, NUM_FEATURES)).astype(np.float32)
    order = rng.permutation(6)
    scores = network.scores(rows, np.array([0, 6]))
    np.testing.assert_allclose(network.scores(rows[order], np.array([0, 6])), scores[order], rtol=1e-5)


def test_machine_features():
    table = toys.table([[10, 40, 20], [80, 10, 10]], owners=[0, 1, 1], weights=[3.0, 1.0])
    features = machine_features(table)
    # The first class (three jobs of four) is 2 times slower on accelerator 1, the second 8 times slower on 0.
    np.testing.assert_allclose(features[:, 1:3], [[0.25 * 3, 2 * 0.75], [0.75 * 1, 2 * 0.25]])
    capacity = fleet_capacity(table.predicted_cycles, table.weights, table.choice_accelerators)
    np.testing.assert_allclose(features[:, 0], 2 * capacity.prices)
    assert (features[:, 3] == capacity.rate).all()
    assert (features[:, 4] == 0.0).all()  # both classes take 10 cycles where they are best
    # Of twelve equal shares of the jobs, the first nine are of the first class.
    np.testing.assert_array_equal(features[:, MACHINE.typical :], [[10] * 9 + [80] * 3, [20] * 9 + [10] * 3])


def _arrays(width):
    return {
        name: getattr(initial_network(width, np.random.default_rng(0)), name) for name in Network.__dataclass_fields__
    }


def test_weights_survive_their_file(tmp_path):
    network = initial_network(5, np.random.default_rng(2))
    save_network(tmp_path / "a.npz", network, {"hours": 1.5})
    found, card = load_network(tmp_path / "a.npz")
    assert all(np.array_equal(one, other) for one, other in zip(network.arrays, found.arrays, strict=True))
    assert card["hours"] == 1.5 and card["features"] == list(FEATURES)


def test_what_plays_reads_no_features_beyond_the_last_that_counts():
    """So that weights from before a feature decide as before, to the last bit."""
    network = random_network()
    few = NUM_FEATURES - 8
    arrays = {name: getattr(network, name).copy() for name in network.__dataclass_fields__}
    arrays["w1"][few:], arrays["skip"][few:] = 0.0, 0.0
    w1, *_, skip = Network(**arrays).read
    assert len(w1) == len(skip) == few
    np.testing.assert_array_equal(w1, network.w1[:few])
    arrays["skip"][-1] = 1.0
    assert all(len(Network(**arrays).read[place]) == NUM_FEATURES for place in (0, -1))
    made, machines, unit = world()
    policy = Player(made.simulation, made.layout, machines, unit, network.read)
    whole = Player(made.simulation, made.layout, machines, unit, network.arrays)
    np.testing.assert_array_equal(policy.act(), whole.act())


def test_accelerators_are_alike_as_far_as_their_latencies_are():
    table = toys.table([[10, 10, 20, 40]], owners=[0, 1, 2, 3], weights=[1.0])
    alike = machine_features(table)[:, MACHINE.alike]
    np.testing.assert_allclose(
        alike, np.array([2 + 1 / 4 + 1 / 16, 2 + 1 / 4 + 1 / 16, 1 + 3 / 4, 1 + 1 / 4 + 2 / 16]) / 4
    )
    told = machine_features(table)[0]
    np.testing.assert_allclose(
        told[[MACHINE.fleet_size, MACHINE.unlike, MACHINE.tail, MACHINE.error]], [0.5, 0.1875, 0, 0]
    )
    errors = np.linspace(-0.2, 0.2, 200)[:, np.newaxis] * np.ones(4)
    known = machine_features(replace(table, log_errors=errors))[:, MACHINE.error]
    np.testing.assert_allclose(known, errors[:, 0].std())


def test_the_tail_tells_how_far_the_mean_is_above_the_geometric_mean():
    table = toys.table([[4, 8], [64, 32]], owners=[0, 1], weights=[1.0, 1.0])
    np.testing.assert_allclose(machine_features(table)[:, MACHINE.tail], (np.log2(18) - 3.5) / 4)


def test_features_of_a_file_are_found_by_name(tmp_path):
    """A file that names its features in another order is the same network; those that it lacks count nothing."""
    network, path = random_network(), tmp_path / "a.npz"
    save_network(path, network, {})
    order = np.random.default_rng(0).permutation(NUM_FEATURES)
    named = [FEATURES[k] for k in order]
    _spoil(path, about={"features": named}, w1=network.w1[order], skip=network.skip[order])
    found, _ = load_network(path)
    assert all(np.array_equal(one, other) for one, other in zip(network.arrays, found.arrays, strict=True))
    few = order[:7]
    _spoil(path, about={"features": named[:7]}, w1=network.w1[few], skip=network.skip[few])
    found, _ = load_network(path)
    unread = np.setdiff1d(np.arange(NUM_FEATURES), few)
    assert np.array_equal(found.w1[few], network.w1[few]) and np.array_equal(found.skip[few], network.skip[few])
    assert not found.w1[unread].any() and not found.skip[unread].any()


class Executes:
    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was executed')",)


def _spoil(path, about=None, **changes):
    """Write a weights file again with parts of its manifest changed, and arrays changed, or dropped where None."""
    stored = store.load(path, store.WEIGHTS)
    arrays = {name: value for name, value in {**stored.arrays, **changes}.items() if value is not None}
    store.save(path, store.WEIGHTS, {**stored.manifest, **(about or {})}, arrays)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"about": {"observation_version": 1}}, "observation_version 1"),
        ({"about": {"features": ["weight", *FEATURES[1:]]}}, "read the feature 'weight', which"),
        ({"about": {"features": ["to_com", *FEATURES[1:]]}}, r"did you mean 'to_come'\?"),
        (
            {"about": {"features": list(FEATURES[1:])}},
            f"w1 must have a row for each of {NUM_FEATURES - 1} features, got",
        ),
        ({"about": {"features": [*FEATURES[1:], FEATURES[1]]}}, "features must be a list of names that differ"),
        ({"about": {"features": None}}, "features must be a list of names that differ, got None"),
        ({"about": {"version": 99}}, "version must be 1, got 99"),
        ({"w3": None}, "w3 not found"),
        ({"w3": np.zeros(4)}, r"w3 must be of shape \[5\], got \[4\]"),
        ({"w1": np.zeros((3, 5))}, "w1 must have a row for each"),
        ({"w1": np.zeros((NUM_FEATURES, 4))}, "w1 must be of shape"),
        ({"b2": np.full(5, np.nan)}, "b2 must hold finite numbers"),
        ({"b1": np.zeros((5, 5))}, "b1 must have 1 to"),
        ({"b1": np.array(["a"] * 5)}, "b1 must be an array of numbers, got <U1"),
    ],
)
def test_bad_weights_are_refused(tmp_path, changes, message):
    path = tmp_path / "bad.npz"
    save_network(path, initial_network(5, np.random.default_rng(0)), {})
    _spoil(path, **changes)
    with pytest.raises(FileFormatError, match=message) as error:
        load_network(path)
    assert str(path) in str(error.value)


def test_files_that_are_no_weights_are_refused(tmp_path):
    whole = tmp_path / "whole.npz"
    save_network(whole, initial_network(5, np.random.default_rng(0)), {})
    for name, content in (("cut.npz", whole.read_bytes()[:-300]), ("text.npz", b"hello"), ("empty.npz", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileFormatError, match=name):
            load_network(tmp_path / name)
    with (tmp_path / "single.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with np.load(whole) as file:
        np.savez(tmp_path / "pickle.npz", **{**file, "w2": np.array(Executes(), object)})
    with pytest.raises(FileFormatError, match="array 'w2' is pickled"):
        load_network(tmp_path / "pickle.npz")
    with pytest.raises(FileFormatError, match=r"single\.npz: must be an npz archive"):
        load_network(tmp_path / "single.npz")
    with pytest.raises(FileFormatError, match=r"none\.npz: cannot be read: No such file"):
        load_network(tmp_path / "none.npz")


def random_network(seed=1):
    rng = np.random.default_rng(seed)
    return Network(**{name: rng.normal(0, 0.5, np.shape(value)) for name, value in _arrays(4).items()})


def mean_completion(policy_of, **options):
    """Return the mean completion of a batch's jobs under a policy that is told the belief."""
    made, _, _ = world(lanes=8, **options)
    policy = policy_of(made)
    while not made.ended.all():
        made.step(decide(made, policy))
    jobs = made.simulation.jobs
    return (jobs["finish"] - jobs["arrival"]).mean()


def test_looking_ahead_follows_the_policy_in_its_futures():
    made, _, _ = world(lanes=2)
    network = random_network()
    ahead = Lookahead(made.layout, table=made.table, network=network, futures=3, arrivals=9)
    for _ in range(12):
        made.step(made.mask.argmax(axis=1))
    belief = belief_of(made.simulation)
    options = [np.flatnonzero(mask)[[0, -1]] for mask in made.mask]
    tried = ahead._try(belief, [0, 1], options)
    seeds = future_seeds(belief, 0, 3)
    for lane, actions in enumerate(options):
        for row, action in enumerate(actions):
            future = belief.futures(np.full(3, lane), seeds[lane], 9)
            future.step(np.full(3, action))
            played = EnvBatch.around(future)
            policy = TrainedPolicy(played.layout, table=played.table, network=network)
            while not played.ended.all():
                played.step(policy.act(played.observation, played.mask))
            np.testing.assert_allclose(tried[lane][row], episode_charges(future.settings, future.jobs, future.lanes))


@pytest.mark.slow
def test_looking_ahead_mends_a_bad_policy():
    network = random_network()
    plain = mean_completion(lambda made: TrainedPolicy(made.layout, table=made.table, network=network))
    ahead = mean_completion(
        lambda made: Lookahead(made.layout, table=made.table, network=network, futures=8, arrivals=10, candidates=6)
    )
    assert ahead < 0.9 * plain


def test_looking_ahead_tries_the_best_scored_actions():
    made, _, _ = world()
    network = random_network()
    ahead = Lookahead(made.layout, table=made.table, network=network, candidates=3)
    reader = ObservationReader(made.layout, made.table, pools=network.pools)
    seen = 0
    for _ in range(40):
        beliefs, rows, pairs, starts = reader.describe(made.observation, made.mask)
        scores = network.scores(rows, starts)
        tried = ahead._candidates(made.observation, made.mask)
        for lane, (first, stop) in enumerate(pairwise(starts)):
            best = pairs[first:stop][np.argsort(-scores[first:stop], kind="stable")[:3]]
            expected = [send_pairs_of(made, beliefs, lane, pair) for pair in best]
            assert tried[lane].tolist() == expected + [expected[0]] * (3 - len(expected))
            seen += len(expected) == 3
        made.step(tried[:, 0].copy())
    assert seen > 10


def send_pairs_of(made, beliefs, lane, pair):
    """Return the action of one lane's pair."""
    slots, accelerators = np.full(len(made.mask), -1), np.zeros(len(made.mask), np.int64)
    slots[lane], accelerators[lane] = pair
    return int(send_pairs(made.layout, made.observation, made.mask, beliefs, (slots, accelerators))[lane])


def test_looking_ahead_refuses_bad_options():
    made, _, _ = world()
    with pytest.raises(ConfigError, match="candidates must be an integer of at least 2, got 1"):
        Lookahead(made.layout, table=made.table, network=random_network(), candidates=1)
    with pytest.raises(ConfigError, match="lookahead: futures must be an integer"):
        Lookahead(made.layout, table=made.table, network=random_network(), futures=1)
    with pytest.raises(ConfigError, match="table"):
        Lookahead(made.layout, table=None, network=random_network())
    with pytest.raises(GnnSchedError, match="needs observe_belief"):
        Lookahead(made.layout, table=made.table, network=random_network()).act(made.observation, made.mask)


def test_policies_by_name(tmp_path):
    made, _, _ = world()
    save_network(tmp_path / "own.npz", initial_network(5, np.random.default_rng(0)), {})
    policy = make_policy(f"agent:{tmp_path / 'own.npz'}", made.layout, table=made.table)
    reference = make_policy("assignment", made.layout)
    np.testing.assert_array_equal(policy.act(made.observation, made.mask), reference.act(made.observation, made.mask))
    assert isinstance(make_policy(f"lookahead:{tmp_path / 'own.npz'}", made.layout, table=made.table), Lookahead)
    with pytest.raises(ConfigError, match="table"):
        make_policy(f"agent:{tmp_path / 'own.npz'}", made.layout)
    with pytest.raises(ConfigError, match="made for queue, not for dispatch"):
        made = batch(toys.random_table(np.random.default_rng(3)), dispatch=True)
        make_policy(f"agent:{tmp_path / 'own.npz'}", made.layout, table=made.table)
    with pytest.raises(ConfigError, match="unknown agent 'queue_hetero5'"):
        make_policy("agent:queue_hetero5", made.layout, table=made.table)
