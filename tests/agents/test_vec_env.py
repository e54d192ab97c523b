"""The Stable-Baselines3 adapter against its own DummyVecEnv, and its algorithms on it."""

import numpy as np
import pytest

sb3 = pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed")
contrib = pytest.importorskip("sb3_contrib", reason="sb3-contrib is not installed")

import gymnasium  # noqa: E402
from sb3_contrib.common.maskable.evaluation import evaluate_policy  # noqa: E402
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported  # noqa: E402
from stable_baselines3.common.monitor import Monitor  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize  # noqa: E402

from gnnsched_agents.sb3.vec_env import Sb3VecEnv  # noqa: E402
from gnnsched_env.common.errors import ConfigError, GnnSchedError, InvalidAction  # noqa: E402
from gnnsched_env.envs.vector_input import spawn_seeds  # noqa: E402
from tests.envs.vectors import assert_same  # noqa: E402

IDS = ("gnnsched/Dispatch-v0", "gnnsched/Queue-v0")
SMALL = {"jobs": 8, "window": 4}


def options_of(name):
    return {"jobs": 8} if name == IDS[0] else SMALL


def assert_same_info(ours, theirs):
    """Compare one lane's infos; the adapter tells the episode's statistics too."""
    assert set(ours) - {"episode"} == set(theirs)
    for name, value in theirs.items():
        if isinstance(value, dict) and name != "terminal_observation":
            assert ours[name] == value
        else:
            assert_same(ours[name], value, name)


@pytest.mark.parametrize("name", IDS)
def test_it_plays_as_dummy_vec_env_does(name):
    ours = Sb3VecEnv(name, 3, consecutive_seeds=True, **options_of(name))
    theirs = DummyVecEnv([lambda: gymnasium.make(name, **options_of(name)).unwrapped] * 3)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.seed(11) == theirs.seed(11)
    assert_same(ours.reset(), dict(theirs.reset()))
    rng, ends, returns, lengths = np.random.default_rng(0), 0, np.zeros(3), np.zeros(3, int)
    for step in range(60):
        if step == 40:  # without a seed: each lane's next episode
            assert_same(ours.reset(), dict(theirs.reset()))
            returns[:], lengths[:] = 0.0, 0
        assert (get_action_masks(ours) == get_action_masks(theirs)).all()
        actions = rng.integers(ours.action_space.n, size=3)
        one, two = ours.step(actions), theirs.step(actions)
        assert_same(one[0], dict(two[0]))
        assert_same(one[1], two[1], "rewards")
        assert_same(one[2], two[2], "dones")
        returns, lengths = returns + one[1], lengths + 1
        for lane in range(3):
            assert_same_info(one[3][lane], two[3][lane])
            assert_same_info(ours.reset_infos[lane], theirs.reset_infos[lane])
            if one[2][lane]:
                ends += 1
                told = one[3][lane]["episode"]
                assert told["r"] == pytest.approx(returns[lane], rel=1e-5)
                assert told["l"] == lengths[lane]
                assert told["t"] >= 0
                returns[lane], lengths[lane] = 0.0, 0
    assert ends > 3


def test_masks_are_one_array_and_rows_for_sb3_contrib():
    env = Sb3VecEnv(IDS[1], 4, **SMALL)
    env.reset()
    assert is_masking_supported(env)
    masks = env.action_masks()
    assert masks.shape == (4, env.action_space.n)
    assert (np.array(env.env_method("action_masks")) == masks).all()
    assert (get_action_masks(env) == masks).all()
    assert (env.env_method("action_masks", indices=[2, 0])[1] == masks[0]).all()
    assert (env.get_attr("action_masks", indices=3)[0]() == masks[3]).all()
    calls = []
    env.batch.action_masks = lambda: calls.append(1) or masks
    get_action_masks(env)
    assert calls == [1]  # once for all lanes


def test_observations_and_masks_are_the_callers():
    env = Sb3VecEnv(IDS[1], 2, **SMALL)
    observation, masks = env.reset(), env.action_masks()
    kept, kept_masks = {name: array.copy() for name, array in observation.items()}, masks.copy()
    for _ in range(4):
        infos = env.step(np.zeros(2, np.int64))[3]
    first = infos[0]["action_mask"].copy()
    env.step(np.zeros(2, np.int64))
    assert_same(observation, kept)
    assert (masks == kept_masks).all()
    assert (infos[0]["action_mask"] == first).all()


def test_attributes_of_lanes():
    env = Sb3VecEnv(IDS[1], 3, **SMALL)
    assert env.get_attr("render_mode") == [None] * 3
    assert env.get_attr("layout", indices=[0, 2]) == [env.batch.layout] * 2
    assert env.get_attr("observation_space")[0] == env.observation_space
    assert env.env_method("get_wrapper_attr", "action_space", indices=-1) == [env.action_space]
    assert env.env_is_wrapped(Monitor) == [False] * 3
    assert not env.has_attr("difficulty")
    env.set_attr("difficulty", 3, indices=[0, 1])
    assert not env.has_attr("difficulty")
    env.set_attr("difficulty", 4, indices=2)
    assert env.has_attr("difficulty")
    assert env.get_attr("difficulty") == [3, 3, 4]
    with pytest.raises(AttributeError, match="no attribute 'dificulty'"):
        env.get_attr("dificulty")
    with pytest.raises(AttributeError, match="share 'layout'; it cannot be set"):
        env.set_attr("layout", None)
    with pytest.raises(AttributeError, match="no method 'fly'"):
        env.env_method("fly")
    with pytest.raises(IndexError):
        env.get_attr("layout", indices=3)


def test_bad_input():
    with pytest.raises(ConfigError, match="must be gnnsched/Dispatch-v0 or gnnsched/Queue-v0, got 'CartPole-v1'"):
        Sb3VecEnv("CartPole-v1", 2)
    with pytest.raises(ConfigError, match="copy is fixed by what Stable-Baselines3 expects"):
        Sb3VecEnv(IDS[1], 2, copy=False)
    with pytest.raises(ConfigError, match="num_envs must be an integer of at least 1, got 0"):
        Sb3VecEnv(IDS[1], 0)
    env = Sb3VecEnv(IDS[1], 2, **SMALL)
    env.reset()
    with pytest.raises(GnnSchedError, match="give the actions to step_async first"):
        env.step_wait()
    with pytest.raises(InvalidAction, match="got float64"):
        env.step(np.zeros(2))
    env.set_options({"speed": 3})
    with pytest.raises(ConfigError, match="no options to reset with"):
        env.reset()
    env.reset()


def masked_model(env, **options):
    return contrib.MaskablePPO(
        "MultiInputPolicy", env, n_steps=16, batch_size=32, n_epochs=1, gamma=1.0, seed=0, device="cpu", **options
    )


@pytest.mark.parametrize("name", IDS)
def test_maskable_ppo_trains_and_never_takes_an_illegal_action(name, monkeypatch):
    env = Sb3VecEnv(name, 4, **options_of(name))
    taken = []
    real = env.step_async
    monkeypatch.setattr(env, "step_async", lambda actions: (taken.append((env.action_masks(), actions)), real(actions)))
    model = masked_model(env)
    before = {key: value.clone() for key, value in model.policy.state_dict().items()}
    model.learn(256)
    assert model.num_timesteps == 256
    assert len(taken) == 64
    assert all(masks[np.arange(4), actions].all() for masks, actions in taken)
    assert any((before[key] != value).any() for key, value in model.policy.state_dict().items())
    assert model.ep_info_buffer[0]["l"] >= 8  # the statistics reached the algorithm
    mean, _ = evaluate_policy(model, env, n_eval_episodes=4, warn=False)
    assert mean < 0


def test_maskable_ppo_learns_what_it_learns_on_dummy_vec_env():
    """Same seeds, same episodes, same gradients: the two must end in the same weights."""
    ours = masked_model(Sb3VecEnv(IDS[1], 2, consecutive_seeds=True, **SMALL)).learn(64)
    theirs = masked_model(DummyVecEnv([lambda: gymnasium.make(IDS[1], **SMALL).unwrapped] * 2)).learn(64)
    other = theirs.policy.state_dict()
    assert all((value == other[key]).all() for key, value in ours.policy.state_dict().items())


def test_wrappers_and_other_algorithms_accept_it():
    env = VecNormalize(VecMonitor(Sb3VecEnv(IDS[1], 3, **SMALL)), norm_obs=False, gamma=1.0)
    assert masked_model(env).learn(48).num_timesteps == 48
    assert get_action_masks(env).shape == (3, env.action_space.n)
    model = sb3.DQN("MultiInputPolicy", Sb3VecEnv(IDS[0], 3, jobs=8), learning_starts=16, train_freq=2, buffer_size=90)
    model.learn(120)
    buffer = model.replay_buffer  # where an episode ended, the next observation is its last, not the next one's first
    ends = np.argwhere(buffer.dones[: buffer.pos] == 1)
    assert len(ends) > 3
    for place, lane in ends:
        assert buffer.next_observations["system"][place, lane, 0] == 0.0  # no job is in the system
    assert (buffer.observations["system"][:, :, 0] > 0).any()


@pytest.mark.filterwarnings("ignore:.*render_mode.*:UserWarning")
def test_single_environments_by_id():
    model = contrib.MaskablePPO("MultiInputPolicy", IDS[1], n_steps=16, batch_size=16, n_epochs=1, device="cpu")
    assert model.learn(32).num_timesteps == 32
    assert is_masking_supported(model.get_env())
    model = sb3.DQN("MultiInputPolicy", IDS[0], learning_starts=8, buffer_size=64, device="cpu")
    assert model.learn(48).num_timesteps == 48


def test_seeds_are_those_of_the_batch():
    env = Sb3VecEnv(IDS[1], 3, jobs=5)
    assert env.seed(4) == spawn_seeds(4, 3).tolist()
    env.reset()
    batch = gymnasium.make_vec(IDS[1], num_envs=3, jobs=5)
    batch.reset(seed=4)
    arrivals = env.batch.batch.simulation.jobs["arrival"]
    assert (arrivals == batch.unwrapped.batch.simulation.jobs["arrival"]).all()
    assert env.seed() != env.seed()


def test_truncated_episodes_are_told_and_keep_their_last_observation():
    options = {"jobs": 30, "window": 4}
    cut, whole = (Sb3VecEnv(IDS[1], 2, max_episode_steps=steps, **options) for steps in (5, None))
    for env in (cut, whole):
        env.seed(3)
        env.reset()
    for step in range(1, 11):
        actions = cut.action_masks().argmax(axis=1)
        _, _, over, infos = cut.step(actions)
        assert over.tolist() == [step % 5 == 0] * 2
        assert [info["TimeLimit.truncated"] for info in infos] == over.tolist()
        if step <= 5:
            observation, _, ended, others = whole.step(actions)
            assert not ended.any() and not any(info["TimeLimit.truncated"] for info in others)
        if step == 5:
            for lane, info in enumerate(infos):
                assert_same(info["terminal_observation"], {key: value[lane] for key, value in observation.items()})
                assert info["episode"]["l"] == 5
