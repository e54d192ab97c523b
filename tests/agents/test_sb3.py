"""Trainings by Stable-Baselines3, their files, and their models as policies."""

import base64
import io
import json
import pickle
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sb3 = pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed")
contrib = pytest.importorskip("sb3_contrib", reason="sb3-contrib is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from stable_baselines3.common.buffers import ReplayBuffer  # noqa: E402

from gnnsched_agents.methods.registry import A2cConfig, DqnConfig, MaskablePpoConfig  # noqa: E402
from gnnsched_agents.methods.sb3_training import COUNTERS, Sb3Training  # noqa: E402
from gnnsched_agents.pair_modules import ILLEGAL, LegalRows  # noqa: E402
from gnnsched_agents.sb3.dqn import TimedReplayBuffer  # noqa: E402
from gnnsched_agents.sb3.pair_env import PairVecEnv, masks_of  # noqa: E402
from gnnsched_agents.sb3.saved_policy import (  # noqa: E402
    CARD,
    OPTIMIZER,
    PLAIN,
    WEIGHTS,
    Sb3Policy,
    read_network,
)
from gnnsched_agents.worlds import Workloads  # noqa: E402
from gnnsched_baselines.learned.pair_features import COLUMN  # noqa: E402
from gnnsched_baselines.learned.pair_network import Network  # noqa: E402
from gnnsched_env.common.errors import ConfigError, FileFormatError  # noqa: E402
from gnnsched_env.envs.single_env import QueueEnv  # noqa: E402
from gnnsched_env.evaluation import run_policy  # noqa: E402
from gnnsched_env.evaluation.policies import policy_factory  # noqa: E402
from gnnsched_env.scenario import load_scenario, scenario_table  # noqa: E402

WORKLOADS = Workloads(sets=1, classes=8, jobs=20, window=6)
SMALL = {"worlds": 2, "lanes": 4, "redraw": 2, "width": 8}
CONFIGS = {
    "maskable_ppo": MaskablePpoConfig(**SMALL, steps=16, batch=64, prior=1.0, learning_rate=0.01),
    "a2c": A2cConfig(**SMALL, steps=8, rollouts=2, prior=1.0),
    "dqn": DqnConfig(**SMALL, steps=16, warmup=64, batch=16, target=64, replay=256, exploration=(0.5, 0.1)),
}
FIRED = "fired"  # the file that an executed pickle makes


@pytest.fixture(params=CONFIGS)
def training(request):
    return Sb3Training(CONFIGS[request.param], WORKLOADS, 3)


def same(one, two):
    return all(np.array_equal(first, second) for first, second in zip(one.arrays, two.arrays, strict=True))


def greedy(training, observation):
    actions, _ = training.model.predict(observation, deterministic=True)
    return actions


def test_it_trains_and_sends_legal_actions_only(training):
    env, before = training.env, training.network()
    sent = []
    step_async = env.step_async

    def spy(actions):
        sent.append(np.take_along_axis(env.action_masks(), actions[:, np.newaxis], axis=1).all())
        step_async(actions)

    env.step_async = spy
    planned = COLUMN.planned_action
    observation = env.reset()
    assert (greedy(training, observation) == (observation[:, :, planned] * masks_of(observation)).argmax(axis=1)).all()
    for _ in range(3):
        figures = training.update()
        assert figures["decisions"] == 128
        assert np.isfinite(list(figures.values())).all()
        assert {"learning_rate", "n_updates"} <= set(figures)
    assert len(sent) == 3 * 16
    assert all(sent)
    assert not same(before, training.network())
    assert training.model.num_timesteps == 3 * 128


def test_the_greedy_policy_takes_the_best_scored_row(training):
    training.update()
    env = PairVecEnv(5, jobs=20, window=6)
    observation = env.reset()
    network, rng = training.network(), np.random.default_rng(0)
    for _ in range(15):
        chosen = greedy(training, observation)
        for lane, action in enumerate(chosen):
            legal = np.flatnonzero(masks_of(observation[lane]))
            scores = network.scores(observation[lane, legal, :-1], np.array([0, len(legal)]))
            assert scores[legal == action] == pytest.approx(scores.max(), abs=1e-5)
        observation, *_ = env.step(np.where(rng.random(5) < 0.5, chosen, env.batch.layout.wait_action))


def test_illegal_actions_and_ended_lanes(training):
    env = PairVecEnv(3, jobs=20, window=6)
    observation = env.reset()
    observation[1] = 0.0  # as an episode's last one
    tensor = torch.from_numpy(observation)
    policy = training.model.policy
    if isinstance(training.model, sb3.DQN):
        values = policy.q_net(tensor).detach().numpy()
    else:
        with torch.no_grad():
            training.scorer.w3 += 1.0
            policy.critic.value.bias += 2.0
        assert (policy.predict_values(tensor)[:, 0] == 0.0).tolist() == [False, True, False]
        values = policy.get_distribution(tensor).distribution.logits.detach().numpy()[[0, 2]]
        observation = observation[[0, 2]]
    assert np.isfinite(values).all()
    assert (values[~masks_of(observation)] <= ILLEGAL / 2).all()
    assert (values[masks_of(observation)] > ILLEGAL / 2).all()


def test_q_values_are_the_critics_plus_centred_scores():
    training = Sb3Training(CONFIGS["dqn"], WORKLOADS, 3)
    training.update()
    env = PairVecEnv(3, jobs=20, window=6)
    observation, q_net = env.reset(), training.model.policy.q_net
    legal = LegalRows(torch.from_numpy(observation))
    with torch.no_grad():
        values = q_net(torch.from_numpy(observation)).numpy()
        shared = q_net.critic(legal).numpy()
        scores = training.network().scores(legal.rows.numpy(), np.cumsum([0, *legal.packing.sizes.tolist()]))
    for lane, mask in enumerate(masks_of(observation)):
        own, scores = scores[: mask.sum()], scores[mask.sum() :]
        assert values[lane, mask] == pytest.approx(shared[lane] + own - own.mean(), abs=1e-5)


def test_legal_rows_are_packed_and_unpacked():
    rng = np.random.default_rng(0)
    observation = rng.normal(size=(6, 5, 4)).astype(np.float32)
    observation[..., -1] = rng.random((6, 5)) < 0.5
    observation[2, :, -1] = 0.0
    legal = LegalRows(torch.from_numpy(observation))
    expected = [row[:-1] for lane in observation for row in lane if row[-1]]
    assert np.array_equal(legal.rows.numpy(), np.array(expected))
    unpacked = legal.unpacked(torch.arange(len(expected), dtype=torch.float32)).numpy()
    counter = iter(range(len(expected)))
    for lane in range(6):
        for action in range(5):
            assert unpacked[lane, action] == (next(counter) if observation[lane, action, -1] else ILLEGAL)
    assert legal.of_lanes(torch.arange(1.0, 6.0)).tolist() == [1, 2, 0, 3, 4, 5]


def test_the_replay_discounts_in_time():
    env = PairVecEnv(3, jobs=6, window=4)
    spaces = (env.observation_space, env.action_space)
    ours = TimedReplayBuffer(30, *spaces, device="cpu", n_envs=3, tau=5.0)
    theirs = ReplayBuffer(30, *spaces, device="cpu", n_envs=3)
    rng, legacy, observation = np.random.default_rng(0), np.random, env.reset()
    elapsed = np.zeros((10, 3))
    for step in range(25):  # more than fit
        masks = env.action_masks()
        actions = np.where(masks, rng.random(masks.shape), -1).argmax(axis=1)
        after, rewards, dones, infos = env.step(actions)
        for lane, info in enumerate(infos):
            info["elapsed"] /= env.unit
            elapsed[step % 10, lane] = info["elapsed"]
        for buffer in (ours, theirs):
            buffer.add(observation, after, actions, rewards, dones, infos)
        observation = after
    legacy.seed(1)  # the library draws from it
    one = ours.sample(40)
    legacy.seed(1)
    two = theirs.sample(40)
    for name in ("observations", "actions", "next_observations", "rewards"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
    legacy.seed(1)
    steps, lanes = legacy.randint(0, 10, size=40), legacy.randint(3, size=40)
    counts = np.exp(-elapsed[steps, lanes] / 5.0) * (1.0 - two.dones[:, 0].numpy())
    assert two.dones.any() and len(np.unique(counts)) > 10
    assert (1.0 - one.dones[:, 0]).numpy() == pytest.approx(counts, abs=1e-6)


def test_a_stopped_training_goes_on_with_its_weights_and_optimiser(training, tmp_path):
    for _ in range(2):
        training.update()
    training.save(tmp_path / "state")
    again = Sb3Training(training.config, WORKLOADS, 3)
    again.load(tmp_path / "state")
    assert same(again.network(), training.network())
    weights, kept = again.model.policy.state_dict(), training.model.policy.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in kept.items())
    moments, kept = (one.model.policy.optimizer.state_dict()["state"] for one in (again, training))
    assert len(moments) == len(kept) > 0
    assert all(torch.equal(moments[number][name], kept[number][name]) for number in kept for name in kept[number])
    assert again.model.num_timesteps == training.model.num_timesteps == 2 * 128
    assert again.env.lanes.drawn != training.env.lanes.drawn
    for _ in range(2):
        assert again.update()["decisions"] == 128
    assert not same(again.network(), training.network()) and again.model.num_timesteps == 4 * 128


def test_a_model_gives_equal_actions_in_the_library_and_as_a_policy(training, tmp_path):
    training.update()
    path = tmp_path / "model.zip"
    training.save_model(path)
    kind = {"maskable_ppo": contrib.MaskablePPO, "a2c": sb3.A2C, "dqn": type(training.model)}[training.name]
    own = kind.load(path, device="cpu")
    env = PairVecEnv(8, jobs=20, window=6, load=0.9)
    env.seed(5)  # so that no two jobs of a class tie, between which state and observation may choose differently
    batch, observation = env.batch.batch, env.reset()
    policy = Sb3Policy(batch.layout, batch.table, path)
    for _ in range(30):
        expected = greedy(training, observation)
        assert np.array_equal(own.predict(observation, deterministic=True)[0], expected)
        assert np.array_equal(policy.act(batch.observation, batch.mask), expected)
        observation, *_ = env.step(expected)


@pytest.mark.parametrize("dataflow", ["agent", "predicted_best"])
def test_a_model_is_evaluated_in_either_mode(training, tmp_path, dataflow):
    training.save(tmp_path / "model.zip")
    scenario = load_scenario("hetero4").with_options(jobs=30, window=8, dataflow=dataflow)
    factory = policy_factory(f"sb3:{tmp_path / 'model.zip'}", dispatch=False)
    runs = run_policy(factory, scenario, scenario_table(scenario), dispatch=False, seed=0, episodes=2)
    assert runs.per_episode("completion").shape == (2,)
    assert isinstance(runs.policy, Sb3Policy)
    assert runs.policy.about["algorithm"] == training.name


class Payload:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return Path.touch, (Path(self.folder) / FIRED,)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a model that was saved, and must stay as it is."""
    path = tmp_path_factory.mktemp("saved") / "model.zip"
    Sb3Training(CONFIGS["a2c"], WORKLOADS, 0).save(path)
    return path


@pytest.fixture
def model(saved, tmp_path):
    return Path(shutil.copy(saved, tmp_path / "model.zip"))


def rewritten(path, changes):
    """Replace or add entries of a zip; None takes one out."""
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    entries |= changes
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            if content is not None:
                file.writestr(name, content)
    return path


def changed_card(path, **changes):
    with zipfile.ZipFile(path) as file:
        values = json.loads(file.read(PLAIN))
    values[CARD] = {**values[CARD], **changes}
    return rewritten(path, {PLAIN: json.dumps(values)})


def tensors(**values):
    buffer = io.BytesIO()
    torch.save(values, buffer)
    return buffer.getvalue()


def layout_and_table():
    env = QueueEnv(jobs=4, window=4)
    return env.layout, env.table


def test_no_pickle_is_executed(model, tmp_path):
    payload = Payload(tmp_path)
    with zipfile.ZipFile(model) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    values, pickled = json.loads(entries[PLAIN]), base64.b64encode(pickle.dumps(payload)).decode()
    serialized = {name: {":type:": "x", ":serialized:": pickled} for name in values if name not in (CARD, *COUNTERS)}
    training = Sb3Training(CONFIGS["a2c"], WORKLOADS, 0)
    rewritten(model, {PLAIN: json.dumps({**values, **serialized}), "pytorch_variables.pth": pickle.dumps(payload)})
    policy_factory(f"sb3:{model}", dispatch=False)(*layout_and_table())
    training.load(model)
    for content in (pickle.dumps(payload, 2), tensors(**{"scorer.w1": payload})):
        for name, load in ((WEIGHTS, training.load), (OPTIMIZER, training.load), (WEIGHTS, read_network)):
            with pytest.raises(FileFormatError, match="must hold tensors"):
                load(rewritten(model, {**entries, name: content}))
    assert not (tmp_path / FIRED).exists()
    pickle.loads(pickle.dumps(payload))
    assert (tmp_path / FIRED).exists()  # it would have been seen


def test_a_model_of_something_else_is_refused(tmp_path):
    import gymnasium

    env = gymnasium.make("gnnsched/Queue-v0", jobs=4, window=4)
    contrib.MaskablePPO("MultiInputPolicy", env, n_steps=8, batch_size=8, device="cpu").save(tmp_path / "own.zip")
    with pytest.raises(FileFormatError, match="must be a model that `gnnsched train` saved"):
        policy_factory(f"sb3:{tmp_path / 'own.zip'}", dispatch=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"environment": "dispatch"}, "environment 'dispatch'"),
        ({"observation_version": 1}, "observation_version 1"),
        ({"features": ["age"]}, "read the feature 'age'"),
    ],
)
def test_models_for_something_else_are_refused(model, changes, message):
    with pytest.raises(FileFormatError, match=message):
        read_network(changed_card(model, **changes))
    with pytest.raises(FileFormatError, match="for this version's features"):
        Sb3Training(CONFIGS["a2c"], WORKLOADS, 0).load(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({PLAIN: "[]"}, "data lacks 'gnnsched'"),
        ({PLAIN: "{"}, "must be JSON"),
        ({PLAIN: b"\xff\xfe\x00"}, "must be JSON"),
        ({PLAIN: "[" * 100_000}, "must be JSON"),
        ({PLAIN: "1" * 5000}, "must be JSON"),
        ({PLAIN: None}, "has no entry data"),
        ({WEIGHTS: None}, r"has no entry policy\.pth"),
        ({WEIGHTS: b"no tensors"}, "must hold tensors"),
        ({WEIGHTS: tensors(w1=torch.zeros(3))}, "must hold the weights of a scorer"),
        ({WEIGHTS: tensors(**{"scorer.w1": torch.zeros(3)})}, "b1, b2, skip, u2, w2, w3 not found"),
        *(
            (
                {WEIGHTS: tensors(**{f"scorer.{name}": bad for name in Network.__dataclass_fields__})},
                "w1 must have a row",
            )
            for bad in (torch.zeros(3), [3.0])
        ),
    ],
)
def test_damaged_entries_are_named(model, changes, message):
    with pytest.raises(FileFormatError, match=message):
        read_network(rewritten(model, changes))


def test_damaged_files_are_refused(model, tmp_path):
    content = model.read_bytes()
    with pytest.raises(FileFormatError, match=r"none\.zip: cannot be read: No such file"):
        read_network(tmp_path / "none.zip")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_network(tmp_path)
    with pytest.raises(FileFormatError, match=r"use agent:\S*best\.npz for this file"):
        read_network(tmp_path / "best.npz")
    rng = np.random.default_rng(0)
    for number in range(40):
        damaged = bytearray(content)
        if number % 2:
            damaged = damaged[: int(rng.integers(len(content) - 1))]
        else:
            start = int(rng.integers(len(content)))
            damaged[start : start + 50] = rng.bytes(min(50, len(content) - start))
        model.write_bytes(damaged)
        try:
            read_network(model)
        except FileFormatError as error:
            assert str(model) in str(error)
    for part in (content[: len(content) // 2], b"no zip"):
        model.write_bytes(part)
        with pytest.raises(
            FileFormatError, match="the zip file of a model is incomplete or damaged: File is not a zip"
        ):
            read_network(model)


def test_trainings_refuse_what_is_not_theirs(model):
    with pytest.raises(FileFormatError, match="must be a model of dqn"):
        Sb3Training(CONFIGS["dqn"], WORKLOADS, 0).load(model)
    wider = replace(CONFIGS["a2c"], width=9)
    with pytest.raises(FileFormatError, match="incomplete or damaged"):
        Sb3Training(wider, WORKLOADS, 0).load(model)
    with pytest.raises(FileFormatError, match="the model lacks 'param_groups'"):
        Sb3Training(CONFIGS["a2c"], WORKLOADS, 0).load(rewritten(model, {OPTIMIZER: tensors()}))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (MaskablePpoConfig, {"worlds": 0}, "worlds must be"),
        (MaskablePpoConfig, {"gae": 1.5}, "gae must be"),
        (MaskablePpoConfig, {"clip": 0.0}, "clip must be"),
        (MaskablePpoConfig, {"batch": 0}, "batch must be"),
        (MaskablePpoConfig, {"batch": 1}, "batch must be"),
        (
            MaskablePpoConfig,
            {"worlds": 1, "lanes": 1, "steps": 9, "batch": 8},
            "the 9 decisions .* a single one, got 8",
        ),
        (A2cConfig, {"worlds": 1, "lanes": 1, "steps": 1}, "worlds x lanes x steps must be"),
        (MaskablePpoConfig, {"width": 5000}, "width must be"),
        (A2cConfig, {"entropy": -1.0}, "entropy must be"),
        (A2cConfig, {"rollouts": 0}, "rollouts must be"),
        (DqnConfig, {"tau": 0.0}, "tau must be"),
        (DqnConfig, {"exploration": (0.5, 1.5)}, "exploration must be"),
        (DqnConfig, {"prior": -0.5}, "prior must be"),
        (DqnConfig, {"learning_rate": 0.0}, "learning_rate must be"),
    ],
)
def test_bad_configs_are_refused(kind, options, message):
    with pytest.raises(ConfigError, match=message):
        kind(**options)


def test_names_and_environments_are_checked(model):
    with pytest.raises(ConfigError, match=r"must be sb3:FILE.zip"):
        policy_factory("sb3:", dispatch=False)
    with pytest.raises(ConfigError, match="is made for queue, not for dispatch"):
        policy_factory(f"sb3:{model}", dispatch=True)
    layout, _ = layout_and_table()
    with pytest.raises(ConfigError, match="table"):
        Sb3Policy(layout, None, model)
    with pytest.raises(ConfigError, match=r"method must be the config of one of .*, got int"):
        Sb3Training(3, WORKLOADS, 0)


def test_the_library_learns_on_one_fleet_at_a_time():
    with pytest.raises(ConfigError, match="maskable_ppo: scenario must name one fleet to train for, got 'random'"):
        Sb3Training(MaskablePpoConfig(), replace(WORKLOADS, scenario="random"), 0)
