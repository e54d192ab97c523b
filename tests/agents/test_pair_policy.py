"""The stock-library policy on the observation "pairs": masks, sizes, symmetry, saving, and that it learns."""

import numpy as np
import pytest

sb3 = pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed")
contrib = pytest.importorskip("sb3_contrib", reason="sb3-contrib is not installed")

import torch  # noqa: E402

from gnnsched_agents import (  # noqa: E402
    CurveCallback,
    PairActorCritic,
    PairActorCriticPolicy,
    PairDqn,
    PairRowsPolicy,
    PairValuePolicy,
    Sb3VecEnv,
)
from gnnsched_agents.pair_modules import likeliest  # noqa: E402
from gnnsched_env.common.errors import ConfigError, FileFormatError  # noqa: E402
from gnnsched_env.envs import PAIR_FIELDS  # noqa: E402
from gnnsched_env.envs.spaces import PAIR  # noqa: E402
from gnnsched_env.evaluation import LearningCurve, policy_factory, run_policy  # noqa: E402
from gnnsched_env.scenario import load_scenario, varied_scenarios  # noqa: E402

IDS = ("gnnsched/Dispatch-v0", "gnnsched/Queue-v0")
DQN_SHAPE = {"buffer_size": 1000, "learning_starts": 32, "train_freq": 4, "batch_size": 16}
ALGORITHMS = {
    "MaskablePPO": (contrib.MaskablePPO, {"n_steps": 16, "batch_size": 32, "n_epochs": 1}),
    "PPO": (sb3.PPO, {"n_steps": 16, "batch_size": 32, "n_epochs": 1}),
    "A2C": (sb3.A2C, {"n_steps": 4}),
    "PairDqn": (PairDqn, DQN_SHAPE),
    "DQN": (sb3.DQN, DQN_SHAPE),
}
MASKING = set(ALGORITHMS) - {"DQN"}  # which explores illegal actions too


def make_model(name, env, **options):
    kind, own = ALGORITHMS[name]
    policy = PairValuePolicy if kind in (PairDqn, sb3.DQN) else PairActorCriticPolicy
    return kind(policy, env, gamma=1.0, seed=0, device="cpu", **own, **options)


def make_env(name=IDS[1], lanes=4, **options):
    shape = {"window": 4} if name == IDS[1] else {}
    return Sb3VecEnv(name, lanes, **{"jobs": 8, "observation": "pairs", **shape, **options})


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_learns_with_it_and_takes_legal_actions_only(name, algorithm, monkeypatch):
    env = make_env(name)
    taken, real = [], env.step_async
    monkeypatch.setattr(env, "step_async", lambda actions: (taken.append((env.action_masks(), actions)), real(actions)))
    model = make_model(algorithm, env)
    before = {key: value.clone() for key, value in model.policy.state_dict().items()}
    model.learn(128)
    assert len(taken) >= 32
    assert algorithm not in MASKING or all(masks[np.arange(4), actions].all() for masks, actions in taken)
    assert any((before[key] != value).any() for key, value in model.policy.state_dict().items())


def test_its_size_depends_on_the_width_alone():
    sizes = [
        sum(weights.numel() for weights in make_model("PPO", env, policy_kwargs=kwargs).policy.parameters())
        for env in (make_env(), make_env(IDS[0]), make_env(dataflow="predicted_best"))
        for kwargs in ({}, {"width": 8})
    ]
    assert sizes == [5250, 738] * 3


def test_the_order_of_the_jobs_does_not_matter():
    env = make_env(dataflow="predicted_best")
    model = make_model("PPO", env)
    torch.nn.init.normal_(model.policy.scorer.score.weight)
    torch.nn.init.normal_(model.policy.critic.value.weight)
    rows = torch.from_numpy(env.reset())
    rows[:, :16] = rows[:, :4].repeat(1, 4, 1) + torch.arange(16)[:, None] / 50  # 4 jobs on 4 accelerators
    rows[..., -1] = 1.0
    order = torch.randperm(17, generator=torch.Generator().manual_seed(0))
    logits = model.policy.get_distribution(rows).distribution.logits
    assert logits.std() > 0.01
    assert torch.allclose(
        logits[:, order], model.policy.get_distribution(rows[:, order]).distribution.logits, atol=1e-5
    )
    assert torch.allclose(model.policy.predict_values(rows), model.policy.predict_values(rows[:, order]), atol=1e-5)


@pytest.mark.parametrize("waiting", ["free", "needed", "by_choice"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_saved_model_plays_alike_and_evaluations_take_it(algorithm, waiting, tmp_path):
    env = make_env(waiting=waiting)
    model = make_model(algorithm, env, policy_kwargs={"width": 8})
    model.learn(64)
    network = model.q_net if algorithm.endswith("n") or algorithm == "DQN" else model.policy
    torch.nn.init.normal_(network.scorer.score.weight, generator=torch.Generator().manual_seed(1))
    model.save(tmp_path / "model.zip")
    again = ALGORITHMS[algorithm][0].load(tmp_path / "model.zip", device="cpu")
    observation, masks = env.reset(), env.action_masks()
    ours, theirs = (one.predict(observation, deterministic=True)[0] for one in (model, again))
    assert (ours == theirs).all()
    assert masks[np.arange(4), ours].all()
    make = policy_factory(f"sb3:{tmp_path / 'model.zip'}", dispatch=False)
    policy = make(env.batch.layout, env.batch.table)
    assert (policy.observation, policy.waiting) == ("pairs", waiting)
    assert PairRowsPolicy.of(again).waiting == waiting
    assert (policy.act(observation, masks) == ours).all()
    run = run_policy(make, env.batch.scenario, env.batch.table, dispatch=False, seed=0, episodes=2)
    assert run.per_episode("completion").min() > 0
    twin = run_policy(
        lambda layout, table: PairRowsPolicy.of(again),
        env.batch.scenario, env.batch.table, dispatch=False, seed=0, episodes=2,
    )  # fmt: skip
    assert (run.metrics.jobs == twin.metrics.jobs).all()


def test_a_model_of_other_features_is_refused(tmp_path):
    model = make_model("PPO", make_env())
    model.policy.scorer.made_for[0] = 7
    model.save(tmp_path / "old.zip")
    with pytest.raises(ConfigError, match="trained on other features of rows than this version's"):
        sb3.PPO.load(tmp_path / "old.zip")
    with pytest.raises(FileFormatError, match=r"old.zip: model: it was trained on other features"):
        policy_factory(f"sb3:{tmp_path / 'old.zip'}", dispatch=False)


def test_it_waits_where_that_is_likelier_than_all_jobs_together():
    rows = torch.zeros(3, 4, len(PAIR_FIELDS))
    rows[:2, 3, PAIR.wait] = 1.0
    probabilities = torch.tensor([[0.2, 0.3, 0.1, 0.4], [0.1, 0.2, 0.1, 0.6], [0.1, 0.2, 0.1, 0.6]])
    assert likeliest(probabilities, rows).tolist() == [1, 3, 3]  # the last lane has no action that waits


@pytest.mark.parametrize("name", ["PPO", "DQN"])
def test_layers_of_another_kind_are_refused_and_not_ignored(name):
    with pytest.raises(ConfigError, match=r"Policy: net_arch must be left out, .* got \[64, 64\]"):
        make_model(name, make_env(), policy_kwargs={"net_arch": [64, 64]})
    assert make_model(name, make_env(), policy_kwargs={"net_arch": []}) is not None


@pytest.mark.parametrize("width", [0, -1, "8", 1.5, True])
def test_a_bad_width_is_refused(width):
    for name in ("PPO", "DQN"):
        with pytest.raises(ConfigError, match="width must be an integer of at least 1, got"):
            make_model(name, make_env(), policy_kwargs={"width": width})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"policy": "MlpPolicy"}, "policy must be PairValuePolicy, .*observation='pairs', got 'MlpPolicy'"),
        ({"policy": PairActorCriticPolicy}, "policy must be PairValuePolicy, .*got PairActorCriticPolicy"),
        ({"exploration": (3, -1)}, "exploration.* must be a number from 0 to 1, got 3"),
        ({"exploration": 0.1}, "exploration must be"),
        ({"exploring": 0}, "exploring must be an integer of at least 1, got 0"),
        ({"exploration_fraction": 0.1}, "leave out exploration_fraction"),
    ],
)
def test_what_the_dqn_cannot_use_is_refused(options, error):
    with pytest.raises(ConfigError, match=error):
        PairDqn(**{"policy": PairValuePolicy, "env": make_env(), **DQN_SHAPE, **options})


def test_a_model_without_a_scorer_is_no_policy_of_rows():
    model = sb3.PPO("MlpPolicy", make_env(observation="flat"), n_steps=8, batch_size=8, device="cpu")
    for given in (model, "model.zip", None):
        with pytest.raises(ConfigError, match="must be a model with PairActorCriticPolicy or PairValuePolicy, got"):
            PairRowsPolicy.of(given)


@pytest.mark.long
@pytest.mark.slow
def test_it_learns_from_scratch_on_varied_scenarios():
    """After some seconds it is ahead of sjf, on a workload that it never trained on."""
    training = varied_scenarios("hetero4", 8, seed=3, classes=32)
    options = {"window": 16, "dataflow": "predicted_best"}
    env = Sb3VecEnv(IDS[1], 32, scenario=training, jobs=100, observation="pairs", **options)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    curve = LearningCurve.on(load_scenario("hetero4").with_options(jobs=300, **options), every=20_000, episodes=4)
    model = contrib.MaskablePPO(
        PairActorCriticPolicy, env, n_steps=64, batch_size=512, n_epochs=3, learning_rate=2e-3, gamma=1.0,
        gae_lambda=0.99, seed=0, device="cpu",
    )  # fmt: skip
    model.learn(60_000, callback=CurveCallback(curve, PairRowsPolicy.of))
    torch.set_num_threads(threads)
    assert [point["decisions"] for point in curve.points] == [20_480, 40_960]
    curve.measure(PairRowsPolicy.of(model), model.num_timesteps)
    assert curve.points[-1]["ratios"]["its classes"] < 1.0


def test_the_module_for_other_libraries_takes_any_leading_dimensions():
    env = make_env()
    networks = PairActorCritic(width=8)
    torch.nn.init.normal_(networks.scorer.score.weight)
    torch.nn.init.normal_(networks.values.critic.value.weight)
    rows = torch.from_numpy(env.reset())
    logits, values = networks(rows)
    legal = torch.from_numpy(env.action_masks())
    assert logits.shape == legal.shape and values.shape == (4,)
    assert ((logits > -1e7) == legal).all()
    assert (networks.logits(rows.reshape(2, 2, *rows.shape[1:])) == logits.reshape(2, 2, -1)).all()
    assert (networks.values(rows.reshape(2, 2, *rows.shape[1:]))[..., 0] == values.reshape(2, 2)).all()
    assert torch.allclose(networks.logits(rows[0]), logits[0], atol=1e-6)
    assert PairRowsPolicy(networks.scorer).act(rows.numpy(), legal.numpy()).shape == (4,)


def test_another_observation_is_refused():
    for observation in ("flat", "pairs_flat"):
        env = Sb3VecEnv(IDS[1], 2, jobs=8, window=4, observation=observation)
        for algorithm in ("PPO", "DQN"):
            with pytest.raises(ConfigError, match=r"must be 'pairs', of shape \(37, 32\).*with observation='pairs'"):
                make_model(algorithm, env)
    with pytest.raises(ConfigError, match="must be 'pairs'"):
        make_model("PPO", Sb3VecEnv(IDS[1], 2, jobs=8, window=4))
