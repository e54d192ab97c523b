"""Recorded episodes: what Minari reads is what was played, and behaviour cloning learns from it."""

import numpy as np
import pytest

import gnnsched_baselines  # noqa: F401  (registers policies)
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.evaluation import Yardstick, policy_factory, run_policy
from gnnsched_env.evaluation.minari_recording import record_dataset
from gnnsched_env.scenario import load_scenario, scenario_table

minari = pytest.importorskip("minari", reason="minari is not installed")
SCENARIO = load_scenario("hetero4").with_options(jobs=12, window=4)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "queue"
    assert record_dataset(folder, SCENARIO, ("sjf", "fifo"), episodes=2, seed=5) == folder
    return minari.MinariDataset(str(folder))


def test_an_episode_holds_what_was_seen_done_and_got(recorded):
    assert recorded.total_episodes == 4
    env = recorded.recover_environment()
    for episode in recorded.iterate_episodes():
        observation, info = env.reset(seed=int(episode.id) % 2 + 5)
        steps = len(episode.actions)
        for k in range(steps):
            for name, array in observation.items():
                assert np.array_equal(episode.observations[name][k], array)
            assert np.array_equal(episode.infos["action_mask"][k], info["action_mask"])
            assert info["action_mask"][episode.actions[k]]
            observation, reward, ended, truncated, info = env.step(episode.actions[k])
            assert reward == episode.rewards[k] and ended == episode.terminations[k] and not truncated
            assert not episode.truncations[k]
        assert ended and episode.infos["mean_completion"][-1] == info["mean_completion"] > 0
        assert not episode.infos["mean_completion"][:-1].any()
        assert all(len(array) == steps + 1 for array in episode.observations.values())


def test_metadata_names_the_policies_and_their_results(recorded):
    told = list(recorded.storage.get_episode_metadata(range(4)))
    assert [(one["policy"], one["seed"]) for one in told] == [("sjf", 5), ("sjf", 6), ("fifo", 5), ("fifo", 6)]
    assert recorded.spec.env_spec.kwargs["scenario"]["environment"]["jobs"] == 12


def test_episodes_are_those_that_the_split_and_the_seed_stand_for(tmp_path):
    record_dataset(tmp_path / "test", SCENARIO.with_options(split="test"), ("sjf",), episodes=1, seed=3)
    (told,) = minari.MinariDataset(str(tmp_path / "test")).storage.get_episode_metadata([0])
    table, factory = scenario_table(SCENARIO), policy_factory("sjf", dispatch=False)
    played = run_policy(factory, SCENARIO, table, dispatch=False, seed=3, episodes=1)
    assert told["mean_completion"] == played.per_episode("completion")[0]


def test_dispatch_and_rows_of_features_are_recorded_too(tmp_path):
    rows = record_dataset(tmp_path / "rows", SCENARIO.with_options(observation="pairs"), ("sjf",), episodes=1)
    (episode,) = minari.MinariDataset(str(rows)).iterate_episodes()
    assert episode.observations.shape == (len(episode.actions) + 1, 4 * 9 + 1, 32)
    sent = record_dataset(tmp_path / "sent", SCENARIO.with_options(window=32), ("sjf",), dispatch=True, episodes=1)
    assert minari.MinariDataset(str(sent)).total_steps == 12


def test_bad_arguments_are_refused_before_anything_is_played(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    for folder, names, options, message in (
        ("full", ("sjf",), {}, "the folder must be empty or new"),
        ("new", ("nobody",), {}, "unknown policy 'nobody'"),
        ("new", ("sjf",), {"episodes": 0}, "episodes must be an integer of at least 1"),
        ("new", ("sjf",), {"seed": -1}, "seed must be an integer of at least 0"),
        ("new", ("fifo",), {"dispatch": True}, "made for queue, not for dispatch"),
        ("new", ("sjf", "skip_predict"), {}, "'skip_predict' has jobs predicted from 8 waiting on, so .* got 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            record_dataset(tmp_path / folder, SCENARIO.with_options(decision={"latency_us": 1}), names, **options)
    assert not (tmp_path / "new").exists()


def test_nothing_that_looks_like_a_data_set_is_left_where_a_policy_fails(tmp_path):
    with pytest.raises(GnnSchedError, match="act raised KeyError"):
        record_dataset(tmp_path / "new", SCENARIO, ("sjf", "tests.commands.failing_policies:InAct"), episodes=1)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.slow
def test_behaviour_cloning_learns_from_what_was_recorded(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from gnnsched_agents.pair_modules import PairActorCritic, PairRowsPolicy

    torch.manual_seed(0)
    scenario = load_scenario("hetero4").with_options(jobs=100, window=8, dataflow="predicted_best", load=0.9)
    record_dataset(tmp_path / "data", scenario.with_options(observation="pairs"), ("assignment",), episodes=8)
    episodes = list(minari.MinariDataset(str(tmp_path / "data")).iterate_episodes())
    rows = torch.from_numpy(np.concatenate([episode.observations[:-1] for episode in episodes]))
    actions = torch.from_numpy(np.concatenate([episode.actions for episode in episodes]))
    network = PairActorCritic()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(250):
        batch = torch.randint(len(rows), (128,))
        loss = torch.nn.functional.cross_entropy(network.logits(rows[batch]), actions[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    yardstick = Yardstick(scenario, episodes=5)
    learned = yardstick.ratio(PairRowsPolicy(network.scorer))
    assert yardstick.ratio("assignment") < 0.95
    assert learned < 0.97 < yardstick.ratio("fifo")
