"""The arena: hidden episodes that a seed draws again, scores, and regrets that add up to what was lost."""

import pytest

import gnnsched_baselines  # noqa: F401  (registers policies)
from gnnsched_env.bench.arena import arena
from gnnsched_env.bench.arena.arena import enter_arena, hidden_worlds, score_file
from gnnsched_env.bench.arena.regret import decisions_with_regret
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.evaluation import policy_factory, run_policy
from gnnsched_env.scenario import load_scenario, scenario_table, simulation_settings
from gnnsched_env.sim.totals import exact_sum

FIRST = "def choose(observation, mask):\n    return int(mask.argmax())\n"


@pytest.fixture
def little(monkeypatch):
    """Let the arena be of two workloads of two short episodes."""
    for name, value in {"WORLDS": 2, "EPISODES": 2, "JOBS": 30, "CLASSES": 12, "MOVES": 2_000, "ROUNDS": 50}.items():
        monkeypatch.setattr(arena, name, value)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FIRST)
    return path


@pytest.mark.parametrize("options", [{}, {"failures": (20, 5)}, {"arrivals": "bursty"}, {"window": 3}, {"repeats": 2}])
@pytest.mark.parametrize("better", ["assignment", "fifo"])
def test_regrets_add_up_to_what_was_lost(options, better):
    scenario = load_scenario("hetero4").with_options(jobs=40, load=0.9, split="test", **options)
    table = scenario_table(scenario)
    settings = simulation_settings(scenario, table, dispatch=False)
    factories = [policy_factory(name, dispatch=False) for name in ("min_min", better)]
    decisions = decisions_with_regret(scenario, table, settings, *factories, 5)
    taken = [
        exact_sum(run_policy(factory, scenario, table, dispatch=False, seed=5, episodes=1).metrics.completion[0])
        for factory in factories
    ]
    assert sum(decision.regret for decision in decisions) == taken[0] - taken[1]
    agreeing = [decision for decision in decisions if decision.done == decision.better]
    assert all(decision.regret == 0 for decision in agreeing) and len(agreeing) < len(decisions)
    assert [decision.number for decision in decisions] == list(range(len(decisions)))


def test_more_states_than_are_played_at_once_change_nothing(monkeypatch):
    scenario = load_scenario("hetero4").with_options(jobs=20, load=0.9, split="test")
    table = scenario_table(scenario)
    settings = simulation_settings(scenario, table, dispatch=False)
    factories = [policy_factory(name, dispatch=False) for name in ("fifo", "sjf")]
    whole = decisions_with_regret(scenario, table, settings, *factories, 5)
    monkeypatch.setattr("gnnsched_env.bench.arena.regret.MOST_LANES", 7)
    assert decisions_with_regret(scenario, table, settings, *factories, 5) == whole


def test_a_seed_draws_the_same_episodes_again_and_another_draws_others(little, file):
    first = score_file(file, seed=3)
    assert first == score_file(file, seed=3) and first["combined_score"] == -first["score"] < 0
    assert score_file(file, seed=4) != first
    assert {enter_arena(file, others=(), losses=0).seed for _ in range(2)}.__len__() == 2  # drawn by the system


def test_worlds_have_latencies_and_loads_of_their_own(little):
    worlds = hidden_worlds("hetero4", 7)
    assert len({world.scenario.environment.load for world in worlds}) == 2
    assert (worlds[0].table.true_cycles != worlds[1].table.true_cycles).any()
    assert all((world.bound < world.reference).all() for world in worlds)


def test_a_result_says_where_most_was_lost(little, file):
    result = enter_arena(file, seed=1, losses=3)
    assert result.seed == 1 and set(result.others) == {"sjf", "assignment"}
    assert result.score.value > result.others["assignment"].value
    assert result.lost > 0 and 0 < len(result.losses) <= 3
    regrets = [decision.regret for decision in result.losses]
    assert regrets == sorted(regrets, reverse=True)


def test_bad_arguments_and_policies_are_refused(little, file, tmp_path):
    for options, message in (
        ({"seed": -1}, "arena: seed must be an integer of at least 0"),
        ({"seed": 1 << 40}, "seed must be at most 4,294,967,295"),
        ({"losses": -1}, "losses must be"),
        ({"better": "nobody"}, "unknown policy 'nobody'"),
        ({"fleet": "nowhere"}, "nowhere"),
    ):
        with pytest.raises(ConfigError, match=message):
            enter_arena(file, **{"seed": 1, **options})
    with pytest.raises(ConfigError, match="no such file"):
        enter_arena(tmp_path / "nothing.py", seed=1)
    file.write_text("def choose(observation, mask):\n    return 1 / 0\n")
    with pytest.raises(GnnSchedError, match="raised ZeroDivisionError"):
        enter_arena(file, seed=1)
