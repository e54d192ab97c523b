"""Policy iteration in near ties: which states are labelled and how, what is learned of them, and the training."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `agents`")

from gnnsched_agents.methods.lookahead_labels import Labels, joined, label
from gnnsched_agents.methods.near_ties import NEAR, OwnLookahead, typical_gap
from gnnsched_agents.methods.policy_iteration import PolicyIteration, scaled
from gnnsched_agents.methods.registry import PolicyIterationConfig
from gnnsched_agents.methods.trust_region import LEAST_NOISE, improve, ties_of
from gnnsched_agents.worlds import Workloads, make_world
from gnnsched_baselines.learned.pair_features import FEATURES, NUM_FEATURES
from gnnsched_baselines.learned.pair_network import BY_FEATURE, Network, initial_network, save_network
from gnnsched_baselines.learned.trained_policy import WEIGHTS, load_agent
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.scenario import load_scenario
from gnnsched_env.sim.belief import belief_of
from gnnsched_env.sim.rewards import episode_charges
from tests.agents.checkpoints import require_others_refused

WORKLOADS = Workloads(sets=2, classes=16, jobs=60)
TINY = PolicyIterationConfig(
    worlds=2, short=1, states=12, lanes=6, futures=2, arrivals=3, memory=2, passes=1, batch=16, width=4, share=0.5
)
NETWORK, _ = load_agent("queue_hetero4")


def world(load=0.9, lanes=4, steps=25):
    made = make_world(WORKLOADS, load_scenario("hetero4"), load, lanes, dataflow="predicted_best")
    made.reset(5)
    act = made.actor(NETWORK)
    for _ in range(steps):
        made.simulation.step(act())
    return made


def lookahead(gap, **options):
    return OwnLookahead(**{"futures": 3, "arrivals": 8, "candidates": 3, "network": NETWORK, "gap": gap, **options})


@pytest.mark.parametrize("gap", [1.0, 3.0, 1e9])
def test_near_ties_and_their_nearest_rows_are_tried(gap):
    made = world(lanes=64)
    reader = made.reader()
    count = reader.describe()
    rows, found = reader.rows[:count], 0
    for first, stop in pairwise(reader.starts):
        own = rows[first:stop]
        tried = lookahead(gap).tried(own)
        scores = NETWORK.scores(own, np.array([0, len(own)])).tolist()
        ranked = sorted(range(len(own)), key=lambda row: -scores[row])
        near = len(own) > 1 and scores[ranked[0]] - scores[ranked[1]] <= gap
        kept = [row for row in ranked[:3] if scores[ranked[0]] - scores[row] <= NEAR * gap]
        assert tried.tolist() == (kept if near else [])
        found += near
    assert found > 0


def test_equal_rows_are_one_action():
    """Idle accelerators of equal hardware have equal rows, whose scores are equal: that is no near tie."""
    row = np.random.default_rng(0).random((3, NUM_FEATURES)).astype(np.float32)
    scores = NETWORK.scores(row, np.array([0, 3]))
    best, second, last = np.argsort(-scores)
    copied = row[[best, last, best, second, second]]
    scores = NETWORK.scores(copied, np.array([0, 5]))  # the mean of all rows is another now
    gap = float(scores[0] - scores[3])
    assert lookahead(1.01 * gap, candidates=2).tried(copied).tolist() == [0, 3]
    assert lookahead(0.99 * gap).tried(copied).tolist() == []
    assert lookahead(1e9).tried(row[[best, best]]).tolist() == []


def test_the_policy_plays_the_futures_that_its_actions_begin():
    """One by one: a future for each of the tried actions and seeds, whose costs are means over them."""
    made, ahead = world(), lookahead(1e9)
    labels, _ = label(made, ahead, np.random.default_rng(2))
    seeds = np.random.default_rng(2).integers(0, 1 << 63, (4, 3)).astype(np.uint64)
    reader, state = made.reader(), 0
    reader.describe()
    for lane, (first, stop) in enumerate(pairwise(reader.starts)):
        if stop - first < 2:
            continue
        costs = labels.costs[labels.starts[state] : labels.starts[state + 1]]
        expected, counted = {}, 0.0
        for row in np.flatnonzero(np.isfinite(costs)):
            slot, accelerator = reader.pairs[first + row]
            action = made.layout.wait_action if slot < 0 else slot * made.layout.columns + accelerator
            played = []
            for seed in seeds[lane]:
                future = belief_of(made.simulation).futures(np.array([lane]), np.array([seed], np.uint64), 8)
                future.step(np.array([action]))
                act = made.player(future, NETWORK).act
                while not future.lanes["ended"].all():
                    future.step(act())
                assert made.simulation.lanes["arrived"][lane] + 8 < 60  # so it is cut
                spent = (future.jobs["finish"] - future.jobs["arrival"])[0].tolist()
                total, counted = sum(spent[:-8]), sum(one > 0 for one in spent[:-8])
                for place, one in enumerate(spent[-8:]):
                    share = 1.0 - (place + 0.5) / 8
                    total, counted = total + share * one, counted + share
                played.append(total)
            expected[row] = np.mean(played) / made.unit
        mean = np.mean(list(expected.values()))
        assert {row: cost - mean for row, cost in expected.items()} == pytest.approx(
            {row: float(costs[row]) for row in expected}, rel=1e-4, abs=1e-4
        )
        assert labels.charges[state] == pytest.approx(mean / counted, rel=1e-4)
        state += 1
    assert state == len(labels) > 1


def test_futures_that_end_with_the_episode_are_charged_as_they_are():
    made = world(load=0.5, steps=40)
    future = belief_of(made.simulation).futures(np.arange(4), np.arange(4, dtype=np.uint64), 100)
    lookahead(1.0).play(future, made, made.player(future, NETWORK).act().copy())
    plain = episode_charges(future.settings, future.jobs, future.lanes)
    jobs = future.jobs.shape[1]
    assert jobs > 10
    for arrivals in (jobs // 2, 2 * jobs):
        ahead, nowhere = lookahead(1.0, arrivals=arrivals), np.zeros(4, np.bool_)
        np.testing.assert_array_equal(ahead.charges(future, cut=nowhere), plain)
    ahead, cut = lookahead(1.0, arrivals=jobs // 2), np.array([True, False, True, False])
    assert ((ahead.charges(future, cut=cut) < plain) == cut).all()
    assert ahead.counted(np.full(4, 3), np.full(4, 10), cut=cut).tolist() == [8.0, 13.0, 8.0, 13.0]


def test_a_share_of_the_states_is_below_the_typical_gap():
    gap = typical_gap([world(load, lanes=16) for load in (0.5, 0.9)], NETWORK, 20, 0.3)
    wider = typical_gap([world(load, lanes=16) for load in (0.5, 0.9)], scaled(NETWORK, 4.0), 20, 0.3)
    assert wider == pytest.approx(4.0 * gap, rel=1e-4)
    made, near, all_states = world(0.7, lanes=64), 0, 0
    reader = made.reader()
    count = reader.describe()
    for first, stop in pairwise(reader.starts):
        all_states += stop - first > 1
        near += len(lookahead(gap).tried(reader.rows[:count][first:stop])) > 0
    assert 0.1 < near / all_states < 0.6


def labels_of(states, rng, noise=0.3):
    """Labels of states of three rows, which cost more the larger feature 4 is; the last row was not tried."""
    rows = rng.random((3 * states, NUM_FEATURES)).astype(np.float32)
    starts = np.arange(0, 3 * states + 1, 3)
    costs = (4.0 * rows[:, 4] + noise * rng.standard_normal(3 * states)).astype(np.float32)
    costs[2::3] = np.nan
    charges = np.full(states, 2.0, np.float32)
    errors = np.where(np.isfinite(costs), np.float32(noise), np.float32(np.nan))
    return Labels(rows=rows, starts=starts, costs=costs, errors=errors, charges=charges)


def test_labels_are_learned_relative_to_the_mean_completion():
    labels = labels_of(5, np.random.default_rng(0), noise=0.5)
    ties = ties_of(labels)
    assert ties.tried.tolist() == [True, True, False] * 5
    np.testing.assert_allclose(ties.losses[ties.tried], labels.costs[ties.tried] / 2.0)
    assert (ties.losses[~ties.tried] == 0.0).all()
    np.testing.assert_allclose(ties.weights, 1.0 / (LEAST_NOISE + 0.25))
    nothing = ties_of(labels_of(0, np.random.default_rng(0)))
    assert len(joined([nothing, ties])) == 5 and len(nothing) == 0


def learned(trust, noise=0.3, learning_rate=0.01):
    """The share of fresh states in which the cheaper tried row is taken after learning, and the figures."""
    rng = np.random.default_rng(1)
    start = initial_network(8, rng, prior=0.1)
    ties = ties_of(labels_of(1500, rng, noise))
    settings = {"passes": 4, "batch": 64, "learning_rate": learning_rate, "sharpness": 5.0}
    network, figures = improve(start, ties, np.random.default_rng(2), trust=trust, **settings)
    fresh = labels_of(500, np.random.default_rng(3), 0.0)
    scores = network.scores(fresh.rows, fresh.starts).reshape(-1, 3)[:, :2]
    return (scores.argmax(axis=1) == fresh.costs.reshape(-1, 3)[:, :2].argmin(axis=1)).mean(), figures


def test_what_costs_less_is_learned():
    share, figures = learned(trust=0.01)
    assert share > 0.9
    assert figures["gain"] > 0.2


def test_trust_keeps_to_the_policy_before():
    free, bound = learned(0.01)[1], learned(10.0)[1]
    assert 0.0 <= bound["kl"] < 0.1 * free["kl"]
    assert bound["gain"] < free["gain"]


def test_the_first_step_goes_down_the_gradient_of_the_objective():
    """Against finite differences of the objective, written out, in two worlds of which one is noisier."""
    rng = np.random.default_rng(4)
    start = initial_network(3, rng, prior=0.3)
    ties = joined([ties_of(labels_of(6, rng)), ties_of(labels_of(5, rng, noise=3.0))])
    assert len(set(ties.weights.tolist())) == 2

    def expected(skip):
        scores = replace(start, skip=skip).scores(ties.rows, ties.starts).reshape(-1, 3)[:, :2].astype(float) * 5.0
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        return float((ties.weights * (shares * ties.losses.reshape(-1, 3)[:, :2]).sum(axis=1)).mean())

    slopes = []
    for feature in range(NUM_FEATURES):
        step = np.zeros(NUM_FEATURES, np.float32)
        step[feature] = 1e-2
        slopes.append((expected(start.skip + step) - expected(start.skip - step)) / 2e-2)
    settings = {"passes": 1, "batch": 100, "learning_rate": 1e-3, "sharpness": 5.0, "trust": 1.0}
    moved, figures = improve(start, ties, np.random.default_rng(0), **settings)
    told = np.abs(slopes) > 1e-3  # Adam's first step is as long for all weights: its sign tells the gradient's
    assert told.sum() > 20
    assert (np.sign(moved.skip - start.skip)[told] == -np.sign(slopes)[told]).all()
    assert figures == {"gain": 0.0, "kl": 0.0}  # before the only step nothing has moved


def test_an_offset_of_all_scores_changes_nothing():
    """The linear part reads a feature that is 1 in every row."""
    rng = np.random.default_rng(5)
    labels, start = labels_of(300, rng), initial_network(4, rng, prior=0.1)
    labels.rows[:, 20] = 1.0
    settings = {"passes": 2, "batch": 64, "learning_rate": 0.01, "sharpness": 5.0, "trust": 0.01}
    gains = []
    for offset in (0.0, -12.0):
        skip = start.skip.copy()
        skip[20] = offset
        gains.append(
            improve(replace(start, skip=skip), ties_of(labels), np.random.default_rng(6), **settings)[1]["gain"]
        )
    assert gains[0] > 0.02
    assert gains[1] == pytest.approx(gains[0], rel=1e-3)


@pytest.mark.parametrize("states", [1, 2, 10, 11])
def test_any_number_of_steps_is_taken(states):
    rng = np.random.default_rng(7)
    start, ties = initial_network(4, rng), ties_of(labels_of(states, rng))
    settings = {"passes": 1, "batch": 1, "learning_rate": 0.01, "sharpness": 5.0, "trust": 0.0}
    moved, _ = improve(start, ties, rng, **settings)
    assert np.abs(moved.skip - start.skip).max() > 0.002


def test_weights_of_some_features_are_learned_alone():
    rng = np.random.default_rng(8)
    start, ties = replace(initial_network(4, rng), w3=np.ones(4)), ties_of(labels_of(50, rng))
    names = ("ending", "latency")
    columns = sorted(FEATURES.index(name) for name in names)
    settings = {"passes": 2, "batch": 10, "learning_rate": 0.01, "sharpness": 5.0, "trust": 0.01}
    moved, _ = improve(start, ties, rng, features=names, **settings)
    for name, before, after in zip(Network.__dataclass_fields__, start.arrays, moved.arrays, strict=True):
        changed = np.unique(np.nonzero(before != after)[0]).tolist()
        assert changed == (columns if name in BY_FEATURE else []), name


def test_an_iteration_labels_and_learns_and_remembers_the_latest():
    training = PolicyIteration(TINY, WORKLOADS, seed=0)
    figures = [training.update() for _ in range(3)]
    assert all(figure["decisions"] > 0 and figure["labelled"] >= 36 for figure in figures)
    assert all(np.isfinite(list(figure.values())).all() for figure in figures)
    assert len(training.memory) == 2
    assert sum(map(len, training.memory)) == sum(figure["labelled"] for figure in figures[1:])


def test_the_weights_are_an_average_over_the_latest_iterations():
    training = PolicyIteration(replace(TINY, average=0.6), WORKLOADS, seed=0)
    latest, shown = [], []
    for _ in range(4):
        training.update()
        latest.append(training._network.w1)
        shown.append(training.network().w1)
    expected = latest[0]
    for share, weights in zip((1 / 2, 0.4, 0.4), latest[1:], strict=True):
        expected = (1 - share) * expected + share * weights
    np.testing.assert_allclose(shown[-1], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(shown[1], (latest[0] + latest[1]) / 2, rtol=1e-5, atol=1e-7)
    plain = PolicyIteration(replace(TINY, average=0.0), WORKLOADS, seed=0)
    plain.update()
    assert plain.network() is plain._network or (plain.network().w1 == plain._network.w1).all()


@pytest.mark.long
@pytest.mark.slow
def test_a_training_goes_on_exactly(tmp_path):
    whole = PolicyIteration(TINY, WORKLOADS, seed=3)
    for i in range(3):
        whole.save(tmp_path / str(i))
        whole.update()
    for i in range(3):
        again = PolicyIteration(replace(TINY, workers=1 + i % 2), WORKLOADS, seed=3)
        again.load(tmp_path / str(i))
        for _ in range(3 - i):
            again.update()
        again.close()
        for one, other in zip(whole.network().arrays, again.network().arrays, strict=True):
            np.testing.assert_array_equal(one, other)


def test_it_starts_from_given_weights_which_decide_the_same_however_scaled(tmp_path):
    save_network(tmp_path / "start.npz", NETWORK, {})
    training = PolicyIteration(replace(TINY, weights=tmp_path / "start.npz"), WORKLOADS, 0)
    assert all((a == b).all() for a, b in zip(training.network().arrays, NETWORK.arrays, strict=True))
    made = world(steps=0)
    assert (made.play(made.actor(NETWORK), 3) == made.play(made.actor(scaled(NETWORK, 0.5)), 3)).all()


def test_weights_that_tell_no_actions_apart_are_refused(tmp_path):
    save_network(tmp_path / "flat.npz", scaled(NETWORK, 0.0), {})
    training = PolicyIteration(replace(TINY, weights=tmp_path / "flat.npz"), WORKLOADS, 0)
    with pytest.raises(ConfigError, match="weights must be weights that score the best two actions differently in 50%"):
        training.update()


def test_weights_of_a_dispatcher_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="weights must be weights for the environment queue"):
        PolicyIteration(replace(TINY, weights=WEIGHTS / "dispatch.npz"), WORKLOADS, 0)


def test_short_episodes_keep_to_loads_that_scenarios_have():
    config = replace(TINY, worlds=1, short=6, states=2)
    training = PolicyIteration(config, replace(WORKLOADS, loads=(1.2, 1.45)), 0)
    assert training.update()["labelled"] > 0


def test_jobs_may_cost_nothing():
    """Tardiness alone, with due times that nothing misses: all actions cost nothing."""
    scenario = load_scenario("hetero4").with_options(reward="tardiness", arrivals={"deadlines": [1e5, 1e6]})
    made = make_world(WORKLOADS, scenario, 0.6, 8, dataflow="predicted_best")
    made.reset(1)
    labels, _ = label(made, lookahead(1e9), np.random.default_rng(0))
    ties = ties_of(labels)
    assert (ties.losses == 0.0).all() and np.isfinite(ties.weights).all()


def test_other_checkpoints_are_refused(tmp_path):
    own, again = (PolicyIteration(TINY, WORKLOADS, seed=0) for _ in range(2))
    others = [PolicyIteration(replace(TINY, trust=3.0), WORKLOADS, seed=0), PolicyIteration(TINY, WORKLOADS, seed=1)]
    require_others_refused(tmp_path / "checkpoint", own, others, again)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"futures": 1}, "futures must be"),
        ({"candidates": 1}, "candidates must be"),
        ({"share": 0.0}, "share must be"),
        ({"memory": 0}, "memory must be"),
        ({"trust": -0.5}, "trust must be"),
        ({"arrivals": 0}, "arrivals must be"),
        ({"features": ("endings",)}, "entries of features must be one of .*did you mean"),
    ],
)
def test_bad_configs_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        PolicyIterationConfig(**change)
