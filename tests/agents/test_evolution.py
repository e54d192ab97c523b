"""Evolution strategies: what a generation computes, that it learns, that it goes on exactly."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_agents.methods.evolution import (
    Evolution,
    Place,
    Task,
    centred_ranks,
    flatten,
    levelled,
    play_task,
    step_scale,
    unflatten,
)
from gnnsched_agents.methods.registry import EvolutionConfig
from gnnsched_agents.worlds import RANDOM, Workloads, fewer, make_world, training_scenario
from gnnsched_baselines import make_policy
from gnnsched_baselines.assignment_playing import AssignmentPlayer
from gnnsched_baselines.learned.pair_features import FEATURES, NUM_FEATURES
from gnnsched_baselines.learned.pair_network import DISPATCH, QUEUE, initial_network, load_network, save_network
from gnnsched_baselines.learned.player import Player
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.progress import no_progress
from gnnsched_env.envs import EnvBatch
from gnnsched_env.scenario.random_scenarios import random_scenario
from tests.twins import evolution as naive_evolution

TINY = Workloads(sets=2, classes=12, jobs=25, window=8)
SMALL = EvolutionConfig(width=3, pairs=3, worlds=2, lanes=2, sigma=0.3)
VALUES = st.lists(st.sampled_from([-3.5, -1.0, 0.0, 0.25, 7.0]), min_size=1, max_size=12)


class Bowl(Evolution):
    """Evolution of weights whose cost is their distance from ones, the world left out."""

    def _play(self, members, rng):
        self.members = members
        costs = np.array([np.sqrt(np.mean((flatten(member) - 1.0) ** 2)) for member in members])
        return costs[:, np.newaxis], len(members)


def misguided(path):
    """Write weights that start the longest job first, and return their path."""
    network = initial_network(2, np.random.default_rng(0), prior=0.0)
    skip = np.zeros(NUM_FEATURES, np.float32)
    skip[FEATURES.index("latency")] = 0.5
    save_network(path, replace(network, skip=skip), {})
    return path


@given(VALUES)
def test_ranks_are_those_of_the_twin(values):
    ranks = centred_ranks(np.array(values))
    np.testing.assert_allclose(ranks, [naive_evolution.centred_rank(value, values) for value in values], atol=1e-12)


def test_ranks_do_not_see_how_far_values_are_apart():
    np.testing.assert_array_equal(centred_ranks(np.array([5.0, -1.0, 1e9])), [0.0, -0.5, 0.5])


def test_a_world_that_differs_much_does_not_decide_alone():
    costs = np.array([[0.9, 0.01, 0.0], [-0.9, 0.03, 0.0], [0.0, 0.02, 0.0]])  # [members, worlds]
    level = levelled(costs, 0.01)
    np.testing.assert_allclose(level.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(level[:, 1], np.array([-0.01, 0.01, 0.0]) / (costs[:, 1].std() + 0.01))
    assert (np.abs(level) < 1.5).all() and not level[:, 2].any()
    assert levelled(costs, 0.0) is costs


def test_the_gradient_is_that_of_the_twin(monkeypatch):
    bowl = Bowl(SMALL, TINY, 3)
    seen = {}
    monkeypatch.setattr(bowl, "_ascend", lambda gradient, rate: seen.update(gradient=gradient, rate=rate))
    bowl.update()
    steps = [flatten(member) - bowl.parameters for member in bowl.members[0::2]]
    costs = bowl._play(bowl.members, None)[0][:, 0]
    np.testing.assert_allclose(seen["gradient"], naive_evolution.gradient(steps, costs, SMALL.sigma), atol=1e-6)
    assert seen["rate"] == SMALL.learning_rate


def test_members_come_in_opposite_pairs():
    bowl = Bowl(SMALL, TINY, 3)
    middle = bowl.parameters.copy()
    bowl.update()
    for one, other in zip(bowl.members[0::2], bowl.members[1::2], strict=True):
        np.testing.assert_allclose(flatten(one) + flatten(other), 2 * middle, atol=1e-5)
    assert len(bowl.members) == 2 * SMALL.pairs


def test_it_comes_closer_to_the_bottom_of_a_bowl():
    bowl = Bowl(EvolutionConfig(width=2, pairs=8, sigma=0.2, learning_rate=0.1), TINY, 0)
    first = bowl.update()["ratio"]
    for _ in range(240):
        last = bowl.update()["ratio"]
    assert np.log(last) < 0.5 * np.log(first)


def test_it_unlearns_to_start_the_longest_job_first(tmp_path):
    config = EvolutionConfig(
        weights=misguided(tmp_path / "bad.npz"),
        parts="outputs",
        pairs=8,
        worlds=1,
        lanes=4,
        sigma=0.3,
        learning_rate=0.2,
    )
    evolution = Evolution(config, replace(TINY, loads=(1.0, 1.0), jobs=60), 1)
    ratios = [evolution.update()["ratio"] for _ in range(12)]
    assert np.mean(ratios[-3:]) < 0.8 * ratios[0]


@pytest.mark.parametrize("parts", ["all", "outputs"])
def test_only_the_parts_named_evolve(parts):
    bowl = Bowl(replace(SMALL, parts=parts), TINY, 0)
    before = bowl.network()
    for _ in range(3):
        bowl.update()
    for name in ("w1", "b1", "w2", "u2", "b2"):
        assert np.array_equal(getattr(before, name), getattr(bowl.network(), name)) == (parts == "outputs")
    for name in ("w3", "skip"):
        assert not np.array_equal(getattr(before, name), getattr(bowl.network(), name))


def test_steps_shrink_with_the_number_of_inputs():
    scale = unflatten(step_scale(4, NUM_FEATURES, "all"), 4)
    assert np.allclose(scale.w1, NUM_FEATURES**-0.5) and np.allclose(scale.u2, 0.5) and np.allclose(scale.skip, 1.0)


def test_step_and_rate_halve(monkeypatch):
    bowl = Bowl(replace(SMALL, half_life=2), TINY, 0)
    spans, rates = [], []
    monkeypatch.setattr(bowl, "_ascend", lambda gradient, rate: rates.append(rate))
    for _ in range(41):
        bowl.update()
        spans.append(np.std(flatten(bowl.members[0]) - bowl.parameters))
    assert rates[2] == pytest.approx(SMALL.learning_rate / 2) and rates[4] == pytest.approx(SMALL.learning_rate / 4)
    assert spans[40] < 1e-4 * spans[0]


@given(st.integers(1, 5), st.integers(0, 3))
def test_a_vector_holds_all_weights(width, seed):
    network = initial_network(width, np.random.default_rng(seed))
    again = unflatten(flatten(network), width)
    assert all(np.array_equal(a, b) for a, b in zip(network.arrays, again.arrays, strict=True))


def test_a_task_plays_whole_episodes_with_members_and_assignment():
    place = Place(workloads=TINY, table=1, load=0.9, lanes=3, seed=77)
    assignment = initial_network(2, np.random.default_rng(0))
    wrong = replace(assignment, skip=-assignment.skip)
    played = play_task(None, Task(place=place, members=(assignment, wrong), reference=True), no_progress)
    completions, decisions = played["completions"], played["decisions"]
    world = make_world(TINY, training_scenario(TINY, 1), 0.9, 3)
    world.play(AssignmentPlayer(world.simulation, world.layout).actions, 77)
    expected = np.mean(naive_evolution.mean_completion(world.simulation))
    assert completions[0] == completions[2] == pytest.approx(expected) != completions[1]
    assert decisions > 3 * 3 * TINY.jobs


def test_random_scenarios_are_worlds_too():
    random = replace(TINY, scenario=RANDOM)
    evolution = Evolution(replace(SMALL, sigma=1e-6, prior=3.0, level=0.01), random, 2)
    # What assignment does, but on pooled latencies where predictions of equal accelerators have errors.
    assert evolution.update()["ratio"] == pytest.approx(1.0, abs=0.02)
    fleets = [training_scenario(random, number).fleet for number in range(2)]
    assert fleets[0].accelerators != fleets[1].accelerators
    wide = next(s for s in map(random_scenario, range(20)) if len(s.fleet.accelerators) > 16)
    assert fewer(6, random, wide) < 4 and fewer(6, TINY, wide) == 6


def test_members_that_do_what_assignment_does_change_nothing():
    evolution = Evolution(replace(SMALL, sigma=1e-6, prior=3.0), TINY, 0)
    before = evolution.parameters
    figures = evolution.update()
    assert figures["ratio"] == figures["best_ratio"] == 1.0
    np.testing.assert_allclose(evolution.parameters, before)


@pytest.mark.slow
def test_processes_change_nothing():
    results = []
    for workers in (1, 3):
        evolution = Evolution(replace(SMALL, workers=workers), TINY, 5)
        figures = [evolution.update() for _ in range(2)]
        results.append((figures, evolution.parameters))
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_it_goes_on_as_if_it_had_not_stopped(tmp_path):
    whole = Evolution(SMALL, TINY, 2)
    whole.update()
    whole.save(tmp_path / "state")
    figures = whole.update()
    again = Evolution(SMALL, TINY, 2)
    again.load(tmp_path / "state")
    assert again.update() == figures
    np.testing.assert_array_equal(again.parameters, whole.parameters)


def test_the_seed_decides(tmp_path):
    config = replace(SMALL, weights=misguided(tmp_path / "weights.npz"))
    first, same, other = (Evolution(config, TINY, seed) for seed in (2, 2, 3))
    assert first.update() == same.update() != other.update()
    drawn, again, another = (Evolution(SMALL, TINY, seed).network().w1.tolist() for seed in (2, 2, 3))
    assert drawn == again != another


def test_the_first_policy_minds_what_the_plan_loses():
    first = Evolution(EvolutionConfig(prior=0.2, slope=0.7), TINY, 0).network()
    told = {name: weight for name, weight in zip(FEATURES, first.skip.tolist(), strict=True) if weight}
    assert told == {"planned_action": pytest.approx(0.2), "plan_change_share": pytest.approx(-0.7)}
    assert not first.w3.any()


def test_dispatchers_are_compared_with_predictor_greedy_and_evolve(tmp_path):
    arrivals = replace(TINY, environment="dispatch")
    evolution = Evolution(replace(SMALL, slope=0.0), arrivals, 0)  # which leaves the prior alone: predictor_greedy's
    place = Place(workloads=arrivals, table=1, load=0.9, lanes=3, seed=77)
    played = play_task(None, Task(place=place, members=(evolution.network(),), reference=True), no_progress)
    assert played["completions"][0] == played["completions"][1] and played["decisions"] == 2 * 3 * TINY.jobs
    world = make_world(arrivals, training_scenario(arrivals, 1), 0.9, 3)
    world.reset(77)
    batch = EnvBatch.around(world.simulation)
    policy = make_policy("predictor_greedy", batch.layout)
    while not batch.ended.all():
        batch.step(policy.act(batch.observation, batch.mask))
    assert np.mean(naive_evolution.mean_completion(world.simulation)) == pytest.approx(played["completions"][0])
    evolution.update()
    evolution.save(tmp_path / "state")
    again = Evolution(replace(SMALL, slope=0.0), arrivals, 0)
    again.load(tmp_path / "state")
    assert again.update() == evolution.update() and again.network().num_features == len(DISPATCH.features)
    with pytest.raises(FileFormatError, match="this version's features, in their order"):
        Evolution(SMALL, TINY, 0).load(tmp_path / "state")


def test_worlds_take_turns_with_the_scenarios():
    both = replace(TINY, also=("flexible4", "big_little"))
    alone = [replace(TINY, scenario=name) for name in ("hetero4", "flexible4", "big_little")]
    assert [both.of_turn(number) for number in range(4)] == [*alone, alone[0]] and TINY.of_turn(5) == TINY
    evolution = Evolution(replace(SMALL, worlds=2), both, 0)
    seen = []
    evolution._runner.results = lambda tasks: (
        seen.extend(task.place.workloads.scenario for task in tasks)
        or [{"completions": [1.0] * (len(task.members) + task.reference), "decisions": 1} for task in tasks]
    )
    for _ in range(2):
        evolution.update()
    assert seen == ["hetero4", "flexible4", "flexible4", "big_little"]


def test_weights_for_another_environment_are_refused(tmp_path):
    config = EvolutionConfig(weights=misguided(tmp_path / "weights.npz"))
    with pytest.raises(ConfigError, match="evolution: weights must be weights for the environment dispatch"):
        Evolution(config, replace(TINY, environment="dispatch"), 0)


@pytest.mark.parametrize("slope", [0.0, 1.0, 30.0])
def test_the_first_policy_does_what_assignment_does(slope):
    first = Evolution(EvolutionConfig(slope=slope), TINY, 0).network()
    world = make_world(replace(TINY, jobs=200), training_scenario(TINY, 0), 1.0, 4)
    own = world.play(Player(world.simulation, world.layout, world.machines, world.unit, first.arrays).act, 3)
    finished = world.simulation.jobs["finish"].copy()
    assert np.array_equal(world.play(AssignmentPlayer(world.simulation, world.layout).actions, 3), own)
    assert np.array_equal(world.simulation.jobs["finish"], finished)


def test_it_starts_from_weights(tmp_path):
    path = misguided(tmp_path / "weights.npz")
    evolution = Evolution(EvolutionConfig(weights=path, width=9), TINY, 0)
    given_weights, _ = load_network(path)
    assert all(np.array_equal(a, b) for a, b in zip(evolution.network().arrays, given_weights.arrays, strict=True))


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    Evolution(EvolutionConfig(weights=misguided(tmp_path / "weights.npz")), TINY, 2).save(tmp_path / "state")
    with pytest.raises(FileFormatError, match="parameters must be float64 of shape"):
        Evolution(SMALL, TINY, 2).load(tmp_path / "state")


def test_a_checkpoint_of_features_in_another_order_is_refused(tmp_path, monkeypatch):
    Evolution(SMALL, TINY, 2).save(tmp_path / "state")
    monkeypatch.setattr("gnnsched_agents.worlds.INPUTS", {"queue": replace(QUEUE, features=FEATURES[::-1])})
    with pytest.raises(FileFormatError, match="this version's features, in their order"):
        Evolution(SMALL, TINY, 2).load(tmp_path / "state")


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = tmp_path / "state"
    Evolution(SMALL, TINY, 2).save(path)
    with pytest.raises(FileFormatError, match="seed must be 3, got 2"):
        Evolution(SMALL, TINY, 3).load(path)
    with pytest.raises(FileFormatError, match=r"parameters must be float64 of shape"):
        Evolution(replace(SMALL, width=4), TINY, 2).load(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FileFormatError, match="evolution checkpoint"):
        Evolution(SMALL, TINY, 2).load(path)
    with pytest.raises(FileFormatError, match="evolution checkpoint"):
        Evolution(SMALL, TINY, 2).load(misguided(tmp_path / "weights.npz"))
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(FileFormatError, match="evolution checkpoint"):
        Evolution(SMALL, TINY, 2).load(path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("pairs", 0, "pairs must be"),
        ("pairs", 999_999_999_999, "pairs must be"),
        ("width", 99_999_999, "width must be"),
        ("workers", -1, "workers must be"),
        ("sigma", 0.0, "sigma must be"),
        ("learning_rate", float("nan"), "learning_rate must be"),
        ("half_life", -1, "half_life must be"),
        ("slope", float("inf"), "slope must be"),
        ("parts", "skip", "parts must be"),
    ],
)
def test_bad_settings_are_refused(field, value, message):
    with pytest.raises(ConfigError, match=f"evolution: {message}"):
        EvolutionConfig(**{field: value})
