"""The stock-library policy on the observation "pairs": masks, sizes, symmetry, saving, and that it learns."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sb3 = pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed")
contrib = pytest.importorskip("sb3_contrib", reason="sb3-contrib is not installed")

import torch  # noqa: E402

from gnnsched_agents import PairActorCriticPolicy, Sb3VecEnv  # noqa: E402
from gnnsched_env.common.errors import ConfigError  # noqa: E402

IDS = ("gnnsched/Dispatch-v0", "gnnsched/Queue-v0")
ALGORITHMS = {
    "MaskablePPO": (contrib.MaskablePPO, {"n_steps": 16, "batch_size": 32, "n_epochs": 1}),
    "PPO": (sb3.PPO, {"n_steps": 16, "batch_size": 32, "n_epochs": 1}),
    "A2C": (sb3.A2C, {"n_steps": 4}),
}


def make_model(name, env, **options):
    kind, own = ALGORITHMS[name]
    return kind(PairActorCriticPolicy, env, gamma=1.0, seed=0, device="cpu", **own, **options)


def make_env(name=IDS[1], lanes=4, **options):
    shape = {"window": 4} if name == IDS[1] else {}
    return Sb3VecEnv(name, lanes, jobs=8, observation="pairs", **shape, **options)


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
    assert all(masks[np.arange(4), actions].all() for masks, actions in taken)
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


def test_a_saved_model_plays_alike(tmp_path):
    env = make_env()
    model = make_model("MaskablePPO", env, policy_kwargs={"width": 8})
    model.learn(64)
    model.save(tmp_path / "model.zip")
    again = contrib.MaskablePPO.load(tmp_path / "model.zip", device="cpu")
    observation, masks = env.reset(), env.action_masks()
    ours, theirs = (one.predict(observation, action_masks=masks, deterministic=True)[0] for one in (model, again))
    assert (ours == theirs).all()
    assert masks[np.arange(4), ours].all()


@pytest.mark.slow
def test_the_example_learns(monkeypatch):
    """After a sixth of its steps it is nearer to sjf than to random, on episodes that it never trained on."""
    path = Path(__file__).resolve().parents[2] / "examples" / "sb3_maskable_ppo.py"
    example = SimpleNamespace(**runpy.run_path(str(path)))
    monkeypatch.setitem(example.mean_completions.__globals__, "EPISODES", 16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the example does
    means = example.mean_completions(example.train(50_000))
    torch.set_num_threads(threads)
    assert set(means) == {"random", "sjf", "min_min", "assignment", "MaskablePPO"}
    assert means["MaskablePPO"] < (means["sjf"] + means["random"]) / 2


def test_another_observation_is_refused():
    for observation in ("flat", "pairs_flat"):
        env = Sb3VecEnv(IDS[1], 2, jobs=8, window=4, observation=observation)
        with pytest.raises(ConfigError, match=r"must be 'pairs', of shape \(37, 32\).*with observation='pairs'"):
            make_model("PPO", env)
    with pytest.raises(ConfigError, match="must be 'pairs'"):
        make_model("PPO", Sb3VecEnv(IDS[1], 2, jobs=8, window=4))
