"""RLlib, Tianshou and TorchRL, which an extra installs: each trains or plays, and never takes an illegal action."""

import gymnasium
import numpy as np
import pytest

import gnnsched_env  # noqa: F401
from gnnsched_env.envs.wrappers import MaskedObservation, MaskedVectorObservation

pytestmark = pytest.mark.adapters
QUEUE = "gnnsched/Queue-v0"
SMALL = {"jobs": 8, "window": 4}
MISSING = "is not installed (pip install '.[adapters]')"


def legal(masks, actions):
    """Return whether every action is allowed by its row."""
    return bool(np.take_along_axis(np.asarray(masks), np.asarray(actions)[..., None], axis=-1).all())


@pytest.mark.parametrize("mode", [None, "Disabled", "SameStep"])
def test_torchrl_plays_with_its_mask_transform(mode):
    envs = pytest.importorskip("torchrl.envs", reason=f"TorchRL {MISSING}")
    torch = pytest.importorskip("torch")
    data = pytest.importorskip("torchrl.data")
    if mode is None:
        env, lanes = envs.GymEnv(QUEUE, categorical_action_encoding=True, **SMALL), ()
    else:
        batch = gymnasium.make_vec(QUEUE, num_envs=4, autoreset_mode=mode, copy=True, **SMALL)
        env, lanes = envs.GymWrapper(batch, categorical_action_encoding=True), (4,)
    actions = env.action_spec.space.n
    spec = {"action_mask": data.Binary(shape=(*lanes, actions), dtype=torch.int8)}
    env.set_info_dict_reader(envs.default_info_dict_reader(["action_mask"], spec=spec))
    env = envs.TransformedEnv(env, envs.ActionMask())
    envs.check_env_specs(env)
    env.set_seed(0)
    played = env.rollout(60, break_when_any_done=False)
    assert played["action"].shape == (*lanes, 60)
    assert legal(played["action_mask"], played["action"])
    done = played["next", "done"][..., 0]
    assert int(done.sum()) >= 2
    assert (played["next", "system"][done][:, 0] == 0.0).all()  # the last observation of an episode: no job is left
    assert (played["system"][..., 0] > 0.0).all()  # which is never acted on


def test_tianshou_trains_on_masked_observations():
    pytest.importorskip("tianshou", reason=f"Tianshou {MISSING}")
    from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.algorithm.random import MARLRandomDiscreteMaskedOffPolicyAlgorithm
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.utils.net.common import Net
    from tianshou.utils.torch_utils import policy_within_training_step

    def make():
        return MaskedObservation(gymnasium.make(QUEUE, **SMALL), "tianshou")

    env = make()
    shape = env.observation_space["obs"].shape
    policy = DiscreteQLearningPolicy(
        model=Net(state_shape=shape, action_shape=env.action_space.n, hidden_sizes=[16]),
        action_space=env.action_space,
        observation_space=env.observation_space,
        eps_training=0.5,
    )
    dqn = DQN(policy=policy, optim=AdamOptimizerFactory(lr=1e-3), gamma=1.0, target_update_freq=10)
    for algorithm in (dqn, MARLRandomDiscreteMaskedOffPolicyAlgorithm(env.action_space)):
        buffer = VectorReplayBuffer(300, 3)
        with policy_within_training_step(algorithm.policy):
            collector = Collector(algorithm, DummyVectorEnv([make] * 3), buffer)
            collector.reset()
            collected = collector.collect(n_step=150)
            if algorithm is dqn:
                assert np.isfinite(dqn.update(buffer=buffer, sample_size=64).loss)
        assert collected.n_collected_steps == 150
        assert collected.n_collected_episodes > 3
        played, _ = buffer.sample(0)
        assert played.obs.mask.dtype == np.bool_
        assert legal(played.obs.mask, played.act)


@pytest.fixture
def local_ray():
    """Start Ray in this process's session, and stop it."""
    ray = pytest.importorskip("ray", reason=f"Ray {MISSING}")
    pytest.importorskip("ray.rllib", reason=f"RLlib {MISSING}")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


def make_for_rllib(context):
    if "num_envs" in context:
        batch = gymnasium.make_vec(QUEUE, num_envs=context["num_envs"], copy=True, **SMALL)
        return MaskedVectorObservation(batch, "rllib")
    return MaskedObservation(gymnasium.make(QUEUE, **SMALL), "rllib")


@pytest.mark.filterwarnings("ignore")
def test_rllib_trains_on_the_native_batch(local_ray):
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec
    from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule
    from ray.tune.registry import register_env

    register_env("gnnsched-masked", make_for_rllib)
    config = (
        PPOConfig()
        .environment("gnnsched-masked", disable_env_checking=True)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=3, gym_env_vectorize_mode="vector_entry_point")
        .training(gamma=1.0, train_batch_size_per_learner=96, minibatch_size=48, num_epochs=1)
        .rl_module(rl_module_spec=RLModuleSpec(module_class=ActionMaskingTorchRLModule))
    )
    algorithm = config.build_algo()
    try:
        assert algorithm.env_runner.env.unwrapped.num_envs == 3
        result = algorithm.train()
        assert np.isfinite(result["learners"]["default_policy"]["policy_loss"])
        episodes = algorithm.env_runner.sample(num_episodes=3)
        for episode in episodes:
            observations, actions = episode.get_observations(), episode.get_actions()
            masks = observations["action_mask"] if isinstance(observations, dict) else None
            masks = [one["action_mask"] for one in observations] if masks is None else masks
            assert legal(np.asarray(masks)[: len(actions)], actions)
        assert len(episodes) >= 3
    finally:
        algorithm.stop()
